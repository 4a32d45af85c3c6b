//! What losses ask of the numbers that they are given: probabilities, counts, weights from 0. Only
//! the data can tell, so a run looks at what is made of columns alone, before it trains.

use crate::ir::flow;
use crate::ir::{Elem, Value};
use crate::spec::{Bounds, TrainSpec};
use crate::syntax::ast::{Expr, Ident};

use crate::check::data::env::{DataEnv, Feed};
use crate::check::data::missing::name_of;
use crate::check::elab::Elab;
use crate::check::elab::value::{Home, Tensor};

impl Elab<'_> {
    /// The targets among the feeds, and what messages call them.
    pub(super) fn targets(&self, feeds: &[(Ident, Tensor)], env: &DataEnv) -> Vec<(Value, String)> {
        let feed = |n: &Ident| env.targets.iter().find(|f| f.name.text == n.text);
        let shown = |f: &Feed| match f.value.as_ref().map_or(Some(&f.name), name_of) {
            Some(column) if env.has_column(&column.text) => format!("column `{}`", column.text),
            _ => format!("target `{}`", f.name.text),
        };
        let all = feeds.iter();
        all.filter_map(|(n, t)| Some((t.value, shown(feed(n)?))))
            .collect()
    }

    /// Weights of samples are at least 0.
    pub(super) fn bound_weight(&mut self, weight: &Tensor, shown: String) {
        let bounds = Bounds {
            shown,
            low: 0.0,
            high: f64::INFINITY,
            weights: true,
            what: "a sample weight".into(),
        };
        if weight.home == Home::Step {
            self.bound(weight.value, bounds);
        }
    }

    /// An expression over columns, as messages name it.
    pub(super) fn shown_of_columns(&self, e: &Expr, env: &DataEnv) -> String {
        match name_of(e).filter(|n| env.has_column(&n.text)) {
            Some(column) => format!("column `{}`", column.text),
            None => format!("`{}`", self.source_text(e.span)),
        }
    }

    /// The numbers that are bound, as a graph of their own.
    pub(super) fn bounded(&mut self, spec: &mut TrainSpec) {
        let asked = std::mem::take(&mut self.train.bounds);
        let asked = asked.into_iter();
        let (values, bounds): (Vec<Value>, Vec<Bounds>) = asked
            .filter(|(v, _)| flow::is_of_data(&self.step, *v))
            .filter(|(v, _)| self.step.ty(*v).elem != Elem::Bool)
            .unzip();
        let named = values.into_iter().enumerate();
        let named: Vec<_> = named.map(|(i, v)| (format!("bound/{i}"), v)).collect();
        if !named.is_empty() {
            spec.bounded = flow::slice(&self.step, "bounds", &named);
        }
        spec.bounds = bounds;
    }
}
