//! Where every value lives: over an input, where a result goes, or in the arena.
//!
//! A value that is the new value of an input is written over the old one where nothing reads that later, and a
//! value that is a result goes straight to where results go; else a copy at the end does it. The rest asks for room in
//! one arena (`passes::memory` lays it out); an elementwise kernel may write over an operand that nobody reads afterwards.

use rustc_hash::{FxHashMap, FxHashSet};

use super::ops::{Arg, Def, Kind, Ops, Val};
use super::units::{Fused, Place};
use crate::ir::{Graph, OutputRole};
use crate::passes::memory::Request;

/// Where a value lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Home {
    Input(usize),
    Result(usize),
    /// By the number of the request.
    Arena(usize),
}

/// A copy after the last step. `staged`: through a buffer of its own, since its source may be overwritten meanwhile.
pub struct FinalCopy {
    pub from: Arg,
    pub to: Home,
    pub staged: Option<usize>,
}

/// The homes of all values, and the room in the arena that they ask for.
pub struct Buffers<'a> {
    ops: &'a Ops,
    fused: &'a Fused,
    uses: Uses,
    pub homes: FxHashMap<Val, Home>,
    pub requests: Vec<Request>,
    pub final_copies: Vec<FinalCopy>,
    /// How many outputs are results.
    pub results: usize,
}

impl<'a> Buffers<'a> {
    /// In a loop's body every output is a result.
    pub fn of(graph: &Graph, is_body: bool, ops: &'a Ops, fused: &'a Fused) -> Buffers<'a> {
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
        let mut buffers = Buffers {
            uses: Uses::of(ops, fused),
            ops,
            fused,
            homes: FxHashMap::default(),
            requests: Vec::new(),
            final_copies: Vec::new(),
            results,
        };
        buffers.homes_of_outputs(&targets);
        buffers.homes_of_rest();
        buffers
    }

    fn unit_of(&self, val: Val) -> Option<usize> {
        match self.ops.info(val).def {
            Def::Input(_) => None,
            Def::Op(op) => Some(self.uses.unit_of[op]),
        }
    }

    /// Decides which outputs are written in place, and what must be copied at the end.
    fn homes_of_outputs(&mut self, targets: &[Home]) {
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
        self.final_copies = copies;
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

    /// Values of a kernel that somebody else reads.
    pub fn outputs(&self, u: usize) -> Vec<Val> {
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

    /// Asks for bytes of the arena, from unit `first` to unit `last`: the number of the request.
    pub fn request(&mut self, bytes: usize, first: usize, last: usize) -> usize {
        self.requests.push(Request { bytes, first, last });
        self.requests.len() - 1
    }

    /// The size of a value.
    pub fn bytes(&self, val: Val) -> usize {
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
