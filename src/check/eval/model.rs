//! Models as functions: inputs checked per sample, parameters named after the model.

use std::rc::Rc;
use std::sync::Arc;

use crate::diag::{Code, Diagnostic};
use crate::ir::{Dim, Type};
use crate::span::Span;
use crate::syntax::ast;

use crate::check::elab::Elab;
use crate::check::elab::naming::snake_case;
use crate::check::elab::pattern::{pattern_text, tensor_pattern};
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
            let t = self.sample_input(&pattern, &p.name.text);
            args.push(t.map_or(Val::Error, Val::Tensor));
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
        self.reset_names(&path);
        let Some(bound) = self.model_inputs(m, &args, span) else {
            self.leave();
            return Val::Error;
        };
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

    fn model_result(&mut self, m: &ast::Model, v: Val) -> Val {
        let Some(ty) = &m.result else { return v };
        let at = m.body.value.as_ref().map_or(ty.span, |e| e.span);
        if v.is_error() {
            return v;
        }
        let ast::TypeKind::Tuple(types) = &ty.kind else {
            return self.model_output(m, v, ty, at);
        };
        let Some(items) = self.declared_items(&v, types, ty.span, &m.name, at) else {
            return Val::Error;
        };
        let places: Vec<Span> = match m.body.value.as_ref().map(|e| &e.kind) {
            Some(ast::ExprKind::Tuple(items)) => items.iter().map(|a| a.value.span).collect(),
            _ => vec![at; types.len()],
        };
        let each = items.into_iter().zip(types).zip(places);
        let each = each.map(|(((name, v), (_, ty)), at)| {
            let v = match v {
                Val::Error => Val::Error,
                v => self.model_output(m, v, ty, at),
            };
            (name, v)
        });
        Val::Tuple(Rc::new(each.collect()))
    }

    /// One output of a model, of a declared type.
    fn model_output(&mut self, m: &ast::Model, v: Val, ty: &ast::TypeExpr, at: Span) -> Val {
        let pattern = match tensor_pattern(ty) {
            Ok(pattern) => pattern,
            Err(word) => {
                let word = word.clone();
                self.unknown_type(&word);
                return Val::Error;
            }
        };
        let t = match &v {
            Val::Tensor(t) => t,
            other => {
                let (found, written) = (other.describe(), pattern_text(&pattern));
                let what = format!("`{}` returns {found}, but declares {written}", m.name.text);
                let mut d = Diagnostic::error(Code::E0213, what)
                    .label(at, format!("this is {found}"))
                    .label(ty.span, "declared here");
                if matches!(other, Val::Layer(_)) {
                    d = d.help("a layer is applied to a tensor: `x |> layer`; begin the line with `|>` to apply it to the tensor above");
                }
                return self.diagnose(d);
            }
        };
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
                self.diagnose(d);
            }
            return Val::Error;
        }
        v
    }
}
