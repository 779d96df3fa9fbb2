//! A small assembler of pickles.

/// A pickle in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pickle(pub(crate) Vec<u8>);

impl Pickle {
    /// Without a header: protocol 0 or 1.
    pub(crate) fn old() -> Self {
        Self::default()
    }

    /// With the header of a protocol.
    pub(crate) fn protocol(number: u8) -> Self {
        Self(vec![0x80, number])
    }

    /// Any bytes.
    pub(crate) fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    /// `GLOBAL`.
    pub(crate) fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n"))
    }

    /// `SHORT_BINUNICODE`.
    pub(crate) fn text(self, text: &str) -> Self {
        let len = u8::try_from(text.len()).expect("texts of tests are short");
        self.raw([0x8c, len]).raw(text)
    }

    /// `STACK_GLOBAL` of two texts.
    pub(crate) fn stack_global(self, module: &str, name: &str) -> Self {
        self.text(module).text(name).raw([0x93])
    }

    /// `BINBYTES`.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        let len = u32::try_from(bytes.len()).expect("strings of tests are short");
        self.raw("B").raw(len.to_le_bytes()).raw(bytes)
    }

    /// A tuple of one text, and `REDUCE`.
    pub(crate) fn call_with(self, argument: &str) -> Self {
        self.text(argument).raw([0x85, b'R'])
    }

    /// `STOP`.
    pub(crate) fn stop(self) -> Vec<u8> {
        self.raw(".").0
    }
}
