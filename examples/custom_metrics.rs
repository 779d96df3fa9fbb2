//! A source of metrics of one's own: the log of a gateway, `SECONDS VERSION STATUS` on each line.
//!
//! `cargo run --example custom_metrics`; `cargo test --example custom_metrics` holds it against the contract.

use std::{
    fmt, fs,
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use async_trait::async_trait;
use tidegate::metrics::{Error, Measurement, Metric, MetricsSource, Missing, Observation, Selector, Window};

/// The log at this path. Ask for windows that ended some seconds ago, when the gateway has written its last line.
#[derive(Debug)]
struct GatewayLog<P>(P);

#[async_trait]
impl<P: AsRef<Path> + fmt::Debug + Send + Sync + 'static> MetricsSource for GatewayLog<P> {
    async fn observe(
        &self,
        metric: &Metric,
        selector: &Selector,
        window: Window,
    ) -> Result<Measurement, Error> {
        let (source_name, metric) = (self.to_string(), metric.to_string());
        if metric != Metric::ERRORS {
            return Err(Error::UnknownMetric { source_name, metric, known: Metric::ERRORS.to_owned() });
        }
        let text = match fs::read_to_string(&self.0) {
            Ok(text) => text,
            Err(error) => return Err(Error::Unavailable { source_name, metric, source: error.into() }),
        };
        let (mut failed, mut all) = (0, 0);
        for line in text.lines() {
            let Some((at, version, status)) = request(line) else {
                let source = format!("`{line}` is not `SECONDS VERSION STATUS`").into();
                return Err(Error::Malformed { source_name, metric, source });
            };
            // The version is all that the log knows of a side: whoever asks for more gets nothing.
            let of_side = selector.iter().all(|(label, value)| label == "version" && value == version);
            if of_side && window.contains(UNIX_EPOCH + Duration::from_secs(at)) {
                all += 1;
                failed += u64::from(status >= 500);
            }
        }
        // No traffic is no observation, and not one without errors.
        Ok(match Observation::proportion(failed, all) {
            Some(observation) if all > 0 => Measurement::Observed(observation),
            _ => Measurement::Missing(Missing::NoData),
        })
    }
}

impl<P: AsRef<Path>> fmt::Display for GatewayLog<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the log {}", self.0.as_ref().display())
    }
}

fn request(line: &str) -> Option<(u64, &str, u16)> {
    let mut fields = line.split(' ');
    Some((fields.next()?.parse().ok()?, fields.next()?, fields.next()?.parse().ok()?))
}

/// A log, a side of which it says something, and a window in which it does.
fn example() -> std::io::Result<(GatewayLog<tempfile::NamedTempFile>, Selector, Window)> {
    let file = tempfile::NamedTempFile::new()?;
    let lines = ["00 1.1.0 200", "30 1.1.0 200", "40 1.0.0 503", "50 1.1.0 500", "55 1.1.0 200"];
    fs::write(&file, lines.map(|line| format!("18000000{line}\n")).concat())?;
    let minute = Window::ending(UNIX_EPOCH + Duration::from_secs(1_800_000_060), Duration::from_secs(40));
    Ok((
        GatewayLog(file),
        Selector::default().with("version", "1.1.0"),
        minute.expect("it is long after 1970"),
    ))
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the example says what it found")]
async fn main() -> anyhow::Result<()> {
    let (log, candidate, window) = example()?;
    println!("{log}: {:?}", log.observe(&Metric::errors(), &candidate, window).await?);
    Ok(())
}

#[cfg(test)]
mod conformance {
    use tidegate::metrics::testkit::conformance::{self, Stocked};

    use super::*;

    async fn stocked() -> Stocked<GatewayLog<tempfile::NamedTempFile>> {
        let (source, selector, window) = example().expect("a file can be written");
        let expected = Observation::proportion(1, 3).expect("one of three");
        let nobody = Selector::default().with("version", "9.9.9");
        Stocked { source, metric: Metric::errors(), selector, nobody, window, expected }
    }

    macro_rules! holds {
        ($($check:ident)*) => { $(#[tokio::test] async fn $check() { conformance::$check(stocked).await; })* };
    }
    holds! { answers_what_was_observed answers_the_same_again says_that_nobody_was_observed
    says_that_nothing_was_observed consecutive_windows_add_up }
}
