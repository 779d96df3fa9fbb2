//! A network between the registry and a real S3 server that loses, cuts, repeats and invents answers.

use std::sync::Arc;

use object_store::{ObjectStore, prefix::PrefixStore};
use tidegate_registry::{ObjectBacked, Unfit};

use crate::{
    release::{LONG, release},
    servers::{
        proxy::Proxy,
        s3::{S3, Writes, client},
    },
};

/// On average one in so many requests goes wrong.
const ONE_IN: u32 = 5;

async fn through(endpoint: &str, prefix: &str) -> ObjectBacked {
    let store: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(client(endpoint), prefix));
    ObjectBacked::open(store).await.unwrap()
}

async fn weather(seeds: impl Iterator<Item = u64>) {
    let server = S3::start(Writes::InTurn);
    let (mut runs, mut faults) = (0, 0);
    for seed in seeds {
        let (case, prefix) = (format!("seed {seed}"), format!("seed-{seed}"));
        let clear = through(&server.endpoint(), &prefix).await;
        let proxy = Proxy::start(&server.endpoint(), seed, 0);
        let flaky = [through(&proxy.endpoint(), &prefix).await, through(&proxy.endpoint(), &prefix).await];
        proxy.set(ONE_IN);
        release(&case, &clear, flaky, if seed % 10 == 0 { LONG } else { 1000 }).await;
        faults += proxy.faults();
        runs += 1;
    }
    assert!(faults > 10 * runs, "{faults} faults in {runs} runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_in_a_bad_network() {
    weather(0..6).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes (tests/run --soak): a bad network with thirty more seeds"]
async fn soak_nothing_is_lost_or_doubled_in_a_bad_network() {
    weather(1000..1030).await;
}

/// A bad network is not taken for a bad store.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_in_a_bad_network_accuses_nobody() {
    let server = S3::start(Writes::InTurn);
    let (mut passed, mut failed) = (0, 0);
    for seed in 0..40 {
        let proxy = Proxy::start(&server.endpoint(), seed, 0);
        let registry = through(&proxy.endpoint(), "a").await;
        // From a check that may pass to one that hardly can.
        proxy.set(if seed % 2 == 0 { 60 } else { 6 });
        match registry.check_store().await {
            Ok(check) => {
                assert!(check.rounds >= 5, "seed {seed}: {check:?}");
                passed += 1;
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).unwrap();
                assert!(cause.downcast_ref::<Unfit>().is_none(), "seed {seed}: {error}: {cause}");
                failed += 1;
            }
        }
        assert!(proxy.faults() > 0 || seed % 2 == 0, "seed {seed}");
    }
    assert!(passed > 0 && failed > 0, "{passed} passed, {failed} failed");
}
