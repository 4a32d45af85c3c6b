//! What the graph of a step shows: parameters that no gradient reaches, rows of a batch that
//! are mixed, probabilities that are not those of classes.

use std::sync::Arc;

use crate::diag::{Code, Diagnostic};
use crate::ir::flow::Back;
use crate::ir::prim::Unary;
use crate::ir::{Dim, Node, Prim, flow};
use crate::library::proposal;
use crate::span::Span;
use crate::syntax::ast::{DefKind, DimExpr};

use crate::check::elab::Elab;
use crate::check::elab::pattern::{MeaningPattern, tensor_pattern};
use crate::check::elab::state::Comparison;
use crate::check::elab::value::{ArgVal, Configured, DefRef, Home, Meaning, Tensor, Val, lists};

/// Names of parameters that a message lists.
const NAMED: usize = 3;

impl Elab<'_> {
    /// Reports parameters that `total` does not depend on, or only through an operation that has
    /// no gradient. Whether any is trained.
    pub(super) fn check_reached(&mut self, total: &Tensor, trained: &[Arc<str>], at: Span) -> bool {
        let values: Vec<_> = trained
            .iter()
            .map(|p| self.params[p].tensor.value)
            .collect();
        let reached = flow::reached(&self.step, total.value, &values, &self.optimizer.gradients);
        let lost: Vec<usize> = (0..trained.len()).filter(|i| !reached[*i]).collect();
        let Some(first) = lost.first() else {
            return true;
        };
        let names: Vec<String> = lost.iter().map(|i| format!("`{}`", trained[*i])).collect();
        let mut listed = names[..names.len().min(NAMED)].join(", ");
        if names.len() > NAMED {
            listed += &format!(" and {} more", names.len() - NAMED);
        }
        let message = format!("no gradient reaches {listed}");
        let all = lost.len() == trained.len();
        let mut d = match all {
            true => {
                Diagnostic::error(Code::E0607, message).label(at, "there is nothing to learn here")
            }
            false => Diagnostic::warning(Code::W0650, message).label(
                self.layer_of(&trained[*first]),
                "this keeps its initial values",
            ),
        };
        let wrt: Vec<_> = lost.iter().map(|i| values[*i]).collect();
        let stop = flow::blocked(&self.step, total.value, &wrt);
        let place = stop.and_then(|i| {
            // The update of another step is no part of what is minimized here.
            let node = Some(&self.step.nodes[i]).filter(|n| n.prim != Prim::Gradient)?;
            let span = self.step.origins[node.origin.0 as usize].span?;
            Some((span, node.prim.name()))
        });
        d = match place {
            Some((span, name)) => d
                .label(span, format!("gradients stop here: `{name}` has none"))
                .help("minimize something that changes smoothly with the parameters"),
            None if all => d.help("what is minimized must depend on the model that is trained"),
            None => {
                d.help("use it in the loss, remove it, or list it in `freeze` if this is intended")
            }
        };
        self.diagnose(d);
        !all
    }

    /// Where the layer of a parameter is applied.
    fn layer_of(&self, param: &str) -> Span {
        let within = |path: &str| param.strip_prefix(path).is_some_and(|r| r.starts_with('/'));
        let layers = self.applied.iter();
        let of = layers.filter(|a| within(&a.instance.path));
        let nearest = of.max_by_key(|a| a.instance.path.len());
        nearest.map_or(self.params[param].span, |a| a.span)
    }

    /// Warns where the prediction for a row depends on the other rows of its batch.
    pub(super) fn check_rows(&mut self, outputs: &[(Arc<str>, Tensor)]) {
        let here = outputs.iter().filter(|(_, t)| t.home == Home::Step);
        let values: Vec<_> = here.map(|(_, t)| t.value).collect();
        let Some(index) = flow::mixing(&self.step, &values) else {
            return;
        };
        let node = &self.step.nodes[index];
        let Some(span) = self.step.origins[node.origin.0 as usize].span else {
            return;
        };
        let help = match &node.prim {
            Prim::Reduce { .. } => {
                "axis 0 is the batch: name another axis, such as `axis = -1`, or use a `fit` for \
                 a statistic of the training set"
            }
            _ => "axis 0 is the batch: work along another axis",
        };
        let message = "a prediction depends on the other rows of its batch";
        let d = Diagnostic::warning(Code::W0651, message)
            .label(span, "this mixes the rows of a batch")
            .help(help);
        self.diagnose(d);
    }

    /// A loss over exclusive classes takes probabilities that sum to 1 over the classes. Whether
    /// they do, as far as can be seen.
    pub(super) fn sums_over_classes(&mut self, c: &Configured, pair: &Comparison) -> bool {
        let (p, y) = (&pair.prediction, &pair.target);
        let last = p.ty.rank().wrapping_sub(1);
        let many =
            p.ty.shape
                .last()
                .and_then(Dim::as_const)
                .is_some_and(|n| n > 1);
        if !many || p.meaning != Meaning::Prob || p.home != Home::Step || !is_categorical(c, p, y) {
            return true;
        }
        let (message, help) = match self.kind_of_probabilities(p) {
            Probabilities::Independent => (
                "these probabilities are independent: they do not sum to 1 over the classes",
                "one class of several is right, so they must sum to 1 over the classes",
            ),
            Probabilities::Over(axes) if !axes.contains(&last) => (
                "these probabilities do not sum to 1 over the classes, but over another axis",
                "the classes are the last axis",
            ),
            _ => return true,
        };
        let yes_or_no = proposal("yes_or_no");
        let span = self.activation(yes_or_no.unwrap_or_default());
        let made = span.or_else(|| self.made_at(p)).unwrap_or(pair.at);
        let mut d = Diagnostic::error(Code::E0670, message)
            .label(made, "computed here")
            .label(pair.at, "this loss is for classes of which one is right");
        if let Some(choice) = proposal("choice") {
            d = d.help(format!("{help}: use `{choice}`"));
            if let Some(span) = span {
                d = d.fix(span, choice);
            }
        }
        self.diagnose(d);
        false
    }

    /// Where the last layer is given an activation of this name.
    fn activation(&self, name: &str) -> Option<Span> {
        let last = self.applied.last()?;
        let named =
            |a: &&ArgVal| matches!(&a.val, Val::Def(d) if *d.defs[0].def.name.text == *name);
        let args = &last.instance.configured.args;
        args.iter().find(named).map(|a| a.span)
    }

    pub(super) fn kind_of_probabilities(&self, p: &Tensor) -> Probabilities {
        let back = Back::new(&self.step);
        let logistic = |n: &Node| n.prim == Prim::Unary(Unary::Logistic);
        if back.node(back.behind(p.value)).is_some_and(logistic) {
            return Probabilities::Independent;
        }
        match back.softmax(p.value) {
            Some(s) => Probabilities::Over(s.over),
            None => Probabilities::Unknown,
        }
    }
}

/// What the numbers of an output are probabilities of.
pub(super) enum Probabilities {
    /// Each of a yes or no of its own.
    Independent,
    /// One of several, along these axes.
    Over(Vec<usize>),
    Unknown,
}

/// Whether a loss of the library compares classes of which one is right: it takes probabilities
/// along a last axis that it names.
fn is_categorical(c: &Configured, p: &Tensor, y: &Tensor) -> bool {
    let named = |d: &DefRef| {
        let first = lists(&d.def).1.first().and_then(|p| p.ty.as_ref());
        let Some(Ok(pattern)) = first.map(tensor_pattern) else {
            return false;
        };
        let last = pattern.dims.last();
        matches!(pattern.meaning, MeaningPattern::Prob)
            && last.is_some_and(|d| !matches!(d, DimExpr::Rest(_)))
    };
    let library = |d: &DefRef| d.library && d.def.kind == DefKind::Loss;
    let fits = match y.meaning {
        Meaning::Class(_) => y.ty.rank() + 1 == p.ty.rank(),
        Meaning::Prob => y.ty.shape == p.ty.shape,
        Meaning::Real | Meaning::Token(_) => false,
    };
    fits && c.defs.iter().all(|d| library(d) && named(d))
}
