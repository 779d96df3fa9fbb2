//! Every figure that the project shows, and what measures it. What is not listed here is in no table, and what is listed is in
//! each, whether or not it was measured.

use super::row::{
    Unit::{self, Bytes, Mebibytes, Of, Percent, Rate, Seconds, Times},
    Wanted::{self, AtLeast, AtMost, RatioAtLeast, RatioAtMost},
};

/// A figure.
#[derive(Debug, PartialEq)]
pub(crate) struct Promise {
    /// The run that measures it, one of [`RUNS`].
    pub(crate) run: &'static str,
    /// Its name: no other has the same.
    pub(crate) what: &'static str,
    pub(crate) unit: Unit,
    /// The yardstick that the same run measures, if there is one.
    pub(crate) beside: &'static str,
    /// All of it.
    pub(crate) wanted: &'static [Wanted],
}

/// A program that measures some of the figures.
#[derive(Debug, PartialEq)]
pub(crate) struct Run {
    pub(crate) name: &'static str,
    pub(crate) program: Program,
    /// What it is called with.
    pub(crate) arguments: &'static [&'static str],
    /// The size that is promised, where it is smaller by itself. What a user has set is left to the user.
    pub(crate) environment: &'static [(&'static str, &'static str)],
    /// What has to be there for all of it.
    pub(crate) needs: &'static str,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Program {
    /// `cargo bench --bench …`
    Bench(&'static str),
    /// An example, built as users build it.
    Example(&'static str),
}

const fn bench(name: &'static str) -> Run {
    Run { name, program: Program::Bench(name), arguments: &[], environment: &[], needs: "" }
}

pub(crate) const RUNS: &[Run] = &[
    Run {
        name: "transfer-disk",
        program: Program::Bench("transfer"),
        arguments: &["disk"],
        environment: &[("TIDEGATE_BENCH_MIB", "4096"), ("TIDEGATE_BENCH_FILES", "10000")],
        needs: "openssl, 30 GB of disk",
    },
    Run {
        name: "transfer-bucket",
        program: Program::Bench("transfer"),
        arguments: &["bucket"],
        environment: &[("TIDEGATE_BENCH_MIB", "4096")],
        needs: "TIDEGATE_BENCH_TOOLS with weed, rclone, s5cmd, and python with boto3",
    },
    Run {
        name: "transfer-dvc",
        program: Program::Bench("transfer"),
        arguments: &["dvc"],
        environment: &[("TIDEGATE_BENCH_FILES", "10000")],
        needs: "TIDEGATE_BENCH_TOOLS with dvc",
    },
    Run {
        name: "transfer-memory",
        program: Program::Bench("transfer"),
        arguments: &["memory"],
        environment: &[("TIDEGATE_BENCH_MIB", "10240")],
        needs: "30 GB of disk",
    },
    bench("catalogue"),
    bench("error_rates"),
    bench("judge"),
    Run { needs: "TIDEGATE_BENCH_TOOLS with python and scipy", ..bench("rank") },
    bench("prometheus"),
    bench("machine"),
    bench("fleet"),
    Run { needs: "wrk", ..bench("gateway") },
    Run { name: "watches-limits", environment: &[("TIDEGATE_BENCH_WATCH", "limits")], ..bench("watches") },
    Run { name: "watches-fast", environment: &[("TIDEGATE_BENCH_WATCH", "burn rates")], ..bench("watches") },
    Run {
        name: "watches-slow",
        environment: &[("TIDEGATE_BENCH_WATCH", "burn rates, fast and slow")],
        ..bench("watches")
    },
    Run {
        name: "rollback",
        program: Program::Example("rollback"),
        arguments: &[],
        environment: &[],
        needs: "",
    },
    Run {
        needs: "TIDEGATE_BENCH_TOOLS with python and inspect-ai, TIDEGATE_BENCH_PROMPTFOO",
        ..bench("cases")
    },
    Run { needs: "TIDEGATE_BENCH_TOOLS with python and numpy", ..bench("bootstrap") },
    Run { needs: "TIDEGATE_BENCH_TOOLS with python, scipy and evidently", ..bench("drift") },
    Run { needs: "wrk", ..bench("load") },
    Run { needs: "TIDEGATE_BENCH_TOOLS with python and picklescan", ..bench("scan") },
];

const COPIED_AND_HASHED: &str = "`cp` + `sync`, then `openssl dgst -sha256`";
const SLOWER_OF_BOTH: &str = "the slower of `cp` + `sync` and `openssl dgst -sha256`";
const FASTEST_OF_THREE: &str = "the fastest of `rclone copy --checksum`, `s5cmd cp` and boto3 with hashing, with `sync` after each download";

const fn figure(run: &'static str, what: &'static str, unit: Unit) -> Promise {
    Promise { run, what, unit, beside: "", wanted: &[] }
}

impl Promise {
    /// What has to be there for it and its yardstick.
    pub(crate) fn needs(&self) -> &'static str {
        RUNS.iter().find(|run| run.name == self.run).map(|run| run.needs).unwrap_or_default()
    }

    const fn beside(self, beside: &'static str) -> Self {
        Self { beside, ..self }
    }

    const fn wanted(self, wanted: &'static [Wanted]) -> Self {
        Self { wanted, ..self }
    }
}

const MIB: f64 = 1_048_576.0;
const A_SECOND: Unit = Of("a second");
const OF_A_CORE: Unit = Of("% of a core");
const WINDOWS: Unit = Of("windows of 1 000 requests");

pub(crate) const PROMISED: &[Promise] = &[
    figure("transfer-disk", "publish one file of 4 GiB", Seconds)
        .beside(COPIED_AND_HASHED)
        .wanted(&[RatioAtMost(0.75)]),
    figure("transfer-disk", "publish one file of 4 GiB, at its limit", Seconds)
        .beside(SLOWER_OF_BOTH)
        .wanted(&[RatioAtMost(1.2)]),
    figure("transfer-disk", "pull one file of 4 GiB", Seconds)
        .beside(COPIED_AND_HASHED)
        .wanted(&[RatioAtMost(0.75)]),
    figure("transfer-disk", "pull one file of 4 GiB of which nothing is in the page cache", Seconds)
        .beside(COPIED_AND_HASHED)
        .wanted(&[RatioAtMost(0.75)]),
    figure("transfer-disk", "publish 10 000 files of 100 KiB, each of which is synced", Seconds)
        .beside(COPIED_AND_HASHED)
        .wanted(&[RatioAtMost(1.5)]),
    figure("transfer-disk", "pull 10 000 files of 100 KiB, each of which is synced", Seconds)
        .beside(COPIED_AND_HASHED)
        .wanted(&[RatioAtMost(1.5)]),
    figure("transfer-bucket", "publish 4 GiB to S3 (SeaweedFS on the same cores)", Seconds)
        .beside(FASTEST_OF_THREE)
        .wanted(&[RatioAtMost(1.0)]),
    figure("transfer-bucket", "pull 4 GiB from S3 (SeaweedFS on the same cores)", Seconds)
        .beside(FASTEST_OF_THREE)
        .wanted(&[RatioAtMost(1.0)]),
    figure("transfer-dvc", "publish 10 000 files of 100 KiB", Seconds)
        .beside("`dvc add` + `dvc push`")
        .wanted(&[RatioAtMost(1.0 / 3.0)]),
    figure("transfer-memory", "memory at most, publish 10 GiB", Mebibytes).wanted(&[AtMost(256.0 * MIB)]),
    figure("transfer-memory", "memory at most, pull 10 GiB", Mebibytes).wanted(&[AtMost(256.0 * MIB)]),
    figure("catalogue", "the newest of 100 000 versions, by a client that knows nothing yet", Seconds)
        .wanted(&[AtMost(0.02)]),
    figure("catalogue", "`^1` among 100 000 versions, by a client that knows nothing yet", Seconds)
        .wanted(&[AtMost(0.02)]),
    figure("catalogue", "the first 50 of 100 000 versions, by a client that knows nothing yet", Seconds)
        .wanted(&[AtMost(0.02)]),
    figure("catalogue", "list all 100 000 versions", Seconds),
    figure("catalogue", "commits to one model, one after the other", A_SECOND)
        .beside("files of that size created durably")
        .wanted(&[AtLeast(200.0)]),
    figure(
        "error_rates",
        "the same version failed by a judge that is asked after each of 200 windows",
        Percent,
    )
    .beside("a repeated z test")
    .wanted(&[AtMost(5.0)]),
    figure("error_rates", "errors in bursts: the same version failed", Percent).beside("a repeated z test"),
    figure("error_rates", "errors in bursts: the same version failed with a dispersion of 5", Percent)
        .beside("without it")
        .wanted(&[AtMost(5.0)]),
    figure("error_rates", "errors in bursts: the same version failed by the symmetric method", Percent)
        .wanted(&[AtMost(5.0)]),
    figure("error_rates", "twice the errors of 1 %, found at 10 % of the traffic", WINDOWS)
        .beside("the planner's formula"),
    figure("error_rates", "twice the errors of 1 %, found at 50 % of the traffic", WINDOWS)
        .beside("the planner's formula"),
    figure("error_rates", "latency 10 % longer, found at 10 % of the traffic", WINDOWS),
    figure("error_rates", "the same latency failed", Percent).wanted(&[AtMost(5.0)]),
    figure(
        "judge",
        "judge 20 metrics over 200 windows of 1 000 requests, 1 % errors, effects and bounds included",
        Seconds,
    )
    .wanted(&[AtMost(0.005)]),
    figure("judge", "judge 20 metrics over 200 windows of 1 000 requests, 10 % errors", Seconds),
    figure("judge", "one window with 1 000 errors, both sides together", Seconds).wanted(&[AtMost(100e-6)]),
    figure("rank", "Mann–Whitney, 2 × 10 000 values, without ties and with many", Seconds)
        .beside("SciPy")
        .wanted(&[RatioAtMost(0.2)]),
    figure("prometheus", "read and count 10 MB of a Prometheus answer", Rate)
        .beside("`serde_json::Value` alone")
        .wanted(&[AtLeast(200e6)]),
    figure("prometheus", "memory for 10 MB of a Prometheus answer, by its size", Times)
        .beside("`serde_json::Value` alone")
        .wanted(&[AtMost(3.0)]),
    figure("machine", "one step of the machine, 3 criteria: the first window", Seconds)
        .wanted(&[AtMost(10e-6)]),
    figure("machine", "one step of the machine, 3 criteria: after 30 windows", Seconds)
        .wanted(&[AtMost(10e-6)]),
    figure("machine", "open a journal of 10 000 records whole", Seconds).wanted(&[AtMost(0.05)]),
    figure("machine", "open a journal of 10 000 records as a driver does, from a snapshot", Seconds)
        .wanted(&[AtMost(0.05)]),
    figure("fleet", "memory of 10 000 rollouts that stand before a gate, in one process", Bytes)
        .wanted(&[AtMost(200e6)]),
    figure("fleet", "processor for 10 000 rollouts that stand before a gate", OF_A_CORE),
    figure("fleet", "writes of 10 000 rollouts that stand before a gate", Of("in 20 s"))
        .wanted(&[AtMost(0.0)]),
    figure(
        "fleet",
        "from a window that fails the candidate to all traffic on stable, records synced to disk",
        Seconds,
    )
    .wanted(&[AtMost(1.0)]),
    figure("gateway", "a server behind the embedded router, with a split of 10 %, under `wrk`", A_SECOND)
        .beside("the same server without it")
        .wanted(&[RatioAtLeast(0.9)]),
    figure("gateway", "p99 that the embedded router adds, one connection", Seconds).wanted(&[AtMost(100e-6)]),
    figure("watches-limits", "memory of 1 000 guarded releases, limits over 5 min, a look each 30 s", Bytes)
        .wanted(&[AtMost(100e6)]),
    figure(
        "watches-limits",
        "processor for 1 000 guarded releases, limits over 5 min, a look each 30 s",
        OF_A_CORE,
    )
    .wanted(&[AtMost(5.0)]),
    figure("watches-fast", "memory of 1 000 guarded releases, burn rates over 1 h", Bytes)
        .wanted(&[AtMost(100e6)]),
    figure("watches-fast", "processor for 1 000 guarded releases, burn rates over 1 h", OF_A_CORE)
        .wanted(&[AtMost(5.0)]),
    figure("watches-slow", "memory of 1 000 guarded releases, burn rates over 1 h and 6 h", Bytes)
        .wanted(&[AtMost(100e6)]),
    figure("watches-slow", "processor for 1 000 guarded releases, burn rates over 1 h and 6 h", OF_A_CORE)
        .wanted(&[AtMost(5.0)]),
    figure(
        "rollback",
        "four faults in a live system: traffic back after the window that shows them",
        Seconds,
    )
    .wanted(&[AtMost(2.0)]),
    figure("cases", "1 000 cases that cost nothing to answer, processor time beside Inspect's", Seconds)
        .beside("Inspect")
        .wanted(&[AtMost(0.3)]),
    figure("cases", "1 000 cases that cost nothing to answer, processor time beside promptfoo's", Seconds)
        .beside("promptfoo")
        .wanted(&[AtMost(0.3)]),
    figure("cases", "1 000 cases that cost nothing to answer, memory beside Inspect's", Bytes)
        .beside("Inspect")
        .wanted(&[AtMost(50e6)]),
    figure("cases", "1 000 cases that cost nothing to answer, memory beside promptfoo's", Bytes)
        .beside("promptfoo")
        .wanted(&[AtMost(50e6)]),
    figure("bootstrap", "10 000 resamples of the mean difference of 10 000 cases, and its bounds", Seconds)
        .beside("numpy")
        .wanted(&[AtMost(1.0)]),
    figure("drift", "drift of a column, 2 × 1 000 000 rows, beside SciPy's", Seconds)
        .beside("SciPy")
        .wanted(&[RatioAtMost(0.5)]),
    figure("drift", "drift of a column, 2 × 1 000 000 rows, beside evidently's", Seconds)
        .beside("evidently")
        .wanted(&[RatioAtMost(0.1)]),
    figure(
        "load",
        "plain requests that the load generator sends and a server on the same two cores answers",
        A_SECOND,
    )
    .beside("`wrk` with as many connections")
    .wanted(&[RatioAtLeast(0.5)]),
    figure(
        "load",
        "chats through an agent that the load generator sends and such a server answers",
        A_SECOND,
    )
    .beside("`wrk` with as many connections")
    .wanted(&[RatioAtLeast(0.5)]),
    figure("load", "p99, as scheduled, of a server that freezes for 5 s of 20: off what users wait", Percent)
        .beside("`wrk`")
        .wanted(&[AtMost(2.0)]),
    figure("scan", "scan a pickle of 26 MB that is all opcodes", Rate)
        .beside("picklescan")
        .wanted(&[AtLeast(200e6), RatioAtLeast(50.0)]),
    figure("scan", "memory for a pickle of 26 MB that is all opcodes", Bytes)
        .beside("picklescan")
        .wanted(&[AtMost(32e6)]),
    figure("scan", "scan a PyTorch file of 268 MB, every header of it", Seconds)
        .beside("picklescan")
        .wanted(&[AtMost(0.1)]),
];
