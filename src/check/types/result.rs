//! What to say when a model does not return what it declares: the layers with their shapes, the
//! one at fault and how to repair it.

use crate::diag::{Code, Diagnostic};
use crate::ir::{Dim, Shape};
use crate::span::Span;
use crate::syntax::ast;

use crate::check::elab::Elab;
use crate::check::elab::pattern::{MeaningPattern, Pattern, pattern_text, per_sample_text};
use crate::check::elab::state::Applied;
use crate::check::elab::value::{Meaning, Tensor, Val, lists};

/// Layers that a message lists.
const LISTED: usize = 8;

/// The argument of layers that return one value, or one per step.
const SEQUENCES: &str = "return_sequences";

impl Elab<'_> {
    /// `wanted` is the shape that is declared, `at` the value of the model's body.
    pub fn describe_result(
        &self,
        m: &ast::Model,
        t: &Tensor,
        pattern: &Pattern,
        wanted: Option<&Shape>,
        [at, declared]: [Span; 2],
    ) -> Diagnostic {
        let found = per_sample_text(t);
        let message = format!(
            "`{}` returns {found} per sample, but declares {}",
            m.name.text,
            pattern_text(pattern)
        );
        let path = self.path_to(t);
        let fault = path.last().map_or(at, |a| a.span);
        let mut d = Diagnostic::error(Code::E0213, message)
            .label(fault, format!("this returns {t}"))
            .label(declared, "declared here");
        if let Some(wanted) = wanted {
            d = self.result_repair(d, t, pattern, wanted);
        }
        match self.trace(&path) {
            Some(trace) => d.note(trace),
            None => d,
        }
    }

    fn result_repair(
        &self,
        d: Diagnostic,
        t: &Tensor,
        pattern: &Pattern,
        wanted: &Shape,
    ) -> Diagnostic {
        let mut found = t.ty.shape.get(1..).unwrap_or_default();
        // A head of one unit may be declared a scalar.
        if wanted.is_empty() && found == [Dim::ONE] {
            found = &[];
        }
        if found.len() != wanted.len() {
            return self.rank_repair(d, t, wanted);
        }
        if let (Some(now), Some(units)) = (found.last(), wanted.last())
            && now != units
            && found[..found.len() - 1] == wanted[..wanted.len() - 1]
        {
            return self.units_repair(d, t, units);
        }
        let probabilities = matches!(pattern.meaning, MeaningPattern::Prob);
        if probabilities && t.meaning == Meaning::Real && found == &wanted[..] {
            let many = wanted.last().is_some_and(|n| *n != Dim::ONE);
            return self.activation_repair(d, t, many);
        }
        d
    }

    /// Axes too many, or too few.
    fn rank_repair(&self, d: Diagnostic, t: &Tensor, wanted: &Shape) -> Diagnostic {
        let (found, wanted) = (t.ty.rank(), wanted.len() + 1);
        if let Some(help) = self.sequences_help(t, wanted) {
            return d.help(help);
        }
        match found > wanted && wanted <= 2 {
            true => self.flatten_repair(d, t, wanted.max(2)),
            false => d,
        }
    }

    /// What to do about the last layer that returns one value or one per step, where `wanted` axes are wanted of `t`.
    pub(super) fn sequences_help(&self, t: &Tensor, wanted: usize) -> Option<String> {
        let found = t.ty.rank();
        for a in self.path_to(t).iter().rev() {
            let layer = &a.instance.configured;
            let config = lists(&layer.defs[0].def).0;
            if !config.iter().any(|p| &*p.name.text == SEQUENCES) {
                continue;
            }
            let name = &layer.defs[0].def.name.text;
            let named = |n: &ast::Ident| &*n.text == SEQUENCES;
            let given = layer
                .args
                .iter()
                .find(|g| g.name.as_ref().is_some_and(named));
            match given {
                Some(g) if found == wanted + 1 && matches!(g.val, Val::Bool(true)) => {
                    return Some(format!(
                        "remove `{SEQUENCES} = true` from the last `{name}`, which then returns \
                         its last step"
                    ));
                }
                None if found + 1 == wanted => {
                    return Some(format!(
                        "add `{SEQUENCES} = true` to `{name}` to return every step"
                    ));
                }
                _ => break,
            }
        }
        None
    }

    /// The layers that were applied one after the other and led to `t`, the last one last.
    fn path_to(&self, t: &Tensor) -> Vec<Applied> {
        let mut path = Vec::new();
        let mut value = t.value;
        for a in self.applied.iter().rev() {
            if a.output.value == value {
                path.push(a.clone());
                match &a.input {
                    Some(input) => value = input.value,
                    None => break,
                }
            }
        }
        path.reverse();
        path
    }

    /// `shapes per sample: [4], Dense(8, relu) [8], Dense(3) [3]`.
    fn trace(&self, path: &[Applied]) -> Option<String> {
        let last = &path[path.len().saturating_sub(LISTED)..];
        let first = last.first()?.input.as_ref()?;
        let mut shapes = vec![per_sample_text(first)];
        for a in last {
            let written = self.source_text(a.span);
            shapes.push(format!("`{written}` {}", per_sample_text(&a.output)));
        }
        Some(format!("shapes per sample: {}", shapes.join(" |> ")))
    }
}
