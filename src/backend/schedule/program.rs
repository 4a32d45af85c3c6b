//! What a compiled graph does when it runs: a flat list of steps over buffers whose places are fixed.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::target::Target;
use crate::backend::fusion::contractions::ConvSizes;
use crate::backend::fusion::view::{Sizes, Strides};
use crate::backend::fusion::vir::{Kernel, Orient};
use crate::ir::Elem;
use crate::ir::prim::WindowOp;
use crate::random::Key;

/// A place in memory: a byte offset from one of the bases of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) struct Buf {
    pub base: u16,
    pub offset: usize,
}

/// Bases of every program, followed by its inputs and then its results.
pub(crate) const ARENA: u16 = 0;
pub(crate) const SCRATCH: u16 = 1;
pub(crate) const FIRST_INPUT: u16 = 2;

/// A graph as steps for a machine.
pub(crate) struct Program<T: Target> {
    pub steps: Vec<Step<T>>,
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

impl<T: Target> Program<T> {
    pub(crate) fn push(&mut self, step: Step<T>, label: String) {
        self.steps.push(step);
        self.labels.push(label);
    }

    /// Adds a call to the last step if nothing in that touches what it does.
    pub(crate) fn kernel(&mut self, call: Option<Call<T::Cut>>, label: String) {
        let Some(call) = call else { return };
        if let (Some(Step::Kernels(calls)), Some(text)) =
            (self.steps.last_mut(), self.labels.last_mut())
            && calls.iter().all(|c| independent(c, &call))
        {
            calls.push(call);
            text.push_str(" | ");
            text.push_str(&label);
            return;
        }
        self.push(Step::Kernels(vec![call]), label);
    }
}

fn independent<C>(a: &Call<C>, b: &Call<C>) -> bool {
    let overlap = |x: &OperandAt, y: &OperandAt| match (x.buf, y.buf) {
        (Some(p), Some(q)) => {
            p.base == q.base && p.offset < q.offset + y.bytes && q.offset < p.offset + x.bytes
        }
        _ => false,
    };
    let clash = |x: &OperandAt, y: &OperandAt| (x.is_store || y.is_store) && overlap(x, y);
    !a.operands
        .iter()
        .any(|x| b.operands.iter().any(|y| clash(x, y)))
}

pub(crate) enum Step<T: Target> {
    /// Kernels that do not depend on each other.
    Kernels(Vec<Call<T::Cut>>),
    Product {
        product: T::Product,
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
    Conv {
        conv: T::Conv,
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
    Scan(Box<ScanStep<T>>),
}

/// A call of a kernel.
#[derive(Clone, Debug)]
pub(crate) struct Call<C> {
    pub kernel: usize,
    pub orient: Orient,
    pub operands: SmallVec<[OperandAt; 8]>,
    pub outer: Sizes,
    pub rows: usize,
    pub cols: usize,
    /// How the machine cuts the points into pieces of work.
    pub cut: C,
}

#[derive(Clone, Debug)]
pub(crate) struct OperandAt {
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

pub(crate) struct ScanStep<T: Target> {
    pub body: Program<T>,
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
pub(crate) struct Carry {
    pub initial: Buf,
    pub spare: Buf,
    pub result: Buf,
}

/// A loop's body with the requests for its arena and for a spare buffer of each carry.
pub(crate) struct Body<T: Target> {
    pub program: Program<T>,
    pub arena: usize,
    pub spares: Vec<usize>,
}

/// Kernels of a program and of those nested in it; equal ones are compiled once.
#[derive(Default)]
pub(crate) struct Kernels {
    pub list: Vec<Kernel>,
    known: FxHashMap<Arc<Kernel>, usize>,
}

impl Kernels {
    pub(crate) fn add(&mut self, kernel: Kernel) -> usize {
        if let Some(&i) = self.known.get(&kernel) {
            return i;
        }
        self.list.push(kernel.clone());
        self.known.insert(Arc::new(kernel), self.list.len() - 1);
        self.list.len() - 1
    }
}

/// What is the same for every program of a compilation.
pub(crate) struct Settings<T> {
    pub seed: u64,
    pub target: T,
}
