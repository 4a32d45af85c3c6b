//! Rows that are read some at a time: the same bits however they are read, and a cache that
//! can be lost, damaged or full.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nnc::check::{Host, check_file};
use nnc::data::Order;
use nnc::spec::Runtime;
use nnc::spec::{DataSpec, Part};
use nnc::train::dataset::{Dataset, Places, Reading, Streaming};
use tempfile::TempDir;

const PROGRAM: &str = r#"
data d {
  source  csv("rows.csv", stream = true)
  column  x : [4]      = a .. d
  column  n : int
  column  y : class[2]
  split   { train 80%, val 10%, test 10% }
  fit     seen = statistics(train.x)
  fit     how  = statistics(train.n)
  input   x : [4]      = minmax(standardize(x, seen), seen)
  input   n : [1]      = expand(standardize(n, how), 1)
  target  y : class[2]
}
model M(x: [4], n: [1]) -> prob { concat(x, n) |> Dense(8, relu) |> Dense(1, sigmoid) }
train M on d {
  loss       binary_crossentropy
  optimizer  Adam(1e-2)
  metrics    accuracy
  epochs     2
  batch      64
}
"#;

/// Numbers that look random; `n` counts the rows.
fn text(rows: usize) -> String {
    let mut text = String::from("a,b,c,d,n,y\n");
    for row in 0..rows {
        let x = |k: usize| ((row * k + row / 7) % 1009) as f64 / 100.0 - 5.0;
        let y = u8::from(x(37) + x(91) > x(113));
        text += &format!(
            "{:.2},{:.2},{:.2},{:.2},{row},{y}\n",
            x(37),
            x(91),
            x(113),
            x(5)
        );
    }
    text
}

struct Place(TempDir);

impl Place {
    fn new(csv: &str) -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        fs::write(place.path("rows.csv"), csv).unwrap();
        fs::write(place.path("s.nn"), PROGRAM).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.0.path());
        command.env("NNC_CACHE", self.path("cache"));
        command
    }

    fn nnc(&self, args: &str) -> Output {
        let mut command = self.command(env!("CARGO_BIN_EXE_nnc"));
        command.args(args.split(' ')).output().unwrap()
    }

    /// What is said on stdout and on stderr of what must succeed.
    fn fine(&self, args: &str) -> (String, String) {
        let output = self.nnc(args);
        let (out, err) = said(&output);
        assert!(output.status.success(), "nnc {args}\n{out}{err}");
        (out, err)
    }

    fn weights(&self, out: &str) -> Vec<u8> {
        fs::read(self.path(out).join("weights.safetensors")).unwrap()
    }

    fn entries(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("cache/tables")).unwrap();
        entries.map(|e| e.unwrap().path()).collect()
    }
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn threads_and_interruptions_make_no_difference_and_a_file_is_parsed_once() {
    let place = Place::new(&text(3000));
    let (_, told) = place.fine("run s.nn --out one --threads 1");
    assert!(
        told.starts_with("parsed rows.csv: 3,000 rows, cached as 70.5"),
        "{told}"
    );
    let (out, told) = place.fine("run s.nn --out two --threads 2 --json");
    assert!(out.contains("\"data_bytes\":504000,"), "{out}");
    assert!(
        !told.contains("parsed") && !out.contains("cached"),
        "{out}{told}"
    );
    let one = place.weights("one");
    assert!(place.weights("two") == one, "threads");
    // 38 batches an epoch
    place.fine("run s.nn --out three --limit-steps 51");
    assert!(place.weights("three") != one);
    place.fine("run s.nn --resume three");
    assert!(place.weights("three") == one, "resumed");
    assert_eq!(place.entries().len(), 1);

    let (first, _) = place.fine("evaluate s.nn --weights one/weights.safetensors --json");
    let events = fs::read_to_string(place.path("one/events.jsonl")).unwrap();
    let test = events
        .lines()
        .find(|l| l.contains("\"event\":\"test\""))
        .unwrap();
    let value = |line: &str| -> serde_json::Value { serde_json::from_str(line).unwrap() };
    assert_eq!(value(&first)["loss"], value(test)["loss"]);
    assert_eq!(value(&first)["rows"], 300);

    // compressed it is another file, of the same rows
    let gz = fs::File::create(place.path("rows.csv.gz")).unwrap();
    let mut gz = flate2::write::GzEncoder::new(gz, flate2::Compression::fast());
    std::io::Write::write_all(&mut gz, text(3000).as_bytes()).unwrap();
    gz.finish().unwrap();
    fs::remove_file(place.path("rows.csv")).unwrap();
    let (out, _) = place.fine("run s.nn --out four --json");
    assert!(
        value(out.lines().next().unwrap())["event"] == "cached",
        "{out}"
    );
    let tensors = |bytes: &[u8]| {
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        bytes[8 + header..].to_vec()
    };
    assert!(
        tensors(&place.weights("four")) == tensors(&one),
        "compressed"
    );

    // other rows are other data
    fs::remove_file(place.path("rows.csv.gz")).unwrap();
    fs::write(place.path("rows.csv"), text(2999)).unwrap();
    let output = place.nnc("run s.nn --resume three --epochs 3");
    let (_, told) = said(&output);
    assert!(
        told.contains("the data changed (what the file of `train` holds)"),
        "{told}"
    );
}

#[test]
fn what_is_wrong_with_the_cache_is_mended_or_told() {
    let place = Place::new(&text(500));
    place.fine("run s.nn --out one");
    let entry = place.entries().remove(0);
    let whole = fs::read(&entry).unwrap();
    let mut damaged = whole.clone();
    damaged[1000] ^= 1;
    for (i, bytes) in [&damaged[..], &whole[..whole.len() / 2]]
        .into_iter()
        .enumerate()
    {
        fs::write(&entry, bytes).unwrap();
        let (_, told) = place.fine(&format!("run s.nn --out again{i}"));
        assert!(told.contains("is corrupt; rebuilding it"), "{told}");
        assert!(fs::read(&entry).unwrap() == whole);
        assert!(place.weights(&format!("again{i}")) == place.weights("one"));
    }

    fs::remove_dir_all(place.path("cache")).unwrap();
    fs::write(place.path("cache"), "a file").unwrap();
    let output = place.nnc("run s.nn --out bad");
    assert_eq!(output.status.code(), Some(3));
    let (_, told) = said(&output);
    assert!(
        told.contains("error[E0903]") && told.contains("cannot create the folder"),
        "{told}"
    );
    assert!(!place.path("bad").exists());
}

#[test]
#[cfg(unix)]
fn a_cache_without_room_leaves_nothing() {
    let place = Place::new(&text(5000));
    // files of 50 KiB at most
    let line = format!(
        "trap '' XFSZ; ulimit -f 50; exec {} run s.nn --out out",
        env!("CARGO_BIN_EXE_nnc")
    );
    let output = place.command("bash").args(["-c", &line]).output().unwrap();
    let (_, told) = said(&output);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(
        told.contains("error[E0903]") && told.contains(".rows: cannot write the file"),
        "{told}"
    );
    assert_eq!(place.entries(), Vec::<PathBuf>::new());
    assert!(!place.path("out").exists());
}

#[test]
fn a_broken_row_is_named_and_nothing_is_left() {
    let broken = text(20_000).replace(",12344,", ",12344.5,");
    let place = Place::new(&broken);
    let output = place.nnc("run s.nn --out out");
    let (_, told) = said(&output);
    let expected = "rows.csv:12346: row 12345, column `n`: found `12344.5`";
    assert!(
        told.contains("error[E0916]") && told.contains(expected),
        "{told}"
    );
    assert_eq!(place.entries(), Vec::<PathBuf>::new());
    assert!(!place.path("out").exists());
}

#[test]
fn a_stream_is_looked_at_and_predicted_as_a_table_is() {
    let place = Place::new(&text(800));
    place.fine("run s.nn --out one --quiet");
    let (shown, _) = place.fine("inspect s.nn --sample 2");
    assert!(shown.contains("640 train / 80 val / 80 test"), "{shown}");
    assert!(
        shown.contains("class[2]") && shown.contains("column n ="),
        "{shown}"
    );
    // to a file some rows at a time, to stdout all at once
    fs::write(place.path("more.csv"), text(9000)).unwrap();
    let predict = "predict s.nn --weights one/weights.safetensors --input more.csv";
    let (_, told) = place.fine(&format!("{predict} --output p.csv"));
    assert!(told.contains("wrote 9,000 predictions to p.csv"), "{told}");
    let (whole, _) = place.fine(predict);
    assert_eq!(whole.lines().count(), 9001);
    assert!(fs::read_to_string(place.path("p.csv")).unwrap() == whole);
    let broken = text(9000).replace(",8000,", ",,");
    fs::write(place.path("more.csv"), broken).unwrap();
    for to in ["q.csv", "-"] {
        let output = place.nnc(&format!("{predict} --output {to}"));
        let (out, told) = said(&output);
        assert!(
            told.contains("more.csv:8002: row 8001, column `n`"),
            "{told}"
        );
        assert!(out.is_empty() && !place.path("q.csv").exists(), "{out}");
    }
    // all of the rows: what is in memory says the same
    let whole = PROGRAM.replace("  split   { train 80%, val 10%, test 10% }\n", "");
    fs::write(place.path("s.nn"), &whole).unwrap();
    fs::write(place.path("m.nn"), whole.replace(", stream = true", "")).unwrap();
    let (streamed, _) = place.fine("inspect s.nn --sample 3");
    let (held, _) = place.fine("inspect m.nn --sample 3");
    assert_eq!(streamed, held);
}

// with blocks and windows of a few rows

struct Text<'a>(&'a str);

impl Host for Text<'_> {
    fn runtime(&self) -> Runtime {
        nnc::train::RUNTIME
    }

    fn read(&self, _: &str) -> Result<String, String> {
        Ok(self.0.into())
    }
}

fn spec(program: &str) -> DataSpec {
    let report = check_file(&Text(program), "s.nn", &[]);
    report.checked.unwrap().data.unwrap()
}

fn load(place: &Place, spec: &DataSpec) -> Dataset {
    let places = Places {
        program: place.0.path().to_owned(),
        asked: None,
    };
    let mut streaming = Streaming::new(&|_| {});
    streaming.cache = Some(place.path("cache"));
    (streaming.block, streaming.window) = (24 * 10, 6);
    let reading = Reading {
        places: &places,
        seed: 5,
        threads: 1,
        workers: None,
        fitted: None,
        ranges: Default::default(),
        streaming,
    };
    let needed = BTreeSet::from(["x", "n", "y"]);
    Dataset::load(spec, &needed, reading).unwrap()
}

/// The numbers of the rows of a part, batch after batch.
fn visited(data: &Dataset, part: Part, epoch: u64, order: Order) -> Vec<i32> {
    let batches = data.batches(part, &["n", "x"], 32, order).unwrap();
    let mut batches = batches.unwrap();
    let mut epoch = batches.epoch(epoch);
    let mut all = Vec::new();
    while let Some(batch) = epoch.next_batch().unwrap() {
        all.extend(batch.column(0).i32s().unwrap());
    }
    all
}

#[test]
fn parts_are_as_large_as_in_memory_and_epochs_visit_each_row_once() {
    let place = Place::new(&text(1001));
    let data = load(&place, &spec(PROGRAM));
    let held = load(&place, &spec(&PROGRAM.replace(", stream = true", "")));
    assert!(data.window_bytes() > 0 && held.window_bytes() == 0);
    assert!(data.bytes() < held.bytes());
    let order = Order::Shuffled { seed: 5 };
    let mut all = Vec::new();
    for part in Part::ALL {
        assert_eq!(data.rows(part), held.rows(part));
        let first = visited(&data, part, 0, order);
        let second = visited(&data, part, 1, order);
        assert!(first != second && first == visited(&data, part, 0, order));
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(visited(&data, part, 3, Order::Sequential), sorted);
        all.extend(first);
    }
    all.sort_unstable();
    assert_eq!(all, (0..1001).collect::<Vec<_>>());
    let changed: HashMap<_, _> = data.hashes().into_iter().collect();
    assert_eq!(changed.len(), 6, "{changed:?}");
}

#[test]
fn statistics_have_the_bits_that_they_have_in_memory() {
    let whole = PROGRAM.replace("  split   { train 80%, val 10%, test 10% }\n", "");
    let place = Place::new(&text(777));
    let streamed = load(&place, &spec(&whole));
    let held = load(&place, &spec(&whole.replace(", stream = true", "")));
    assert_eq!(streamed.fitted().statistics.len(), 6);
    assert_eq!(streamed.fitted().statistics, held.fitted().statistics);
}

#[test]
fn several_files_are_one_table() {
    let place = Place::new(&text(300));
    let more = text(500);
    let (head, rows) = more.split_once('\n').unwrap();
    let rest: Vec<&str> = rows.lines().skip(300).collect();
    fs::write(
        place.path("more.csv"),
        format!("{head}\n{}\n", rest.join("\n")),
    )
    .unwrap();
    let source = "  source  csv(\"rows.csv\", stream = true)\n";
    let two = PROGRAM.replace(
        source,
        &format!("{source}{}", source.replace("rows", "more")),
    );
    let data = load(&place, &spec(&two));
    assert_eq!(Part::ALL.map(|p| data.rows(p)), [400, 50, 50]);
    let mut all: Vec<i32> = Part::ALL
        .iter()
        .flat_map(|p| visited(&data, *p, 0, Order::Sequential))
        .collect();
    all.sort_unstable();
    assert_eq!(all, (0..500).collect::<Vec<_>>());
    assert!(Path::new(&place.path("cache")).is_dir());
}
