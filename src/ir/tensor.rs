//! Owned tensors: an element type, sizes and bytes in row-major order.
//!
//! What tests, fixtures and the interpreter hand around. The bytes are aligned
//! as every [`crate::backend::Executable`] wants its buffers, so a tensor can be
//! passed to one as it is.

use crate::bytes::{AlignedBytes, Number, bytes_of, numbers_of};

use super::ty::{Elem, Type};

#[derive(Clone, Debug)]
pub struct Tensor {
    elem: Elem,
    shape: Vec<usize>,
    bytes: AlignedBytes,
}

impl Tensor {
    /// # Panics
    /// If the sizes exceed the address space.
    pub fn zeros(elem: Elem, shape: &[usize]) -> Tensor {
        let elements = shape.iter().try_fold(1usize, |n, s| n.checked_mul(*s));
        let bytes = elements.and_then(|n| n.checked_mul(elem.size()));
        Tensor {
            elem,
            shape: shape.to_vec(),
            bytes: AlignedBytes::zeroed(bytes.expect("a tensor fits the address space")),
        }
    }
    /// Zeros of a type without symbols; `None` if a symbol is left.
    pub fn of_type(ty: &Type) -> Option<Tensor> {
        Some(Tensor::zeros(ty.elem, &ty.sizes()?))
    }
    /// # Panics
    /// Here and in the constructors below: if `values` does not have as many elements as `shape`.
    pub fn from_f32(shape: &[usize], values: &[f32]) -> Tensor {
        Tensor::from_numbers(Elem::F32, shape, values)
    }
    pub fn from_f64(shape: &[usize], values: &[f64]) -> Tensor {
        Tensor::from_numbers(Elem::F64, shape, values)
    }
    pub fn from_i32(shape: &[usize], values: &[i32]) -> Tensor {
        Tensor::from_numbers(Elem::I32, shape, values)
    }
    pub fn from_u8(shape: &[usize], values: &[u8]) -> Tensor {
        Tensor::from_numbers(Elem::U8, shape, values)
    }
    pub fn from_bool(shape: &[usize], values: &[bool]) -> Tensor {
        let bytes: Vec<u8> = values.iter().map(|&b| u8::from(b)).collect();
        Tensor::from_numbers(Elem::Bool, shape, &bytes)
    }
    /// Numbers of any element type: rounded to `F32`, saturated to integers, `!= 0` for `Bool`.
    pub fn from_values(elem: Elem, shape: &[usize], values: &[f64]) -> Tensor {
        match elem {
            Elem::F32 => Tensor::from_f32(shape, &convert(values, |v| v as f32)),
            Elem::F64 => Tensor::from_f64(shape, values),
            Elem::I32 => Tensor::from_i32(shape, &convert(values, |v| v as i32)),
            Elem::U8 => Tensor::from_u8(shape, &convert(values, |v| v as u8)),
            Elem::Bool => Tensor::from_bool(shape, &convert(values, |v| v != 0.0)),
        }
    }
    /// A tensor of rank 0.
    pub fn scalar(elem: Elem, value: f64) -> Tensor {
        Tensor::from_values(elem, &[], &[value])
    }

    pub fn elem(&self) -> Elem {
        self.elem
    }
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }
    pub fn ty(&self) -> Type {
        Type::of(self.elem, &self.shape)
    }
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
    /// Aligned to [`crate::bytes::ALIGN`].
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.bytes.as_mut_ptr()
    }
    /// # Panics
    /// Panics, as do the accessors below, if the elements have a different type.
    pub fn f32s(&self) -> &[f32] {
        self.numbers(Elem::F32)
    }
    pub fn f64s(&self) -> &[f64] {
        self.numbers(Elem::F64)
    }
    pub fn i32s(&self) -> &[i32] {
        self.numbers(Elem::I32)
    }
    pub fn u8s(&self) -> &[u8] {
        self.numbers(Elem::U8)
    }
    pub fn bools(&self) -> Vec<bool> {
        let bytes: &[u8] = self.numbers(Elem::Bool);
        bytes.iter().map(|&b| b != 0).collect()
    }
    /// The elements as numbers, whatever their type.
    pub fn values(&self) -> Vec<f64> {
        match self.elem {
            Elem::F32 => self.f32s().iter().map(|&v| f64::from(v)).collect(),
            Elem::F64 => self.f64s().to_vec(),
            Elem::I32 => self.i32s().iter().map(|&v| f64::from(v)).collect(),
            Elem::U8 | Elem::Bool => self.bytes.iter().map(|&v| f64::from(v)).collect(),
        }
    }
    /// The value of the only element.
    ///
    /// # Panics
    /// If there are more, or none.
    pub fn item(&self) -> f64 {
        match self.values()[..] {
            [v] => v,
            _ => panic!("{} has {} elements", self.ty(), self.len()),
        }
    }
    /// The same values as another element type (see [`Tensor::from_values`]).
    pub fn to_elem(&self, elem: Elem) -> Tensor {
        Tensor::from_values(elem, &self.shape, &self.values())
    }
    /// The largest difference of two elements at one place; infinite where the shapes
    /// differ or one of the two is NaN. Equal infinities, and two NaNs, are equal.
    pub fn max_abs_diff(&self, other: &Tensor) -> f64 {
        self.max_diff(other, |a, b| (a - b).abs())
    }
    /// As [`Tensor::max_abs_diff`], each difference divided by `max(1, |a|, |b|)`.
    pub fn max_rel_diff(&self, other: &Tensor) -> f64 {
        self.max_diff(other, |a, b| (a - b).abs() / a.abs().max(b.abs()).max(1.0))
    }

    fn max_diff(&self, other: &Tensor, diff: impl Fn(f64, f64) -> f64) -> f64 {
        if self.shape != other.shape {
            return f64::INFINITY;
        }
        let pairs = self.values().into_iter().zip(other.values());
        pairs.fold(0.0, |largest: f64, (a, b)| {
            let d = if a == b || (a.is_nan() && b.is_nan()) {
                0.0
            } else {
                diff(a, b)
            };
            largest.max(if d.is_nan() { f64::INFINITY } else { d })
        })
    }
    fn from_numbers<T: Number>(elem: Elem, shape: &[usize], values: &[T]) -> Tensor {
        let mut tensor = Tensor::zeros(elem, shape);
        assert_eq!(tensor.len(), values.len(), "values for the shape {shape:?}");
        tensor.bytes.copy_from_slice(bytes_of(values));
        tensor
    }
    fn numbers<T: Number>(&self, elem: Elem) -> &[T] {
        assert_eq!(self.elem, elem, "elements of {}", self.ty());
        numbers_of(&self.bytes).expect("aligned, and a whole number of elements")
    }
}

/// Equal if type, shape and elements are; NaN differs from everything.
impl PartialEq for Tensor {
    fn eq(&self, other: &Tensor) -> bool {
        self.elem == other.elem && self.shape == other.shape && self.values() == other.values()
    }
}

fn convert<T>(values: &[f64], to: impl Fn(f64) -> T) -> Vec<T> {
    values.iter().map(|&v| to(v)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_every_element_type() {
        for elem in Elem::ALL {
            let t = Tensor::from_values(elem, &[2, 1], &[1.0, 0.0]);
            assert_eq!(t.values(), [1.0, 0.0]);
            assert_eq!(t.bytes().len(), 2 * elem.size());
            assert_eq!(t.ty(), Type::of(elem, &[2, 1]));
            assert_eq!(t.to_elem(Elem::F64).to_elem(elem), t);
        }
        assert_eq!(
            Tensor::from_bool(&[2], &[true, false]).bools(),
            [true, false]
        );
        assert_eq!(Tensor::scalar(Elem::I32, -3.0).item(), -3.0);
        assert_eq!(Tensor::from_values(Elem::U8, &[1], &[300.0]).u8s(), [255]);
    }

    #[test]
    fn differences() {
        let a = Tensor::from_f32(&[3], &[1.0, f32::INFINITY, f32::NAN]);
        assert_eq!(a.max_abs_diff(&a), 0.0);
        assert_ne!(a, a);
        let b = Tensor::from_f32(&[3], &[1.5, f32::INFINITY, f32::NAN]);
        assert_eq!(a.max_abs_diff(&b), 0.5);
        assert_eq!(a.max_rel_diff(&b), 0.5 / 1.5);
        let c = Tensor::from_f32(&[3], &[f32::NAN, f32::INFINITY, f32::NAN]);
        assert_eq!(a.max_abs_diff(&c), f64::INFINITY);
        assert_eq!(
            a.max_abs_diff(&Tensor::zeros(Elem::F32, &[1, 3])),
            f64::INFINITY
        );
    }
}
