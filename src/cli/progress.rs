//! A run as people and programs see it: a bar on a terminal, one line an epoch,
//! events as JSON.
//!
//! ```text
//! epoch 3/5 ━━━━━━━━━━━━━━━━━━━━ 234/469  loss 0.0812  accuracy 0.9751  0.2 s left
//! epoch 3/5  loss 0.0807  accuracy 0.9755  val_loss 0.0911  val_accuracy 0.9722  0.41 s
//! ```

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value, json};

use crate::cli::console;
use crate::train::{EpochRow, RunError, Session, Watch};

/// Between two drawings of the bar: 15 a second at most.
const FRAME: Duration = Duration::from_millis(66);

pub struct Progress {
    names: Vec<String>,
    json: bool,
    quiet: bool,
    bar: Option<ProgressBar>,
    last_epoch: usize,
    steps: usize,
    drawn: Instant,
    /// When the epoch that the bar shows began, and with how many steps done.
    began: Option<(usize, Instant, usize)>,
}

impl Progress {
    /// `names`: of the metrics, in order.
    pub fn new(names: &[String], json: bool, quiet: bool) -> Progress {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let target = ProgressDrawTarget::stderr_with_hz(60);
            let style =
                ProgressStyle::with_template("{prefix} {bar:24.cyan/dim} {pos}/{len}  {msg}");
            ProgressBar::with_draw_target(None, target).with_style(
                style
                    .unwrap_or_else(|_| ProgressStyle::default_bar())
                    .progress_chars("━╸─"),
            )
        });
        Progress {
            names: names.to_vec(),
            json,
            quiet,
            bar,
            last_epoch: 0,
            steps: 0,
            drawn: Instant::now(),
            began: None,
        }
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
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// An event for programs.
    pub fn event(&self, kind: &str, fields: Value) {
        if !self.json {
            return;
        }
        let mut event = Map::from_iter([("event".into(), kind.into())]);
        if let Value::Object(fields) = fields {
            event.extend(fields);
        }
        let _ = console::line(&Value::Object(event).to_string());
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
        let Some(bar) = &self.bar else { return Ok(()) };
        let now = Instant::now();
        let (began, first) = match self.began {
            Some((of, began, first)) if of == epoch => (began, first),
            _ => {
                self.began = Some((epoch, now, done));
                bar.set_length(self.steps as u64);
                bar.set_prefix(format!("epoch {epoch}/{}", self.last_epoch));
                (now, done)
            }
        };
        if now - self.drawn < FRAME {
            return Ok(());
        }
        self.drawn = now;
        let left = if done > first {
            let a_step = (now - began).as_secs_f64() / (done - first) as f64;
            let left = a_step * self.steps.saturating_sub(done) as f64;
            format!("  {} left", seconds(left))
        } else {
            String::new()
        };
        let values = session.metrics()?.to_vec();
        bar.set_message(format!("{}{left}", self.shown("", &values)));
        bar.set_position(done as u64);
        Ok(())
    }

    fn epoch(&mut self, row: &EpochRow) {
        if let Some(bar) = &self.bar {
            bar.set_draw_target(ProgressDrawTarget::hidden());
            bar.reset();
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(60));
        }
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
        self.say(&format!("{line}  {}", seconds(row.seconds)));
        self.event("epoch", Value::Object(fields));
    }

    fn test(&mut self, values: &[f64]) {
        let indent = 2 * self.last_epoch.to_string().len() + 3;
        self.say(&format!("test{:indent$}  {}", "", self.shown("", values)));
        self.event("test", Value::Object(self.fields("", values)));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// `0.0812`, `1234.6`, `1.23e-7`
pub fn number(x: f64) -> String {
    let size = x.abs();
    if !x.is_finite() {
        return x.to_string();
    }
    match size {
        0.0 => "0".into(),
        _ if !(1e-3..1e7).contains(&size) => format!("{x:.2e}"),
        _ if size < 100.0 => format!("{x:.4}"),
        _ => format!("{x:.1}"),
    }
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
