//! Ports for the servers that tests start.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    sync::atomic::{AtomicU32, Ordering},
};

/// The first of them.
const FIRST: u32 = 4_000;
/// How many there are. Neither a system nor a supervisor of tidegate gives out ports below 10 000 by itself.
const PORTS: u32 = 5_000;

/// A port of this machine at which nobody listens. It is given to nobody else among these tests, in no program of them,
/// while this one runs: a server may share one that another has just been told of (HAProxy does), and then answers in
/// its place.
pub(crate) fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let claims = std::env::temp_dir().join("tidegate-test-ports");
    fs::create_dir_all(&claims).expect("a directory for what is claimed");
    // Another program of these tests begins elsewhere, so that they seldom ask for the same.
    let own = std::process::id().wrapping_mul(100);
    loop {
        let next = own.wrapping_add(GIVEN.fetch_add(1, Ordering::SeqCst)) % PORTS;
        let port = u16::try_from(FIRST + next).expect("below 10 000");
        let claim = File::create(claims.join(port.to_string())).expect("a file for the claim");
        if claim.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            // The system lets go of the lock when this program ends.
            std::mem::forget(claim);
            return port;
        }
    }
}
