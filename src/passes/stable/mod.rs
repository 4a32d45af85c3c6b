//! Logarithms of probabilities, computed from what the probabilities were computed from.
//!
//! `log` of a softmax or a sigmoid in f32 is -inf, and its gradient NaN, as soon as
//! the probability underflows; clipping the probability makes it finite and wrong.
//! The logarithm is known without the probability:
//!
//! | expression | becomes |
//! |---|---|
//! | `log(e / sum(e))` where `e = exp(u)` | `u - log(sum(e))` |
//! | `log(logistic(x))` | `min(x, 0) - log1p(exp(-abs(x)))` |
//! | `log(1 - logistic(x))`, `log1p(-logistic(x))` | `min(-x, 0) - log1p(exp(-abs(x)))` |
//! | `log(1 - (1 - p))` | `log(p)` |
//!
//! in IR text, for a sigmoid under the clip that every library has:
//!
//! ```text
//! %2 = logistic(%x)                        %4 = min(%x, zeros)
//! %3 = max(%2, broadcast 1e-7)             %5 = exp(neg(abs(%x)))
//! %4 = log(%3)                             %6 = sub(%4, log1p(%5))
//! ```
//!
//! It is found through what stands between: `reshape`, `slice`, `gather`,
//! `broadcast`, `transpose`, `reverse`, `concat`, `stop_gradient`, casts between
//! floats, products, `select` (both sides must be known), `max` with a constant of
//! at most 1e-6 and `min` with one of at least 1 - 1e-6 (the clips: they are dropped,
//! which changes the loss only where the clip was wrong). So `crossentropy` of `softmax`,
//! `binary_crossentropy` of `sigmoid` and a user's focal loss are finite, with the
//! right gradient, for logits of any size; there is no `from_logits`.
//!
//! A softmax whose `u` is not shifted by its maximum is shifted here.
//!
//! A logit of -inf (a mask) gives log p = -inf, as it should; times a target of 0
//! that is NaN: masks should be large and finite.
//!
//! The pass runs before autodiff, before or after `simplify`: `ir::flow` finds a softmax through views, so
//! what axes of size 1 do to reductions and broadcasts does not matter.

mod softmax;

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::ir::prim::{Binary, Prim, Scan, Unary};
use crate::ir::{Graph, OriginId, TypeError, Value};

use super::build::Result;
use super::dce::dce;
use super::rewrite::Rewrite;

/// Clips at most this far from 0 and 1 are taken for guards against infinity
/// (with room for their rounding to f32).
const CLIP: f64 = 1.1e-6;

/// How many operations may stand between a logarithm and the probability.
const REACH: usize = 24;

/// Replaces logarithms of softmax and sigmoid.
///
/// # Errors
/// None for a well-typed graph whose sizes do not overflow.
pub fn stable(graph: &Graph) -> std::result::Result<Graph, TypeError> {
    let mut logs = Logs {
        w: Rewrite::new(graph),
        known: FxHashMap::default(),
    };
    for (index, node) in graph.nodes.iter().enumerate() {
        let found = match &node.prim {
            _ if logs.w.is_kept(node) => None,
            Prim::Unary(Unary::Log) => {
                let x = logs.w.args(node)[0];
                logs.log(x, Of::Itself, node.origin, REACH)?
            }
            Prim::Unary(Unary::Log1p) => {
                let x = logs.w.args(node)[0];
                let negated = match logs.w.def(x) {
                    Some(n) if n.prim == Prim::Unary(Unary::Neg) => Some(n.args[0]),
                    _ => None,
                };
                match negated {
                    Some(p) => logs.log(p, Of::Complement, node.origin, REACH)?,
                    None => None,
                }
            }
            Prim::Scan(s) => {
                let body = Arc::new(stable(&s.body)?);
                let prim = Prim::Scan(Scan { body, ..s.clone() });
                let args = logs.w.args(node);
                let results = logs.w.g.push(prim, &args, node.origin)?;
                logs.w.replace(node, results);
                continue;
            }
            _ => None,
        };
        match found {
            Some(v) => logs.w.replace(node, [v]),
            None => logs.w.copy(index),
        }
    }
    Ok(dce(&logs.w.finish()))
}

/// The logarithm's argument: `p` or `1 - p`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Of {
    Itself,
    Complement,
}

struct Logs<'a> {
    w: Rewrite<'a>,
    known: FxHashMap<(Value, Of), Option<Value>>,
}

impl Logs<'_> {
    /// `log(v)` or `log(1 - v)`, if `v` is a probability of a known kind.
    fn log(&mut self, v: Value, of: Of, at: OriginId, reach: usize) -> Result<Option<Value>> {
        if let Some(known) = self.known.get(&(v, of)) {
            return Ok(*known);
        }
        let found = self.find(v, of, at, reach)?;
        self.known.insert((v, of), found);
        Ok(found)
    }

    fn find(&mut self, v: Value, of: Of, at: OriginId, reach: usize) -> Result<Option<Value>> {
        let Some(node) = self.w.def(v).cloned().filter(|_| reach > 0) else {
            return Ok(None);
        };
        let reach = reach - 1;
        let x = node.args.first().copied();
        match (&node.prim, x) {
            (Prim::Unary(Unary::Logistic), Some(x)) => {
                let mut b = self.w.build(at);
                let toward = match of {
                    Of::Itself => x,
                    Of::Complement => b.neg(x)?,
                };
                let zero = b.fill_like(0.0, x)?;
                let line = b.binary(Binary::Min, toward, zero)?;
                let size = b.unary(Unary::Abs, x)?;
                let down = b.neg(size)?;
                let exp = b.unary(Unary::Exp, down)?;
                let rest = b.unary(Unary::Log1p, exp)?;
                b.sub(line, rest).map(Some)
            }
            (Prim::Binary(Binary::Div), Some(e)) if of == Of::Itself => {
                self.softmax(e, node.args[1], at)
            }
            (Prim::Binary(Binary::Sub), Some(one)) if self.w.uniform(one) == Some(1.0) => {
                let other = match of {
                    Of::Itself => Of::Complement,
                    Of::Complement => Of::Itself,
                };
                self.log(node.args[1], other, at, reach)
            }
            (Prim::Binary(Binary::Max), Some(a)) => {
                let b = node.args[1];
                for (p, clip) in [(a, b), (b, a)] {
                    if self.w.uniform(clip).is_some_and(|c| c <= CLIP) {
                        return self.log(p, of, at, reach);
                    }
                }
                Ok(None)
            }
            (Prim::Binary(Binary::Min), Some(a)) => {
                let b = node.args[1];
                for (p, clip) in [(a, b), (b, a)] {
                    if self.w.uniform(clip).is_some_and(|c| c >= 1.0 - CLIP) {
                        return self.log(p, of, at, reach);
                    }
                }
                Ok(None)
            }
            (Prim::Binary(Binary::Mul), Some(a)) if of == Of::Itself => {
                let (a, b) = (
                    self.log(a, of, at, reach)?,
                    self.log(node.args[1], of, at, reach)?,
                );
                match (a, b) {
                    (Some(a), Some(b)) => self.w.build(at).add(a, b).map(Some),
                    _ => Ok(None),
                }
            }
            (Prim::Select, Some(condition)) => {
                let (a, b) = (
                    self.side(node.args[1], of, at, reach)?,
                    self.side(node.args[2], of, at, reach)?,
                );
                match (a, b) {
                    (Some(a), Some(b)) => self.w.build(at).select(condition, a, b).map(Some),
                    _ => Ok(None),
                }
            }
            (Prim::Concat { .. }, _) => {
                let mut parts = Vec::with_capacity(node.args.len());
                for a in &node.args {
                    match self.log(*a, of, at, reach)? {
                        Some(part) => parts.push(part),
                        None => return Ok(None),
                    }
                }
                self.w.push(node.prim.clone(), &parts, at).map(Some)
            }
            (Prim::Cast(to), Some(x)) if !to.is_float() || !self.w.g.ty(x).elem.is_float() => {
                Ok(None)
            }
            (
                Prim::Reshape(_)
                | Prim::Slice { .. }
                | Prim::Gather { .. }
                | Prim::Broadcast { .. }
                | Prim::Transpose(_)
                | Prim::Reverse { .. }
                | Prim::StopGradient
                | Prim::Cast(_),
                Some(x),
            ) => match self.log(x, of, at, reach)? {
                Some(log) => {
                    let mut args = node.args.clone();
                    args[0] = log;
                    self.w.push(node.prim.clone(), &args, at).map(Some)
                }
                None => Ok(None),
            },
            _ => Ok(None),
        }
    }

    /// One side of a select: a positive constant will do, too.
    fn side(&mut self, v: Value, of: Of, at: OriginId, reach: usize) -> Result<Option<Value>> {
        if let Some(c) = self.w.uniform(v) {
            let p = match of {
                Of::Itself => c,
                Of::Complement => 1.0 - c,
            };
            return match p > 0.0 {
                true => self.w.build(at).fill_like(p.ln(), v).map(Some),
                false => Ok(None),
            };
        }
        self.log(v, of, at, reach)
    }
}
