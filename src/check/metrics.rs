//! Accumulators of losses and metrics, and the graph from them to values.

use std::rc::Rc;
use std::sync::Arc;

use crate::ir::prim::Binary;
use crate::ir::{Dim, Elem, OutputRole, Prim, Role, Type};
use crate::span::Span;
use crate::syntax::ast::{self};

use super::elab::Elab;
use super::scope::VarRole;
use super::value::{ArgVal, Configured, DefRef, Meaning, Tensor, Val};

impl Elab<'_> {
    /// `NAME/total += value * B`, `NAME/count += B`: the mean over samples, however batches fall.
    pub fn accumulate_mean(
        &mut self,
        name: &str,
        value: &Tensor,
        span: Span,
        metrics: &mut Vec<MetricUse>,
    ) {
        let scalar = Type::scalar(Elem::F64);
        let Some(value) = self.cast(value.clone(), Elem::F64, span) else {
            return;
        };
        let Val::Tensor(b) = self.size(&Dim::symbol("B"), Elem::F64, span) else {
            return;
        };
        let Val::Tensor(weighted) = self.emit(
            Prim::Binary(Binary::Mul),
            &[&value, &b],
            Meaning::Real,
            span,
        ) else {
            return;
        };
        for (part, add) in [("total", weighted), ("count", b)] {
            let full: Arc<str> = format!("{name}/{part}").into();
            let kept = self.keep(&full, scalar.clone(), Role::Metric);
            self.zero(&full);
            if let Val::Tensor(next) = self.emit(
                Prim::Binary(Binary::Add),
                &[&kept, &add],
                Meaning::Real,
                span,
            ) {
                let s = self.states.get_mut(&full).expect("just kept");
                s.current = next;
                s.assigned = true;
            }
        }
        metrics.push(MetricUse {
            name: name.into(),
            of: MetricOf::Mean,
        });
    }

    /// Makes 0 the initial value of an F64 accumulator.
    pub fn zero(&mut self, full: &Arc<str>) {
        if self.inits.insert(full.clone()) {
            let zero = self.init.constant(0.0, Elem::F64);
            self.init.output(full, OutputRole::Result, zero);
        }
    }

    /// Runs a metric's statements; its value is computed from the accumulators elsewhere.
    pub fn metric(
        &mut self,
        c: &Rc<Configured>,
        name: &str,
        p: Tensor,
        y: Tensor,
        span: Span,
        metrics: &mut Vec<MetricUse>,
    ) {
        let Some(p) = self.squeeze_head(p, &y, span) else {
            return;
        };
        let Some((p, y)) = self.widen_targets(c, p, y, span) else {
            return;
        };
        let arg = |t: Tensor| ArgVal {
            name: None,
            val: Val::Tensor(t),
            span,
            symbol: None,
        };
        let args = vec![arg(p), arg(y)];
        let Some(chosen) = self.chosen(c, &args) else {
            return;
        };
        let path: Arc<str> = name.into();
        self.push_frame(&chosen, path.clone(), span);
        let mut sizes = Vec::new();
        if self.bind_config(c, &chosen) && self.bind_inputs(&chosen, args, span) {
            for s in &chosen.def.body.stmts {
                self.stmt(s);
            }
            let frame = self.top();
            sizes = frame
                .names()
                .filter_map(|n| match frame.get(n) {
                    Some(v) if v.role == VarRole::Given && !matches!(v.val, Val::Tensor(_)) => {
                        Some((Arc::from(n), v.val.clone()))
                    }
                    _ => None,
                })
                .collect();
            if chosen.def.body.value.is_none() {
                self.no_value(&chosen.def.name, &chosen.def.body);
            }
        }
        self.frames.pop();
        metrics.push(MetricUse {
            name: name.into(),
            of: MetricOf::Def {
                chosen,
                configured: c.clone(),
                path,
                sizes,
                span,
            },
        });
    }

    /// The graph from accumulators to values.
    pub fn metric_values(&mut self, metrics: &[MetricUse]) {
        for m in metrics {
            let value = match &m.of {
                MetricOf::Mean => {
                    let scalar = Type::scalar(Elem::F64);
                    let total = self.keep(
                        &format!("{}/total", m.name).into(),
                        scalar.clone(),
                        Role::Metric,
                    );
                    let count =
                        self.keep(&format!("{}/count", m.name).into(), scalar, Role::Metric);
                    self.emit(
                        Prim::Binary(Binary::Div),
                        &[&total, &count],
                        Meaning::Real,
                        Span::default(),
                    )
                }
                MetricOf::Def {
                    chosen,
                    configured,
                    path,
                    sizes,
                    span,
                } => {
                    self.push_frame(chosen, path.clone(), *span);
                    self.bind_config(configured, chosen);
                    for (n, v) in sizes {
                        self.frame().bind_given(n, v.clone(), *span);
                    }
                    for s in &chosen.def.body.stmts {
                        if let ast::StmtKind::State(_) = &s.kind {
                            self.stmt(s);
                        }
                    }
                    let v = match &chosen.def.body.value {
                        Some(e) => self.eval(e),
                        None => Val::Error,
                    };
                    self.frames.pop();
                    v
                }
            };
            let value = match value {
                Val::Tensor(t) => self.cast(t, Elem::F64, Span::default()),
                Val::Int(_) | Val::Float(_) => self.as_tensor(&value, Elem::F64, Span::default()),
                _ => None,
            };
            if let Some(t) = value {
                self.result(&m.name, t, Span::default());
            }
        }
    }

    pub fn chosen(&mut self, c: &Configured, args: &[ArgVal]) -> Option<DefRef> {
        if args.iter().any(|a| a.val.is_error()) {
            return None;
        }
        let chosen = if c.defs.len() == 1 {
            &c.defs[0]
        } else {
            self.choose(c, args)
        };
        if self.bad.contains(&(Arc::as_ptr(&chosen.def) as usize)) {
            return None;
        }
        Some(chosen.clone())
    }
}

/// A metric in use: enough to compute its value from its accumulators.
#[derive(Debug)]
pub struct MetricUse {
    pub name: String,
    pub of: MetricOf,
}

#[derive(Debug)]
pub enum MetricOf {
    /// Total over count of the accumulators `NAME/total`, `NAME/count`.
    Mean,
    Def {
        chosen: DefRef,
        configured: Rc<Configured>,
        path: Arc<str>,
        sizes: Vec<(Arc<str>, Val)>,
        span: Span,
    },
}
