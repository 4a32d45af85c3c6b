//! Fusion: which operations become one kernel.
//!
//! Every [`Unit`] is a kernel over one iteration space, or a single operation that is not elementwise. Operations are
//! taken in order; each joins the units of its operands where the result is still one loop nest and no cycle arises:
//!
//! - elementwise operations over the same sizes;
//! - a reduction of a unit's values, over the same axes as the unit's other reductions; its result lives on the
//!   *kept* axes (a row's maximum), may be worked on there, and may be broadcast back (`x - max`);
//! - units over the kept axes alone are drawn in (the bias update after the bias gradient).

use super::Limits;
use super::ops::{Arg, Def, Kind, Op, Ops};
use super::view::{Sizes, View, row_major};

/// One kernel, or one operation that is none.
#[derive(Clone, Debug)]
pub struct Unit {
    /// Indices of operations, ascending.
    pub ops: Vec<usize>,
    /// The iteration space of a kernel.
    pub full: Sizes,
    /// The axes that its reductions remove.
    pub reduced: Option<(usize, usize)>,
    pub is_kernel: bool,
}

/// Where in its unit's space an operation's result lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Full,
    Kept,
}

/// Units in an order in which each comes after what it reads.
#[derive(Clone, Debug)]
pub struct Fused {
    pub units: Vec<Unit>,
    /// By operation.
    pub places: Vec<Place>,
}

pub fn fuse(ops: &Ops, limits: &Limits) -> Fused {
    // A quick look for cycles nearly always sees all there are.
    attempt(ops, limits, false)
        .or_else(|| attempt(ops, limits, true))
        .unwrap_or_else(|| unreachable!("no unit was made that closes a cycle"))
}

/// `None` where units depend on each other in a circle.
fn attempt(ops: &Ops, limits: &Limits, thorough: bool) -> Option<Fused> {
    let mut f = Fuser {
        ops,
        limits,
        thorough,
        units: Vec::new(),
        unit_of: Vec::with_capacity(ops.ops.len()),
        places: vec![Place::Full; ops.ops.len()],
    };
    for (i, op) in ops.ops.iter().enumerate() {
        match &op.kind {
            Kind::Map(_) => f.map(i, op),
            Kind::Reduce { from, to, .. } => f.reduce(i, op, (*from, *to)),
            Kind::Place { .. } | Kind::Dot(_) | Kind::Other(_) => {
                f.alone(i, Sizes::new(), None, false);
            }
        }
    }
    f.finish()
}

/// `view` over the full space, for a value over the kept axes.
pub fn extend(view: &View, full: &[usize], (from, to): (usize, usize)) -> View {
    let mut strides = view.strides.clone();
    strides.insert_many(from, std::iter::repeat_n(0, to - from));
    View {
        offset: view.offset,
        sizes: full.into(),
        strides,
    }
}

pub fn kept(full: &[usize], (from, to): (usize, usize)) -> Sizes {
    full[..from].iter().chain(&full[to..]).copied().collect()
}

struct Fuser<'a> {
    /// Whether every path is followed when cycles are looked for.
    thorough: bool,
    ops: &'a Ops,
    limits: &'a Limits,
    units: Vec<Option<Unit>>,
    unit_of: Vec<usize>,
    places: Vec<Place>,
}

impl Fuser<'_> {
    fn unit(&self, u: usize) -> &Unit {
        self.units[u]
            .as_ref()
            .expect("a merged unit is not referred to")
    }

    fn alone(&mut self, op: usize, full: Sizes, reduced: Option<(usize, usize)>, kernel: bool) {
        self.unit_of.push(self.units.len());
        self.units.push(Some(Unit {
            ops: vec![op],
            full,
            reduced,
            is_kernel: kernel,
        }));
    }

    fn map(&mut self, i: usize, op: &Op) {
        let sizes: Sizes = (self.ops.info(op.results[0]).sizes.iter())
            .copied()
            .filter(|&s| s != 1)
            .collect();
        let mut home: Option<usize> = None;
        for u in self.candidates(op) {
            match home {
                None => {
                    let unit = self.unit(u);
                    let place = if unit.full == sizes {
                        Place::Full
                    } else if unit.reduced.is_some_and(|r| kept(&unit.full, r) == sizes) {
                        Place::Kept
                    } else {
                        continue;
                    };
                    if self.may_join(op, place, u) {
                        self.places[i] = place;
                        home = Some(u);
                    }
                }
                Some(h) => {
                    // The place may change: a unit over the kept axes is drawn in.
                    if let Some((into, from, drawn)) = self.merge_plan(h, u) {
                        let place = match drawn && from == h {
                            true => Place::Kept,
                            false => self.places[i],
                        };
                        if self.may_merge(op, place, into, from, drawn) {
                            self.merge(into, from, drawn);
                            self.places[i] = place;
                            home = Some(into);
                        }
                    }
                }
            }
        }
        match home {
            Some(u) => self.join(i, u),
            None => self.alone(i, sizes, None, true),
        }
    }

    fn reduce(&mut self, i: usize, op: &Op, axes: (usize, usize)) {
        self.places[i] = Place::Kept;
        let sizes = &op.args[0].view.sizes;
        for u in self.candidates(op) {
            let unit = self.unit(u);
            let columns = axes.1 < sizes.len();
            let fits = unit.full == *sizes
                && unit.reduced.is_none_or(|r| r == axes)
                && self.reads(op, Place::Full, u)
                && !(columns
                    && unit.reduced.is_none()
                    && sizes.iter().product::<usize>() > self.limits.column_elements)
                && self.joins_along(u, axes)
                && self.small(u, op)
                && !self.cycle(op, &[u]);
            if fits {
                if let Some(unit) = &mut self.units[u] {
                    unit.reduced = Some(axes);
                }
                return self.join(i, u);
            }
        }
        self.alone(i, sizes.clone(), Some(axes), true);
    }

    /// Kernels that define an operand, latest first.
    fn candidates(&self, op: &Op) -> Vec<usize> {
        let mut found: Vec<usize> = op.args.iter().filter_map(|a| self.unit_behind(a)).collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.dedup();
        found.retain(|u| self.unit(*u).is_kernel);
        found
    }

    fn unit_behind(&self, arg: &Arg) -> Option<usize> {
        match self.ops.info(arg.val()?).def {
            Def::Input(_) => None,
            Def::Op(op) => Some(self.unit_of[op]),
        }
    }

    fn may_join(&self, op: &Op, place: Place, u: usize) -> bool {
        self.reads(op, place, u)
            && self.small(u, op)
            && !self.cycle(op, &[u])
            && self.outside_joins(op, place, u, self.unit(u).reduced)
    }

    /// Which unit takes which, and whether the second is drawn into the first's kept axes.
    fn merge_plan(&self, a: usize, b: usize) -> Option<(usize, usize, bool)> {
        let (x, y) = (self.unit(a), self.unit(b));
        if x.full == y.full {
            return match (x.reduced, y.reduced) {
                (_, None) => Some((a, b, false)),
                (None, _) => Some((b, a, false)),
                (r, s) if r == s => Some((a, b, false)),
                _ => None,
            };
        }
        let draws = |into: &Unit, from: &Unit| {
            from.reduced.is_none()
                && into
                    .reduced
                    .is_some_and(|r| kept(&into.full, r) == from.full)
        };
        if draws(x, y) {
            Some((a, b, true))
        } else if draws(y, x) {
            Some((b, a, true))
        } else {
            None
        }
    }

    fn may_merge(&self, op: &Op, place: Place, into: usize, from: usize, drawn: bool) -> bool {
        let (a, b) = (self.unit(into), self.unit(from));
        if !a.is_kernel
            || !b.is_kernel
            || self.weight(into) + self.weight(from) + 4 > self.limits.operands
        {
            return false;
        }
        let b_place = |o: usize| if drawn { Place::Kept } else { self.places[o] };
        // Every read across, and the operation's own, must be of the same point or of the line.
        let across = |reader: usize, place: Place| {
            self.ops.ops[reader]
                .args
                .iter()
                .all(|arg| match self.unit_behind(arg) {
                    Some(u) if u == into || u == from => {
                        let def = self.defining(arg);
                        let from_place = if u == from {
                            b_place(def)
                        } else {
                            self.places[def]
                        };
                        let at = match self.ops.ops[reader].kind {
                            Kind::Reduce { .. } => Place::Full,
                            _ => place,
                        };
                        fusable(&arg.view, from_place, at, &a.full, a.reduced)
                    }
                    _ => true,
                })
        };
        let all_read = a.ops.iter().all(|&o| across(o, self.places[o]))
            && b.ops.iter().all(|&o| across(o, b_place(o)))
            && op.args.iter().all(|arg| match self.unit_behind(arg) {
                Some(u) if u == into || u == from => {
                    let def = self.defining(arg);
                    let from_place = if u == from {
                        b_place(def)
                    } else {
                        self.places[def]
                    };
                    fusable(&arg.view, from_place, place, &a.full, a.reduced)
                }
                _ => true,
            });
        let join = (b.ops.iter())
            .all(|&o| self.outside_joins(&self.ops.ops[o], b_place(o), into, a.reduced));
        all_read
            && join
            && !self.cycle(op, &[into, from])
            && !self.path_around(into, from)
            && !self.path_around(from, into)
    }

    fn merge(&mut self, into: usize, from: usize, drawn: bool) {
        let Some(taken) = self.units[from].take() else {
            return;
        };
        for &o in &taken.ops {
            self.unit_of[o] = into;
            if drawn {
                self.places[o] = Place::Kept;
            }
        }
        if let Some(unit) = &mut self.units[into] {
            unit.ops.extend(taken.ops);
            unit.ops.sort_unstable();
        }
    }

    fn join(&mut self, op: usize, u: usize) {
        self.unit_of.push(u);
        if let Some(unit) = &mut self.units[u] {
            unit.ops.push(op);
        }
    }

    fn defining(&self, arg: &Arg) -> usize {
        match arg.val().map(|v| self.ops.info(v).def) {
            Some(Def::Op(op)) => op,
            _ => unreachable!("an argument from a unit"),
        }
    }

    /// Whether everything that `op` reads from unit `u` is at its own point or line.
    fn reads(&self, op: &Op, place: Place, u: usize) -> bool {
        let unit = self.unit(u);
        op.args.iter().all(|arg| match self.unit_behind(arg) {
            Some(v) if v == u => {
                let from = self.places[self.defining(arg)];
                fusable(&arg.view, from, place, &unit.full, unit.reduced)
            }
            _ => true,
        })
    }

    /// Whether the views of what `op` reads from outside unit `u` have one stride along the reduced axes.
    fn outside_joins(
        &self,
        op: &Op,
        place: Place,
        u: usize,
        reduced: Option<(usize, usize)>,
    ) -> bool {
        let Some((from, to)) = reduced else {
            return true;
        };
        let full = match op.kind {
            Kind::Reduce { .. } => true,
            _ => place == Place::Full,
        };
        !full
            || op
                .args
                .iter()
                .filter(|arg| self.unit_behind(arg) != Some(u))
                .all(|arg| arg.view.join(from, to).is_some())
    }

    fn joins_along(&self, u: usize, axes: (usize, usize)) -> bool {
        let unit = self.unit(u);
        unit.ops
            .iter()
            .all(|&o| self.outside_joins(&self.ops.ops[o], self.places[o], u, Some(axes)))
    }

    fn weight(&self, u: usize) -> usize {
        let unit = self.unit(u);
        let args = |&o: &usize| {
            let outside = |a: &&Arg| a.val().is_some() && self.unit_behind(a) != Some(u);
            self.ops.ops[o].args.iter().filter(outside).count() + 1
        };
        unit.ops.iter().map(args).sum()
    }

    fn small(&self, u: usize, op: &Op) -> bool {
        self.weight(u) + op.args.len() < self.limits.operands
    }

    /// Whether an operand of `op` from outside `targets` depends on one of them.
    fn cycle(&self, op: &Op, targets: &[usize]) -> bool {
        let start = op
            .args
            .iter()
            .filter_map(|a| self.unit_behind(a))
            .filter(|u| !targets.contains(u));
        self.reaches(start.collect(), targets)
    }

    /// Whether `from` depends on `to` through a third unit.
    fn path_around(&self, from: usize, to: usize) -> bool {
        let start: Vec<usize> = self.dependencies(from).filter(|u| *u != to).collect();
        self.reaches(start, &[to])
    }

    fn dependencies(&self, u: usize) -> impl Iterator<Item = usize> {
        let ops = self.unit(u).ops.iter();
        let args = ops.flat_map(|&o| &self.ops.ops[o].args);
        args.filter_map(|a| self.unit_behind(a))
            .filter(move |v| *v != u)
    }

    fn reaches(&self, mut stack: Vec<usize>, targets: &[usize]) -> bool {
        // What ends before the first operation of all targets does not depend on them, unless
        // through a unit that was read first and got more operations later.
        let first = targets.iter().map(|t| self.unit(*t).ops[0]).min();
        let mut seen = rustc_hash::FxHashSet::default();
        while let Some(u) = stack.pop() {
            if targets.contains(&u) {
                return true;
            }
            let early = !self.thorough && self.unit(u).ops.last().copied() < first;
            if early || !seen.insert(u) {
                continue;
            }
            stack.extend(self.dependencies(u));
        }
        false
    }

    /// Topological order; among the ready the one that ends earliest in the graph.
    fn finish(self) -> Option<Fused> {
        let mut waiting: Vec<usize> = vec![0; self.units.len()];
        let mut readers: Vec<Vec<usize>> = vec![Vec::new(); self.units.len()];
        let mut ready = std::collections::BinaryHeap::new();
        for u in (0..self.units.len()).filter(|&u| self.units[u].is_some()) {
            let mut needs: Vec<usize> = self.dependencies(u).collect();
            needs.sort_unstable();
            needs.dedup();
            waiting[u] = needs.len();
            for n in &needs {
                readers[*n].push(u);
            }
            if needs.is_empty() {
                ready.push(std::cmp::Reverse((self.unit(u).ops.last().copied(), u)));
            }
        }
        let mut order = Vec::new();
        while let Some(std::cmp::Reverse((_, u))) = ready.pop() {
            order.push(u);
            for &r in &readers[u] {
                waiting[r] -= 1;
                if waiting[r] == 0 {
                    ready.push(std::cmp::Reverse((self.unit(r).ops.last().copied(), r)));
                }
            }
        }
        let all = order.len() == self.units.iter().flatten().count();
        all.then(|| Fused {
            units: order.iter().map(|&u| self.unit(u).clone()).collect(),
            places: self.places,
        })
    }
}

/// Whether a read by `view` is of the value's element at the same point, or at the point's line.
fn fusable(
    view: &View,
    from: Place,
    at: Place,
    full: &[usize],
    reduced: Option<(usize, usize)>,
) -> bool {
    match (from, at) {
        (Place::Full, Place::Full) => view.sizes[..] == *full && view.is_whole(),
        (Place::Kept, Place::Kept) => {
            view.is_whole() && reduced.is_some_and(|r| kept(full, r) == view.sizes)
        }
        (Place::Kept, Place::Full) => {
            let Some((from, to)) = reduced else {
                return false;
            };
            let sizes = kept(full, (from, to));
            let line = View {
                offset: 0,
                strides: row_major(&sizes),
                sizes,
            };
            view.sizes[..] == *full
                && view.offset == 0
                && extend(&line, full, (from, to)).strides == view.strides
        }
        (Place::Full, Place::Kept) => false,
    }
}
