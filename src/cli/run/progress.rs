//! A run as people and programs see it: a bar on a terminal, one line per epoch,
//! events as JSON.
//!
//! ```text
//! epoch 3/5 ━━━━━━━━────────── 234/469  loss 0.0812  accuracy 0.9751  0.20 s left
//! epoch 3/5  loss 0.0807 (val 0.0911)  accuracy 0.9755 (val 0.9722)  0.41 s
//! ```

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value, json};

use crate::cli::console;
use crate::data::batch::Costs;
use crate::data::write::replace;
pub(crate) use crate::train::report::number;
use crate::train::{EpochRow, ProgressSink, RunError, Session};

/// Between two drawings of the bar: 15 a second at most.
const FRAME: Duration = Duration::from_millis(66);

pub(crate) struct Progress {
    names: Vec<String>,
    json: bool,
    quiet: bool,
    /// Whether there is someone to draw for.
    drawn_at_all: bool,
    /// The bar of the epoch that is running.
    bar: Option<Bar>,
    last_epoch: usize,
    steps: usize,
    /// Where every event is written as well.
    log: RefCell<Option<File>>,
    /// Why the first line that could not be written was not.
    untold: RefCell<Option<std::io::Error>>,
}

struct Bar {
    line: ProgressBar,
    drawn: Instant,
    /// When it began, and with how many steps done.
    began: Instant,
    first: usize,
}

impl Progress {
    /// `names`: of the metrics, in order.
    pub(crate) fn new(names: &[String], json: bool, quiet: bool) -> Progress {
        Progress {
            names: names.to_vec(),
            json,
            quiet,
            drawn_at_all: !quiet && std::io::stderr().is_terminal(),
            bar: None,
            last_epoch: 0,
            steps: 0,
            log: RefCell::new(None),
            untold: RefCell::new(None),
        }
    }

    /// Also writes every event from now on to a file. Events of epochs after `epochs` are removed:
    /// a resumed run writes them again.
    pub(crate) fn record(&mut self, path: &Path, epochs: usize) -> Result<(), RunError> {
        let fail = |e: std::io::Error| RunError::file(path, "write the file", &e);
        if path.exists() {
            // Damaged lines are dropped: the log is no state.
            let bytes = std::fs::read(path).map_err(fail)?;
            let text = String::from_utf8_lossy(&bytes);
            let stays = |line: &&str| {
                let event: Option<Value> = serde_json::from_str(line).ok();
                event.is_some_and(|e| {
                    let epoch = e["epoch"].as_u64();
                    epoch.is_none_or(|n| n <= epochs as u64) && e["event"] != "test"
                })
            };
            let kept: String = text.lines().filter(stays).flat_map(|l| [l, "\n"]).collect();
            replace(path, |out| out.write_all(kept.as_bytes()))?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path);
        self.log = RefCell::new(Some(file.map_err(fail)?));
        Ok(())
    }

    /// Takes the bar away.
    pub(crate) fn clear(&mut self) {
        self.bar = None;
    }

    /// A line for people: on stdout, unless that is for programs.
    pub(crate) fn say(&self, text: &str) {
        if self.quiet {
            return;
        }
        let print = || {
            if self.json {
                console::note(text);
            } else {
                self.print(text);
            }
        };
        match &self.bar {
            Some(bar) => bar.line.suspend(print),
            None => print(),
        }
    }

    /// A line on stdout. Where it cannot be written, a run is worth finishing all the same: it
    /// is told in the end.
    fn print(&self, line: &str) {
        if let Err(error) = console::line(line) {
            self.untold.borrow_mut().get_or_insert(error);
        }
    }

    /// Whether all that was to be said on stdout could be written.
    pub(crate) fn all_told(&self) -> std::io::Result<()> {
        self.untold.borrow_mut().take().map_or(Ok(()), Err)
    }

    /// An event for programs.
    pub(crate) fn event(&self, kind: &str, fields: Value) {
        let mut log = self.log.borrow_mut();
        if !self.json && log.is_none() {
            return;
        }
        let mut event = Map::from_iter([("event".into(), kind.into())]);
        if let Value::Object(fields) = fields {
            event.extend(fields);
        }
        let line = Value::Object(event).to_string();
        if let Some(file) = &mut *log
            && let Err(e) = file.write_all(format!("{line}\n").as_bytes())
        {
            console::note(&format!(
                "warning: cannot write further events to events.jsonl: {e}"
            ));
            *log = None;
        }
        if self.json {
            self.print(&line);
        }
    }

    /// `loss` and the metrics as fields of an event, each name after `prefix`.
    pub(crate) fn fields(&self, prefix: &str, values: &[f64]) -> Map<String, Value> {
        let named = self.names.iter().zip(values);
        // what is not finite becomes null
        named
            .map(|(name, v)| (format!("{prefix}{name}"), json!(v)))
            .collect()
    }

    /// `test  loss 0.0807  accuracy 0.9755`
    pub(crate) fn shown(&self, head: &str, values: &[f64]) -> String {
        laid_out(head, named(&self.names, values, None))
    }
}

impl ProgressSink for Progress {
    fn start(&mut self, _first: usize, last: usize, steps: usize) {
        self.last_epoch = last;
        self.steps = steps;
    }

    fn step(&mut self, epoch: usize, done: usize, session: &mut Session) -> Result<(), RunError> {
        if !self.drawn_at_all {
            return Ok(());
        }
        let now = Instant::now();
        let bar = self.bar.get_or_insert_with(|| Bar::new(now, done));
        if now - bar.drawn < FRAME {
            return Ok(());
        }
        bar.drawn = now;
        let a_step = (now - bar.began).as_secs_f64() / (done - bar.first).max(1) as f64;
        let left = seconds(a_step * self.steps.saturating_sub(done) as f64);
        let values = named(&self.names, session.running()?, None);
        let head = format!("epoch {epoch}/{}", self.last_epoch);
        let text = bar_line(&head, done, self.steps, values, &left);
        if let Some(bar) = &self.bar {
            bar.line.set_message(text);
        }
        Ok(())
    }

    fn epoch(&mut self, row: &EpochRow) {
        self.bar = None;
        let mut fields = Map::from_iter([("epoch".into(), json!(row.epoch))]);
        fields.extend(self.fields("", &row.train));
        if let Some(val) = &row.val {
            fields.extend(self.fields("val_", val));
        }
        fields.insert("steps".into(), json!(row.steps));
        fields.insert("train_seconds".into(), json!(row.train_seconds));
        fields.insert("seconds".into(), json!(row.seconds));
        let Costs { waited, augmenting } = row.costs;
        fields.insert("waited_seconds".into(), json!(waited.as_secs_f64()));
        fields.insert("augment_seconds".into(), json!(augmenting.as_secs_f64()));
        self.say(&epoch_line(&self.names, row, self.last_epoch));
        self.event("epoch", Value::Object(fields));
    }

    fn acted(&mut self, callback: &'static str, epoch: usize, text: &str, aloud: bool) {
        if aloud {
            self.say(&format!("{callback}: {text}"));
        }
        let fields = json!({"callback": callback, "epoch": epoch, "message": text});
        self.event("callback", fields);
    }

    fn test(&mut self, values: &[f64]) {
        let indent = 2 * self.last_epoch.to_string().len() + 3;
        self.say(&self.shown(&format!("test{:indent$}", ""), values));
        self.event("test", Value::Object(self.fields("", values)));
    }
}

impl Bar {
    fn new(now: Instant, done: usize) -> Bar {
        let style = ProgressStyle::with_template("{wide_msg}");
        let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        Bar {
            line: line.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner())),
            drawn: now,
            began: now,
            first: done,
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.line.finish_and_clear();
    }
}

/// `loss 0.0807 (val 0.0911)`, for each metric.
fn named(names: &[String], values: &[f64], val: Option<&[f64]>) -> Vec<String> {
    let pair = |(i, (name, value)): (usize, (&String, &f64))| {
        let shown = format!("{name} {:<6}", number(*value));
        match val.and_then(|v| v.get(i)) {
            // as wide as `(val 0.0911)`
            Some(v) => format!("{shown} {:<12}", format!("(val {})", number(*v))),
            None => shown,
        }
    };
    names.iter().zip(values).enumerate().map(pair).collect()
}

/// Cells after a head; those that do not fit its line are below the first of them.
fn laid_out(head: &str, cells: Vec<String>) -> String {
    let indent = head.chars().count() + 2;
    let items: Vec<String> = std::iter::once(head.to_owned()).chain(cells).collect();
    console::wrapped(&items, "  ", indent)
}

fn epoch_line(names: &[String], row: &EpochRow, last: usize) -> String {
    let width = last.to_string().len();
    let mut cells = named(names, &row.train, row.val.as_deref());
    cells.push(seconds(row.seconds));
    laid_out(&format!("epoch {:>width$}/{last}", row.epoch), cells)
}

/// As much as fits one line: the bar shrinks first, then the last metrics are left out.
fn bar_line(head: &str, done: usize, all: usize, mut cells: Vec<String>, left: &str) -> String {
    let (narrow, wide) = (8, 20);
    let width = |cells: &[String]| {
        let metrics: usize = cells.iter().map(|c| c.chars().count() + 2).sum();
        let rest = format!("{head}  {done}/{all}  {left} left");
        // the last column stays free: some terminals wrap there
        (console::WIDTH - 1).checked_sub(rest.chars().count() + metrics)
    };
    while width(&cells).is_none_or(|n| n < narrow) && cells.pop().is_some() {}
    let width = width(&cells).unwrap_or(0).min(wide);
    let full = (done * width / all.max(1)).min(width);
    let bar = "━".repeat(full) + &"─".repeat(width - full);
    cells.push(format!("{left} left"));
    format!("{head} {bar} {done}/{all}  {}", cells.join("  "))
}

/// `3 ms`, `0.41 s`, `12.3 s`, `2 min 05 s`
pub(crate) fn seconds(s: f64) -> String {
    match s {
        _ if s < 0.0095 => format!("{:.0} ms", s * 1000.0),
        _ if s < 9.995 => format!("{s:.2} s"),
        _ if s < 99.95 => format!("{s:.1} s"),
        _ => {
            let whole = s.round() as u64;
            match (whole / 3600, whole / 60 % 60, whole % 60) {
                (0, minutes, rest) => format!("{minutes} min {rest:02} s"),
                (hours, minutes, _) => format!("{hours} h {minutes:02} min"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_keep_what_matters() {
        let cases = [
            (0.0812345, "0.0812"),
            (0.0, "0"),
            (1234.5678, "1234.6"),
            (1.234e-7, "1.23e-7"),
            (-3.0, "-3.0000"),
            (f64::NAN, "NaN"),
        ];
        for (x, expected) in cases {
            assert_eq!(number(x), expected);
        }
        assert_eq!(
            [0.0031, 0.4, 12.34, 125.0, 7300.0].map(seconds),
            ["3 ms", "0.40 s", "12.3 s", "2 min 05 s", "2 h 01 min"]
        );
    }

    fn row(values: usize, seconds: f64) -> EpochRow {
        EpochRow {
            epoch: 9,
            train: vec![0.123456; values],
            val: Some(vec![0.654321; values]),
            rates: Vec::new(),
            steps: 0,
            train_seconds: 0.0,
            seconds,
            costs: Costs::default(),
        }
    }

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn epoch_lines_fit_a_terminal() {
        let two = names(&["loss", "accuracy"]);
        assert_eq!(
            epoch_line(&two, &row(2, 3.456), 10),
            "epoch  9/10  loss 0.1235 (val 0.6543)  accuracy 0.1235 (val 0.6543)  3.46 s"
        );
        let many = names(&["loss", "accuracy", "top_k_categorical_accuracy", "auc"]);
        assert_eq!(
            epoch_line(&many, &row(4, 3.456), 10),
            "epoch  9/10  loss 0.1235 (val 0.6543)  accuracy 0.1235 (val 0.6543)\n             \
             top_k_categorical_accuracy 0.1235 (val 0.6543)\n             \
             auc 0.1235 (val 0.6543)  3.46 s"
        );
        for (names, took, last) in [(&two, 75.0, 100), (&two, 125.0, 1000), (&many, 0.01, 5)] {
            let line = epoch_line(names, &row(names.len(), took), last);
            assert!(
                line.lines().all(|l| l.chars().count() <= console::WIDTH),
                "{line}"
            );
        }
    }

    #[test]
    fn bars_fit_a_terminal() {
        let cells = |names: &[String]| named(names, &vec![0.123456; names.len()], None);
        let two = cells(&names(&["loss", "accuracy"]));
        assert_eq!(
            bar_line("epoch 3/5", 234, 469, two.clone(), "0.20 s"),
            "epoch 3/5 ━━━━━━━━────────── 234/469  loss 0.1235  accuracy 0.1235  0.20 s left"
        );
        let many = cells(&names(&[
            "loss",
            "accuracy",
            "top_k_categorical_accuracy",
            "auc",
        ]));
        for (head, done, cells, left) in [
            ("epoch 10/10", 18_750, &two, "12 min 05 s"),
            ("epoch 100/100", 1, &many, "3.47 s"),
        ] {
            let line = bar_line(head, done, 18_750, cells.clone(), left);
            assert!(line.chars().count() < console::WIDTH, "{line}");
            assert!(
                line.ends_with(" left") && line.contains("loss 0.1235"),
                "{line}"
            );
        }
    }
}
