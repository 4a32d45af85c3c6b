//! From a fused unit to a kernel: loops, operands, and the body in the vector IR.
//!
//! The iteration space's axes are joined as far as every operand's strides allow; the last one becomes the columns
//! (the lanes), the one before the rows, and the driver walks the others.

use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use super::ops::{Arg, Kind, MapOp, Op, Ops, Source, Val};
use super::units::{Place, Unit, extend};
use super::view::{Sizes, Strides, View};
use super::vir::{Builder, Kernel, Level, Orient, V, reg_type};
use super::{Limits, body};
use crate::ir::Elem;

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

/// What a unit reads from outside and what it stores: the operands of its kernel, in order.
struct Accesses {
    list: Vec<Access>,
    /// For each argument of each operation that comes from outside: the access it reads through.
    reads: FxHashMap<(usize, usize), usize>,
}

impl Accesses {
    /// `outputs` are the values that others read.
    fn of(ops: &Ops, unit: &Unit, places: &[Place], outputs: &[Val]) -> Accesses {
        let results = unit.ops.iter().flat_map(|&o| &ops.ops[o].results);
        let inside: FxHashSet<Val> = results.copied().collect();
        let mut accesses = Accesses {
            list: Vec::new(),
            reads: FxHashMap::default(),
        };
        for &o in &unit.ops {
            let op = &ops.ops[o];
            for (i, arg) in op.args.iter().enumerate() {
                let outside = match arg.source {
                    Source::Val(v) => !inside.contains(&v),
                    Source::Index => true,
                    Source::Const(_) => false,
                };
                if outside {
                    let place = point_of(op, places[o]);
                    let at = accesses.read(Access {
                        source: arg.source,
                        elem: arg.elem,
                        view: over_full(&arg.view, place, unit),
                        store: false,
                        place,
                    });
                    accesses.reads.insert((o, i), at);
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
            accesses.list.push(Access {
                source: Source::Val(val),
                elem: info.elem,
                view: over_full(&view, place, unit),
                store: true,
                place,
            });
        }
        accesses
    }

    /// The place of a read in the list; equal reads have one.
    fn read(&mut self, access: Access) -> usize {
        let same = |a: &Access| {
            !a.store && a.source == access.source && a.elem == access.elem && a.view == access.view
        };
        self.list.iter().position(same).unwrap_or_else(|| {
            self.list.push(access);
            self.list.len() - 1
        })
    }
}

/// Builds the kernel of `unit`; `outputs` are the values that others read.
pub fn build(ops: &Ops, unit: &Unit, places: &[Place], outputs: &[Val], limits: &Limits) -> Built {
    let accesses = Accesses::of(ops, unit, places, outputs);
    let loops = loops(unit, &accesses.list);
    let max_scratch = match loops.orient {
        Orient::Rows => (limits.scratch_bytes / scratch_line(loops.cols.max(1))).min(8) as u16,
        Orient::Columns => 0,
    };
    let mut b = Builder::new(loops.orient, max_scratch);
    let operands = bind(&mut b, &accesses.list, &loops);
    let mut env: FxHashMap<Val, V> = FxHashMap::default();
    for &o in &unit.ops {
        let op = &ops.ops[o];
        let mut args: SmallVec<[V; 3]> = SmallVec::new();
        for (i, arg) in op.args.iter().enumerate() {
            let access = accesses.reads.get(&(o, i));
            args.push(body::argument(&mut b, arg, access, &env));
        }
        let elem = op.args.first().map_or(Elem::F32, |a| a.elem);
        let result = match &op.kind {
            Kind::Map(MapOp::Cast(to)) => body::cast(&mut b, args[0], elem, *to),
            Kind::Map(map) => body::map_op(&mut b, *map, &args),
            Kind::Reduce { op, .. } => b.reduce(*op, args[0]),
            Kind::Place { .. } | Kind::Dot(_) | Kind::Other(_) => {
                unreachable!("not part of a kernel")
            }
        };
        env.insert(op.results[0], result);
    }
    let mut levels = vec![Level::Point; accesses.list.len()];
    for (i, access) in accesses.list.iter().enumerate().filter(|(_, a)| a.store) {
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

/// Declares an operand for every access.
fn bind(b: &mut Builder, accesses: &[Access], loops: &Loops) -> Vec<Bound> {
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
    operands
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
                loaded = Some(b.number(x, reg_type(from.elem)));
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
                loaded = Some(body::cast(&mut b, index, Elem::I32, from.elem));
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
