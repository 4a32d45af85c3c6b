//! Columns that are scaled by the statistics of other columns.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::diag::{Code, Diagnostic};
use crate::ir::{Prim, Role, Value};
use crate::span::Span;
use crate::spec::FitKind;

use crate::check::data::env::DataEnv;
use crate::check::elab::Elab;

/// What a value is made of, while it is made of nothing but columns and what was fitted.
#[derive(Clone, Default)]
struct Made {
    columns: BTreeSet<Arc<str>>,
    /// The columns that the statistics are of.
    fitted: BTreeSet<Arc<str>>,
}

impl Elab<'_> {
    /// Warns where a column meets the statistics of another one.
    pub(super) fn warn_of_statistics(&mut self, env: &DataEnv) {
        for (at, column, of) in self.statistics_of_others(env) {
            let d = Diagnostic::warning(
                Code::W0662,
                format!("`{column}` is scaled by the statistics of `{of}`"),
            )
            .label(at, format!("fitted to `{of}`"))
            .help(format!(
                "fit the statistics of `{column}`: `fit s = statistics(train.{column})`"
            ));
            self.diagnose(d);
        }
    }

    fn statistics_of_others(&self, env: &DataEnv) -> Vec<(Span, Arc<str>, Arc<str>)> {
        let mut made: FxHashMap<Value, Made> = FxHashMap::default();
        for input in &self.step.inputs {
            let one = BTreeSet::from([match input.role {
                Role::Data => self.read_of(&input.name),
                Role::Fit => match fitted_column(env, &input.name) {
                    Some(column) => column,
                    None => continue,
                },
                _ => continue,
            }]);
            let found = made.entry(input.value).or_default();
            match input.role {
                Role::Fit => found.fitted = one,
                _ => found.columns = one,
            }
        }
        if made.values().all(|m| m.fitted.is_empty()) {
            return Vec::new();
        }
        let mut found = Vec::new();
        for node in &self.step.nodes {
            let constant = matches!(node.prim, Prim::Const { .. } | Prim::Size { .. });
            let args: Option<Vec<&Made>> = node.args.iter().map(|a| made.get(a)).collect();
            let Some(args) = args.filter(|args| constant || !args.is_empty()) else {
                continue;
            };
            if let (Prim::Binary(_), [a, b]) = (&node.prim, &args[..])
                && let Some((column, of)) = other(a, b).or_else(|| other(b, a))
                && let Some(span) = self.step.origins[node.origin.0 as usize].span
            {
                found.push((span, column, of));
            }
            let mut all = Made::default();
            for m in args {
                all.columns.extend(m.columns.iter().cloned());
                all.fitted.extend(m.fitted.iter().cloned());
            }
            for v in node.values() {
                made.insert(v, all.clone());
            }
        }
        found
    }

    /// The column that an input of the graph is read from.
    fn read_of(&self, input: &str) -> Arc<str> {
        let derived = self.data.derived.iter().find(|d| d.name == *input);
        derived.map_or(input, |d| d.of.column()).into()
    }
}

/// The column and that of the statistics, where `a` is made of columns and `b` of statistics of
/// others.
fn other(a: &Made, b: &Made) -> Option<(Arc<str>, Arc<str>)> {
    let apart = a.fitted.is_empty() && b.columns.is_empty();
    let of = b.fitted.iter().next().filter(|_| apart)?;
    let column = a.columns.iter().next()?;
    let own = b.fitted.iter().any(|f| a.columns.contains(f));
    (!own).then(|| (column.clone(), of.clone()))
}

/// The column of the fit that `NAME.mean` is of.
fn fitted_column(env: &DataEnv, input: &str) -> Option<Arc<str>> {
    let (name, _) = input.split_once('.')?;
    let fit = env.spec.fits.iter().find(|f| f.name == name)?;
    match &fit.kind {
        FitKind::Statistics { column, .. } | FitKind::Tensors { column, .. } => {
            Some(column.as_str().into())
        }
        _ => None,
    }
}
