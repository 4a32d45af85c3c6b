//! Parquet.

use super::{Case, Content, FEEDS, WORDS, gz};
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, FloatType, Int32Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use std::sync::Arc;

/// The columns that a file may have.
#[derive(Default)]
pub(crate) struct Columns<'a> {
    /// Lists of two, unless levels say otherwise.
    pub x: &'a [f32],
    /// Definition and repetition levels.
    pub levels: Option<(&'a [i16], &'a [i16])>,
    pub y: &'a [i32],
    pub y_levels: Option<&'a [i16]>,
    pub t: &'a [&'a [u8]],
}

/// A file of lists `x`, whole numbers `y` and strings `t`.
pub(crate) fn written(columns: &Columns, compression: Compression) -> Vec<u8> {
    let schema =
        "message m { OPTIONAL GROUP x (LIST) { REPEATED GROUP list { OPTIONAL FLOAT element; } }
                  OPTIONAL INT32 y; REQUIRED BYTE_ARRAY t (UTF8); }";
    let schema = Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
    let mut rows = writer.next_row_group().unwrap();
    let pairs = columns.x.len();
    let (defs, reps) = (vec![3; pairs], [0, 1].repeat(pairs / 2));
    let (defs, reps) = columns.levels.unwrap_or((&defs, &reps));
    let mut column = rows.next_column().unwrap().unwrap();
    column
        .typed::<FloatType>()
        .write_batch(columns.x, Some(defs), Some(reps))
        .unwrap();
    column.close().unwrap();
    let there = vec![1; columns.y.len()];
    let mut column = rows.next_column().unwrap().unwrap();
    let levels = columns.y_levels.unwrap_or(&there);
    column
        .typed::<Int32Type>()
        .write_batch(columns.y, Some(levels), None)
        .unwrap();
    column.close().unwrap();
    let count = levels.len();
    let texts = (0..count).map(|i| columns.t.get(i).copied().unwrap_or(b"a b"));
    let texts: Vec<ByteArray> = texts.map(|t| ByteArray::from(t.to_vec())).collect();
    let mut column = rows.next_column().unwrap().unwrap();
    column
        .typed::<ByteArrayType>()
        .write_batch(&texts, None, None)
        .unwrap();
    column.close().unwrap();
    rows.close().unwrap();
    writer.into_inner().unwrap()
}

pub(crate) fn good() -> Vec<u8> {
    let columns = Columns {
        x: &[1., 2., 3., 4.],
        y: &[0, 1],
        ..Columns::default()
    };
    written(&columns, Compression::SNAPPY)
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |name, bytes: Vec<u8>| Case {
        name,
        lines: format!(
            "source parquet(\"a.parquet\")\ncolumn x : [2]\ncolumn y : class[2]\n{FEEDS}"
        ),
        files: vec![("a.parquet".into(), Content::Bytes(bytes))],
    };
    let holding = |name, columns: Columns| case(name, written(&columns, Compression::UNCOMPRESSED));
    let good = good();
    let end = good.len();
    let patched = |at: usize, with: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        bytes
    };
    let odd = std::fs::read("tests/fixtures/parquet.odd.parquet").unwrap();
    let odd = |name, column: &str| {
        case(name, odd.clone()).with(&format!(
            "column x : [2] = {column}\ncolumn y : class[2] = n\n{FEEDS}"
        ))
    };
    let four = [1., 2., 3., 4.];
    vec![
        case("an empty Parquet file", vec![]),
        case("text for a Parquet file", b"a,b,y\n1,2,0\n".to_vec()),
        case("a Parquet file of four bytes", b"PAR1".to_vec()),
        case("a Parquet file that is cut off", good[..end - 20].to_vec()),
        case("a Parquet footer longer than the file", patched(end - 8, &u32::MAX.to_le_bytes())),
        case("a Parquet footer of nothing", patched(end - 8, &[0; 4])),
        case("a Parquet footer of garbage", patched(end - 60, &[0xaa; 50])),
        case("an encrypted Parquet file", patched(0, b"PARE")),
        case("gzip around a Parquet file", gz(&good)),
        case("a Parquet page of garbage", patched(5, &[0xff; 16])),
        case("a Parquet page that is said to hold 2 GB", {
            // the header's second field, its size once decompressed
            let mut bytes = good.clone();
            let header = [&[0x15, 4, 0x15][..], &[0xfe, 0xff, 0xff, 0xff, 0x0f]].concat();
            bytes[4..4 + header.len()].copy_from_slice(&header);
            bytes
        }),
        case("a Parquet page of a wrong size", {
            let mut bytes = good.clone();
            bytes[9] = 2;
            bytes
        }),
        case("a Parquet file without rows", written(&Columns::default(), Compression::SNAPPY)),
        case("a Parquet column that is not there", good.clone())
            .with(&format!("column x : [2]\ncolumn y : class[2] = label\n{FEEDS}")),
        odd("decimal numbers", "money"),
        odd("a structure", "point"),
        odd("lists of strings", "words"),
        odd("a compression that is not supported", "n")
            .with("column n : []\ncolumn y : class[2] = n\ninput x : [2] = concat(expand(n, 1), expand(n, 1))\ntarget y : class[2]"),
        holding("a Parquet null", Columns {
            x: &four,
            y: &[0],
            y_levels: Some(&[1, 0]),
            ..Columns::default()
        }),
        holding("a Parquet null in a list", Columns {
            x: &[1., 2., 3.],
            levels: Some((&[3, 3, 3, 2], &[0, 1, 0, 1])),
            y: &[0, 1],
            ..Columns::default()
        }),
        holding("an empty Parquet list", Columns {
            x: &[1., 2.],
            levels: Some((&[3, 3, 1], &[0, 1, 0])),
            y: &[0, 1],
            ..Columns::default()
        }),
        holding("a Parquet list that is too long", Columns {
            x: &[1., 2., 3., 4., 5.],
            levels: Some((&[3; 5], &[0, 1, 0, 1, 1])),
            y: &[0, 1],
            ..Columns::default()
        }),
        holding("a Parquet class beyond the column's", Columns {
            x: &four,
            y: &[0, 2],
            ..Columns::default()
        }),
        holding("a Parquet number that is not finite", Columns {
            x: &[1., 2., f32::NAN, 4.],
            y: &[0, 1],
            ..Columns::default()
        }),
        holding("a Parquet string for a number", Columns {
            x: &four,
            y: &[0, 1],
            ..Columns::default()
        })
        .with(&format!("column x : [2]\ncolumn y : class[2] = t\n{FEEDS}")),
        holding("a Parquet string that is not UTF-8", Columns {
            x: &four,
            y: &[0, 1],
            t: &[b"fine", b"caf\xe9"],
            ..Columns::default()
        })
        .with(&format!("column t : text\ncolumn y : class[2]\n{WORDS}")),
        holding("a Parquet list for a number", Columns {
            x: &four,
            y: &[0, 1],
            ..Columns::default()
        })
        .with("column x : []\ncolumn y : class[2]\ninput x : [2] = concat(expand(x, 1), expand(x, 1))\ntarget y : class[2]"),
    ]
}
