//! Records that nobody wrote.

use std::{fs, sync::Arc};

use proptest::prelude::*;
use tidegate_validation::{Record, Run, Suite};

use crate::{check, counting, numbers, report};

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let header = r#"{"record":"tidegate:trials/v1","model":"support-bot@1.0.0","digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000","suite":"s","suiteDigest":null,"agent":"counting","seed":7}"#;
    let piece = prop::sample::select(vec![
        header,
        "\n",
        "{",
        "}",
        "{\"begin\":\"numbers\",\"settings\":",
        "\"sha256:",
        "{\"check\":\"numbers\",\"case\":\"case-0\",",
        "\"trial\":0,\"outcome\":\"hit\",\"score\":1e999",
        "\"reply\":{\"text\":\"\",\"latency\":-1}}",
        "\0\0",
        "null",
    ]);
    let text = prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat().into_bytes());
    prop_oneof![text, prop::collection::vec(any::<u8>(), 0..200)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Whatever is in the file, it is either a record of this run or is left as it is.
    #[test]
    fn no_bytes_make_a_record_panic(bytes in pieces()) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record");
        fs::write(&path, &bytes).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let asked = Arc::default();
        let suite = Suite::new("s").with(check(numbers(1)));
        let report = runtime.block_on(report(&suite, &counting(&asked), &Run::new(7).record(Record::at(&path))));
        let now = fs::read(&path).unwrap();
        match asked.lock().unwrap().len() {
            0 => prop_assert!(!report.accepted() && now == bytes, "{report}"),
            _ => prop_assert!(report.accepted() && now.starts_with(b"{\"record\":\"tidegate:trials/v1\""), "{report}"),
        }
    }
}
