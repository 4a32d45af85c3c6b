//! Texts and sounds in a folder for each class.

use super::{Case, Content, FEEDS, WORDS};
use crate::formats::wav;

pub(super) fn cases() -> Vec<Case> {
    [texts(), sounds()].into_iter().flatten().collect()
}

fn texts() -> Vec<Case> {
    let case = |name, source: &str, files: Vec<(&str, Content)>| Case {
        name,
        lines: format!(
            "source {source}\ncolumn t : text = text\ncolumn y : class[2] = label\n{WORDS}"
        ),
        files: files
            .into_iter()
            .map(|(path, c)| (path.into(), c))
            .collect(),
    };
    let text = || Content::Bytes(b"a film".to_vec());
    let two = |name, path, content| {
        case(
            name,
            "texts(\"f\")",
            vec![
                ("f/a/1.txt", text()),
                ("f/b/1.txt", text()),
                (path, content),
            ],
        )
    };
    vec![
        case("no folder", "texts(\"f\")", vec![]),
        case(
            "a file in place of a folder",
            "texts(\"f\")",
            vec![("f", text())],
        ),
        case(
            "a folder without classes",
            "texts(\"f\")",
            vec![("f/1.txt", text())],
        ),
        case(
            "classes without files",
            "texts(\"f\")",
            vec![("f/a", Content::Folder), ("f/b", Content::Folder)],
        ),
        case(
            "a class too few",
            "texts(\"f\")",
            vec![("f/a/1.txt", text())],
        ),
        two("a class too many", "f/c/1.txt", text()),
        two("a class that is not there", "f/c/1.txt", text())
            .of_source("texts(\"f\", class_names = [\"a\", \"B\"])"),
        two(
            "a text file that is not UTF-8",
            "f/b/2.txt",
            Content::Bytes(b"caf\xe9".to_vec()),
        ),
        two("a text file of 3 GB", "f/b/2.txt", Content::Zeros(3 << 30)),
        two(
            "a text file that links to nowhere",
            "f/b/2.txt",
            Content::Link("nowhere"),
        ),
        two("a text file that is a pipe", "f/b/2.txt", Content::Pipe),
    ]
}

fn sounds() -> Vec<Case> {
    let good = wav(16, false, 1, 8000, &[0.5; 100]);
    let case = |name, bytes: Vec<u8>| Case {
        name,
        lines: format!(
            "source wavs(\"f\", rate = 8000)\ncolumn x : [2] = audio\ncolumn y : class[2] = label\n{FEEDS}"
        ),
        files: vec![
            ("f/a/1.wav".into(), Content::Bytes(good.clone())),
            ("f/b/1.wav".into(), Content::Bytes(bytes)),
        ],
    };
    let patched = |at: usize, with: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        bytes
    };
    let float = wav(32, true, 1, 8000, &[0.5, f64::NAN]);
    vec![
        case("an empty WAV file", vec![]),
        case(
            "text for a WAV file",
            b"a film about a sound of waves".to_vec(),
        ),
        case("RIFF that is not WAVE", patched(8, b"AVI ")),
        case("a WAV header that is cut off", good[..30].to_vec()),
        case("a sound that is cut off", good[..good.len() - 30].to_vec()),
        case(
            "a sound of 4 GB by its header",
            patched(40, &0xffff_fff0u32.to_le_bytes()),
        ),
        case("zero channels", patched(22, &[0, 0])),
        case("zero bits", patched(34, &[0, 0])),
        case(
            "sizes of samples that contradict each other",
            patched(32, &[7, 0]),
        ),
        case("an encoding that is not PCM", patched(20, &[2, 0])),
        case(
            "another sample rate",
            wav(16, false, 1, 44_100, &[0.5; 100]),
        ),
        case(
            "another number of channels",
            wav(16, false, 2, 8000, &[0.5; 100]),
        ),
        case("a sound of no samples", wav(16, false, 1, 8000, &[])),
        case("a sample that is not a number", float),
        {
            let mut case = case(
                "sample rates that differ",
                wav(16, false, 1, 44_100, &[0.5; 100]),
            );
            case.lines = case.lines.replace(", rate = 8000", "");
            case
        },
    ]
}
