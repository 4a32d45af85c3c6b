//! Accumulators of losses and metrics. What they amount to is computed in `epoch_end.rs`.

use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::ir::prim::{Binary, Reduce};
use crate::ir::{Dim, Elem, Prim, Role, Type};
use crate::span::Span;
use crate::syntax::ast::{self, DefKind};

use crate::check::data::env::DataEnv;
use crate::check::elab::Elab;
use crate::check::elab::scope::VarRole;
use crate::check::elab::state::Comparison;
use crate::check::elab::value::{ArgVal, Configured, DefRef, Meaning, Tensor, Val};

impl Elab<'_> {
    /// `NAME/total += value * B`, `NAME/count += B`: the mean over samples, however batches fall.
    pub(super) fn accumulate_mean(
        &mut self,
        name: &str,
        value: &Tensor,
        span: Span,
        metrics: &mut Vec<MetricUse>,
    ) {
        if let Val::Tensor(b) = self.size(&Dim::symbol("B"), Elem::F64, span) {
            self.accumulate(name, value, b, span, metrics);
        }
    }

    /// The mean over all values of a loss that count.
    fn accumulate_values(
        &mut self,
        name: &str,
        values: Tensor,
        span: Span,
        metrics: &mut Vec<MetricUse>,
    ) {
        let count = self.places_that_count(&values, span);
        if let Some(mean) = self.scalar_mean(values, span) {
            self.accumulate_counted(name, &mean, count, span, metrics);
        }
    }

    /// As [`Elab::accumulate_mean`], where a mask left `count` places.
    pub(super) fn accumulate_counted(
        &mut self,
        name: &str,
        value: &Tensor,
        count: Option<Tensor>,
        span: Span,
        metrics: &mut Vec<MetricUse>,
    ) {
        match count {
            Some(count) => self.accumulate(name, value, count, span, metrics),
            None => self.accumulate_mean(name, value, span, metrics),
        }
    }

    /// How many places of a masked loss count; none without a mask.
    pub(super) fn places_that_count(&mut self, values: &Tensor, span: Span) -> Option<Tensor> {
        let mask = values.mask.clone().filter(|_| values.ty.rank() > 0)?;
        let mask = self.cast((*mask).clone(), Elem::F64, span)?;
        let axes = (0..mask.ty.rank()).collect();
        let op = Reduce::Sum;
        match self.emit(Prim::Reduce { op, axes }, &[&mask], Meaning::Real, span) {
            Val::Tensor(t) => Some(t),
            _ => None,
        }
    }

    /// The loss of an epoch: a masked term is a mean over the places that count in the epoch,
    /// whatever the batches; the rest is a mean over samples.
    pub(super) fn accumulate_loss(
        &mut self,
        total: &Tensor,
        terms: &[LossTerm],
        penalties: &[Tensor],
        span: Span,
    ) -> MetricUse {
        let mut parts = Vec::new();
        if terms.iter().all(|t| t.count.is_none()) {
            self.accumulate_mean("loss", total, span, &mut parts);
            return parts.swap_remove(0);
        }
        for (i, term) in terms.iter().enumerate() {
            let (name, count) = (format!("loss/{i}"), term.count.clone());
            self.accumulate_counted(&name, &term.value, count, span, &mut parts);
        }
        for (i, penalty) in penalties.iter().enumerate() {
            self.accumulate_mean(&format!("loss/penalty_{i}"), penalty, span, &mut parts);
        }
        MetricUse {
            name: "loss".into(),
            shown: Vec::new(),
            of: MetricOf::Sum(parts.into_iter().map(|m| m.name).collect()),
        }
    }

    /// `NAME/total += value * count`, `NAME/count += count`.
    fn accumulate(
        &mut self,
        name: &str,
        value: &Tensor,
        count: Tensor,
        span: Span,
        metrics: &mut Vec<MetricUse>,
    ) {
        let scalar = Type::scalar(Elem::F64);
        let Some(value) = self.cast(value.clone(), Elem::F64, span) else {
            return;
        };
        let Val::Tensor(weighted) = self.emit(
            Prim::Binary(Binary::Mul),
            &[&value, &count],
            Meaning::Real,
            span,
        ) else {
            return;
        };
        for (part, add) in [("total", weighted), ("count", count)] {
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
            shown: Vec::new(),
            of: MetricOf::Mean,
        });
    }

    /// The `metrics` of a train block: each runs on its output and target.
    pub(super) fn metrics_setting(
        &mut self,
        s: &ast::Setting,
        outputs: &[(Arc<str>, Tensor)],
        env: &DataEnv,
        feeds: &[(ast::Ident, Tensor)],
        metrics: &mut Vec<MetricUse>,
    ) {
        for a in &s.values {
            let v = self.seeking(Some(DefKind::Metric), |el| el.eval(&a.value));
            let known = metrics.len();
            let Some(c) = self.metric_of(v, a.value.span) else {
                self.train.incomplete = true;
                continue;
            };
            let Some((output, pair)) = self.pair(a.name.as_ref(), outputs, env, feeds, a, "metric")
            else {
                continue;
            };
            if self.data.doubtful.contains(&pair.name.text) {
                self.train.incomplete = true;
                continue;
            }
            let name = shown_name(&a.value, &c);
            let name = match outputs.len() {
                1 => name,
                _ => format!("{output}_{name}"),
            };
            let name = distinct(name, metrics);
            if c.defs[0].def.kind == DefKind::Loss {
                let span = a.value.span;
                let values = self.comparing(&pair, |el| {
                    el.loss_values(&c, &pair.prediction, &pair.target, span)
                });
                if let Some(v) = values {
                    self.accumulate_values(&name, v, span, metrics);
                }
            } else {
                let before = metrics.len();
                self.comparing(&pair, |el| {
                    el.metric(&c, &name, &pair, a.value.span, metrics);
                });
                if let Some(MetricOf::Def { chosen, .. }) = metrics[before..].first().map(|m| &m.of)
                {
                    self.metric_of_labels(&c, chosen, &pair, env);
                }
                if metrics[before..].iter().any(MetricUse::collects) {
                    self.streamed_metric(&name, a.value.span, env);
                }
            }
            self.train.incomplete |= metrics.len() == known;
        }
    }

    /// A metric, or a loss, whose mean is a metric.
    pub(super) fn metric_of(&mut self, v: Val, span: Span) -> Option<Rc<Configured>> {
        let kinds = |kind| matches!(&v, Val::Def(c) if c.defs.iter().any(|d| d.def.kind == kind));
        let kind = match kinds(DefKind::Loss) && !kinds(DefKind::Metric) {
            true => DefKind::Loss,
            false => DefKind::Metric,
        };
        self.of_kind(v, kind, span)
    }

    /// Runs a metric's statements; its value is computed from the accumulators elsewhere.
    fn metric(
        &mut self,
        c: &Rc<Configured>,
        name: &str,
        pair: &Comparison,
        span: Span,
        metrics: &mut Vec<MetricUse>,
    ) {
        let (p, y) = (pair.prediction.clone(), pair.target.clone());
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
        let ok = self.bind_config(c, &chosen)
            && self.bind_inputs(&chosen, args, span)
            && self.metric_step(&chosen.def);
        let frame = self.top();
        let sizes = frame
            .names()
            .filter_map(|n| match frame.get(n) {
                Some(v) if v.role == VarRole::Given && !matches!(v.val, Val::Tensor(_)) => {
                    Some((Arc::from(n), v.val.clone()))
                }
                _ => None,
            })
            .collect();
        self.frames.pop();
        if !ok {
            return;
        }
        metrics.push(MetricUse {
            name: name.into(),
            shown: Vec::new(),
            of: MetricOf::Def {
                chosen,
                configured: c.clone(),
                path,
                sizes,
                span,
                collected: std::mem::take(&mut self.train.collected),
            },
        });
    }

    fn chosen(&mut self, c: &Configured, args: &[ArgVal]) -> Option<DefRef> {
        if args.iter().any(|a| a.val.is_error()) {
            return None;
        }
        let chosen = if c.defs.len() == 1 {
            &c.defs[0]
        } else {
            self.choose(c, args)
        };
        if self.failed_defs.contains(&chosen.id()) {
            return None;
        }
        Some(chosen.clone())
    }
}

/// A metric in use: enough to compute its value from its accumulators.
#[derive(Debug)]
pub struct MetricUse {
    pub name: String,
    /// What its values are called, once the graph of values is made.
    pub shown: Vec<String>,
    pub of: MetricOf,
}

impl MetricUse {
    /// Whether it keeps every row of an epoch.
    fn collects(&self) -> bool {
        matches!(&self.of, MetricOf::Def { collected, .. } if !collected.is_empty())
    }
}

#[derive(Debug)]
pub enum MetricOf {
    /// Total over count of the accumulators `NAME/total`, `NAME/count`.
    Mean,
    /// The sum of such means, by their names.
    Sum(Vec<String>),
    Def {
        chosen: DefRef,
        configured: Rc<Configured>,
        path: Arc<str>,
        sizes: Vec<(Arc<str>, Val)>,
        span: Span,
        /// The rows it keeps of each batch: name and type.
        collected: FxHashMap<Arc<str>, Type>,
    },
}

/// A term of the loss, times its weight.
pub(super) struct LossTerm {
    pub value: Tensor,
    /// How many places count, of a masked one.
    pub count: Option<Tensor>,
}

/// As Keras shows it: the name written, `auc` for its class `AUC`.
fn shown_name(e: &ast::Expr, c: &Configured) -> String {
    let written = match &e.kind {
        ast::ExprKind::Name(n) => Some(n),
        ast::ExprKind::Call { callee, .. } => match &callee.kind {
            ast::ExprKind::Name(n) => Some(n),
            _ => None,
        },
        _ => None,
    };
    let plain = written.filter(|n| !n.text.contains(char::is_uppercase));
    plain.unwrap_or(&c.defs[0].def.name).text.to_string()
}

/// `precision_1` where there is a `precision`.
pub(super) fn distinct(name: String, metrics: &[MetricUse]) -> String {
    let taken = |n: &str| metrics.iter().any(|m| m.name == n);
    let numbered = (1..).map(|i| format!("{name}_{i}"));
    std::iter::once(name.clone())
        .chain(numbered)
        .find(|n| !taken(n))
        .expect("names without end")
}
