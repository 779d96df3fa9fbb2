//! Arrays between the opcodes, as joblib writes them.

use tidegate_validation::scan::Rule;

use crate::{assemble::Pickle, assert_clean, assert_fails, assert_suspicious};

/// A wrapper for a one-dimensional array, up to and with its `BUILD`.
fn wrapper(dtype: &str, len: u8, aligned: bool) -> Pickle {
    let dtype = Pickle::default().stack_global("numpy", "dtype").text(dtype).raw([0x89, 0x88, 0x87, b'R']);
    let state = b"(K\x03\x8c\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb";
    let objects = b"(K\x03\x8c\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x3ftb";
    let pickle = Pickle::protocol(4)
        .stack_global("joblib.numpy_pickle", "NumpyArrayWrapper")
        .raw(b")\x81}(")
        .text("shape")
        .raw([b'K', len, 0x85])
        .text("dtype");
    let pickle = if dtype.0.windows(2).any(|two| two == b"O8") {
        pickle.raw(&dtype.0).raw(objects)
    } else {
        pickle.raw(&dtype.0).raw(state)
    };
    let pickle = pickle.text("numpy_array_alignment_bytes").raw(if aligned { &b"K\x10"[..] } else { b"N" });
    pickle.raw("ub")
}

#[test]
fn an_array_is_stepped_over() {
    let file = wrapper("f8", 2, true).raw([3, 0xff, 0xff, 0xff]).raw([b'.'; 16]).stop();
    assert_clean(&file);
    let after = wrapper("f8", 2, true).raw([1, 0xff]).raw([b'.'; 16]);
    assert_fails(after.global("os", "system").call_with("id").stop(), Rule::PickleDangerousImport);
}

#[test]
fn padding_is_no_place_for_opcodes() {
    // For plain `pickle.load` a padding of 78 is the opcode NONE.
    let file = wrapper("f8", 1, true).raw("N").raw([0xff; 78]).raw([0; 8]).stop();
    assert_suspicious(&file, Rule::Malformed);
}

#[test]
fn an_array_without_alignment_is_also_read_as_opcodes() {
    let numbers = wrapper("f8", 2, false).raw([0xff; 16]).stop();
    assert_clean(&numbers);
    let opcodes = wrapper("u1", 40, false).raw("0").stack("os", "system").raw([b'N'; 4]).stop();
    assert_fails(&opcodes, Rule::PickleDangerousImport);
}

#[test]
fn an_array_of_objects_is_a_pickle() {
    let inner = Pickle::protocol(4).raw("N").stop();
    assert_clean(wrapper("O8", 1, true).raw(&inner).stop());
    let evil = Pickle::protocol(4).stack_global("os", "system").call_with("id").stop();
    assert_fails(wrapper("O8", 1, true).raw(&evil).stop(), Rule::PickleDangerousImport);
    // After the inner pickle the outer goes on.
    let after = wrapper("O8", 1, true).raw(&inner).global("os", "system").call_with("id").stop();
    assert_fails(after, Rule::PickleDangerousImport);
}

#[test]
fn an_array_of_unknown_length_is_not_clean() {
    assert_suspicious(wrapper("Q9", 2, true).raw([1, 0xff]).raw([0; 18]).stop(), Rule::Malformed);
    assert_suspicious(wrapper("f8", 200, true).raw([1, 0xff]).raw([0; 18]).stop(), Rule::Malformed);
}

impl Pickle {
    /// A call of an import, 40 bytes in all with four more behind.
    fn stack(self, module: &str, name: &str) -> Self {
        let start = self.0.len();
        let mut pickle = self.stack_global(module, name).call_with("id");
        pickle.0.resize(start + 35, b'N');
        pickle
    }
}
