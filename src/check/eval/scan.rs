//! `scan`: a loop over an axis becomes one primitive with its body as a region.

use std::rc::Rc;
use std::sync::Arc;

use crate::diag::{Code, Diagnostic};
use crate::ir::prim::Scan as ScanPrim;
use crate::ir::{Dim, Elem, Graph, OutputRole, Prim, Role, Shape, Type};
use crate::span::Span;
use crate::syntax::ast::{self, Scan};

use crate::check::elab::Elab;
use crate::check::elab::scope::VarRole;
use crate::check::elab::state::ScanScope;
use crate::check::elab::value::{Home, Meaning, Tensor, Val};

impl Elab<'_> {
    /// `scan zt in z along 1 from h = h0 { ... }`: see [`Scan`].
    pub(super) fn scan(&mut self, s: &Scan, span: Span) -> Val {
        let axis = match &s.axis {
            None => 1,
            Some(e) => match self.eval(e) {
                Val::Int(Dim::Const(a)) if a >= 0 => a as usize,
                Val::Error => return Val::Error,
                other => {
                    return self.error(
                        Code::E0301,
                        e.span,
                        "an axis must be an integer from 0",
                        format!("this is {}", other.describe()),
                    );
                }
            },
        };
        let mut scanned = Vec::new();
        // What is not there is not there in any step.
        let mut absent = Vec::new();
        let mut length: Option<Dim> = None;
        for (name, e) in &s.elements {
            let t = match self.eval(e) {
                Val::Tensor(t) => t,
                Val::None => {
                    absent.push(name);
                    continue;
                }
                Val::Error | Val::Unknown(_) => return Val::Error,
                other => {
                    return self.error(
                        Code::E0312,
                        e.span,
                        "`scan` needs a tensor",
                        format!("this is {}", other.describe()),
                    );
                }
            };
            let Some(size) = t.ty.shape.get(axis).cloned() else {
                return self.error(
                    Code::E0207,
                    e.span,
                    format!("axis {axis} is out of range for {t}"),
                    "scanned here",
                );
            };
            if length.as_ref().is_some_and(|l| *l != size) {
                let d = Diagnostic::error(
                    Code::E0203,
                    format!(
                        "scanned tensors have different lengths: {} and {size}",
                        length.expect("just seen")
                    ),
                )
                .label(e.span, format!("this is {t}"));
                return self.report(d);
            }
            length = Some(size);
            let mut perm: Vec<usize> = (0..t.ty.rank()).collect();
            perm.remove(axis);
            perm.insert(0, axis);
            let meaning = t.meaning.clone();
            let moved = if axis == 0 {
                Val::Tensor(t)
            } else {
                self.emit(Prim::Transpose(perm), &[&t], meaning, e.span)
            };
            let Val::Tensor(t) = moved else {
                return Val::Error;
            };
            scanned.push((name, t));
        }
        let Some(length) = length else {
            // In a use there may be something.
            if self.mode.generic {
                return Val::Error;
            }
            return self.error(
                Code::E0312,
                span,
                "`scan` needs a tensor",
                "here everything is `none`",
            );
        };
        let mut carries = Vec::new();
        for (name, e) in &s.carries {
            let v = self.eval(e);
            let Some(t) = self.as_tensor(&v, Elem::F32, e.span) else {
                return Val::Error;
            };
            carries.push((name, t, e.span));
        }

        let k = self.scans.len() as u32;
        self.scans.push(ScanScope {
            graph: Graph::new("body"),
            captured: Vec::new(),
            index: None,
            length: length.clone(),
        });
        self.frame().push_block();
        for (name, t, _) in &carries {
            self.body_input(k, name, t.ty.clone(), t.meaning.clone());
        }
        for (name, t) in &scanned {
            let mut ty = t.ty.clone();
            ty.shape.remove(0);
            self.body_input(k, name, ty, t.meaning.clone());
        }
        for name in absent {
            self.frame()
                .bind(&name.text, Val::None, name.span, VarRole::Local);
        }
        let stacked = self.block(&s.body);
        let mut outputs = Vec::new();
        let mut failed = false;
        for (name, t, at) in &carries {
            let v = self
                .top()
                .get(&name.text)
                .map_or(Val::Error, |v| v.val.clone());
            let Some(next) = self
                .as_tensor(&v, t.ty.elem, *at)
                .and_then(|n| self.cast(n, t.ty.elem, *at))
            else {
                failed = true;
                continue;
            };
            if next.ty != t.ty {
                if !(self.mode.generic && next.ty.rank() == t.ty.rank()) {
                    let d = Diagnostic::error(
                        Code::E0215,
                        format!("`{}` changes its type from step to step", name.text),
                    )
                    .label(*at, format!("it starts as {t}"))
                    .label(name.span, format!("but is {next} after a step"));
                    self.report(d);
                }
                failed = true;
                continue;
            }
            outputs.push(next);
        }
        let has_value = stacked.is_some();
        let meaning = match stacked {
            Some(Val::Error) => {
                failed = true;
                Meaning::Real
            }
            Some(v) => match self.as_tensor(&v, Elem::F32, span) {
                Some(t) => {
                    outputs.push(t.clone());
                    t.meaning
                }
                None => {
                    failed = true;
                    Meaning::Real
                }
            },
            None => Meaning::Real,
        };
        let mut values = Vec::new();
        for t in &outputs {
            match self.reach(t, span) {
                Some(v) => values.push(v),
                None => failed = true,
            }
        }
        self.frame().pop_block();
        let mut scope = self.scans.pop().expect("pushed above");
        if failed {
            return Val::Error;
        }
        for (i, v) in values.iter().enumerate() {
            scope.graph.output(&format!("o{i}"), OutputRole::Result, *v);
        }
        let mut args: Vec<Tensor> = carries
            .iter()
            .map(|(_, t, _)| t.clone())
            .chain(scanned.into_iter().map(|(_, t)| t))
            .collect();
        let mut scanned_count = args.len() - carries.len();
        if let Some(index) = scope.index {
            let iota = Prim::Iota {
                axis: 0,
                shape: Shape::from_iter([length.clone()]),
                elem: Elem::I32,
            };
            let Val::Tensor(t) = self.emit(iota, &[], Meaning::Real, span) else {
                return Val::Error;
            };
            let at = scope
                .graph
                .inputs
                .iter()
                .position(|i| i.value == index)
                .expect("the index is an input");
            let input = scope.graph.inputs.remove(at);
            scope.graph.inputs.insert(args.len(), input);
            args.push(t);
            scanned_count += 1;
        }
        args.extend(scope.captured.iter().map(|(t, _)| t.clone()));
        let prim = Prim::Scan(ScanPrim {
            body: Arc::new(scope.graph),
            carries: carries.len(),
            scanned: scanned_count,
            length,
            reverse: false,
        });
        let mut reached = Vec::new();
        for t in &args {
            let Some(v) = self.reach(t, span) else {
                return Val::Error;
            };
            reached.push(v);
        }
        let origin = self.origin(span);
        let results = match self.graph().push(prim, &reached, origin) {
            Ok(r) => r,
            Err(e) => return self.type_error(e, span),
        };
        let mut finals: Vec<Val> = Vec::new();
        for (i, (_, t, _)) in carries.iter().enumerate() {
            finals.push(Val::Tensor(self.tensor(results[i], t.meaning.clone())));
        }
        if has_value {
            let t = self.tensor(results[carries.len()], meaning.clone());
            let mut perm: Vec<usize> = (1..t.ty.rank()).collect();
            perm.insert(axis.min(t.ty.rank() - 1), 0);
            let stacked = if axis == 0 {
                Val::Tensor(t)
            } else {
                self.emit(Prim::Transpose(perm), &[&t], meaning, span)
            };
            finals.insert(0, stacked);
        }
        if finals.len() == 1 {
            return finals.remove(0);
        }
        Val::Tuple(Rc::new(finals.into_iter().map(|v| (None, v)).collect()))
    }

    fn body_input(&mut self, k: u32, name: &ast::Ident, ty: Type, meaning: Meaning) {
        let graph = &mut self.scans.last_mut().expect("inside a scan").graph;
        let value = graph.input(&name.text, Role::Plain, ty.clone());
        let t = Tensor {
            value,
            home: Home::Scan(k),
            ty,
            meaning,
            mask: None,
        };
        self.frame()
            .bind(&name.text, Val::Tensor(t), name.span, VarRole::Local);
    }
}
