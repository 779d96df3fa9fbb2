//! Pulling by way of a cache.

use std::fs;

use serde_json::json;

use crate::desk::Desk;

#[test]
fn what_was_pulled_once_is_linked_and_pulled_without_the_registry() {
    let desk = Desk::published();
    let cache = desk.path("cache");
    let cache = cache.to_str().unwrap_or_default();
    desk.run(&["cache", "stat", cache]).is(1).says(&["a cache in", "does not exist", "pull --cache"]);
    desk.run(&["pull", "m@1.0.0", "one", "--cache", cache]).is(0);
    assert_eq!(desk.json(&["cache", "stat", cache]), json!({ "files": 2, "bytes": 100_017 }));
    let expected = fs::read(desk.path("model/weights.bin")).unwrap_or_default();
    assert_eq!(fs::read(desk.path("one/weights.bin")).unwrap_or_default(), expected);

    // A copy does not hang on the cache; a changed file of the cache is found.
    desk.run(&["pull", "m@1.0.0", "two", "--cache", cache, "--link", "copy"]).is(0);
    desk.write("two/weights.bin", b"edited");
    assert!(desk.run(&["cache", "verify", cache]).is(0).out.contains("2 files verified"));
    let removed = desk.json(&["cache", "shrink", cache, "20KiB"]);
    assert!(removed["removed"]["bytes"].as_u64() >= Some(100_000), "until it fits: {removed}");
    desk.run(&["pull", "m@1.0.0", "three", "--cache", cache, "--cache-limit", "1GiB"]).is(0);
    desk.run(&["pull", "m@1.0.0", "four", "--cache", cache, "--cache-limit", "much"])
        .is(2)
        .says(&["--cache-limit", "50MB or 40MiB"]);
    assert!(!desk.path("four").exists());
}
