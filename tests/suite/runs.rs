//! What a run does besides training: callbacks at work, its folder, going on.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::{PROGRAM, Place, err, events, find, kinds, out};

/// A folder with `toy.nn`, whose train block holds these lines too.
pub(crate) fn place(lines: &str) -> Place {
    let place = Place::new();
    let text = PROGRAM.replace("  epochs     3\n", lines);
    assert_ne!(text, PROGRAM);
    fs::write(place.path().join("toy.nn"), text).unwrap();
    place
}

const WATCHED: &str = r#"
  epochs     30
  callbacks {
    ReduceLROnPlateau(monitor = val_loss, factor = 0.5, patience = 1, min_delta = 0.02)
    EarlyStopping(monitor = val_loss, patience = 3, min_delta = 0.01, restore_best_weights = true)
    ModelCheckpoint("saved/{epoch:02d}.safetensors", save_best_only = true)
    ModelCheckpoint("each.safetensors", save_freq = 3, save_weights_only = true)
    CSVLogger("log.csv")
  }
"#;

#[test]
fn callbacks_act_on_a_run() {
    let place = place(WATCHED);
    let told = place.events("run toy.nn --json --out w");
    let saved = find(&told, "saved");
    assert_eq!(saved["stopped"], "EarlyStopping");
    let epochs: Vec<_> = told.iter().filter(|e| e["event"] == "epoch").collect();
    let last = epochs.len();
    assert!(last < 30, "{last}");
    let acted = |name: &str| {
        let all = told.iter().filter(|e| e["callback"] == name);
        all.map(|e| e["message"].as_str().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        acted("EarlyStopping").len(),
        2,
        "{:?}",
        acted("EarlyStopping")
    );
    let lowered = acted("ReduceLROnPlateau");
    assert!(lowered[0].contains("from 0.01 to 0.005"), "{lowered:?}");
    // the weights that came back are those of the epoch that was best by more than 0.01
    let best = acted("EarlyStopping")[1]
        .rsplit(' ')
        .next()
        .unwrap()
        .to_owned();
    let val = place.events("evaluate toy.nn --weights w/weights.safetensors --json --part val");
    let expected = &epochs[best.parse::<usize>().unwrap() - 1]["val_loss"];
    assert_eq!(&find(&val, "val")["loss"], expected);
    // the least loss so far is always saved
    let least = (0..last).fold(0, |b, i| {
        let loss = |i: usize| epochs[i]["val_loss"].as_f64().unwrap() as f32;
        if loss(i) < loss(b) { i } else { b }
    });
    let name = format!("w/saved/{:02}.safetensors", least + 1);
    let val = place.events(&format!(
        "evaluate toy.nn --weights {name} --json --part val"
    ));
    assert_eq!(find(&val, "val")["loss"], epochs[least]["val_loss"]);
    place.events("evaluate toy.nn --weights w/each.safetensors --json");
    let log = fs::read_to_string(place.path().join("w/log.csv")).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(
        lines[0],
        "epoch,accuracy,learning_rate,loss,val_accuracy,val_loss"
    );
    assert_eq!(lines.len(), last + 1);
    assert!(lines[1].starts_with("0,"), "{log}");
}

#[test]
fn a_run_with_callbacks_goes_on_to_the_same_bits() {
    let place = place(&WATCHED.replace("patience = 3, min_delta = 0.01", "patience = 9"));
    place.events("run toy.nn --json --quiet --epochs 8 --out whole");
    // 4 steps an epoch: in the midst of the sixth, and at the end of the third
    for (steps, folder) in [(22, "a"), (12, "b")] {
        place.events(&format!(
            "run toy.nn --json --quiet --epochs 8 --limit-steps {steps} --out {folder}"
        ));
        place.events(&format!(
            "run toy.nn --json --quiet --epochs 8 --out {folder} --resume {folder}/weights.safetensors"
        ));
        let read =
            |folder: &str, name: &str| fs::read(place.path().join(folder).join(name)).unwrap();
        for name in ["log.csv", "each.safetensors"] {
            assert!(read(folder, name) == read("whole", name), "{steps}: {name}");
        }
        // all but the wall time
        let history = |folder: &str| {
            let text = String::from_utf8(read(folder, "history.csv")).unwrap();
            let lines = text
                .lines()
                .map(|l| l.rsplit_once(',').unwrap().0.to_owned());
            lines.collect::<Vec<_>>()
        };
        assert_eq!(history(folder), history("whole"));
        let loss = |folder: &str| {
            let w = format!("evaluate toy.nn --json --weights {folder}/weights.safetensors");
            find(&place.events(&w), "test")["loss"].clone()
        };
        assert_eq!(loss(folder), loss("whole"));
    }
}

#[test]
fn a_loss_that_is_no_number_ends_as_the_file_says() {
    let place = place("  epochs 3\n  callbacks { TerminateOnNaN }\n");
    let told = place.events("run toy.nn --json --out w --set rate=1e38 --set width=64");
    assert_eq!(find(&told, "saved")["stopped"], "TerminateOnNaN");
    assert_eq!(kinds(&told).iter().filter(|k| **k == "epoch").count(), 1);
    let path = place.path().join("toy.nn");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replace("TerminateOnNaN", "TerminateOnNaN(raise_error = true)"),
    )
    .unwrap();
    let output = place.nnc("run toy.nn --out v --set rate=1e38 --set width=64");
    assert_eq!(output.status.code(), Some(3), "{}", out(&output));
    assert!(err(&output).contains("E0951"), "{}", err(&output));
}

/// A Python that has `module`, or nothing, said where a test's output is not caught.
fn python_with(module: &str) -> Option<String> {
    let asked = std::env::var("NNC_PEER_PYTHON").ok();
    let places = asked.into_iter().chain(
        ["/tmp/peers/tensorboard/bin/python", "python3"]
            .into_iter()
            .map(str::to_owned),
    );
    let has = |python: &String| {
        let run = Command::new(python)
            .args(["-c", &format!("import {module}")])
            .output();
        run.is_ok_and(|o| o.status.success())
    };
    let found = places.into_iter().find(has);
    if found.is_none() {
        let text = format!("\nSKIPPED: no Python with {module}; set NNC_PEER_PYTHON\n");
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
    found
}

const BOARD: &str = r#"
  epochs 5
  callbacks {
    TensorBoard("logs", histogram_freq = 2, write_images = true, update_freq = 2, write_steps_per_second = true)
  }
"#;

#[test]
fn tensorboard_reads_what_its_callback_writes() {
    let Some(python) = python_with("tensorboard") else {
        return;
    };
    let place = place(BOARD);
    let told = place.events("run toy.nn --json --limit-steps 14 --out w");
    let more = place.events("run toy.nn --json --out w --resume w/weights.safetensors");
    let read = Command::new(python)
        .arg("tests/fixtures/read_events.py")
        .arg(place.path().join("w/logs"))
        .output()
        .unwrap();
    assert!(read.status.success(), "{}", err(&read));
    let found: Value = serde_json::from_str(&out(&read)).unwrap();
    let tags = |run: &str| {
        let all = found[run].as_object().unwrap().keys();
        all.cloned().collect::<Vec<_>>()
    };
    let mut train = vec![
        "__run_graph__",
        "batch_accuracy",
        "batch_loss",
        "batch_steps_per_second",
        "dense/bias/histogram",
        "dense/bias/image",
        "dense/kernel/histogram",
        "dense/kernel/image",
        "dense_1/bias/histogram",
        "dense_1/kernel/histogram",
        "dense_1/kernel/image",
        "epoch_accuracy",
        "epoch_learning_rate",
        "epoch_loss",
        "epoch_steps_per_second",
    ];
    let mut tags_of_train = tags("train");
    tags_of_train.sort();
    train.sort_unstable();
    assert_eq!(tags_of_train, train);
    let mut val = tags("validation");
    val.sort();
    assert_eq!(
        val,
        [
            "epoch_accuracy",
            "epoch_loss",
            "evaluation_accuracy_vs_iterations",
            "evaluation_loss_vs_iterations"
        ]
    );
    let steps = |run: &str, tag: &str| {
        let all = found[run][tag]["events"].as_array().unwrap().iter();
        all.map(|e| e[0].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(steps("train", "epoch_loss"), [0, 1, 2, 3, 4]);
    assert_eq!(
        steps("train", "batch_loss"),
        (1..=10).map(|i| 2 * i).collect::<Vec<_>>()
    );
    assert_eq!(steps("train", "dense/kernel/histogram"), [0, 2, 4]);
    assert_eq!(
        steps("validation", "evaluation_loss_vs_iterations"),
        [4, 8, 12, 16, 20]
    );
    // an epoch that was told as it was cut short is told again: the last counts
    let epochs = told.iter().chain(&more).filter(|e| e["event"] == "epoch");
    let mut last = [0.0; 5];
    for e in epochs {
        last[e["epoch"].as_u64().unwrap() as usize - 1] = e["val_loss"].as_f64().unwrap();
    }
    for (i, expected) in last.iter().enumerate() {
        let value = found["validation"]["epoch_loss"]["events"][i][1]
            .as_f64()
            .unwrap();
        assert_eq!(value as f32, *expected as f32);
    }
    let histogram = &found["train"]["dense/kernel/histogram"];
    assert_eq!(histogram["plugin"], "histograms");
    let rows = histogram["events"][0][1].as_array().unwrap();
    let count: f64 = rows.iter().map(|r| r[2].as_f64().unwrap()).sum();
    assert_eq!((rows.len(), count), (30, 12.0));
    assert_eq!(found["train"]["epoch_loss"]["plugin"], "scalars");
    // a kernel of two inputs and six units, lying; a bias as a column
    for (tag, width, height) in [
        ("dense/kernel/image", 6, 2),
        ("dense/bias/image", 1, 6),
        ("dense_1/kernel/image", 1, 6),
    ] {
        let image = &found["train"][tag];
        assert_eq!(image["plugin"], "images");
        assert_eq!(steps("train", tag), [0, 2, 4]);
        let expected = json!([width, height, [[width, height]]]);
        assert_eq!(image["events"][0][1], expected, "{tag}");
    }
    graph_is_the_models(&found["train"]["__run_graph__"]);
}

/// Nodes lie in their layers, and each input is a node that came before.
fn graph_is_the_models(graph: &Value) {
    assert_eq!(graph["plugin"], "graphs");
    let events = graph["events"].as_array().unwrap();
    assert_eq!(
        events.len(),
        1,
        "a run that goes on does not write it again"
    );
    let nodes = events[0][1].as_array().unwrap();
    let mut seen = Vec::new();
    for node in nodes {
        for input in node["input"].as_array().unwrap() {
            let name = input.as_str().unwrap().split(':').next().unwrap();
            assert!(seen.contains(&name), "{name} before {node}");
        }
        let name = node["name"].as_str().unwrap();
        assert!(!seen.contains(&name), "{name} twice");
        seen.push(name);
    }
    let find = |name: &str| nodes.iter().find(|n| n["name"] == name).unwrap();
    assert_eq!(find("x")["op"], "Placeholder");
    assert_eq!(find("x")["shapes"], json!([[-1, 2]]));
    assert_eq!(find("dense/kernel")["op"], "Variable");
    assert_eq!(find("dense_1/dot")["shapes"], json!([[-1, 1]]));
    let product = &find("dense/dot")["input"];
    assert_eq!(product, &json!(["x", "dense/kernel"]));
}

#[test]
fn a_schedules_rate_is_told_to_tensorboard() {
    let Some(python) = python_with("tensorboard") else {
        return;
    };
    let place = place("  epochs 3\n  callbacks { TensorBoard }\n");
    let path = place.path().join("toy.nn");
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replace("lr = rate", "lr = exponential_decay(rate, 4, 0.5)");
    fs::write(&path, text).unwrap();
    place.events("run toy.nn --json --out w");
    let read = Command::new(python)
        .arg("tests/fixtures/read_events.py")
        .arg(place.path().join("w/logs"))
        .output()
        .unwrap();
    let found: Value = serde_json::from_str(&out(&read)).unwrap();
    // 4 steps an epoch
    for (i, expected) in [0.005, 0.0025, 0.00125].into_iter().enumerate() {
        let rate = found["train"]["epoch_learning_rate"]["events"][i][1]
            .as_f64()
            .unwrap();
        assert!((rate / expected - 1.0).abs() < 1e-6, "{rate} {expected}");
    }
}

/// What may not depend on how often a run was stopped: all but the wall times.
fn results(place: &Place, folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = place.path().join(folder);
    let mut found = Vec::new();
    for name in ["weights.safetensors", "log.csv", "each.safetensors"] {
        if let Ok(bytes) = fs::read(folder.join(name)) {
            found.push((name.to_owned(), bytes));
        }
    }
    let history = fs::read_to_string(folder.join("history.csv")).unwrap();
    for line in history.lines() {
        let (values, _) = line.rsplit_once(',').unwrap();
        found.push((values.to_owned(), Vec::new()));
    }
    found
}

const LONG: &str = r#"
  epochs     60
  callbacks {
    ReduceLROnPlateau(monitor = val_loss, factor = 0.9, patience = 1, min_delta = 0.02)
    EarlyStopping(monitor = val_loss, patience = 140, restore_best_weights = true)
    CSVLogger("log.csv")
    BackupAndRestore(save_freq = 3)
  }
"#;

/// `NNC_KILLS` sets how many (tests/kills.sh: a hundred); a tenth of them hits a save.
#[test]
fn a_run_that_is_killed_goes_on_to_the_same_bits() {
    let kills: usize = std::env::var("NNC_KILLS").map_or(5, |n| n.parse().unwrap());
    let in_saves = kills.div_ceil(10);
    let place = place(LONG);
    place.events("run toy.nn --json --quiet --out whole --set width=160");
    let expected = results(&place, "whole");
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let (mut killed, mut saving, mut rounds) = (0, 0, 0);
    while killed < kills || saving < in_saves {
        assert!(
            rounds < 20 * kills + 50,
            "{killed} killed, {saving} in a save"
        );
        rounds += 1;
        let folder = format!("cut{rounds}");
        let states = place.path().join(&folder).join("checkpoints");
        let run = format!("run toy.nn --json --quiet --set width=160 --out {folder}");
        let mut resumed = String::new();
        loop {
            let mut child = place.command(&format!("{run}{resumed}"));
            let mut child = child
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let unfinished = || {
                let entries = fs::read_dir(&states).into_iter().flatten().flatten();
                let mut names = entries.map(|e| e.file_name());
                names.any(|n| n.to_string_lossy().starts_with(".nnc-"))
            };
            if saving < in_saves {
                while !unfinished() && child.try_wait().unwrap().is_none() {}
            } else {
                std::thread::sleep(Duration::from_millis(random % 200));
            }
            child.kill().unwrap();
            if child.wait().unwrap().code().is_some() {
                // it had come to its end
                break;
            }
            killed += 1;
            saving += usize::from(unfinished());
            let begun = fs::read_dir(&states).is_ok_and(|mut d| {
                d.any(|e| {
                    let name = e.unwrap().file_name();
                    !name.to_string_lossy().starts_with('.')
                })
            });
            if begun {
                resumed = format!(" --resume {folder}");
            } else if resumed.is_empty() {
                let _ = fs::remove_dir_all(place.path().join(&folder));
            }
            if killed >= kills && saving >= in_saves {
                place.events(&format!("{run}{resumed}"));
                break;
            }
        }
        if place
            .path()
            .join(&folder)
            .join("weights.safetensors")
            .exists()
        {
            assert!(results(&place, &folder) == expected, "{folder}");
            let left = place.files();
            let left = left.iter().map(|(p, _)| p.display().to_string());
            let left: Vec<String> = left
                .filter(|p| p.contains(&folder) && p.contains("/.nnc-"))
                .collect();
            assert!(left.is_empty(), "{left:?}");
        }
        let _ = fs::remove_dir_all(place.path().join(&folder));
    }
}

#[test]
fn sigterm_saves_as_ctrl_c_does() {
    let place = Place::new();
    let mut child = place
        .command("run toy.nn --json --epochs 1000000 --out cut")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
    while !told.next().unwrap().unwrap().contains(r#""event":"epoch""#) {}
    // SAFETY: a signal to a child of ours that has not been waited for.
    assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGTERM) }, 0);
    told.for_each(drop);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(place.path().join("cut/weights.safetensors").is_file());
    assert!(!place.path().join("cut/checkpoints").exists());
}

#[test]
fn a_changed_program_or_other_data_are_named() {
    let place = place(&WATCHED.replace("patience = 3, min_delta = 0.01", "patience = 30"));
    place.events("run toy.nn --json --quiet --limit-steps 6 --out cut");
    let refused = |told: &str| {
        let output = place.nnc("run toy.nn --resume cut");
        assert_eq!(output.status.code(), Some(3), "{}", out(&output));
        assert!(err(&output).contains(told), "{}", err(&output));
    };
    let (program, rows) = (place.path().join("toy.nn"), place.path().join("toy.csv"));
    let (text, table) = (
        fs::read_to_string(&program).unwrap(),
        fs::read_to_string(&rows).unwrap(),
    );
    fs::write(&program, text.replace("Dropout(0.1)", "Dropout(0.2)")).unwrap();
    refused("was `x |> Dense(width, relu) |> Dropout(0.1) |> Dense(1, sigmoid)`, but is now");
    fs::write(&program, text.replace("patience = 30", "patience = 31")).unwrap();
    refused("patience = 31");
    fs::write(&program, format!("# only a comment\n{text}")).unwrap();
    fs::write(&rows, table.replacen("-1.000", "-0.999", 1)).unwrap();
    refused("the data changed (column `x`)");
    fs::write(&rows, table).unwrap();
    place.events("run toy.nn --json --quiet --resume cut --limit-steps 2");
}

#[test]
fn two_runs_never_mix() {
    let place = Place::new();
    place.events("run toy.nn --json --quiet --out w");
    let before = place.files();
    let output = place.nnc("run toy.nn --out w");
    assert_eq!(output.status.code(), Some(3));
    assert!(err(&output).contains("E0959"), "{}", err(&output));
    let done = place.nnc("run toy.nn --resume w");
    assert_eq!(done.status.code(), Some(2));
    assert!(err(&done).contains("--epochs 6"), "{}", err(&done));
    assert_eq!(place.files(), before);
    // one that is going on is not gone on with
    let mut child = place
        .command("run toy.nn --json --epochs 1000000 --out x")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
    while !told.next().unwrap().unwrap().contains(r#""event":"epoch""#) {}
    let output = place.nnc("run toy.nn --epochs 1000000 --resume x");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        err(&output).contains("is in use by another run"),
        "{}",
        err(&output)
    );
}

#[test]
fn a_damaged_state_is_set_aside_for_the_one_before() {
    let place = place(
        "  epochs 9\n  callbacks { BackupAndRestore(double_checkpoint = true, delete_checkpoint = false) }\n",
    );
    place.events("run toy.nn --json --quiet --out whole");
    place.events("run toy.nn --json --quiet --limit-steps 20 --out cut");
    let states = place.path().join("cut/checkpoints");
    let names = || {
        let mut all: Vec<_> = fs::read_dir(&states)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        all.sort();
        all
    };
    assert_eq!(names().len(), 2);
    fs::remove_file(place.path().join("cut/weights.safetensors")).unwrap();
    let mut bytes = fs::read(&names()[1]).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&names()[1], bytes).unwrap();
    let output = place.nnc("run toy.nn --json --resume cut");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(err(&output).contains("is corrupt"), "{}", err(&output));
    assert!(results(&place, "cut") == results(&place, "whole"));
}

#[test]
#[cfg(unix)]
fn a_full_disk_leaves_the_last_good_state() {
    let place = place("  epochs 40\n  callbacks { BackupAndRestore }\n");
    place.events("run toy.nn --json --quiet --out whole");
    // history.csv outgrows what the system lets a file have; the states do not
    let script = format!(
        "trap '' XFSZ; ulimit -f 5; exec '{}' run toy.nn --json --quiet --out cut",
        env!("CARGO_BIN_EXE_nnc")
    );
    let output = Command::new("bash")
        .current_dir(place.path())
        .args(["-c", &script])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", err(&output));
    assert!(err(&output).contains("--resume cut"), "{}", err(&output));
    place.events("run toy.nn --json --quiet --resume cut");
    assert!(results(&place, "cut") == results(&place, "whole"));
}

#[test]
fn the_program_as_it_was_run_makes_the_same_run_again() {
    let place = Place::new();
    place.events("run toy.nn --json --quiet --set width=9 --epochs 2 --seed 3 --out a");
    place.events("run a/program.nn --json --quiet --data . --out b");
    let read = |f: &str| fs::read(place.path().join(f)).unwrap();
    assert!(read("a/weights.safetensors") == read("b/weights.safetensors"));
    let lock: Value = serde_json::from_slice(&read("a/lock.json")).unwrap();
    assert_eq!(
        (&lock["seed"], &lock["set"]["width"]),
        (&3.into(), &"9".into())
    );
    assert!(lock["data"]["column `x`"].is_string(), "{lock}");
}

/// Where the first number that is not finite came from, as it is told.
fn traced(change: &[(&str, &str)], args: &str) -> Value {
    let place = Place::new();
    let path = place.path().join("toy.nn");
    let mut text = fs::read_to_string(&path).unwrap();
    for (from, to) in change {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    fs::write(&path, &text).unwrap();
    let output = place.nnc(&format!("run toy.nn --json --out w {args}"));
    assert_eq!(output.status.code(), Some(3), "{}", err(&output));
    assert!(!err(&output).contains("internal"), "{}", err(&output));
    let told = events(&out(&output));
    let mut error = find(&told, "error").clone();
    let line = error["line"]
        .as_u64()
        .map(|n| text.lines().nth(n as usize - 1).unwrap());
    error["text"] = line.unwrap_or_default().into();
    assert!(!place.path().join("w").join("weights.safetensors").exists());
    error
}

#[test]
fn a_number_that_is_not_finite_is_traced_to_its_line() {
    let loss = "loss mine(p: prob[..], y: class[2][..]) -> [..] {\n  q = cast(y, real)\n  LOSS\n}\nmodel Toy";
    let with = |body: &str| {
        let loss = loss.replace("LOSS", body);
        traced(&[("model Toy", &loss), ("binary_crossentropy", "mine")], "")
    };
    // 0 rows of class 1 in some batch: the count of a batch never is, so of a product
    let log = with("(p - q)^2 + 0 * log(relu(q - 0.5))");
    assert_eq!(log["text"], "  (p - q)^2 + 0 * log(relu(q - 0.5))");
    assert!(
        log["labels"][0]
            .as_str()
            .unwrap()
            .starts_with("`log` returns -inf in step 1"),
        "{log}"
    );
    assert!(
        log["help"].as_str().unwrap().contains("logarithm of 0"),
        "{log}"
    );
    let div = with("(p - q)^2 / q");
    assert!(
        div["help"].as_str().unwrap().contains("division by 0"),
        "{div}"
    );
    assert_eq!(
        (&div["code"], &div["text"]),
        (&"E0951".into(), &"  (p - q)^2 / q".into())
    );
    // the loss is finite; its gradient is not, and so the weights of the next step
    let root = with("(p - q)^2 + sqrt(relu(q - p) * 0)");
    assert_eq!(root["text"], "  (p - q)^2 + sqrt(relu(q - p) * 0)");
    assert!(
        root["labels"][0]
            .as_str()
            .unwrap()
            .contains("in its gradient"),
        "{root}"
    );
    assert!(
        root["labels"][0].as_str().unwrap().contains("in step 1 "),
        "{root}"
    );
}

#[test]
fn a_run_that_grows_without_bound_is_traced_to_the_step_where_it_does() {
    let grown = traced(&[], "--set rate=1e38 --set width=64");
    assert_eq!(grown["code"], "E0951");
    assert!(
        grown["help"].as_str().unwrap().contains("learning rate"),
        "{grown}"
    );
    // after states have been saved: from the last of them
    let late = traced(
        &[
            ("lr = rate", "lr = late"),
            ("  epochs     3", "  epochs     9"),
            (
                "model Toy",
                "schedule late { select(step > 21, 1e38, 0.01) }\nmodel Toy",
            ),
        ],
        "",
    );
    let label = late["labels"][0].as_str().unwrap_or_default().to_owned();
    assert!(label.contains("in step 2"), "{late}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_batch_that_does_not_fit_is_refused_before_the_first_step() {
    let place = Place::new();
    let mut rows = String::from("a,b,y\n");
    rows += &"0.5,-0.5,1\n0.1,0.2,0\n".repeat(4000);
    fs::write(place.path().join("toy.csv"), rows).unwrap();
    // what checking and compiling take, and 100 MB
    let run = |batch: usize| {
        let script = format!(
            "ulimit -v 1000000; exec '{}' run toy.nn --threads 1 --limit-steps 1 --set width=30000 --batch {batch}",
            env!("CARGO_BIN_EXE_nnc")
        );
        let mut command = Command::new("bash");
        command
            .current_dir(place.path())
            .args(["-c", &script])
            .output()
            .unwrap()
    };
    let output = run(4000);
    assert_eq!(output.status.code(), Some(3), "{}", err(&output));
    let text = err(&output);
    assert!(text.contains("E0960"), "{text}");
    let fits = text.split("--batch ").nth(1).unwrap();
    let fits: usize = fits.split_whitespace().next().unwrap().parse().unwrap();
    assert!((1..4000).contains(&fits));
    assert!(!place.path().join("runs").exists());
    let output = run(fits);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
}

#[test]
fn runs_are_listed_and_compared() {
    let place = Place::new();
    place.events("run toy.nn --json --quiet");
    place.events("run toy.nn --json --quiet --set width=9 --seed 3 --limit-steps 5");
    let told = place.events("runs --json");
    let of = |key: &str| told.iter().map(|e| e[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("folder"), ["runs/toy-1", "runs/toy-2"]);
    assert_eq!(of("state"), ["done", "stopped"]);
    assert_eq!(told[1]["set"]["width"], "9");
    for key in ["loss", "val_loss", "test loss", "test accuracy"] {
        assert!(told[0]["values"][key].is_number(), "{}", told[0]);
    }
    let list = out(&place.nnc("runs"));
    assert!(
        list.contains("val_accuracy") && list.contains("seed=3 width=9"),
        "{list}"
    );
    let both = out(&place.nnc("runs runs/toy-1 runs/toy-2"));
    let line = |name: &str| {
        let mut lines = both.lines();
        lines
            .find(|l| l.trim().starts_with(name))
            .unwrap_or_default()
    };
    for (name, a, b) in [
        ("seed", "7", "3"),
        ("program", "const width = 6", "const width = 9"),
    ] {
        assert!(line(name).contains(a) && line(name).contains(b), "{both}");
    }
    // what is the same is not shown
    assert_eq!(line("batch"), "", "{both}");
    assert_eq!(place.nnc("runs nowhere").status.code(), Some(2));
}
