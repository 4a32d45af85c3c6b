//! Arrays whose element type is known at run time.

use ndarray::{ArrayD, IxDyn};

use crate::bytes::{Number, bytes_of, bytes_of_mut};
use crate::ir::Elem;

/// In row-major order, always.
#[derive(Clone, Debug)]
pub(crate) enum Array {
    F32(ArrayD<f32>),
    F64(ArrayD<f64>),
    I32(ArrayD<i32>),
    U8(ArrayD<u8>),
    Bool(ArrayD<bool>),
}

/// The same expression for the array inside, whatever its elements; the result is wrapped again.
macro_rules! map_array {
    ($array:expr, $x:ident => $body:expr) => {
        match $array {
            Array::F32($x) => Array::F32($body),
            Array::F64($x) => Array::F64($body),
            Array::I32($x) => Array::I32($body),
            Array::U8($x) => Array::U8($body),
            Array::Bool($x) => Array::Bool($body),
        }
    };
}

/// The same expression for two arrays of equal element type.
macro_rules! zip_arrays {
    ($a:expr, $b:expr, ($x:ident, $y:ident) => $body:expr, $wrap:ident) => {
        match ($a, $b) {
            (Array::F32($x), Array::F32($y)) => zip_arrays!(@ F32, $wrap, $body),
            (Array::F64($x), Array::F64($y)) => zip_arrays!(@ F64, $wrap, $body),
            (Array::I32($x), Array::I32($y)) => zip_arrays!(@ I32, $wrap, $body),
            (Array::U8($x), Array::U8($y)) => zip_arrays!(@ U8, $wrap, $body),
            (Array::Bool($x), Array::Bool($y)) => zip_arrays!(@ Bool, $wrap, $body),
            (Array::F32(_) | Array::F64(_) | Array::I32(_) | Array::U8(_) | Array::Bool(_), _) => {
                unreachable!("the verifier saw equal element types")
            }
        }
    };
    (@ $variant:ident, same, $body:expr) => { Array::$variant($body) };
    (@ $variant:ident, plain, $body:expr) => { $body };
}
pub(super) use {map_array, zip_arrays};

impl Array {
    pub(crate) fn elem(&self) -> Elem {
        match self {
            Array::F32(_) => Elem::F32,
            Array::F64(_) => Elem::F64,
            Array::I32(_) => Elem::I32,
            Array::U8(_) => Elem::U8,
            Array::Bool(_) => Elem::Bool,
        }
    }
    pub(crate) fn shape(&self) -> &[usize] {
        match self {
            Array::F32(x) => x.shape(),
            Array::F64(x) => x.shape(),
            Array::I32(x) => x.shape(),
            Array::U8(x) => x.shape(),
            Array::Bool(x) => x.shape(),
        }
    }
    /// Exact: f64 holds every value of every element type.
    pub(crate) fn to_f64(&self) -> ArrayD<f64> {
        match self {
            Array::F32(x) => x.mapv(f64::from),
            Array::F64(x) => x.clone(),
            Array::I32(x) => x.mapv(f64::from),
            Array::U8(x) => x.mapv(f64::from),
            Array::Bool(x) => x.mapv(|b| f64::from(u8::from(b))),
        }
    }
    /// The rules of `Prim::Cast`: rounds to the nearest `F32`; integers truncate,
    /// saturate, and are 0 for NaN; `Bool` is `!= 0`.
    pub(crate) fn from_f64(elem: Elem, x: ArrayD<f64>) -> Array {
        match elem {
            Elem::F32 => Array::F32(x.mapv(|v| v as f32)),
            Elem::F64 => Array::F64(x),
            Elem::I32 => Array::I32(x.mapv(|v| v as i32)),
            Elem::U8 => Array::U8(x.mapv(|v| v as u8)),
            Elem::Bool => Array::Bool(x.mapv(|v| v != 0.0)),
        }
    }
    pub(crate) fn full(elem: Elem, shape: &[usize], value: f64) -> Array {
        Array::from_f64(elem, ArrayD::from_elem(IxDyn(shape), value))
    }
    /// `I32` elements in row-major order.
    pub(crate) fn i32s(&self) -> Vec<i32> {
        match self {
            Array::I32(x) => x.iter().copied().collect(),
            Array::F32(_) | Array::F64(_) | Array::U8(_) | Array::Bool(_) => {
                unreachable!("the verifier saw i32")
            }
        }
    }
    pub(crate) fn from_bytes(elem: Elem, shape: &[usize], bytes: &[u8]) -> Array {
        match elem {
            Elem::F32 => Array::F32(read(shape, bytes)),
            Elem::F64 => Array::F64(read(shape, bytes)),
            Elem::I32 => Array::I32(read(shape, bytes)),
            Elem::U8 => Array::U8(read(shape, bytes)),
            Elem::Bool => Array::Bool(read::<u8>(shape, bytes).mapv(|b| b != 0)),
        }
    }
    pub(crate) fn write(&self, bytes: &mut [u8]) {
        match self {
            Array::F32(x) => bytes.copy_from_slice(bytes_of(slice(x))),
            Array::F64(x) => bytes.copy_from_slice(bytes_of(slice(x))),
            Array::I32(x) => bytes.copy_from_slice(bytes_of(slice(x))),
            Array::U8(x) => bytes.copy_from_slice(slice(x)),
            Array::Bool(x) => {
                for (byte, &b) in bytes.iter_mut().zip(x) {
                    *byte = u8::from(b);
                }
            }
        }
    }
    /// Row `index` along axis 0.
    pub(crate) fn row(&self, index: usize) -> Array {
        map_array!(self, x => x.index_axis(ndarray::Axis(0), index).to_owned())
    }
    pub(crate) fn set_row(&mut self, index: usize, row: &Array) {
        zip_arrays!(self, row, (x, r) => x.index_axis_mut(ndarray::Axis(0), index).assign(r), plain);
    }
}

fn read<T: Number>(shape: &[usize], bytes: &[u8]) -> ArrayD<T> {
    let mut values = vec![T::default(); bytes.len() / size_of::<T>()];
    bytes_of_mut(&mut values).copy_from_slice(bytes);
    ArrayD::from_shape_vec(IxDyn(shape), values).expect("a buffer of its type's size")
}

fn slice<T>(x: &ArrayD<T>) -> &[T] {
    x.as_slice().expect("arrays are in row-major order")
}
