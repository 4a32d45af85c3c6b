//! A run as people and programs see it: a bar on a terminal, one line an epoch,
//! events as JSON.
//!
//! ```text
//! epoch 3/5 ━━━━━━━━━━────────── 234/469  loss 0.0812  accuracy 0.9751  0.2 s left
//! epoch 3/5  loss 0.0807  accuracy 0.9755  val_loss 0.0911  val_accuracy 0.9722  0.41 s
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
pub use crate::train::report::number;
use crate::train::{EpochRow, RunError, Session, Watch};

/// Between two drawings of the bar: 15 a second at most.
const FRAME: Duration = Duration::from_millis(66);

pub struct Progress {
    names: Vec<String>,
    json: bool,
    quiet: bool,
    /// Whether there is someone to draw for.
    drawn_at_all: bool,
    /// Of the epoch that is running.
    bar: Option<Bar>,
    last_epoch: usize,
    steps: usize,
    /// Where every event is written as well.
    log: RefCell<Option<File>>,
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
    pub fn new(names: &[String], json: bool, quiet: bool) -> Progress {
        Progress {
            names: names.to_vec(),
            json,
            quiet,
            drawn_at_all: !quiet && std::io::stderr().is_terminal(),
            bar: None,
            last_epoch: 0,
            steps: 0,
            log: RefCell::new(None),
        }
    }

    /// Writes every event from now on to a file as well; what a run that goes on had told
    /// there of epochs after `epochs` is told again, and so removed.
    pub fn record(&mut self, path: &Path, epochs: usize) -> Result<(), RunError> {
        let fail = |e: std::io::Error| RunError::file(path, "write it", &e);
        if path.exists() {
            let text = std::fs::read_to_string(path).map_err(fail)?;
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

    /// A line for people: on stdout, unless that is for programs.
    pub fn say(&self, text: &str) {
        if self.quiet {
            return;
        }
        let print = || {
            if self.json {
                console::note(text);
            } else {
                // where it cannot be shown, the run is worth finishing all the same
                let _ = console::line(text);
            }
        };
        match &self.bar {
            Some(bar) => bar.line.suspend(print),
            None => print(),
        }
    }

    /// An event for programs.
    pub fn event(&self, kind: &str, fields: Value) {
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
            console::note(&format!("warning: events.jsonl ends here: {e}"));
            *log = None;
        }
        if self.json {
            let _ = console::line(&line);
        }
    }

    /// `loss` and the metrics as fields of an event, each name after `prefix`.
    pub fn fields(&self, prefix: &str, values: &[f64]) -> Map<String, Value> {
        let named = self.names.iter().zip(values);
        // what is not finite becomes null
        named
            .map(|(name, v)| (format!("{prefix}{name}"), json!(v)))
            .collect()
    }

    /// `loss 0.0807  accuracy 0.9755`
    pub fn shown(&self, prefix: &str, values: &[f64]) -> String {
        let named = self.names.iter().zip(values);
        let parts: Vec<String> = named
            .map(|(name, v)| format!("{prefix}{name} {:<6}", number(*v)))
            .collect();
        parts.join("  ").trim_end().to_owned()
    }
}

impl Watch for Progress {
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
        let values = session.running()?.to_vec();
        let text = format!(
            "epoch {epoch}/{} {} {done}/{}  {}  {left} left",
            self.last_epoch,
            drawn_bar(done, self.steps),
            self.steps,
            self.shown("", &values),
        );
        if let Some(bar) = &self.bar {
            bar.line.set_message(text);
        }
        Ok(())
    }

    fn epoch(&mut self, row: &EpochRow) {
        self.bar = None;
        let mut fields = Map::from_iter([("epoch".into(), json!(row.epoch))]);
        fields.extend(self.fields("", &row.train));
        let mut line = format!(
            "epoch {:>width$}/{}  {}",
            row.epoch,
            self.last_epoch,
            self.shown("", &row.train),
            width = self.last_epoch.to_string().len()
        );
        if let Some(val) = &row.val {
            fields.extend(self.fields("val_", val));
            line = format!("{line}  {}", self.shown("val_", val));
        }
        fields.insert("steps".into(), json!(row.steps));
        fields.insert("train_seconds".into(), json!(row.train_seconds));
        fields.insert("seconds".into(), json!(row.seconds));
        let Costs { waited, augmenting } = row.costs;
        fields.insert("waited_seconds".into(), json!(waited.as_secs_f64()));
        fields.insert("augment_seconds".into(), json!(augmenting.as_secs_f64()));
        self.say(&format!("{line}  {}", seconds(row.seconds)));
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
        self.say(&format!("test{:indent$}  {}", "", self.shown("", values)));
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

/// `━━━━━━━━───────`
fn drawn_bar(done: usize, all: usize) -> String {
    const WIDTH: usize = 20;
    let full = (done * WIDTH / all.max(1)).min(WIDTH);
    "━".repeat(full) + &"─".repeat(WIDTH - full)
}

/// `0.41 s`, `12.3 s`, `2 min 05 s`
pub fn seconds(s: f64) -> String {
    match s {
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

/// `4,810`
pub fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
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
            [0.4, 12.34, 125.0, 7300.0].map(seconds),
            ["0.40 s", "12.3 s", "2 min 05 s", "2 h 01 min"]
        );
        assert_eq!(
            [7, 4810, 1234567].map(thousands),
            ["7", "4,810", "1,234,567"]
        );
    }
}
