//! JSON lines, Parquet, texts and sounds by folder: what is read of sound files.
//! What is said of broken ones is in `malformed.rs`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nnc::data::formats::csv::{ColumnSpec, Select};
use nnc::data::formats::folder::Folder;
use nnc::data::formats::jsonl::{jsonl_names, read_jsonl};
use nnc::data::formats::parquet::{parquet_names, read_parquet};
use nnc::data::formats::texts::{self, read_texts};
use nnc::data::formats::wav::{self, read_wavs};
use nnc::data::{ColumnData, ElementType, Table};
use tempfile::TempDir;

use crate::data::gz;

use ElementType::{Class, F32, I32, Text, U8};

fn spec(name: &str, element: ElementType, shape: &[usize]) -> ColumnSpec {
    chosen(name, Select::Name(name.into()), element, shape)
}

fn chosen(name: &str, select: Select, element: ElementType, shape: &[usize]) -> ColumnSpec {
    ColumnSpec {
        name: name.into(),
        select,
        element,
        shape: Some(shape.to_vec()),
        missing: false,
    }
}

fn file(name: &str, bytes: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn f32s(table: &Table, name: &str) -> Vec<f32> {
    match table.column(name).unwrap().data() {
        ColumnData::F32(v) => v.clone(),
        other => panic!("{name}: {other:?}"),
    }
}

fn i32s(table: &Table, name: &str) -> Vec<i32> {
    match table.column(name).unwrap().data() {
        ColumnData::I32(v) => v.clone(),
        other => panic!("{name}: {other:?}"),
    }
}

fn strings(table: &Table, name: &str) -> Vec<String> {
    match table.column(name).unwrap().data() {
        ColumnData::Text(v) => v.iter().map(str::to_owned).collect(),
        other => panic!("{name}: {other:?}"),
    }
}

// JSON lines

const LINES: &str = "\u{feff}{\"id\": 7, \"x\": [1, 2.5], \"grid\": [[1, 2], [3, 4]], \"t\": \"a\\u00e9\\n\", \"ok\": true}

{\"ok\": false, \"t\": \"\", \"grid\": [[5, 6], [7, 8]], \"more\": {\"deep\": [null]}, \"x\": [-1e-3, 3], \"id\": 8.0}
";

#[test]
fn json_lines_are_read_by_name_and_shape() {
    for (name, bytes) in [
        ("a.jsonl", LINES.as_bytes().to_vec()),
        ("a.jsonl.gz", gz(LINES.as_bytes())),
    ] {
        let (_folder, path) = file(name, bytes);
        let specs = [
            spec("id", I32, &[]),
            spec("x", F32, &[2]),
            spec("grid", F32, &[2, 2]),
            spec("t", Text, &[]),
            spec("ok", Class(2), &[]),
            chosen("first", Select::Index(0), F32, &[]),
            chosen("flat", Select::Name("x".into()), F32, &[1, 2]),
        ];
        let table = read_jsonl(&path, &specs).unwrap();
        assert_eq!(i32s(&table, "id"), [7, 8]);
        assert_eq!(f32s(&table, "x"), [1.0, 2.5, -1e-3, 3.0]);
        assert_eq!(f32s(&table, "grid"), [1., 2., 3., 4., 5., 6., 7., 8.]);
        assert_eq!(strings(&table, "t"), ["aé\n", ""]);
        assert_eq!(i32s(&table, "ok"), [1, 0]);
        assert_eq!(f32s(&table, "first"), [7.0, 8.0]);
        assert_eq!(table.column("flat").unwrap().shape(), [1, 2]);
        assert_eq!(jsonl_names(&path).unwrap(), ["id", "x", "grid", "t", "ok"]);
    }
}

#[test]
fn a_range_of_json_fields_is_one_column() {
    let (_folder, path) = file(
        "a.jsonl",
        "{\"a\": 1, \"b\": 2, \"c\": 3}\n{\"c\": 6, \"b\": 5, \"a\": 4}",
    );
    let range = Select::Names("a".into(), "c".into());
    let specs = [
        chosen("all", range, U8, &[3]),
        chosen("last", Select::Indices(1, 2), I32, &[2]),
    ];
    let table = read_jsonl(&path, &specs).unwrap();
    let all = table.column("all").unwrap().data();
    assert_eq!(all, &ColumnData::U8(vec![1, 2, 3, 4, 5, 6]));
    assert_eq!(i32s(&table, "last"), [2, 3, 5, 6]);
}

// Parquet

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

#[test]
fn parquet_of_pyarrow_is_read_whatever_its_encoding() {
    const N: i32 = 300;
    let each = || 0..N;
    for name in ["parquet.v1.parquet", "parquet.v2.parquet"] {
        let path = fixture(name);
        let specs = [
            spec("flag", Class(2), &[]),
            spec("small", I32, &[]),
            spec("byte", U8, &[]),
            spec("wide", I32, &[]),
            spec("large", F32, &[]),
            spec("x", F32, &[]),
            spec("y", F32, &[]),
            spec("day", I32, &[]),
            spec("word", Text, &[]),
            spec("long", Text, &[]),
            spec("pair", F32, &[2]),
            spec("grid", I32, &[2, 3]),
            chosen("range", Select::Names("x".into(), "y".into()), F32, &[2]),
            chosen("second", Select::Index(1), F32, &[1]),
        ];
        let table = read_parquet(&path, &specs[..4]).unwrap();
        let threes: Vec<i32> = each().map(|i| i32::from(i % 3 == 0)).collect();
        assert_eq!(i32s(&table, "flag"), threes, "{name}");
        assert_eq!(
            i32s(&table, "small"),
            each().map(|i| i % 7).collect::<Vec<_>>()
        );
        let wide: Vec<i32> = each().map(|i| i * 1000 - 7).collect();
        assert_eq!(i32s(&table, "wide"), wide);
        // most of these f32 does not hold exactly
        let error = read_parquet(&path, &specs[4..5]).unwrap_err().to_string();
        assert!(error.ends_with("row 2, column `large`: found `2147483649`, expected an integer that f32 represents exactly"), "{error}");
        let table = read_parquet(&path, &specs[5..]).unwrap();
        let x: Vec<f32> = each().map(|i| i as f32 / 8.0).collect();
        let y: Vec<f32> = each().map(|i| i as f32 / 16.0 - 3.0).collect();
        assert_eq!(
            (f32s(&table, "x"), f32s(&table, "y")),
            (x.clone(), y.clone())
        );
        let both: Vec<f32> = x.iter().zip(&y).flat_map(|(x, y)| [*x, *y]).collect();
        assert_eq!(f32s(&table, "range"), both);
        assert_eq!(
            i32s(&table, "day"),
            each().map(|i| i + 19000).collect::<Vec<_>>()
        );
        let words: Vec<String> = each().map(|i| format!("word {} é", i % 5)).collect();
        assert_eq!(strings(&table, "word"), words);
        let long: Vec<String> = each().map(|i| format!("prefix/{}/{i}", i / 10)).collect();
        assert_eq!(strings(&table, "long"), long);
        let pair: Vec<f32> = each().flat_map(|i| [i as f32 / 2.0, -i as f32]).collect();
        assert_eq!(f32s(&table, "pair"), pair);
        let grid: Vec<i32> = each().flat_map(|i| [i, 1, 2, 3, 4, i]).collect();
        assert_eq!(i32s(&table, "grid"), grid);
        assert_eq!(table.column("grid").unwrap().shape(), [2, 3]);
        assert_eq!(table.column("second").unwrap().shape(), [1]);
        assert_eq!(parquet_names(&path).unwrap().len(), 13);
        let error = read_parquet(&path, &[spec("holes", F32, &[])]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "{}: row 251, column `holes`: found null, expected a number",
                path.display()
            )
        );
    }
}

/// Marks of missing values, where a column takes them.
#[test]
fn null_is_a_missing_value_where_one_may_be() {
    let missing = |name: &str, element| ColumnSpec {
        missing: true,
        ..spec(name, element, &[])
    };
    let holes = missing("holes", ElementType::F32);
    let table = read_parquet(&fixture("parquet.v2.parquet"), &[holes]).unwrap();
    let values = f32s(&table, "holes");
    assert!(values[250].is_nan() && values[249].is_finite());
    let lines =
        "{\"x\": 1, \"n\": null}\n{\"x\": null, \"n\": 2}\n{\"n\": 3}\n{\"x\": \"NA\", \"n\": 4}\n";
    let (_folder, path) = file("a.jsonl", lines);
    let specs = [
        missing("x", ElementType::F32),
        missing("n", ElementType::I32),
    ];
    let table = read_jsonl(&path, &specs).unwrap();
    let x = f32s(&table, "x");
    assert!(x[0] == 1.0 && x[1..].iter().all(|x| x.is_nan()), "{x:?}");
    assert_eq!(i32s(&table, "n"), [i32::MIN, 2, 3, 4]);
    let there = nnc::data::missing::flags(table.column("n").unwrap());
    assert_eq!(there, [1, 0, 0, 0]);
}

#[test]
fn parquet_of_this_crate_is_read() {
    use parquet::data_type::{DoubleType, Int64Type};
    use parquet::file::writer::SerializedFileWriter;
    let schema = "message m { REQUIRED INT64 id; OPTIONAL DOUBLE x; REPEATED INT64 all; }";
    let schema = Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Default::default()).unwrap();
    for group in 0..2i64 {
        let mut rows = writer.next_row_group().unwrap();
        let mut column = rows.next_column().unwrap().unwrap();
        let ids = [group, group + 10];
        column
            .typed::<Int64Type>()
            .write_batch(&ids, None, None)
            .unwrap();
        column.close().unwrap();
        let mut column = rows.next_column().unwrap().unwrap();
        let values = [0.5, -1.5];
        column
            .typed::<DoubleType>()
            .write_batch(&values, Some(&[1, 1]), None)
            .unwrap();
        column.close().unwrap();
        let mut column = rows.next_column().unwrap().unwrap();
        let values = [1, 2, 3, 4, 5, group];
        let (defs, reps) = ([1; 6], [0, 1, 1, 0, 1, 1]);
        column
            .typed::<Int64Type>()
            .write_batch(&values, Some(&defs), Some(&reps))
            .unwrap();
        column.close().unwrap();
        rows.close().unwrap();
    }
    let (_folder, path) = file("a.parquet", writer.into_inner().unwrap());
    let specs = [
        spec("id", I32, &[]),
        spec("x", F32, &[]),
        spec("all", U8, &[3]),
    ];
    let table = read_parquet(&path, &specs).unwrap();
    assert_eq!(i32s(&table, "id"), [0, 10, 1, 11]);
    assert_eq!(f32s(&table, "x"), [0.5, -1.5, 0.5, -1.5]);
    let all = table.column("all").unwrap().data();
    assert_eq!(
        all,
        &ColumnData::U8(vec![1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 1])
    );
}

// Folders

#[test]
fn texts_of_a_folder_are_rows() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("pos/1.txt", "good\nfilm");
    write("neg/2.txt", "");
    write("neg/1.txt", "\u{feff}bäd");
    let folder = Folder::of_classes(folder.path(), texts::ENDINGS, None).unwrap();
    let specs = [
        spec("text", Text, &[]),
        spec("label", Class(2), &[]),
        chosen("name", Select::Name("label".into()), Text, &[]),
        spec("path", Text, &[]),
    ];
    let table = read_texts(&folder, &specs).unwrap();
    assert_eq!(strings(&table, "text"), ["bäd", "", "good\nfilm"]);
    assert_eq!(i32s(&table, "label"), [0, 0, 1]);
    assert_eq!(strings(&table, "name"), ["neg", "neg", "pos"]);
    assert_eq!(
        strings(&table, "path"),
        ["neg/1.txt", "neg/2.txt", "pos/1.txt"]
    );
}

pub(crate) fn wav(bits: u16, float: bool, channels: u16, rate: u32, samples: &[f64]) -> Vec<u8> {
    let spec = hound::WavSpec {
        channels,
        sample_rate: rate,
        bits_per_sample: bits,
        sample_format: match float {
            true => hound::SampleFormat::Float,
            false => hound::SampleFormat::Int,
        },
    };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    for &x in samples {
        match float {
            true => writer.write_sample(x as f32).unwrap(),
            false => {
                let whole = x * 2f64.powi(i32::from(bits) - 1);
                writer.write_sample(whole as i32).unwrap();
            }
        }
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

#[test]
fn sounds_of_every_kind_are_samples_from_minus_one_to_one() {
    let folder = tempfile::tempdir().unwrap();
    let samples = [0.0, 0.5, -0.25, -1.0, 0.75];
    let kinds = [
        (8, false),
        (16, false),
        (24, false),
        (32, false),
        (32, true),
    ];
    for (class, (bits, float)) in kinds.into_iter().enumerate() {
        let class = folder.path().join(format!("{class}"));
        std::fs::create_dir(&class).unwrap();
        std::fs::write(class.join("a.WAV"), wav(bits, float, 1, 8000, &samples)).unwrap();
    }
    let of = Folder::of_classes(folder.path(), wav::ENDINGS, None).unwrap();
    let specs = [
        chosen("whole", Select::Name("audio".into()), F32, &[7, 1]),
        chosen("cut", Select::Name("audio".into()), F32, &[2]),
        spec("label", I32, &[]),
    ];
    let table = read_wavs(&of, Some(8000), &specs).unwrap();
    for row in f32s(&table, "whole").chunks(7) {
        assert_eq!(row, [0.0, 0.5, -0.25, -1.0, 0.75, 0.0, 0.0]);
    }
    assert_eq!(f32s(&table, "cut"), [0.0, 0.5].repeat(5));
    assert_eq!(i32s(&table, "label"), [0, 1, 2, 3, 4]);

    // two channels in turn
    let path = folder.path().join("0/a.WAV");
    std::fs::write(&path, wav(16, false, 2, 8000, &[0.0, 0.5, 0.25, -0.5])).unwrap();
    let only = ["0".to_owned()];
    let of = Folder::of_classes(folder.path(), wav::ENDINGS, Some(&only)).unwrap();
    let two = [chosen("x", Select::Name("audio".into()), F32, &[3, 2])];
    let table = read_wavs(&of, None, &two).unwrap();
    assert_eq!(f32s(&table, "x"), [0.0, 0.5, 0.25, -0.5, 0.0, 0.0]);
}

// Through the command

/// Trains on `files` with the data block's `lines`, then predicts `input`; what is written.
fn predicted(lines: &str, model: &str, files: &[(&str, Vec<u8>)], input: &str) -> String {
    let place = crate::cli::Place::new();
    for (path, bytes) in files {
        let path = place.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let program = format!(
        "data d {{\n{lines}\n}}\n{model}\ntrain M on d {{\n  loss binary_crossentropy\n  optimizer SGD(lr = 1e-30)\n}}\n"
    );
    std::fs::write(place.path().join("a.nn"), program).unwrap();
    place.events("run a.nn --json --out o");
    let weights = "--weights o/weights.safetensors";
    let output = place.nnc(&format!("predict a.nn {weights} --input {input}"));
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        crate::cli::err(&output)
    );
    let inspected = place.nnc("inspect a.nn --sample 1");
    let told = crate::cli::err(&inspected);
    assert_eq!(inspected.status.code(), Some(0), "{told}");
    crate::cli::out(&output)
}

const HALF: &str = "model M(x: [2]) -> prob { x |> Dense(1, sigmoid, kernel_initializer = zeros) }";

#[test]
fn rows_of_every_format_are_trained_on_and_predicted() {
    let lines = "{\"x\": [1, 2], \"y\": 0}\n{\"x\": [3, 4], \"y\": 1}\n";
    let block = |source: &str| {
        format!(
            "source {source}\ncolumn x : [2]\ncolumn y : class[2]\ninput x : [2]\ntarget y : class[2]"
        )
    };
    let json = gz(lines.as_bytes());
    let files = [
        ("a.jsonl.gz", json),
        ("new.jsonl", b"{\"x\": [5, 6]}\n".to_vec()),
    ];
    let told = predicted(&block("jsonl(\"a.jsonl\")"), HALF, &files, "new.jsonl");
    assert_eq!(told, "class,p\n1,0.5\n");

    let table = crate::malformed::tables::good();
    let files = [("a.parquet", table)];
    let told = predicted(&block("parquet(\"a.parquet\")"), HALF, &files, "a.parquet");
    assert_eq!(told, "class,p\n1,0.5\n1,0.5\n");
}

#[test]
fn files_of_a_folder_are_trained_on_and_predicted() {
    let sound = |x: f64| wav(16, false, 1, 8000, &[x; 3]);
    let files = [
        ("s/a/1.wav", sound(0.5)),
        ("s/b/1.wav", sound(-0.5)),
        ("new/2.wav", sound(0.1)),
        ("new/1.wav", sound(0.2)),
    ];
    let block = "source wavs(\"s\", rate = 8000)\ncolumn x : [2] = audio\ncolumn y : class[2] = label\ninput x : [2]\ntarget y : class[2]";
    let told = predicted(block, HALF, &files, "new");
    assert_eq!(told, "path,class,p\n1.wav,1,0.5\n2.wav,1,0.5\n");

    let text = |t: &str| t.as_bytes().to_vec();
    let files = [
        ("t/neg/1.txt", text("a bad film")),
        ("t/pos/1.txt", text("a good film")),
        ("t/pos/2.txt", text("good")),
        ("new/x.txt", text("bad")),
    ];
    let block = "source texts(\"t\")\ncolumn t : text = text\ncolumn y : class[2] = label\nsplit { train 2, val 1 }\nfit vocab = Tokenizer(train.t, num_words = 2)\ninput x : [2] = t |> bag(vocab)\ntarget y : class[2]";
    let told = predicted(block, HALF, &files, "new");
    assert_eq!(told, "path,class,p\nx.txt,1,0.5\n");
}
