//! `nnc sweep` as its users see it: what it leaves, what failures, kills and the number of jobs
//! do not change.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use nnc::span::Span;
use nnc::spec::callbacks::Better;
use nnc::spec::sweep::{Axis, Goal, Method, Search, SweepSpec, Tpe, Values};
use nnc::train::sweep::{Done, Plan, Results};
use serde_json::Value;

use crate::cli::{PROGRAM, Place, err, events, find, out};

/// A folder with `toy.nn`, whose sweep has these lines.
fn place(lines: &str) -> Place {
    let place = Place::new();
    let text = format!("{PROGRAM}\nsweep Toy {{\n{lines}\n}}\n");
    fs::write(place.path().join("toy.nn"), text).unwrap();
    place
}

/// Trial, rung, values and score of each training, in order of trial and rung.
fn trainings(told: &[Value]) -> Vec<(u64, u64, String, Value)> {
    let trials = told.iter().filter(|e| e["event"] == "trial");
    let mut all: Vec<_> = trials
        .map(|e| {
            let number = |key: &str| e[key].as_u64().unwrap();
            (
                number("trial"),
                number("rung"),
                e["values"].to_string(),
                e["score"].clone(),
            )
        })
        .collect();
    all.sort_by_key(|t| (t.0, t.1));
    all
}

/// Rank, trial, score and values of `leaderboard.csv`.
fn leaderboard(place: &Place, folder: &str) -> Vec<String> {
    let text = fs::read_to_string(place.path().join(folder).join("leaderboard.csv")).unwrap();
    let lines = text
        .lines()
        .map(|l| l.split(',').take(5).collect::<Vec<_>>().join(","));
    lines.collect()
}

const RANDOM: &str = "  width in [2, 4, 8]\n  rate in log(1e-3 .. 1e-1)\n  search random(trials = 3, seed = 3)\n  minimize val_loss";

#[test]
fn the_sweep_of_models_reproduces_its_best() {
    let place = Place::new();
    let file = format!("{}/models/pima_sweep.nn", env!("CARGO_MANIFEST_DIR"));
    let told = place.events(&format!(
        "sweep {file} --json --out w --epochs 2 --trials 3"
    ));
    let best = find(&told, "sweep")["best"].clone();
    let data = format!("{}/models", env!("CARGO_MANIFEST_DIR"));
    let again = place.events(&format!("run w/best.nn --data {data} --json --out again"));
    let last = again.iter().rfind(|e| e["event"] == "epoch").unwrap();
    assert_eq!(last["val_loss"].to_string(), best["score"].to_string());
}

#[test]
fn data_that_no_trial_can_read_end_the_sweep() {
    let place = place(RANDOM);
    fs::remove_file(place.path().join("toy.csv")).unwrap();
    let output = place.nnc("sweep toy.nn --out w --jobs 1");
    assert_eq!(output.status.code(), Some(3), "{}", out(&output));
    assert!(
        err(&output).contains("no trial can run"),
        "{}",
        err(&output)
    );
    assert!(!place.path().join("w/trials.jsonl").exists());
}

#[test]
fn the_best_program_comes_to_the_same_score() {
    let place = place(RANDOM);
    let told = place.events("sweep toy.nn --json --out w --jobs 2 --epochs 2");
    let last = find(&told, "sweep");
    assert_eq!((&last["trials"], &last["failed"]), (&3.into(), &0.into()));
    let best = &last["best"];
    let least = trainings(&told).into_iter().map(|t| t.3.as_f64().unwrap());
    assert_eq!(best["score"].as_f64(), least.reduce(f64::min));
    let again = place.events("run w/best.nn --data . --json --out again");
    let epochs: Vec<_> = again.iter().filter(|e| e["event"] == "epoch").collect();
    assert_eq!(epochs.len(), 2);
    assert_eq!(epochs[1]["val_loss"].to_string(), best["score"].to_string());
    // one line says how the sweep is run, and a run trains one configuration
    let plain = place.nnc("run toy.nn --out plain --epochs 1");
    assert!(
        out(&plain).contains("to search over width and rate:\n  nnc sweep toy.nn"),
        "{}",
        out(&plain)
    );
    let page = fs::read_to_string(place.path().join("w/report.html")).unwrap();
    for part in [
        "parallel coordinates",
        "importance",
        "val_loss",
        "Leaderboard",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for name in [
        "parallel",
        "history",
        "importance",
        "axis_width",
        "axis_rate",
    ] {
        assert!(
            place.path().join(format!("w/report/{name}.svg")).is_file(),
            "{name}"
        );
    }
    assert_eq!(leaderboard(&place, "w").len(), 4);
}

#[test]
fn neither_jobs_nor_a_later_number_of_trials_change_a_trial() {
    let lines = "  width in 2 .. 6\n  rate in 0.001 .. 0.1\n  \
                 search tpe(trials = 5, startup = 2, generation = 2)\n  maximize val_accuracy";
    let place = place(lines);
    let two = place.events("sweep toy.nn --json --out two --jobs 2 --epochs 1");
    assert_eq!(trainings(&two).len(), 5);
    let first = place.events("sweep toy.nn --json --out one --jobs 1 --epochs 1 --trials 3");
    let rest = place.events("sweep toy.nn --json --out one --jobs 1 --epochs 1 --resume");
    let one = [trainings(&first), trainings(&rest)].concat();
    assert_eq!(one, trainings(&two));
    let other = place.events("sweep toy.nn --json --out other --epochs 1 --trials 1 --seed 1");
    assert_ne!(trainings(&other)[0], one[0]);
}

#[test]
fn a_failing_trial_does_not_end_the_sweep() {
    // the second rate diverges
    let place = place("  rate in [0.01, 1e38]\n  width in [4, 6]\n  minimize val_loss");
    let output = place.nnc("sweep toy.nn --json --out w --epochs 2");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let told = events(&out(&output));
    let failed: Vec<&Value> = told.iter().filter(|e| e["failed"].is_string()).collect();
    assert_eq!(failed.len(), 2, "{told:#?}");
    for trial in failed {
        assert!(trial["values"]["rate"] == "1e38" && trial["score"].is_null());
        assert!(
            trial["failed"].as_str().unwrap().contains("E0951"),
            "{trial}"
        );
    }
    assert_eq!(find(&told, "sweep")["failed"], 2);
    let rows = leaderboard(&place, "w");
    assert!(
        rows[1].ends_with(",4") || rows[1].ends_with(",6"),
        "{rows:?}"
    );
    // those that failed come last, without a score
    assert!(
        rows[3].starts_with("3,") && rows[3].split(',').nth(2) == Some(""),
        "{rows:?}"
    );
    // where all fail there is no best
    let path = place.path().join("toy.nn");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("[0.01, 1e38]", "[1e37, 1e38]")).unwrap();
    let output = place.nnc("sweep toy.nn --out v --epochs 2");
    assert_eq!(output.status.code(), Some(3), "{}", out(&output));
    assert!(
        err(&output).contains("no trial finished with a score"),
        "{}",
        err(&output)
    );
}

/// Killed once so many trials are done, then gone on with.
#[test]
fn a_killed_sweep_goes_on_to_the_same_end() {
    let lines = "  width in [2, 4, 8]\n  rate in log(1e-3 .. 1e-1)\n  \
                 search halving(trials = 4, factor = 2, seed = 3)\n  minimize val_loss";
    let place = place(lines);
    let whole = place.events("sweep toy.nn --json --out whole --jobs 2 --epochs 4");
    // 4 trials for an epoch, 2 for two, 1 for four
    let rungs = |told: &[Value]| {
        let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
        trainings(told)
            .iter()
            .for_each(|t| *counts.entry(t.1).or_default() += 1);
        counts.into_values().collect::<Vec<_>>()
    };
    assert_eq!(rungs(&whole), [4, 2, 1]);
    // one of the second rung is done, another has begun
    let (folder, ends) = ("a", 5);
    let mut sweep = place
        .command(&format!(
            "sweep toy.nn --json --out {folder} --jobs 2 --epochs 4"
        ))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(sweep.stdout.take().unwrap()).lines();
    let done = lines
        .map_while(Result::ok)
        .filter(|l| l.contains("\"event\":\"trial\""));
    assert_eq!(done.take(ends).count(), ends);
    sweep.kill().unwrap();
    sweep.wait().unwrap();
    // as if the last line had been cut short
    let path = place.path().join(folder).join("trials.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text + "{\"trial\":3,\"ru").unwrap();
    let rest = place.events(&format!(
        "sweep toy.nn --json --out {folder} --jobs 1 --epochs 4 --resume"
    ));
    assert!(trainings(&rest).len() <= 7 - ends);
    assert_eq!(find(&rest, "sweep")["best"], find(&whole, "sweep")["best"]);
    assert_eq!(leaderboard(&place, folder), leaderboard(&place, "whole"));
    // the best of the whole: the same score in one run, straight through
    let best = find(&whole, "sweep")["best"].clone();
    let again = place.events("run whole/best.nn --data . --json --out again");
    let last = again.iter().rfind(|e| e["event"] == "epoch").unwrap();
    assert_eq!(last["val_loss"].to_string(), best["score"].to_string());
    // what has changed is named
    let path = place.path().join("toy.nn");
    let text = fs::read_to_string(&path).unwrap();
    let refused = |args: &str, changed: &str, named: &str| {
        fs::write(&path, changed).unwrap();
        let output = place.nnc(&format!("sweep toy.nn --out a --resume {args}"));
        assert_eq!(output.status.code(), Some(3), "{}", out(&output));
        assert!(err(&output).contains(named), "{}", err(&output));
        assert!(err(&output).contains("E0970"), "{}", err(&output));
    };
    refused(
        "--epochs 4",
        &text.replace("[2, 4, 8]", "[2, 4, 9]"),
        "its axis width was `[2, 4, 8]`",
    );
    refused(
        "--epochs 4",
        &text.replace("Dropout(0.1)", "Dropout(0.2)"),
        "the program changed",
    );
    refused("--epochs 5", &text, "its epochs was");
    let rows = place.path().join("toy.csv");
    let data = fs::read_to_string(&rows).unwrap();
    fs::write(&rows, data.replacen("0.", "0.1", 9)).unwrap();
    fs::remove_dir_all(place.path().join("a/trials/004")).unwrap();
    let kept = fs::read_to_string(place.path().join("a/trials.jsonl")).unwrap();
    let kept: String = kept.lines().take(1).map(|l| format!("{l}\n")).collect();
    fs::write(place.path().join("a/trials.jsonl"), kept).unwrap();
    refused("--epochs 4", &text, "the data changed");
}

#[test]
fn an_axis_may_change_what_is_read_of_the_data() {
    let place = place("  width in [4, 6]\n  minimize val_loss");
    let path = place.path().join("toy.nn");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replace("  seed       7\n", "  seed       width\n"),
    )
    .unwrap();
    let told = place.events("sweep toy.nn --json --out w --epochs 1");
    assert_eq!(find(&told, "sweep")["failed"], 0);
    let data = |i: usize| {
        told.iter()
            .filter(|e| e["event"] == "trial")
            .nth(i)
            .unwrap()["data"]
            .clone()
    };
    assert!(data(0).is_string() && data(0) != data(1));
}

#[test]
fn folds_are_judged_by_their_mean() {
    let lines = "  width in [2, 4]\n  rate in [0.1, 0.01]\n  \
                 search halving(trials = 2, factor = 2)\n  minimize val_loss";
    let place = place(lines);
    let path = place.path().join("toy.nn");
    let text = fs::read_to_string(&path).unwrap();
    let split = "split   { train 60%, val 20%, test 20% }";
    let folded = text.replace(split, "split   kfold(2) { test 20% }");
    assert_ne!(folded, text);
    fs::write(&path, folded).unwrap();
    let told = place.events("sweep toy.nn --json --out w --jobs 2 --epochs 4");
    let best = find(&told, "sweep")["best"].clone();
    assert_eq!(trainings(&told).len(), 3);
    let again = place.events("run w/best.nn --data . --json --out again");
    let mean = &find(&again, "folds")["mean"]["val_loss"];
    assert_eq!(mean.to_string(), best["score"].to_string());
}

#[test]
fn thirty_trials_take_no_more_memory_than_five() {
    let place = place("  rate in 0.001 .. 0.1\n  search latin(trials = 30)\n  minimize val_loss");
    let told = place.events("sweep toy.nn --json --out w --epochs 1 --jobs 2");
    let peaks: Vec<u64> = told
        .iter()
        .filter(|e| e["event"] == "trial")
        .filter_map(|e| e["peak_memory"].as_u64())
        .collect();
    assert!(peaks.is_empty() || peaks.len() == 30);
    if let (Some(early), Some(late)) = (peaks.get(4), peaks.get(29)) {
        assert!(*late <= early + (1 << 20), "{early} bytes, then {late}");
    }
}

#[cfg(unix)]
#[test]
fn a_sweep_that_is_asked_to_stop_says_how_to_go_on() {
    let place = place("  rate in 0.001 .. 0.1\n  search random(trials = 6)\n  minimize val_loss");
    let mut sweep = place
        .command("sweep toy.nn --json --out w --jobs 1 --epochs 2000")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(sweep.stdout.take().unwrap()).lines();
    let begun = |l: &std::io::Result<String>| l.as_ref().is_ok_and(|l| l.contains("trial_start"));
    assert!(lines.any(|l| begun(&l)));
    // once the trial has begun to write
    let began = std::time::Instant::now();
    while !place.path().join("w/trials/001/history.csv").exists() {
        assert!(began.elapsed().as_secs() < 60);
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let stopped = std::process::Command::new("kill")
        .args(["-TERM", &sweep.id().to_string()])
        .status()
        .unwrap();
    assert!(stopped.success());
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    let output = sweep.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", err(&output));
    assert!(
        err(&output).contains("nnc sweep toy.nn --epochs 2000 --jobs 1 --resume w"),
        "{}",
        err(&output)
    );
    assert!(
        rest.iter()
            .any(|l| l.contains("\"stopped\":\"interrupted\"")),
        "{rest:?}"
    );
    assert!(
        place
            .path()
            .join("w/trials/001/weights.safetensors")
            .is_file()
    );
}

#[test]
fn wrong_use_is_told() {
    let place = place(RANDOM);
    fs::write(place.path().join("plain.nn"), PROGRAM).unwrap();
    let cases = [
        ("sweep plain.nn", 2, "has no `sweep` block"),
        (
            "sweep toy.nn --set width=3",
            2,
            "`width` is varied by the sweep",
        ),
        ("sweep toy.nn --trials 0", 2, "0"),
        ("sweep toy.nn --jobs 0", 2, "0"),
        ("sweep toy.nn --resume", 2, "there is no sweep of `toy`"),
        (
            "sweep toy.nn --out . --resume",
            2,
            "does not hold a sweep to resume",
        ),
    ];
    for (args, code, said) in cases {
        let output = place.nnc(args);
        assert_eq!(output.status.code(), Some(code), "{args}: {}", err(&output));
        assert!(err(&output).contains(said), "{args}: {}", err(&output));
    }
    place.events("sweep toy.nn --json --out w --trials 1 --epochs 1");
    let again = place.nnc("sweep toy.nn --out w --trials 1 --epochs 1");
    assert!(
        err(&again).contains("already holds a sweep"),
        "{}",
        err(&again)
    );
}

/// A sweep over two numbers of [0, 1].
fn smooth(method: Method) -> SweepSpec {
    let axis = |name: &str| Axis {
        name: name.into(),
        values: Values::Real {
            from: 0.0,
            to: 1.0,
            log: false,
        },
        of_data: false,
    };
    SweepSpec {
        model: "M".into(),
        axes: vec![axis("a"), axis("b")],
        search: Search { method, seed: None },
        goal: Goal {
            name: "loss".into(),
            better: Better::Less,
        },
        span: Span::default(),
    }
}

/// The least of a smooth function that a search comes to.
fn least(method: Method, seed: u64) -> f64 {
    let mut plan = Plan::new(&smooth(method), seed, 1, None).unwrap();
    let mut done = Results::new();
    let mut least = f64::INFINITY;
    loop {
        let ready = plan.ready(&done);
        if ready.is_empty() {
            return least;
        }
        for work in ready {
            let at: Vec<f64> = plan.trials()[work.trial]
                .values
                .iter()
                .map(|v| v.parse().unwrap())
                .collect();
            let loss = (at[0] - 0.3).powi(2) + (at[1] - 0.8).powi(2);
            least = least.min(loss);
            let score = Some(loss);
            done.insert(
                (work.trial, 0),
                Done {
                    score,
                    ended: false,
                },
            );
        }
    }
}

#[test]
fn tpe_beats_chance_on_a_smooth_function() {
    let tpe = |trials| {
        Method::Tpe(Tpe {
            trials,
            startup: 10,
            generation: 4,
            candidates: 24,
            gamma: 0.1,
        })
    };
    let mean = |method: &dyn Fn(usize) -> Method| {
        (0..20).map(|seed| least(method(50), seed)).sum::<f64>() / 20.0
    };
    let (by_tpe, by_chance) = (mean(&tpe), mean(&|trials| Method::Random { trials }));
    assert!(by_tpe < by_chance * 0.5, "{by_tpe} {by_chance}");
}

#[test]
fn a_small_space_is_tried_once() {
    let mut spec = smooth(Method::Random { trials: 20 });
    for (axis, n) in spec.axes.iter_mut().zip([3, 4]) {
        axis.values = Values::Whole {
            from: 1,
            to: n,
            log: false,
        };
    }
    let plan = Plan::new(&spec, 5, 1, None).unwrap();
    assert!(plan.is_exhaustive());
    let mut all: Vec<&Vec<String>> = plan.trials().iter().map(|t| &t.values).collect();
    all.sort();
    all.dedup();
    assert_eq!((plan.planned(), all.len()), (12, 12));
}

#[test]
fn halving_promotes_the_best_and_none_that_failed() {
    let method = Method::Halving {
        trials: 6,
        factor: 2,
        least: 1,
    };
    let mut plan = Plan::new(&smooth(method), 0, 4, None).unwrap();
    let mut done = Results::new();
    let scores = [Some(3.0), None, Some(1.0), Some(2.0), None, Some(1.0)];
    let work = |plan: &mut Plan, done: &Results| {
        let ready = plan.ready(done).into_iter();
        ready
            .map(|w| (w.trial, w.rung, w.epochs))
            .collect::<Vec<_>>()
    };
    assert_eq!(work(&mut plan, &done).len(), 6);
    for (trial, score) in scores.into_iter().enumerate() {
        let early = work(&mut plan, &done);
        assert!(early.iter().all(|w| w.1 == 0), "{early:?}");
        done.insert(
            (trial, 0),
            Done {
                score,
                ended: false,
            },
        );
    }
    // of equals the earlier first
    assert_eq!(work(&mut plan, &done), [(2, 1, 2), (3, 1, 2), (5, 1, 2)]);
    for (trial, score) in [(2, 9.0), (3, 8.0), (5, 8.0)] {
        let score = Some(score);
        done.insert(
            (trial, 1),
            Done {
                score,
                ended: false,
            },
        );
    }
    assert_eq!(work(&mut plan, &done), [(3, 2, 4)]);
}
