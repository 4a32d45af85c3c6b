//! The arguments of a model's call: by position and name, each held to its input's type.

use std::sync::Arc;

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::plural;
use crate::span::Span;
use crate::syntax::ast::{self, Ident};

use crate::check::elab::Elab;
use crate::check::elab::pattern::{Pattern, pattern_text, per_sample_text, tensor_pattern};
use crate::check::elab::value::{ArgVal, Tensor, Val};

impl Elab<'_> {
    /// The tensor for each input, in the order of the inputs; `None` after a mistake. The mistakes
    /// of every argument are reported.
    pub(super) fn model_inputs(
        &mut self,
        m: &Arc<ast::Model>,
        args: &[ArgVal],
        span: Span,
    ) -> Option<Vec<(Ident, Tensor)>> {
        let mut failed = self.unresolved(args);
        let slots = self.by_input(m, args, span)?;
        let mut bound = Vec::new();
        for (p, a) in m.inputs.iter().zip(slots) {
            match self.model_input(m, p, a) {
                Some(t) => bound.push((p.name.clone(), t)),
                None => failed = true,
            }
        }
        (!failed).then_some(bound)
    }

    /// One argument for each input; `None` (reported) where they are not one to one.
    fn by_input<'a>(
        &mut self,
        m: &ast::Model,
        args: &'a [ArgVal],
        span: Span,
    ) -> Option<Vec<&'a ArgVal>> {
        if args.iter().all(|a| a.name.is_none()) {
            if args.len() == m.inputs.len() {
                return Some(args.iter().collect());
            }
            let takes = plural::count(m.inputs.len(), "input");
            self.error(
                Code::E0107,
                span,
                format!("`{}` takes {takes}", m.name.text),
                format!("found {}", args.len()),
            );
            return None;
        }
        let mut slots: Vec<Option<&ArgVal>> = vec![None; m.inputs.len()];
        let mut complete = true;
        let mut position = 0;
        for a in args {
            let place = match &a.name {
                None => {
                    position += 1;
                    position - 1
                }
                Some(n) => match m.inputs.iter().position(|p| p.name.text == n.text) {
                    Some(i) => i,
                    None => {
                        self.unknown_input(m, n);
                        complete = false;
                        continue;
                    }
                },
            };
            match slots.get_mut(place) {
                Some(slot @ None) => *slot = Some(a),
                Some(Some(first)) => {
                    let name = &m.inputs[place].name.text;
                    let d = Diagnostic::error(Code::E0105, format!("`{name}` is given twice"))
                        .label(a.span, "given again here")
                        .label(first.span, "first given here");
                    self.diagnose(d);
                    complete = false;
                }
                None => {
                    let takes = plural::count(m.inputs.len(), "input");
                    self.error(
                        Code::E0107,
                        a.span,
                        format!("`{}` takes {takes}", m.name.text),
                        "unexpected argument",
                    );
                    complete = false;
                }
            }
        }
        let missing = slots.iter().position(Option::is_none);
        if let (true, Some(i)) = (complete, missing) {
            let name = &m.inputs[i].name.text;
            self.error(
                Code::E0106,
                span,
                format!("`{}` needs `{name}`", m.name.text),
                format!("missing `{name}`"),
            );
        }
        slots
            .into_iter()
            .collect::<Option<_>>()
            .filter(|_| complete)
    }

    fn unknown_input(&mut self, m: &ast::Model, n: &Ident) {
        let what = format!("`{}` has no input `{}`", m.name.text, n.text);
        let mut d = Diagnostic::error(Code::E0104, what).label(n.span, "unknown input");
        let inputs: Vec<&str> = m.inputs.iter().map(|p| &*p.name.text).collect();
        d = match did_you_mean(&n.text, inputs.iter().copied()) {
            Some(near) => d.help(format!("did you mean `{near}`?")).fix(n.span, near),
            None => d.note(format!("its inputs are: {}", inputs.join(", "))),
        };
        self.diagnose(d);
    }

    fn model_input(&mut self, m: &ast::Model, p: &ast::Param, a: &ArgVal) -> Option<Tensor> {
        let t = match &a.val {
            Val::Tensor(t) => t.clone(),
            Val::Error => return None,
            other => {
                self.error(
                    Code::E0312,
                    a.span,
                    format!("`{}` of `{}` must be a tensor", p.name.text, m.name.text),
                    format!("this is {}", other.describe()),
                );
                return None;
            }
        };
        match p.ty.as_ref().map(tensor_pattern) {
            Some(Ok(pattern)) => self.input_fits(&pattern, t, p, a.span),
            Some(Err(word)) => {
                let word = word.clone();
                self.unknown_type(&word);
                None
            }
            None => {
                self.untyped_input(p);
                None
            }
        }
    }

    pub(super) fn untyped_input(&mut self, p: &ast::Param) {
        let d = Diagnostic::error(
            Code::E0314,
            format!("the input `{}` needs a type", p.name.text),
        )
        .label(p.span, format!("for example, `{}: [784]`", p.name.text));
        self.diagnose(d);
    }

    fn input_fits(
        &mut self,
        pattern: &Pattern,
        t: Tensor,
        p: &ast::Param,
        at: Span,
    ) -> Option<Tensor> {
        let text = pattern_text(pattern);
        let before = self.diags.len();
        let fitted = self.per_sample(pattern, t.clone(), p.span, at, &p.name.text);
        if fitted.is_none()
            && self.diags.len() > before
            && self.diags.last().is_some_and(|d| d.code == Code::E0507)
        {
            self.diags.pop();
            if self.data.doubtful.contains(&p.name.text) {
                return None;
            }
            let found = per_sample_text(&t);
            let d = Diagnostic::error(
                Code::E0602,
                format!(
                    "the model expects {text} for `{}`, but the data have {found}",
                    p.name.text
                ),
            )
            .label(p.span, format!("declared as {text}"))
            .label(at, format!("this is {found} per sample"));
            self.diagnose(d);
        }
        fitted
    }
}
