//! A part of a product on one thread: panels of columns, blocks of k, tiles of rows.

use std::mem::MaybeUninit;

use super::kernel::{Args, Kernels, LARGEST_PANEL, LARGEST_TILE};
use super::plan::part;
use super::{Core, EPILOGUE_ROWS, Epilogue, Operands, Tile};
use crate::backend::fusion::contractions::Strides;

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
pub(super) struct Block {
    pub core: Core,
    pub operands: Operands,
    pub rows: (usize, usize),
    pub k: (usize, usize),
    pub add: bool,
    pub swapped: bool,
    pub batch: usize,
    pub kernels: &'static Kernels,
}

impl Block {
    /// Computes the vectors `first .. end` of columns, in panels of equal width, but for one vector.
    pub(super) unsafe fn panels(&self, first: usize, end: usize) {
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
                        (kernels.transpose)(packed, nv * lanes, b, core.b.1, k1 - k0, cols);
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
pub(super) unsafe fn finish(
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
