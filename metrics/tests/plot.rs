//! The pictures of what was judged: what is in them, that nothing gets out of them, and that anything can be drawn.

#![cfg(feature = "plot")]
#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use maud::{Markup, html};
use proptest::prelude::*;
use tidegate_metrics::{
    Better, Bound, BurnRate, Comparison, Criterion, Evidence, Limit, MeanComparison, Measurement, Metric,
    Missing, Observation, OnMissing, RankComparison, Readings, Rule, ScoreComparison, Statistic, Verdict,
    Window, judge,
    plot::{self, Axis, Band, Gap, Picture, Sequence, TimeAxis},
    trajectory,
};

fn at(minute: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + 60 * minute)
}

/// The window that ends at this minute.
fn window(minute: u64) -> Window {
    Window::new(at(minute - 1), at(minute)).unwrap()
}

fn counts(hits: u64, trials: u64) -> Measurement {
    Observation::proportion(hits, trials).unwrap().into()
}

/// Windows of a minute each, with a candidate that has so many errors of 100 and a baseline that has 9 of 900.
fn evidence(errors: &[Option<u64>]) -> Evidence {
    let mut evidence = Evidence::new();
    for (minute, errors) in (1..).zip(errors) {
        let candidate = errors.map_or(Measurement::Missing(Missing::NoData), |errors| counts(errors, 100));
        evidence.add(window(minute), candidate, Some(counts(9, 900)));
    }
    evidence
}

fn markup(picture: &Picture) -> String {
    html! { (picture) }.into_string()
}

fn judged(criterion: &Criterion, evidence: &Evidence) -> String {
    markup(&plot::judged(criterion, evidence, TimeAxis::of([evidence]).unwrap()))
}

/// The attribute of every element of this class, in order.
fn of_class(markup: &str, class: &str, attribute: &str) -> Vec<String> {
    let inside = |(_, rest): (&str, &str)| {
        let (_, value) = rest.split_once('>')?.0.split_once(&format!(" {attribute}=\""))?;
        value.split_once('"').map(|(value, _)| value.to_owned())
    };
    markup.split(&format!(" class=\"{class}\"")).skip(1).filter_map(|rest| inside(("", rest))).collect()
}

fn points(list: &str) -> Vec<(f64, f64)> {
    let number = |text: &str| text.parse::<f64>().unwrap();
    list.split(' ').map(|pair| pair.split_once(',').unwrap()).map(|(x, y)| (number(x), number(y))).collect()
}

/// Panics unless it is well-formed XML: elements closed where they should be, no stray `<` or `&`, no control.
fn assert_well_formed(xml: &str) {
    let mut open = Vec::new();
    for piece in xml.split('<').skip(1) {
        let (inside, text) = piece.split_once('>').expect("a tag ends");
        let name = inside.split(' ').next().unwrap();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{inside}"),
            None => open.push(name),
        }
        assert_eq!(inside.matches('"').count() % 2, 0, "{inside}");
        for entity in inside.split('&').skip(1).chain(text.split('&').skip(1)) {
            assert!(["amp;", "lt;", "gt;", "quot;"].iter().any(|known| entity.starts_with(known)), "{piece}");
        }
    }
    assert_eq!(open, Vec::<&str>::new());
    let is_allowed = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    assert!(xml.chars().all(|c| is_allowed(c) && !matches!(c, '\u{fffe}' | '\u{ffff}' | '\u{202e}')));
}

/// Panics if a number in it is none.
fn assert_drawable(markup: &str) {
    for attribute in ["x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "width", "height"] {
        for value in markup.split(&format!(" {attribute}=\"")).skip(1) {
            let value = value.split('"').next().unwrap().trim_end_matches('%');
            assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{attribute}={value}");
        }
    }
    for list in markup.split(" points=\"").skip(1) {
        assert!(points(list.split('"').next().unwrap()).iter().all(|(x, y)| x.is_finite() && y.is_finite()));
    }
}

/// Keeps the file for whoever wants to look at it.
fn keep(name: &str, file: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("plot-test");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), file).unwrap();
}

mod bets {
    use super::*;

    #[test]
    fn both_lines_have_a_point_for_every_look_where_the_evidence_stood() {
        let criterion = Criterion::compare(Metric::errors());
        let evidence = evidence(&[1, 2, 1, 0, 2, 1].map(Some));
        let picture = judged(&criterion, &evidence);
        let trajectory = trajectory(&criterion, &evidence);
        for (class, log_e) in [
            ("line worse", trajectory.iter().map(|point| point.fail).collect::<Vec<_>>()),
            ("line good", trajectory.iter().map(|point| point.pass).collect()),
        ] {
            let line = points(&of_class(&picture, class, "points")[0]);
            assert_eq!(line.len(), 7, "a capital of 1, and six looks");
            assert_eq!([line[0].0, line[6].0], [0.0, 312.0]);
            // Heights are linear in the logarithm, downwards; the first point is at 1.
            let e_folding = (line[6].1 - line[0].1) / log_e[5];
            assert!(e_folding < 0.0);
            for ((_, y), log_e) in line[1..].iter().zip(&log_e) {
                assert!((y - line[0].1 - e_folding * log_e).abs() < 0.2, "{class}: {y} for {log_e}");
            }
        }
    }

    #[test]
    fn the_first_crossing_is_marked_and_named_at_its_time() {
        let picture = judged(&Criterion::compare(Metric::errors()), &evidence(&[1, 1, 30, 1, 40].map(Some)));
        assert_eq!(picture.matches("◇ worse at 08:03:00").count(), 1, "{picture}");
        assert_eq!(picture.matches("class=\"mark worse\"").count(), 1);
        assert_eq!(picture.matches("class=\"mark good\"").count(), 0);
    }

    #[test]
    fn a_gap_is_hatched_with_its_reason_and_breaks_every_line() {
        let evidence = evidence(&[Some(1), Some(2), None, None, Some(1), Some(1)]);
        let picture = judged(&Criterion::compare(Metric::errors()), &evidence);
        // Two windows in each of two pictures.
        assert_eq!(of_class(&picture, "hatched", "x"), ["104", "156", "104", "156"]);
        assert_eq!(picture.matches("<title>the candidate: no data</title>").count(), 4);
        for class in ["line worse", "line good", "line estimate", "band surely"] {
            assert_eq!(of_class(&picture, class, "points").len(), 2, "{class}");
        }
    }

    #[test]
    fn levels_are_one_where_both_bets_need_the_same() {
        let compare = |alpha| Criterion::compare(Metric::errors()).with_alpha(alpha);
        let picture = |alpha| {
            let evidence = evidence(&[Some(1)]);
            markup(&plot::evidence(&compare(alpha), &evidence, TimeAxis::of([&evidence]).unwrap()))
        };
        assert!(picture(0.05).contains("level either") && !picture(0.05).contains("level good"));
        assert!(picture(0.001).contains("level worse") && picture(0.001).contains("level good"));
    }

    #[test]
    fn pictures_share_a_time_axis() {
        let (early, late) = (evidence(&[Some(1), Some(1)]), evidence(&[None, None, None, Some(1)]));
        let time = TimeAxis::of([&early, &late]).unwrap();
        assert_eq!(time, TimeAxis::new(at(0), at(4)));
        let picture = markup(&plot::evidence(&Criterion::compare(Metric::errors()), &early, time));
        let line = points(&of_class(&picture, "line good", "points")[0]);
        assert_eq!(line.iter().map(|(x, _)| *x).collect::<Vec<_>>(), [0.0, 78.0, 156.0]);
        assert_eq!(TimeAxis::of([&Evidence::new()]), None);
    }
}

mod sequences {
    use super::*;

    fn band(minute: u64, estimate: f64, lower: Option<f64>, upper: Option<f64>) -> Band {
        Band { at: at(minute), estimate: Some(estimate), lower, upper }
    }

    fn ratio(bands: Vec<Band>) -> Sequence {
        Sequence { what: "odds ratio".to_owned(), axis: Axis::Log, bands, tolerated: 1.0, passing: Some(2.0) }
    }

    fn drawn(sequence: &Sequence) -> String {
        markup(&plot::confidence(sequence, &[], TimeAxis::new(at(0), at(4))))
    }

    #[test]
    fn a_ratio_is_laid_out_by_its_logarithm() {
        let picture = drawn(&ratio(vec![
            band(1, 1.0, Some(0.25), Some(4.0)),
            band(2, 1.0, Some(0.5), Some(2.0)),
            band(4, 1.0, Some(0.5), Some(2.0)),
        ]));
        let outline = points(&of_class(&picture, "band surely", "points")[0]);
        assert_eq!(outline.len(), 6, "there and back");
        let middle = points(&of_class(&picture, "line estimate", "points")[0])[0].1;
        let up = |n: usize| middle - outline[n].1;
        // 4 is as far above 1 as 1/4 is below, and twice as far as 2.
        assert!((up(0) + up(5)).abs() <= 0.1 && (up(0) - 2.0 * up(1)).abs() <= 0.2, "{outline:?}");
        let levels =
            of_class(&picture, "level worse", "y1").into_iter().chain(of_class(&picture, "level good", "y1"));
        let levels: Vec<f64> = levels.map(|y| y.parse().unwrap()).collect();
        assert_eq!(levels, [middle, outline[1].1], "1 is tolerated and 2 passes");
        assert!(
            picture.contains("aria-label=\"odds ratio over time, in the end 1 (0.5 to 2); tolerated: 1\"")
        );
    }

    #[test]
    fn a_bound_that_is_none_lets_the_band_run_off_the_scale() {
        let picture = drawn(&ratio(vec![band(1, 0.5, None, Some(9.0)), band(3, 0.8, Some(0.3), Some(2.1))]));
        let outline = points(&of_class(&picture, "band surely", "points")[0]);
        assert!(outline[3].1 > 1e5 && outline[..3].iter().all(|(_, y)| y.abs() < 1e3), "{outline:?}");
        let open = drawn(&ratio(vec![band(1, 0.5, None, None), band(3, 0.8, None, Some(2.1))]));
        assert!(open.contains(">0.8 (below 2.1)<"), "{open}");
    }

    #[test]
    fn one_look_is_a_bar_with_a_dot() {
        let picture = drawn(&ratio(vec![band(4, 0.5, Some(0.1), Some(3.0))]));
        assert_eq!(of_class(&picture, "dot estimate", "cx"), ["312"]);
        assert_eq!(of_class(&picture, "bar surely", "x1"), ["312"]);
        // So is one before a gap; what is repeated at its end is not.
        let bands = vec![band(1, 0.5, Some(0.1), Some(3.0)), band(2, 0.5, Some(0.1), Some(3.0))];
        let gaps = [Gap { window: window(2), reason: "no data".to_owned() }];
        let picture = markup(&plot::confidence(&ratio(bands), &gaps, TimeAxis::new(at(0), at(4))));
        assert_eq!(of_class(&picture, "dot estimate", "cx"), ["78"]);
        assert_eq!(of_class(&picture, "bar surely", "x1"), ["78"]);
    }

    #[test]
    fn without_bounds_there_is_a_line_and_no_band() {
        let bands = (1..=4).map(|minute| band(minute, 700.0, None, None)).collect();
        let sequence = Sequence {
            what: "mean".to_owned(),
            axis: Axis::Linear,
            bands,
            tolerated: 900.0,
            passing: Some(900.0),
        };
        let picture = drawn(&sequence);
        assert!(!picture.contains("band surely") && picture.contains("line estimate"));
        assert!(picture.contains("level either") && picture.contains(">900</text>"));
        let nothing = Sequence {
            bands: vec![Band { at: at(1), estimate: None, lower: None, upper: None }],
            ..sequence
        };
        assert!(plot::confidence(&nothing, &[], TimeAxis::new(at(0), at(4))).is_empty());
    }

    /// After many good windows a bad one shows at once, and what was missing carries nothing over.
    #[test]
    fn of_windows_by_themselves_each_shows_what_was_seen_in_it() {
        let criterion = Criterion::at_most(Metric::errors(), Statistic::Share, 0.15);
        let mut errors = vec![Some(1); 20];
        errors.extend([None, Some(40)]);
        let evidence = evidence(&errors);
        let time = TimeAxis::of([&evidence]).unwrap();
        let alone = markup(&plot::windows(&criterion, &evidence, time));
        let label = alone.rsplit("aria-label=\"").next().unwrap();
        assert!(label.starts_with("share over time, in the end 40% ("), "{label}");
        assert!(judged(&criterion, &evidence).contains("share over time, in the end 2.86% ("));
        assert!(!alone.contains("Evidence over time"));
        assert!(plot::windows(&criterion, &Evidence::new(), time).is_empty());
    }

    /// What the picture of a rule says was measured, where the line of what is tolerated is named, and what passes.
    fn told(rule: Rule, evidence: &Evidence) -> (String, Vec<String>) {
        let picture = judged(&Criterion::new(Metric::latency(), rule), evidence);
        let label = picture.rsplit("aria-label=\"").next().unwrap();
        let what = label.split(" over time").next().unwrap().to_owned();
        let sequence = &picture[picture.rfind("<svg class=\"plot\"").unwrap()..];
        let names = ["worse", "good", "either"].into_iter().filter_map(|class| {
            let named = sequence.split(&format!("class=\"tick strong end {class}\"")).nth(1)?;
            Some(format!("{class} {}", named.split(['>', '<']).nth(1).unwrap()))
        });
        (what, names.collect())
    }

    #[test]
    fn every_rule_is_drawn_against_what_it_tolerates() {
        let values = |from: f64| {
            Measurement::Observed(
                Observation::values((0..40).map(|n| from + f64::from(n) / 80.0).collect()).unwrap(),
            )
        };
        let (mut of_values, mut of_counts) = (Evidence::new(), Evidence::new());
        for minute in 1..=6 {
            of_values.add(window(minute), values(0.2), Some(values(0.3)));
            of_counts.add(window(minute), counts(2, 100), Some(counts(9, 900)));
        }
        let limit = |statistic, bound| Rule::Limit(Limit::new(statistic, bound));
        let ranks = RankComparison { windows: 2, ..RankComparison::default() };
        let scores = ScoreComparison { tolerated: 0.05, ..ScoreComparison::default() };
        let higher = Comparison { better: Better::Higher, tolerated: 1.5, ..Comparison::default() };
        // The baseline's mean is 0.3 + 39/160.
        let means = MeanComparison { tolerated: 0.1, margin: 0.2, ..MeanComparison::default() };
        let seconds = |name: &str| format!("{name} in s");
        for (rule, evidence, what, levels) in [
            (Rule::BurnRate(BurnRate::slow(0.99)), &of_counts, "burn rate".to_owned(), vec!["either 6"]),
            (
                Rule::Compare(Comparison::default()),
                &of_counts,
                "odds ratio".to_owned(),
                vec!["worse 1", "good 2"],
            ),
            (
                Rule::Compare(higher),
                &of_counts,
                "odds ratio of misses".to_owned(),
                vec!["worse 1.5", "good 3"],
            ),
            (
                Rule::CompareMeans(means),
                &of_values,
                seconds("difference of means"),
                vec!["worse 0.0544", "good 0.163"],
            ),
            (Rule::CompareRanks(ranks), &of_values, seconds("shift"), vec!["worse 0"]),
            (
                Rule::CompareScores(scores),
                &of_values,
                seconds("difference of means"),
                vec!["worse -0.05", "good -0.15"],
            ),
            (
                limit(Statistic::Share, Bound::AtLeast(0.99)),
                &of_counts,
                "share".to_owned(),
                vec!["either 99%"],
            ),
            (
                limit(Statistic::Quantile(0.9), Bound::AtMost(0.5)),
                &of_values,
                "share beyond 0.5 s".to_owned(),
                vec!["either 10%"],
            ),
            (limit(Statistic::Mean, Bound::AtMost(0.7)), &of_values, seconds("mean"), vec!["either 0.7"]),
            (
                Rule::Readings(Readings::new(Bound::AtMost(0.7))),
                &of_values,
                seconds("reading"),
                vec!["either 0.7"],
            ),
        ] {
            assert_eq!(told(rule, evidence), (what, levels.into_iter().map(str::to_owned).collect()));
        }
    }
}

mod files {
    use super::*;

    const EVIL: &str =
        "</text></style></svg><script>alert(1)</script>]]>&amp;\" onload=\"b'\u{0}\u{1b}\u{202e}\u{ffff}";

    #[test]
    fn a_file_is_one_svg_that_needs_nothing_else() {
        let criteria = [
            Criterion::compare(Metric::errors()),
            Criterion::at_most(Metric::errors(), Statistic::Share, 0.05),
        ];
        let evidence = evidence(&[Some(1), Some(2), None, Some(1), Some(0), Some(2), Some(1)]);
        let time = TimeAxis::of([&evidence]).unwrap();
        let pictures = criteria.map(|criterion| plot::judged(&criterion, &evidence, time));
        let file = plot::standalone("fraud-scorer 1.5.0", &pictures);
        keep("evidence.svg", &file);
        assert_well_formed(&file);
        assert_drawable(&file);
        assert!(file.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"784\""), "{file}");
        assert_eq!(file.matches("<svg class=\"plot\"").count(), 4);
        assert!(!file.contains("var(") && file.contains("prefers-color-scheme: dark"));
        for told in
            ["fraud-scorer 1.5.0", "errors: inconclusive", "evidence for worse", "estimate and its bounds"]
        {
            assert!(file.contains(&format!(">{told}</text>")), "{told}");
        }
        for foreign in ["<script", "<a ", "<image", "<foreignObject", "@import", "href"] {
            assert!(!file.contains(foreign), "{foreign}");
        }
        assert_eq!(file.matches("http").count(), 1, "the name space");
        assert!(file.match_indices("url(").all(|(at, _)| file[at..].starts_with("url(#hatch)")));
    }

    #[test]
    fn nothing_makes_a_file_too() {
        let file = plot::standalone("", []);
        assert_well_formed(&file);
        assert!(file.contains("No window was observed."));
    }

    #[test]
    fn text_is_never_markup() {
        let criterion = Criterion::compare(Metric::new(EVIL));
        let mut evidence = Evidence::new();
        let cause = Missing::SourceError { cause: EVIL.to_owned(), retryable: true };
        evidence.add(window(1), counts(1, 100), Some(counts(9, 900)));
        evidence.add(window(2), Measurement::Missing(cause), Some(counts(9, 900)));
        let time = TimeAxis::of([&evidence]).unwrap();
        let picture = plot::judged(&criterion, &evidence, time);
        let sequence = Sequence {
            what: EVIL.to_owned(),
            axis: Axis::Linear,
            bands: vec![Band { at: at(1), estimate: Some(1.0), lower: None, upper: None }],
            tolerated: 2.0,
            passing: None,
        };
        let gaps = [Gap { window: window(2), reason: EVIL.to_owned() }];
        let own = plot::confidence(&sequence, &gaps, time);
        let file = plot::standalone(EVIL, [&picture, &own]);
        keep("hostile.svg", &file);
        assert_well_formed(&file);
        for markup in [&file, &markup(&picture), &markup(&own)] {
            assert!(markup.contains("&lt;/text&gt;") && markup.contains('\u{fffd}'));
            for evil in ["<script", "onload=\"b", "\u{0}", "\u{1b}", "\u{202e}", "\u{ffff}"] {
                assert!(!markup.contains(evil), "{evil:?}");
            }
        }
        assert_eq!(file.matches("</style>").count(), 1);
    }

    #[test]
    fn long_text_is_cut() {
        let criterion = Criterion::compare(Metric::new("x".repeat(100_000)));
        let evidence = evidence(&[Some(1), None]);
        let picture = plot::judged(&criterion, &evidence, TimeAxis::of([&evidence]).unwrap());
        assert!(plot::standalone(&"x".repeat(100_000), [&picture]).len() < 30_000);
    }
}

#[test]
fn gaps_say_why_whatever_they_mean_for_the_verdict() {
    let gaps = |criterion: &Criterion, evidence: &Evidence| {
        plot::judged(criterion, evidence, TimeAxis::of([evidence]).unwrap()).gaps().to_vec()
    };
    let missing = evidence(&[Some(1), None]);
    for on_missing in [OnMissing::Fail, OnMissing::Inconclusive, OnMissing::Pass] {
        let criterion = Criterion::compare(Metric::errors()).on_missing(on_missing);
        let gap = Gap { window: window(2), reason: "the candidate: no data".to_owned() };
        assert_eq!(gaps(&criterion, &missing), [gap]);
    }
    let mean = Criterion::at_most(Metric::latency(), Statistic::Mean, 1.0);
    let [gap] = &*gaps(&mean, &evidence(&[Some(1)])) else { panic!("a mean is not of counts") };
    assert!(gap.reason.contains("a mean takes values or totals"), "{gap:?}");
    // A value without bound breaks a limit, which is no gap.
    let mut infinite = Evidence::new();
    infinite.add(window(1), Measurement::Missing(Missing::Infinite { negative: false }), None);
    assert_eq!(gaps(&mean, &infinite), []);
    assert_eq!(judge(&mean, &infinite).verdict, Verdict::Fail);
}

#[test]
fn what_cannot_be_judged_is_not_drawn() {
    let evidence = evidence(&[Some(1)]);
    let invalid = Criterion::compare(Metric::errors()).with_alpha(2.0);
    let time = TimeAxis::of([&evidence]).unwrap();
    assert!(plot::judged(&invalid, &evidence, time).is_empty());
    assert!(plot::judged(&Criterion::compare(Metric::errors()), &Evidence::new(), time).is_empty());
    assert_eq!(markup(&Picture::default()), "");
}

#[test]
fn a_page_has_what_its_pictures_refer_to() {
    let evidence = evidence(&[Some(1), None, Some(2)]);
    let picture =
        plot::judged(&Criterion::compare(Metric::errors()), &evidence, TimeAxis::of([&evidence]).unwrap());
    let body: Markup = html! { (plot::patterns()) (plot::legend()) (picture) (picture) (plot::primer()) };
    let (style, body) = (plot::style(), body.into_string());
    assert_well_formed(&body);
    assert_eq!(body.matches("id=\"").count(), 1);
    assert!(style.contains("fill: url(#hatch)") && body.contains("id=\"hatch\""));
    for name in style.split("var(--").skip(1).map(|rest| rest.split(')').next().unwrap()) {
        assert!(style.contains(&format!(" --{name}: #")), "{name} is a colour");
    }
    for class in ["line estimate", "level worse", "band surely", "hatched", "legend", "plots"] {
        assert!(body.contains(&format!("\"{class}\"")), "{class}");
        assert!(
            class.split(' ').all(|class| style.contains(&format!(".{class}")) || class == "surely"),
            "{class}"
        );
    }
}

fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -10.0..10.0,
        1 => any::<f64>(),
        1 => prop::sample::select(vec![0.0, -0.0, 1.0, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 1e-320, f64::INFINITY, f64::NAN]),
    ]
}

fn any_band() -> impl Strategy<Value = Band> {
    let number = || prop::option::weighted(0.8, any_number());
    let at = 0..300_000_000_000_u64;
    (at, number(), number(), number()).prop_map(|(at, estimate, lower, upper)| Band {
        at: SystemTime::UNIX_EPOCH + Duration::from_secs(at),
        estimate,
        lower,
        upper,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Also such that no judge gives: numbers that are none, bounds the wrong way round, times in any order.
    #[test]
    fn any_numbers_can_be_drawn(
        bands in prop::collection::vec(any_band(), 0..12),
        axis in prop::sample::select(vec![Axis::Linear, Axis::Log, Axis::Share]),
        tolerated in any_number(),
        passing in prop::option::of(any_number()),
        gap in 1..100_u64,
    ) {
        let sequence = Sequence { what: "any".to_owned(), axis, bands, tolerated, passing };
        let gaps = [Gap { window: window(gap), reason: "no data".to_owned() }];
        let picture = plot::confidence(&sequence, &gaps, TimeAxis::new(at(0), at(100)));
        let file = plot::standalone("any", [&picture]);
        assert_well_formed(&file);
        assert_drawable(&file);
    }

    #[test]
    fn any_evidence_can_be_drawn(
        windows in prop::collection::vec((1..1000_u64, prop::option::weighted(0.8, (0..50_u64, 0..50_u64)), 0..900_u64), 1..12),
        tolerated in 0.1..10.0,
    ) {
        let mut evidence = Evidence::new();
        for (minute, candidate, errors) in windows {
            let candidate = candidate.map_or(Measurement::Missing(Missing::NoData), |(hits, more)| counts(hits, hits + more));
            evidence.add(window(minute), candidate, Some(counts(errors, 900)));
        }
        let compare = Rule::Compare(Comparison { tolerated, ..Comparison::default() });
        let limit = Rule::Limit(Limit::new(Statistic::Share, Bound::AtMost(tolerated / 20.0)));
        for rule in [compare, limit, Rule::BurnRate(BurnRate::fast(0.99)), Rule::Readings(Readings::new(Bound::AtLeast(0.5)))] {
            let criterion = Criterion::new(Metric::errors(), rule);
            let alone = plot::windows(&criterion, &evidence, TimeAxis::of([&evidence]).unwrap());
            for picture in [judged(&criterion, &evidence), markup(&alone)] {
                assert_well_formed(&picture);
                assert_drawable(&picture);
            }
        }
    }
}
