//! Servers of this machine behind HAProxy.

use std::{collections::BTreeMap, net::TcpStream, process::Command};

use crate::{
    ALONE,
    ports::free_port,
    running::{Running, now, program, until},
    site::Site,
    story::{self, BARE, FIRST, NOISED, UNSAFE},
};

async fn site() -> Site {
    let [front, staging, stable, candidate] = [(); 4].map(|()| free_port());
    let mut site = Site::new(front, &[stable, candidate], BTreeMap::new()).await;
    for (word, port) in [("$ENDPOINT", staging), ("$STABLE", stable), ("$CANDIDATE", candidate)] {
        site.know(word, port.to_string());
    }
    site.know("$ROUTE", "assistant");
    site.know("$STAGING", "file = \"staging.yaml\"");
    site.has_candidate = Box::new(move || TcpStream::connect(("127.0.0.1", candidate)).is_ok());
    for file in ["haproxy.cfg", "production.yaml", "staging.yaml"] {
        site.write(file, file, &[]);
    }
    let mut haproxy = Command::new(program("HAPROXY_BIN", "haproxy"));
    site.run(Running::start(haproxy.arg("-db").arg("-f").arg(site.desk.path("haproxy.cfg"))));
    until("HAProxy", || TcpStream::connect(("127.0.0.1", front)).ok());
    site
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an LLM (a Python with xllamacpp in TIDEGATE_LLM_PYTHON, packages of Gemma 3 270M in TIDEGATE_GEMMA), SeaweedFS (SEAWEEDFS_BIN), Prometheus (PROMETHEUS_BIN), HAProxy (HAPROXY_BIN) and a Python with standardwebhooks (TIDEGATE_TEST_PYTHON)"]
async fn end_to_end_versions_of_an_llm_get_as_far_as_they_should_and_production_goes_back() {
    let _alone = ALONE.lock().await;
    let begin = now();
    let site = site().await;
    story::prepare(&site);
    story::told(begin, "Gemma", "and its site are there");
    tokio::task::block_in_place(|| {
        story::first(&site);
        story::stopped(&site, NOISED, "behaviour");
        story::stopped(&site, BARE, "behaviour");
        // It knows as much, and what it must not do is all that tells it.
        story::stopped(&site, UNSAFE, "safety");
        assert!(story::knows(&site, UNSAFE) >= story::knows(&site, FIRST));
        let users = story::taken_back(&site);
        story::settled(&site);
        // Nobody asks while the next one is validated: the machine is small.
        drop(users);
        let users = story::promoted(&site);
        story::incident(&site, &users);
    });
    story::told(begin, "all", "of it");
}
