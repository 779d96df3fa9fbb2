//! Models of Keras. The HDF5 files come from h5py: see `formats.py`.

use tidegate_validation::{
    Verdict,
    scan::{Content, Rule, Severity},
};

use crate::{
    archive::{Member, Zip},
    assert_clean, assert_fails, assert_suspicious, rules, scan,
};

const DENSE: &[u8] = include_bytes!("files/dense.h5");
const LAMBDA: &[u8] = include_bytes!("files/lambda.h5");

/// A model with one layer.
fn model(layer: &str) -> String {
    let input = r#"{"module": "keras.layers", "class_name": "InputLayer", "config": {"name": "in", "dtype": {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": null}}, "registered_name": null}"#;
    format!(
        r#"{{"module": "keras", "class_name": "Sequential", "config": {{"name": "s", "layers": [{input}, {layer}]}}, "registered_name": "Sequential", "build_config": {{"input_shape": [null, 4]}}}}"#
    )
}

fn zipped(config: &str) -> Vec<u8> {
    let metadata = r#"{"keras_version": "3.15.1", "date_saved": "2026-11-01@00:00:00"}"#;
    let members = [
        ("metadata.json", metadata.as_bytes()),
        ("config.json", config.as_bytes()),
        ("model.weights.h5", DENSE),
    ];
    Zip::of(members.map(|(name, content)| Member::stored(name, content))).finish()
}

#[test]
fn models_of_keras_alone_are_clean() {
    let dense = r#"{"module": "keras.layers", "class_name": "Dense", "config": {"units": 2, "activation": "relu", "kernel_initializer": {"module": "keras.initializers", "class_name": "GlorotUniform", "config": {"seed": null}, "registered_name": null}}, "registered_name": null}"#;
    let lookup = r#"{"module": "keras.layers", "class_name": "StringLookup", "config": {"vocabulary": ["a", "b"]}, "registered_name": null}"#;
    for layer in [dense, lookup] {
        assert_clean(model(layer));
        assert_clean(zipped(&model(layer)));
    }
    let found = scan(DENSE);
    assert_eq!(found.content, Content::Hdf5);
    assert!(found.detections.is_empty(), "{found:#?}");
    // The same words in any other configuration are none of Keras.
    assert_clean(r#"{"a": {"module": "os", "class_name": "Lambda", "vocabulary": "/x"}}"#);
}

#[test]
fn code_in_layers_fails() {
    for layer in [
        r#"{"module": "keras.layers", "class_name": "Lambda", "config": {"function": ["4wEAAA", null, null]}}"#,
        r#"{"class_name": "Lambda", "config": {}}"#,
        r#"{"class_name": "keras.layers>Lambda", "config": {}}"#,
        r#"{"class_name": "__lambda__", "config": {"value": "4wEAAA"}}"#,
        r#"{"module": "keras.layers", "class_name": "TorchModuleWrapper", "config": {"module": "gAJj"}}"#,
        r#"{"module": "keras.layers", "cl\u0061ss_name": "L\u0061mbda", "config": {}}"#,
    ] {
        assert_fails(model(layer), Rule::KerasCode);
        assert_fails(zipped(&model(layer)), Rule::KerasCode);
    }
    assert_fails(LAMBDA, Rule::KerasCode);
}

#[test]
fn other_modules_fail_and_dangerous_ones_are_critical() {
    let layer = |module: &str, class: &str| {
        model(&format!(r#"{{"module": "{module}", "class_name": "{class}", "config": {{}}}}"#))
    };
    assert_fails(layer("my_layers", "Mine"), Rule::KerasForeignModule);
    assert_fails(layer("keras_evil", "Mine"), Rule::KerasForeignModule);
    let worst = |text: String| scan(text).detections.iter().map(|found| found.severity).max();
    assert_eq!(worst(layer("my_layers", "Mine")), Some(Severity::High));
    assert_eq!(worst(layer("os", "system")), Some(Severity::Critical));
    let function =
        r#"{"module": "builtins", "class_name": "function", "config": "exec", "registered_name": "exec"}"#;
    assert_eq!(worst(model(function)), Some(Severity::Critical));
    let custom = r#"{"module": null, "class_name": "Mine", "config": {}, "registered_name": "pkg>Mine"}"#;
    assert_suspicious(model(custom), Rule::KerasForeignModule);
}

#[test]
fn layers_that_reach_files_fail() {
    for layer in [
        r#"{"module": "keras.layers", "class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}}"#,
        r#"{"module": "keras.src.utils.file_utils", "class_name": "function", "config": "get_file"}"#,
        r#"{"module": "keras.utils", "class_name": "get_file", "config": {"origin": "https://evil.example"}}"#,
        r#"{"module": "keras.config", "class_name": "function", "config": "enable_unsafe_deserialization"}"#,
    ] {
        assert_fails(model(layer), Rule::KerasFileAccess);
    }
}

#[test]
fn hdf5_that_is_cut_is_not_clean() {
    for file in [DENSE, LAMBDA] {
        for len in (8..file.len()).step_by(7) {
            assert_ne!(scan(&file[..len]).verdict, Verdict::Pass, "{len} of {}", file.len());
        }
    }
    let mut behind = vec![0; 512];
    behind.extend(LAMBDA);
    assert_fails(&behind, Rule::KerasCode);
}

#[test]
fn a_configuration_that_is_not_found_or_breaks_off_is_not_clean() {
    let mut hidden = DENSE.to_vec();
    let config = hidden.windows(2).position(|two| two == b"{\"").expect("there is one");
    hidden[config] = b'x';
    let nested = hidden.windows(2).position(|two| two == b"{\"").expect("there are layers");
    assert!(nested > config);
    hidden.iter_mut().filter(|byte| **byte == b'{').for_each(|byte| *byte = b'x');
    assert_suspicious(&hidden, Rule::Malformed);
    let mut broken = DENSE.to_vec();
    let end = broken.iter().rposition(|&byte| byte == b'}').expect("there is one");
    broken[end] = b'x';
    assert_suspicious(&broken, Rule::Malformed);
}

#[test]
fn another_object_does_not_stand_in_for_a_configuration() {
    let mut hidden = DENSE.to_vec();
    hidden.iter_mut().filter(|byte| **byte == b'{').for_each(|byte| *byte = b'x');
    let decoy = |object: &str| [&hidden[..], object.as_bytes(), &[0; 64]].concat();
    assert_suspicious(decoy(r#"{"optimizer": "adam"}"#), Rule::Malformed);
    assert!(rules(decoy(r#"{"class_name": "Dense", "config": {}}"#)).is_empty());
}

/// Python's JSON takes what is none, and any number of blanks.
#[test]
fn a_configuration_that_only_python_reads_is_not_clean() {
    let decoy = r#"{"optimizer": "adam"}"#;
    let blanks = " ".repeat(100);
    for config in [
        r#"{"a": NaN, "class_name": "Lambda", "config": null}"#.to_owned(),
        format!("{{{blanks}\"class_name\": \"Lambda\", \"config\": null}}"),
    ] {
        let mut file = DENSE.to_vec();
        file.iter_mut().filter(|byte| **byte == b'{').for_each(|byte| *byte = b'x');
        file.extend([decoy.as_bytes(), &[0; 8], config.as_bytes(), &[0; 64]].concat());
        assert_ne!(scan(&file).verdict, Verdict::Pass, "{config}");
    }
}
