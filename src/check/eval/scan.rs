//! `scan`: a loop over an axis becomes one primitive with its body as a region.

use std::rc::Rc;
use std::sync::Arc;

use crate::diag::{Code, Diagnostic};
use crate::ir::prim::Scan as ScanPrim;
use crate::ir::{Dim, Elem, Graph, OutputRole, Prim, Role, Shape, Type, Value};
use crate::span::Span;
use crate::syntax::ast::{self, Scan};

use crate::check::elab::Elab;
use crate::check::elab::scope::VarRole;
use crate::check::elab::state::ScanScope;
use crate::check::elab::value::{Home, Meaning, Tensor, Val};

/// What a scan goes over, each moved so that its axis is the first.
struct Elements<'s> {
    scanned: Vec<(&'s ast::Ident, Tensor)>,
    /// What is not there is not there in any step.
    absent: Vec<&'s ast::Ident>,
    length: Dim,
}

/// A carried name, its first value and where that is.
type Carry<'s> = (&'s ast::Ident, Tensor, Span);

impl Elab<'_> {
    /// `scan zt in z along 1 from h = h0 { ... }`: see [`Scan`].
    pub(super) fn scan(&mut self, s: &Scan, span: Span) -> Val {
        self.scanned(s, span).unwrap_or(Val::Error)
    }

    fn scanned(&mut self, s: &Scan, span: Span) -> Option<Val> {
        let axis = self.scan_axis(s)?;
        let elements = self.scan_elements(s, axis, span)?;
        let carries = self.scan_carries(s)?;
        let k = self.scans.len() as u32;
        self.scans.push(ScanScope {
            graph: Graph::new("body"),
            captured: Vec::new(),
            index: None,
            length: elements.length.clone(),
        });
        self.frame().push_block();
        self.bind_in_body(k, &elements, &carries);
        let stacked = self.block(&s.body);
        let has_value = stacked.is_some();
        let outputs = self.body_outputs(&carries, stacked, span);
        self.frame().pop_block();
        let mut scope = self.scans.pop().expect("pushed above");
        let (values, meaning) = outputs?;
        for (i, v) in values.iter().enumerate() {
            scope.graph.output(&format!("o{i}"), OutputRole::Result, *v);
        }
        let results = self.push_scan(scope, elements, &carries, span)?;
        let mut finals: Vec<Val> = Vec::new();
        for ((_, t, _), result) in carries.iter().zip(&results) {
            finals.push(Val::Tensor(self.tensor(*result, t.meaning.clone())));
        }
        if has_value {
            let t = self.tensor(results[carries.len()], meaning.clone());
            let mut perm: Vec<usize> = (1..t.ty.rank()).collect();
            perm.insert(axis.min(t.ty.rank() - 1), 0);
            let stacked = match axis {
                0 => Val::Tensor(t),
                _ => self.emit(Prim::Transpose(perm), &[&t], meaning, span),
            };
            finals.insert(0, stacked);
        }
        if finals.len() == 1 {
            return finals.pop();
        }
        let items = finals.into_iter().map(|v| (None, v));
        Some(Val::Tuple(Rc::new(items.collect())))
    }

    fn scan_axis(&mut self, s: &Scan) -> Option<usize> {
        let Some(e) = &s.axis else { return Some(1) };
        match self.eval(e) {
            Val::Int(Dim::Const(a)) if a >= 0 => Some(a as usize),
            v if self.is_open(&v) => None,
            other => {
                self.error(
                    Code::E0301,
                    e.span,
                    "an axis must be an integer from 0",
                    format!("this is {}", other.describe()),
                );
                None
            }
        }
    }

    fn scan_elements<'s>(&mut self, s: &'s Scan, axis: usize, span: Span) -> Option<Elements<'s>> {
        let mut scanned = Vec::new();
        let mut absent = Vec::new();
        let mut length: Option<Dim> = None;
        for (name, e) in &s.elements {
            let t = match self.eval(e) {
                Val::Tensor(t) => t,
                Val::None => {
                    absent.push(name);
                    continue;
                }
                Val::Error | Val::Unknown(_) => return None,
                other => {
                    self.error(
                        Code::E0312,
                        e.span,
                        "`scan` needs a tensor",
                        format!("this is {}", other.describe()),
                    );
                    return None;
                }
            };
            let Some(size) = t.ty.shape.get(axis).cloned() else {
                let what = format!("axis {axis} is out of range for {t}");
                self.error(Code::E0207, e.span, what, "scanned here");
                return None;
            };
            if let Some(first) = length.as_ref().filter(|l| **l != size) {
                let what = format!("scanned tensors have different lengths: {first} and {size}");
                self.error(Code::E0203, e.span, what, format!("this is {t}"));
                return None;
            }
            length = Some(size);
            let mut perm: Vec<usize> = (0..t.ty.rank()).collect();
            perm.remove(axis);
            perm.insert(0, axis);
            let meaning = t.meaning.clone();
            let moved = match axis {
                0 => Val::Tensor(t),
                _ => self.emit(Prim::Transpose(perm), &[&t], meaning, e.span),
            };
            let Val::Tensor(t) = moved else { return None };
            scanned.push((name, t));
        }
        // In a use there may be something.
        if length.is_none() && !self.mode.generic {
            let label = "here everything is `none`";
            self.error(Code::E0312, span, "`scan` needs a tensor", label);
        }
        Some(Elements {
            scanned,
            absent,
            length: length?,
        })
    }

    fn scan_carries<'s>(&mut self, s: &'s Scan) -> Option<Vec<Carry<'s>>> {
        let mut carries = Vec::new();
        for (name, e) in &s.carries {
            let v = self.eval(e);
            carries.push((name, self.as_tensor(&v, Elem::F32, e.span)?, e.span));
        }
        Some(carries)
    }

    fn bind_in_body(&mut self, k: u32, elements: &Elements, carries: &[Carry]) {
        for (name, t, _) in carries {
            self.body_input(k, name, t.ty.clone(), t.meaning.clone());
        }
        for (name, t) in &elements.scanned {
            let mut ty = t.ty.clone();
            ty.shape.remove(0);
            self.body_input(k, name, ty, t.meaning.clone());
        }
        for name in &elements.absent {
            self.frame()
                .bind(&name.text, Val::None, name.span, VarRole::Local);
        }
    }

    /// The next values of what is carried, then the body's own with its meaning.
    fn body_outputs(
        &mut self,
        carries: &[Carry],
        stacked: Option<Val>,
        span: Span,
    ) -> Option<(Vec<Value>, Meaning)> {
        let nexts: Vec<Option<Tensor>> = carries.iter().map(|c| self.next_value(c)).collect();
        let mut outputs: Option<Vec<Tensor>> = nexts.into_iter().collect();
        let mut meaning = Meaning::Real;
        match stacked.map(|v| self.as_tensor(&v, Elem::F32, span)) {
            Some(Some(t)) => {
                meaning = t.meaning.clone();
                outputs.iter_mut().for_each(|all| all.push(t.clone()));
            }
            Some(None) => outputs = None,
            None => {}
        }
        let outputs = outputs?;
        let values = outputs.iter().map(|t| self.reach(t, span));
        let values: Vec<Option<Value>> = values.collect();
        let values: Option<Vec<Value>> = values.into_iter().collect();
        Some((values?, meaning))
    }

    /// What the body has made of a carried name; `None` (reported) if it is of another type.
    fn next_value(&mut self, (name, first, at): &Carry) -> Option<Tensor> {
        let v = self.top().get(&name.text);
        let v = v.map_or(Val::Error, |v| v.val.clone());
        let next = self.as_tensor(&v, first.ty.elem, *at)?;
        let next = self.cast(next, first.ty.elem, *at)?;
        if next.ty == first.ty {
            return Some(next);
        }
        if !(self.mode.generic && next.ty.rank() == first.ty.rank()) {
            let what = format!("`{}` changes its type from step to step", name.text);
            let d = Diagnostic::error(Code::E0215, what)
                .label(*at, format!("it starts as {first}"))
                .label(name.span, format!("but is {next} after a step"));
            self.diagnose(d);
        }
        None
    }

    /// The loop with its body.
    fn push_scan(
        &mut self,
        mut scope: ScanScope,
        elements: Elements,
        carries: &[Carry],
        span: Span,
    ) -> Option<Vec<Value>> {
        let first = carries.iter().map(|(_, t, _)| t.clone());
        let scanned = elements.scanned.into_iter().map(|(_, t)| t);
        let mut args: Vec<Tensor> = first.chain(scanned).collect();
        if let Some(index) = scope.index {
            let iota = Prim::Iota {
                axis: 0,
                shape: Shape::from_iter([elements.length.clone()]),
                elem: Elem::I32,
            };
            let Val::Tensor(t) = self.emit(iota, &[], Meaning::Real, span) else {
                return None;
            };
            let inputs = &mut scope.graph.inputs;
            let at = inputs.iter().position(|i| i.value == index);
            let input = inputs.remove(at.expect("the index is an input"));
            inputs.insert(args.len(), input);
            args.push(t);
        }
        let scanned = args.len() - carries.len();
        args.extend(scope.captured.iter().map(|(t, _)| t.clone()));
        let prim = Prim::Scan(ScanPrim {
            body: Arc::new(scope.graph),
            carries: carries.len(),
            scanned,
            length: elements.length,
            reverse: false,
        });
        let mut reached = Vec::new();
        for t in &args {
            reached.push(self.reach(t, span)?);
        }
        let origin = self.origin(span);
        match self.graph().push(prim, &reached, origin) {
            Ok(results) => Some(results.to_vec()),
            Err(e) => {
                self.type_error(e, span);
                None
            }
        }
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
