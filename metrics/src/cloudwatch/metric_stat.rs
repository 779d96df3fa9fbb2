//! Which metric is asked for, and which statistic of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    question::{DataQuery, Dimension, Question, StatOf, TheMetric},
    stat::{InvalidStat, Stat},
};
use crate::{
    Selector, Window,
    query::{InvalidTemplate, Plain, Template, Unfilled},
};

/// One statistic of one metric, period by period.
///
/// A metric of CloudWatch is its namespace, its name *and all its dimensions*: asked for with fewer than it was
/// sent with, it is another metric, of which there is nothing. The values of dimensions are templates, and
/// `{{label}}` must stand in at least one.
///
/// ```
/// use tidegate_metrics::cloudwatch::MetricStat;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let dimensions = [("Model", "support"), ("Version", "{{version}}")];
/// let errors = MetricStat::new("Serving", "Errors", dimensions, "Sum")?.every(60)?;
///
/// let the_same = r#"{
///     "namespace": "Serving",
///     "metricName": "Errors",
///     "dimensions": {"Model": "support", "Version": "{{version}}"},
///     "stat": "Sum",
///     "period": 60
/// }"#;
/// assert_eq!(errors, serde_json::from_str(the_same)?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked", into = "Unchecked")]
pub struct MetricStat {
    namespace: String,
    metric_name: String,
    dimensions: BTreeMap<String, Template<Plain>>,
    stat: Stat,
    period: u32,
    unit: Option<String>,
    account_id: Option<String>,
}

/// What cannot be asked of CloudWatch. Mend it as the message says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMetricStat {
    /// A dimension has a value that is no template.
    #[error("the value of the dimension `{dimension}` is no template")]
    Dimension {
        /// The dimension.
        dimension: String,
        /// What is wrong with its value.
        source: InvalidTemplate,
    },
    /// A name, a number of seconds or a unit is none that CloudWatch takes.
    #[error("`{text}` is no {what} of a metric of CloudWatch: {remedy}")]
    Field {
        /// What it should be.
        what: &'static str,
        /// What it is.
        text: String,
        /// What to write.
        remedy: &'static str,
    },
    /// No dimension names a label, so that every side would get the same answer.
    #[error(
        "no dimension of the metric `{metric}` holds {{{{label}}}}, so every side would get the same answer"
    )]
    NoGap {
        /// The metric.
        metric: String,
    },
    /// The statistic is none.
    #[error(transparent)]
    Stat(#[from] InvalidStat),
}

/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html>
const UNITS: [&str; 27] = [
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
    "None",
];

impl MetricStat {
    /// So many dimensions a metric has at most.
    const DIMENSIONS: usize = 30;

    /// `stat` of the metric of this name, namespace and dimensions, for each minute.
    ///
    /// # Errors
    ///
    /// Says which part CloudWatch would refuse, and what to write.
    pub fn new<N: Into<String>, T: Into<String>>(
        namespace: impl Into<String>,
        metric_name: impl Into<String>,
        dimensions: impl IntoIterator<Item = (N, T)>,
        stat: &str,
    ) -> Result<Self, InvalidMetricStat> {
        let dimensions = dimensions.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Unchecked {
            namespace: namespace.into(),
            metric_name: metric_name.into(),
            dimensions,
            stat: stat.parse()?,
            period: a_minute(),
            unit: None,
            account_id: None,
        }
        .try_into()
    }

    /// For each period of so many seconds: 1, 5, 10, 20, 30, or a multiple of 60. Periods shorter than a minute
    /// are kept for three hours and for metrics of high resolution only, minutes for 15 days, five minutes for
    /// 63 days.
    ///
    /// # Errors
    ///
    /// The period is none of these.
    pub fn every(mut self, seconds: u32) -> Result<Self, InvalidMetricStat> {
        self.period = seconds;
        self.checked()
    }

    /// Of the values alone that were sent in this unit, `Milliseconds` for example. CloudWatch converts nothing.
    ///
    /// # Errors
    ///
    /// CloudWatch has no such unit.
    pub fn in_unit(mut self, unit: impl Into<String>) -> Result<Self, InvalidMetricStat> {
        self.unit = Some(unit.into());
        self.checked()
    }

    /// Of this account, which shares its metrics with the one that asks.
    ///
    /// # Errors
    ///
    /// It has not twelve digits.
    pub fn of_account(mut self, account_id: impl Into<String>) -> Result<Self, InvalidMetricStat> {
        self.account_id = Some(account_id.into());
        self.checked()
    }

    pub(super) fn fill(&self, selector: &Selector, window: Window) -> Result<Question, Unfilled> {
        let mut dimensions = Vec::with_capacity(self.dimensions.len());
        for (name, template) in &self.dimensions {
            let value = template.fill(selector, window)?;
            if let (Err(problem), Some(label)) = (sayable(&value, 1024), template.labels().next()) {
                return Err(Unfilled::Unfit { label: label.to_owned(), problem });
            }
            dimensions.push(Dimension { name: name.clone(), value });
        }
        let metric = TheMetric {
            namespace: self.namespace.clone(),
            metric_name: self.metric_name.clone(),
            dimensions,
        };
        let stat = StatOf { metric, period: self.period, stat: self.stat.clone(), unit: self.unit.clone() };
        Ok(DataQuery::of(stat, self.account_id.clone()).into())
    }

    fn checked(self) -> Result<Self, InvalidMetricStat> {
        let field =
            |what, text: &str, remedy| InvalidMetricStat::Field { what, text: text.to_owned(), remedy };
        let named = |what, text: &str| sayable(text, 255).map_err(|remedy| field(what, text, remedy));
        named("namespace", &self.namespace)?;
        named("name", &self.metric_name)?;
        if self.namespace.starts_with(':') {
            return Err(field("namespace", &self.namespace, "it may not begin with a colon"));
        }
        for (name, template) in &self.dimensions {
            named("dimension", name)?;
            if name.starts_with(':') {
                return Err(field("dimension", name, "it may not begin with a colon"));
            }
            if template.labels().next().is_none() {
                let text = template.to_string();
                sayable(&text, 1024).map_err(|remedy| field("value of a dimension", &text, remedy))?;
            }
        }
        if self.dimensions.len() > Self::DIMENSIONS {
            let count = self.dimensions.len().to_string();
            return Err(field("number of dimensions", &count, "it has at most 30"));
        }
        if !matches!(self.period, 1 | 5 | 10 | 20 | 30)
            && (self.period == 0 || !self.period.is_multiple_of(60))
        {
            let remedy = "write 1, 5, 10, 20, 30 or a multiple of 60 seconds";
            return Err(field("period", &self.period.to_string(), remedy));
        }
        if let Some(unit) = self.unit.as_deref().filter(|unit| !UNITS.contains(unit)) {
            return Err(field("unit", unit, "write one like `Seconds`, `Milliseconds`, `Count` or `None`"));
        }
        if let Some(account) = &self.account_id
            && (account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()))
        {
            return Err(field("account", account, "write its twelve digits"));
        }
        if self.dimensions.values().all(|template| template.labels().next().is_none()) {
            return Err(InvalidMetricStat::NoGap { metric: self.metric_name });
        }
        Ok(self)
    }
}

/// Whether CloudWatch takes the text as a name or as a value, of at most so many characters.
fn sayable(text: &str, longest: usize) -> Result<(), &'static str> {
    if text.trim().is_empty() {
        return Err("CloudWatch takes no empty text");
    }
    if text.len() > longest {
        return Err("it is too long for CloudWatch");
    }
    if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err("CloudWatch takes printable ASCII only");
    }
    Ok(())
}

const fn a_minute() -> u32 {
    60
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Unchecked {
    namespace: String,
    metric_name: String,
    dimensions: BTreeMap<String, String>,
    stat: Stat,
    #[serde(default = "a_minute")]
    period: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
}

impl TryFrom<Unchecked> for MetricStat {
    type Error = InvalidMetricStat;

    fn try_from(unchecked: Unchecked) -> Result<Self, InvalidMetricStat> {
        let template = |(dimension, text): (String, String)| match Template::part(&text) {
            Ok(template) => Ok((dimension, template)),
            Err(source) => Err(InvalidMetricStat::Dimension { dimension, source }),
        };
        Self {
            namespace: unchecked.namespace,
            metric_name: unchecked.metric_name,
            dimensions: unchecked.dimensions.into_iter().map(template).collect::<Result<_, _>>()?,
            stat: unchecked.stat,
            period: unchecked.period,
            unit: unchecked.unit,
            account_id: unchecked.account_id,
        }
        .checked()
    }
}

impl From<MetricStat> for Unchecked {
    fn from(stat: MetricStat) -> Self {
        let dimensions =
            stat.dimensions.into_iter().map(|(name, template)| (name, template.into())).collect();
        Self {
            namespace: stat.namespace,
            metric_name: stat.metric_name,
            dimensions,
            stat: stat.stat,
            period: stat.period,
            unit: stat.unit,
            account_id: stat.account_id,
        }
    }
}
