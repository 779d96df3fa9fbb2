//! A source of metrics of one's own: the log of a gateway, `[SECONDS, VERSION, STATUS]` on each line.
//!
//! `cargo run --example custom_metrics`; `cargo test --example custom_metrics` holds it against the contract.

use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use tidegate::metrics::{Error, Measurement, Metric, MetricsSource, Missing, Observation, Selector, Window};

/// What the gateway has written. Ask for windows that ended some seconds ago, when it has written its last line.
#[derive(Debug)]
struct GatewayLog(&'static str);

#[async_trait]
impl MetricsSource for GatewayLog {
    async fn observe(&self, metric: &Metric, side: &Selector, window: Window) -> Result<Measurement, Error> {
        let (source_name, metric) = (self.to_string(), metric.to_string());
        if metric != Metric::ERRORS {
            return Err(Error::UnknownMetric { source_name, metric, known: Metric::ERRORS.to_owned() });
        }
        let requests: Result<Vec<(u64, String, u16)>, _> = self.0.lines().map(serde_json::from_str).collect();
        let requests = match requests {
            Ok(requests) => requests,
            Err(error) => return Err(Error::Malformed { source_name, metric, source: error.into() }),
        };
        let (mut failed, mut all) = (0, 0);
        for (at, version, status) in requests {
            // The version is all that the log knows of a side: whoever asks for more gets nothing.
            let of_side = side.iter().all(|(label, value)| label == "version" && value == version);
            if of_side && window.contains(UNIX_EPOCH + Duration::from_secs(at)) {
                all += 1;
                failed += u64::from(status >= 500);
            }
        }
        // No traffic is no observation, and not one without errors.
        let observed = Observation::proportion(failed, all).filter(|_| all > 0);
        Ok(observed.map_or(Measurement::Missing(Missing::NoData), Measurement::Observed))
    }
}

impl std::fmt::Display for GatewayLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the log of the gateway")
    }
}

const LOG: &str = r#"[1800000000, "1.1.0", 200]
[1800000030, "1.1.0", 200]
[1800000040, "1.0.0", 503]
[1800000050, "1.1.0", 500]
[1800000055, "1.1.0", 200]"#;

fn window() -> Window {
    let end = UNIX_EPOCH + Duration::from_secs(1_800_000_060);
    Window::ending(end, Duration::from_secs(40)).expect("it is long after 1970")
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the example says what it found")]
async fn main() -> anyhow::Result<()> {
    let (log, candidate) = (GatewayLog(LOG), Selector::default().with("version", "1.1.0"));
    println!("{log}: {:?}", log.observe(&Metric::errors(), &candidate, window()).await?);
    Ok(())
}

#[cfg(test)]
tidegate::metrics::source_conformance!(conformance, async || {
    let [selector, nobody] = ["1.1.0", "9.9.9"].map(|of| Selector::default().with("version", of));
    let expected = Observation::proportion(1, 3).expect("one of three");
    let (source, metric, window) = (GatewayLog(LOG), Metric::errors(), window());
    tidegate::metrics::testkit::conformance::Stocked { source, metric, selector, nobody, window, expected }
});
