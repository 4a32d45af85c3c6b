//! `nnc inspect`: what people see of columns, pictures and samples, and the files of `--out`.

use std::fs;
use std::path::Path;
use std::process::Command;

use nnc::data::formats::images::decode;
use serde_json::Value;

fn inspect(folder: &Path, args: &[&str]) -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_nnc"))
        .arg("inspect")
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{args:?}: {said}");
    String::from_utf8(out.stdout).unwrap()
}

/// 12 pictures of 6 by 4 with a bright row, a size, two measures, a text (one is blank).
fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let pixels: Vec<String> = (0..24).map(|i| format!("p{i}")).collect();
    let mut rows = format!("{},size,a,b,said\n", pixels.join(","));
    for row in 0..12 {
        let pixel = |i: usize| if i / 4 == row % 6 { "200" } else { "0" };
        let line: Vec<&str> = (0..24).map(pixel).collect();
        let said = if row == 5 {
            " ".into()
        } else {
            format!("word {row}")
        };
        let (line, square) = (line.join(","), row * row);
        rows += &format!("{line},{},{row}.5,{square},{said}\n", row % 3);
    }
    fs::write(place.path().join("d.csv"), rows).unwrap();
    let program = r#"data d {
  source  csv("d.csv")
  column  image    : u8[6, 4] = p0 .. p23
  column  size     : class[3]
  column  measured : [2] = a .. b
  column  said     : text
  fit     vocab = Tokenizer(train.said)
  input   x : [24]                = reshape(image / 255, [B, 24])
  input   c : [1, 6, 4]           = reshape(image, [B, 1, 6, 4])
  input   m : [2]                 = measured
  input   w : token[vocab.size][4] = said |> tokens(vocab) |> pad(4)
  input   v : [vocab.size]        = said |> bag(vocab, mode = count)
  target  y : class[3]            = size
}
"#;
    fs::write(place.path().join("d.nn"), program).unwrap();
    place
}

#[test]
fn columns_and_samples_are_shown() {
    let place = place();
    let text = inspect(place.path(), &["d.nn", "--sample", "2", "--words", "3"]);
    insta::assert_snapshot!(text);
}

#[test]
fn all_of_it_is_in_json() {
    let place = place();
    let text = inspect(
        place.path(),
        &["d.nn", "--json", "--sample", "1", "--out", "o"],
    );
    let found: Value = serde_json::from_str(&text).unwrap();
    let columns = found["columns"].as_array().unwrap();
    let histogram = |c: &Value| {
        let counts = c["histogram"]["counts"].as_array().unwrap();
        counts
            .iter()
            .map(|n| n.as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(histogram(&columns[1]), [4, 4, 4]);
    assert_eq!(columns[1]["counts"]["2"], 4);
    assert_eq!(histogram(&columns[0]).iter().sum::<u64>(), 12 * 24);
    let measured = columns[2]["features"].as_array().unwrap();
    assert_eq!(measured.len(), 2);
    assert_eq!(columns[3]["missing"], 1);
    assert_eq!(
        (&measured[0]["min"], &measured[1]["max"]),
        (&0.5.into(), &121.0.into())
    );
    let words = found["sample"][0]["words"]["w"].as_array().unwrap();
    assert_eq!(words[..3], [Value::Null, Value::Null, "word".into()]);
    let written: Vec<&str> = (found["written"].as_array().unwrap().iter())
        .map(|p| p.as_str().unwrap())
        .collect();
    let expected = [
        "image.png",
        "image.svg",
        "size.svg",
        "measured.svg",
        "said.svg",
        "vocab-lengths.svg",
        "input-x.png",
        "input-c.png",
        "inspect.html",
    ];
    assert_eq!(written, expected.map(|f| format!("o/{f}")));
}

#[test]
fn what_is_written_can_be_read_and_the_page_needs_nothing_else() {
    let place = place();
    inspect(place.path(), &["d.nn", "--sample", "3", "--out", "deep/o"]);
    let folder = place.path().join("deep/o");
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    // 12 pictures of 4 by 6, 14 times as large
    let all = decode(&read("image.png")).unwrap();
    assert_eq!((all.width, all.height), (12 * (56 + 4) + 4, 84 + 8));
    assert_eq!(all.pixel(6, 6), [200; 3]);
    assert_eq!(all.pixel(6, 60), [0; 3]);
    assert_eq!(all.pixel(66, 4 + 14 + 2), [200; 3]);
    // the same as fed, brightest where the model has its largest number
    for name in ["input-x.png", "input-c.png"] {
        let fed = decode(&read(name)).unwrap();
        assert_eq!(fed.width, 3 * 60 + 4);
        assert_eq!((fed.pixel(6, 6), fed.pixel(6, 60)), ([255; 3], [0; 3]));
    }
    for name in ["size.svg", "measured.svg", "said.svg", "vocab-lengths.svg"] {
        let text = String::from_utf8(read(name)).unwrap();
        assert!(
            text.starts_with("<svg") && text.trim_end().ends_with("</svg>"),
            "{name}"
        );
    }
    let page = String::from_utf8(read("inspect.html")).unwrap();
    for part in [
        "<h1>d</h1>",
        "12 train rows",
        "most frequent",
        "2 × padding",
        "word<sub>1</sub>",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for attribute in ["src=\"", "href=\""] {
        for (at, _) in page.match_indices(attribute) {
            let to = &page[at + attribute.len()..];
            assert!(
                to.starts_with("data:") || to.starts_with('#'),
                "{}",
                &to[..40]
            );
        }
    }
    assert!(!page.contains("<script"));
    assert_eq!(page.matches("<img ").count(), 1 + 3 * 3);
}

#[test]
fn missing_values_are_counted_as_the_file_has_them() {
    let place = tempfile::tempdir().unwrap();
    let rows = "a,b,c\n1,,1\n,,2\n3,3,NA\n4,5,4\n";
    fs::write(place.path().join("d.csv"), rows).unwrap();
    let program = "data d {\n  source csv(\"d.csv\")\n  column x : [2] = a .. b, missing = mean\n  \
                   column c : [], missing = drop\n  input x : [2]\n  input c : []\n}\n";
    fs::write(place.path().join("d.nn"), program).unwrap();
    let text = inspect(place.path(), &["d.nn", "--json"]);
    let found: Value = serde_json::from_str(&text).unwrap();
    let missing = |v: &Value| v["missing"].as_u64().unwrap();
    let columns = &found["columns"];
    assert_eq!(found["rows"]["train"], 3);
    assert_eq!((missing(&columns[0]), missing(&columns[1])), (3, 1));
    let features = &columns[0]["features"];
    assert_eq!((missing(&features[0]), missing(&features[1])), (1, 2));
    assert_eq!(features[0]["max"], 4.0);
}
