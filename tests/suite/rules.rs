//! `when CONDITION do ACTION`: what a condition is over a sequence of metrics, what actions do
//! to a run, and that a run that goes on decides as one that was not stopped.

use std::fs;

use nnc::spec::callbacks::Callback;
use nnc::spec::rules::Rule;
use nnc::train::callbacks::Logs;
use nnc::train::callbacks::rule::{Now, State};

use crate::callbacks::checked;
use crate::cli::{err, find};
use crate::runs::place;

fn rule(condition: &str) -> Rule {
    let train = checked(&format!("when {condition} do stop")).train.unwrap();
    match train.callbacks.into_iter().next() {
        Some(Callback::When(rule)) => rule,
        other => panic!("{other:?}"),
    }
}

/// In which of the epochs (from 1) a condition holds.
fn holds(condition: &str, losses: &[f64]) -> Vec<usize> {
    let rule = rule(condition);
    let mut state = State::new(&rule);
    let mut found = Vec::new();
    for (i, loss) in losses.iter().enumerate() {
        // what is remembered outlives the process
        let text = serde_json::to_string(&state).unwrap();
        state = serde_json::from_str(&text).unwrap();
        let mut logs = Logs::default();
        logs.set("loss", *loss);
        logs.set("val_accuracy", -loss);
        state.look(&rule, &logs);
        let now = Now {
            logs: &logs,
            epoch: i + 1,
            steps: 10 * (i as u64 + 1),
            rate: Some(0.5),
        };
        if state.holds(&rule.when, now) == Some(true) {
            found.push(i + 1);
        }
        state.pass(&rule, &logs);
    }
    found
}

#[test]
fn conditions_know_a_metrics_past() {
    let losses = [4.0, 2.0, 3.0, 5.0, 1.0, f64::NAN, 3.0];
    let cases: &[(&str, &[usize])] = &[
        ("loss < 3", &[2, 5]),
        ("loss > 2 * best(loss)", &[4, 7]),
        ("loss == best(loss)", &[1, 2, 5]),
        ("since_best(loss) >= 2", &[4, 7]),
        ("since_best(val_accuracy) == 0", &[1, 2, 5]),
        ("best(loss, mode = max) == 5", &[4, 5, 6, 7]),
        // none before the first; nothing is less or more than NaN
        ("loss > previous(loss)", &[3, 4]),
        ("not (loss > previous(loss))", &[2, 5, 6, 7]),
        ("epoch == 1 or loss > previous(loss)", &[1, 3, 4]),
        ("epoch > 1 and loss > previous(loss)", &[3, 4]),
        ("abs(loss - previous(loss)) <= 2", &[2, 3, 4]),
        ("epoch % 3 == 0", &[3, 6]),
        ("maximum(loss, 3) == 3 and minimum(loss, 3) == 3", &[3, 7]),
        ("-loss ^ 2 + 9 / 3 < -5 and lr == 0.5", &[1, 3, 4, 7]),
        ("true and loss != loss", &[6]),
        ("step >= 60", &[6, 7]),
    ];
    for (condition, expected) in cases {
        assert_eq!(holds(condition, &losses), *expected, "{condition}");
    }
}

#[test]
fn values_that_are_all_nan_have_no_best() {
    let losses = [f64::NAN, f64::NAN, 1.0, 2.0];
    assert_eq!(holds("since_best(loss) < 99", &losses), [3, 4]);
    assert_eq!(holds("not (best(loss) > 9)", &losses), [3, 4]);
}

#[test]
fn a_rule_that_names_the_step_is_considered_after_steps() {
    assert!(rule("step % 100 == 0").each_step);
    assert!(!rule("epoch % 2 == 0").each_step);
}

const RULES: &str = r#"
  epochs     9
  callbacks {
    when epoch % 4 == 0 do set_lr(lr / 2)
    when val_loss <= best(val_loss) do save("best.safetensors", save_weights_only = true)
    when step % 10 == 0 do save("s{step:03d}.safetensors")
    when epoch == 6 do restore_best(loss, mode = max)
    when epoch > 1 and previous(val_loss) - val_loss < 1 do print("epoch {epoch}: {val_loss:.3f} at {lr}")
    when epoch == 8 do stop
  }
"#;

#[test]
fn actions_act_on_a_run() {
    let place = place(RULES);
    let told = place.events("run toy.nn --json --out w");
    assert_eq!(find(&told, "saved")["stopped"], "when");
    let epochs: Vec<_> = told.iter().filter(|e| e["event"] == "epoch").collect();
    assert_eq!(epochs.len(), 8);
    let messages: Vec<(u64, &str)> = (told.iter().filter(|e| e["callback"] == "when"))
        .map(|e| (e["epoch"].as_u64().unwrap(), e["message"].as_str().unwrap()))
        .collect();
    let of = |epoch: u64| -> Vec<&str> {
        let all = messages.iter().filter(|m| m.0 == epoch);
        all.map(|m| m.1).collect()
    };
    let print = |i: usize, rate: &str| {
        let loss = epochs[i - 1]["val_loss"].as_f64().unwrap();
        format!("epoch {i}: {loss:.3} at {rate}")
    };
    // in the order in which they are written: the rate that is printed is the new one
    assert!(
        of(4).contains(&"set the learning rate from 0.01 to 0.005"),
        "{messages:?}"
    );
    assert_eq!(of(4).last().unwrap(), &print(4, "0.004999999888241291"));
    assert_eq!(of(2).last().unwrap(), &print(2, "0.009999999776482582"));
    assert!(
        of(1).iter().all(|m| !m.starts_with("epoch")),
        "{messages:?}"
    );
    assert!(
        of(6)
            .iter()
            .any(|m| m.starts_with("restored the best weights")),
        "{messages:?}"
    );
    assert_eq!(of(8).last().unwrap(), &"stopped in epoch 8, after step 32");
    for step in ["010", "020", "030"] {
        assert!(place.path().join(format!("w/s{step}.safetensors")).exists());
    }
    // the least loss of all is the one saved last
    let losses = epochs.iter().map(|e| e["val_loss"].as_f64().unwrap());
    let least = losses.reduce(f64::min).unwrap();
    let val = place.events("evaluate toy.nn --weights w/best.safetensors --json --part val");
    assert_eq!(find(&val, "val")["loss"].as_f64().unwrap(), least);
}

#[test]
fn a_run_with_rules_goes_on_to_the_same_bits() {
    let place = place(RULES);
    place.events("run toy.nn --json --quiet --out whole");
    // 4 steps an epoch: before and after what is taken back in epoch 6
    for (steps, folder) in [(13, "a"), (26, "b")] {
        place.events(&format!(
            "run toy.nn --json --quiet --limit-steps {steps} --out {folder}"
        ));
        place.events(&format!(
            "run toy.nn --json --quiet --out {folder} --resume {folder}/weights.safetensors"
        ));
        let read =
            |folder: &str, name: &str| fs::read(place.path().join(folder).join(name)).unwrap();
        for name in [
            "weights.safetensors",
            "best.safetensors",
            "s030.safetensors",
        ] {
            assert!(read(folder, name) == read("whole", name), "{steps}: {name}");
        }
    }
}

#[test]
fn a_rate_that_is_none_is_told_and_stays() {
    let place = place("  epochs 2\n  callbacks { when epoch == 1 do set_lr(lr / 0) }\n");
    let output = place.nnc("run toy.nn --out w");
    assert!(output.status.success());
    let told = err(&output) + &String::from_utf8_lossy(&output.stdout);
    assert!(
        told.contains("inf is not a learning rate: kept 0.01"),
        "{told}"
    );
}
