//! Callbacks decide as Keras' do (`tests/fixtures/callbacks.json`), through the language.

use std::collections::HashMap;

use nnc::backend::Options;
use nnc::check::{Checked, Host, check_file};
use nnc::diag::render::{Style, render};
use nnc::spec::Runtime;
use nnc::spec::callbacks::CallbackSpec;
use nnc::train::callbacks::csv_logger::{CsvLogger, Table};
use nnc::train::callbacks::early_stopping::{self, EarlyStopping};
use nnc::train::callbacks::model_checkpoint::{self, ModelCheckpoint, path};
use nnc::train::callbacks::reduce_lr_on_plateau::{self, ReduceLrOnPlateau, next_rate};
use nnc::train::callbacks::{CallbackContext, Logs};
use nnc::train::device::{Device, Target};
use nnc::train::progress::Silent;
use nnc::train::{Callbacks, Session};
use serde_json::Value;

const PROGRAM: &str = r#"
data d {
  source  csv("d.csv")
  column  x : [2] = a .. b
  column  y : class[3]
  split   { train 80%, val 20% }
  input   x : [2]
  target  y : class[3]
}
model M(x: [2]) -> prob[3] { x |> Dense(3, softmax) }
train M on d {
  loss       sparse_categorical_crossentropy
  optimizer  Adam(lr = 0.01)
  metrics    accuracy
  callbacks  { CALLBACK }
}
"#;

struct Text(String);

impl Host for Text {
    fn runtime(&self) -> Runtime {
        nnc::train::RUNTIME
    }

    fn read(&self, _: &str) -> Result<String, String> {
        Ok(self.0.clone())
    }
}

pub(crate) fn checked(callback: &str) -> Checked {
    let text = PROGRAM.replace("CALLBACK", callback);
    let report = check_file(&Text(text), "case.nn", &[]);
    let shown = render(&report.diagnostics, &report.map, Style::plain());
    report.checked.unwrap_or_else(|| panic!("{shown}"))
}

fn written(name: &str, args: &Value) -> String {
    let args = args.as_object().unwrap().iter().map(|(k, v)| match v {
        Value::String(s) if k == "monitor" || k == "mode" => format!("{k} = {s}"),
        Value::String(s) if k == "filepath" => format!("{k} = \"{s}.safetensors\""),
        other => format!("{k} = {other}"),
    });
    let args: Vec<String> = args.collect();
    match name {
        "LearningRateScheduler" => format!("{name}(exponential_decay(0.1, 2, 0.5))"),
        _ => format!("{name}({})", args.join(", ")),
    }
}

/// A number, or the text of one that JSON cannot hold.
pub(crate) fn number(v: &Value) -> f64 {
    match v {
        Value::String(s) => s.parse().unwrap(),
        v => v.as_f64().unwrap(),
    }
}

fn logs(values: &Value) -> Logs {
    let mut logs = Logs::default();
    for (name, value) in values.as_object().unwrap() {
        logs.set(name, number(value));
    }
    logs
}

fn cases(name: &str) -> Vec<(CallbackSpec, Value)> {
    let text = include_str!("../fixtures/callbacks.json");
    let all: Value = serde_json::from_str(text).unwrap();
    let mut known: HashMap<String, CallbackSpec> = HashMap::new();
    let cases = all["cases"].as_array().unwrap().iter();
    let found: Vec<_> = cases
        .filter(|c| c["callback"] == name)
        .map(|case| {
            let written = written(name, &case["args"]);
            let callback = known.entry(written.clone()).or_insert_with(|| {
                let train = checked(&written).train.unwrap();
                train.callbacks.into_iter().next().unwrap()
            });
            (callback.clone(), case.clone())
        })
        .collect();
    assert!(!found.is_empty());
    found
}

#[test]
fn early_stopping_stops_and_takes_back_as_keras_does() {
    for (callback, case) in cases("EarlyStopping") {
        let set: &EarlyStopping = callback.settings().unwrap();
        let mut state = early_stopping::State::default();
        let (mut kept, mut weight) = (None, 0.0);
        for (epoch, expected) in case["epochs"].as_array().unwrap().iter().enumerate() {
            weight = epoch as f64;
            let current = logs(&case["logs"][epoch]).get(&set.monitor.name).unwrap();
            let decision = state.epoch_end(set, epoch, current);
            if decision.keep {
                kept = Some(weight);
            }
            assert_eq!(expected["stop"], decision.stop, "epoch {epoch} of {case}");
        }
        assert_eq!(number(&case["weight"]), kept.unwrap_or(weight), "{case}");
    }
}

#[test]
fn reduce_lr_on_plateau_falls_as_keras_does() {
    for (callback, case) in cases("ReduceLROnPlateau") {
        let set: &ReduceLrOnPlateau = callback.settings().unwrap();
        let mut state = reduce_lr_on_plateau::State::default();
        let mut rate = 0.01f32;
        for (epoch, expected) in case["epochs"].as_array().unwrap().iter().enumerate() {
            let current = logs(&case["logs"][epoch]).get(&set.monitor.name).unwrap();
            if state.epoch_end(set, current)
                && let Some(next) = next_rate(set, rate)
            {
                rate = next;
                state.reduced(set);
            }
            let expected = number(&expected["rate"]) as f32;
            assert_eq!(rate, expected, "epoch {epoch} of {case}");
        }
    }
}

#[test]
fn model_checkpoint_saves_when_and_where_keras_does() {
    for (callback, case) in cases("ModelCheckpoint") {
        let set: &ModelCheckpoint = callback.settings().unwrap();
        let mut state = model_checkpoint::State::new(set);
        for (epoch, expected) in case["epochs"].as_array().unwrap().iter().enumerate() {
            let logs = logs(&case["logs"][epoch]);
            let saved: Vec<String> = match state.wants(set, &logs) {
                true => vec![path(set, epoch, 0, &logs).replace(".safetensors", "")],
                false => vec![],
            };
            let saved = serde_json::json!(saved);
            assert_eq!(saved, expected["saved"], "epoch {epoch} of {case}");
        }
    }
}

#[test]
fn csv_logger_writes_the_file_that_keras_writes() {
    for (callback, case) in cases("CSVLogger") {
        let set: &CsvLogger = callback.settings().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = || std::fs::read_to_string(folder.path().join("log.csv")).unwrap();
        let mut table = Table::new(set, folder.path());
        table.begin(false).unwrap();
        let values = case["logs"].as_array().unwrap();
        let (first, rest) = values.split_at(1);
        table.epoch_end(0, &logs(&first[0])).unwrap();
        let state = table.state.clone();
        table.epoch_end(1, &logs(&rest[0])).unwrap();
        // stopped here, after what its state knows of: the line of epoch 1 is written again
        let mut table = Table::new(set, folder.path());
        table.state = state;
        table.begin(true).unwrap();
        for (i, values) in rest.iter().enumerate() {
            table.epoch_end(i + 1, &logs(values)).unwrap();
        }
        assert_eq!(file(), case["file"].as_str().unwrap());
    }
}

#[test]
fn a_scheduler_sets_the_rate_before_each_epoch() {
    let (callback, case) = cases("LearningRateScheduler").remove(0);
    let programs = checked("TerminateOnNaN").programs.unwrap();
    let options = Options {
        seed: 1,
        threads: 1,
    };
    let device = Device::new(Target::Cpu, options);
    let compile = Box::new(|graph| device.compile(graph));
    let mut session = Session::new(&programs, 1, compile).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut callbacks = Callbacks::new(&[callback], &[], &session, folder.path()).unwrap();
    for (epoch, expected) in case["epochs"].as_array().unwrap().iter().enumerate() {
        let mut stop = None;
        callbacks
            .epoch_begin(&mut CallbackContext {
                session: &mut session,
                progress: &mut Silent,
                epoch,
                save: &mut |_, _, _| Ok(()),
                stop: &mut stop,
            })
            .unwrap();
        let store = session.store();
        let rate = store.bytes(store.find("adam/learning_rate").unwrap());
        let rate = f64::from(f32::from_le_bytes(rate.try_into().unwrap()));
        let expected = number(&expected["begun"]);
        assert!((rate / expected - 1.0).abs() < 1e-6, "{rate} {expected}");
    }
}

#[test]
fn states_survive_being_written() {
    let of = |text: &str| {
        let train = checked(text).train.unwrap();
        train.callbacks[0]
            .settings::<EarlyStopping>()
            .unwrap()
            .clone()
    };
    let set = of("EarlyStopping(patience = 3, restore_best_weights = true)");
    let mut state = early_stopping::State::default();
    for (epoch, value) in [f64::NAN, 0.1 + 0.2].into_iter().enumerate() {
        state.epoch_end(&set, epoch, value);
        let text = serde_json::to_string(&state).unwrap();
        let read: early_stopping::State = serde_json::from_str(&text).unwrap();
        assert_eq!(read, state);
    }
}
