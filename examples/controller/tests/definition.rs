//! The definition in `examples/kubernetes/crd.yaml` is the one that the program prints.

use std::process::Command;

#[test]
fn the_definition_that_people_apply_is_that_of_the_program() {
    let printed = Command::new(env!("CARGO_BIN_EXE_tidegate-controller")).arg("crd").output().unwrap();
    assert!(printed.status.success());
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../kubernetes/crd.yaml");
    let there = std::fs::read_to_string(file).unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(
        printed == there,
        "write it anew: cargo run -p tidegate-controller -- crd > examples/kubernetes/crd.yaml"
    );
}
