//! Rows that are read some at a time: what needs all of them at once is refused.

use crate::diag::{Code, Diagnostic};
use crate::span::Span;
use crate::spec::*;

use crate::check::elab::Elab;
use crate::check::elab::state::Fit;
use crate::check::eval::fitted::{ONLY, percentile};

use super::env::DataEnv;

impl Elab<'_> {
    /// Refuses what the block asks of its streamed rows that cannot be done in passes over them.
    pub(super) fn streams(&mut self, env: &mut DataEnv) {
        let spec = &env.spec;
        let Some(first) = spec.sources.iter().find(|s| s.stream) else {
            return;
        };
        let mut found = Vec::new();
        let held = spec
            .sources
            .iter()
            .find(|s| !s.stream && s.part == first.part);
        if let Some(held) = held {
            found.push(
                Diagnostic::error(
                    Code::E0531,
                    "either all sources of the same rows are streamed, or none",
                )
                .label(held.span, "these rows are held in memory")
                .label(first.span, "but these are streamed")
                .help("write `stream = true` in both"),
            );
        }
        for column in &spec.columns {
            if column.kind == ColumnKind::Text {
                let d = refused("streamed rows cannot hold text", column.span, first.span);
                found.push(
                    d.help("convert the text to numbers first, or read the file without `stream`"),
                );
            }
        }
        for column in spec.columns.iter().filter(|c| c.missing.is_some()) {
            let d = refused(
                "streamed rows cannot have missing values",
                column.span,
                first.span,
            );
            found.push(d.help("remove `missing`, or read the file without `stream`"));
        }
        let pool = spec
            .sources
            .iter()
            .find(|s| s.stream && s.part == spec.pool());
        if let (Some(split), Some(pool)) = (&spec.split, pool)
            && split.method != Method::Random
        {
            let d = refused(
                "streamed rows can only be split at random",
                split.span,
                pool.span,
            );
            found.push(
                d.help("remove the method: with many rows, a random split nearly keeps the proportions of classes too"),
            );
        }
        if spec.streams(Part::Train) {
            for fit in &spec.fits {
                if let FitKind::Tensors { .. } = fit.kind {
                    let d = refused(
                        "this fit needs all training rows at once",
                        fit.span,
                        first.span,
                    );
                    found.push(d.help(ONLY));
                }
            }
            for fit in env.fits.values_mut() {
                if let Fit::Tensors(fields) = fit {
                    fields.retain(|(name, _)| percentile(name).is_none());
                }
            }
        }
        for d in found {
            self.diagnose(d);
        }
    }

    /// A metric that collects rows keeps those of an epoch of every part.
    pub fn streamed_metric(&mut self, name: &str, span: Span, env: &DataEnv) {
        if env.spec.sources.iter().any(|s| s.stream) {
            let message = format!("`{name}` keeps values of every row of an epoch");
            self.keeps_rows(message, span);
        }
    }

    /// All reports but curves keep the predictions of a part.
    pub fn streamed_reports(&mut self, reports: &[ReportSpec], env: &DataEnv) {
        let spec = &env.spec;
        let split = spec.split.iter().flat_map(SplitSpec::made);
        let own = spec.sources.iter().filter_map(|s| s.part);
        let there: Vec<Part> = split.chain(own).collect();
        let part = [Part::Test, Part::Val]
            .into_iter()
            .find(|p| there.contains(p));
        if !part.is_some_and(|p| spec.streams(p)) {
            return;
        }
        for report in reports.iter().filter(|r| r.subject.compares()) {
            let message = format!("`{}` keeps a prediction for every row", report.name);
            self.keeps_rows(message, report.span);
        }
    }

    fn keeps_rows(&mut self, message: String, span: Span) {
        let d = Diagnostic::error(Code::E0530, message)
            .label(span, "these rows are streamed")
            .help("remove it, or read the file without `stream`");
        self.diagnose(d);
    }
}

fn refused(message: &str, at: Span, source: Span) -> Diagnostic {
    Diagnostic::error(Code::E0530, message)
        .label(at, "here")
        .label(source, "these rows are streamed")
}
