//! `log(e / d)` where `d` is the sum of `e = exp(u)` along some axes.

use crate::ir::prim::{Prim, Reduce, Unary};
use crate::ir::{OriginId, Value};

use super::super::build::Result;
use super::Logs;

impl Logs<'_> {
    /// `log(e / d)`, if `d` is the sum of `e = exp(u)`.
    pub(super) fn softmax(&mut self, e: Value, d: Value, at: OriginId) -> Result<Option<Value>> {
        let Some(found) = self.w.back().quotient(e, d) else {
            return Ok(None);
        };
        let (mut u, mut exp, mut known) = (found.u, found.exp, found.sum);
        let shape = self.w.g.ty(u).shape.clone();
        let mut b = self.w.build(at);
        if !found.shifted {
            let (op, axes) = (Reduce::Max, found.axes.clone());
            let mut largest = u;
            if !axes.is_empty() {
                largest = b.push(Prim::Reduce { op, axes }, &[u])?;
            }
            largest = b.push(Prim::StopGradient, &[largest])?;
            largest = b.unreduce(largest, &shape, &found.axes)?;
            u = b.sub(u, largest)?;
            exp = b.unary(Unary::Exp, u)?;
            known = None;
        }
        let (total, axes) = match known {
            Some(known) => known,
            None => (b.sum(exp, found.axes.clone())?, found.axes),
        };
        let log = b.unary(Unary::Log, total)?;
        let log = b.unreduce(log, &shape, &axes)?;
        let mut log = b.sub(u, log)?;
        for view in found.views.into_iter().rev() {
            log = b.push(view, &[log])?;
        }
        Ok(Some(log))
    }
}
