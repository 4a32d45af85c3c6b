//! What would go wrong without a word is refused: damaged weights, numbers that a loss does not
//! take, values and paths that are not what they seem.

use std::fs;

use crate::cli::{Place, err, out};

/// Exit code 3, and what is said.
fn refused(place: &Place, args: &str) -> String {
    failed(place, args, 3)
}

fn failed(place: &Place, args: &str, code: i32) -> String {
    let output = place.nnc(args);
    let text = err(&output);
    assert_eq!(output.status.code(), Some(code), "{args}: {text}");
    text
}

/// The toy program with other lines.
fn change(place: &Place, changes: &[(&str, &str)]) {
    let path = place.path().join("toy.nn");
    let mut text = fs::read_to_string(&path).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    fs::write(path, text).unwrap();
}

#[test]
fn every_reader_of_weights_finds_a_flipped_bit() {
    let place = Place::new();
    place.events("run toy.nn --json --quiet --out w");
    let path = place.path().join("w/weights.safetensors");
    let whole = fs::read(&path).unwrap();
    let header = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let text = String::from_utf8_lossy(&whole).into_owned();
    // in a tensor, in what is remembered of the epochs, in a key, in the checksum's own key
    let history = text.find("\"history\":\"").unwrap() + 30;
    let places = [
        8 + header + 3,
        history,
        text.find("\"epoch_step\"").unwrap() + 2,
        text.find("crc32c_of_file").unwrap() + 2,
    ];
    for at in places {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(place.path().join("bad.safetensors"), bytes).unwrap();
        for args in [
            "evaluate toy.nn --weights bad.safetensors",
            "predict toy.nn --weights bad.safetensors --input toy.csv",
            "run toy.nn --weights bad.safetensors --out x",
            "run toy.nn --resume bad.safetensors --epochs 5 --out y",
        ] {
            let text = refused(&place, args);
            assert!(text.contains("error[E0941]"), "{at}: {args}: {text}");
        }
    }
    #[cfg(unix)]
    {
        let pipe = place.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(pipe).status();
        assert!(made.unwrap().success());
        let text = refused(&place, "evaluate toy.nn --weights pipe");
        assert!(text.contains("it is a pipe or a device"), "{text}");
    }
}

#[test]
fn numbers_that_a_loss_does_not_take_are_refused_with_their_row() {
    let place = Place::new();
    change(
        &place,
        &[
            ("column  y : class[2]", "column  y : prob\n  column  w : []"),
            ("target  y : class[2]", "target  y : prob"),
            ("epochs     3", "epochs     1\n  sample_weight w"),
        ],
    );
    let write = |y: &str, w: &str| {
        let mut text = String::from("a,b,y,w\n");
        for row in 1..=50 {
            let (y, w) = if row == 17 { (y, w) } else { ("1", "0.5") };
            text += &format!("0.{row},0.5,{y},{w}\n");
        }
        fs::write(place.path().join("toy.csv"), text).unwrap();
    };
    write("0.25", "0");
    place.events("run toy.nn --json --quiet --out fine");
    write("2", "0.5");
    let text = refused(&place, "run toy.nn --out a");
    let said =
        "toy.csv: row 17, column `y`: a target of binary_crossentropy must be from 0 to 1, not 2";
    assert!(text.contains(&format!("error[E0977]: {said}")), "{text}");
    write("1", "-0.5");
    let text = refused(&place, "run toy.nn --out a");
    let said = "toy.csv: row 17, column `w`: a sample weight must be at least 0, not -0.5";
    assert!(text.contains(&format!("error[E0977]: {said}")), "{text}");
    let text = fs::read_to_string(place.path().join("toy.csv")).unwrap();
    let text = text.replace(",0.5\n", ",0\n").replace(",-0.5\n", ",0\n");
    fs::write(place.path().join("toy.csv"), text).unwrap();
    let text = refused(&place, "run toy.nn --out a");
    assert!(text.contains("error[E0978]: column `w` is 0"), "{text}");
}

#[test]
fn weights_of_classes_and_losses_are_no_less_than_0() {
    for (change_to, said) in [
        ("loss       -0.5 * binary_crossentropy", "a number above 0"),
        (
            "loss       binary_crossentropy\n  class_weight [0, 0]",
            "all class weights are 0",
        ),
        (
            "loss       binary_crossentropy\n  class_weight [1, -1]",
            "a number from 0",
        ),
    ] {
        let place = Place::new();
        change(&place, &[("loss       binary_crossentropy", change_to)]);
        let text = failed(&place, "check toy.nn", 1);
        assert!(
            text.contains("error[E0605]") && text.contains(said),
            "{text}"
        );
    }
}

#[test]
fn whole_numbers_are_exact_or_refused_in_csv_too() {
    let place = Place::new();
    let program = |ty: &str| {
        format!(
            "data d {{\n  source csv(\"t.csv\")\n  column t : {ty}\n  column v : []\n  \
             split time(t) {{ train 100% }}\n  input x : [2] = windows(v, 2)\n  \
             target y : [] = ahead(v, 1)\n}}\n"
        )
    };
    let times = "t,v\n1700000180,3\n1700000000,0\n1700000120,2\n1700000060,1\n1700000240,4\n";
    fs::write(place.path().join("t.csv"), times).unwrap();
    fs::write(place.path().join("t.nn"), program("[]")).unwrap();
    let text = refused(&place, "inspect t.nn");
    assert!(
        text.contains("error[E0916]: t.csv:2: row 1, column `t`"),
        "{text}"
    );
    fs::write(place.path().join("t.nn"), program("int")).unwrap();
    let text = out(&place.nnc("inspect t.nn --sample 1"));
    assert!(text.contains('0') && !text.contains("error"), "{text}");
    // what a float holds is read as before
    let times = times.replace("1700000180", "1700000256");
    let exact: String = times.lines().take(2).flat_map(|l| [l, "\n"]).collect();
    let exact = exact + "16777216,1\n20000000,2\n12345678.5,3\n";
    fs::write(place.path().join("t.csv"), exact).unwrap();
    fs::write(place.path().join("t.nn"), program("[]")).unwrap();
    assert_eq!(place.nnc("inspect t.nn").status.code(), Some(0));
}

#[test]
fn a_quote_that_swallows_a_line_is_found() {
    let place = Place::new();
    let program = "data d {\n  source tsv(\"t.tsv\")\n  column text : text\n  column y : class[2]\n  \
        fit v = Tokenizer(train.text)\n  input x : [v.size] = text |> bag(v)\n  target y : class[2]\n}\n";
    fs::write(place.path().join("t.nn"), program).unwrap();
    let write = |text: &str| fs::write(place.path().join("t.tsv"), text).unwrap();
    write("text\ty\na film\t0\n\"good\t1\nhe said \"no\" twice\t0\nfine\t1\n");
    let text = refused(&place, "inspect t.nn");
    assert!(
        text.contains(
            "error[E0940]: t.tsv:4: text follows the end of a quoted field that begins on line 3"
        ),
        "{text}"
    );
    fs::write(
        place.path().join("u.nn"),
        program.replace("\"t.tsv\"", "\"t.tsv\", quote = false"),
    )
    .unwrap();
    let output = place.nnc("inspect u.nn --json");
    let text = out(&output);
    assert!(
        output.status.success() && text.contains("\"train\":4"),
        "{text}{}",
        err(&output)
    );
    // quotes within a line, doubled ones, line breaks in a quoted field
    write(
        "text\ty\n\"a \"\"fine\"\"\nfilm\"\t0\nhe said \"no\" twice\t1\n\"so\" he said\t1\n\"x\" \t0\r\n",
    );
    let output = place.nnc("inspect t.nn");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
}

#[test]
fn the_command_line_takes_only_what_it_means() {
    let place = Place::new();
    failed(&place, "run toy.nn --epochs 0", 2);
    let mut command = place.command("check toy.nn --set");
    let output = command.arg("width=4\nconst more = 1").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", err(&output));
    assert!(err(&output).contains("one line"), "{}", err(&output));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_stdout_is_an_error() {
    let place = Place::new();
    let toy = fs::read_to_string(place.path().join("toy.nn")).unwrap();
    let write = |name: &str, text: &str| fs::write(place.path().join(name), text).unwrap();
    write("unformatted.nn", "const  a=1\n");
    let axes = "\nsweep Toy {\n  width in [2, 3]\n  minimize val_loss\n}\n";
    write("sweep.nn", &format!("{toy}{axes}"));
    let folds = "split   kfold(2)";
    write(
        "folds.nn",
        &toy.replace("split   { train 60%, val 20%, test 20% }", folds),
    );
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    for args in [
        "run toy.nn --out w",
        "evaluate toy.nn --weights w/weights.safetensors",
        "predict toy.nn --weights w/weights.safetensors --input toy.csv",
        "predict toy.nn --weights w/weights.safetensors --input toy.csv --output /dev/full",
        "evaluate toy.nn --json --weights w/weights.safetensors",
        "run toy.nn --json --out v",
        "check toy.nn",
        "check toy.nn --json",
        "summary toy.nn",
        "summary toy.nn --json",
        "inspect toy.nn",
        "inspect toy.nn --json",
        "emit toy.nn --stage ast",
        "emit toy.nn --stage asm",
        "explain Dense",
        "runs .",
        "runs . --json",
        "fmt --check unformatted.nn",
        "sweep sweep.nn --out s",
        "sweep sweep.nn --json --out t",
        "run folds.nn --out f",
    ] {
        let output = place.command(args).stdout(full()).output().unwrap();
        let text = err(&output);
        assert_eq!(output.status.code(), Some(3), "{args}: {text}");
        assert!(text.contains("no space left"), "{args}: {text}");
    }
    // the run itself was worth finishing
    assert!(place.path().join("w/weights.safetensors").is_file());
    let kind = fs::metadata("/dev/full").unwrap().file_type();
    assert!(std::os::unix::fs::FileTypeExt::is_char_device(&kind));
}

#[cfg(unix)]
#[test]
fn a_run_writes_nothing_through_links() {
    let place = Place::new();
    let at = |name: &str| place.path().join(name);
    fs::create_dir(at("w")).unwrap();
    fs::create_dir(at("elsewhere")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", at("w/checkpoints")).unwrap();
    let text = refused(&place, "run toy.nn --out w");
    assert!(
        text.contains("w/checkpoints: this link leads out"),
        "{text}"
    );
    assert_eq!(fs::read_dir(at("elsewhere")).unwrap().count(), 0);
    fs::remove_file(at("w/checkpoints")).unwrap();
    fs::create_dir(at("w/notes")).unwrap();
    std::os::unix::fs::symlink("notes", at("w/more")).unwrap();
    place.events("run toy.nn --json --quiet --out w");
}

#[cfg(unix)]
#[test]
fn the_program_of_a_run_is_one_wherever_it_was() {
    let place = Place::new();
    let folder = place.path().join("q\"uo\\te");
    fs::create_dir(&folder).unwrap();
    let text = fs::read_to_string(place.path().join("toy.nn")).unwrap();
    let (data, rest) = text.split_once("model").unwrap();
    fs::write(folder.join("d.nn"), data).unwrap();
    fs::write(
        folder.join("toy.nn"),
        format!("import \"d.nn\"\nmodel{rest}"),
    )
    .unwrap();
    fs::copy(place.path().join("toy.csv"), folder.join("toy.csv")).unwrap();
    let mut command = place.command("run --json --quiet --out w");
    let output = command.arg(folder.join("toy.nn")).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let output = place.nnc("check w/program.nn");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
}

#[test]
fn many_classes_are_reported_by_their_most_confused_pairs() {
    let place = Place::new();
    change(
        &place,
        &[
            ("column  y : class[2]", "column  y : class[3000]"),
            ("target  y : class[2]", "target  y : class[3000]"),
            ("-> prob {", "-> prob[3000] {"),
            ("Dense(1, sigmoid)", "Dense(3000, softmax)"),
            (
                "loss       binary_crossentropy",
                "loss       sparse_categorical_crossentropy",
            ),
            (
                "  epochs     3",
                "  epochs     1\n  report     confusion_matrix, classification_report",
            ),
        ],
    );
    let told = place.events("run toy.nn --json --quiet --out w");
    let report = told.iter().find(|e| e["event"] == "report").unwrap();
    let matrix = &report["confusion_matrix"];
    assert_eq!(matrix["classes"], 3000);
    let pairs = matrix["pairs"].as_array().unwrap();
    let rows: u64 = pairs.iter().map(|p| p[2].as_u64().unwrap()).sum();
    assert_eq!((rows, pairs.len() <= 41), (41, true), "{matrix}");
    let page = fs::metadata(place.path().join("w/report.html")).unwrap();
    assert!(page.len() < 2_000_000, "{}", page.len());
}

#[test]
fn numbers_made_of_columns_are_refused_with_their_file_and_row() {
    let place = Place::new();
    let toy = fs::read_to_string(place.path().join("toy.nn")).unwrap();
    let rows = |bad: &[usize], (y, w, v): (&str, &str, &str)| {
        let mut text = String::from("a,b,y,w,v\n");
        for row in 1..=50 {
            let (y, w, v) = if bad.contains(&row) {
                (y, w, v)
            } else {
                ("1", "0.5", "1")
            };
            text += &format!("0.{row},0.5,{y},{w},{v}\n");
        }
        text
    };
    let columns = "column  y : []\n  column  w : []\n  column  v : []";
    let write = |changes: &[(&str, &str)]| {
        fs::write(place.path().join("toy.nn"), &toy).unwrap();
        change(&place, &[("column  y : class[2]", columns)]);
        let ratio = "fn ratio(y: [..], v: [..]) -> prob[..] { y / v }\ndata toy";
        change(
            &place,
            &[("epochs     3", "epochs     1"), ("data toy", ratio)],
        );
        change(&place, changes);
    };
    let table = |name: &str, text: String| fs::write(place.path().join(name), text).unwrap();
    let target = ("target  y : class[2]", "target  y : prob = ratio(y, v)");
    // a target that is computed, whatever set its row is in
    write(&[target]);
    table("toy.csv", rows(&[], ("", "", "")));
    place.events("run toy.nn --json --quiet --out w");
    for row in [1, 2, 3, 17, 50] {
        table("toy.csv", rows(&[row], ("1", "0.5", "0.25")));
        let said = format!(
            "error[E0977]: toy.csv: row {row}, target `y`: a target of binary_crossentropy must \
             be from 0 to 1, not 4"
        );
        let text = refused(&place, "run toy.nn --out a");
        assert!(text.contains(&said), "{text}");
        // evaluate looks at its set alone
        let sets = ["train", "val", "test"].map(|set| {
            let args = format!("evaluate toy.nn --weights w/weights.safetensors --part {set}");
            let text = err(&place.nnc(&args));
            usize::from(text.contains(&said))
        });
        assert_eq!(sets.iter().sum::<usize>(), 1);
    }
    // a weight that depends on several columns
    write(&[
        target,
        ("  metrics", "  sample_weight w * (v - 2)\n  metrics"),
    ]);
    table("toy.csv", rows(&[], ("", "", "")));
    let text = refused(&place, "run toy.nn --out a");
    let said = "`w * (v - 2)`: a sample weight must be at least 0, not -0.5";
    assert!(text.contains(said), "{text}");
    write(&[
        target,
        ("  metrics", "  sample_weight w * (v - 1)\n  metrics"),
    ]);
    let text = refused(&place, "run toy.nn --out a");
    let said = "error[E0978]: `w * (v - 1)` is 0 in every training row";
    assert!(text.contains(said), "{text}");
    // rows that are read some at a time
    let streamed = ("csv(\"toy.csv\")", "csv(\"toy.csv\", stream = true)");
    write(&[target, streamed]);
    table("toy.csv", rows(&[33], ("-1", "0.5", "1")));
    let text = refused(&place, "run toy.nn --out a");
    assert!(text.contains("toy.csv: row 33, target `y`"), "{text}");
    // a class that is computed
    let class = "fn next(y: int[..]) -> class[2][..] { y + 1 }\ndata toy";
    write(&[
        ("column  y : []", "column  y : int"),
        ("  target ", "  input   w : []\n  input   v : []\n  target "),
        ("target  y : class[2]", "target  y : class[2] = next(y)"),
        ("data toy", class),
        ("(x: [2]) -> prob", "(x: [2], w: [], v: []) -> prob"),
        ("x |>", "concat(x, expand(w, -1), expand(v, -1)) |>"),
    ]);
    table("toy.csv", rows(&[], ("", "", "")).replace(",1,", ",0,"));
    place.events("run toy.nn --json --quiet --out c");
    table("toy.csv", rows(&[], ("", "", "")).replacen(",1,", ",0,", 3));
    let text = refused(&place, "run toy.nn --out a");
    let said = "target `y`: a target of binary_crossentropy must be from 0 to 1, not 2";
    assert!(text.contains(said), "{text}");
    // the second of two files, and a target that must be a count
    let files = "csv(\"toy.csv\")\n  source  csv(\"more.csv\")";
    let counts = [
        ("csv(\"toy.csv\")", files),
        ("target  y : class[2]", "target  y : []"),
        ("binary_crossentropy", "poisson"),
    ];
    write(&counts);
    let toy = fs::read_to_string(place.path().join("toy.nn")).unwrap();
    let toy = toy
        .replace("-> prob {", "-> [] {")
        .replace(", sigmoid", ", softplus");
    let toy = toy.replace("  metrics    accuracy\n", "");
    fs::write(place.path().join("toy.nn"), toy).unwrap();
    table("toy.csv", rows(&[], ("", "", "")));
    table("more.csv", rows(&[9], ("-2", "0.5", "1")));
    let text = refused(&place, "run toy.nn --out a");
    let said = "more.csv: row 9, column `y`: a target of poisson must be at least 0, not -2";
    assert!(text.contains(said), "{text}");
}

#[cfg(unix)]
#[test]
fn a_program_is_no_pipe_that_nobody_writes() {
    let place = Place::new();
    let made = std::process::Command::new("mkfifo")
        .arg(place.path().join("p.nn"))
        .status();
    assert!(made.unwrap().success());
    for command in [
        "check p.nn",
        "run p.nn",
        "fmt p.nn",
        "summary p.nn",
        "emit p.nn --stage ir",
    ] {
        let text = failed(&place, command, 2);
        assert!(text.contains("p.nn: it is a pipe or a device"), "{text}");
    }
    // one that has a writer is read once, however often it is checked
    let script = format!(
        "'{0}' check <(cat toy.nn) && cat toy.nn | '{0}' check /dev/stdin",
        env!("CARGO_BIN_EXE_nnc")
    );
    let mut command = std::process::Command::new("bash");
    let output = command
        .current_dir(place.path())
        .args(["-c", &script])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", err(&output));
}

#[test]
fn a_pool_wider_than_its_input_is_refused_or_runs() {
    let place = Place::new();
    let text = fs::read_to_string(place.path().join("toy.nn")).unwrap();
    let text = text.replace(
        "x |> Dense(",
        "x |> Reshape([2, 1, 1]) |> AveragePooling2D(1_000_000_000, padding = same) |> Flatten |> Dense(",
    );
    fs::write(place.path().join("toy.nn"), text).unwrap();
    let start = std::time::Instant::now();
    let output = place.nnc("run toy.nn --limit-steps 1 --out w");
    assert!(
        matches!(output.status.code(), Some(0 | 1 | 3)),
        "{}",
        err(&output)
    );
    assert!(start.elapsed().as_secs() < 20);
}

/// Memory that the system does not grant is an event too.
#[cfg(target_os = "linux")]
#[test]
fn refused_memory_is_told_to_programs() {
    let place = Place::new();
    let toy = fs::read_to_string(place.path().join("toy.nn")).unwrap();
    let toy = toy
        .replace("column  y", "column  text : text = \"y\"\n  column  y")
        .replace(
            "  input   x",
            "  fit     words = Tokenizer(train.text, num_words = 1_000_000_000)\n  input   x",
        )
        .replace(
            "target ",
            "input   bag : [1_000_000_000] = text |> bag(words)\n  target ",
        )
        .replace(
            "(x: [2]) -> prob {",
            "(x: [2], bag: [1_000_000_000]) -> prob {",
        );
    fs::write(place.path().join("toy.nn"), toy).unwrap();
    let script = format!(
        "ulimit -v 3000000; exec '{}' run toy.nn --json --quiet --threads 1 --out w",
        env!("CARGO_BIN_EXE_nnc")
    );
    let mut command = std::process::Command::new("bash");
    let command = command.current_dir(place.path()).args(["-c", &script]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", err(&output));
    let events = out(&output);
    let event: serde_json::Value = serde_json::from_str(events.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&event["event"], &event["code"]),
        (&"error".into(), &"E0960".into())
    );
    assert!(
        event["message"].as_str().unwrap().contains("memory"),
        "{event}"
    );
}

/// What a run writes is its folder's: where that goes away or cannot be made, it says so.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_vanishes_or_cannot_be_made_is_told() {
    use std::io::{BufRead, BufReader};
    let place = Place::new();
    for out in ["toy.csv/w", "/proc/w", "/dev/null"] {
        let text = refused(&place, &format!("run toy.nn --quiet --out {out}"));
        assert!(
            text.contains("error[E0954]") && text.contains(out),
            "{text}"
        );
    }
    let mut child = place
        .command("run toy.nn --json --epochs 1000000 --out gone")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
    while !told.next().unwrap().unwrap().contains(r#""event":"epoch""#) {}
    // the run may write while it is removed
    let folder = place.path().join("gone");
    while folder.exists() {
        let _ = fs::remove_dir_all(&folder);
    }
    told.for_each(drop);
    let output = child.wait_with_output().unwrap();
    let text = err(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("error[E0903]: gone/"), "{text}");
    // nothing is proposed that is gone
    assert!(!text.contains("--resume"), "{text}");
}

/// Weights of a program without the vocabulary that this one has are not its weights.
#[test]
fn weights_without_a_vocabulary_do_not_fit() {
    let place = Place::new();
    place.events("run toy.nn --json --quiet --out w");
    let text =
        "  column  text : text = \"y\"\n  fit     words = Tokenizer(train.text, num_words = 10)\n";
    let text = format!("{text}  input   bag : [10] = text |> bag(words)\n  target ");
    change(
        &place,
        &[
            ("  target ", text.as_str()),
            ("(x: [2]) -> prob {", "(x: [2], bag: [10]) -> prob {"),
            ("x |>", "concat(x, bag) |>"),
        ],
    );
    for command in ["evaluate toy.nn", "predict toy.nn --input toy.csv"] {
        let args = format!("{command} --weights w/weights.safetensors");
        let text = refused(&place, &args);
        assert!(
            text.contains("error[E0943]") && text.contains("`words` is missing"),
            "{text}"
        );
    }
}
