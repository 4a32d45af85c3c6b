//! Sound binary files with bytes changed, or cut off: whatever a header then says, readers
//! neither panic nor take memory by it.

use super::{gz, tables};
use crate::allocations::peak;
use crate::data::{idx, npy, npz};
use crate::formats::wav;
use nnc::data::formats::csv::{ColumnSpec, CsvOptions, Select, read_csv};
use nnc::data::formats::folder::Folder;
use nnc::data::formats::jsonl::read_jsonl;
use nnc::data::formats::parquet::read_parquet;
use nnc::data::formats::{idx::read_idx, npy, wav as wavs};
use nnc::data::{DataError, ElementType};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::Path;
use std::sync::Once;

/// A reader's own buffers, and the largest page or array that so small a file can hold.
const LITTLE: usize = 4 << 20;

/// What bytes are changed to: the least, the most, one more.
const TO: [fn(u8) -> u8; 3] = [|_| 0, |_| 0xff, |b| b.wrapping_add(1)];

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f`, and has the panics that are caught in it take no backtraces, which are memory.
fn quietly<T>(f: impl FnOnce() -> T) -> T {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |info| {
            if !QUIET.get() {
                usual(info);
            }
        }));
    });
    QUIET.set(true);
    let result = f();
    QUIET.set(false);
    result
}

/// Reads `bytes` with each of its bytes changed in turn, `step` apart, and cut off there.
fn damage<T>(bytes: &[u8], step: usize, read: impl Fn(&Path) -> Result<T, DataError>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/x.wav");
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    let (mut taken, mut refused) = (0, 0);
    let mut check = |bytes: &[u8], what: String| {
        std::fs::write(&path, bytes).unwrap();
        let safe = AssertUnwindSafe(|| read(&path).is_ok());
        let (result, memory) = quietly(|| peak(|| catch_unwind(safe)));
        match result {
            Ok(true) => taken += 1,
            Ok(false) => refused += 1,
            Err(_) => panic!("{what}: a panic"),
        }
        assert!(memory < LITTLE, "{what}: {memory} bytes");
    };
    for at in (0..bytes.len()).step_by(step) {
        for to in TO {
            let mut changed = bytes.to_vec();
            changed[at] = to(bytes[at]);
            check(&changed, format!("byte {at} is {}", changed[at]));
        }
        check(&bytes[..at], format!("cut off at {at}"));
    }
    assert!(refused > 0 && taken > 0, "{taken} taken, {refused} refused");
}

fn spec(name: &str, element: ElementType, shape: &[usize]) -> ColumnSpec {
    ColumnSpec {
        name: name.into(),
        select: Select::Name(name.into()),
        element,
        shape: Some(shape.to_vec()),
        missing: false,
    }
}

#[test]
fn damaged_parquet_is_no_danger() {
    let read = |path: &Path| {
        let columns = [
            spec("x", ElementType::F32, &[2]),
            spec("y", ElementType::I32, &[]),
            spec("t", ElementType::Text, &[]),
        ];
        read_parquet(path, &columns)
    };
    damage(&tables::good(), 1, read);
    let fixture = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures")
            .join(name);
        std::fs::read(path).unwrap()
    };
    let read = |path: &Path| {
        let columns = [
            spec("flag", ElementType::I32, &[]),
            spec("wide", ElementType::I32, &[]),
            spec("word", ElementType::Text, &[]),
            spec("long", ElementType::Text, &[]),
            spec("grid", ElementType::F32, &[2, 3]),
        ];
        read_parquet(path, &columns)
    };
    damage(&fixture("parquet.v1.parquet"), 401, read);
    damage(&fixture("parquet.v2.parquet"), 397, read);
}

#[test]
fn damaged_arrays_are_no_danger() {
    let pixels: Vec<u8> = (0..60).collect();
    let array = idx(0x0B, &[5, 2, 3], &pixels);
    damage(&array, 1, |path| {
        read_idx(path, "x", Some(ElementType::F32))
    });
    damage(&gz(&array), 1, |path| read_idx(path, "x", None));
    let array = npy("<i2", false, "(5, 2, 3)", &pixels);
    damage(&array, 1, |path| npy::read_npy(path, "x", None));
    for method in [
        zip::CompressionMethod::Stored,
        zip::CompressionMethod::Deflated,
    ] {
        let members = npz(&[("x", &array)], method);
        damage(&members, 1, |path| npy::read_npz(path, &[("x", "x", None)]));
    }
}

#[test]
fn damaged_sounds_are_no_danger() {
    for (bits, float) in [(16, false), (24, false), (32, true)] {
        let sound = wav(bits, float, 2, 8000, &[0.5; 40]);
        damage(&sound, 1, |path| {
            let root = path.parent().unwrap().parent().unwrap();
            let folder = Folder::of_classes(root, wavs::ENDINGS, None)?;
            let audio = ColumnSpec {
                select: Select::Name("audio".into()),
                ..spec("x", ElementType::F32, &[20, 2])
            };
            wavs::read_wavs(&folder, None, &[audio])
        });
    }
}

#[test]
fn damaged_text_is_no_danger() {
    let options = CsvOptions::detect();
    let text = b"x,y,t\n1,2,\"a\nb\"\n3,4,\"c\"\"\"\n".as_slice();
    let columns = [
        spec("x", ElementType::F32, &[]),
        spec("t", ElementType::Text, &[]),
    ];
    for bytes in [text.to_vec(), gz(text)] {
        damage(&bytes, 1, |path| read_csv(path, options, &columns));
    }
    let lines = b"{\"x\": 1, \"t\": \"a\\n\"}\n{\"x\": 2.5e3, \"t\": \"\\u00e9\"}\n".as_slice();
    for bytes in [lines.to_vec(), gz(lines)] {
        damage(&bytes, 1, |path| read_jsonl(path, &columns));
    }
}
