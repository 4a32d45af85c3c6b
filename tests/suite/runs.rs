//! What a run does besides training: callbacks at work, its folder, going on.

use std::fs;

use crate::cli::{PROGRAM, Place, err, find, kinds, out};

/// A folder with `toy.nn`, whose train block holds these lines too.
fn place(lines: &str) -> Place {
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
