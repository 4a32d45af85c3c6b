//! Models as functions: inputs checked per sample, parameters named after the model.

use std::sync::Arc;

use crate::diag::{Code, Diagnostic};
use crate::ir::{Dim, Role, Type};
use crate::plural;
use crate::span::Span;
use crate::syntax::ast;

use crate::check::elab::Elab;
use crate::check::elab::naming::snake_case;
use crate::check::elab::pattern::{Pattern, pattern_text, per_sample_text, tensor_pattern};
use crate::check::elab::scope::{Declares, Frame, VarRole};
use crate::check::elab::value::{ArgVal, Tensor, Val};

impl Elab<'_> {
    /// A model that nothing trains, on inputs of its declared types.
    pub fn model_alone(&mut self, m: &Arc<ast::Model>) {
        let mut args = Vec::new();
        for p in &m.inputs {
            let pattern = match p.ty.as_ref().map(tensor_pattern) {
                Some(Ok(pattern)) => pattern,
                Some(Err(word)) => {
                    let word = word.clone();
                    self.unknown_type(&word);
                    args.push(Val::Error);
                    continue;
                }
                None => {
                    self.untyped_input(p);
                    args.push(Val::Error);
                    continue;
                }
            };
            let Some(shape) = self.shape_of(pattern.dims) else {
                return;
            };
            let mut t = self.fresh(
                &Pattern {
                    dims: &[],
                    ..pattern.clone()
                },
                &p.name.text,
            );
            t.ty.shape = std::iter::once(Dim::symbol("B")).chain(shape).collect();
            t.value = self.step.input(&p.name.text, Role::Data, t.ty.clone());
            args.push(Val::Tensor(t));
        }
        let args = args
            .into_iter()
            .zip(&m.inputs)
            .map(|(val, p)| ArgVal {
                name: None,
                val,
                span: p.span,
                symbol: None,
            })
            .collect();
        self.apply_model_at(m, args, m.name.span, "".into());
    }

    /// A model used as a function: its parameters are named after it.
    pub fn apply_model(&mut self, m: &Arc<ast::Model>, args: Vec<ArgVal>, span: Span) -> Val {
        let path = self.top().path.clone();
        let name = snake_case(&m.name.text);
        let path: Arc<str> = if path.is_empty() {
            name.into()
        } else {
            format!("{path}/{name}").into()
        };
        self.apply_model_at(m, args, span, path)
    }

    pub fn apply_model_at(
        &mut self,
        m: &Arc<ast::Model>,
        args: Vec<ArgVal>,
        span: Span,
        path: Arc<str>,
    ) -> Val {
        if !self.enter(span) {
            return Val::Error;
        }
        if args.len() != m.inputs.len() {
            self.leave();
            return self.error(
                Code::E0107,
                span,
                format!(
                    "`{}` takes {}",
                    m.name.text,
                    plural::count(m.inputs.len(), "input")
                ),
                format!("found {}", args.len()),
            );
        }
        self.reset_names(&path);
        let mut bound = Vec::new();
        for (p, a) in m.inputs.iter().zip(&args) {
            let t = match &a.val {
                Val::Tensor(t) => t.clone(),
                Val::Error => {
                    self.leave();
                    return Val::Error;
                }
                other => {
                    self.leave();
                    return self.error(
                        Code::E0312,
                        a.span,
                        format!("`{}` of `{}` must be a tensor", p.name.text, m.name.text),
                        format!("this is {}", other.describe()),
                    );
                }
            };
            let fitted = match p.ty.as_ref().map(tensor_pattern) {
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
            };
            let Some(fitted) = fitted else {
                self.leave();
                return Val::Error;
            };
            bound.push((p.name.clone(), fitted));
        }
        let application = self.application(&path);
        let mut frame = Frame::new(path, m.name.text.to_string(), false, Some(span));
        frame.declares = Declares::Layer;
        frame.draws = application << 16;
        // `B` is the batch in every definition, and so in a model.
        frame.bind_given(&"B".into(), Val::Int(Dim::symbol("B")), span);
        for (n, t) in bound {
            frame.bind(&n.text, Val::Tensor(t), n.span, VarRole::Given);
        }
        self.frames.push(frame);
        let v = self.block(&m.body);
        let v = match v {
            Some(v) => self.model_result(m, v),
            None => self.no_value(&m.name, &m.body),
        };
        self.frames.pop();
        self.leave();
        v
    }

    fn untyped_input(&mut self, p: &ast::Param) {
        let d = Diagnostic::error(
            Code::E0314,
            format!("the input `{}` needs a type", p.name.text),
        )
        .label(p.span, format!("for example, `{}: [784]`", p.name.text));
        self.report(d);
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
            self.report(d);
        }
        fitted
    }

    fn model_result(&mut self, m: &ast::Model, v: Val) -> Val {
        let (Some(ty), Val::Tensor(t)) = (&m.result, &v) else {
            return v;
        };
        if !matches!(ty.kind, ast::TypeKind::Plain { .. }) {
            return v;
        }
        let pattern = match tensor_pattern(ty) {
            Ok(pattern) => pattern,
            Err(word) => {
                let word = word.clone();
                self.unknown_type(&word);
                return Val::Error;
            }
        };
        let at = m.body.value.as_ref().map_or(ty.span, |e| e.span);
        // A head of one unit may be declared a scalar.
        let unit = pattern.dims.is_empty() && t.ty.rank() == 2 && t.ty.shape[1] == Dim::ONE;
        let seen = if unit {
            Tensor {
                ty: Type {
                    elem: t.ty.elem,
                    shape: t.ty.shape[..1].iter().cloned().collect(),
                },
                ..t.clone()
            }
        } else {
            t.clone()
        };
        let before = self.diags.len();
        if self
            .per_sample(&pattern, seen, ty.span, at, &m.name.text)
            .is_none()
        {
            if self.diags.len() > before && self.diags.last().is_some_and(|d| d.code == Code::E0507)
            {
                self.diags.pop();
                let wanted = self.shape_of(pattern.dims);
                let d = self.describe_result(m, t, &pattern, wanted.as_ref(), [at, ty.span]);
                self.report(d);
            }
            return Val::Error;
        }
        v
    }
}
