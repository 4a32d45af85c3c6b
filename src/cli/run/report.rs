//! What `report` in a train block asks for, once the run has ended: pictures and a page in
//! the run's folder, tables for people, numbers for programs.

use std::io::Write;

use serde_json::{Map, Value, json};

use crate::cli::common::Failure;
use crate::cli::load::Loaded;
use crate::cli::run::progress::{Progress, number};
use crate::data::write::replace;
use crate::ir::Role;
use crate::plural::{count, thousands};
use crate::spec::names::ReportResult;
use crate::spec::{ColumnKind, Make, Meaning, Part, ReportSpec, ReportSubject};
use crate::train::dataset::Dataset;
use crate::train::output::Output;
use crate::train::report::collect::{Collected, collect};
use crate::train::report::page::{Head, page};
use crate::train::report::worst::DataRows;
use crate::train::report::{ReportContext, Shown, Subject, show};
use crate::train::{Outcome, RunError, Session};

/// What there is to report on.
pub(crate) struct Ended<'a, 's> {
    pub loaded: &'a Loaded,
    pub data: &'a Dataset,
    pub session: &'a mut Session<'s>,
    pub outcome: &'a Outcome,
    pub out: &'a Output,
    pub progress: &'a Progress,
}

/// Columns that no program takes, and the reports show: texts.
pub(crate) fn columns(loaded: &Loaded) -> Vec<String> {
    let shows = |r: &ReportSpec| r.subject == ReportSubject::Rows;
    if !loaded.train.reports.iter().any(shows) {
        return Vec::new();
    }
    let inputs = input_columns(loaded);
    let texts = loaded.data.columns.iter();
    texts
        .filter(|c| c.kind == ColumnKind::Text && inputs.contains(&c.name.as_str()))
        .map(|c| c.name.clone())
        .collect()
}

/// The columns of the data that the model's inputs are made of.
fn input_columns(loaded: &Loaded) -> Vec<&str> {
    let predict = &loaded.programs.predict.inputs;
    let mut found: Vec<&str> = Vec::new();
    for input in predict.iter().filter(|i| i.role == Role::Data) {
        let derived = loaded.data.derived.iter().find(|d| d.name == *input.name);
        let name = derived.map_or(&*input.name, |d| d.of.column());
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

/// Writes `report.html` and `report/*.svg`, and tells what they say.
pub(crate) fn write(ended: &mut Ended) -> Result<(), Failure> {
    let loaded = ended.loaded;
    let wanted = &loaded.train.reports;
    if wanted.is_empty() {
        return Ok(());
    }
    let collected = match wanted.iter().any(|r| r.subject.runs_model()) {
        true => Some(collect(
            ended.session,
            ended.data,
            &loaded.report,
            loaded.train.batch,
        )?),
        false => None,
    };
    let mut sections: Vec<(String, Shown)> = Vec::new();
    for report in wanted {
        let shown = show(report, &context(ended, report, collected.as_ref()))?;
        sections.push((name(report, loaded), shown));
    }
    let folder = ended.out.folder().join("report");
    std::fs::create_dir_all(&folder)
        .map_err(|e| RunError::file(&folder, "create the folder", &e))?;
    let mut written: Vec<String> = Vec::new();
    for (name, svg) in sections.iter().flat_map(|(_, s)| &s.pictures) {
        // a metric may have the name of a report
        let mut name = name.replace(['/', '\\'], "_");
        while written.contains(&name) {
            name.push('_');
        }
        let path = folder.join(format!("{name}.svg"));
        written.push(name);
        replace(&path, |out| out.write_all(svg.as_bytes()))?;
    }
    let text = page(&head(ended), &sections);
    replace(&ended.out.page(), |out| out.write_all(text.as_bytes()))?;
    tell(ended, collected.as_ref(), sections);
    Ok(())
}

fn tell(ended: &Ended, collected: Option<&Collected>, sections: Vec<(String, Shown)>) {
    let of = collected.map(|c| format!(" ({} set, {})", c.part.adjective(), count(c.rows, "row")));
    let mut event = Map::new();
    event.insert("page".into(), json!(ended.out.page().display().to_string()));
    if let Some(c) = collected {
        event.insert("part".into(), json!(c.part.name()));
        event.insert("rows".into(), json!(c.rows));
    }
    let runs = |name: &str| {
        let mut reports = ended.loaded.train.reports.iter();
        reports.any(|r| r.subject.runs_model() && self::name(r, ended.loaded) == name)
    };
    for (name, shown) in sections {
        let of = of.as_deref().filter(|_| runs(&name)).unwrap_or_default();
        let text = shown.text.trim_end_matches('\n');
        ended
            .progress
            .say(&format!("\n{}{of}\n{text}", shown.title));
        event.insert(name, shown.numbers);
    }
    ended.progress.event("report", Value::Object(event));
    ended
        .progress
        .say(&format!("\nreport {}", ended.out.page().display()));
}

/// `roc`, or `kind_roc` where the model has several outputs.
fn name(report: &ReportSpec, loaded: &Loaded) -> String {
    match &report.output {
        Some(output) if loaded.train.outputs.len() > 1 => {
            format!("{output}_{}", report.name)
        }
        _ => report.name.to_owned(),
    }
}

/// What a report is made from.
fn context<'a>(
    ended: &'a Ended<'a, '_>,
    report: &'a ReportSpec,
    collected: Option<&'a Collected>,
) -> ReportContext<'a> {
    let outputs = &ended.loaded.train.outputs;
    let output = report.output.as_deref().unwrap_or_default();
    let collected = collected.filter(|_| report.subject.runs_model());
    let part = collected.map_or(Part::Train, |c| c.part);
    ReportContext {
        metric_names: ended.session.metric_names(),
        history: &ended.outcome.history,
        store: ended.session.store(),
        collected,
        subject: Subject {
            name: name(report, ended.loaded),
            output: report.output.clone().filter(|_| outputs.len() > 1),
            part,
            rows: collected.map_or(0, |c| c.rows),
            classes: class_names(ended, output),
        },
        output,
        probabilities: (outputs.iter()).any(|o| o.name == output && o.meaning == Meaning::Prob),
        rows: rows(ended, part),
    }
}

/// The labels that a target's classes are the places of; none where they are numbers.
fn class_names(ended: &Ended, output: &str) -> Vec<String> {
    let graph = &ended.loaded.report;
    let target = ReportResult::Target.name(output);
    let mut needed = vec![false; graph.value_count()];
    for o in graph.outputs.iter().filter(|o| *o.name == *target) {
        needed[o.value.0 as usize] = true;
    }
    for node in graph.nodes.iter().rev() {
        if node.values().any(|v| needed[v.0 as usize]) {
            node.args.iter().for_each(|a| needed[a.0 as usize] = true);
        }
    }
    let mut columns = graph.inputs.iter().filter(|i| needed[i.value.0 as usize]);
    let (Some(column), None) = (columns.next(), columns.next()) else {
        return Vec::new();
    };
    let derived = &ended.loaded.data.derived;
    match derived
        .iter()
        .find(|d| d.name == *column.name)
        .map(|d| &d.make)
    {
        Some(Make::Index { labels, others }) => {
            let names = ended.data.fitted().labels.get(labels).into_iter().flatten();
            names
                .cloned()
                .chain(others.then(|| "other".into()))
                .collect()
        }
        _ => Vec::new(),
    }
}

fn rows<'a>(ended: &Ended<'a, '_>, part: Part) -> Option<DataRows<'a>> {
    let (table, chosen) = ended.data.part(part)?;
    let names = input_columns(ended.loaded);
    Some(DataRows {
        table,
        chosen,
        columns: names.iter().filter_map(|n| table.column(n)).collect(),
    })
}

fn head(ended: &Ended) -> Head {
    let spec = &ended.loaded.train;
    let rows: Vec<String> = Part::ALL
        .iter()
        .filter(|p| ended.data.rows(**p) > 0)
        .map(|p| format!("{} {}", thousands(ended.data.rows(*p)), p.name()))
        .collect();
    let parameters = ended.session.store().parameters();
    let past = &ended.outcome.history;
    let trained: f64 = past.iter().map(|r| r.seconds).sum();
    let facts = [
        ("program", format!("{}.nn", ended.loaded.name)),
        ("rows", rows.join(" / ")),
        ("parameters", thousands(parameters)),
        ("epochs", ended.outcome.position.epoch.to_string()),
        ("batch", spec.batch.to_string()),
        ("seed", spec.seed.to_string()),
        ("training time", crate::cli::run::progress::seconds(trained)),
    ];
    let last = past.last();
    let parts: Vec<(&str, Option<&Vec<f64>>)> = vec![
        ("train (last epoch)", last.map(|r| &r.train)),
        ("val (last epoch)", last.and_then(|r| r.val.as_ref())),
        ("test", ended.outcome.test.as_ref()),
    ];
    let parts: Vec<_> = parts
        .into_iter()
        .filter_map(|(n, values)| Some((n, values?)))
        .collect();
    let mut columns = vec![String::new()];
    columns.extend(parts.iter().map(|(n, _)| (*n).to_owned()));
    let names = ended.session.metric_names().iter().enumerate();
    let metrics = names.map(|(i, name)| {
        let values = parts
            .iter()
            .map(|(_, v)| v.get(i).map_or(String::new(), |v| number(*v)));
        std::iter::once(name.clone()).chain(values).collect()
    });
    Head {
        title: spec.models.join(", "),
        facts: facts.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        metrics: (columns, metrics.collect()),
    }
}
