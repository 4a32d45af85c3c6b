//! `nnc runs`: lists the runs in a folder, and compares those that are named.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::cli::common::{Failure, exit};
use crate::cli::console;
use crate::cli::run::progress::{number, seconds};
use crate::cli::tables::TextTable;
use crate::data::error::reason;
use crate::spec::names;
use crate::train::output;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Runs or folders of runs; two or more runs are compared [default: runs]
    #[arg(value_name = "DIR")]
    pub folders: Vec<PathBuf>,
    /// Print one JSON object per line
    #[arg(long)]
    pub json: bool,
}

/// What is known of a run from its folder.
struct Run {
    folder: PathBuf,
    /// `lock.json`
    lock: Value,
    state: String,
    program: String,
    epochs: usize,
    seconds: f64,
    /// Metrics of the last epoch, in the order of `history.csv`, then those of the test set.
    values: Vec<(String, f64)>,
}

pub(super) fn runs(args: &Args) -> Result<u8, Failure> {
    let asked = match args.folders.as_slice() {
        [] => vec![PathBuf::from("runs")],
        folders => folders.to_vec(),
    };
    let all_runs = asked.len() > 1 && asked.iter().all(|f| output::is_run(f));
    let mut found = Vec::new();
    for folder in &asked {
        if output::is_run(folder) {
            found.push(read(folder));
            continue;
        }
        let entries = std::fs::read_dir(folder).map_err(|e| Failure::Usage {
            message: format!(
                "{}: cannot read the folder: {}",
                folder.display(),
                reason(&e)
            ),
            help: Some("`nnc run FILE.nn` creates runs".into()),
        })?;
        let below = entries.flatten().map(|e| e.path());
        found.extend(below.filter(|p| output::is_run(p)).map(|p| read(&p)));
    }
    if found.is_empty() {
        let names: Vec<String> = asked.iter().map(|f| f.display().to_string()).collect();
        return Err(Failure::usage(format!("no runs in {}", names.join(", "))));
    }
    found.sort_by_key(|r| (r.lock["began"].as_u64(), r.folder.clone()));
    if args.json {
        for run in &found {
            console::line(&event(run).to_string())?;
        }
    } else if all_runs {
        console::line(&side_by_side(&found).to_string())?;
    } else {
        console::line(&list(&found).to_string())?;
    }
    Ok(exit::FINE)
}

fn read(folder: &Path) -> Run {
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    let history = text("history.csv");
    let mut lines = history.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let rows: Vec<&str> = lines.collect();
    let number_of = |t: &str| t.parse::<f64>().unwrap_or(f64::NAN);
    let mut values: Vec<(String, f64)> = match rows.last() {
        Some(last) => (names.iter().zip(last.split(',')))
            .filter(|(n, _)| !matches!(**n, "epoch" | "seconds"))
            .map(|(n, v)| ((*n).to_owned(), number_of(v)))
            .collect(),
        None => Vec::new(),
    };
    let took = rows.iter().filter_map(|r| r.rsplit(',').next());
    let events = text("events.jsonl");
    let events: Vec<Value> = events
        .lines()
        .filter_map(|l| serde_json::from_str(l).ok())
        .collect();
    let folds: BTreeMap<u64, &Value> = (events.iter().filter(|e| e["event"] == "fold"))
        .filter_map(|e| Some((e["fold"].as_u64()?, e)))
        .collect();
    let of_folds = |key: &str| folds.values().filter_map(|e| e[key].as_f64()).sum::<f64>();
    let last = |kind: &str| events.iter().rev().find(|e| e["event"] == kind);
    if let Some(Value::Object(test)) = last("test") {
        let numbers = test.iter().filter_map(|(k, v)| Some((k, v.as_f64()?)));
        values.extend(numbers.map(|(k, v)| (format!("test {k}"), v)));
    }
    if let Some(Value::Object(mean)) = last("folds").map(|e| &e["mean"]) {
        values.extend(
            mean.iter()
                .filter_map(|(k, v)| Some((k.clone(), v.as_f64()?))),
        );
    }
    let state = match last("saved").or(last("folds")).map(|e| &e["stopped"]) {
        _ if output::is_running(folder) => "running".into(),
        Some(Value::Null) => "done".into(),
        Some(Value::String(by)) if by == "interrupted" || by == "limit" => "stopped".into(),
        Some(Value::String(by)) => format!("ended by {by}"),
        _ => "cut short".into(),
    };
    Run {
        folder: folder.to_owned(),
        lock: serde_json::from_str(&text("lock.json")).unwrap_or_default(),
        state,
        program: text("program.nn"),
        epochs: rows.len() + of_folds("epochs") as usize,
        seconds: (took.map(number_of).filter(|s| s.is_finite()))
            .fold(of_folds("seconds"), |all, s| all + s),
        values,
    }
}

fn event(run: &Run) -> Value {
    let numbers = run.values.iter().map(|(k, v)| (k.clone(), json!(v)));
    json!({
        "event": "run",
        "folder": run.folder.display().to_string(),
        "file": run.lock["file"],
        "state": run.state,
        "epochs": run.epochs,
        "seconds": run.seconds,
        "seed": run.lock["seed"],
        "set": run.lock["set"],
        "values": numbers.collect::<Map<_, _>>(),
    })
}

/// One line per run, with the metrics of the validation set if there is one.
fn list(runs: &[Run]) -> TextTable {
    let mut names: Vec<String> = Vec::new();
    for (name, _) in runs.iter().flat_map(|r| &r.values) {
        let validated = runs
            .iter()
            .any(|r| r.values.iter().any(|(n, _)| *n == names::validation(name)));
        if !validated && !names.contains(name) {
            names.push(name.clone());
        }
    }
    let columns = ["run", "state", "epochs", "time"].map(str::to_owned);
    let values = names.iter().cloned();
    let heads = columns.into_iter().chain(values).chain(["settings".into()]);
    let mut table = TextTable::new(heads).right(2..4 + names.len());
    for run in runs {
        let mut row = vec![
            run.folder.display().to_string(),
            run.state.clone(),
            run.epochs.to_string(),
            seconds(run.seconds),
        ];
        row.extend(names.iter().map(|n| shown(run, n)));
        row.push(
            settings(run)
                .into_iter()
                .map(|(k, v)| format!("{k}={v}"))
                .collect::<Vec<_>>()
                .join(" "),
        );
        table.row(row);
    }
    table
}

/// One column per run: the settings that differ, lines of the programs that do, all values.
fn side_by_side(runs: &[Run]) -> TextTable {
    let heads = runs.iter().map(|r| r.folder.display().to_string());
    let mut table = TextTable::new([String::new()].into_iter().chain(heads));
    let mut add = |name: &str, cells: Vec<String>, always: bool| {
        if always || cells.iter().any(|c| *c != cells[0]) {
            table.row([name.to_owned()].into_iter().chain(cells));
        }
    };
    let each = |f: &dyn Fn(&Run) -> String| runs.iter().map(f).collect::<Vec<_>>();
    let text = |v: &Value| match v {
        Value::String(s) => s.clone(),
        Value::Null => String::new(),
        v => v.to_string(),
    };
    add("state", each(&|r| r.state.clone()), true);
    for key in ["file", "nnc", "seed", "batch", "device", "threads"] {
        add(key, each(&|r| text(&r.lock[key])), false);
    }
    let sets: BTreeMap<String, ()> = (runs.iter().flat_map(settings))
        .map(|(k, _)| (k, ()))
        .collect();
    for key in sets.keys().filter(|k| *k != "seed") {
        let value = |r: &Run| settings(r).remove(key).unwrap_or_default();
        add(key, each(&value), false);
    }
    let hash = |r: &Run| r.lock["data"].to_string();
    if runs.iter().any(|r| hash(r) != hash(&runs[0])) {
        add(
            "data",
            each(&|r| {
                if hash(r) == hash(&runs[0]) {
                    ""
                } else {
                    "different"
                }
                .into()
            }),
            true,
        );
    }
    let programs: Vec<Vec<&str>> = runs
        .iter()
        .map(|r| {
            let lines = r.program.lines().map(str::trim);
            lines
                .filter(|l| !l.is_empty() && !l.starts_with('#'))
                .collect()
        })
        .collect();
    let missing = |line: &str| programs.iter().any(|p| !p.contains(&line));
    let own = |p: &Vec<&str>| -> String {
        let lines: Vec<&str> = p.iter().copied().filter(|l| missing(l)).take(12).collect();
        lines.join("\n")
    };
    add("program", programs.iter().map(own).collect(), false);
    add("epochs", each(&|r| r.epochs.to_string()), true);
    add("time", each(&|r| seconds(r.seconds)), true);
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in runs.iter().flat_map(|r| &r.values) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    for name in names {
        add(name, each(&|r| shown(r, name)), true);
    }
    table
}

/// What the command line set, and the seed.
fn settings(run: &Run) -> BTreeMap<String, String> {
    let set = run.lock["set"].as_object().into_iter().flatten();
    let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let mut all: BTreeMap<String, String> = set.map(|(k, v)| (k.clone(), text(v))).collect();
    if let Some(seed) = run.lock["seed"].as_u64() {
        all.insert("seed".into(), seed.to_string());
    }
    all
}

fn shown(run: &Run, name: &str) -> String {
    let found = run.values.iter().find(|(n, _)| n == name);
    found.map_or_else(String::new, |(_, v)| number(*v))
}
