//! What is asked of CloudWatch, as it goes over the wire.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::stat::Stat;
use crate::Window;

/// One statistic of one metric of one side.
#[derive(Clone, Debug)]
pub struct Question(DataQuery);

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DataQuery {
    id: &'static str,
    metric_stat: StatOf,
    return_data: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StatOf {
    pub(super) metric: TheMetric,
    pub(super) period: u32,
    pub(super) stat: Stat,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unit: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TheMetric {
    pub(super) namespace: String,
    pub(super) metric_name: String,
    pub(super) dimensions: Vec<Dimension>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Dimension {
    pub(super) name: String,
    pub(super) value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GetMetricData<'a> {
    metric_data_queries: [&'a DataQuery; 1],
    start_time: u64,
    end_time: u64,
    scan_by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<&'a str>,
}

impl DataQuery {
    /// The id of the one query in a request.
    pub(super) const ID: &str = "q";

    pub(super) const fn of(metric_stat: StatOf, account_id: Option<String>) -> Self {
        Self { id: Self::ID, metric_stat, return_data: true, account_id }
    }
}

impl From<DataQuery> for Question {
    fn from(query: DataQuery) -> Self {
        Self(query)
    }
}

impl Question {
    /// The body of the request for the page at `token`, for a window that [`Self::period`] has approved: from the
    /// beginning of its first period, which belongs to it, to the end of the last, which does not.
    pub(super) fn body(&self, window: Window, token: Option<&str>) -> Result<String, serde_json::Error> {
        serde_json::to_string(&GetMetricData {
            metric_data_queries: [&self.0],
            start_time: seconds(window.start()),
            end_time: seconds(window.end()),
            scan_by: "TimestampAscending",
            next_token: token,
        })
    }

    /// How many seconds each period of `window` has.
    ///
    /// # Errors
    ///
    /// It does not begin and end with a period, or has more of them than CloudWatch gives.
    pub(super) fn period(&self, window: Window) -> Result<u64, String> {
        const MOST: u64 = 100_800;
        let length = u64::from(self.0.metric_stat.period);
        let on_grid = |at| {
            let second = seconds(at);
            at == SystemTime::UNIX_EPOCH + Duration::from_secs(second) && second.is_multiple_of(length)
        };
        if !on_grid(window.start()) || !on_grid(window.end()) {
            return Err(format!(
                "nothing was sent: the window does not begin and end with a period of {length} s; take windows \
                 that are multiples of it and lie on the grid of Window::first_after, or a shorter period"
            ));
        }
        let count = (seconds(window.end()) - seconds(window.start())) / length;
        if count > MOST {
            return Err(format!(
                "nothing was sent: the window has {count} periods of {length} s, and CloudWatch gives at most \
                 {MOST}; take a longer period"
            ));
        }
        Ok(length)
    }
}

pub(super) fn seconds(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
