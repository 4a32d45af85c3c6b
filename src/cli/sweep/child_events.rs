//! What a trial tells of itself: the events of `nnc run --json`, and those it had written
//! before.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

/// What is kept of a trial's events: one number per epoch, and the last of the rest.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Whether training began.
    pub started: bool,
    /// The goal after each epoch; none where it is not finite.
    goal: BTreeMap<usize, Option<f64>>,
    /// The goal's mean over all folds, once they are done, of data that are split into folds.
    pub folds: Option<Option<f64>>,
    /// Metrics of the last epoch, or means over folds.
    pub metrics: Map<String, Value>,
    pub saved: Option<Saved>,
    /// What went wrong.
    pub error: Option<String>,
}

/// How training ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Saved {
    /// The epoch whose weights were kept.
    pub epoch: usize,
    /// `limit`, `interrupted`, or a callback.
    pub stopped: Option<String>,
}

impl Heard {
    /// The events of the run in a folder so far.
    pub(super) fn before(folder: &Path, goal: &str) -> Heard {
        let mut heard = Heard::default();
        let text = std::fs::read_to_string(folder.join("events.jsonl")).unwrap_or_default();
        for line in text.lines() {
            heard.hear(line, goal);
        }
        heard
    }

    /// An event; gives the epoch that has ended, if one has.
    pub(super) fn hear(&mut self, line: &str, goal: &str) -> Option<usize> {
        let event: Map<String, Value> = serde_json::from_str(line).ok()?;
        let text = |key: &str| event.get(key).and_then(Value::as_str);
        let number = |key: &str| event.get(key).and_then(Value::as_u64);
        match text("event")? {
            "start" => {
                self.started = true;
                self.saved = None;
            }
            "epoch" => {
                let epoch = number("epoch")? as usize;
                self.goal.insert(epoch, exact_number(line, goal));
                let kept = event.iter().filter(|(k, _)| {
                    !matches!(
                        k.as_str(),
                        "event" | "epoch" | "steps" | "seconds" | "train_seconds"
                    )
                });
                self.metrics = kept
                    .map(|(k, _)| (k.clone(), Value::from(exact_number(line, k))))
                    .collect();
                return Some(epoch);
            }
            "folds" => {
                self.folds = Some(exact_number(line, goal));
                let means = event.get("mean").and_then(Value::as_object);
                self.metrics = (means.into_iter().flatten())
                    .map(|(k, _)| (k.clone(), Value::from(exact_number(line, k))))
                    .collect();
            }
            "saved" => {
                self.saved = Some(Saved {
                    epoch: number("weights_epoch").or(number("epoch"))? as usize,
                    stopped: text("stopped").map(str::to_owned),
                });
            }
            kind @ ("error" | "diagnostic") if text("severity") != Some("warning") => {
                let code = text("code").map(|c| format!("[{c}] ")).unwrap_or_default();
                let said = format!("{code}{}", text("message").unwrap_or_default());
                // the first diagnostic is the cause, the error of a run comes last
                if kind == "error" || self.error.is_none() {
                    self.error = Some(said);
                }
            }
            _ => {}
        }
        None
    }

    /// The goal after an epoch; of folds their mean.
    pub(super) fn score(&self, epoch: usize) -> Option<f64> {
        let one = self.goal.get(&epoch).copied().flatten();
        self.folds.unwrap_or(one)
    }

    /// The last epoch that has ended.
    pub(super) fn epochs(&self) -> usize {
        self.goal.keys().next_back().copied().unwrap_or(0)
    }
}

/// The finite number of a field, to the last bit (`serde_json` rounds a second time); the
/// names of fields are plain words.
pub(super) fn exact_number(line: &str, key: &str) -> Option<f64> {
    let field = format!("\"{key}\":");
    let rest = line[line.find(&field)? + field.len()..].trim_start();
    let end = rest.find([',', '}']).unwrap_or(rest.len());
    rest[..end]
        .trim()
        .parse()
        .ok()
        .filter(|x: &f64| x.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_become_a_score() {
        let mut heard = Heard::default();
        let lines = [
            r#"{"event":"start","epochs":2}"#,
            r#"{"event":"epoch","epoch":1,"loss":0.5,"val_loss":0.6184371820347143,"steps":4,"seconds":0.1}"#,
            r#"{"event":"epoch","epoch":2,"loss":0.4,"val_loss":null,"steps":4,"seconds":0.1}"#,
            r#"{"event":"saved","epoch":2,"weights_epoch":1,"stopped":"EarlyStopping"}"#,
        ];
        for line in lines {
            heard.hear(line, "val_loss");
        }
        assert!(heard.started);
        assert_eq!(heard.score(1), Some(0.6184371820347143));
        assert_eq!((heard.score(2), heard.epochs()), (None, 2));
        let saved = heard.saved.unwrap();
        assert_eq!(
            (saved.epoch, saved.stopped.as_deref()),
            (1, Some("EarlyStopping"))
        );
        assert_eq!(
            heard.metrics.keys().collect::<Vec<_>>(),
            ["loss", "val_loss"]
        );
    }

    #[test]
    fn what_went_wrong_is_the_first_diagnostic_or_the_error() {
        let mut heard = Heard::default();
        for (severity, code) in [("warning", "W1"), ("error", "E1"), ("error", "E2")] {
            let line = format!(
                r#"{{"event":"diagnostic","severity":"{severity}","code":"{code}","message":"m"}}"#
            );
            heard.hear(&line, "loss");
        }
        assert_eq!(heard.error.as_deref(), Some("[E1] m"));
        heard.hear(r#"{"event":"error","code":null,"message":"n"}"#, "loss");
        assert_eq!(heard.error.as_deref(), Some("n"));
    }
}
