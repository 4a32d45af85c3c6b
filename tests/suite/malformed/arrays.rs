//! IDX, npy and npz.

use super::{Case, Content, FEEDS, gz};
use crate::data::{idx, npy, npy_of, npz};
use zip::CompressionMethod::{Deflated, Stored};

pub(super) fn cases() -> Vec<Case> {
    [of_idx(), of_npy(), of_npz()]
        .into_iter()
        .flatten()
        .collect()
}

fn case(name: &'static str, source: &str, files: Vec<(&str, Vec<u8>)>) -> Case {
    Case {
        name,
        lines: format!("source {source}\ncolumn x : [2]\ncolumn y : class[2]\n{FEEDS}"),
        files: files
            .into_iter()
            .map(|(path, bytes)| (path.into(), Content::Bytes(bytes)))
            .collect(),
    }
}

fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn of_idx() -> Vec<Case> {
    let good = idx(0x08, &[2, 2], &[1, 2, 3, 4]);
    let labels = idx(0x08, &[2], &[0, 1]);
    let two = |name, x: Vec<u8>, y: Vec<u8>| {
        case(name, "idx(x = \"x\", y = \"y\")", vec![("x", x), ("y", y)])
    };
    let x = |name, bytes: &[u8]| two(name, bytes.to_vec(), labels.clone());
    let y = |name, bytes: Vec<u8>| two(name, good.clone(), bytes);
    let packed = gz(&good);
    vec![
        x("an empty IDX file", b""),
        x("text for an IDX file", b"a,b\n1,2\n"),
        x(
            "an IDX type that does not exist",
            &idx(0x0A, &[2, 2], &[1; 4]),
        ),
        x("an IDX header that is cut off", &good[..9]),
        x(
            "an IDX count that is too large",
            &idx(0x08, &[3, 2], &[1; 4]),
        ),
        x(
            "an IDX count that is too small",
            &idx(0x08, &[1, 2], &[1; 4]),
        ),
        x(
            "IDX sizes whose product overflows",
            &idx(0x0E, &[u32::MAX; 9], &[1; 4]),
        ),
        x(
            "an IDX count of terabytes in gzip",
            &gz(&idx(0x08, &[u32::MAX, 784], &[1; 4])),
        ),
        x("IDX rows of no elements", &idx(0x08, &[2, 0], &[])),
        x("no IDX rows", &idx(0x08, &[0, 2], &[])),
        x("IDX without rows", &idx(0x08, &[], &[1])),
        x("IDX rows of another shape", &idx(0x08, &[2, 3], &[1; 6])),
        x("IDX in gzip that is cut off", &packed[..packed.len() - 9]),
        x("other numbers of rows", &idx(0x08, &[3, 2], &[1; 6])),
        y("an IDX class beyond the column's", idx(0x08, &[2], &[0, 2])),
        y("a negative IDX class", idx(0x09, &[2], &[0, 0xff])),
        two(
            "an IDX number that is not finite",
            {
                let nan = [1.0, 2.0, f32::INFINITY, 4.0]
                    .map(f32::to_be_bytes)
                    .concat();
                idx(0x0D, &[2, 2], &nan)
            },
            labels.clone(),
        ),
    ]
}

fn of_npy() -> Vec<Case> {
    let good = npy("<f4", false, "(2, 2)", &f32s(&[1., 2., 3., 4.]));
    let labels = npy("|u1", false, "(2,)", &[0, 1]);
    let x = |name, bytes: &[u8]| {
        let files = vec![("x.npy", bytes.to_vec()), ("y.npy", labels.clone())];
        case(name, "npy(x = \"x.npy\", y = \"y.npy\")", files)
    };
    vec![
        x("an empty npy file", b""),
        x("text for an npy file", b"[[1, 2], [3, 4]]"),
        x("an npy file that is cut off", &good[..good.len() - 1]),
        x("an npy header that is cut off", &good[..20]),
        x(
            "an npy file with something behind it",
            &[&good[..], b"more"].concat(),
        ),
        x("an npy header of 4 GB", &{
            let mut bytes = npy_of(2, b"", &[]);
            bytes[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
            bytes
        }),
        x(
            "an npy header that is no dictionary",
            &npy_of(1, b"[1, 2, 3]\n", &[0; 16]),
        ),
        x(
            "an npy header nested too deep",
            &npy_of(1, &[b"{'descr': ", &[b'('; 5000][..]].concat(), &[]),
        ),
        x(
            "objects in an npy file",
            &npy("|O", false, "(2, 2)", &[0; 32]),
        ),
        x("complex numbers", &npy("<c8", false, "(2, 2)", &[0; 32])),
        x(
            "texts in an npy file",
            &npy("<U5", false, "(2, 2)", &[0; 80]),
        ),
        x(
            "npy sizes whose product overflows",
            &npy("<f4", false, "(4294967296, 4294967296, 2)", &[]),
        ),
        x("no npy rows", &npy("<f4", false, "(0, 2)", &[])),
        x(
            "a single number in an npy file",
            &npy("<f4", false, "()", &f32s(&[1.0])),
        ),
        x(
            "npy rows of another shape",
            &npy("<f4", false, "(2, 1, 2)", &f32s(&[1.0; 4])),
        ),
        x(
            "nan in an npy file",
            &npy("<f4", false, "(2, 2)", &f32s(&[1., 2., f32::NAN, 4.])),
        ),
        x(
            "f64 beyond f32",
            &npy(
                "<f8",
                false,
                "(2, 2)",
                &[1., 2., 3., 1e300f64].map(f64::to_le_bytes).concat(),
            ),
        ),
        x(
            "a whole number that f32 does not hold",
            &npy(
                "<i8",
                false,
                "(2, 2)",
                &[1, 2, 3, 16_777_217i64].map(i64::to_le_bytes).concat(),
            ),
        ),
    ]
}

fn of_npz() -> Vec<Case> {
    let array = npy("<f4", false, "(2, 2)", &f32s(&[1., 2., 3., 4.]));
    let labels = npy("|u1", false, "(2,)", &[0, 1]);
    let good = npz(&[("x", &array), ("y", &labels)], Stored);
    let x = |name, bytes: Vec<u8>| case(name, "npz(\"a.npz\")", vec![("a.npz", bytes)]);
    let changed = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 0xff;
        bytes
    };
    let bomb = npy("<f4", false, "(2, 2)", &vec![0; 8 << 20]);
    let claims = npy("<f4", false, "(1000000000, 2)", &vec![0; 1 << 20]);
    let at = good
        .windows(4)
        .position(|w| w == 3f32.to_le_bytes())
        .unwrap();
    vec![
        x("an empty npz file", vec![]),
        x("text for an npz file", b"PK, not a zip file".to_vec()),
        x(
            "an npz file that is cut off",
            good[..good.len() / 2].to_vec(),
        ),
        x("an npz file without members", npz(&[], Stored)),
        x(
            "an npz file without the column",
            npz(&[("X", &array), ("y", &labels)], Stored),
        ),
        x("an npz member with a wrong checksum", changed(at)),
        x(
            "an npz member longer than it says",
            npz(&[("x", &bomb), ("y", &labels)], Deflated),
        ),
        x(
            "an npz member shorter than it says",
            npz(&[("x", &claims), ("y", &labels)], Deflated),
        ),
        x(
            "an npz member that is no array",
            npz(&[("x", b"hello"), ("y", &labels)], Deflated),
        ),
        x("gzip around an npz file", gz(&good)),
        x(
            "an npz class beyond the column's",
            npz(
                &[("x", &array), ("y", &npy("|u1", false, "(2,)", &[0, 7]))],
                Stored,
            ),
        ),
        x(
            "npz members of other numbers of rows",
            npz(
                &[("x", &array), ("y", &npy("|u1", false, "(3,)", &[0, 1, 0]))],
                Stored,
            ),
        ),
    ]
}
