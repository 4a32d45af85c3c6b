//! What a sweep leaves: the best trial as a program, all trials as a table, a page of pictures.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use serde_json::Value;

use crate::cli::common::Failure;
use crate::cli::run::progress::{number, seconds};
use crate::cli::sweep::Sweep;
use crate::cli::sweep::charts::{self, Shown};
use crate::cli::sweep::folder::Record;
use crate::cli::sweep::live_table::values_text;
use crate::cli::{console, program};
use crate::data::write::replace;
use crate::spec::sweep::Values;
use crate::train::RunError;
use crate::train::report::page::{Head, page};
use crate::train::report::{self, charts::escape};
use crate::train::sweep::importance::importance;

/// What was written.
pub(super) struct Written {
    pub program: PathBuf,
    pub table: PathBuf,
    pub page: PathBuf,
    /// What makes the best run again.
    pub command: String,
}

/// Writes all of it; nothing where no trial has a score.
pub(super) fn write(sweep: &Sweep) -> Result<Option<Written>, Failure> {
    let Some(best) = sweep.best() else {
        return Ok(None);
    };
    let folder = sweep.folder.path();
    let written = Written {
        program: folder.join("best.nn"),
        table: folder.join("leaderboard.csv"),
        page: folder.join("report.html"),
        command: String::new(),
    };
    let text = best_program(sweep, best);
    replace(&written.program, |out| out.write_all(text.as_bytes()))?;
    let table = table(sweep)?;
    replace(&written.table, |out| out.write_all(&table))?;
    report(sweep, best, &written)?;
    let data = sweep
        .args
        .data
        .clone()
        .unwrap_or_else(|| match &sweep.home {
            home if home.as_os_str().is_empty() => ".".into(),
            home => home.clone(),
        });
    let mut command = format!(
        "nnc run {} --data {}",
        console::word(&written.program.display().to_string()),
        console::word(&data.display().to_string())
    );
    // consts of imported files are not in the program's text
    if sweep.text.contains("import ") {
        for (name, value) in &sweep.args.common.set {
            let set = console::word(&format!("{name}={value}"));
            let _ = write!(command, " --set {set}");
        }
    }
    Ok(Some(Written { command, ..written }))
}

/// The program with the best trial's values: running it gives the same score.
fn best_program(sweep: &Sweep, best: &Record) -> String {
    let mut consts = sweep.args.common.set.clone();
    consts.extend(sweep.settings(best.trial - 1));
    // of a trial that was not trained to the end, the epochs that it had
    let asked = sweep.args.epochs.map(u64::from);
    let short = !sweep.is_whole(best);
    let epochs = if short {
        Some(best.epochs as u64)
    } else {
        asked
    };
    let settings = [("epochs", epochs), ("seed", sweep.args.seed)];
    let text = program::as_run(&sweep.text, &sweep.home, &consts, &settings);
    let spec = sweep.plan.spec();
    let score = best.score.map_or_else(String::new, |s| s.to_string());
    format!(
        "# Trial {} of {}: {} {score} after epoch {}.\n{text}",
        best.trial,
        sweep.plan.planned(),
        spec.goal.name,
        best.epoch
    )
}

/// `leaderboard.csv`: one line per trial, best first.
fn table(sweep: &Sweep) -> Result<Vec<u8>, Failure> {
    let path = sweep.folder.path().join("leaderboard.csv");
    let fail = |e: csv::Error| RunError::file(&path, "write the file", &e.into());
    let spec = sweep.plan.spec();
    let ranked = sweep.ranked();
    let mut metrics: Vec<&str> = Vec::new();
    for name in ranked.iter().flat_map(|r| r.metrics.keys()) {
        if !metrics.contains(&name.as_str()) {
            metrics.push(name);
        }
    }
    let mut out = csv::Writer::from_writer(Vec::new());
    let axes = spec.axes.iter().map(|a| a.name.as_str());
    let head = ["rank", "trial", "score"].into_iter().chain(axes);
    let tail = ["epoch", "seconds", "state", "folder"];
    out.write_record(head.chain(metrics.iter().copied()).chain(tail))
        .map_err(fail)?;
    for (rank, record) in ranked.iter().enumerate() {
        let text = |v: &Value| match v {
            Value::String(s) => s.clone(),
            Value::Null => String::new(),
            v => v.to_string(),
        };
        let took = sweep.records.iter().filter(|r| r.trial == record.trial);
        let took: f64 = took.map(|r| r.seconds).sum();
        let state = state(sweep, record);
        let score = record.score.map_or_else(String::new, |s| s.to_string());
        let mut row = vec![(rank + 1).to_string(), record.trial.to_string(), score];
        row.extend(record.values.values().map(text));
        row.extend(
            metrics
                .iter()
                .map(|m| record.metrics.get(*m).map_or_else(String::new, text)),
        );
        let folder = sweep.folder.trial(record.trial - 1);
        row.extend([
            record.epoch.to_string(),
            format!("{took:.3}"),
            state,
            folder.display().to_string(),
        ]);
        out.write_record(&row).map_err(fail)?;
    }
    let bytes = out.into_inner().map_err(|e| e.into_error())?;
    Ok(bytes)
}

fn state(sweep: &Sweep, record: &Record) -> String {
    match (&record.failed, &record.ended) {
        (Some(reason), _) => format!("failed: {reason}"),
        (None, Some(by)) => format!("ended by {by}"),
        (None, None) if !sweep.is_whole(record) => "stopped".into(),
        (None, None) => "done".into(),
    }
}

/// `report.html` and `report/*.svg`.
fn report(sweep: &Sweep, best: &Record, written: &Written) -> Result<(), Failure> {
    let spec = sweep.plan.spec();
    let ranked = sweep.ranked();
    let mut by_trial: Vec<&Record> = ranked
        .iter()
        .copied()
        .filter(|r| r.score.is_some())
        .collect();
    by_trial.sort_by_key(|r| r.trial);
    let shown: Vec<Shown> = (by_trial.iter())
        .filter_map(|r| {
            Some(Shown {
                trial: r.trial,
                best: r.trial == best.trial,
                score: r.score?,
                values: &sweep.plan.trials()[r.trial - 1].values,
            })
        })
        .collect();
    let places: Vec<&[f64]> = (by_trial.iter())
        .map(|r| sweep.plan.trials()[r.trial - 1].place.as_slice())
        .collect();
    let losses: Vec<f64> = shown.iter().map(|s| sweep.plan.loss(s.score)).collect();
    let listed: Vec<Option<usize>> = (spec.axes.iter())
        .map(|a| match &a.values {
            Values::Listed(items) => Some(items.len()),
            Values::Whole { .. } | Values::Real { .. } => None,
        })
        .collect();
    let weights: Vec<(String, f64)> = (spec.axes.iter().map(|a| a.name.clone()))
        .zip(importance(&places, &losses, &listed))
        .collect();
    let mut pictures = vec![
        ("parallel".to_owned(), charts::parallel(spec, &shown)?),
        ("history".into(), charts::history(spec, &shown)?),
        ("importance".into(), charts::importance(&weights)?),
    ];
    for (at, axis) in spec.axes.iter().enumerate() {
        let name = format!("axis_{}", axis.name);
        pictures.push((name, charts::axis(spec, at, &shown)?));
    }
    let folder = sweep.folder.path().join("report");
    std::fs::create_dir_all(&folder)
        .map_err(|e| RunError::file(&folder, "create the folder", &e))?;
    for (name, svg) in &pictures {
        let path = folder.join(format!("{name}.svg"));
        replace(&path, |out| out.write_all(svg.as_bytes()))?;
    }
    let goal = &spec.goal.name;
    let section = |name: &str, title: String, caption: &str, from: std::ops::Range<usize>| {
        let shown = report::Shown {
            title,
            caption: caption.to_owned(),
            pictures: pictures[from].to_vec(),
            ..report::Shown::default()
        };
        (name.to_owned(), shown)
    };
    let mut leaderboard = section("leaderboard", "Leaderboard".into(), "", 0..0);
    leaderboard.1.body = html_table(sweep, &ranked);
    let explained = "How much of the variation of the scores' ranks each hyperparameter explains \
         by itself (epsilon squared of a Kruskal-Wallis test).";
    let sections = [
        section("trials", "Trials".into(), KEY, 0..1),
        section("history", format!("{goal} by trial"), "", 1..2),
        section(
            "importance",
            "Hyperparameter importance".into(),
            explained,
            2..3,
        ),
        section(
            "axes",
            format!("{goal} by hyperparameter"),
            "",
            3..pictures.len(),
        ),
        leaderboard,
    ];
    let failed = ranked.iter().filter(|r| r.failed.is_some()).count();
    let took: f64 = sweep.records.iter().map(|r| r.seconds).sum();
    let facts = [
        ("program", sweep.args.common.file.display().to_string()),
        ("search", spec.search.method.text()),
        ("goal", format!("{} {goal}", spec.goal.verb())),
        ("trials", ranked.len().to_string()),
        ("failed", failed.to_string()),
        ("seed", spec.search.seed.unwrap_or(sweep.seed).to_string()),
        ("best trial", best.trial.to_string()),
        ("best score", best.score.map_or_else(String::new, number)),
        ("best values", values_text(best)),
        ("total time", seconds(took)),
    ];
    let head = Head {
        title: format!("Sweep of {}", sweep.models),
        facts: facts.map(|(k, v)| (k.to_owned(), v)).to_vec(),
        ..Head::default()
    };
    let text = page(&head, &sections);
    replace(&written.page, |out| out.write_all(text.as_bytes()))?;
    Ok(())
}

const KEY: &str = "One line per trial; best in orange, others from dark (good) to pale (bad) by \
     rank. Outliers are clipped to the edge and drawn hollow.";

/// At most so many rows on the page.
const ROWS: usize = 200;

fn html_table(sweep: &Sweep, ranked: &[&Record]) -> String {
    let spec = sweep.plan.spec();
    let mut out = String::from("<div class=\"wide\"><table><tr><th>rank</th><th>trial</th>");
    let axes = spec.axes.iter().map(|a| a.name.as_str());
    for name in [spec.goal.name.as_str()]
        .into_iter()
        .chain(axes)
        .chain(["epochs"])
    {
        let _ = write!(out, "<th>{}</th>", escape(name));
    }
    out += "<th>state</th></tr>";
    for (rank, record) in ranked.iter().enumerate().take(ROWS) {
        let score = record.score.map_or_else(String::new, number);
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{score}</td>",
            rank + 1,
            record.trial
        );
        for value in record.values.values() {
            let _ = write!(
                out,
                "<td>{}</td>",
                escape(value.as_str().unwrap_or_default())
            );
        }
        let state = state(sweep, record);
        let _ = write!(
            out,
            "<td>{}</td><td>{}</td></tr>",
            record.epoch,
            escape(&state)
        );
    }
    out += "</table></div>";
    if ranked.len() > ROWS {
        let _ = write!(
            out,
            "<p>{} more in leaderboard.csv</p>",
            ranked.len() - ROWS
        );
    }
    out
}
