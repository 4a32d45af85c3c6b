//! Element types and tensor types.

use std::fmt;

use smallvec::SmallVec;

use super::dim::Dim;

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Elem {
    F32,
    /// Gradient checks, and accumulators of losses and metrics.
    F64,
    I32,
    /// Pixels as they come; every use casts first.
    U8,
    /// One byte, 0 or 1.
    Bool,
}

impl std::fmt::Display for Elem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Elem {
    pub const ALL: [Elem; 5] = [Elem::F32, Elem::F64, Elem::I32, Elem::U8, Elem::Bool];

    /// Bytes per element.
    pub fn size(self) -> usize {
        match self {
            Elem::F64 => 8,
            Elem::F32 | Elem::I32 => 4,
            Elem::U8 | Elem::Bool => 1,
        }
    }
    pub fn is_float(self) -> bool {
        matches!(self, Elem::F32 | Elem::F64)
    }
    pub fn name(self) -> &'static str {
        match self {
            Elem::F32 => "f32",
            Elem::F64 => "f64",
            Elem::I32 => "i32",
            Elem::U8 => "u8",
            Elem::Bool => "bool",
        }
    }
}

pub type Shape = SmallVec<[Dim; 4]>;

/// An element type and a shape; `[]` is a scalar.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Type {
    pub elem: Elem,
    pub shape: Shape,
}

impl Type {
    pub fn new(elem: Elem, shape: impl IntoIterator<Item = Dim>) -> Type {
        Type {
            elem,
            shape: shape.into_iter().collect(),
        }
    }
    pub fn scalar(elem: Elem) -> Type {
        Type {
            elem,
            shape: Shape::new(),
        }
    }
    /// From constant sizes.
    pub fn of(elem: Elem, sizes: &[usize]) -> Type {
        Type::new(elem, sizes.iter().map(|&s| Dim::from(s)))
    }
    pub fn rank(&self) -> usize {
        self.shape.len()
    }
    /// The sizes, once every symbol has been replaced; `None` before.
    pub fn sizes(&self) -> Option<SmallVec<[usize; 4]>> {
        self.shape
            .iter()
            .map(|d| usize::try_from(d.as_const()?).ok())
            .collect()
    }
    /// Number of elements of a type without symbols.
    ///
    /// # Panics
    /// If a symbol is left: the verifier refuses such graphs before any back end sees them.
    pub fn elements(&self) -> usize {
        self.sizes().expect("a specialised type").iter().product()
    }
    /// Bytes of a type without symbols.
    pub fn bytes(&self) -> usize {
        self.elements() * self.elem.size()
    }
}

/// `f32[B, 784]`
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.elem.name(), ShapeText(&self.shape))
    }
}

/// `[B, 784]`
pub struct ShapeText<'a>(pub &'a [Dim]);

impl fmt::Display for ShapeText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[")?;
        for (i, d) in self.0.iter().enumerate() {
            write!(f, "{}{d}", if i > 0 { ", " } else { "" })?;
        }
        write!(f, "]")
    }
}
