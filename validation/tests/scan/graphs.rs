//! ONNX and TensorFlow. `files/` comes from onnx itself: see `formats.py`.

use tidegate_validation::{
    Verdict,
    scan::{Content, Rule},
};

use crate::{assert_clean, assert_fails, assert_suspicious, scan};

const PLAIN: &[u8] = include_bytes!("files/plain.onnx");
const EXTERNAL: &[u8] = include_bytes!("files/external.onnx");

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// A field of bytes.
fn field(number: u64, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    [varint(number << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
}

/// A field of a number.
fn number(number: u64, value: u64) -> Vec<u8> {
    [varint(number << 3), varint(value)].concat()
}

fn node(domain: &str, operator: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let attributes = attributes.iter().flat_map(|attribute| field(5, attribute)).collect();
    [field(1, "x"), field(2, "y"), field(4, operator), attributes, field(7, domain)].concat()
}

fn graph(nodes: &[Vec<u8>]) -> Vec<u8> {
    nodes.iter().flat_map(|node| field(1, node)).chain(field(2, "g")).collect()
}

fn model(graph: &[u8], more: &[u8]) -> Vec<u8> {
    [number(1, 8), field(2, "tests"), field(7, graph), field(8, number(2, 17)), more.to_vec()].concat()
}

fn external(key: &str, value: &str) -> Vec<u8> {
    let tensor =
        [number(1, 2), field(8, "w"), field(13, [field(1, key), field(2, value)].concat()), number(14, 1)];
    tensor.concat()
}

#[test]
fn what_onnx_writes_is_clean() {
    for file in [PLAIN, EXTERNAL] {
        let found = scan(file);
        assert_eq!(found.content, Content::Onnx);
        assert!(found.detections.is_empty(), "{found:#?}");
    }
    assert_clean(model(&graph(&[node("", "Add", &[]), node("com.microsoft", "Gelu", &[])]), &[]));
}

#[test]
fn cut_anywhere_behind_the_beginning_of_the_graph_they_are_not_clean() {
    for file in [PLAIN, EXTERNAL] {
        let graph = 10;
        let end = graph + 1 + usize::from(file[graph]);
        for len in graph..end {
            assert_ne!(scan(&file[..len]).verdict, Verdict::Pass, "{len} of {}", file.len());
        }
        for len in [end + 1, file.len() - 1] {
            assert_ne!(scan(&file[..len]).verdict, Verdict::Pass, "{len} of {}", file.len());
        }
    }
}

#[test]
fn tensors_come_from_beside_the_model_only() {
    for (key, value) in [
        ("location", "/etc/passwd"),
        ("location", "../../secret"),
        ("location", "a/../../b"),
        ("location", "C:\\secret"),
        ("location", "file:///etc/passwd"),
        ("basepath", "/"),
        ("__class__", "x"),
    ] {
        let tensor = external(key, value);
        let sparse = field(1, &tensor);
        let inner = field(1, node("", "If", &[field(6, field(5, &tensor))]));
        for graph in [
            field(5, &tensor),
            field(15, &sparse),
            field(1, node("", "Constant", &[field(5, &tensor)])),
            field(1, node("", "Constant", &[field(10, &tensor)])),
            field(1, node("", "Constant", &[field(22, &sparse)])),
            inner,
        ] {
            assert_fails(model(&graph, &[]), Rule::OnnxExternalPath);
        }
        let elsewhere = field(25, field(7, node("", "Constant", &[field(5, &tensor)])));
        assert_fails(model(&graph(&[]), &elsewhere), Rule::OnnxExternalPath);
        let training = field(20, field(2, field(5, &tensor)));
        assert_fails(model(&graph(&[]), &training), Rule::OnnxExternalPath);
    }
    assert_clean(model(&field(5, external("location", "weights/w.bin")), &[]));
}

#[test]
fn the_last_of_two_locations_is_the_one_that_is_read() {
    let entry = [field(1, "location"), field(2, "w.bin"), field(2, "/etc/passwd")].concat();
    let tensor = field(13, entry);
    assert_fails(model(&field(5, tensor), &[]), Rule::OnnxExternalPath);
}

#[test]
fn operators_of_others_are_told() {
    assert_suspicious(model(&graph(&[node("my.ops", "Run", &[])]), &[]), Rule::OnnxCustomOperator);
    for (domain, operator) in [("ai.onnx.contrib", "PyOp"), ("com.microsoft", "PythonOp"), ("", "PyOp")] {
        assert_fails(model(&graph(&[node(domain, operator, &[])]), &[]), Rule::OnnxPythonOperator);
    }
    // A function of the model's own is none of another library.
    let function = field(25, [field(1, "Run"), field(10, "my.ops")].concat());
    assert_clean(model(&graph(&[node("my.ops", "Run", &[])]), &function));
}

#[test]
fn fields_that_nobody_knows_hide_nothing() {
    let evil = model(&field(5, external("location", "/etc/passwd")), &[]);
    for unknown in
        [field(99, "x"), number(99, 1), vec![99 << 3 & 0x7f | 3 | 0x80, 6, 99 << 3 & 0x7f | 4 | 0x80, 6]]
    {
        assert_fails([unknown, evil.clone()].concat(), Rule::OnnxExternalPath);
    }
    assert_fails([field(2, "x").repeat(5000), evil].concat(), Rule::OnnxExternalPath);
    // Without its version, some read it nevertheless.
    assert_fails(field(7, field(5, external("location", "/x"))), Rule::OnnxExternalPath);
}

#[test]
fn graphs_nest_only_so_deep() {
    let deep = (0..500).fold(graph(&[]), |inner, _| graph(&[node("", "If", &[field(6, inner)])]));
    assert_suspicious(model(&deep, &[]), Rule::Malformed);
}

fn saved_model(graph: &[u8]) -> Vec<u8> {
    let meta = [field(1, field(4, "serve")), field(2, graph)].concat();
    [number(1, 1), field(2, meta)].concat()
}

fn operator(name: &str) -> Vec<u8> {
    [field(1, "n"), field(2, name)].concat()
}

#[test]
fn operators_that_reach_files_or_python_fail() {
    let good = field(1, operator("MatMul"));
    let found = scan(saved_model(&good));
    assert_eq!((found.content, &found.verdict), (Content::SavedModel, &Verdict::Pass), "{found:#?}");
    for name in ["ReadFile", "WriteFile", "PyFunc", "EagerPyFunc", "PyFuncStateless", "LoadLibrary"] {
        let evil = operator(name);
        assert_fails(saved_model(&[good.clone(), field(1, &evil)].concat()), Rule::TensorFlowOperator);
        let library = field(2, field(1, field(3, &evil)));
        assert_fails(saved_model(&[good.clone(), library].concat()), Rule::TensorFlowOperator);
        let second = [saved_model(&good), field(2, field(2, field(1, &evil)))].concat();
        assert_fails(second, Rule::TensorFlowOperator);
        // Of the other format, but for one field that this one does not know.
        let both = [saved_model(&field(1, &evil)), field(7, graph(&[]))].concat();
        assert_fails(both, Rule::TensorFlowOperator);
    }
}

#[test]
fn a_saved_model_that_is_cut_is_not_clean() {
    let file = saved_model(&field(1, operator("MatMul")));
    for len in 3..file.len() {
        assert_ne!(scan(&file[..len]).verdict, Verdict::Pass, "{len}");
    }
}

#[test]
fn layers_and_assets_of_a_saved_model_are_read() {
    let keras = field(7, field(1, field(4, r#"{"class_name": "Lambda", "config": {}, "name": "lambda"}"#)));
    let meta = [field(1, ""), field(2, field(1, operator("MatMul"))), keras].concat();
    assert_fails([number(1, 1), field(2, meta)].concat(), Rule::KerasCode);
    // The configuration of a model that is named and not to be read.
    let hidden = field(7, field(1, field(4, "model_config packed in some way")));
    let meta = [field(1, ""), field(2, field(1, operator("MatMul"))), hidden].concat();
    assert_suspicious([number(1, 1), field(2, meta)].concat(), Rule::Malformed);
    let asset = field(6, field(2, "../../etc/passwd"));
    let meta = [field(1, ""), field(2, field(1, operator("MatMul"))), asset].concat();
    assert_fails([number(1, 1), field(2, meta)].concat(), Rule::PathTraversal);
}

/// A hundred operators that the model defines itself, and then the one that matters.
#[test]
fn one_operator_of_python_is_found_among_many_others() {
    let names: Vec<String> = (0..100).map(|n| format!("F{n}")).collect();
    let mut nodes: Vec<_> = names.iter().map(|name| node("x", name, &[])).collect();
    nodes.push(node("ai.onnx.contrib", "PyOp", &[]));
    let function = |name: &String| field(25, [field(1, name), field(10, "x")].concat());
    let functions: Vec<u8> = names.iter().flat_map(function).collect();
    assert_fails(model(&graph(&nodes), &functions), Rule::OnnxPythonOperator);
    // And what is beyond what can be told apart is no clean file.
    nodes.pop();
    nodes.push(node("y", "G", &[]));
    assert_suspicious(model(&graph(&nodes), &functions), Rule::LimitReached);
}
