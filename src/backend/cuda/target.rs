//! What CUDA decides about a plan.

use std::fmt::{self, Display};

use crate::backend::fusion::Limits;
use crate::backend::fusion::contractions::{ConvResult, ConvSizes, MatMul};
use crate::backend::schedule::target::{Space, Target};
use crate::ir::Elem;

/// A device with CUDA.
pub(super) struct Cuda;

/// A kernel is one launch, whose grid its text decides.
pub(super) struct Whole;

pub(super) struct Product {
    pub shape: MatMul,
    pub elem: Elem,
}

pub(super) struct Convolution {
    pub which: ConvResult,
    pub sizes: ConvSizes,
    pub elem: Elem,
}

impl Target for Cuda {
    /// The lines of scratch of a block are in shared memory.
    const LIMITS: Limits = Limits {
        operands: 120,
        column_elements: 1 << 22,
        long_run: 4096,
        scratch_bytes: 32 << 10,
    };
    type Cut = Whole;
    type Product = Product;
    type Conv = Convolution;

    fn cut(&self, _: &Space) -> Whole {
        Whole
    }

    fn product(&self, shape: MatMul, elem: Elem) -> (Product, usize) {
        (Product { shape, elem }, 0)
    }

    fn conv(&self, which: ConvResult, sizes: ConvSizes, elem: Elem) -> (Convolution, usize) {
        (Convolution { which, sizes, elem }, 0)
    }
}

impl Display for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one launch")
    }
}

impl Display for Convolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} {:?} * {:?} -> {:?}",
            self.which, self.sizes.input, self.sizes.window, self.sizes.output
        )
    }
}
