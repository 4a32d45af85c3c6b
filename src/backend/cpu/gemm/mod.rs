//! Single-precision matrix products: C = A B, or C += A B, with any strides.
//!
//! A [`Gemm`] is made once from the shape; it fixes how the work is cut. The cut depends on the shape and the
//! instruction set, never on the number of threads, so the bits of the result do not depend on it either.
//!
//! Strides are in elements, rows first: a row-major [m, k] matrix has (k, 1), its transpose (1, k).
//!
//! A task walks over panels of up to three vectors of columns; for each, over blocks of k such that the panel's part of B
//! stays in the first-level cache; for each, over tiles of rows (`kernel`). Where C's rows are the closer
//! together, the transposed product is computed instead.

mod double;
mod kernel;
mod plan;
mod simd;
#[cfg(test)]
mod tests;

use self::kernel::{Args, Kernels, LARGEST_PANEL, LARGEST_TILE};
use self::plan::{Split, part};
use super::features::Features;
use super::pool::Pool;
use std::ffi::c_void;
use std::mem::MaybeUninit;

/// Row and column stride of a matrix, in elements.
pub type Strides = (usize, usize);

/// C[m, n] = A[m, k] B[k, n] (+ C), for every index of the batch axes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub a: Strides,
    pub b: Strides,
    /// No two elements of C may share a place.
    pub c: Strides,
    /// Adds to what C holds; else C is only written.
    pub accumulate: bool,
    /// Leading axes, outermost first. A stride of 0 shares an operand.
    pub batch: Vec<BatchAxis>,
}

/// One batch axis: its length, and how far apart its matrices are, in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchAxis {
    pub len: usize,
    pub a: usize,
    pub b: usize,
    pub c: usize,
}

/// What is done to C's tiles after their sums are complete, while they are in the cache.
#[derive(Clone, Copy)]
pub enum Epilogue {
    None,
    /// Adds `bias[j]` to column j (n floats, shared by the batch), then clips at 0 if `relu`.
    Bias {
        bias: *const f32,
        relu: bool,
    },
    /// Calls `f(tile, ctx)` once for each tile, on any thread. The tiles of a run are disjoint and cover C.
    Tile {
        f: TileFn,
        ctx: *const c_void,
    },
}

/// See [`Epilogue::Tile`].
pub type TileFn = unsafe extern "C" fn(tile: &Tile, ctx: *const c_void);

/// A finished rectangle of C: element (i, j) is at `data + i * rs + j * cs`, and is C's (row + i, col + j).
#[derive(Debug)]
#[repr(C)]
pub struct Tile {
    pub data: *mut f32,
    pub row: usize,
    pub rows: usize,
    pub col: usize,
    pub cols: usize,
    pub rs: usize,
    pub cs: usize,
    /// Row-major index over the batch axes.
    pub batch: usize,
}

/// A planned product.
#[derive(Clone, Debug)]
pub struct Gemm {
    shape: Shape,
    features: Features,
    /// The product as computed: `shape`, or its transpose.
    core: Core,
    swapped: bool,
    batch: usize,
    split: Split,
}

/// One product of the batch.
#[derive(Clone, Copy, Debug)]
struct Core {
    m: usize,
    n: usize,
    k: usize,
    a: Strides,
    b: Strides,
    c: Strides,
}

/// One product, for callers that cut the work themselves.
#[derive(Clone, Copy, Debug)]
pub struct Matrices {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub a: Strides,
    pub b: Strides,
    /// No two elements of C may share a place.
    pub c: Strides,
    /// Adds to what C holds; else C is only written.
    pub accumulate: bool,
}

/// Computes a product on the calling thread alone, without scratch. Allocates nothing.
///
/// # Safety
/// The pointers must be valid for what `of` describes, C for writing and by nobody else. C may not overlap A or B.
pub unsafe fn multiply(
    features: Features,
    of: &Matrices,
    a: *const f32,
    b: *const f32,
    c: *mut f32,
) {
    let (core, swapped) = Core::of(of);
    if core.m == 0 || core.n == 0 {
        return;
    }
    let (a, b) = if swapped { (b, a) } else { (a, b) };
    let kernels = Kernels::of(features);
    let block = Block {
        core,
        operands: Operands {
            a,
            b,
            c,
            sums: std::ptr::null_mut(),
            epilogue: Epilogue::None,
        },
        rows: (0, core.m),
        k: (0, core.k),
        add: of.accumulate,
        swapped,
        batch: 0,
        kernels,
    };
    // SAFETY: all of the product, by the contract.
    unsafe { block.panels(0, core.n.div_ceil(kernels.lanes)) }
}

impl Core {
    /// The product as computed, and whether that is the transpose.
    fn of(matrices: &Matrices) -> (Core, bool) {
        let Matrices {
            m, n, k, a, b, c, ..
        } = *matrices;
        let flip = |(rs, cs): Strides| (cs, rs);
        // A stride along an axis of length 1 means nothing: it is made what suits best.
        let swapped = n > 1 && c.1 != 1 && (c.0 == 1 || m == 1) || n == 1 && m > 1 && c.0 == 1;
        let mut core = if swapped {
            Core {
                m: n,
                n: m,
                k,
                a: flip(b),
                b: flip(a),
                c: flip(c),
            }
        } else {
            Core { m, n, k, a, b, c }
        };
        for (len, stride) in [
            (core.m, &mut core.a.0),
            (core.n, &mut core.b.1),
            (core.n, &mut core.c.1),
        ] {
            if len == 1 {
                *stride = 1;
            }
        }
        (core, swapped)
    }
}

impl Gemm {
    /// Plans a product.
    pub fn new(shape: Shape, features: Features) -> Gemm {
        let (core, swapped) = Core::of(&Matrices {
            m: shape.m,
            n: shape.n,
            k: shape.k,
            a: shape.a,
            b: shape.b,
            c: shape.c,
            accumulate: shape.accumulate,
        });
        let batch = shape.batch.iter().map(|axis| axis.len).product();
        let vectors = core.n.div_ceil(Kernels::of(features).lanes);
        let flops = [batch, core.m, core.n, core.k]
            .iter()
            .fold(2usize, |flops, &len| flops.saturating_mul(len));
        let split = plan::split(batch, core.m, vectors, core.k, flops);
        Gemm {
            shape,
            features,
            core,
            swapped,
            batch,
            split,
        }
    }

    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Bytes that `run` needs at `scratch`.
    pub fn scratch_bytes(&self) -> usize {
        match self.split.depth {
            1 => 0,
            depth => depth * self.batch * self.core.m * self.core.n * size_of::<f32>(),
        }
    }

    /// Computes the product. Allocates nothing.
    ///
    /// # Safety
    /// The pointers must be valid for what the shape describes, C for writing and by nobody else, `scratch` for
    /// `scratch_bytes()`, aligned to 64 bytes. C may not overlap A, B or scratch. `epilogue` must be safe to call.
    pub unsafe fn run(
        &self,
        pool: &Pool,
        a: *const f32,
        b: *const f32,
        c: *mut f32,
        scratch: *mut u8,
        epilogue: Epilogue,
    ) {
        if self.batch == 0 || self.core.m == 0 || self.core.n == 0 {
            return;
        }
        let (a, b) = if self.swapped { (b, a) } else { (a, b) };
        let operands = Operands {
            a,
            b,
            c,
            sums: scratch.cast(),
            epilogue,
        };
        let parts = self.batch * self.split.rows * self.split.columns * self.split.depth;
        pool.run(self.split.tasks, &|task| {
            let operands = &operands;
            let first = task * self.split.group;
            for i in first..parts.min(first + self.split.group) {
                // SAFETY: the parts are disjoint, and the pointers valid by the contract.
                unsafe { self.part(operands, i) }
            }
        });
        if self.split.depth > 1 {
            let rows = self.core.m.min(MOST_SUM_TASKS);
            pool.run(self.batch * rows, &|task| {
                let operands = &operands;
                // SAFETY: as above; the partial sums are written.
                unsafe { self.add_up(operands, task / rows, part(self.core.m, rows, task % rows)) }
            });
        }
    }

    /// The operands of one product of the batch.
    unsafe fn operands(&self, all: &Operands, index: usize) -> Operands {
        let mut one = *all;
        let mut rest = index;
        for axis in self.shape.batch.iter().rev() {
            let i = rest % axis.len;
            rest /= axis.len;
            let (a, b) = if self.swapped {
                (axis.b, axis.a)
            } else {
                (axis.a, axis.b)
            };
            // SAFETY: within the operands, by the contract of `run`.
            unsafe {
                (one.a, one.b, one.c) = (one.a.add(i * a), one.b.add(i * b), one.c.add(i * axis.c))
            }
        }
        one
    }

    /// Computes part `i` of the split.
    unsafe fn part(&self, operands: &Operands, i: usize) {
        let Split {
            rows,
            columns,
            depth,
            ..
        } = self.split;
        let core = &self.core;
        let (i, d) = (i / depth, i % depth);
        let (i, column) = (i / columns, i % columns);
        let (batch, row) = (i / rows, i % rows);
        let kernels = Kernels::of(self.features);
        let (first, end) = part(core.n.div_ceil(kernels.lanes), columns, column);
        // SAFETY: all indices are within the operands.
        unsafe {
            let mut block = Block {
                core: *core,
                operands: self.operands(operands, batch),
                rows: part(core.m, rows, row),
                k: part(core.k, depth, d),
                add: self.shape.accumulate,
                swapped: self.swapped,
                batch,
                kernels,
            };
            if depth > 1 {
                block.operands.c = operands.sums.add((batch * depth + d) * core.m * core.n);
                block.operands.epilogue = Epilogue::None;
                block.core.c = (core.n, 1);
                block.add = false;
            }
            block.panels(first, end);
        }
    }

    /// Adds the partial sums of some rows in order of k, and finishes them.
    unsafe fn add_up(&self, operands: &Operands, batch: usize, (first, end): (usize, usize)) {
        let Core { m, n, c, .. } = self.core;
        // SAFETY: all indices are within the operands.
        unsafe {
            let one = self.operands(operands, batch);
            let sums = operands.sums.add(batch * self.split.depth * m * n);
            for i in first..end {
                let partial = std::slice::from_raw_parts_mut(sums.add(i * n), n);
                for d in 1..self.split.depth {
                    let more = std::slice::from_raw_parts(sums.add((d * m + i) * n), n);
                    partial.iter_mut().zip(more).for_each(|(sum, &x)| *sum += x);
                }
                for (j, &sum) in partial.iter().enumerate() {
                    let out = one.c.add(i * c.0 + j * c.1);
                    *out = if self.shape.accumulate {
                        *out + sum
                    } else {
                        sum
                    };
                }
            }
            finish(&self.core, &one, self.swapped, batch, (first, end), (0, n));
        }
    }
}

/// Rows of the tiles that an epilogue sees, so that they are still in the first-level cache.
const EPILOGUE_ROWS: usize = 64;
const MOST_SUM_TASKS: usize = 16;

#[derive(Clone, Copy)]
struct Operands {
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    sums: *mut f32,
    epilogue: Epilogue,
}

// SAFETY: the tasks write disjoint parts of C and of the sums; the epilogue may be called on any thread.
unsafe impl Sync for Operands {}

#[repr(align(64))]
struct Buffer<const N: usize>(MaybeUninit<[f32; N]>);

/// How a panel's rows of B come to be adjacent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Packing {
    /// They are read in place.
    None,
    /// By the first tile.
    Fused,
    /// Beforehand, transposed.
    Transpose,
    /// Beforehand, one by one.
    Gather,
}

/// A part of a product: some rows, some of k.
struct Block {
    core: Core,
    operands: Operands,
    rows: (usize, usize),
    k: (usize, usize),
    add: bool,
    swapped: bool,
    batch: usize,
    kernels: &'static Kernels,
}

impl Block {
    /// Computes the vectors `first .. end` of columns, in panels of equal width, but for one vector.
    unsafe fn panels(&self, first: usize, end: usize) {
        let lanes = self.kernels.lanes;
        let panels = (end - first).div_ceil(self.kernels.sizes.len());
        for panel in 0..panels {
            let (from, to) = part(end - first, panels, panel);
            let columns = (
                (first + from) * lanes,
                self.core.n.min((first + to) * lanes),
            );
            // SAFETY: within the operands, by the caller's contract.
            unsafe { self.panel(columns, to - from) }
        }
    }

    /// Computes some columns of the part: `nv` vectors.
    unsafe fn panel(&self, columns: (usize, usize), nv: usize) {
        let Block {
            core,
            operands,
            kernels,
            ..
        } = self;
        let (lanes, sizes) = (kernels.lanes, &kernels.sizes[nv - 1]);
        let (cols, most) = (columns.1 - columns.0, sizes.plain.len());
        let rows = self.rows.1 - self.rows.0;
        let unit = usize::from(core.a.0 == 1);
        let packing = match core.b {
            (rs, 1) if rows <= most || rs <= nv * lanes * 5 / 4 => Packing::None,
            (_, 1) => Packing::Fused,
            (1, _) => Packing::Transpose,
            _ => Packing::Gather,
        };
        let depth = self.k.1 - self.k.0;
        let blocks = match packing {
            Packing::None if rows <= most => 1,
            _ => depth
                .div_ceil(kernels.panel / (nv * lanes) / 16 * 16)
                .max(1),
        };
        let direct = core.c.1 == 1;
        let in_kernel = direct && !self.swapped;
        let mut packed = Buffer::<LARGEST_PANEL>(MaybeUninit::uninit());
        let packed = packed.0.as_mut_ptr().cast::<f32>();
        let mut tile = Buffer::<LARGEST_TILE>(MaybeUninit::uninit());
        let tile = tile.0.as_mut_ptr().cast::<f32>();
        // SAFETY: all indices are within the operands, and within the panel by the size of a block.
        unsafe {
            // Blocks of equal depth, whole cache lines of a transposed B.
            let step = depth.div_ceil(blocks).next_multiple_of(16);
            for block in 0..blocks {
                let (k0, k1) = (depth.min(block * step), depth.min((block + 1) * step));
                let last = block + 1 == blocks;
                let add = self.add || block > 0;
                let b = operands
                    .b
                    .add((self.k.0 + k0) * core.b.0 + columns.0 * core.b.1);
                match packing {
                    Packing::Transpose => {
                        (kernels.transpose)(packed, nv * lanes, b, core.b.1, k1 - k0, cols)
                    }
                    Packing::Gather => gather(packed, nv * lanes, b, core.b, k1 - k0, cols),
                    Packing::None | Packing::Fused => {}
                }
                let mut args = Args {
                    k: k1 - k0,
                    a: operands.a.add((self.k.0 + k0) * core.a.1),
                    a_rs: core.a.0,
                    a_cs: core.a.1,
                    b: packed,
                    b_rs: nv * lanes,
                    c: tile,
                    c_rs: nv * lanes,
                    last: cols - (nv - 1) * lanes,
                    add: add && direct,
                    bias: std::ptr::null(),
                    relu: false,
                    packed,
                };
                if let Epilogue::Bias { bias, relu } = operands.epilogue
                    && last
                    && in_kernel
                {
                    (args.bias, args.relu) = (bias.add(columns.0), relu);
                }
                if packing == Packing::None {
                    (args.b, args.b_rs) = (b, core.b.0);
                }
                let a = args.a;
                let mut row = self.rows.0;
                let mut finished = row;
                while row < self.rows.1 {
                    let left = self.rows.1 - row;
                    let fused = packing == Packing::Fused && row == self.rows.0;
                    // Tiles of equal height, but for one row; the packing one is the highest.
                    let height = if fused {
                        most
                    } else {
                        left.div_ceil(left.div_ceil(most))
                    };
                    args.a = a.add(row * core.a.0);
                    let c = operands.c.add(row * core.c.0 + columns.0 * core.c.1);
                    if direct {
                        (args.c, args.c_rs) = (c, core.c.0);
                    }
                    if fused {
                        (args.b, args.b_rs) = (b, core.b.0);
                        (sizes.packing[unit])(&args);
                        (args.b, args.b_rs) = (packed, nv * lanes);
                    } else {
                        (sizes.plain[height - 1][unit])(&args);
                    }
                    if !direct {
                        scatter(tile, nv * lanes, c, core.c, height, cols, add);
                    }
                    row += height;
                    if last && (row == self.rows.1 || row - finished >= EPILOGUE_ROWS) {
                        if !(in_kernel && matches!(operands.epilogue, Epilogue::Bias { .. })) {
                            finish(
                                core,
                                operands,
                                self.swapped,
                                self.batch,
                                (finished, row),
                                columns,
                            );
                        }
                        finished = row;
                    }
                }
            }
        }
    }
}

/// Runs the epilogue on a rectangle of the product as computed.
unsafe fn finish(
    core: &Core,
    operands: &Operands,
    swapped: bool,
    batch: usize,
    rows: (usize, usize),
    columns: (usize, usize),
) {
    // SAFETY: the rectangle is within C.
    let data = unsafe { operands.c.add(rows.0 * core.c.0 + columns.0 * core.c.1) };
    let ((rows, columns), (rs, cs)) = if swapped {
        ((columns, rows), (core.c.1, core.c.0))
    } else {
        ((rows, columns), core.c)
    };
    let tile = Tile {
        data,
        row: rows.0,
        rows: rows.1 - rows.0,
        col: columns.0,
        cols: columns.1 - columns.0,
        rs,
        cs,
        batch,
    };
    match operands.epilogue {
        Epilogue::None => {}
        // SAFETY: by the contract of `run`.
        Epilogue::Tile { f, ctx } => unsafe { f(&tile, ctx) },
        Epilogue::Bias { bias, relu } => {
            for i in 0..tile.rows {
                for j in 0..tile.cols {
                    // SAFETY: within C, and within the n floats of the bias.
                    unsafe {
                        let x = tile.data.add(i * rs + j * cs);
                        *x += *bias.add(tile.col + j);
                        if relu && *x < 0.0 {
                            *x = 0.0;
                        }
                    }
                }
            }
        }
    }
}

/// Packs a panel of B with any strides; zeros fill its rows.
unsafe fn gather(
    packed: *mut f32,
    ld: usize,
    b: *const f32,
    (rs, cs): Strides,
    k: usize,
    cols: usize,
) {
    for l in 0..k {
        for j in 0..ld {
            // SAFETY: within B and the panel.
            unsafe {
                *packed.add(l * ld + j) = if j < cols {
                    *b.add(l * rs + j * cs)
                } else {
                    0.0
                }
            }
        }
    }
}

/// Writes a tile to C with any strides, or adds it.
unsafe fn scatter(
    tile: *const f32,
    ld: usize,
    c: *mut f32,
    (rs, cs): Strides,
    rows: usize,
    cols: usize,
    add: bool,
) {
    for i in 0..rows {
        for j in 0..cols {
            // SAFETY: within C and the tile.
            unsafe {
                let (x, out) = (*tile.add(i * ld + j), c.add(i * rs + j * cs));
                *out = if add { *out + x } else { x };
            }
        }
    }
}
