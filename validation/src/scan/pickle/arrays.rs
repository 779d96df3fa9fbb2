//! Arrays that joblib writes between the opcodes of a pickle.
//!
//! joblib's unpickler acts on `BUILD` of a `NumpyArrayWrapper`: it reads the array from the file at this
//! point, as raw bytes, or as a pickle if the array holds objects
//! (<https://github.com/joblib/joblib/blob/main/joblib/numpy_pickle.py>). To know where the pickle goes on,
//! shape and item size have to be known: once `numpy.dtype` is imported, dtypes are followed, and once a
//! wrapper is, whole numbers, tuples and the state of wrappers as well.

use super::{
    imports::Imports,
    input::Input,
    machine::Machine,
    slot::{Known, Slot},
    stack::Stack,
};
use crate::scan::walk::Stop;

/// Values that are followed in one pickle; of more nothing is known.
const MOST: usize = 1 << 18;
/// Longest tuple that is followed. NumPy has no arrays of more dimensions.
const LONGEST: usize = 64;

/// The values that are followed; none before a wrapper is imported.
#[derive(Debug)]
pub(super) struct Arrays {
    /// Whether the program that reads this pickle looks for wrappers.
    sought: bool,
    dtypes: bool,
    wrapper: Option<u32>,
    values: Vec<Value>,
}

#[derive(Clone, Debug)]
enum Value {
    Dict(Wrapper),
    Dtype(Dtype),
    Tuple(Vec<Slot>),
    Wrapper,
}

/// What a wrapper says of its array, as far as it is known.
#[derive(Clone, Debug, Default)]
struct Wrapper {
    shape: Option<Slot>,
    dtype: Option<Slot>,
    alignment: Option<Slot>,
}

#[derive(Clone, Copy, Debug)]
struct Dtype {
    /// Its letter: `f`.
    kind: u8,
    /// Bytes of an item, if they are known.
    size: Option<u64>,
    objects: bool,
}

/// What lies in the pickle where an array is.
#[derive(Debug)]
pub(super) enum Array {
    /// A pickle of its own.
    Pickle,
    /// So many bytes, behind padding where it is aligned.
    Raw { bytes: u64, aligned: bool },
}

/// Names of the wrapper, in joblib and where scikit-learn carried it along.
const WRAPPERS: [(&str, &str); 2] = [
    ("joblib.numpy_pickle", "NumpyArrayWrapper"),
    ("sklearn.externals.joblib.numpy_pickle", "NumpyArrayWrapper"),
];

impl Arrays {
    pub(super) const fn new(sought: bool) -> Self {
        Self { sought, dtypes: false, wrapper: None, values: Vec::new() }
    }

    #[inline]
    pub(super) const fn active(&self) -> bool {
        self.dtypes || self.wrapper.is_some()
    }

    pub(super) fn imported(&mut self, number: u32, imports: &Imports) {
        if self.sought && imports.is_any_of(number, &WRAPPERS) {
            self.wrapper = Some(number);
        }
        self.dtypes |= self.sought && imports.is_any_of(number, &[("numpy", "dtype")]);
    }

    #[inline]
    pub(super) fn empty_tuple(&mut self) -> Slot {
        self.tuple(&[])
    }

    #[inline]
    pub(super) fn empty_dict(&mut self) -> Slot {
        if self.wrapper.is_some() { self.add(Value::Dict(Wrapper::default())) } else { Slot::PLAIN }
    }

    /// A tuple; before a wrapper only of what a dtype may be made of: a name and two flags, or its state.
    pub(super) fn tuple(&mut self, slots: &[Slot]) -> Slot {
        let of_dtype = match slots {
            [name, _, _] => matches!(name.known(), Known::Text(_)),
            [version, ..] if slots.len() >= 8 => matches!(version.known(), Known::Int(_)),
            _ => false,
        };
        if self.wrapper.is_some() || self.dtypes && of_dtype {
            self.add(Value::Tuple(slots.to_vec()))
        } else {
            Slot::PLAIN
        }
    }

    /// The tuple of what lies above the last mark; `None` if there is no mark.
    pub(super) fn tuple_of_marked(&mut self, stack: &mut Stack) -> Option<Slot> {
        if !self.active() {
            return stack.drop_mark().then_some(Slot::PLAIN);
        }
        let (mut slots, mut len) = (Vec::new(), 0);
        let marked = stack.pop_mark(|slot| {
            len += 1;
            if len <= LONGEST {
                slots.push(slot);
            }
        });
        marked.then(|| if len <= LONGEST { self.tuple(&slots) } else { Slot::PLAIN })
    }

    /// What a call makes, if it is a `numpy.dtype` or a wrapper.
    pub(super) fn made(
        &mut self,
        callable: Slot,
        arguments: Option<Slot>,
        imports: &Imports,
        input: &mut Input<'_, '_>,
    ) -> Result<Slot, Stop> {
        let (Known::Import(number), true) = (callable.known(), self.active()) else { return Ok(Slot::PLAIN) };
        if self.wrapper == Some(number) || imports.is_any_of(number, &WRAPPERS) {
            return Ok(self.add(Value::Wrapper));
        }
        if !imports.is_any_of(number, &[("numpy", "dtype")]) {
            return Ok(Slot::PLAIN);
        }
        let first = match arguments.map(Slot::known) {
            Some(Known::Value(number)) => match self.values.get(number as usize) {
                Some(Value::Tuple(slots)) => slots.first().copied(),
                _ => None,
            },
            _ => None,
        };
        let Some(Known::Text(offset)) = first.map(Slot::known) else { return Ok(Slot::PLAIN) };
        let dtype = input.text(offset)?.and_then(|name| Dtype::named(&name));
        Ok(dtype.map_or(Slot::PLAIN, |dtype| self.add(Value::Dtype(dtype))))
    }

    /// An item of a dictionary, kept if it is one that a wrapper has.
    pub(super) fn set(
        &mut self,
        dict: Slot,
        key: Slot,
        value: Slot,
        input: &mut Input<'_, '_>,
    ) -> Result<(), Stop> {
        let (Known::Value(number), Known::Text(offset)) = (dict.known(), key.known()) else { return Ok(()) };
        let Some(Value::Dict(wrapper)) = self.values.get_mut(number as usize) else { return Ok(()) };
        let field = match input.text(offset)?.as_deref() {
            Some("shape") => &mut wrapper.shape,
            Some("dtype") => &mut wrapper.dtype,
            Some("numpy_array_alignment_bytes") => &mut wrapper.alignment,
            _ => return Ok(()),
        };
        *field = Some(value);
        Ok(())
    }

    /// Forgets what is known of a dictionary.
    pub(super) fn forget(&mut self, dict: Slot) {
        if let Known::Value(number) = dict.known()
            && let Some(Value::Dict(wrapper)) = self.values.get_mut(number as usize)
        {
            *wrapper = Wrapper { shape: None, dtype: None, alignment: Some(Slot::text(0)) };
        }
    }

    /// Sets the state of something; if that is a wrapper, its array follows.
    pub(super) fn build(&mut self, target: Slot, state: Slot, at: u64) -> Result<Option<Array>, Stop> {
        let Known::Value(number) = target.known() else { return Ok(None) };
        match self.values.get(number as usize) {
            Some(&Value::Dtype(dtype)) => {
                let dtype = self.with_state(dtype, state);
                self.values[number as usize] = Value::Dtype(dtype);
                Ok(None)
            }
            Some(Value::Wrapper) => self.array(state).map(Some).ok_or(Stop::Malformed {
                offset: at,
                what: "an array of joblib does not say how long it is",
            }),
            _ => Ok(None),
        }
    }

    /// `numpy.dtype.__setstate__`: `(version, order, subdtype, names, fields, size, alignment, flags)`.
    fn with_state(&self, mut dtype: Dtype, state: Slot) -> Dtype {
        const HAS_OBJECT: i32 = 1;
        let unknown = Dtype { size: None, ..dtype };
        let Known::Value(number) = state.known() else { return unknown };
        let Some(Value::Tuple(state)) = self.values.get(number as usize) else { return unknown };
        let int = |i: usize| match state.get(i).map(|slot| slot.known()) {
            Some(Known::Int(number)) => Some(number),
            _ => None,
        };
        // An array of arrays has its size in `subdtype`, which nobody writes through joblib.
        if !state.get(2).is_some_and(|subdtype| subdtype.is_plain()) {
            return unknown;
        }
        if matches!(dtype.kind, b'S' | b'U' | b'V') {
            dtype.size = int(5).and_then(|size| u64::try_from(size).ok());
        }
        match int(7) {
            Some(flags) => dtype.objects |= flags & HAS_OBJECT != 0,
            None => return unknown,
        }
        dtype
    }

    fn array(&self, state: Slot) -> Option<Array> {
        let value = |slot: Slot| match slot.known() {
            Known::Value(number) => self.values.get(number as usize),
            _ => None,
        };
        let Value::Dict(wrapper) = value(state)? else { return None };
        let Value::Dtype(dtype) = value(wrapper.dtype?)? else { return None };
        if dtype.objects {
            return Some(Array::Pickle);
        }
        let Value::Tuple(shape) = value(wrapper.shape?)? else { return None };
        let mut bytes = dtype.size?;
        for side in shape {
            let Known::Int(side) = side.known() else { return None };
            bytes = bytes.checked_mul(u64::try_from(side).ok()?)?;
        }
        let aligned = match wrapper.alignment.map(Slot::known) {
            Some(Known::Int(_)) => true,
            Some(Known::Plain) | None => false,
            Some(_) => return None,
        };
        Some(Array::Raw { bytes, aligned })
    }

    fn add(&mut self, value: Value) -> Slot {
        if self.values.len() >= MOST {
            return Slot::PLAIN;
        }
        self.values.push(value);
        Slot::value(self.values.len() as u32 - 1)
    }
}

impl Dtype {
    /// From the name that NumPy pickles: `f8`, `V64`.
    fn named(name: &str) -> Option<Self> {
        let name = name.trim_start_matches(['<', '>', '|', '=']);
        let (kind, digits) = (*name.as_bytes().first()?, name.get(1..)?);
        let number: u64 = digits.parse().ok()?;
        let size = match kind {
            b'U' => number.checked_mul(4)?,
            b'b' | b'i' | b'u' | b'f' | b'c' | b'm' | b'M' | b'S' | b'V' | b'O' => number,
            _ => return None,
        };
        Some(Self { kind, size: Some(size), objects: kind == b'O' })
    }
}

/// Goes past an array, or through it where it is a pickle. Plain `pickle.load` reads on as if nothing were
/// there: where it would not stop at once, that way is followed, too.
pub(super) fn skip(machine: &mut Machine<'_, '_, '_>, array: &Array, at: u64) -> Result<(), Stop> {
    match *array {
        Array::Pickle => {
            if !machine.plain_ends {
                machine.astray()?;
            }
            machine.inner()
        }
        Array::Raw { bytes, aligned: false } => {
            if !machine.plain_ends {
                machine.astray()?;
            }
            machine.input.skip(bytes)
        }
        Array::Raw { bytes, aligned: true } => {
            // Up to 16 it is no opcode.
            let [padding] = machine.input.array()?;
            if padding > 16 {
                return Err(Stop::Malformed { offset: at, what: "the padding of an array is too long" });
            }
            machine.plain_ends = true;
            machine.input.skip(u64::from(padding))?;
            machine.input.skip(bytes)
        }
    }
}
