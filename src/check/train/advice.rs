//! Warnings about models that train, but not as their author may think. They are found in the
//! graph, so it does not matter how a layer is written.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::diag::{Code, Diagnostic};
use crate::ir::flow::Back;
use crate::ir::prim::{Binary, Compare, Unary};
use crate::ir::{Dim, Graph, Node, Prim, Role, Value};
use crate::span::Span;
use crate::syntax::ast::DefKind;

use crate::check::elab::Elab;
use crate::check::elab::pattern::{MeaningPattern, tensor_pattern};
use crate::check::elab::state::Comparison;
use crate::check::elab::value::{Configured, DefRef, Home, Tensor, lists};

/// Rates outside of these are reported: those of recipes are far within. Above, most runs diverge;
/// below, numbers of single precision do not change.
const RATES: RangeInclusive<f64> = 1e-8..=1.0;

impl<'g> Back<'g> {
    /// Where a softmax or sigmoid was computed whose probabilities a value is, moved or clipped.
    fn probabilities(&self, v: Value) -> Option<&'g Node> {
        let node = self.node(v)?;
        match &node.prim {
            Prim::Unary(Unary::Logistic) => Some(node),
            Prim::Binary(Binary::Div) => self.softmax(v).map(|_| node),
            Prim::Binary(Binary::Max | Binary::Min) => {
                node.args.iter().find_map(|a| self.probabilities(*a))
            }
            Prim::Reshape(_)
            | Prim::Broadcast { .. }
            | Prim::Transpose(_)
            | Prim::StopGradient
            | Prim::Slice { .. }
            | Prim::Cast(_) => self.probabilities(node.args[0]),
            _ => None,
        }
    }

    /// The softmaxes whose logits are probabilities already, and where these were computed.
    fn softmaxes_of_probabilities(&self) -> Vec<(Span, Option<Span>)> {
        let mut found = Vec::new();
        for node in &self.g.nodes {
            let logits = match &node.prim {
                Prim::Binary(Binary::Div) => self.softmax(node.first).map(|s| s.logits),
                Prim::Unary(Unary::Log) => self.log_sum_exp(node.first),
                Prim::Scan(s) => {
                    found.extend(Back::new(&s.body).softmaxes_of_probabilities());
                    None
                }
                _ => None,
            };
            if let Some(made) = logits.and_then(|v| self.probabilities(v))
                && let Some(at) = self.place(node)
            {
                found.push((at, self.place(made).filter(|made| *made != at)));
            }
        }
        found
    }

    fn is_zero(&self, v: Value) -> bool {
        let node = self.node(self.behind(v));
        matches!(node.map(|n| &n.prim), Some(Prim::Const { value, .. }) if *value == 0.0)
    }

    /// `select(x <= 0, 0, x)` or `max(x, 0)`.
    fn is_rectified(&self, v: Value) -> bool {
        let Some(n) = self.node(v) else {
            return false;
        };
        match &n.prim {
            Prim::Select => {
                let compares = |c: &&Node| {
                    matches!(c.prim, Prim::Compare(Compare::Le | Compare::Lt))
                        && c.args[0] == n.args[2]
                        && self.is_zero(c.args[1])
                };
                self.is_zero(n.args[1]) && self.node(n.args[0]).filter(compares).is_some()
            }
            Prim::Binary(Binary::Max) => n.args.iter().any(|a| self.is_zero(*a)),
            _ => false,
        }
    }

    fn is_param(&self, v: Value) -> bool {
        let inputs = &self.g.inputs;
        inputs.iter().any(|i| i.value == v && i.role == Role::Param)
    }

    /// The product with a parameter that made `v`, with or without a bias.
    fn dense(&self, v: Value) -> Option<&'g Node> {
        let node = self.node(self.behind(v))?;
        match &node.prim {
            Prim::Dot(_) if self.is_param(node.args[1]) => Some(node),
            Prim::Binary(Binary::Add) if self.is_param(self.behind(node.args[1])) => self
                .node(node.args[0])
                .filter(|n| matches!(n.prim, Prim::Dot(_)) && self.is_param(n.args[1])),
            _ => None,
        }
    }

    /// A dense layer whose input is the output of another, which nothing else reads. Not where the
    /// two have fewer numbers than one (a product of low rank).
    fn linear_stack(&self) -> Option<(&'g Node, &'g Node)> {
        self.g.nodes.iter().find_map(|n| {
            let second = self.dense(n.first).filter(|d| d.first == n.first)?;
            let first = self.dense(second.args[0])?;
            let between = |m: &&Node| m.args.contains(&first.first);
            let alone = self.g.nodes.iter().filter(between).count() == 1;
            let output = self.behind(second.args[0]);
            let read = |m: &&Node| m.args.contains(&output);
            let once = self.g.nodes.iter().filter(read).count() == 1;
            (alone && once && !self.is_low_rank(first, second)).then_some((first, second))
        })
    }

    fn is_low_rank(&self, first: &Node, second: &Node) -> bool {
        let kernel = |n: &Node| {
            self.g
                .ty(n.args[1])
                .shape
                .iter()
                .map(Dim::as_const)
                .collect()
        };
        let (one, two): (Vec<_>, Vec<_>) = (kernel(first), kernel(second));
        match (one[..].first(), one[..].last(), two[..].last()) {
            (Some(Some(from)), Some(Some(between)), Some(Some(to))) => between < from.min(to),
            _ => false,
        }
    }

    /// The name of the kernel of a dense layer.
    fn kernel(&self, dense: &Node) -> Option<&'g Arc<str>> {
        let inputs = &self.g.inputs;
        inputs
            .iter()
            .find(|i| i.value == dense.args[1])
            .map(|i| &i.name)
    }

    /// A dense layer whose kernel starts at zero and whose output goes through an activation into
    /// another.
    fn zero_kernel(&self, init: &Graph) -> Option<&'g Node> {
        let starts = Back::new(init);
        let zero = |v: Value| {
            let input = self.g.inputs.iter().find(|i| i.value == v);
            let start = init
                .outputs
                .iter()
                .find(|o| input.is_some_and(|i| o.name == i.name));
            start.is_some_and(|o| starts.is_zero(o.value))
        };
        self.g.nodes.iter().find_map(|n| {
            let second = self.dense(n.first).filter(|d| d.first == n.first)?;
            let first = self.dense(self.before_activation(second.args[0]))?;
            zero(first.args[1]).then_some(first)
        })
    }

    /// What a value was before functions of single elements.
    fn before_activation(&self, v: Value) -> Value {
        let v = self.behind(v);
        match self.node(v).map(|n| (&n.prim, n)) {
            Some((Prim::Unary(_), n)) => self.before_activation(n.args[0]),
            Some((Prim::Select, n)) => self.before_activation(n.args[2]),
            _ => v,
        }
    }

    fn place(&self, node: &Node) -> Option<Span> {
        self.g.origins[node.origin.0 as usize].span
    }
}

impl Elab<'_> {
    /// What a good colleague would ask about the model.
    pub(super) fn advise(&mut self, outputs: &[(Arc<str>, Tensor)]) {
        let back = Back::new(&self.step);
        let mut found = Vec::new();
        for (_, t) in outputs.iter().filter(|(_, t)| t.home == Home::Step) {
            let Some(softmax) = back.softmax(t.value) else {
                continue;
            };
            let Some(at) = back.node(t.value).and_then(|n| back.place(n)) else {
                continue;
            };
            if back.is_rectified(back.behind(softmax.logits)) {
                let d = Diagnostic::warning(Code::W0653, "a softmax of a rectified value")
                    .label(at, "negative logits are cut off before it")
                    .help("remove the activation before the softmax");
                found.push(d);
            }
        }
        let trains = |n: &Node| {
            let kernel = back.kernel(n).and_then(|name| self.params.get(name));
            kernel.is_some_and(|p| p.trainable)
        };
        if let Some((first, second)) = back.linear_stack()
            && trains(first)
            && trains(second)
            && let (Some(one), Some(two)) = (back.place(first), back.place(second))
            && one != two
        {
            let message = "two dense layers without an activation between them are one";
            let d = Diagnostic::warning(Code::W0655, message)
                .label(one, "this has no activation")
                .label(two, "its output goes into this layer only")
                .help("give the first an activation, or remove it");
            found.push(d);
        }
        if let Some(at) = back.zero_kernel(&self.init).and_then(|n| back.place(n)) {
            let d = Diagnostic::warning(Code::W0659, "a hidden layer starts at zero")
                .label(at, "all its units have the same gradient and stay the same")
                .help("use a random initializer for its kernel, such as the default");
            found.push(d);
        }
        for d in found {
            self.diagnose(d);
        }
    }

    /// A softmax of what is a probability already, wherever it is: in the model, in a loss, in
    /// another model of the step.
    pub(super) fn advise_softmax(&mut self) {
        for (at, made) in Back::new(&self.step).softmaxes_of_probabilities() {
            let mut d = Diagnostic::warning(Code::W0652, "a softmax of probabilities").label(
                at,
                "its inputs are between 0 and 1, so its outputs are nearly equal",
            );
            if let Some(made) = made {
                d = d.label(made, "these are probabilities already");
            }
            self.diagnose(d.help("use one of the two"));
        }
    }

    /// A regression loss on the probabilities of classes.
    pub(super) fn advise_loss(&mut self, c: &Configured, pair: &Comparison) {
        let p = &pair.prediction;
        let last = p.ty.rank().wrapping_sub(1);
        let over_classes = p.home == Home::Step
            && Back::new(&self.step)
                .softmax(p.value)
                .is_some_and(|s| s.over == [last]);
        let quantities = |d: &DefRef| {
            let first = lists(&d.def).1.first().and_then(|p| p.ty.as_ref());
            let real = first.map(tensor_pattern);
            let real = matches!(real, Some(Ok(p)) if matches!(p.meaning, MeaningPattern::Real));
            d.library && d.def.kind == DefKind::Loss && real
        };
        if !over_classes || !c.defs.iter().all(quantities) {
            return;
        }
        let what = &c.defs[0].def.name.text;
        let mut d = Diagnostic::warning(Code::W0654, format!("`{what}` of a softmax")).label(
            pair.at,
            "a regression loss learns slowly where the softmax is sure and wrong",
        );
        if let Some(loss) = self.world.loss_of_choice() {
            d = d.help(format!("use `{loss}`"));
        }
        self.diagnose(d);
    }

    /// A learning rate that is probably a slip.
    pub(super) fn advise_rate(&mut self, rate: f64, at: Span) {
        if !RATES.contains(&rate) {
            let label = match rate > *RATES.end() {
                true => "training diverges with steps this large",
                false => "steps this small change nothing",
            };
            let written = match rate < 1e-4 {
                true => format!("{rate:e}"),
                false => rate.to_string(),
            };
            let d = Diagnostic::warning(Code::W0656, format!("a learning rate of {written}"))
                .label(at, label)
                .help("usual rates are between 1e-5 and 0.1");
            self.diagnose(d);
        }
    }
}
