//! What a compiled graph does when it runs: a flat list of steps over buffers whose places are fixed.

use smallvec::SmallVec;

use super::conv::Conv;
use super::gemm::Gemm;
use super::view::{Sizes, Strides};
use super::vir::Orient;
use crate::ir::Elem;
use crate::ir::prim::WindowOp;
use crate::random::Key;

/// A place in memory: a byte offset from one of the bases of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Buf {
    pub base: u16,
    pub offset: usize,
}

/// Bases of every program, followed by its inputs and then its results.
pub const ARENA: u16 = 0;
pub const SCRATCH: u16 = 1;
pub const FIRST_INPUT: u16 = 2;

/// A graph as steps.
#[derive(Debug)]
pub struct Program {
    pub steps: Vec<Step>,
    /// What each step is, for people: names of its operations.
    pub labels: Vec<String>,
    pub inputs: usize,
    pub results: usize,
    pub arena: usize,
    pub scratch: usize,
    pub flops: u64,
    /// Bases of this program and of those nested in it.
    pub bases: usize,
}

#[derive(Debug)]
pub enum Step {
    /// Independent kernels, in one fork and join.
    Kernels(Vec<Call>),
    Gemm {
        gemm: Gemm,
        a: Buf,
        b: Buf,
        c: Buf,
    },
    Dot64 {
        dims: DotSizes,
        a: Buf,
        b: Buf,
        c: Buf,
    },
    Random {
        key: Key,
        count: usize,
        counter: Buf,
        to: Buf,
    },
    ArgMax {
        elem: Elem,
        /// Before, along, after the axis.
        sizes: [usize; 3],
        x: Buf,
        to: Buf,
    },
    ArgSort {
        elem: Elem,
        /// Before, along, after the axis.
        sizes: [usize; 3],
        x: Buf,
        to: Buf,
    },
    /// Rows of `inner` bytes.
    Gather {
        outer: usize,
        axis: usize,
        inner: usize,
        count: usize,
        x: Buf,
        index: Buf,
        to: Buf,
    },
    ScatterAdd {
        elem: Elem,
        outer: usize,
        axis: usize,
        inner: usize,
        count: usize,
        index: Buf,
        updates: Buf,
        to: Buf,
    },
    /// In single precision, of tensors that have all axes.
    Conv {
        conv: Box<Conv>,
        x: Buf,
        kernel: Buf,
        y: Buf,
    },
    ConvDirect {
        elem: Elem,
        which: ConvResult,
        sizes: ConvSizes,
        x: Buf,
        kernel: Buf,
        y: Buf,
    },
    Window {
        elem: Elem,
        op: WindowOp,
        sizes: ConvSizes,
        x: Buf,
        /// The window's result, or its gradient.
        y: Buf,
        /// For the gradient: where that by `x` goes.
        dx: Option<Buf>,
    },
    Scan(Box<ScanStep>),
}

/// A call of a kernel.
#[derive(Clone, Debug)]
pub struct Call {
    pub kernel: usize,
    pub orient: Orient,
    pub operands: SmallVec<[OperandAt; 8]>,
    pub outer: Sizes,
    pub rows: usize,
    pub cols: usize,
    /// Rows and columns of one cell of the grid that the call is cut into.
    pub cell: (usize, usize),
    /// Cells of one task; how many tasks there are.
    pub cells_per_task: usize,
    pub tasks: usize,
}

#[derive(Clone, Debug)]
pub struct OperandAt {
    /// `None`: an index, or scratch.
    pub buf: Option<Buf>,
    pub is_store: bool,
    /// Bytes of the whole buffer, to see what calls share.
    pub bytes: usize,
    /// Number of the line of scratch.
    pub scratch: Option<u16>,
    /// Bytes (indices: units).
    pub offset: isize,
    pub outer: Strides,
    pub row: isize,
    pub col: isize,
}

/// C = A B in doubles; strides in elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DotSizes {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub a: (usize, usize),
    pub b: (usize, usize),
    /// Length, and strides of A, B, C.
    pub batch: Vec<(usize, usize, usize, usize)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConvResult {
    Output,
    Input,
    Kernel,
}

/// A convolution or a window; one entry a spatial axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvSizes {
    pub batch: usize,
    pub input: Vec<usize>,
    pub window: Vec<usize>,
    pub output: Vec<usize>,
    pub strides: Vec<usize>,
    pub dilation: Vec<usize>,
    pub low: Vec<usize>,
    pub groups: usize,
    /// Of the whole input and the whole output.
    pub channels: (usize, usize),
}

/// The most lines of a window that are looked up at once.
pub const LINES: usize = 64;

/// The input lines under a line of a result: which line of the window each is under, and its first place, counted over
/// the batch.
pub struct Under {
    pub lines: [(usize, usize); LINES],
    pub count: usize,
}

#[derive(Debug)]
pub struct ScanStep {
    pub body: Program,
    pub length: usize,
    pub reverse: bool,
    /// The body's arena.
    pub arena: Buf,
    pub carries: Vec<Carry>,
    /// Start, and bytes from one slice to the next.
    pub scanned: Vec<(Buf, usize)>,
    pub constants: Vec<Buf>,
    pub stacked: Vec<(Buf, usize)>,
}

/// A carry's buffers: iterations write by turns to `spare` and to `result`, the last one to `result`.
#[derive(Clone, Copy, Debug)]
pub struct Carry {
    pub initial: Buf,
    pub spare: Buf,
    pub result: Buf,
}
