//! Nodes: where they go, and how a value of one graph is reached from another.

use smallvec::SmallVec;

use crate::diag::Code;
use crate::ir::{Dim, Elem, Graph, Origin, OriginId, OutputRole, Prim, Role, Shape, Type, Value};
use crate::span::Span;

use super::Elab;
use super::value::{Home, Kind, Meaning, Tensor, Val};

impl Elab<'_> {
    /// Where new nodes go.
    fn home(&self) -> Home {
        match self.scans.len() {
            0 => self.base,
            n => Home::Scan(n as u32 - 1),
        }
    }

    pub fn graph(&mut self) -> &mut Graph {
        match (self.scans.last_mut(), self.base) {
            (Some(scan), _) => &mut scan.graph,
            (None, Home::Init) => &mut self.init,
            (None, _) => &mut self.step,
        }
    }

    /// The value of a tensor in the current graph; scans close over what is outside.
    /// `None` (reported) if it belongs to a graph that cannot be reached from here.
    pub fn reach(&mut self, t: &Tensor, span: Span) -> Option<Value> {
        let home = self.home();
        if t.home == home {
            return Some(t.value);
        }
        let depth = self.scans.len();
        let from = match t.home {
            Home::Scan(k) if (k as usize) < depth => k as usize + 1,
            other if other == self.base => 0,
            _ => {
                self.error(
                    Code::E0406,
                    span,
                    "an initial value cannot depend on the data",
                    format!("this is {t}, only known during training"),
                );
                return None;
            }
        };
        let mut outer = t.clone();
        for level in from..depth {
            let known = self.scans[level]
                .captured
                .iter()
                .find(|(c, _)| c.value == outer.value && c.home == outer.home);
            let value = match known {
                Some((_, v)) => *v,
                None => {
                    let n = self.scans[level].captured.len();
                    let v = self.scans[level].graph.input(
                        &format!("captured{n}"),
                        Role::Plain,
                        t.ty.clone(),
                    );
                    self.scans[level].captured.push((outer.clone(), v));
                    v
                }
            };
            outer = Tensor {
                value,
                home: Home::Scan(level as u32),
                ..outer
            };
        }
        Some(outer.value)
    }

    /// Adds a node of one result.
    pub fn emit(&mut self, prim: Prim, args: &[&Tensor], meaning: Meaning, span: Span) -> Val {
        let mut values: SmallVec<[Value; 4]> = SmallVec::new();
        for a in args {
            let Some(v) = self.reach(a, span) else {
                return Val::Error;
            };
            values.push(v);
        }
        let mask = self.carried(&prim, args, span);
        let origin = self.origin(span);
        match self.graph().push1(prim, &values, origin) {
            Ok(value) => {
                let t = self.tensor(value, meaning);
                Val::Tensor(Tensor { mask, ..t })
            }
            Err(e) => self.type_error_on(e, args, span),
        }
    }

    /// A value of the current graph as a tensor.
    pub fn tensor(&mut self, value: Value, meaning: Meaning) -> Tensor {
        let home = self.home();
        let ty = self.graph().ty(value).clone();
        Tensor {
            value,
            home,
            ty,
            meaning,
            mask: None,
        }
    }

    pub fn constant(&mut self, value: f64, elem: Elem) -> Tensor {
        let v = self.graph().constant(value, elem);
        self.tensor(v, Meaning::Real)
    }

    /// A size as a scalar tensor.
    pub fn size(&mut self, dim: &Dim, elem: Elem, span: Span) -> Val {
        match dim.as_const() {
            Some(c) => Val::Tensor(self.constant(c as f64, elem)),
            None => self.emit(
                Prim::Size {
                    dim: dim.clone(),
                    elem,
                },
                &[],
                Meaning::Real,
                span,
            ),
        }
    }

    /// Steps done before this one, `i32[]`.
    pub fn step_counter(&mut self) -> Tensor {
        let value = match self.step_input {
            Some(v) => v,
            None => {
                let v = self.step.input("step", Role::Step, Type::scalar(Elem::I32));
                self.step_input = Some(v);
                v
            }
        };
        Tensor {
            value,
            home: Home::Step,
            ty: Type::scalar(Elem::I32),
            meaning: Meaning::Real,
            mask: None,
        }
    }

    pub fn origin(&mut self, span: Span) -> OriginId {
        let span = self.user_span(span);
        let path = self.top().path.clone();
        self.graph().origin(Origin {
            span: Some(span),
            path,
        })
    }
}

impl Elab<'_> {
    pub fn result(&mut self, name: &str, t: Tensor, span: Span) {
        if let Some(v) = self.reach(&t, span) {
            self.step.output(name, OutputRole::Result, v);
        }
    }

    /// The finished graph.
    pub fn take_step(&mut self, name: &str) -> Graph {
        let mut g = std::mem::take(&mut self.step);
        g.name = name.into();
        g
    }
}

impl Elab<'_> {
    pub fn cast(&mut self, t: Tensor, elem: Elem, span: Span) -> Option<Tensor> {
        if t.ty.elem == elem {
            return Some(t);
        }
        let meaning = if elem.is_float() && t.meaning == Meaning::Prob {
            Meaning::Prob
        } else {
            Meaning::Real
        };
        match self.emit(Prim::Cast(elem), &[&t], meaning, span) {
            Val::Tensor(t) => Some(t),
            _ => None,
        }
    }

    /// A number as a scalar tensor of `elem`; a tensor as it is.
    pub fn as_tensor(&mut self, v: &Val, elem: Elem, span: Span) -> Option<Tensor> {
        match v {
            Val::Tensor(t) => Some(t.clone()),
            Val::Int(d) => match self.size(&d.clone(), elem, span) {
                Val::Tensor(t) => Some(t),
                _ => None,
            },
            Val::Float(x) => {
                let elem = if elem.is_float() { elem } else { Elem::F32 };
                Some(self.constant(*x, elem))
            }
            Val::Bool(b) => Some(self.constant(f64::from(u8::from(*b)), Elem::Bool)),
            Val::Unknown(Kind::Int | Kind::Float) => Some(self.constant(1.0, elem)),
            Val::Error => None,
            other => {
                self.error(
                    Code::E0301,
                    span,
                    "expected a tensor or a number",
                    format!("this is {}", other.describe()),
                );
                None
            }
        }
    }

    /// Broadcasts to `shape`, of which `t`'s shape is a suffix, or equal but for axes of 1.
    pub fn stretch(&mut self, t: Tensor, shape: &Shape, span: Span) -> Option<Tensor> {
        if t.ty.shape == *shape {
            return Some(t);
        }
        let first = shape.len() - t.ty.rank();
        let axes = (first..shape.len()).collect();
        let meaning = t.meaning.clone();
        match self.emit(
            Prim::Broadcast {
                shape: shape.clone(),
                axes,
            },
            &[&t],
            meaning,
            span,
        ) {
            Val::Tensor(t) => Some(t),
            _ => None,
        }
    }
}
