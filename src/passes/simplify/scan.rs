//! Loops with less in them.
//!
//! - The body is simplified. Constants from outside are put into it.
//! - A carry that never changes becomes a constant; equal scanned and equal constant
//!   arguments become one.
//! - What does not depend on the step is computed before the loop (broadcasts and
//!   constants stay inside: they cost nothing there, and much as tensors outside).
//!   No operation can fail, so a loop without steps is not an exception.
//! - Stacked results that nobody reads, carries that nothing read depends on, and
//!   arguments that are not used are dropped. A stacked result that is a scanned
//!   argument, does not depend on the step, or is stacked twice is taken from there.
//!
//! Bodies in which a gradient is taken are simplified, their scan left as it is.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::ir::graph::Role;
use crate::ir::prim::{Prim, Scan};
use crate::ir::{Graph, OriginId, OutputRole, Value};

use super::super::autodiff::contains_gradient;
use super::super::build::{Build, Result, UNMAPPED, copy_node, copy_outputs, like};
use super::{Simplify, to_the_end};

impl Simplify<'_> {
    /// The results of a scan of which those `wanted` are read; others may be anything.
    pub(super) fn scan(
        &mut self,
        s: &Scan,
        args: &[Value],
        wanted: &[bool],
        at: OriginId,
    ) -> Result<Vec<Value>> {
        if contains_gradient(&s.body) {
            let body = Arc::new(to_the_end(&s.body, self.differentiated)?);
            let prim = Prim::Scan(Scan { body, ..s.clone() });
            return Ok(self.w.g.push(prim, args, at)?.to_vec());
        }
        let body = self.with_constants_inside(s, args)?;
        let body = to_the_end(&body, self.differentiated)?;
        let mut l = Loop::new(&body, s, args);
        let results = l.results(self, wanted, at)?;
        l.rebuild(self, results, at)
    }

    /// The body with those constant arguments that are uniform in it.
    fn with_constants_inside(&mut self, s: &Scan, args: &[Value]) -> Result<Graph> {
        let mut inside: Vec<(Value, f64)> = Vec::new();
        for (input, arg) in s.body.inputs.iter().zip(args).skip(s.carries + s.scanned) {
            if let Some(c) = self.w.uniform(*arg) {
                inside.push((input.value, c));
            }
        }
        if inside.is_empty() {
            return Ok((*s.body).clone());
        }
        let (mut body, mut map) = like(&s.body);
        for (v, c) in inside {
            let ty = s.body.ty(v).clone();
            let at = OriginId::default();
            map[v.0 as usize] = Build { g: &mut body, at }.fill(c, &ty)?;
        }
        for n in 0..s.body.nodes.len() {
            copy_node(&mut body, &s.body, n, &mut map);
        }
        copy_outputs(&mut body, &s.body, &map);
        Ok(body)
    }
}

/// What becomes of a result.
enum Outcome {
    /// It is a value outside.
    Outside(Value),
    /// As another result.
    As(usize),
    /// Still a result.
    Kept,
    /// Nobody reads it.
    Dropped,
}

struct Loop<'a> {
    body: &'a Graph,
    s: &'a Scan,
    args: &'a [Value],
    defs: Vec<Option<usize>>,
    /// For each input of the body: does it have the same value in every step?
    fixed: Vec<bool>,
    /// Values that depend on nothing that changes.
    invariant: Vec<bool>,
    /// Inputs that are read instead of another with the same argument.
    stand_in: FxHashMap<Value, Value>,
    /// Invariant values that have been computed outside.
    outside: FxHashMap<Value, Value>,
}

impl<'a> Loop<'a> {
    fn new(body: &'a Graph, s: &'a Scan, args: &'a [Value]) -> Loop<'a> {
        let constants = s.carries + s.scanned;
        let mut fixed: Vec<bool> = (0..args.len()).map(|i| i >= constants).collect();
        let carries = body.outputs.iter().zip(&body.inputs).take(s.carries);
        for (fixed, (next, now)) in fixed.iter_mut().zip(carries) {
            *fixed = next.value == now.value;
        }
        let mut stand_in = FxHashMap::default();
        let mut first: FxHashMap<(bool, Value), Value> = FxHashMap::default();
        let mut outside = FxHashMap::default();
        let mut invariant = vec![false; body.value_count()];
        for (i, input) in body.inputs.iter().enumerate() {
            if fixed[i] {
                invariant[input.value.0 as usize] = true;
                outside.insert(input.value, args[i]);
            }
            if fixed[i] || i >= s.carries {
                let v = *first.entry((fixed[i], args[i])).or_insert(input.value);
                stand_in.insert(input.value, v);
            }
        }
        for node in &body.nodes {
            let same = node.args.iter().all(|a| invariant[a.0 as usize]);
            for v in node.values() {
                invariant[v.0 as usize] = same;
            }
        }
        Loop {
            defs: body.definitions(),
            body,
            s,
            args,
            fixed,
            invariant,
            stand_in,
            outside,
        }
    }

    /// What becomes of every result.
    fn results(
        &mut self,
        simplify: &mut Simplify,
        wanted: &[bool],
        at: OriginId,
    ) -> Result<Vec<Outcome>> {
        let (s, body) = (self.s, self.body);
        let mut stacked: FxHashMap<Value, usize> = FxHashMap::default();
        let mut outcomes = Vec::with_capacity(wanted.len());
        for (i, wanted) in wanted.iter().enumerate() {
            let v = body.outputs[i].value;
            outcomes.push(if i < s.carries {
                match (self.fixed[i], wanted) {
                    (true, _) => Outcome::Outside(self.args[i]),
                    (false, true) => Outcome::Kept,
                    (false, false) => Outcome::Dropped,
                }
            } else if !wanted {
                Outcome::Dropped
            } else if self.invariant[v.0 as usize] {
                let x = self.hoist(simplify, v)?;
                let rank = body.ty(v).rank();
                let shape = [s.length.clone()].into_iter();
                let shape = shape.chain(body.ty(v).shape.iter().cloned()).collect();
                let axes = (1..=rank).collect();
                Outcome::Outside(simplify.emit(Prim::Broadcast { shape, axes }, &[x], at)?)
            } else if let Some(j) = self.scanned(v) {
                Outcome::Outside(self.args[j])
            } else if let Some(j) = stacked.get(&v) {
                Outcome::As(*j)
            } else {
                stacked.insert(v, i);
                Outcome::Kept
            });
        }
        self.revive_carries(&mut outcomes);
        Ok(outcomes)
    }

    /// The argument of which `v` is a slice.
    fn scanned(&self, v: Value) -> Option<usize> {
        let range = self.s.carries..self.s.carries + self.s.scanned;
        range.into_iter().find(|i| self.body.inputs[*i].value == v)
    }

    /// Carries that are not read after the loop, but on which something read depends.
    fn revive_carries(&self, outcomes: &mut [Outcome]) {
        let carry: FxHashMap<Value, usize> = (0..self.s.carries)
            .map(|i| (self.body.inputs[i].value, i))
            .collect();
        let kept = (0..outcomes.len()).filter(|i| matches!(outcomes[*i], Outcome::Kept));
        let mut todo: Vec<Value> = kept.map(|i| self.body.outputs[i].value).collect();
        let mut seen = vec![false; self.body.value_count()];
        while let Some(v) = todo.pop() {
            if std::mem::replace(&mut seen[v.0 as usize], true) || self.invariant[v.0 as usize] {
                continue;
            }
            if let Some(n) = self.defs[v.0 as usize] {
                todo.extend(&self.body.nodes[n].args);
            }
            if let Some(i) = carry.get(&v)
                && matches!(outcomes[*i], Outcome::Dropped)
            {
                outcomes[*i] = Outcome::Kept;
                todo.push(self.body.outputs[*i].value);
            }
        }
    }

    /// The value outside of an invariant value of the body.
    fn hoist(&mut self, simplify: &mut Simplify, v: Value) -> Result<Value> {
        if let Some(v) = self.outside.get(&v) {
            return Ok(*v);
        }
        let n = self.defs[v.0 as usize].expect("an invariant value is an argument or computed");
        let node = &self.body.nodes[n];
        let mut args = Vec::with_capacity(node.args.len());
        for a in &node.args {
            args.push(self.hoist(simplify, *a)?);
        }
        // Origins of the body are not those of the graph.
        let at = OriginId::default();
        let results = match &node.prim {
            Prim::Scan(_) => simplify.w.g.push(node.prim.clone(), &args, at)?.to_vec(),
            prim => vec![simplify.emit(prim.clone(), &args, at)?],
        };
        for (inner, outer) in node.values().zip(results) {
            self.outside.insert(inner, outer);
        }
        Ok(self.outside[&v])
    }

    /// The smaller scan, and all results.
    fn rebuild(
        mut self,
        simplify: &mut Simplify,
        outcomes: Vec<Outcome>,
        at: OriginId,
    ) -> Result<Vec<Value>> {
        let (s, body) = (self.s, self.body);
        let kept: Vec<usize> = (0..outcomes.len())
            .filter(|i| matches!(outcomes[*i], Outcome::Kept))
            .collect();
        let mut results: Vec<Value> = vec![UNMAPPED; outcomes.len()];
        if !kept.is_empty() {
            // What stays in the body, and what it reads from outside.
            let mut stays = vec![false; body.nodes.len()];
            let mut reads = vec![false; body.value_count()];
            let mut todo: Vec<Value> = kept.iter().map(|i| body.outputs[*i].value).collect();
            while let Some(v) = todo.pop() {
                let v = *self.stand_in.get(&v).unwrap_or(&v);
                match self.defs[v.0 as usize] {
                    Some(n) if !self.invariant[v.0 as usize] || free(&body.nodes[n].prim) => {
                        if !std::mem::replace(&mut stays[n], true) {
                            todo.extend(&body.nodes[n].args);
                        }
                    }
                    _ => reads[v.0 as usize] = true,
                }
            }
            let mut inner = Graph::new(&body.name);
            inner.origins = body.origins.clone();
            let mut map = vec![UNMAPPED; body.value_count()];
            let mut args = Vec::new();
            let carries: Vec<usize> = kept.iter().copied().filter(|i| *i < s.carries).collect();
            for i in &carries {
                let input = &body.inputs[*i];
                let ty = body.ty(input.value).clone();
                map[input.value.0 as usize] = inner.input(&input.name, Role::Plain, ty);
                args.push(self.args[*i]);
            }
            for (i, input) in body
                .inputs
                .iter()
                .enumerate()
                .skip(s.carries)
                .take(s.scanned)
            {
                if reads[input.value.0 as usize] {
                    let ty = body.ty(input.value).clone();
                    map[input.value.0 as usize] = inner.input(&input.name, Role::Plain, ty);
                    args.push(self.args[i]);
                }
            }
            let scanned = args.len() - carries.len();
            for v in (0..body.value_count() as u32).map(Value) {
                if !reads[v.0 as usize] || !self.invariant[v.0 as usize] {
                    continue;
                }
                let named = body.inputs.iter().find(|i| i.value == v);
                let name = named.map_or_else(|| format!("hoisted_{}", v.0), |i| i.name.to_string());
                args.push(self.hoist(simplify, v)?);
                map[v.0 as usize] = inner.input(&name, Role::Plain, body.ty(v).clone());
            }
            for (v, by) in &self.stand_in {
                map[v.0 as usize] = map[by.0 as usize];
            }
            for n in (0..body.nodes.len()).filter(|n| stays[*n]) {
                copy_node(&mut inner, body, n, &mut map);
            }
            for i in &kept {
                let o = &body.outputs[*i];
                inner.output(&o.name, OutputRole::Result, map[o.value.0 as usize]);
            }
            let prim = Prim::Scan(Scan {
                body: Arc::new(inner),
                carries: carries.len(),
                scanned,
                length: s.length.clone(),
                reverse: s.reverse,
            });
            let new = simplify.w.g.push(prim, &args, at)?;
            for (i, v) in kept.iter().zip(new) {
                results[*i] = v;
            }
        }
        for (i, outcome) in outcomes.iter().enumerate() {
            match outcome {
                Outcome::Outside(v) => results[i] = *v,
                Outcome::As(j) => results[i] = results[*j],
                Outcome::Kept | Outcome::Dropped => {}
            }
        }
        Ok(results)
    }
}

/// Costs nothing where it is used.
fn free(prim: &Prim) -> bool {
    matches!(
        prim,
        Prim::Const { .. } | Prim::Size { .. } | Prim::Iota { .. } | Prim::Broadcast { .. }
    )
}
