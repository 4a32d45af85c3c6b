//! What the CPU decides about a plan: cells and tasks of kernels, blocks of products, methods of convolution.

use std::fmt::{self, Display};

use super::kernels::conv::Conv;
use super::kernels::gemm::Gemm;
use super::machine::features::Features;
use crate::backend::fusion::Limits;
use crate::backend::fusion::contractions::{ConvResult, ConvSizes, MatMul};
use crate::backend::fusion::vir::Orient;
use crate::backend::schedule::target::{Space, Target};
use crate::ir::Elem;

/// A processor with these instruction sets.
pub(super) struct Cpu {
    pub features: Features,
}

/// A kernel's points as a grid of cells, some of which are a task.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    /// Rows and columns of a cell.
    pub cell: (usize, usize),
    pub cells_per_task: usize,
    pub tasks: usize,
}

pub(super) enum Product {
    Single(Gemm),
    Double(MatMul),
}

pub(super) enum Convolution {
    /// In single precision, of tensors that have all axes.
    Planned(Box<Conv>),
    Direct {
        elem: Elem,
        which: ConvResult,
        sizes: ConvSizes,
    },
}

/// Elements below which a call is one task, and those of a cell of a larger one.
const SMALL: usize = 24 << 10;
const CELL: usize = 8 << 10;

impl Target for Cpu {
    /// A call takes a table of pointers on the stack, and a task has its lines of scratch there.
    const LIMITS: Limits = Limits {
        operands: 120,
        column_elements: 1 << 22,
        long_run: 4096,
        scratch_bytes: 32 << 10,
    };
    type Cut = Cut;
    type Product = Product;
    type Conv = Convolution;

    fn cut(&self, space: &Space) -> Cut {
        let Space {
            outer, rows, cols, ..
        } = *space;
        let small = outer * rows * cols <= SMALL;
        let cell = match space.orient {
            _ if small => (rows, cols),
            Orient::Rows if cols >= CELL && !space.reduces => (1, CELL),
            Orient::Rows => ((CELL / cols).clamp(1, rows), cols),
            Orient::Columns => (rows, cols.min(64)),
        };
        let cells = outer * rows.div_ceil(cell.0) * cols.div_ceil(cell.1);
        let cells_per_task = match small {
            true => cells,
            false => (CELL / (cell.0 * cell.1)).clamp(1, cells),
        };
        Cut {
            cell,
            cells_per_task,
            tasks: cells.div_ceil(cells_per_task),
        }
    }

    fn product(&self, product: MatMul, elem: Elem) -> (Product, usize) {
        if elem == Elem::F64 {
            return (Product::Double(product), 0);
        }
        let gemm = Gemm::new(product, self.features);
        let scratch = gemm.scratch_bytes();
        (Product::Single(gemm), scratch)
    }

    fn conv(&self, which: ConvResult, sizes: ConvSizes, elem: Elem) -> (Convolution, usize) {
        if elem == Elem::F32
            && let Some(conv) = Conv::new(which, &sizes, self.features)
        {
            let scratch = conv.scratch_bytes();
            return (Convolution::Planned(Box::new(conv)), scratch);
        }
        (Convolution::Direct { elem, which, sizes }, 0)
    }
}

impl Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tasks", self.tasks)
    }
}

impl Display for Convolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Convolution::Planned(conv) => f.write_str(&conv.describe()),
            Convolution::Direct { which, sizes, .. } => write!(
                f,
                "{which:?} {:?} * {:?} -> {:?}",
                sizes.input, sizes.window, sizes.output
            ),
        }
    }
}
