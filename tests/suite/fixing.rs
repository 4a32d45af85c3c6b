//! `nnc check --fix`, `nnc fmt` and the commands that nnc proposes, by running it.

use std::fs;

use crate::cli::{Place, err, out};

/// Mistakes whose fix is certain, and one that is only a guess.
const WRONG: &str = "\
data d {
  source  csv(\"toy.csv\")
  column  x : [2] = a .. b
  column  y : class[2]
  input   x : [2]
  target  y : class[2]
}

model Net(x: [2]) -> prob[2] {
  x |> dense(4, \"relu\") |> Dense(2, softmax)
}

train Net on d {
  loss        sparse_categorical_crossentropy
  optimizer   \"adam\"
  metrics     [accuracy]
  batch_size  16
}
";

#[test]
fn check_applies_the_fixes_that_are_certain() {
    let place = Place::new();
    let file = place.path().join("wrong.nn");
    fs::write(&file, WRONG).unwrap();
    let shown = place.nnc("check wrong.nn");
    assert_eq!(shown.status.code(), Some(1));
    assert_eq!(fs::read_to_string(&file).unwrap(), WRONG);
    let fixed = place.nnc("check wrong.nn --fix");
    assert_eq!(fixed.status.code(), Some(0), "{}", err(&fixed));
    assert!(err(&fixed).contains("fixed 5 mistakes"), "{}", err(&fixed));
    let text = fs::read_to_string(&file).unwrap();
    let lines = [
        "  x |> Dense(4, relu) |> Dense(2, softmax)",
        "  optimizer   Adam",
        "  metrics     accuracy",
        "  batch  16",
    ];
    for line in lines {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
    let again = place.nnc("check wrong.nn --fix");
    assert!(err(&again).contains("fixed 0 mistakes"), "{}", err(&again));
}

#[test]
fn guesses_are_shown_and_not_applied() {
    let place = Place::new();
    let text = WRONG
        .replace("dense(4, \"relu\")", "Densse2(4, relu)")
        .replace("\"adam\"", "Adam")
        .replace("[accuracy]", "accuracy")
        .replace("batch_size", "batch");
    let file = place.path().join("wrong.nn");
    fs::write(&file, &text).unwrap();
    let output = place.nnc("check wrong.nn --fix");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
#[cfg(unix)]
fn fmt_keeps_permissions_and_links() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let file = place.path().join("a.nn");
    fs::write(&file, "const   a=1\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("a.nn", place.path().join("link.nn")).unwrap();
    assert_eq!(place.nnc("fmt link.nn").status.code(), Some(0));
    assert_eq!(fs::read_to_string(&file).unwrap(), "const a = 1\n");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    let link = fs::symlink_metadata(place.path().join("link.nn")).unwrap();
    assert!(link.file_type().is_symlink());
}

#[test]
fn a_run_without_a_checkpoint_is_resumed_from_the_beginning() {
    let place = Place::new();
    place.events("run toy.nn --json --quiet --out whole");
    // killed before its first checkpoint
    fs::create_dir(place.path().join("killed")).unwrap();
    fs::write(place.path().join("killed/lock.json"), "{}").unwrap();
    let output = place.nnc("run toy.nn --quiet --out killed --resume");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(
        err(&output).contains("holds no checkpoint yet"),
        "{}",
        err(&output)
    );
    let weights = |folder: &str| fs::read(place.path().join(folder).join("weights.safetensors"));
    assert!(weights("killed").unwrap() == weights("whole").unwrap());
    let lock = fs::read_to_string(place.path().join("killed/lock.json")).unwrap();
    assert!(lock.contains("\"epochs\""), "{lock}");
    // and where there is no folder yet
    let output = place.nnc("run toy.nn --quiet --out new --resume");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(weights("new").unwrap() == weights("whole").unwrap());
    // a folder that --resume names must hold a run
    let output = place.nnc("run toy.nn --resume nowhere");
    assert_eq!(output.status.code(), Some(2), "{}", err(&output));
    assert!(
        err(&output).contains("there is no run in nowhere"),
        "{}",
        err(&output)
    );
    assert!(!place.path().join("nowhere").exists());
}

#[test]
#[cfg(unix)]
fn the_proposed_command_continues_the_same_run() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::Stdio;
    let place = Place::new();
    let mut child = place
        .command("run toy.nn --json --epochs 1000000 --threads 1 --workers 1 --data . --out cut")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
    while !told.next().unwrap().unwrap().contains(r#""event":"epoch""#) {}
    // SAFETY: a signal to a child of ours that has not been waited for.
    assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGINT) }, 0);
    told.for_each(drop);
    let mut notes = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut notes)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let command = "nnc run toy.nn --threads 1 --workers 1 --data . --epochs 1000000 --resume cut";
    assert!(notes.contains(command), "{notes}");
    let (stopped, saved) = (
        notes.find("interrupted in").unwrap(),
        notes.find("saved").unwrap(),
    );
    assert!(stopped < saved, "{notes}");
    assert!(!notes.contains("-0"), "{notes}");
}

/// On a terminal, the bar is gone before the end of the run is told, and is not drawn again.
#[test]
#[cfg(target_os = "linux")]
fn an_interrupted_run_leaves_no_bar() {
    use std::io::Read;
    use std::os::fd::FromRawFd;
    let place = Place::new();
    // an epoch of several frames of the bar
    let rows = "0.5,0.25,1\n-0.5,0.75,0\n".repeat(40_000);
    fs::write(place.path().join("toy.csv"), format!("a,b,y\n{rows}")).unwrap();
    let (mut terminal, mut side) = (0, 0);
    let none = std::ptr::null_mut();
    // SAFETY: both descriptors are new, and belong to the files made of them.
    let (mut terminal, side) = unsafe {
        let made = libc::openpty(&mut terminal, &mut side, none, none.cast(), none.cast());
        assert_eq!(made, 0);
        (fs::File::from_raw_fd(terminal), fs::File::from_raw_fd(side))
    };
    let mut child = place
        .command("run toy.nn --epochs 1000 --batch 1 --threads 1 --out cut")
        .env("TERM", "xterm")
        .stdout(side.try_clone().unwrap())
        .stderr(side)
        .spawn()
        .unwrap();
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    let mut interrupted = false;
    // at its end the terminal gives an error
    while let Ok(n) = terminal.read(&mut buffer) {
        if n == 0 {
            break;
        }
        seen.extend_from_slice(&buffer[..n]);
        let drawn = || String::from_utf8_lossy(&buffer[..n]).contains(" left");
        if !interrupted && drawn() {
            interrupted = true;
            // SAFETY: a signal to a child of ours that has not been waited for.
            assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGINT) }, 0);
        }
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let text = String::from_utf8_lossy(&seen);
    let (before, after) = text.split_once("interrupted in epoch").unwrap();
    // the line of the bar was cleared
    let line = before.rsplit('\n').next().unwrap();
    let drawn = line.rsplit("\u{1b}[2K").next().unwrap();
    assert!(drawn.trim().is_empty(), "{drawn:?}");
    assert!(!after.contains(" left") && !after.contains('━'), "{after}");
    assert!(
        after.contains("saved checkpoint cut/") && !after.contains("-0"),
        "{after}"
    );
}

/// What an epoch took before it was interrupted is not lost.
#[test]
#[cfg(unix)]
fn a_resumed_epoch_counts_its_time_before() {
    let place = Place::new();
    place.events("run toy.nn --json --quiet --out cut --limit-steps 5");
    let path = place.path().join("cut/events.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let number = |text: &str, key: &str| -> f64 {
        let event: serde_json::Value = serde_json::from_str(text).unwrap();
        event[key].as_f64().unwrap()
    };
    // of the limit's step there is a row: an interrupted epoch has none
    let saved = text.lines().last().unwrap().to_owned();
    let mut event: serde_json::Value = serde_json::from_str(&saved).unwrap();
    event["unfinished_seconds"] = 100.into();
    fs::write(&path, text.replace(&saved, &event.to_string())).unwrap();
    place.events("run toy.nn --json --quiet --resume cut");
    let told = fs::read_to_string(&path).unwrap();
    let steps = number(&saved, "epoch") + 1.0;
    let row = told
        .lines()
        .rfind(|l| l.contains(r#""event":"epoch""#) && number(l, "epoch") == steps);
    assert!(number(row.unwrap(), "seconds") > 100.0);
    let next = told
        .lines()
        .rfind(|l| l.contains(r#""event":"epoch""#) && number(l, "epoch") == steps + 1.0);
    assert!(number(next.unwrap(), "seconds") < 100.0);
    let history = fs::read_to_string(place.path().join("cut/history.csv")).unwrap();
    let line = history.lines().nth(steps as usize).unwrap();
    assert!(line.rsplit(',').next().unwrap().parse::<f64>().unwrap() > 100.0);
}

/// A model that takes nothing of the data cannot predict rows, and no one is told to try.
#[test]
fn nothing_is_proposed_that_cannot_work() {
    let place = Place::new();
    let program = "\
data d { source csv(\"toy.csv\"); column p : [2] = a .. b; input p : [2] }
model G(z: [3]) -> [2] { z |> Dense(2) }
model C(p: [2]) -> prob { p |> Dense(1, sigmoid) }
train G, C on d {
  draw z: [3] = random_normal(stddev = 1)
  step C { minimize binary_crossentropy(C(p), 1) + binary_crossentropy(C(stop_gradient(G(z))), 0); optimizer Adam }
  step G { minimize binary_crossentropy(C(G(z)), 1); optimizer Adam }
  epochs 1
}
";
    fs::write(place.path().join("gan.nn"), program).unwrap();
    let ran = place.nnc("run gan.nn --out o");
    assert_eq!(ran.status.code(), Some(0), "{}", err(&ran));
    assert!(!out(&ran).contains("nnc predict"), "{}", out(&ran));
    let predicted = place.nnc("predict gan.nn --weights o/weights.safetensors --input toy.csv");
    assert_eq!(predicted.status.code(), Some(2));
    let told = err(&predicted);
    assert!(told.contains("`G` takes no columns of the data"), "{told}");
    // what the help says works
    let noise = program
        .replace("column p", "column z : [3] = a .. y; column p")
        .replace("input p", "input z : [3]; input p")
        .replace("  draw z: [3] = random_normal(stddev = 1)\n", "");
    let critic = program.replace("train G, C", "train C, G");
    for (name, text) in [("noise.nn", noise), ("critic.nn", critic)] {
        fs::write(place.path().join(name), text).unwrap();
        let args = format!("predict {name} --weights o/weights.safetensors --input toy.csv");
        let predicted = place.nnc(&args);
        assert_eq!(predicted.status.code(), Some(0), "{}", err(&predicted));
        let rows = out(&predicted).lines().count();
        assert_eq!(
            rows,
            fs::read_to_string(place.path().join("toy.csv"))
                .unwrap()
                .lines()
                .count()
        );
    }
}

#[test]
fn a_fix_that_makes_another_mistake_or_cannot_be_checked_is_not_applied() {
    let place = Place::new();
    let file = place.path().join("wrong.nn");
    // `Toy` is near to the data block `toy`; a comma is missing beside what does not parse
    let other_kind = crate::cli::PROGRAM.replace("model Toy", "model Oy");
    let unparsed = crate::cli::PROGRAM.replace("relu", "'relu'").replace(
        "optimizer  Adam(lr = rate)\n  metrics  ",
        "optimizer Adam, metrics",
    );
    for text in [other_kind, unparsed] {
        fs::write(&file, &text).unwrap();
        assert_eq!(place.nnc("check wrong.nn --fix").status.code(), Some(1));
        let after = fs::read_to_string(&file).unwrap();
        assert!(
            !after.contains("train toy") && !after.contains("metrics,"),
            "{after}"
        );
    }
}

#[test]
fn comments_stay_above_what_they_are_about() {
    let place = Place::new();
    let text = "@allow(W0655)\n## About A.\nmodel A(x: [4]) -> [1] { x |> Dense(1) }\n\n\
                @allow(\n  W0655, # why\n  W0650)\nmodel C(x: [4]) -> [1] { x |> Dense(1) }\n";
    fs::write(place.path().join("a.nn"), text).unwrap();
    assert_eq!(place.nnc("fmt a.nn").status.code(), Some(0));
    let after = fs::read_to_string(place.path().join("a.nn")).unwrap();
    let at = |what: &str| after.find(what).unwrap();
    assert!(at("## About A.") < at("model A"), "{after}");
    assert!(
        at("# why") < at("model C") && at("# why") > at("model A"),
        "{after}"
    );
}

#[test]
fn a_damaged_log_does_not_keep_a_run_from_being_resumed() {
    let place = Place::new();
    place.events("run toy.nn --json --quiet --epochs 1 --out cut");
    let log = place.path().join("cut/events.jsonl");
    let mut bytes = fs::read(&log).unwrap();
    bytes[20] = 0xff;
    fs::write(&log, bytes).unwrap();
    let output = place.nnc("run toy.nn --quiet --epochs 3 --resume cut");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
}
