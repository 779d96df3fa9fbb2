//! How long users suffer from a bad version: a live system on this machine, four faults, and a watch that
//! goes back by itself. It takes about a minute.
//!
//! `cargo run --example rollback`
//!
//! Everything is real: classifiers that are trained here, server processes that load what the registry
//! delivered, users who ask through a gateway, and faults in the process that serves them. It writes to
//! `target/rollback/` only, and stops its servers when it ends.

#[path = "../quickstart/classifier.rs"]
mod classifier;
mod fault;
#[path = "../../benches/figures/mod.rs"]
mod figures;
mod gateway;
mod incident;
mod live;
#[path = "../quickstart/messages.rs"]
mod messages;
mod probes;
mod screen;
mod server;
mod users;

use std::path::Path;

use anyhow::{Context as _, Result, anyhow};

use self::{
    fault::Fault,
    figures::{Figure, Sheet, Spread},
    incident::Incident,
    live::{LAG, Live, RATE, WINDOW},
    screen::{heading, line, seconds},
};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [command, directory, port, version] = &arguments[..]
        && command == "serve"
    {
        return server::serve(Path::new(directory), port.parse().context("PORT is no port")?, version).await;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/rollback");
    let live = Live::set_up(&root).await?;
    let told = tokio::select! {
        told = tell(&live) => told,
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
    };
    // The servers of a deployer outlive it, which is right everywhere but here.
    live.servers.shut_down().await;
    told
}

async fn tell(live: &Live) -> Result<()> {
    heading("1. Publish a version, serve it, and let users ask");
    let old = live.publish("1.0.0", 1).await?;
    let [users, _probes] = live.serve(&old).await?;
    line(format!("gateway on http://{}, {RATE} requests a second", live.gateway));

    let mut incidents = Vec::new();
    let mut rehearsal = None;
    for (number, fault) in (1..).zip(Fault::ALL) {
        heading(&format!("{}. {fault}", number + 1));
        let new = live.publish(&format!("1.{number}.0"), number + 1).await?;
        live.roll_out(&old, &new).await?;
        if rehearsal.is_none() {
            rehearsal = Some(Box::pin(live.drill()).await?);
        }
        incidents.push(Incident::live(live, &users, fault, &old, &new).await?);
    }

    heading("6. How long it took");
    let drill = rehearsal.and_then(|rehearsal| rehearsal.until_traffic_is_back());
    let said = drill.map_or_else(|| "-".to_owned(), seconds);
    line(format!("windows of {}, so the watch looks once a second; times in seconds", seconds(WINDOW)));
    line("");
    line("                              traffic back     by the               recovery");
    line("fault               noticed  after window    alarm    drill  bad answers      seen");
    for incident in &incidents {
        line(incident.row(&said));
    }
    line("");
    line("noticed: from the fault to the alarm in the journal, and in how many windows");
    line("traffic back: to the last request that met the bad version, from the end of the window that");
    line(format!(
        "  showed it ({} of that are a wait for what comes late), and from the alarm",
        seconds(LAG)
    ));
    line("recovery seen: from the alarm until the old version, in service again, was seen to be well");
    heading("7. What the watch said");
    for incident in &incidents {
        line(format!("{}: {}", incident.fault, incident.words.join("; ")));
    }
    let mut sheet = Sheet::of("rollback");
    sheet.say(
        "four faults in a live system: traffic back after the window that shows them",
        Figure::of(Spread::of(incidents.iter().map(|incident| incident.back.as_secs_f64()))),
    );
    sheet.leave()
}
