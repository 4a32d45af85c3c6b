//! From fused units to a program: which buffer every value has, and the steps that fill them.
//!
//! A value that is the new value of an input is written over the old one where nothing reads that later, and a
//! value that is a result goes straight to where results go; else a copy at the end does it. The rest lives in one
//! arena (`passes::memory`); an elementwise kernel may write over an operand that nobody reads afterwards.

mod steps;
mod windows;

use steps::Placement;

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::CompileError;
use super::features::Features;
use super::fuse::{self, Fused, Place, Unit};
use super::kernel::{self, Built};
use super::ops::{Arg, Def, Kind, Ops, Source, Val};
use super::step::{Call, FIRST_INPUT, OperandAt, Program, Step};
use super::view::View;
use super::vir::Kernel;
use crate::ir::prim::Prim;
use crate::ir::{Graph, OutputRole};
use crate::passes::memory::{self, Request};

/// Kernels of a program and of those nested in it; equal ones are compiled once.
#[derive(Default)]
pub struct Kernels {
    pub list: Vec<Kernel>,
    known: FxHashMap<Arc<Kernel>, usize>,
}

impl Kernels {
    fn add(&mut self, kernel: Kernel) -> usize {
        if let Some(&i) = self.known.get(&kernel) {
            return i;
        }
        self.list.push(kernel.clone());
        self.known.insert(Arc::new(kernel), self.list.len() - 1);
        self.list.len() - 1
    }
}

/// What is the same for every program of a compilation.
pub struct Settings {
    pub seed: u64,
    pub features: Features,
}

/// Where a value lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Home {
    Input(usize),
    Result(usize),
    Arena(usize),
}

/// Makes the program of `graph`. In a loop's body every output is a result.
pub fn plan(
    graph: &Graph,
    is_body: bool,
    settings: &Settings,
    kernels: &mut Kernels,
) -> Result<Program, CompileError> {
    let mut ops = Ops::of(graph)?;
    ops.remove_dead();
    let fused = fuse::fuse(&ops);
    let mut targets = Vec::new();
    let mut results = 0;
    for output in &graph.outputs {
        targets.push(match output.role {
            OutputRole::Update(i) if !is_body => Home::Input(i),
            OutputRole::Update(_) | OutputRole::Result => {
                results += 1;
                Home::Result(results - 1)
            }
        });
    }
    let mut planner = Planner {
        uses: Uses::of(&ops, &fused),
        homes: FxHashMap::default(),
        requests: Vec::new(),
        built: Vec::new(),
        ops: &ops,
        fused: &fused,
        settings,
        kernels,
        inputs: graph.inputs.len(),
    };
    let final_copies = planner.homes_of_outputs(&targets);
    planner.build_kernels();
    planner.homes_of_rest();
    planner.program(results, &final_copies)
}

/// Who reads what, by position of the unit.
struct Uses {
    /// Units that read a value, ascending.
    readers: FxHashMap<Val, Vec<usize>>,
    /// Unit by operation.
    unit_of: Vec<usize>,
}

impl Uses {
    fn of(ops: &Ops, fused: &Fused) -> Uses {
        let mut uses = Uses {
            readers: FxHashMap::default(),
            unit_of: vec![usize::MAX; ops.ops.len()],
        };
        for (u, unit) in fused.units.iter().enumerate() {
            for &o in &unit.ops {
                uses.unit_of[o] = u;
            }
        }
        for (u, unit) in fused.units.iter().enumerate() {
            for val in unit
                .ops
                .iter()
                .flat_map(|&o| &ops.ops[o].args)
                .filter_map(Arg::val)
            {
                let readers = uses.readers.entry(val).or_default();
                if readers.last() != Some(&u) {
                    readers.push(u);
                }
            }
        }
        uses
    }
    fn readers(&self, val: Val) -> &[usize] {
        self.readers.get(&val).map_or(&[], |r| r)
    }
}

struct Planner<'a> {
    ops: &'a Ops,
    fused: &'a Fused,
    uses: Uses,
    settings: &'a Settings,
    kernels: &'a mut Kernels,
    homes: FxHashMap<Val, Home>,
    requests: Vec<Request>,
    /// Kernels by unit.
    built: Vec<Option<Built>>,
    inputs: usize,
}

/// A copy after the last step. `staged`: through a buffer of its own, since its source may be overwritten meanwhile.
struct FinalCopy {
    from: Arg,
    to: Home,
    staged: Option<usize>,
}

impl Planner<'_> {
    fn unit_of(&self, val: Val) -> Option<usize> {
        match self.ops.info(val).def {
            Def::Input(_) => None,
            Def::Op(op) => Some(self.uses.unit_of[op]),
        }
    }

    /// Decides which outputs are written in place, and what must be copied at the end.
    fn homes_of_outputs(&mut self, targets: &[Home]) -> Vec<FinalCopy> {
        let end = self.fused.units.len();
        for (i, &val) in self.ops.inputs.iter().enumerate() {
            self.homes.insert(val, Home::Input(i));
        }
        let mut copies = Vec::new();
        // Updates first: their copies cost most.
        let mut order: Vec<usize> = (0..targets.len()).collect();
        order.sort_by_key(|&i| matches!(targets[i], Home::Result(_)));
        for i in order {
            let (from, to) = (&self.ops.outputs[i], targets[i]);
            let whole = self.ops.whole_val(from);
            if let (Some(val), Home::Input(input)) = (whole, to)
                && val == self.ops.inputs[input]
            {
                continue;
            }
            let direct =
                whole
                    .filter(|val| !self.homes.contains_key(val))
                    .filter(|&val| match to {
                        Home::Input(input) => {
                            self.may_overwrite(val, self.ops.inputs[input], targets)
                        }
                        Home::Result(_) | Home::Arena(_) => true,
                    });
            if let Some(val) = direct {
                self.homes.insert(val, to);
                continue;
            }
            let from_input = from
                .val()
                .is_some_and(|v| matches!(self.ops.info(v).def, Def::Input(_)));
            let staged = (from_input && matches!(to, Home::Input(_))).then(|| {
                let bytes = from.view.elements() * from.elem.size();
                self.request(bytes, end, end + 1)
            });
            copies.push(FinalCopy {
                from: from.clone(),
                to,
                staged,
            });
        }
        // Results may be read from inputs that updates then overwrite.
        copies.sort_by_key(|c| matches!(c.to, Home::Input(_)));
        copies
    }

    /// Whether `val` may be written where `old`, an input, is.
    fn may_overwrite(&self, val: Val, old: Val, targets: &[Home]) -> bool {
        let Some(unit) = self.unit_of(val) else {
            return false;
        };
        let read_at_end = self.ops.outputs.iter().zip(targets).any(|(arg, to)| {
            let itself = self.ops.whole_val(arg) == Some(old)
                && matches!(to, Home::Input(i) if self.ops.inputs[*i] == old);
            arg.val() == Some(old) && !itself
        });
        !read_at_end
            && self.uses.readers(old).iter().all(|&r| r <= unit)
            && (!self.uses.readers(old).contains(&unit) || self.same_point(unit, val, old))
    }

    /// Whether `unit` reads `old` only where it writes `val`, before it does.
    fn same_point(&self, unit: usize, val: Val, old: Val) -> bool {
        let u = &self.fused.units[unit];
        let Def::Op(op) = self.ops.info(val).def else {
            return false;
        };
        let place = self.fused.places[op];
        let once = u.is_kernel && (place == Place::Kept || u.reduced.is_none());
        let (new, was) = (self.ops.info(val), self.ops.info(old));
        once && new.elem == was.elem
            && u.ops.iter().all(|&o| {
                let reader = &self.ops.ops[o];
                let at = match reader.kind {
                    Kind::Reduce { .. } => Place::Full,
                    _ => self.fused.places[o],
                };
                reader
                    .args
                    .iter()
                    .filter(|a| a.val() == Some(old))
                    .all(|a| {
                        at == place
                            && a.view.is_whole()
                            && self.covers(a, new.sizes.iter().product())
                    })
            })
    }

    fn covers(&self, arg: &Arg, elements: usize) -> bool {
        arg.view.elements() == elements
    }

    fn build_kernels(&mut self) {
        for u in 0..self.fused.units.len() {
            let unit = &self.fused.units[u];
            if !unit.is_kernel {
                self.built.push(None);
                continue;
            }
            let outputs = self.outputs(u);
            self.built.push(Some(kernel::build(
                self.ops,
                unit,
                &self.fused.places,
                &outputs,
            )));
        }
    }

    /// Values of a kernel that somebody else reads.
    fn outputs(&self, u: usize) -> Vec<Val> {
        let unit = &self.fused.units[u];
        let results = unit.ops.iter().flat_map(|&o| &self.ops.ops[o].results);
        results
            .copied()
            .filter(|v| {
                self.uses.readers(*v).iter().any(|&r| r != u)
                    || self.ops.outputs.iter().any(|a| a.val() == Some(*v))
            })
            .collect()
    }

    fn request(&mut self, bytes: usize, first: usize, last: usize) -> usize {
        self.requests.push(Request { bytes, first, last });
        self.requests.len() - 1
    }

    fn bytes(&self, val: Val) -> usize {
        let info = self.ops.info(val);
        info.sizes.iter().product::<usize>() * info.elem.size()
    }

    /// Places in the arena, reusing an operand's where it dies.
    fn homes_of_rest(&mut self) {
        let end = self.fused.units.len();
        let read_at_end: FxHashSet<Val> = self.ops.outputs.iter().filter_map(Arg::val).collect();
        let mut last_use: Vec<usize> = Vec::new();
        for u in 0..end {
            let unit = &self.fused.units[u];
            let results: Vec<Val> = match unit.is_kernel {
                true => self.outputs(u),
                false => (unit.ops.iter())
                    .flat_map(|&o| self.ops.ops[o].results.iter().copied())
                    .collect(),
            };
            for val in results {
                if self.homes.contains_key(&val) {
                    continue;
                }
                let last = match read_at_end.contains(&val) {
                    true => end + 1,
                    false => self.uses.readers(val).last().copied().unwrap_or(u).max(u),
                };
                let dying =
                    self.operands(u)
                        .into_iter()
                        .find_map(|old| match self.homes.get(&old) {
                            Some(&Home::Arena(r))
                                if last_use[r] == u
                                    && !read_at_end.contains(&old)
                                    && self.uses.readers(old).last() == Some(&u)
                                    && self.bytes(old) == self.bytes(val)
                                    && self.same_point(u, val, old) =>
                            {
                                Some(r)
                            }
                            _ => None,
                        });
                let r = match dying {
                    Some(r) => {
                        self.requests[r].last = last;
                        r
                    }
                    None => self.request(self.bytes(val), u, last),
                };
                last_use.resize(self.requests.len(), 0);
                last_use[r] = last;
                self.homes.insert(val, Home::Arena(r));
            }
        }
    }

    fn operands(&self, u: usize) -> Vec<Val> {
        let args = self.fused.units[u]
            .ops
            .iter()
            .flat_map(|&o| &self.ops.ops[o].args);
        args.filter_map(Arg::val).collect()
    }

    fn program(
        mut self,
        results: usize,
        final_copies: &[FinalCopy],
    ) -> Result<Program, CompileError> {
        // Loops have their own arenas and spare carries, which live for one step.
        let mut bodies: FxHashMap<usize, (Program, usize, Vec<usize>)> = FxHashMap::default();
        for u in 0..self.fused.units.len() {
            let op = &self.ops.ops[self.fused.units[u].ops[0]];
            if let Kind::Other(Prim::Scan(scan)) = &op.kind {
                let body = plan(&scan.body, true, self.settings, self.kernels)?;
                let arena = self.request(body.arena, u, u);
                let spares = (0..scan.carries)
                    .map(|i| self.request(self.bytes(op.results[i]), u, u))
                    .collect();
                bodies.insert(u, (body, arena, spares));
            }
        }
        let arena = memory::plan(&self.requests);
        let place = Placement {
            ops: self.ops,
            homes: &self.homes,
            offsets: &arena.offsets,
            inputs: self.inputs,
        };
        let mut program = Program {
            steps: Vec::new(),
            labels: Vec::new(),
            inputs: self.inputs,
            results,
            arena: arena.bytes,
            scratch: 0,
            flops: 0,
            bases: usize::from(FIRST_INPUT) + self.inputs + results,
        };
        for (u, unit) in self.fused.units.iter().enumerate() {
            if let Some(built) = self.built[u].take() {
                let call = place.call(built, self.kernels);
                program.kernel(call, label(self.ops, unit));
                continue;
            }
            let op = &self.ops.ops[unit.ops[0]];
            match &op.kind {
                Kind::Place { places, fill } => {
                    let to = op.results[0];
                    if *fill {
                        let mut scalar = op.args[1].clone();
                        let sizes = &self.ops.info(to).sizes;
                        scalar.view = scalar.view.broadcast(sizes, &[]);
                        let built = kernel::copy(&scalar, to, &View::contiguous(sizes));
                        program.kernel(place.call(built, self.kernels), "fill".into());
                    }
                    for (arg, to_place) in op.args.iter().zip(places) {
                        let built = kernel::copy(arg, to, to_place);
                        program.kernel(place.call(built, self.kernels), "place".into());
                    }
                }
                Kind::Dot(dims) => place.dot(dims, op, self.settings, self.kernels, &mut program),
                Kind::Other(Prim::Scan(scan)) => {
                    if let Some((body, arena, spares)) = bodies.remove(&u) {
                        place.scan(scan, op, body, arena, &spares, self.kernels, &mut program)?;
                    }
                }
                Kind::Other(prim) => {
                    if let Some(step) = place.other(prim, op, self.settings, &mut program)? {
                        program.push(step, String::new());
                    }
                }
                Kind::Map(_) | Kind::Reduce { .. } => unreachable!("kernels were built"),
            }
        }
        for staged in [true, false] {
            for copy in final_copies.iter().filter(|c| c.staged.is_some() == staged) {
                let to = match copy.staged {
                    Some(r) => Home::Arena(r),
                    None => copy.to,
                };
                let call = place.copy_to(&copy.from, place.home(to), self.kernels);
                program.kernel(call, "copy".into());
            }
        }
        for copy in final_copies.iter().filter(|c| c.staged.is_some()) {
            let Some(r) = copy.staged else { continue };
            let sizes = &copy.from.view.sizes;
            let from = Arg {
                source: Source::Val(Val(u32::MAX)),
                elem: copy.from.elem,
                view: View::contiguous(sizes),
            };
            let mut call = place.copy_to(&from, place.home(copy.to), self.kernels);
            for operand in call.operands.iter_mut().filter(|o| !o.is_store) {
                operand.buf = Some(place.home(Home::Arena(r)));
            }
            program.kernel(call, "copy".into());
        }
        Ok(program)
    }
}

impl Program {
    fn push(&mut self, step: Step, label: String) {
        self.steps.push(step);
        self.labels.push(label);
    }

    /// Adds a call to the last step if nothing in that touches what it does.
    fn kernel(&mut self, call: Call, label: String) {
        if call.tasks == 0 {
            return;
        }
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

fn independent(a: &Call, b: &Call) -> bool {
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

/// Names of a unit's operations, in order.
fn label(ops: &Ops, unit: &Unit) -> String {
    use super::ops::MapOp;
    let names = unit.ops.iter().map(|&o| match &ops.ops[o].kind {
        Kind::Map(MapOp::Copy) => "copy".to_string(),
        Kind::Map(MapOp::Unary(u)) => u.name().to_string(),
        Kind::Map(MapOp::Binary(b)) => b.name().to_string(),
        Kind::Map(MapOp::Compare(c)) => c.name().to_string(),
        Kind::Map(MapOp::Select) => "select".to_string(),
        Kind::Map(MapOp::Cast(e)) => format!("cast {}", e.name()),
        Kind::Reduce { op, .. } => format!("reduce_{}", op.name()),
        Kind::Place { .. } | Kind::Dot(_) | Kind::Other(_) => String::new(),
    });
    names.collect::<Vec<_>>().join(" ")
}
