//! The command as its users see it: exit codes, events, what it writes and where.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const PROGRAM: &str = r#"
const width = 6
const rate = 0.01

data toy {
  source  csv("toy.csv")
  column  x : [2] = a .. b
  column  y : class[2]
  split   { train 60%, val 20%, test 20% }
  input   x : [2]
  target  y : class[2]
}

model Toy(x: [2]) -> prob {
  x |> Dense(width, relu) |> Dropout(0.1) |> Dense(1, sigmoid)
}

train Toy on toy {
  loss       binary_crossentropy
  optimizer  Adam(lr = rate)
  metrics    accuracy
  epochs     3
  batch      32
  seed       7
}
"#;

const ROWS: usize = 205;

/// A folder with `toy.nn` and `toy.csv`.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("toy.nn"), PROGRAM).unwrap();
        let mut text = String::from("a,b,y\n");
        for i in 0..ROWS {
            let (a, b) = (
                (i * 37 % 101) as f64 / 50.0 - 1.0,
                (i * 53 % 97) as f64 / 48.0 - 1.0,
            );
            text += &format!("{a:.3},{b:.3},{}\n", u8::from(a + 2.0 * b > 0.1));
        }
        fs::write(folder.path().join("toy.csv"), text).unwrap();
        Place(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nnc"));
        command
            .current_dir(self.path())
            .args(args.split_whitespace())
            .env("NO_COLOR", "1");
        command
    }

    pub(crate) fn nnc(&self, args: &str) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a command that must succeed; its events.
    pub(crate) fn events(&self, args: &str) -> Vec<Value> {
        let output = self.nnc(args);
        assert_eq!(output.status.code(), Some(0), "{args}: {}", err(&output));
        events(&out(&output))
    }

    /// Every file below, with its bytes.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push((path.clone(), fs::read(path).unwrap()));
                }
            }
        }
        files.sort();
        files
    }
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub(crate) fn events(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect()
}

pub(crate) fn kinds(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|e| e["event"].as_str().unwrap())
        .collect()
}

pub(crate) fn find<'a>(events: &'a [Value], kind: &str) -> &'a Value {
    events.iter().find(|e| e["event"] == kind).unwrap()
}

#[test]
fn exit_codes_say_whose_fault_it_is() {
    let place = Place::new();
    let write = |name: &str, text: &str| fs::write(place.path().join(name), text).unwrap();
    write("broken.nn", &PROGRAM.replace("Dense(width", "Dens(width"));
    write("nodata.nn", &PROGRAM.replace("toy.csv", "absent.csv"));
    write("badrow.csv", "a,b,y\n1,2,0\n1,oops,1\n");
    write("badrow.nn", &PROGRAM.replace("toy.csv", "badrow.csv"));
    write("junk.safetensors", "junk");
    let cases = [
        ("check toy.nn", 0, ""),
        ("check toy.nn --set width=9", 0, ""),
        ("check broken.nn", 1, "Dense"),
        ("run broken.nn", 1, "Dense"),
        ("", 2, "Usage"),
        ("frobnicate", 2, "frobnicate"),
        ("run", 2, "FILE.nn"),
        ("run toy.nn --set width", 2, "NAME=VALUE"),
        ("run toy.nn --batch 0", 2, "--batch"),
        ("check absent.nn", 2, "absent.nn"),
        ("run toy.nn --device cuda", 2, "does not support CUDA"),
        ("explain E9999", 2, "E9999"),
        ("run nodata.nn", 3, "--data DIR"),
        ("run badrow.nn", 3, "badrow.csv:3: row 2, column `b`"),
        (
            "run toy.nn --weights absent.safetensors",
            3,
            "absent.safetensors",
        ),
        (
            "evaluate toy.nn --weights junk.safetensors",
            3,
            "junk.safetensors",
        ),
        ("run toy.nn --set rate=1e38 --set width=64", 3, "E0951"),
    ];
    for (args, code, told) in cases {
        let output = place.nnc(args);
        let text = err(&output);
        assert_eq!(output.status.code(), Some(code), "nnc {args}: {text}");
        assert!(text.contains(told), "nnc {args}: {text}");
        assert!(!text.contains("internal error"), "nnc {args}: {text}");
    }
    // whatever failed left nothing behind
    assert!(!place.path().join("runs").exists());
}

#[test]
fn diagnostics_as_events_close_with_a_count() {
    let place = Place::new();
    let found = place.events("check toy.nn --json");
    assert_eq!(kinds(&found), ["checked"]);
    assert_eq!(
        (&found[0]["ok"], &found[0]["errors"]),
        (&true.into(), &0.into())
    );
    fs::write(
        place.path().join("broken.nn"),
        PROGRAM.replace("Dense(width", "Dens(width"),
    )
    .unwrap();
    let output = place.nnc("check broken.nn --json");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(err(&output), "");
    let found = events(&out(&output));
    assert_eq!(kinds(&found), ["diagnostic", "checked"]);
    assert_eq!(found[0]["line"], 15);
    assert_eq!(
        (&found[1]["ok"], &found[1]["errors"]),
        (&false.into(), &1.into())
    );
}

#[test]
fn a_run_tells_events_and_writes_into_its_folder_alone() {
    let place = Place::new();
    let before = place.files();
    let output = place.nnc("run toy.nn --json --out result");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let told = events(&out(&output));
    assert_eq!(
        kinds(&told),
        ["start", "epoch", "epoch", "epoch", "test", "saved"]
    );
    assert_eq!(
        told[0]["rows"],
        serde_json::json!({"train": 123, "val": 41, "test": 41})
    );
    assert_eq!(told[0]["parameters"], 2 * 6 + 6 + 6 + 1);
    for (i, epoch) in told[1..4].iter().enumerate() {
        assert_eq!(epoch["epoch"], i + 1);
        for key in ["loss", "accuracy", "val_loss", "val_accuracy", "seconds"] {
            assert!(epoch[key].as_f64().unwrap() >= 0.0, "{key}: {epoch}");
        }
    }
    // 123 rows by 32
    assert_eq!(told[5]["steps"], 3 * 4);
    // what is for people is on stderr
    assert!(err(&output).contains("epoch 3/3"), "{}", err(&output));

    let (result, others): (Vec<_>, Vec<_>) = place
        .files()
        .into_iter()
        .partition(|(p, _)| p.starts_with(place.path().join("result")));
    assert_eq!(others, before);
    let names: Vec<_> = result
        .iter()
        .map(|(p, _)| p.file_name().unwrap().to_str().unwrap())
        .collect();
    let expected = [
        "events.jsonl",
        "history.csv",
        "lock.json",
        "program.nn",
        "weights.safetensors",
    ];
    assert_eq!(names, expected);
    let text = |i: usize| String::from_utf8(result[i].1.clone()).unwrap();
    assert_eq!(text(0), out(&output));
    let history = text(1);
    let lines: Vec<&str> = history.lines().collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(
        lines[0],
        "epoch,loss,accuracy,val_loss,val_accuracy,seconds"
    );
    let loss: f64 = lines[3].split(',').nth(1).unwrap().parse().unwrap();
    assert_eq!(loss, told[3]["loss"].as_f64().unwrap());
}

#[test]
fn runs_without_a_folder_are_numbered() {
    let place = Place::new();
    let first = place.nnc("run toy.nn --limit-steps 3");
    assert!(
        out(&first).contains("saved runs/toy-1/weights.safetensors"),
        "{}",
        out(&first)
    );
    let second = place.events("run toy.nn --limit-steps 3 --json --quiet");
    let saved = find(&second, "saved");
    assert_eq!(saved["weights"], "runs/toy-2/weights.safetensors");
    assert_eq!(
        (&saved["steps"], &saved["stopped"]),
        (&3.into(), &"limit".into())
    );
    let quiet = place.nnc("run toy.nn --limit-steps 3 --quiet");
    assert_eq!((out(&quiet), err(&quiet)), (String::new(), String::new()));
}

#[test]
fn weights_are_the_same_bits_for_any_number_of_threads() {
    let place = Place::new();
    let weights = |args: &str| {
        place.events(&format!("run toy.nn --json --quiet --out w {args}"));
        let weights = fs::read(place.path().join("w/weights.safetensors")).unwrap();
        fs::remove_dir_all(place.path().join("w")).unwrap();
        weights
    };
    let first = weights("--threads 1");
    for again in ["--threads 1", "--threads 2", "--threads 3"] {
        assert!(weights(again) == first, "{again}");
    }
    assert!(weights("--seed 8") != first);
}

#[test]
fn evaluate_finds_what_the_run_found() {
    let place = Place::new();
    let told = place.events("run toy.nn --json --out w");
    let test = place.events("evaluate toy.nn --weights w/weights.safetensors --json");
    let (then, now) = (find(&told, "test"), find(&test, "test"));
    assert_eq!(
        (&now["loss"], &now["accuracy"]),
        (&then["loss"], &then["accuracy"])
    );
    let val =
        place.events("evaluate toy.nn --weights w/weights.safetensors --json --part val --batch 7");
    let (then, now) = (&told[3], find(&val, "val"));
    let (then, now) = (&then["val_loss"], &now["loss"]);
    // other batches: a batch's own losses are summed in f32, the batches in f64
    let off = then.as_f64().unwrap() - now.as_f64().unwrap();
    assert!(off.abs() < 1e-7, "{then} {now}");
    let people = place.nnc("evaluate toy.nn --weights w/weights.safetensors");
    assert!(out(&people).starts_with("test  loss "), "{}", out(&people));
    let other = place.nnc("evaluate toy.nn --weights w/weights.safetensors --set width=5");
    assert_eq!(other.status.code(), Some(3));
    // all that differs is told at once
    let text = err(&other);
    assert!(
        text.contains("dense/kernel") && text.contains("dense_1/kernel"),
        "{text}"
    );
}

#[test]
fn predictions_follow_the_columns_names_or_their_places() {
    let place = Place::new();
    place.events("run toy.nn --json --quiet --out w");
    let write = |name: &str, text: &str| fs::write(place.path().join(name), text).unwrap();
    write("named.csv", "id,b,a\n1,0.5,-0.5\n2,-0.9,0.1\n");
    write("bare.csv", "-0.5,0.5\n0.1,-0.9\n");
    write("short.csv", "0.5\n");
    write("whole.csv", "a,b,y\n-0.5,0.5,0\n0.1,-0.9,0\n");
    let predict = |args: &str| {
        let output = place.nnc(&format!(
            "predict toy.nn --weights w/weights.safetensors --input {args}"
        ));
        assert_eq!(output.status.code(), Some(0), "{args}: {}", err(&output));
        out(&output)
    };
    let bare = predict("bare.csv");
    let lines: Vec<&str> = bare.lines().collect();
    assert_eq!((lines.len(), lines[0]), (3, "class,p"));
    for line in &lines[1..] {
        let (class, p) = line.split_once(',').unwrap();
        let p: f64 = p.parse().unwrap();
        assert_eq!(class, if p >= 0.5 { "1" } else { "0" });
    }
    assert_eq!(predict("whole.csv"), bare);
    assert_eq!(predict("bare.csv --batch 1"), bare);
    assert_eq!(predict("bare.csv --output p.csv --quiet"), "");
    assert_eq!(
        fs::read_to_string(place.path().join("p.csv")).unwrap(),
        bare
    );
    predict("bare.csv --output p.npy --quiet");
    let npy = fs::read(place.path().join("p.npy")).unwrap();
    assert!(npy.starts_with(b"\x93NUMPY"));
    let output = place.nnc("predict toy.nn --weights w/weights.safetensors --input short.csv");
    assert_eq!(output.status.code(), Some(3));
    assert!(
        err(&output).contains("short.csv has 1 column"),
        "{}",
        err(&output)
    );
}

#[test]
fn ctrl_c_saves_and_the_run_goes_on() {
    let place = Place::new();
    let whole = place.events("run toy.nn --json --quiet --epochs 40 --out whole");
    let mut child = place
        .command("run toy.nn --json --epochs 1000000 --out cut")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
    while !told.next().unwrap().unwrap().contains(r#""event":"epoch""#) {}
    // SAFETY: a signal to a child of ours that has not been waited for.
    assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGINT) }, 0);
    let told: Vec<Value> = told
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    let mut notes = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut notes)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{notes}");
    let saved = told.last().unwrap();
    assert_eq!(
        (&saved["event"], &saved["stopped"]),
        (&"saved".into(), &"interrupted".into())
    );
    assert!(notes.contains("--resume cut"), "{notes}");
    let done = saved["epoch"].as_u64().unwrap();
    if done < 40 {
        let rest = place.events("run toy.nn --json --quiet --epochs 40 --resume cut");
        assert_eq!(find(&rest, "test")["loss"], find(&whole, "test")["loss"]);
        let read =
            |folder: &str| fs::read(place.path().join(folder).join("weights.safetensors")).unwrap();
        assert!(read("cut") == read("whole"));
    }
    let refused =
        place.nnc("run toy.nn --resume cut/weights.safetensors --seed 1 --epochs 2000000");
    assert_eq!(refused.status.code(), Some(3));
    assert!(
        err(&refused).contains("it was trained with seed 7, not 1"),
        "{}",
        err(&refused)
    );
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    for args in [
        "explain E0001",
        "run toy.nn --json --out w",
        "summary toy.nn",
    ] {
        let mut child = place
            .command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut notes = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut notes)
            .unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{args}: {notes}");
    }
    assert!(place.path().join("w/weights.safetensors").is_file());
}

#[test]
fn summary_counts_parameters_and_memory() {
    let place = Place::new();
    let told = place.events("summary toy.nn --json");
    let summary = find(&told, "summary");
    assert_eq!(summary["parameters"], 25);
    let layers = summary["layers"].as_array().unwrap();
    let names: Vec<_> = layers.iter().map(|l| l["name"].as_str().unwrap()).collect();
    assert!(
        names.contains(&"dense") && names.contains(&"dense_1"),
        "{names:?}"
    );
    let dense = layers.iter().find(|l| l["name"] == "dense").unwrap();
    assert_eq!(
        (&dense["parameters"], &dense["output"]),
        (&18.into(), &"f32[B, 6]".into())
    );
    let memory = &summary["memory"];
    let sum: u64 = [
        "parameters",
        "states",
        "activations",
        "scratch",
        "batches",
        "base",
        "data",
    ]
    .iter()
    .map(|part| memory[part].as_u64().unwrap())
    .sum();
    assert_eq!(memory["peak"], sum.max(memory["reading"].as_u64().unwrap()));
    assert!(summary["step_flops"].as_u64() > summary["predict_flops"].as_u64());
    let people = out(&place.nnc("summary toy.nn"));
    for part in ["dense_1", "25 trainable", "whole process, reading included"] {
        assert!(people.contains(part), "{people}");
    }
    fs::remove_file(place.path().join("toy.csv")).unwrap();
    let people = out(&place.nnc("summary toy.nn"));
    assert!(
        people.contains("whole process, without the data"),
        "{people}"
    );
}

#[test]
fn the_library_explains_itself() {
    let place = Place::new();
    let dense = out(&place.nnc("explain Dense"));
    assert!(
        dense.contains("layer Dense(") && dense.contains("Fully connected layer"),
        "{dense}"
    );
    let code = out(&place.nnc("explain e0001"));
    assert!(code.starts_with("# E0001"), "{code}");
    let near = place.nnc("explain Dens");
    assert_eq!(near.status.code(), Some(2));
    assert!(
        err(&near).contains("did you mean `Dense`?"),
        "{}",
        err(&near)
    );
}

#[test]
fn every_stage_can_be_seen() {
    let place = Place::new();
    for (stage, part) in [
        ("ast", "Dense"),
        ("types", "prob"),
        ("ir", "dot"),
        ("grad", "dot"),
        ("plan", "arena"),
        ("clif", "function"),
        ("asm", "ret"),
    ] {
        let output = place.nnc(&format!("emit toy.nn --stage {stage}"));
        assert_eq!(output.status.code(), Some(0), "{stage}: {}", err(&output));
        assert!(out(&output).contains(part), "{stage}: {}", out(&output));
    }
    let cuda = place.nnc("emit toy.nn --stage cuda");
    assert_eq!(cuda.status.code(), Some(0));
    assert!(out(&cuda).contains("__global__"), "{}", out(&cuda));
}

#[test]
fn formatting_changes_layout_alone_and_once() {
    let place = Place::new();
    let path = place.path().join("toy.nn");
    let ugly = PROGRAM.replace("  column  x", "column      x");
    fs::write(&path, &ugly).unwrap();
    let check = place.nnc("fmt --check toy.nn");
    assert_eq!(check.status.code(), Some(1));
    assert!(out(&check).contains("toy.nn: not formatted"));
    assert_eq!(fs::read_to_string(&path).unwrap(), ugly);
    assert_eq!(place.nnc("fmt toy.nn").status.code(), Some(0));
    let neat = fs::read_to_string(&path).unwrap();
    assert_ne!(neat, ugly);
    assert_eq!(place.nnc("fmt --check toy.nn").status.code(), Some(0));
    assert_eq!(place.nnc("check toy.nn").status.code(), Some(0));
    fs::write(&path, "model {{{").unwrap();
    let broken = place.nnc("fmt toy.nn");
    assert_eq!(broken.status.code(), Some(1));
    assert!(err(&broken).contains("error["), "{}", err(&broken));
    assert_eq!(fs::read_to_string(&path).unwrap(), "model {{{");
}

/// The commands that `nnc --help` lists.
fn commands(place: &Place) -> Vec<String> {
    let help = out(&place.nnc("--help"));
    let listed = help.lines().skip_while(|l| *l != "Commands:").skip(1);
    let listed = listed.take_while(|l| l.starts_with("  "));
    let commands: Vec<String> = listed
        .filter_map(|l| l.split_whitespace().next())
        .map(str::to_owned)
        .collect();
    assert_eq!(commands.len(), 11, "{commands:?}");
    commands
}

#[test]
fn help_fits_a_terminal() {
    let place = Place::new();
    let mut asked = vec!["-h".to_owned(), "--help".to_owned()];
    for name in commands(&place) {
        asked.extend([format!("{name} -h"), format!("{name} --help")]);
    }
    for args in asked {
        let help = out(&place.nnc(&args));
        assert!(help.contains("Usage: nnc"), "nnc {args}: {help}");
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "nnc {args}: {line}");
        }
    }
}

#[test]
fn every_option_is_documented() {
    let place = Place::new();
    let page = include_str!("../../docs/cli.md");
    for name in commands(&place) {
        assert!(page.contains(&format!("nnc {name}")), "{name}");
        let help = out(&place.nnc(&format!("{name} --help")));
        let options = help.split(|c: char| !c.is_alphanumeric() && c != '-');
        for option in options.filter(|o| o.starts_with("--") && o.len() > 2) {
            assert!(page.contains(&format!("`{option}")), "nnc {name} {option}");
        }
    }
}

#[test]
fn an_unknown_instruction_set_is_refused() {
    let place = Place::new();
    let with = |level: &str| {
        let mut command = place.command("check toy.nn");
        command.env("NNC_CPU", level).output().unwrap()
    };
    let refused = with("avx3");
    assert_eq!(refused.status.code(), Some(2));
    assert!(err(&refused).contains("baseline, avx2 or avx512"));
    assert_eq!(with("baseline").status.code(), Some(0));
}
