//! Columns of the archives of CIFAR-10 and of the film reviews.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use tar::Archive;

use crate::data::error::ValuePlace;
use crate::data::formats::csv::ColumnSpec;
use crate::data::formats::source::Source;
use crate::data::{Column, ColumnData, DataError, ElementType, Table};

/// Pixels of a colour of a CIFAR image.
const PLANE: usize = 32 * 32;
/// A label and three colours.
const RECORD: usize = 1 + 3 * PLANE;
/// A member of an archive that is larger is not what it should be.
const MOST: u64 = 64 << 20;

/// `wanted`: 0 for the images, 1 for the labels, and how they are asked for.
pub(super) fn cifar(
    path: &Path,
    testing: bool,
    wanted: &[(usize, &ColumnSpec)],
) -> Result<Table, DataError> {
    let ours = |name: &str| match testing {
        true => name == "test_batch.bin",
        false => name.starts_with("data_batch_") && name.ends_with(".bin"),
    };
    let members = members(path, |name| {
        let name = name.rsplit('/').next().unwrap_or(name);
        ours(name).then(|| name.to_owned())
    })?;
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for (name, bytes) in &members {
        if bytes.is_empty() || bytes.len() % RECORD != 0 {
            return Err(DataError::Truncated {
                path: path.to_owned(),
                part: format!("record in {name}"),
                declared: RECORD as u64,
                found: (bytes.len() % RECORD) as u64,
            });
        }
        for record in bytes.as_chunks::<RECORD>().0 {
            if record[0] > 9 {
                return Err(DataError::ClassRange {
                    place: Box::new(ValuePlace {
                        path: path.to_owned(),
                        line: None,
                        row: labels.len() as u64 + 1,
                        column: "label".into(),
                    }),
                    value: i64::from(record[0]),
                    classes: 10,
                });
            }
            labels.push(record[0]);
            let planes = &record[1..];
            pixels.extend(
                (0..PLANE).flat_map(|i| [planes[i], planes[PLANE + i], planes[2 * PLANE + i]]),
            );
        }
    }
    table(path, wanted, |at, last| {
        let (shape, values) = match at {
            0 => (vec![32, 32, 3], &mut pixels),
            _ => (vec![], &mut labels),
        };
        let values = match last {
            true => std::mem::take(values),
            false => values.clone(),
        };
        (shape, ColumnData::U8(values))
    })
}

/// `wanted`: 0 for the texts, 1 for the sentiments. Reviews stand by class, then by the name
/// of their file.
pub(super) fn acl_imdb(
    path: &Path,
    testing: bool,
    wanted: &[(usize, &ColumnSpec)],
) -> Result<Table, DataError> {
    let part = if testing { "test" } else { "train" };
    let members = members(path, |name| {
        let mut parts = name.rsplit('/');
        let (file, class, of) = (parts.next()?, parts.next()?, parts.next()?);
        let ours = of == part && matches!(class, "neg" | "pos") && file.ends_with(".txt");
        ours.then(|| format!("{class}/{file}"))
    })?;
    let mut texts = Vec::with_capacity(members.len());
    let mut sentiments = Vec::with_capacity(members.len());
    for (name, bytes) in &members {
        let text = std::str::from_utf8(bytes).map_err(|_| DataError::NotUtf8 {
            place: Box::new(ValuePlace {
                path: path.join(name),
                line: None,
                row: texts.len() as u64 + 1,
                column: "text".into(),
            }),
        })?;
        texts.push(text);
        sentiments.push(u8::from(name.starts_with("pos/")));
    }
    table(path, wanted, |at, _| match at {
        0 => (vec![], ColumnData::Text(texts.iter().copied().collect())),
        _ => (vec![], ColumnData::U8(sentiments.clone())),
    })
}

/// The files of an archive to which `name` gives one, by it.
fn members(
    path: &Path,
    name: impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, Vec<u8>>, DataError> {
    let broken = |e: std::io::Error| DataError::io(path, "read the archive", &e);
    let mut archive = Archive::new(Source::open(path)?);
    let mut found = BTreeMap::new();
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let whole = entry.path().map_err(broken)?.to_string_lossy().into_owned();
        let Some(name) = name(&whole).filter(|_| entry.header().entry_type().is_file()) else {
            continue;
        };
        if entry.size() > MOST {
            return Err(DataError::TooLarge {
                path: path.join(&whole),
                declared: u128::from(entry.size()),
                limit: MOST,
            });
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(broken)?;
        found.insert(name, bytes);
    }
    if found.is_empty() {
        return Err(DataError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(found)
}

/// Columns of what `content` gives for each: shape of a row, and elements; it is told when it is
/// asked for the last time.
fn table(
    path: &Path,
    wanted: &[(usize, &ColumnSpec)],
    mut content: impl FnMut(usize, bool) -> (Vec<usize>, ColumnData),
) -> Result<Table, DataError> {
    let columns = wanted.iter().enumerate().map(|(i, (at, spec))| {
        let last = wanted[i + 1..].iter().all(|(other, _)| other != at);
        let (shape, data) = content(*at, last);
        let data = match (data, spec.element) {
            (ColumnData::U8(v), ElementType::I32) => {
                ColumnData::I32(v.into_iter().map(i32::from).collect())
            }
            (data @ ColumnData::Text(_), ElementType::Text)
            | (data @ ColumnData::U8(_), ElementType::U8 | ElementType::Class(_)) => data,
            (data, _) => {
                return Err(DataError::ElementType {
                    path: path.to_owned(),
                    found: format!("{:?} of `{}`", spec.element, spec.name),
                    expected: match data {
                        ColumnData::Text(_) => "text",
                        _ => "u8 or class",
                    },
                });
            }
        };
        Column::new(spec.name.clone(), shape, data)
    });
    Table::new(columns.collect::<Result<_, _>>()?)
}
