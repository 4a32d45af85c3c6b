//! Registers for straight-line code: who is where, and who goes when there is no room.

use iced_x86::Register;
use rustc_hash::FxHashMap;

use crate::backend::fusion::vir::{Kernel, Level, Ty, V, each_arg};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Class {
    Vector,
    Mask,
}

/// Positions at which each value is read: those of instructions, then of what ends the body.
pub(super) struct Uses {
    at: FxHashMap<V, Vec<usize>>,
}

impl Uses {
    pub(super) fn new(k: &Kernel, body: &[V], last: impl Iterator<Item = V>) -> Uses {
        let mut at: FxHashMap<V, Vec<usize>> = FxHashMap::default();
        for (i, &v) in body.iter().enumerate() {
            each_arg(k.inst(v).op, |a| at.entry(a).or_default().push(i));
        }
        for (i, v) in last.enumerate() {
            at.entry(v).or_default().push(body.len() + i);
        }
        Uses { at }
    }

    /// The next position after `at` that reads `v`.
    pub(super) fn next(&self, v: V, at: usize) -> Option<usize> {
        let list = self.at.get(&v)?;
        list.get(list.partition_point(|p| *p <= at)).copied()
    }

    /// Whether nothing after `at` reads `v`.
    pub(super) fn dies(&self, v: V, at: usize) -> bool {
        self.next(v, at).is_none()
    }

    /// Most vectors of the point that are alive at once.
    pub(super) fn pressure(&self, k: &Kernel, body: &[V]) -> usize {
        let (mut alive, mut most): (Vec<V>, usize) = (Vec::new(), 0);
        for (i, &v) in body.iter().enumerate() {
            if k.inst(v).ty != Ty::Mask && k.level(v) == Level::Point {
                alive.push(v);
            }
            most = most.max(alive.len());
            alive.retain(|a| !self.dies(*a, i));
        }
        most
    }
}

/// What each register holds.
#[derive(Clone)]
pub(super) struct Registers {
    /// 0..32 vectors, 33..38 the masks k1-k5.
    held: [Held; 38],
    of: FxHashMap<V, usize>,
    spills: FxHashMap<V, i64>,
    homes: Vec<V>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    Free,
    /// A value, and the position up to which it must stay.
    Value(V, usize),
    /// Taken at a position, for no value yet.
    Claimed(usize),
    /// For all of the pass.
    Reserved,
    Pinned(V),
}

impl Registers {
    pub(super) fn new() -> Registers {
        Registers {
            held: [Held::Free; 38],
            of: FxHashMap::default(),
            spills: FxHashMap::default(),
            homes: Vec::new(),
        }
    }

    pub(super) fn of(&self, v: V) -> Option<Register> {
        self.of.get(&v).map(|i| name(*i))
    }
    pub(super) fn spill(&self, v: V) -> Option<i64> {
        self.spills.get(&v).copied()
    }
    pub(super) fn set_spill(&mut self, v: V, home: i64) {
        self.spills.insert(v, home);
    }
    pub(super) fn has_home(&self, v: V) -> bool {
        self.spills.contains_key(&v) || self.homes.contains(&v)
    }
    /// The value can be found in memory.
    pub(super) fn set_home(&mut self, v: V) {
        self.homes.push(v);
    }
    pub(super) fn is_pinned(&self, v: V) -> bool {
        self.of
            .get(&v)
            .is_some_and(|i| matches!(self.held[*i], Held::Pinned(_)))
    }
    pub(super) fn available(&self) -> usize {
        self.held[..32].iter().filter(|h| **h == Held::Free).count()
    }

    /// A vector that nothing else gets in this pass.
    pub(super) fn reserve(&mut self) -> Register {
        let i = self.first(0..32).expect("few sums");
        self.held[i] = Held::Reserved;
        name(i)
    }
    /// A vector that holds `v` for all of the pass.
    pub(super) fn pin(&mut self, v: V) -> Register {
        let i = self.first(0..32).expect("counted before");
        self.held[i] = Held::Pinned(v);
        self.of.insert(v, i);
        name(i)
    }
    pub(super) fn take(&mut self, class: Class, at: usize) -> Option<Register> {
        let i = self.first(range(class))?;
        self.held[i] = Held::Claimed(at);
        Some(name(i))
    }
    pub(super) fn claim(&mut self, reg: Register, at: usize) {
        self.held[number(reg)] = Held::Claimed(at);
    }
    pub(super) fn set(&mut self, v: V, reg: Register) {
        self.held[number(reg)] = Held::Value(v, 0);
        self.of.insert(v, number(reg));
    }
    pub(super) fn free(&mut self, reg: Register) {
        self.held[number(reg)] = Held::Free;
    }
    /// Keeps a value in its register while the instruction at `at` is emitted.
    pub(super) fn lock(&mut self, reg: Register, at: usize) {
        if let Held::Value(v, _) = self.held[number(reg)] {
            self.held[number(reg)] = Held::Value(v, at + 1);
        }
    }
    /// The register of `from` now holds `to`.
    pub(super) fn rename(&mut self, from: V, to: V) {
        if let Some(i) = self.of.remove(&from) {
            self.held[i] = Held::Value(to, 0);
            self.of.insert(to, i);
        }
    }
    /// The value of `class` that is needed last, and not by the instruction at `at`.
    pub(super) fn victim(&self, class: Class, at: usize, uses: &Uses) -> (V, Register) {
        range(class)
            .filter_map(|i| match self.held[i] {
                Held::Value(v, until) if until <= at => {
                    Some((uses.next(v, at).unwrap_or(usize::MAX), v, i))
                }
                _ => None,
            })
            .max_by_key(|(next, _, _)| *next)
            .map(|(_, v, i)| (v, name(i)))
            .expect("an instruction has few operands")
    }
    pub(super) fn evict(&mut self, v: V) {
        if let Some(i) = self.of.remove(&v) {
            self.held[i] = Held::Free;
        }
    }
    /// Frees what is not read after `at`.
    pub(super) fn release(&mut self, uses: &Uses, at: usize) {
        for i in 0..self.held.len() {
            match self.held[i] {
                Held::Value(v, _) if uses.dies(v, at) => {
                    self.of.remove(&v);
                    self.held[i] = Held::Free;
                }
                Held::Claimed(_) => self.held[i] = Held::Free,
                _ => {}
            }
        }
    }

    fn first(&self, mut range: std::ops::Range<usize>) -> Option<usize> {
        range.find(|i| self.held[*i] == Held::Free)
    }
}

fn range(class: Class) -> std::ops::Range<usize> {
    match class {
        Class::Vector => 0..32,
        Class::Mask => 33..38,
    }
}

fn name(i: usize) -> Register {
    match i < 32 {
        true => Register::ZMM0 + i as u32,
        false => Register::K0 + (i - 32) as u32,
    }
}

fn number(reg: Register) -> usize {
    match reg.is_k() {
        true => 32 + (reg as usize - Register::K0 as usize),
        false => reg as usize - Register::ZMM0 as usize,
    }
}
