//! Data files: what is read, and what is said of broken ones.

use crate::allocations::peak;
use flate2::Compression;
use flate2::write::GzEncoder;
use nnc::data::formats::csv::{
    ColumnSpec, CsvOptions, HeaderLine, Select, csv_header, read_csv, write_csv,
};
use nnc::data::formats::idx::read_idx;
use nnc::data::formats::npy::{npz_names, read_npy, read_npz, write_npy};
use nnc::data::{Batches, Column, ColumnData, DataError, ElementType, Order, Table};
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A broken file may cost this much memory, whatever it claims.
const LITTLE: usize = 1 << 20;

/// A folder with one file in it.
fn file(name: &str, bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

pub(crate) fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Code and sentence, the file called by its name alone, after a check that it took little memory.
fn refused<T>(
    path: &Path,
    most: usize,
    read: impl FnOnce(&Path) -> Result<T, DataError>,
) -> String {
    let (result, bytes) = peak(|| read(path).err());
    let error = result.unwrap_or_else(|| panic!("{} was taken", path.display()));
    assert!(bytes < most, "{bytes} bytes were allocated for: {error}");
    let folder = format!("{}/", path.parent().unwrap().display());
    format!(
        "{} {}",
        error.code(),
        error.to_string().replace(&folder, "")
    )
}

// IDX

pub(crate) fn idx(kind: u8, dims: &[u32], elements: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, kind, dims.len() as u8];
    dims.iter().for_each(|d| bytes.extend(d.to_be_bytes()));
    bytes.extend(elements);
    bytes
}

#[test]
fn idx_of_every_type_is_read() {
    let cases: [(u8, &[u8], ColumnData); 6] = [
        (0x08, &[1, 255], ColumnData::U8(vec![1, 255])),
        (0x09, &[1, 255], ColumnData::I32(vec![1, -1])),
        (0x0B, &[1, 0, 255, 255], ColumnData::I32(vec![256, -1])),
        (
            0x0C,
            &[0, 0, 1, 0, 255, 255, 255, 254],
            ColumnData::I32(vec![256, -2]),
        ),
        (
            0x0D,
            &[0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0],
            ColumnData::F32(vec![1.0, -2.0]),
        ),
        (
            0x0E,
            &[0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0],
            ColumnData::F32(vec![1.0, -2.0]),
        ),
    ];
    for (kind, elements, expected) in cases {
        for bytes in [
            idx(kind, &[2, 1, 1], elements),
            gz(&idx(kind, &[2, 1, 1], elements)),
        ] {
            let (_folder, path) = file("x", &bytes);
            let column = read_idx(&path, "image", None).unwrap();
            assert_eq!(
                (column.data(), column.shape(), column.rows()),
                (&expected, &[1, 1][..], 2)
            );
        }
    }
}

#[test]
fn idx_is_converted_as_asked() {
    let (_folder, path) = file("x", &idx(0x08, &[3], &[0, 9, 200]));
    let read = |want| read_idx(&path, "x", Some(want)).map(|c| c.data().clone());
    assert_eq!(
        read(ElementType::I32).unwrap(),
        ColumnData::I32(vec![0, 9, 200])
    );
    assert_eq!(
        read(ElementType::F32).unwrap(),
        ColumnData::F32(vec![0.0, 9.0, 200.0])
    );
    assert_eq!(
        read(ElementType::Class(201)).unwrap(),
        ColumnData::U8(vec![0, 9, 200])
    );
}

#[test]
fn a_compressed_or_uncompressed_sibling_is_taken() {
    let bytes = idx(0x08, &[1], &[7]);
    let (_folder, path) = file("a.gz", &gz(&bytes));
    assert_eq!(
        read_idx(&path.with_extension(""), "x", None)
            .unwrap()
            .rows(),
        1
    );
    let (_folder, path) = file("a", &bytes);
    assert_eq!(
        read_idx(&path.with_extension("gz"), "x", None)
            .unwrap()
            .rows(),
        1
    );
}

#[test]
fn broken_idx_is_refused() {
    let good = idx(0x08, &[2, 2], &[1, 2, 3, 4]);
    let huge = idx(0x08, &[u32::MAX, 28, 28], &[1, 2, 3]);
    let packed = gz(&idx(0x08, &[60_000, 784], &vec![7; 60_000 * 784]));
    let bomb = gz(&idx(0x08, &[4], &vec![0; 40 << 20]));
    let mut flipped = gz(&idx(0x08, &[1000], &[9; 1000]));
    let at = flipped.len() - 6; // in the checksum
    flipped[at] ^= 1;
    let cases: [(&[u8], &str); 15] = [
        (b"", "E0905 x: the file has no rows"),
        (
            b"\0\0",
            "E0906 x: not an IDX file: it starts with 00 00, expected 00 00, a type and a rank",
        ),
        (
            b"id,label\n",
            "E0906 x: not an IDX file: it starts with 69 64 2c 6c, expected 00 00, a type and a rank",
        ),
        (
            &idx(0x0A, &[1], &[1]),
            "E0907 x: element type 0a is not supported; expected 08 (u8), 09 (i8), 0b (i16), 0c (i32), 0d (f32) or 0e (f64)",
        ),
        (
            &good[..10],
            "E0908 x: the header should have 12 bytes, but the file ends after 10",
        ),
        (
            &good[..15],
            "E0908 x: the file should have 16 bytes, but the file ends after 15",
        ),
        (
            &[&good[..], &[5]].concat(),
            "E0909 x: the file is longer than the 16 bytes that its header declares",
        ),
        (
            &huge,
            "E0908 x: the file should have 3,367,254,359,296 bytes, but the file ends after 19",
        ),
        (
            &gz(&huge),
            "E0910 x: its header declares 3,367,254,359,296 bytes, but the file can hold",
        ),
        (
            &idx(0x0E, &[u32::MAX; 200], &[]),
            "E0910 x: its header declares more than 10^38 bytes, but the file can hold at most 804",
        ),
        (
            &idx(0x08, &[0, 28, 28], &[]),
            "E0905 x: the file has no rows",
        ),
        (
            &idx(0x08, &[3, 0], &[]),
            "E0920 x: its rows have shape [0] and so no elements",
        ),
        (
            &idx(0x08, &[], &[]),
            "E0920 x: it holds a single number and has no rows",
        ),
        (
            &bomb,
            "E0909 x: the file is longer than the 12 bytes that its header declares",
        ),
        (&flipped, "E0904 x: the gzip stream is corrupt"),
    ];
    for (bytes, expected) in cases {
        let (_folder, path) = file("x", bytes);
        let error = refused(&path, LITTLE, |p| read_idx(p, "image", None));
        assert!(error.starts_with(expected), "{error}\n{expected}");
    }
    // 47 MB are declared and there: the buffer for them is had, but no more
    let (_folder, path) = file("x", &packed[..packed.len() / 2]);
    let error = refused(&path, 48 << 20, |p| read_idx(p, "image", None));
    assert_eq!(
        error,
        "E0904 x: the gzip stream ends too early: the file is truncated"
    );
}

#[test]
fn idx_values_that_do_not_fit_are_named() {
    type Case<'a> = (u8, &'a [u32], &'a [u8], ElementType, &'a str);
    let cases: [Case<'_>; 6] = [
        (
            0x08,
            &[3],
            &[0, 9, 12],
            ElementType::Class(10),
            "E0917 x: row 3, column `label`: 12 is outside class[10], which takes 0..9",
        ),
        (
            0x09,
            &[2],
            &[0, 255],
            ElementType::Class(2),
            "E0917 x: row 2, column `label`: -1 is outside class[2], which takes 0..1",
        ),
        (
            0x0B,
            &[1, 2],
            &[0, 5, 1, 0],
            ElementType::U8,
            "E0916 x: row 1, column `label`: found `256`, expected an integer 0..255",
        ),
        (
            0x0C,
            &[2, 1],
            &[0, 0, 0, 5, 1, 0, 0, 1],
            ElementType::F32,
            "E0916 x: row 2, column `label`: found `16777217`, expected an integer that f32 represents exactly",
        ),
        (
            0x0D,
            &[1],
            &[0x7f, 0xc0, 0, 0],
            ElementType::F32,
            "E0916 x: row 1, column `label`: found `NaN`, expected a finite number",
        ),
        (
            0x08,
            &[1],
            &[1],
            ElementType::Text,
            "E0907 x: element type number is not supported; expected text",
        ),
    ];
    for (kind, dims, elements, want, expected) in cases {
        let (_folder, path) = file("x", &idx(kind, dims, elements));
        assert_eq!(
            refused(&path, LITTLE, |p| read_idx(p, "label", Some(want))),
            expected
        );
    }
}

#[test]
fn images_take_their_bytes_and_no_more() {
    let bytes = gz(&idx(0x08, &[5000, 28, 28], &vec![3; 5000 * 784]));
    let (_folder, path) = file("x.gz", &bytes);
    let (column, bytes) = peak(|| read_idx(&path, "image", None).unwrap());
    assert_eq!((column.rows(), column.shape()), (5000, &[28, 28][..]));
    assert!(bytes < 5000 * 784 + LITTLE / 2, "{bytes}");
}

#[test]
fn missing_files_and_folders_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("x");
    assert_eq!(
        refused(&missing, LITTLE, |p| read_idx(p, "x", None)),
        "E0901 x: no such file, nor x.gz"
    );
    std::fs::create_dir(&missing).unwrap();
    let expected = "E0902 x: expected a file, found a folder";
    assert_eq!(
        refused(&missing, LITTLE, |p| read_idx(p, "x", None)),
        expected
    );
    assert_eq!(
        refused(&missing, LITTLE, |p| read_csv(p, CsvOptions::detect(), &[])),
        expected
    );
    assert_eq!(refused(&missing, LITTLE, |p| read_npz(p, &[])), expected);
}

// CSV

fn spec(name: &str, select: Select, element: ElementType) -> ColumnSpec {
    ColumnSpec {
        name: name.into(),
        select,
        element,
        shape: None,
        missing: false,
    }
}

fn named(name: &str, element: ElementType) -> ColumnSpec {
    spec(name, Select::Name(name.into()), element)
}

fn csv(content: &[u8], specs: &[ColumnSpec]) -> Table {
    let (_folder, path) = file("x.csv", content);
    read_csv(&path, CsvOptions::detect(), specs).unwrap()
}

#[test]
fn csv_columns_are_chosen_by_name_index_and_range() {
    let content =
        b"\xef\xbb\xbfa,b,c,d\n1,2.5,3,x\n\n4, -5e-1 ,6.0,\"y, \"\"z\"\"\r\nw\"\r\n7,8,9,";
    let table = csv(
        content,
        &[
            spec("p", Select::Names("a".into(), "c".into()), ElementType::F32),
            spec("q", Select::Indices(0, 0), ElementType::U8),
            spec("r", Select::Index(2), ElementType::I32),
            named("d", ElementType::Text),
        ],
    );
    let [p, q, r, d] = table.columns() else {
        panic!()
    };
    assert_eq!(
        p.data(),
        &ColumnData::F32(vec![1.0, 2.5, 3.0, 4.0, -0.5, 6.0, 7.0, 8.0, 9.0])
    );
    assert_eq!(
        (p.shape(), q.shape(), r.shape()),
        (&[3][..], &[1][..], &[][..])
    );
    assert_eq!(
        (q.data(), r.data()),
        (
            &ColumnData::U8(vec![1, 4, 7]),
            &ColumnData::I32(vec![3, 6, 9])
        )
    );
    assert_eq!(
        d.data(),
        &ColumnData::Text(["x", "y, \"z\"\r\nw", ""].into_iter().collect())
    );
}

#[test]
fn csv_headers_and_delimiters_are_found() {
    let one = [spec("x", Select::Index(0), ElementType::F32)];
    assert_eq!(csv(b"1,2\n3,4\n", &one).rows(), 2);
    assert_eq!(csv(b"one,two\n3,4", &one).rows(), 1);
    let (_folder, path) = file("x.tsv.gz", &gz(b"a\tb\n1\t2\n"));
    assert_eq!(
        csv_header(&path, CsvOptions::detect()).unwrap(),
        (Some(vec!["a".into(), "b".into()]), 2)
    );
    assert_eq!(
        read_csv(&path, CsvOptions::detect(), &one).unwrap().rows(),
        1
    );
    let words = CsvOptions {
        delimiter: Some(b';'),
        header: HeaderLine::Absent,
        quote: true,
    };
    let (_folder, path) = file("x.csv", b"good;bad\nfair;poor\n");
    let text = [spec("x", Select::Index(1), ElementType::Text)];
    let table = read_csv(&path, words, &text).unwrap();
    assert_eq!(
        table.columns()[0].data(),
        &ColumnData::Text(["bad", "poor"].into_iter().collect())
    );
    let header = CsvOptions {
        header: HeaderLine::Present,
        ..words
    };
    assert_eq!(read_csv(&path, header, &text).unwrap().rows(), 1);
}

#[test]
fn a_range_takes_the_shape_asked_for() {
    let pixels = ColumnSpec {
        shape: Some(vec![2, 2]),
        ..spec("image", Select::Indices(0, 3), ElementType::U8)
    };
    let table = csv(
        b"1,2,3,4,0\n5,6,7,8,1\n",
        &[
            pixels,
            spec("label", Select::Index(4), ElementType::Class(2)),
        ],
    );
    assert_eq!(table.columns()[0].shape(), [2, 2]);
    assert_eq!(table.columns()[1].data(), &ColumnData::I32(vec![0, 1]));
}

#[test]
fn broken_csv_is_refused() {
    use ElementType::{Class, F32, I32, Text, U8};
    let f32s = |name: &str| vec![named(name, F32)];
    let at = |i: usize| vec![spec("x", Select::Index(i), F32)];
    let range = |a: usize, b: usize| vec![spec("x", Select::Indices(a, b), F32)];
    let names = |a: &str, b: &str| vec![spec("x", Select::Names(a.into(), b.into()), F32)];
    let long = [b"a,b\n1,\"".as_slice(), &vec![b'x'; 17 << 20], b"\"\n"].concat();
    let open = [b"a,b\n1,2\n3,\"".as_slice(), &b"4,5\n".repeat(10 << 20)].concat();
    let cases: Vec<(&[u8], Vec<ColumnSpec>, &str)> = vec![
        (b"", vec![], "E0905 x.csv: the file has no rows"),
        (b"\n\n\r\n", vec![], "E0905 x.csv: the file has no rows"),
        (b"a,b\n", f32s("a"), "E0905 x.csv: the file has no rows"),
        (
            b"a,b\n1,2\n3,abc\n",
            f32s("b"),
            "E0916 x.csv:3: row 2, column `b`: found `abc`, expected a finite number",
        ),
        (
            b"a,b\r\n1,2\r\n3,abc\r\n",
            f32s("b"),
            "E0916 x.csv:3: row 2, column `b`: found `abc`, expected a finite number",
        ),
        (
            b"a,b\n\n1,2\n\n\n3,abc",
            f32s("b"),
            "E0916 x.csv:6: row 2, column `b`: found `abc`, expected a finite number",
        ),
        (
            b"t,b\n\"u\nv\",2\n\"w\nz\",?\n",
            f32s("b"),
            "E0916 x.csv:4: row 2, column `b`: found `?`, expected a finite number",
        ),
        (
            b"1,2\n3,\n",
            at(1),
            "E0916 x.csv:2: row 2, column `#1`: found nothing, expected a finite number",
        ),
        (
            b"a\nnan\n",
            f32s("a"),
            "E0916 x.csv:2: row 1, column `a`: found `nan`, expected a finite number",
        ),
        (
            b"a\n-inf\n",
            f32s("a"),
            "E0916 x.csv:2: row 1, column `a`: found `-inf`, expected a finite number",
        ),
        (
            b"a\n1e39\n",
            f32s("a"),
            "E0916 x.csv:2: row 1, column `a`: found `1e39`, expected a number in the range of f32",
        ),
        (
            b"a\n1_000\n",
            f32s("a"),
            "E0916 x.csv:2: row 1, column `a`: found `1_000`, expected a finite number",
        ),
        (
            b"a\n256\n",
            vec![named("a", U8)],
            "E0916 x.csv:2: row 1, column `a`: found `256`, expected an integer 0..255",
        ),
        (
            b"a\n2.5\n",
            vec![named("a", I32)],
            "E0916 x.csv:2: row 1, column `a`: found `2.5`, expected an integer in the range of i32",
        ),
        (
            b"a\n3000000000\n",
            vec![named("a", I32)],
            "E0916 x.csv:2: row 1, column `a`: found `3000000000`, expected an integer in the range of i32",
        ),
        (
            b"label\n0\n9\n12\n",
            vec![named("label", Class(10))],
            "E0917 x.csv:4: row 3, column `label`: 12 is outside class[10], which takes 0..9",
        ),
        (
            b"label\n-1\n",
            vec![named("label", Class(2))],
            "E0917 x.csv:2: row 1, column `label`: -1 is outside class[2], which takes 0..1",
        ),
        (
            b"label\nsetosa\n",
            vec![named("label", Class(3))],
            "E0916 x.csv:2: row 1, column `label`: found `setosa`, expected a class index 0..2 (read class names as a `text` column and number them with a `labels` fit)",
        ),
        (
            b"label\n1.5\n",
            vec![named("label", Class(3))],
            "E0916 x.csv:2: row 1, column `label`: found `1.5`, expected a class index 0..2",
        ),
        (
            b"a,b\n1,2\n3\n",
            f32s("a"),
            "E0912 x.csv:3: row 2 has 1 field, expected 2",
        ),
        (
            b"a,b\n1,2,3\n",
            f32s("a"),
            "E0912 x.csv:2: row 1 has 3 fields, expected 2",
        ),
        (
            b"a,b\n1,2\n\"3,4\n5,6\n",
            f32s("a"),
            "E0919 x.csv:3: the row that starts here opens a quote that is never closed",
        ),
        (
            b"a,t\n1,2\n3,\"4\n5,6",
            vec![named("t", Text)],
            "E0919 x.csv:3: the row that starts here opens a quote that is never closed",
        ),
        (
            b"a,b\n1,2\n\"3,4\n5\",6,7\n8,9\n",
            f32s("a"),
            "E0912 x.csv:3: row 2 has 3 fields, expected 2 (it spans 2 lines: is a quote left open?)",
        ),
        (
            b"age,mass\n1,2\n",
            f32s("Mass"),
            "E0913 x.csv: there is no column `Mass` (did you mean `mass`?); it has `age`, `mass`",
        ),
        (
            b"1,2\n",
            f32s("mass"),
            "E0913 x.csv: there is no column `mass`; its columns have no names: select them by index",
        ),
        (
            b"1,2\n",
            at(2),
            "E0914 x.csv: there is no column 2: it has 2 columns, numbered from 0",
        ),
        (
            b"1,2\n",
            range(0, 5),
            "E0914 x.csv: there is no column 5: it has 2 columns, numbered from 0",
        ),
        (
            b"1,2\n",
            range(1, 0),
            "E0915 x.csv: columns 1 .. 0 are in the wrong order",
        ),
        (
            b"a,b\n1,2\n",
            names("b", "a"),
            "E0915 x.csv: columns `b` .. `a` are in the wrong order",
        ),
        (
            b"a,a\n1,2\n",
            f32s("a"),
            "E0923 x.csv: two columns are named `a`; select one by its index",
        ),
        (
            b"1,2,3\n",
            vec![ColumnSpec {
                shape: Some(vec![2, 2]),
                ..spec("x", Select::Indices(0, 2), F32)
            }],
            "E0921 x.csv: column `x` has shape [3] per row, expected [2, 2]",
        ),
        (
            b"a,b\n1,2\n",
            vec![spec("x", Select::Indices(0, 1), Text)],
            "E0921 x.csv: column `x` has shape [2] per row, expected []",
        ),
        (
            b"t,n\ncaf\xe9,1\n",
            vec![named("t", Text)],
            "E0911 x.csv:2: row 1, column `t`: not valid UTF-8",
        ),
        (
            b"t\xff,n\ncaf,1\n",
            vec![],
            "E0920 x.csv: the name of column 0 on the first line is not valid UTF-8",
        ),
        (
            &long,
            f32s("a"),
            "E0918 x.csv:2: the field that starts here is longer than 16 MB: is a quote left open?",
        ),
        (
            &open,
            f32s("a"),
            "E0940 x.csv:3: a row that starts here has more than 1048576 delimiters: is a quote left open?",
        ),
    ];
    for (content, specs, expected) in cases {
        // a row in the making may double its buffer once more
        let most = if content.len() > LITTLE {
            129 << 20
        } else {
            LITTLE
        };
        for (name, bytes) in [("x.csv", content.to_vec()), ("x.csv.gz", gz(content))] {
            let (_folder, path) = file(name, &bytes);
            let header = if content == b"t\xff,n\ncaf,1\n" {
                HeaderLine::Present
            } else {
                HeaderLine::Detect
            };
            let options = CsvOptions {
                delimiter: None,
                header,
                quote: true,
            };
            let error = refused(&path, most, |p| read_csv(p, options, &specs));
            assert_eq!(error.replace(".gz", ""), expected);
        }
    }
    let whole = gz(&b"a,b\n1,2\n".repeat(1000));
    let (_folder, path) = file("x.csv.gz", &whole[..whole.len() - 12]);
    let options = CsvOptions {
        delimiter: None,
        header: HeaderLine::Present,
        quote: true,
    };
    let error = refused(&path, LITTLE, |p| {
        read_csv(p, options, &[spec("x", Select::Index(0), Text)])
    });
    assert_eq!(
        error,
        "E0904 x.csv.gz: the gzip stream ends too early: the file is truncated"
    );
}

#[test]
fn a_table_survives_csv() {
    let folder = tempfile::tempdir().unwrap();
    let column =
        |name: &str, shape: &[usize], data| Column::new(name, shape.to_vec(), data).unwrap();
    let floats = vec![0.1, -1e-30, 3.0e38, 0.0, 1.0, 16_777_216.0];
    let table = Table::new(vec![
        column("p", &[2], ColumnData::F32(floats)),
        column("class", &[], ColumnData::I32(vec![-3, 0, 7])),
        column(
            "text",
            &[],
            ColumnData::Text(["a,b", "\"q\"\n", ""].into_iter().collect()),
        ),
    ])
    .unwrap();
    for name in ["out.csv", "out.tsv"] {
        let path = folder.path().join(name);
        write_csv(&path, &table).unwrap();
        let again = read_csv(
            &path,
            CsvOptions::detect(),
            &[
                spec(
                    "p",
                    Select::Names("p_0".into(), "p_1".into()),
                    ElementType::F32,
                ),
                named("class", ElementType::I32),
                named("text", ElementType::Text),
            ],
        );
        assert_eq!(again.unwrap(), table);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    let nowhere = folder.path().join("no/out.csv");
    let error = write_csv(&nowhere, &table).unwrap_err().to_string();
    assert!(
        error.ends_with("cannot create a file beside it: no such file or directory"),
        "{error}"
    );
}

// NumPy

pub(crate) fn npy(descriptor: &str, fortran: bool, shape: &str, elements: &[u8]) -> Vec<u8> {
    let fortran = if fortran { "True" } else { "False" };
    let header =
        format!("{{'descr': '{descriptor}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    npy_of(1, header.as_bytes(), elements)
}

pub(crate) fn npy_of(version: u8, header: &[u8], elements: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY".to_vec();
    bytes.extend([version, 0]);
    match version {
        1 => bytes.extend((header.len() as u16).to_le_bytes()),
        _ => bytes.extend((header.len() as u32).to_le_bytes()),
    }
    bytes.extend(header);
    bytes.extend(elements);
    bytes
}

pub(crate) fn npz(members: &[(&str, &[u8])], method: zip::CompressionMethod) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        writer.start_file(format!("{name}.npy"), options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn npy_of_every_type_is_read() {
    let cases: [(&str, &[u8], ColumnData); 10] = [
        ("|b1", &[0, 1], ColumnData::U8(vec![0, 1])),
        ("|u1", &[0, 255], ColumnData::U8(vec![0, 255])),
        ("|i1", &[0, 255], ColumnData::I32(vec![0, -1])),
        ("<u2", &[1, 2, 0, 255], ColumnData::I32(vec![513, 65280])),
        (
            ">i4",
            &[0, 0, 0, 1, 255, 255, 255, 255],
            ColumnData::I32(vec![1, -1]),
        ),
        (
            "<i8",
            &[[7u8, 0, 0, 0, 0, 0, 0, 0], [255; 8]].concat(),
            ColumnData::I32(vec![7, -1]),
        ),
        (
            "<u8",
            &[[7u8, 0, 0, 0, 0, 0, 0, 0], [8, 0, 0, 0, 0, 0, 0, 0]].concat(),
            ColumnData::I32(vec![7, 8]),
        ),
        (
            "<f4",
            &[1.5f32, -2.0].map(f32::to_le_bytes).concat(),
            ColumnData::F32(vec![1.5, -2.0]),
        ),
        (
            ">f4",
            &[1.5f32, -2.0].map(f32::to_be_bytes).concat(),
            ColumnData::F32(vec![1.5, -2.0]),
        ),
        (
            "<f8",
            &[0.1f64, -2.0].map(f64::to_le_bytes).concat(),
            ColumnData::F32(vec![0.1, -2.0]),
        ),
    ];
    for (descriptor, elements, expected) in cases {
        let (_folder, path) = file("x.npy", &npy(descriptor, false, "(2,)", elements));
        let column = read_npy(&path, "x", None).unwrap();
        assert_eq!(
            (column.data(), column.shape()),
            (&expected, &[][..]),
            "{descriptor}"
        );
    }
    let (_folder, path) = file(
        "x.npy",
        &npy(
            "<i8",
            false,
            "(1, 2)",
            &[[3u8, 0, 0, 0, 0, 0, 0, 0]; 2].concat(),
        ),
    );
    let column = read_npy(&path, "x", Some(ElementType::U8)).unwrap();
    assert_eq!(
        (column.data(), column.shape()),
        (&ColumnData::U8(vec![3, 3]), &[2][..])
    );
}

#[test]
fn column_major_arrays_come_out_row_major() {
    // numpy: np.asfortranarray(np.arange(12).reshape(2, 3, 2))
    let elements = [0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11];
    let (_folder, path) = file("x.npy", &npy("|u1", true, "(2, 3, 2)", &elements));
    let column = read_npy(&path, "x", None).unwrap();
    assert_eq!(
        (column.data(), column.shape()),
        (&ColumnData::U8((0..12).collect()), &[3, 2][..])
    );
}

#[test]
fn npz_members_are_columns() {
    let x = npy(
        "<f4",
        false,
        "(2, 2)",
        &[1f32, 2.0, 3.0, 4.0].map(f32::to_le_bytes).concat(),
    );
    let y = npy(
        "<i8",
        false,
        "(2,)",
        &[[1u8, 0, 0, 0, 0, 0, 0, 0], [0; 8]].concat(),
    );
    for method in [
        zip::CompressionMethod::Stored,
        zip::CompressionMethod::Deflated,
    ] {
        let (_folder, path) = file("d.npz", &npz(&[("x", &x), ("y", &y)], method));
        assert_eq!(npz_names(&path).unwrap(), ["x", "y"]);
        let all = read_npz(&path, &[]).unwrap();
        assert_eq!(
            all.columns()[0].data(),
            &ColumnData::F32(vec![1.0, 2.0, 3.0, 4.0])
        );
        let label = read_npz(&path, &[("y", "label", Some(ElementType::Class(2)))]).unwrap();
        assert_eq!(
            label.column("label").unwrap().data(),
            &ColumnData::I32(vec![1, 0])
        );
    }
}

#[test]
fn broken_npy_is_refused() {
    let deep = format!("{{'descr': {}1{}}}\n", "(".repeat(4000), ")".repeat(4000));
    let mut long = npy_of(2, b"\n", &[]);
    long[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    let cases: [(&[u8], &str); 13] = [
        (b"", "E0905 x.npy: the file has no rows"),
        (
            b"PK\x03\x04 and so on",
            "E0906 x.npy: not an npy array: it starts with 50 4b 03 04 20 61, expected 93 4e 55 4d 50 59",
        ),
        (
            &npy("<f4", false, "(3,)", &[0; 11])[..40],
            "E0908 x.npy: the header should have 68 bytes, but the file ends after 40",
        ),
        (
            &npy("<f4", false, "(3,)", &[0; 11]),
            "E0908 x.npy: the file should have 80 bytes, but the file ends after 79",
        ),
        (
            &npy("<f4", false, "(3,)", &[0; 13]),
            "E0909 x.npy: the file is longer than the 80 bytes that its header declares",
        ),
        (
            &npy("<f8", false, "(4000000000, 1000)", &[0; 8]),
            "E0908 x.npy: the file should have 32,000,000,000,082 bytes",
        ),
        (
            &npy("|u1", false, "()", &[0]),
            "E0920 x.npy: it holds a single number and has no rows",
        ),
        (
            &npy("|u1", false, "(0, 4)", &[]),
            "E0905 x.npy: the file has no rows",
        ),
        (
            &npy("<c8", false, "(1,)", &[0; 8]),
            "E0907 x.npy: element type `<c8` is not supported; expected bool, an integer type, f4 or f8",
        ),
        (
            &npy("|O", false, "(1,)", &[0; 8]),
            "E0907 x.npy: element type `|O` is not supported",
        ),
        (
            &npy_of(1, deep.as_bytes(), &[]),
            "E0920 x.npy: its header is corrupt: ",
        ),
        (
            &npy_of(1, b"{'descr': '<f4'}\n", &[]),
            "E0920 x.npy: its header is corrupt: ",
        ),
        (
            &long,
            "E0920 x.npy: its header declares 4294967295 bytes; the maximum is 10000",
        ),
    ];
    for (bytes, expected) in cases {
        let (_folder, path) = file("x.npy", bytes);
        let error = refused(&path, LITTLE, |p| read_npy(p, "x", None));
        assert!(error.starts_with(expected), "{error}\n{expected}");
    }
    let cases: [(&str, &[u8], ElementType, &str); 4] = [
        (
            "<i8",
            &[0, 0, 0, 0, 1, 0, 0, 0],
            ElementType::I32,
            "found `4294967296`, expected an integer in the range of i32",
        ),
        (
            "<u8",
            &[255; 8],
            ElementType::F32,
            "found `18446744073709551615`, expected an integer that f32 represents exactly",
        ),
        (
            "<f8",
            &1e300f64.to_le_bytes(),
            ElementType::F32,
            "expected a number in the range of f32",
        ),
        (
            "<f8",
            &2.5f64.to_le_bytes(),
            ElementType::Class(3),
            "found `2.5`, expected an integer in the range of i32",
        ),
    ];
    for (descriptor, element, want, expected) in cases {
        let (_folder, path) = file("x.npy", &npy(descriptor, false, "(1,)", element));
        let error = refused(&path, LITTLE, |p| read_npy(p, "x", Some(want)));
        assert!(
            error.starts_with("E0916 x.npy: row 1, column `x`: ") && error.ends_with(expected),
            "{error}"
        );
    }
}

#[test]
fn broken_npz_is_refused() {
    let method = zip::CompressionMethod::Deflated;
    let x = npy("|u1", false, "(2,)", &[1, 2]);
    let y = npy("|u1", false, "(3,)", &[1, 2, 3]);
    let whole = npz(&[("x", &x), ("y", &y)], method);
    let mut damaged = npz(&[("x", &x)], zip::CompressionMethod::Stored);
    let at = 30 + "x.npy".len() + x.len() - 1; // the last element
    damaged[at] ^= 1;
    let huge = npz(
        &[("x", &npy("|u1", false, "(4000000000,)", &[1, 2]))],
        method,
    );
    let bomb = npz(
        &[("x", &npy("|u1", false, "(4,)", &vec![0; 40 << 20]))],
        method,
    );
    type Members<'a> = &'a [(&'a str, &'a str, Option<ElementType>)];
    let cases: [(&[u8], Members<'_>, &str); 7] = [
        (
            b"not a zip",
            &[],
            "E0906 d.npz: not an npz file: it starts with 6e 6f 74 20, ",
        ),
        (
            &whole[..whole.len() / 2],
            &[],
            "E0920 d.npz: a corrupt npz file, perhaps truncated (",
        ),
        (
            &whole,
            &[],
            "E0922 columns have different numbers of rows: `x` has 2, `y` has 3",
        ),
        (
            &whole,
            &[("z", "z", None)],
            "E0913 d.npz: there is no column `z`; it has `x`, `y`",
        ),
        (
            &damaged,
            &[],
            "E0920 d.npz: its member `x` is corrupt: Invalid checksum",
        ),
        (
            &huge,
            &[],
            "E0910 d.npz/x.npy: its header declares 4,000,000,077 bytes, but the file can hold",
        ),
        (&bomb, &[], "E0909 d.npz/x.npy: the file is longer than the"),
    ];
    for (bytes, members, expected) in cases {
        let (_folder, path) = file("d.npz", bytes);
        let error = refused(&path, LITTLE, |p| read_npz(p, members));
        assert!(error.starts_with(expected), "{error}\n{expected}");
    }
}

#[test]
fn a_column_survives_npy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.npy");
    for data in [
        ColumnData::U8(vec![1, 2, 3, 4]),
        ColumnData::I32(vec![1, -2, 3, 4]),
        ColumnData::F32(vec![0.1, -1e-30, 3.0e38, 0.0]),
    ] {
        for shape in [vec![], vec![2], vec![1, 2, 1]] {
            let column = Column::new("p", shape, data.clone()).unwrap();
            write_npy(&path, &column).unwrap();
            assert_eq!(read_npy(&path, "p", None).unwrap(), column);
        }
    }
    let text = Column::new("t", vec![], ColumnData::Text(["a"].into_iter().collect())).unwrap();
    assert_eq!(
        write_npy(&path, &text).unwrap_err().to_string(),
        "column `t` holds text, but an npy file needs numbers"
    );
}

// What ships with the repository

/// Rows of each class.
fn classes(column: &Column) -> Vec<usize> {
    let ColumnData::I32(labels) = column.data() else {
        panic!("{:?}", column.data())
    };
    let mut counts = vec![0; 1 + *labels.iter().max().unwrap() as usize];
    labels.iter().for_each(|&l| counts[l as usize] += 1);
    counts
}

#[test]
fn the_data_that_ships_is_what_its_readme_says() {
    use ElementType::{Class, F32, Text, U8};
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/data");
    let read = |name: &str, specs: &[ColumnSpec]| {
        read_csv(&folder.join(name), CsvOptions::detect(), specs).unwrap()
    };
    let images = |last, classes| {
        [
            spec("image", Select::Indices(0, last), U8),
            spec("label", Select::Index(last + 1), Class(classes)),
        ]
    };
    let digits = read("digits_8x8.csv.gz", &images(63, 10));
    assert_eq!(digits.rows(), 1797);
    assert_eq!(
        digits.columns()[0].as_bytes().unwrap().iter().max(),
        Some(&16)
    );
    assert_eq!(
        classes(&read("mnist_5k.csv.gz", &images(783, 10)).columns()[1]),
        [500; 10]
    );
    let pima = read(
        "pima_diabetes.csv",
        &[
            spec("x", Select::Names("preg".into(), "age".into()), F32),
            named("class", Class(2)),
        ],
    );
    assert_eq!(
        (pima.columns()[0].shape(), classes(&pima.columns()[1])),
        (&[8][..], vec![500, 268])
    );
    let iris = read(
        "iris.csv",
        &[
            spec(
                "x",
                Select::Names("sepal_length".into(), "petal_width".into()),
                F32,
            ),
            named("species", Class(3)),
        ],
    );
    assert_eq!(
        (iris.columns()[0].shape(), classes(&iris.columns()[1])),
        (&[4][..], vec![50; 3])
    );
    let air = read(
        "airline-passengers.csv",
        &[named("month", Text), named("passengers", F32)],
    );
    let (ColumnData::Text(month), ColumnData::F32(passengers)) =
        (air.columns()[0].data(), air.columns()[1].data())
    else {
        panic!()
    };
    assert_eq!(
        (month.get(143), passengers[143], air.rows()),
        (Some("1960-12"), 432.0, 144)
    );
}

#[test]
fn batches_allocate_nothing() {
    let column = Column::new("x", vec![8], ColumnData::F32(vec![1.0; 8000])).unwrap();
    let table = std::sync::Arc::new(Table::new(vec![column]).unwrap());
    let order = Order::Shuffled { seed: 1 };
    let mut batches = Batches::new(table, &[0], (0..1000).collect(), 10, order).unwrap();
    let (sum, bytes) = peak(|| {
        let mut sum = 0.0;
        for number in 0..3 {
            let mut epoch = batches.epoch(number);
            while let Some(batch) = epoch.next_batch().unwrap() {
                sum += batch.column(0).f32s().unwrap().iter().sum::<f32>();
            }
        }
        sum
    });
    assert_eq!((sum, bytes), (24_000.0, 0));
}
