//! From a fused unit to a kernel: loops, operands, and the body in the vector IR.
//!
//! The iteration space's axes are joined as far as every operand's strides allow; the last one becomes the columns
//! (the lanes), the one before the rows, and the driver walks the others.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::fuse::{Place, Unit, extend};
use super::math;
use super::ops::{Arg, Kind, MapOp, Op, Ops, Source, Val};
use super::view::{Sizes, Strides, View};
use super::vir::{Bin, Builder, Cmp, Func, Kernel, Level, Orient, Ty, Un, V};
use crate::ir::Elem;
use crate::ir::prim::{Binary, Compare, Unary};

/// A kernel with what it is called on.
#[derive(Clone, Debug)]
pub struct Built {
    pub kernel: Kernel,
    /// By operand of the kernel; scratch lines come last and have none.
    pub operands: Vec<Bound>,
    /// Axes that the driver walks.
    pub outer: Sizes,
    pub rows: usize,
    pub cols: usize,
}

/// What an operand of a kernel is bound to.
#[derive(Clone, Debug)]
pub struct Bound {
    /// `None`: an index.
    pub val: Option<Val>,
    pub is_store: bool,
    /// Bytes (indices: units).
    pub offset: isize,
    pub outer: Strides,
}

/// Bytes of scratch that the driver has for each task.
pub const LINES: usize = 32 << 10;

/// Bytes of one line of scratch.
pub fn scratch_line(cols: usize) -> usize {
    (cols * 8).next_multiple_of(64)
}

/// Where something that a unit reads or writes is, over the unit's whole space.
struct Access {
    source: Source,
    elem: Elem,
    view: View,
    store: bool,
    place: Place,
}

/// Builds the kernel of `unit`; `outputs` are the values that others read.
pub fn build(ops: &Ops, unit: &Unit, places: &[Place], outputs: &[Val]) -> Built {
    let mut accesses: Vec<Access> = Vec::new();
    let inside: FxHashMap<Val, ()> = unit
        .ops
        .iter()
        .flat_map(|&o| ops.ops[o].results.iter().map(|r| (*r, ())))
        .collect();
    // For each argument of each operation: the access it reads through, if from outside.
    let mut reads: FxHashMap<(usize, usize), usize> = FxHashMap::default();
    for &o in &unit.ops {
        let op = &ops.ops[o];
        for (i, arg) in op.args.iter().enumerate() {
            let outside = match arg.source {
                Source::Val(v) => !inside.contains_key(&v),
                Source::Index => true,
                Source::Const(_) => false,
            };
            if outside {
                let place = point_of(op, places[o]);
                let access = Access {
                    source: arg.source,
                    elem: arg.elem,
                    view: over_full(&arg.view, place, unit),
                    store: false,
                    place,
                };
                let same = |a: &Access| {
                    !a.store
                        && a.source == access.source
                        && a.elem == access.elem
                        && a.view == access.view
                };
                let at = accesses.iter().position(same).unwrap_or_else(|| {
                    accesses.push(access);
                    accesses.len() - 1
                });
                reads.insert((o, i), at);
            }
        }
    }
    for &val in outputs {
        let info = ops.info(val);
        let op = unit
            .ops
            .iter()
            .find(|&&o| ops.ops[o].results.contains(&val));
        let place = places[*op.expect("an output of the unit")];
        let view = View::contiguous(&info.sizes).squeeze();
        accesses.push(Access {
            source: Source::Val(val),
            elem: info.elem,
            view: over_full(&view, place, unit),
            store: true,
            place,
        });
    }
    let loops = loops(unit, &accesses);
    let max_scratch = match loops.orient {
        Orient::Rows => (LINES / scratch_line(loops.cols.max(1))).min(8) as u16,
        Orient::Columns => 0,
    };
    let mut b = Builder::new(loops.orient, max_scratch);
    let mut operands = Vec::new();
    for (i, access) in accesses.iter().enumerate() {
        let (unit_size, val) = match access.source {
            Source::Val(v) => (access.elem.size() as isize, Some(v)),
            _ => (1, None),
        };
        let scale = |s: Option<&isize>| s.map_or(0, |s| s * unit_size);
        let strides = &loops.strides[i];
        b.operand(
            access.elem,
            scale(loops.row_axis.map(|a| &strides[a])),
            scale(loops.col_axis.map(|a| &strides[a])),
        );
        operands.push(Bound {
            val,
            is_store: access.store,
            offset: access.view.offset * unit_size,
            outer: loops
                .outer
                .iter()
                .map(|&a| strides[a] * unit_size)
                .collect(),
        });
    }
    let mut env: FxHashMap<Val, V> = FxHashMap::default();
    for &o in &unit.ops {
        let op = &ops.ops[o];
        let args: SmallVec<[V; 3]> = op
            .args
            .iter()
            .enumerate()
            .map(|(i, arg)| argument(&mut b, arg, reads.get(&(o, i)), &env))
            .collect();
        let elem = op.args.first().map_or(Elem::F32, |a| a.elem);
        let result = match &op.kind {
            Kind::Map(MapOp::Cast(to)) => cast(&mut b, args[0], elem, *to),
            Kind::Map(map) => map_op(&mut b, *map, &args),
            Kind::Reduce { op, .. } => b.reduce(*op, args[0]),
            Kind::Place { .. } | Kind::Dot(_) | Kind::Other(_) => {
                unreachable!("not part of a kernel")
            }
        };
        env.insert(op.results[0], result);
    }
    let mut levels = vec![Level::Point; accesses.len()];
    for (i, access) in accesses.iter().enumerate().filter(|(_, a)| a.store) {
        if let Source::Val(val) = access.source {
            b.store(i as u16, env[&val]);
        }
        if access.place == Place::Kept {
            levels[i] = Level::Line;
        }
    }
    let size = |axis: Option<usize>| axis.map_or(1, |a| loops.sizes[a]);
    Built {
        kernel: b.finish(|operand| levels[operand as usize]),
        operands,
        outer: loops.outer.iter().map(|&a| loops.sizes[a]).collect(),
        rows: size(loops.row_axis),
        cols: loops.cols,
    }
}

/// A kernel that copies `from` to `to`, both over the same sizes.
pub fn copy(from: &Arg, to: Val, place: &View) -> Built {
    let joined = join_axes(&place.sizes, &[], &[&from.view, place]);
    let rank = joined.sizes.len();
    let unit_size = from.elem.size() as isize;
    let mut b = Builder::new(Orient::Rows, 0);
    let (row, col) = (rank.checked_sub(2), rank.checked_sub(1));
    let outer: Vec<usize> = (0..rank.saturating_sub(2)).collect();
    let mut operands = Vec::new();
    let mut loaded = None;
    for (i, view) in [&from.view, place].into_iter().enumerate() {
        let strides = &joined.strides[i];
        let (val, scale) = match (i, from.source) {
            (0, Source::Val(v)) => (Some(v), unit_size),
            (0, Source::Index) => (None, 1),
            (0, Source::Const(x)) => {
                loaded = Some(b.number(x, super::vir::reg_type(from.elem)));
                continue;
            }
            _ => (Some(to), unit_size),
        };
        let at = |axis: Option<usize>| axis.map_or(0, |a| strides[a] * scale);
        let operand = b.operand(from.elem, at(row), at(col));
        operands.push(Bound {
            val,
            is_store: i == 1,
            offset: view.offset * scale,
            outer: outer.iter().map(|&a| strides[a] * scale).collect(),
        });
        match (i, val) {
            (0, Some(_)) => loaded = Some(b.load(operand)),
            (0, None) => {
                let index = b.index(operand);
                loaded = Some(cast(&mut b, index, Elem::I32, from.elem));
            }
            _ => {
                let value = loaded.expect("the source comes first");
                b.store(operand, value);
            }
        }
    }
    let size = |axis: Option<usize>| axis.map_or(1, |a| joined.sizes[a]);
    Built {
        kernel: b.finish(|_| Level::Point),
        operands,
        outer: outer.iter().map(|&a| joined.sizes[a]).collect(),
        rows: size(row),
        cols: size(col),
    }
}

/// The place from which an operation reads its arguments.
fn point_of(op: &Op, place: Place) -> Place {
    match op.kind {
        Kind::Reduce { .. } => Place::Full,
        _ => place,
    }
}

fn over_full(view: &View, place: Place, unit: &Unit) -> View {
    match (place, unit.reduced) {
        (Place::Kept, Some(reduced)) => extend(view, &unit.full, reduced),
        _ => view.clone(),
    }
}

struct Loops {
    orient: Orient,
    sizes: Vec<usize>,
    /// By access, by joined axis.
    strides: Vec<Strides>,
    outer: Vec<usize>,
    row_axis: Option<usize>,
    col_axis: Option<usize>,
    cols: usize,
}

fn loops(unit: &Unit, accesses: &[Access]) -> Loops {
    let views: Vec<&View> = accesses.iter().map(|a| &a.view).collect();
    let cuts: Vec<usize> = match unit.reduced {
        Some((from, to)) => vec![from, to],
        None => vec![],
    };
    let joined = join_axes(&unit.full, &cuts, &views);
    let rank = joined.sizes.len();
    let all = |used: &[Option<usize>]| -> Vec<usize> {
        (0..rank).filter(|&a| !used.contains(&Some(a))).collect()
    };
    let (orient, row_axis, col_axis) = match unit.reduced {
        None => (Orient::Rows, rank.checked_sub(2), rank.checked_sub(1)),
        Some((_, to)) if to == unit.full.len() => {
            (Orient::Rows, rank.checked_sub(2), rank.checked_sub(1))
        }
        Some((from, _)) => {
            // The reduced run is one axis: it lies after the axes before it.
            let row = joined.origin.iter().position(|&a| a >= from);
            (Orient::Columns, row, rank.checked_sub(1))
        }
    };
    Loops {
        orient,
        outer: all(&[row_axis, col_axis]),
        row_axis,
        col_axis,
        cols: col_axis.map_or(1, |a| joined.sizes[a]),
        sizes: joined.sizes,
        strides: joined.strides,
    }
}

struct Joined {
    sizes: Vec<usize>,
    strides: Vec<Strides>,
    /// The first axis that each comes from.
    origin: Vec<usize>,
}

/// Joins neighbouring axes, not across `cuts`, where every view has one stride for both.
fn join_axes(full: &[usize], cuts: &[usize], views: &[&View]) -> Joined {
    let mut joined = Joined {
        sizes: Vec::new(),
        strides: vec![Strides::new(); views.len()],
        origin: Vec::new(),
    };
    for (axis, &size) in full.iter().enumerate() {
        if size == 1 {
            continue;
        }
        let open = !joined.sizes.is_empty()
            && !cuts
                .iter()
                .any(|&c| c <= axis && joined.origin.last().is_some_and(|&o| o < c));
        let fits = |(view, strides): (&&View, &Strides)| {
            strides.last() == Some(&(view.strides[axis] * size as isize))
        };
        if open && views.iter().zip(&joined.strides).all(fits) {
            if let Some(last) = joined.sizes.last_mut() {
                *last *= size;
            }
            for (view, strides) in views.iter().zip(&mut joined.strides) {
                if let Some(last) = strides.last_mut() {
                    *last = view.strides[axis];
                }
            }
        } else {
            joined.sizes.push(size);
            joined.origin.push(axis);
            for (view, strides) in views.iter().zip(&mut joined.strides) {
                strides.push(view.strides[axis]);
            }
        }
    }
    joined
}

fn argument(b: &mut Builder, arg: &Arg, access: Option<&usize>, env: &FxHashMap<Val, V>) -> V {
    match (arg.source, access) {
        (Source::Const(x), _) => b.number(x, super::vir::reg_type(arg.elem)),
        (Source::Index, Some(&at)) => {
            let index = b.index(at as u16);
            cast(b, index, Elem::I32, arg.elem)
        }
        (_, Some(&at)) => b.load(at as u16),
        (Source::Val(v), None) => env[&v],
        (Source::Index, None) => unreachable!("an index is an operand"),
    }
}

fn cast(b: &mut Builder, v: V, from: Elem, to: Elem) -> V {
    if from == to {
        return v;
    }
    let zero = b.number(0.0, super::vir::reg_type(from));
    match (from, to) {
        (_, Elem::Bool) if from != Elem::Bool => b.cmp(Cmp::Ne, v, zero),
        (Elem::Bool, _) => {
            let ty = super::vir::reg_type(to);
            let (one, zero) = (b.number(1.0, ty), b.number(0.0, ty));
            b.select(v, one, zero)
        }
        (_, Elem::F32) => b.un(Un::ToF32, v),
        (_, Elem::F64) => b.un(Un::ToF64, v),
        (Elem::F32 | Elem::F64, Elem::I32) => b.un(Un::ToI32, v),
        (Elem::F32 | Elem::F64 | Elem::I32, Elem::U8) => {
            let whole = match from {
                Elem::I32 => v,
                _ => b.un(Un::ToI32, v),
            };
            let (low, high) = (b.i32(0), b.i32(255));
            let v = b.bin(Bin::Max, whole, low);
            b.bin(Bin::Min, v, high)
        }
        (Elem::U8, Elem::I32) => v,
        (Elem::I32 | Elem::U8, _) | (_, Elem::Bool) => v,
    }
}

fn map_op(b: &mut Builder, op: MapOp, args: &[V]) -> V {
    match op {
        MapOp::Copy | MapOp::Cast(_) => args[0],
        MapOp::Unary(op) => unary(b, op, args[0]),
        MapOp::Binary(op) => binary(b, op, args[0], args[1]),
        MapOp::Select => match b.ty(args[1]) {
            Ty::Mask => {
                let (not, yes) = (b.un(Un::Not, args[0]), b.bin(Bin::And, args[0], args[1]));
                let no = b.bin(Bin::And, not, args[2]);
                b.bin(Bin::Or, yes, no)
            }
            _ => b.select(args[0], args[1], args[2]),
        },
        MapOp::Compare(op) => compare(b, op, args[0], args[1]),
    }
}

fn compare(b: &mut Builder, op: Compare, x: V, y: V) -> V {
    let cmp = match op {
        Compare::Eq => Cmp::Eq,
        Compare::Ne => Cmp::Ne,
        Compare::Lt => Cmp::Lt,
        Compare::Le => Cmp::Le,
        Compare::Gt => Cmp::Gt,
        Compare::Ge => Cmp::Ge,
    };
    match b.ty(x) {
        Ty::Mask => {
            let (one, zero) = (b.i32(1), b.i32(0));
            let (x, y) = (b.select(x, one, zero), b.select(y, one, zero));
            b.cmp(cmp, x, y)
        }
        _ => b.cmp(cmp, x, y),
    }
}

fn unary(b: &mut Builder, op: Unary, x: V) -> V {
    match op {
        Unary::Neg => b.un(Un::Neg, x),
        Unary::Abs => b.un(Un::Abs, x),
        Unary::Floor => b.un(Un::Floor, x),
        Unary::Ceil => b.un(Un::Ceil, x),
        Unary::Round => b.un(Un::Round, x),
        Unary::Sqrt => b.un(Un::Sqrt, x),
        Unary::Not => b.un(Un::Not, x),
        Unary::Sign => {
            let ty = b.ty(x);
            let (zero, one, minus) = (b.number(0.0, ty), b.number(1.0, ty), b.number(-1.0, ty));
            let up = b.cmp(Cmp::Gt, x, zero);
            let down = b.cmp(Cmp::Lt, x, zero);
            let below = b.select(down, minus, x);
            b.select(up, one, below)
        }
        Unary::Exp
        | Unary::Log
        | Unary::Log1p
        | Unary::Expm1
        | Unary::Sin
        | Unary::Cos
        | Unary::Tanh
        | Unary::Logistic
        | Unary::Erf => math::expand(b, op, x),
    }
}

fn binary(b: &mut Builder, op: Binary, x: V, y: V) -> V {
    match op {
        Binary::Add => b.add(x, y),
        Binary::Sub => b.sub(x, y),
        Binary::Mul => b.mul(x, y),
        Binary::Div => b.div(x, y),
        Binary::Rem => match b.ty(x) {
            Ty::I32 => b.bin(Bin::Rem, x, y),
            _ => b.call(Func::Rem, x, Some(y)),
        },
        Binary::Pow => math::pow(b, x, y),
        Binary::Max => extreme(b, Bin::Max, x, y),
        Binary::Min => extreme(b, Bin::Min, x, y),
        Binary::And => b.bin(Bin::And, x, y),
        Binary::Or => b.bin(Bin::Or, x, y),
    }
}

/// Max or min that is NaN where either is; one instruction where an operand is a constant.
fn extreme(b: &mut Builder, op: Bin, x: V, y: V) -> V {
    use super::vir::Op;
    let constant = |b: &Builder, v: V| match b.op(v) {
        Op::F32(bits) => !f32::from_bits(bits).is_nan(),
        Op::F64(bits) => !f64::from_bits(bits).is_nan(),
        _ => false,
    };
    if b.ty(x) == Ty::I32 || constant(b, x) {
        b.bin(op, x, y)
    } else if constant(b, y) {
        b.bin(op, y, x)
    } else {
        let best = b.bin(op, x, y);
        let nan = b.cmp(Cmp::Ne, x, x);
        b.select(nan, x, best)
    }
}
