//! What losses ask of the numbers that they are given.

use crate::ir::Value;
use crate::ir::flow;
use crate::spec::Bounds;

use super::Elab;
use super::pattern::{MeaningPattern, tensor_pattern};
use super::value::{ArgVal, DefRef, Home, Meaning, Val, lists};

impl Elab<'_> {
    /// A loss is applied: a target of the data, as it is, must be of the numbers that it takes.
    pub fn bound_target(&mut self, loss: &DefRef, args: &[ArgVal]) {
        if self.train.targets.is_empty() {
            return;
        }
        let (_, inputs) = lists(&loss.def);
        let pattern = inputs.get(1).and_then(|i| i.ty.as_ref());
        let Some(Val::Tensor(y)) = args.get(1).map(|a| &a.val) else {
            return;
        };
        let name = &*loss.def.name.text;
        let taken = match (&y.meaning, pattern.map(tensor_pattern)) {
            (Meaning::Class(n), _) => n.as_const().map(|n| (0.0, n as f64 - 1.0)),
            (Meaning::Token(_), _) => None,
            (_, Some(Ok(p))) if matches!(p.meaning, MeaningPattern::Prob) => Some((0.0, 1.0)),
            _ if loss.library => crate::library::target(name),
            _ => None,
        };
        let (Some((low, high)), Home::Step) = (taken, y.home) else {
            return;
        };
        let base = flow::unshaped(&self.step, y.value);
        // the classes of a column were looked at when it was read
        let is_column = self.step.inputs.iter().any(|i| i.value == base);
        if is_column && matches!(y.meaning, Meaning::Class(_)) {
            return;
        }
        let targets = &self.train.targets;
        let of = |v: Value| flow::unshaped(&self.step, v) == base;
        let Some((value, shown)) = targets.iter().find(|(v, _)| of(*v)).cloned() else {
            return;
        };
        let bounds = Bounds {
            shown,
            low,
            high,
            weights: false,
            what: format!("a target of {name}"),
        };
        self.bound(value, bounds);
    }

    /// Notes what numbers must be, unless their operations tell that they are.
    pub fn bound(&mut self, value: Value, bounds: Bounds) {
        let (low, high) = flow::bounds(&self.step, value);
        let sure = bounds.low <= low && high <= bounds.high && !bounds.weights;
        let known = self.train.bounds.iter();
        let same = |(v, b): &(Value, Bounds)| *v == value && *b == bounds;
        if !sure && !known.clone().any(same) {
            self.train.bounds.push((value, bounds));
        }
    }
}
