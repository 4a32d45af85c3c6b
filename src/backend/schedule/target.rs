//! What a machine decides about a plan.

use std::fmt::Display;

use crate::backend::fusion::Limits;
use crate::backend::fusion::contractions::{ConvResult, ConvSizes, MatMul};
use crate::backend::fusion::vir::Orient;
use crate::ir::Elem;

/// A machine that programs are made for.
pub(crate) trait Target {
    const LIMITS: Limits;
    /// How the points of a kernel are cut into pieces of work.
    type Cut: Display;
    /// A matrix product, planned.
    type Product;
    /// A convolution, planned.
    type Conv: Display;

    fn cut(&self, space: &Space) -> Self::Cut;
    /// The product of some elements, and the bytes of scratch that it needs.
    fn product(&self, product: MatMul, elem: Elem) -> (Self::Product, usize);
    /// The convolution, and the bytes of scratch that it needs.
    fn conv(&self, which: ConvResult, sizes: ConvSizes, elem: Elem) -> (Self::Conv, usize);
}

/// The points of a kernel; no size is 0.
pub(crate) struct Space {
    pub orient: Orient,
    /// Whether a line is reduced, or gone over more than once.
    pub reduces: bool,
    pub outer: usize,
    pub rows: usize,
    pub cols: usize,
}
