//! Text columns from the file to the batch, as the command's users see them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = r#"
data reviews {
  source  tsv("reviews.tsv")
  column  review : text
  column  kind   : class[2]
  split   stratify(kind) { train 60%, val 20%, test 20% }
  fit     vocab   = Tokenizer(train.review, oov_token = "<OOV>")
  fit     lengths = statistics(train.review |> tokens(vocab) |> len)
  fit     length  = minimum(lengths.mean + 2 * lengths.std, 90)
  input   ids : token[vocab.size][length] = review |> tokens(vocab) |> pad(length, side = post)
  input   bag : [vocab.size] = review |> bag(vocab, mode = tfidf)
  input   n   : int = review |> tokens(vocab) |> len
  target  y   : class[2] = kind
}

model Kind(ids: token[vocab.size][length], bag: [vocab.size], n: int) -> prob {
  read = ids |> Embedding(vocab.size, 4) |> Flatten
  concat(read, bag, cast(expand(n, 1), real) / 100) |> Dense(4, relu) |> Dense(1, sigmoid)
}

train Kind on reviews {
  loss       binary_crossentropy
  optimizer  Adam(lr = 0.01)
  metrics    accuracy
  epochs     30
  batch      16
  seed       3
}
"#;

/// A folder with `kind.nn` and 100 reviews of one line, some with quotes and tabs.
fn place() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("kind.nn"), PROGRAM).unwrap();
    let mut text = String::from("kind\treview\n");
    for i in 0..100 {
        let word = if i % 2 == 0 { "splendid" } else { "dreadful" };
        text += &format!("{}\t{}\n", i % 2, review(i, word));
    }
    fs::write(folder.path().join("reviews.tsv"), text).unwrap();
    folder
}

fn review(i: usize, word: &str) -> String {
    let rest = ["plot", "cast", "Über", "end<br />"]
        .repeat(i % 5 + 1)
        .join(" ");
    format!("\"A {word} film, \"\"no {i}\"\"\t{rest}.\"")
}

fn nnc(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nnc"))
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn fine(folder: &Path, args: &[&str]) -> String {
    let out = nnc(folder, args);
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{args:?}: {said}");
    String::from_utf8(out.stdout).unwrap()
}

fn event(out: &str, name: &str) -> Value {
    let all = out
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap());
    let mut named = all.filter(|e| e["event"] == name);
    named.next_back().unwrap_or_else(|| panic!("no `{name}`"))
}

#[test]
fn a_run_is_the_same_on_any_number_of_threads_and_learns_which_word_matters() {
    let place = place();
    let run = |out: &str, threads: &str| {
        let args = [
            "run",
            "kind.nn",
            "--json",
            "--out",
            out,
            "--threads",
            threads,
        ];
        event(&fine(place.path(), &args), "test")
    };
    let one = run("one", "1");
    assert_eq!(one, run("two", "3"));
    assert!(one["accuracy"].as_f64().unwrap() > 0.9, "{one}");
    let weights = |f: &str| fs::read(place.path().join(f).join("weights.safetensors")).unwrap();
    assert!(weights("one") == weights("two"));
}

#[test]
fn saved_weights_bring_their_vocabulary_and_sizes() {
    let place = place();
    let out = fine(place.path(), &["run", "kind.nn", "--json", "--out", "o"]);
    let tested = event(&out, "test");
    let with = ["--weights", "o/weights.safetensors"];
    let args = [&["evaluate", "kind.nn", "--json"][..], &with].concat();
    let again = event(&fine(place.path(), &args), "test");
    assert_eq!(
        (&again["loss"], &again["accuracy"]),
        (&tested["loss"], &tested["accuracy"])
    );

    // the training rows are gone: what they said is with the weights
    fs::remove_file(place.path().join("reviews.tsv")).unwrap();
    let asked = format!(
        "review\n{}\n{}\nnever met\n",
        review(7, "splendid"),
        review(7, "dreadful")
    );
    fs::write(place.path().join("new.tsv"), &asked).unwrap();
    let args = [&["predict", "kind.nn", "--input", "new.tsv"][..], &with].concat();
    let said = fine(place.path(), &args);
    assert_eq!(said.lines().count(), 4, "{said}");
    let args = [
        &["predict", "kind.nn", "--input", "new.tsv", "--threads", "1"][..],
        &with,
    ]
    .concat();
    assert_eq!(fine(place.path(), &args), said);
}

#[test]
fn inspect_shows_what_the_model_is_fed() {
    let place = place();
    let args = [
        "inspect", "kind.nn", "--json", "--sample", "2", "--words", "3",
    ];
    let found = event(&fine(place.path(), &args), "inspected");
    assert_eq!(found["rows"]["train"], 60);
    let vocabulary = &found["vocabularies"][0];
    assert_eq!(vocabulary["document_count"], 60);
    assert_eq!(vocabulary["most_frequent"].as_array().unwrap().len(), 3);
    let length = found["fitted_sizes"]["length"].as_u64().unwrap() as usize;
    let size = found["fitted_sizes"]["vocab.size"].as_u64().unwrap() as usize;
    let words = vocabulary["words"].as_u64().unwrap() as usize;
    // 0 is no word, 1 the token for those that are not known
    assert_eq!(size, words + 2);
    let mean = vocabulary["lengths"]["mean"].as_f64().unwrap();
    let std = vocabulary["lengths"]["std"].as_f64().unwrap();
    assert_eq!(length, (mean + 2.0 * std) as usize);
    for sample in found["sample"].as_array().unwrap() {
        let fed = &sample["fed"];
        let ids = fed["ids"].as_array().unwrap();
        assert_eq!(
            (ids.len(), fed["bag"].as_array().unwrap().len()),
            (length, size)
        );
        let real = ids.iter().filter(|x| x.as_f64() != Some(0.0)).count();
        let n = fed["n"][0].as_f64().unwrap() as usize;
        assert_eq!(real, n.min(length), "{sample}");
        let text = sample["columns"]["review"].as_str().unwrap();
        assert!(
            text.starts_with("A ") && text.contains("film, \"no "),
            "{text}"
        );
        assert_eq!(fed["y"], sample["columns"]["kind"]);
    }
    let shown = fine(place.path(), &["inspect", "kind.nn", "--sample", "1"]);
    for part in [
        "review",
        "text",
        "most frequent",
        "tokens per text",
        "fitted sizes: length = ",
        "input ids : token[",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn a_file_without_a_train_block_can_be_inspected() {
    let place = place();
    let data = &PROGRAM[..PROGRAM.find("model").unwrap()];
    fs::write(place.path().join("data.nn"), data).unwrap();
    let shown = fine(place.path(), &["inspect", "data.nn", "--sample", "1"]);
    assert!(shown.contains("input bag : f32["), "{shown}");
    fs::write(place.path().join("none.nn"), "const a = 1\n").unwrap();
    let out = nnc(place.path(), &["inspect", "none.nn"]);
    assert_eq!(out.status.code(), Some(2));
}

const OTHER_WAYS: &str = r#"
data reviews {
  source  tsv("reviews.tsv")
  column  review : text
  column  kind   : class[2]
  split   stratify(kind) { train 60%, val 20%, test 20% }
  fit     vocab   = Tokenizer(train.review, ngrams = 2, num_words = 60)
  fit     vectors = word_vectors("vectors.txt", vocab)
  fit     pieces  = BPE(train.review, vocab_size = 300)
  fit     hashed  = Hashing(train.review, num_words = 20)
  fit     letters = Tokenizer(train.review, char_level = true)
  fit     longest = max(train.review |> tokens(pieces) |> len)
  input   ids : token[60][9]                 = review |> tokens(vocab) |> pad(9)
  input   cut : token[300][longest]          = review |> tokens(pieces) |> pad(longest)
  input   bag : [20]                         = review |> bag(hashed, mode = tfidf)
  input   abc : token[letters.size][longest] = review |> tokens(letters) |> pad(longest)
  target  y   : class[2] = kind
}

model Kind(ids: token[60][9], cut: token[300][longest], bag: [20], abc: token[letters.size][longest]) -> prob {
  known = ids |> Embedding(60, vectors.dim, weights = vectors, trainable = false) |> GlobalAveragePooling1D
  pieces = cut |> Embedding(300, 4) |> GlobalAveragePooling1D
  letters = abc |> Embedding(letters.size, 4) |> Conv1D(4, 3) |> GlobalMaxPooling1D
  concat(known, pieces, letters, bag) |> Dense(1, sigmoid)
}

train Kind on reviews {
  loss       binary_crossentropy
  optimizer  Adam(lr = 0.01)
  metrics    accuracy
  epochs     20
  seed       3
}
"#;

#[test]
fn byte_pairs_hashes_letters_and_vectors_travel_with_the_weights() {
    let place = place();
    let put = |name: &str, text: &str| fs::write(place.path().join(name), text).unwrap();
    put("kind.nn", OTHER_WAYS);
    put(
        "vectors.txt",
        "film 0.5 -1 2\nsplendid 1 2 3\nnowhere 4 4 4\n",
    );
    for (out, threads) in [("o", "1"), ("p", "3")] {
        let args = ["run", "kind.nn", "--out", out, "--threads", threads];
        fine(place.path(), &args);
    }
    let weights = |f: &str| fs::read(place.path().join(f).join("weights.safetensors")).unwrap();
    let bytes = weights("o");
    assert!(bytes == weights("p"));

    // the table is that of the file, and stays it
    let args = ["inspect", "kind.nn", "--json", "--words", "200"];
    let found = event(&fine(place.path(), &args), "inspected");
    let words = found["vocabularies"][0]["most_frequent"]
        .as_array()
        .unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert!(file.tensor("vectors.vectors").is_err());
    let table = file.tensor("embedding/embeddings").unwrap();
    assert_eq!(table.shape(), [60, 3]);
    let rows: Vec<[f32; 3]> = (table.data().as_chunks::<12>().0.iter())
        .map(|row| [0, 4, 8].map(|i| f32::from_le_bytes(row[i..i + 4].try_into().unwrap())))
        .collect();
    assert_eq!(rows[0], [0.0; 3]);
    for w in words.iter().filter(|w| w["id"].as_u64().unwrap() < 60) {
        let expected = match w["word"].as_str().unwrap() {
            "film" => [0.5, -1.0, 2.0],
            "splendid" => [1.0, 2.0, 3.0],
            _ => [0.0; 3],
        };
        assert_eq!(rows[w["id"].as_u64().unwrap() as usize], expected, "{w}");
    }
    assert_eq!(found["vocabularies"][0]["vectors"][0]["found"], 2);

    // what was read is of no use any more
    fs::remove_file(place.path().join("vectors.txt")).unwrap();
    let with = ["evaluate", "kind.nn", "--weights", "o/weights.safetensors"];
    fine(place.path(), &with);
    put("vectors.txt", "film 0.5 -1\n");
    let wrong = OTHER_WAYS.replace("vectors.dim, weights", "3, weights");
    put("kind.nn", &wrong);
    let out = nnc(place.path(), &["run", "kind.nn"]);
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(
        said.contains("[E0410]: the vectors of `vectors` are [60, 2]"),
        "{said}"
    );
}

#[test]
fn what_does_not_fit_the_data_is_told_with_its_place() {
    let place = place();
    let wrong = PROGRAM.replace("Embedding(vocab.size, 4)", "Embedding(3, 4)");
    fs::write(place.path().join("kind.nn"), wrong).unwrap();
    fine(place.path(), &["check", "kind.nn"]);
    let out = nnc(place.path(), &["run", "kind.nn"]);
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(1), "{said}");
    for part in [
        "error[E0310]: there are 72 ids, but input_dim is 3",
        "kind.nn:17",
        "sizes found in the data: length = ",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!place.path().join("runs").exists());
}

#[test]
fn broken_texts_are_refused_with_their_place() {
    let place = place();
    let whole = fs::read(place.path().join("reviews.tsv")).unwrap();
    let line = |n: usize| {
        let mut ends = whole.iter().enumerate().filter(|(_, b)| **b == b'\n');
        ends.nth(n).unwrap().0 + 1
    };
    let put = |at: usize, what: &[u8]| [&whole[..at], what, &whole[at..]].concat();
    let cases: [(Vec<u8>, &str); 6] = [
        (
            put(line(3), b"1\tcaf\xe9\n"),
            "[E0911]: reviews.tsv:5: row 4, column `review`: not valid UTF-8",
        ),
        (
            put(line(3), b"1\n"),
            "[E0912]: reviews.tsv:5: row 4 has 1 field, expected 2",
        ),
        (
            put(line(3), b"1\ta\tb\n"),
            "[E0912]: reviews.tsv:5: row 4 has 3 fields, expected 2",
        ),
        (
            put(whole.len(), b"1\t\"never closed\n"),
            "[E0919]: reviews.tsv:102: the row that starts here opens a quote",
        ),
        (
            put(line(3), b"yes\tfine\n"),
            "[E0916]: reviews.tsv:5: row 4, column `kind`",
        ),
        (
            b"kind\treview\n".to_vec(),
            "[E0905]: reviews.tsv: the file has no rows",
        ),
    ];
    for (bytes, expected) in cases {
        fs::write(place.path().join("reviews.tsv"), bytes).unwrap();
        let out = nnc(place.path(), &["run", "kind.nn"]);
        let said = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(3), "{said}");
        assert!(said.contains(expected), "{said}\nfor {expected}");
        assert!(!place.path().join("runs").exists());
    }
    let empty: String = (0..100).map(|i| format!("{}\t.\n", i % 2)).collect();
    fs::write(
        place.path().join("reviews.tsv"),
        format!("kind\treview\n{empty}"),
    )
    .unwrap();
    let out = nnc(place.path(), &["run", "kind.nn"]);
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(
        said.contains("[E0933]: the fitted `length` is 0, but a size must be at least 1"),
        "{said}"
    );
}

#[test]
fn classes_in_words_become_numbers_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let program = |index: &str, size: &str, classes: &str| {
        format!(
            "data d {{\n  source csv(\"d.csv\")\n  column kind : text\n  column x : [2] = a .. b\n  \
             split {{ train 4, test 1 }}\n  fit names = labels(train.kind{classes})\n  \
             input x : [2]\n  target y : class[{size}] = kind |> {index}\n}}\n\
             model M(x: [2]) -> prob[{size}] {{ x |> Dense({size}, softmax) }}\n\
             train M on d {{ loss sparse_categorical_crossentropy; optimizer Adam; seed 1 }}\n"
        )
    };
    let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let rows = |kinds: [&str; 5]| {
        let lines = kinds.map(|k| format!("1,2,{k}\n"));
        put("d.csv", &format!("a,b,kind\n{}", lines.concat()));
    };
    put("d.nn", &program("index(names)", "names.size", ""));
    rows(["pear", "apple", "pear", "apple", "pear"]);
    let args = ["inspect", "d.nn", "--json", "--sample", "4"];
    let found = event(&fine(folder.path(), &args), "inspected");
    assert_eq!(found["fitted_sizes"]["names.size"], 2);
    for s in found["sample"].as_array().unwrap() {
        let expected = if s["columns"]["kind"] == "apple" {
            0.0
        } else {
            1.0
        };
        assert_eq!(s["fed"]["y"][0].as_f64(), Some(expected));
    }
    fine(folder.path(), &["run", "d.nn", "--out", "o"]);
    fine(
        folder.path(),
        &["evaluate", "d.nn", "--weights", "o/weights.safetensors"],
    );

    // a text of its own in each row: the test row has one that was not seen
    rows(["a", "b", "c", "d", "e"]);
    let said = |args: &[&str]| {
        let out = nnc(folder.path(), args);
        assert_eq!(out.status.code(), Some(3));
        String::from_utf8(out.stderr).unwrap()
    };
    assert!(said(&["run", "d.nn"]).contains("[E0936]: row "));
    put(
        "d.nn",
        &program("index(names, unseen = other)", "names.size + 1", ""),
    );
    fine(folder.path(), &["run", "d.nn", "--out", "p"]);
    put("d.nn", &program("index(names)", "3", ", classes = 3"));
    assert!(said(&["run", "d.nn"]).contains("[E0935]: column `kind` has 4 distinct labels"));
}
