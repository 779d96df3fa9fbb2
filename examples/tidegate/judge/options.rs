//! By what windows are judged, as options.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tidegate::metrics::{
    self, Bound, Comparison, Criterion, Limit, MeanComparison, Method, Metric, RankComparison, Rule,
    ScoreComparison, Statistic,
};

use super::criteria::Criteria;
use crate::failure::Failure;

/// How sure a judge has to be.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Chances {
    /// The chance of failing a candidate that is good enough, over all looks together, by each metric: of several, divide it by their number
    #[arg(long, value_name = "P", default_value_t = 0.05, allow_negative_numbers = true)]
    pub(crate) alpha: f64,
    /// The chance of passing a candidate that is too bad, over all looks together
    #[arg(long, value_name = "P", default_value_t = 0.05, allow_negative_numbers = true)]
    pub(crate) beta: f64,
}

/// What a comparison tolerates.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Tolerance {
    /// The greatest odds ratio of candidate to baseline that is no failure [default: 1]
    #[arg(long, value_name = "RATIO", allow_negative_numbers = true)]
    pub(crate) tolerated: Option<f64>,
    /// How far above --tolerated the odds ratio must be ruled out for a pass, as a share of it [default: 1,
    /// that is, twice the odds]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub(crate) margin: Option<f64>,
    /// A share of hits that nobody minds: evidence that the candidate's own is below it is evidence for a
    /// pass, too [default: 0, none; the library's is 0.01]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub(crate) negligible: Option<f64>,
    /// By how much counts vary more than those of independent requests, see `tidegate calibrate` [default: 1]
    #[arg(long, value_name = "RATIO", allow_negative_numbers = true)]
    pub(crate) dispersion: Option<f64>,
}

/// How counts are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CountTest {
    Conditional,
    Symmetric,
}

/// How windows are judged. The help of the command says more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Test {
    Conditional,
    Symmetric,
    Scores,
    Means,
    Ranks,
    Limit,
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Better {
    Lower,
    Higher,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "By what is judged")]
pub(crate) struct Options {
    /// A .json or .toml file of a criterion of the library, or of several by metric, in place of these options
    #[arg(long, value_name = "FILE", conflicts_with_all = ["Chances", "Tolerance", "More"])]
    criterion: Option<PathBuf>,
    #[command(flatten)]
    chances: Chances,
    #[command(flatten)]
    tolerance: Tolerance,
    #[command(flatten)]
    more: More,
}

#[derive(Clone, Debug, Args)]
struct More {
    /// How windows are judged, see below
    #[arg(long, value_enum, default_value_t = Test::Conditional)]
    test: Test,
    /// Which way is better [default: lower; of scores higher]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "lower|higher")]
    better: Option<Better>,
    /// The candidate's share of the requests, as the router was told: nothing passes while it does otherwise
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    weight: Option<f64>,
    /// The least possible score [default: 0]
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    from: Option<f64>,
    /// The greatest possible score [default: 1]
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    to: Option<f64>,
    /// What greater values count as, where means are compared [default: themselves]
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    cap: Option<f64>,
    /// Windows before ranks are looked at, and between looks [default: 30]
    #[arg(long, value_name = "N")]
    windows: Option<u32>,
    /// So many looks at ranks [default: 1]
    #[arg(long, value_name = "N")]
    looks: Option<u32>,
    /// What is limited: share (of hits), mean, or a percentile such as p95 [default: share]
    #[arg(long, value_name = "share|mean|pNN", value_parser = statistic)]
    statistic: Option<Statistic>,
    /// The limit from above
    #[arg(long, value_name = "NUMBER", conflicts_with = "at_least", allow_negative_numbers = true)]
    at_most: Option<f64>,
    /// The limit from below
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    at_least: Option<f64>,
    /// No pass within the limit before so many requests or values [default: 30]
    #[arg(long, value_name = "N")]
    min_samples: Option<u64>,
}

impl Options {
    pub(crate) fn criteria(&self) -> Result<Criteria, Failure> {
        match &self.criterion {
            Some(path) => Criteria::read(path),
            None => self.rule().map(Criteria::Each),
        }
    }

    fn rule(&self) -> Result<Rule, Failure> {
        let Self { chances, tolerance, more, .. } = self;
        self.expect_only(more.test)?;
        let Chances { alpha, beta } = *chances;
        let rule = match more.test {
            Test::Conditional => self.compare(CountTest::Conditional),
            Test::Symmetric => self.compare(CountTest::Symmetric),
            Test::Scores => {
                let by_default = ScoreComparison::default();
                Rule::CompareScores(ScoreComparison {
                    alpha,
                    beta,
                    from: more.from.unwrap_or(by_default.from),
                    to: more.to.unwrap_or(by_default.to),
                    tolerated: tolerance.tolerated.unwrap_or(by_default.tolerated),
                    margin: tolerance.margin.unwrap_or(by_default.margin),
                    better: more.better.map_or(by_default.better, Into::into),
                })
            }
            Test::Means => {
                let by_default = MeanComparison::default();
                Rule::CompareMeans(MeanComparison {
                    alpha,
                    beta,
                    tolerated: tolerance.tolerated.unwrap_or(by_default.tolerated),
                    margin: tolerance.margin.unwrap_or(by_default.margin),
                    cap: more.cap,
                    better: more.better.map_or(by_default.better, Into::into),
                })
            }
            Test::Ranks => {
                let by_default = RankComparison::default();
                Rule::CompareRanks(RankComparison {
                    alpha,
                    beta,
                    windows: more.windows.unwrap_or(by_default.windows),
                    looks: more.looks.unwrap_or(by_default.looks),
                    margin: tolerance.margin.unwrap_or(by_default.margin),
                    better: more.better.map_or(by_default.better, Into::into),
                    ..by_default
                })
            }
            Test::Limit => {
                let bound = match (more.at_most, more.at_least) {
                    (Some(most), _) => Bound::AtMost(most),
                    (None, Some(least)) => Bound::AtLeast(least),
                    (None, None) => {
                        let why = "--test limit needs the limit: --at-most 0.02, or --at-least 0.98";
                        return Err(Failure::Misused(why.to_owned()));
                    }
                };
                let by_default = Limit::new(more.statistic.unwrap_or(Statistic::Share), bound);
                let min_samples = more.min_samples.unwrap_or(by_default.min_samples);
                Rule::Limit(Limit { alpha, beta, min_samples, ..by_default })
            }
        };
        check(rule)?;
        Ok(rule)
    }

    fn compare(&self, test: CountTest) -> Rule {
        let comparison = comparison(self.chances, self.tolerance, test, self.more.better);
        Rule::Compare(Comparison { weight: self.more.weight, ..comparison })
    }

    /// Whether every option that was given has a part in the test.
    fn expect_only(&self, test: Test) -> Result<(), Failure> {
        let Self { tolerance, more, .. } = self;
        let given = [
            ("--tolerated", tolerance.tolerated.is_some()),
            ("--margin", tolerance.margin.is_some()),
            ("--negligible", tolerance.negligible.is_some()),
            ("--dispersion", tolerance.dispersion.is_some()),
            ("--better", more.better.is_some()),
            ("--weight", more.weight.is_some()),
            ("--from", more.from.is_some()),
            ("--to", more.to.is_some()),
            ("--cap", more.cap.is_some()),
            ("--windows", more.windows.is_some()),
            ("--looks", more.looks.is_some()),
            ("--statistic", more.statistic.is_some()),
            ("--at-most", more.at_most.is_some()),
            ("--at-least", more.at_least.is_some()),
            ("--min-samples", more.min_samples.is_some()),
        ];
        const COUNTS: &[&str] =
            &["--tolerated", "--margin", "--negligible", "--dispersion", "--better", "--weight"];
        let (name, takes): (_, &[&str]) = match test {
            Test::Conditional => ("conditional", COUNTS),
            Test::Symmetric => ("symmetric", COUNTS),
            Test::Scores => ("scores", &["--tolerated", "--margin", "--better", "--from", "--to"]),
            Test::Means => ("means", &["--tolerated", "--margin", "--better", "--cap"]),
            Test::Ranks => ("ranks", &["--margin", "--better", "--windows", "--looks"]),
            Test::Limit => ("limit", &["--statistic", "--at-most", "--at-least", "--min-samples"]),
        };
        match given.iter().find(|(option, is_given)| *is_given && !takes.contains(option)) {
            None => Ok(()),
            Some((option, _)) => {
                let takes = takes.join(", ");
                let why = format!("{option} has no part in --test {name}, which takes {takes}; leave it out");
                Err(Failure::Misused(why))
            }
        }
    }
}

/// The comparison that these options mean, which may be none that can be used.
pub(crate) fn comparison(
    Chances { alpha, beta }: Chances,
    tolerance: Tolerance,
    test: CountTest,
    better: Option<Better>,
) -> Comparison {
    let by_default = Comparison::default();
    Comparison {
        alpha,
        beta,
        tolerated: tolerance.tolerated.unwrap_or(by_default.tolerated),
        margin: tolerance.margin.unwrap_or(by_default.margin),
        // What decides has to be among the options that were given.
        negligible: tolerance.negligible.unwrap_or(0.0),
        better: better.map_or(by_default.better, Into::into),
        method: match test {
            CountTest::Conditional => Method::Conditional,
            CountTest::Symmetric => Method::Symmetric,
        },
        dispersion: tolerance.dispersion.unwrap_or(by_default.dispersion),
        weight: None,
    }
}

/// Whether options make a rule that can be used.
pub(crate) fn check(rule: Rule) -> Result<(), Failure> {
    let misused =
        |problems: Vec<String>| Failure::Misused(format!("these options do not do: {}", problems.join("; ")));
    Criterion::new(Metric::errors(), rule).check().map_err(|invalid| misused(invalid.problems))
}

fn statistic(text: &str) -> Result<Statistic, String> {
    let percentile = |digits: &str| {
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = [whole, fraction].concat().bytes().all(|byte| byte.is_ascii_digit());
        // Not by a division: p99.9 is 0.999.
        let share = format!("0.{whole:0>2}{fraction}").parse().ok()?;
        (is_number && matches!(whole.len(), 1 | 2) && share > 0.0).then_some(Statistic::Quantile(share))
    };
    match text {
        "share" => Some(Statistic::Share),
        "mean" => Some(Statistic::Mean),
        _ => text.strip_prefix('p').and_then(percentile),
    }
    .ok_or_else(|| "write share, mean, or a percentile such as p50, p95 or p99.9".to_owned())
}

impl From<Better> for metrics::Better {
    fn from(better: Better) -> Self {
        match better {
            Better::Lower => Self::Lower,
            Better::Higher => Self::Higher,
        }
    }
}
