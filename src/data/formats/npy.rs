//! NumPy's files: npy (one array) and npz (a zip of them, its members the columns).
//!
//! Taken: bool, signed and unsigned integers, f32 and f64, of either byte order,
//! row- or column-major, from format version 1 to 3; npz stored or deflated. The
//! first dim counts the rows. Headers are short; sizes are held against the file's before
//! anything is allocated.

use super::decode::{self, Array, Encoding, NumberType};
use super::npy_header::Header;
use super::source::{MOST_DEFLATE, Source};
use crate::data::error::{DataError, nearest};
use crate::data::table::{Column, ColumnData, ElementType, Table};
use crate::data::write::write_to;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::Path;
use zip::ZipArchive;
use zip::result::ZipError;

/// NumPy pads headers to 64 bytes and warns above 10,000.
const MAX_HEADER: usize = 10_000;

/// Reads the array of an npy file as a column called `name`.
pub fn read_npy(path: &Path, name: &str, want: Option<ElementType>) -> Result<Column, DataError> {
    let mut source = Source::open(path)?;
    let path = source.path.clone();
    let header = read_header(&path, |to| source.fill(to))?;
    let array = Array {
        path: &path,
        column: name,
        dims: &header.dims,
        kind: header.encoding.kind,
        header: header.bytes,
    };
    let count = array.count(source.exact_size(), source.most())?;
    let data = decode::read(&mut source, count, header.encoding, want)
        .map_err(|f| array.locate(f, |e| source.fault(e)))?;
    source.end(array.declared())?;
    Column::new(name, header.dims[1..].to_vec(), header.row_major(data))
}

/// Names of the arrays in an npz file, in its order.
pub fn npz_names(path: &Path) -> Result<Vec<String>, DataError> {
    Ok(names(&open_zip(path)?))
}

/// Reads members of an npz file: each as `(member, column name, type)`; all of them if none is named.
pub fn read_npz(
    path: &Path,
    members: &[(&str, &str, Option<ElementType>)],
) -> Result<Table, DataError> {
    let mut zip = open_zip(path)?;
    let names = names(&zip);
    if names.is_empty() {
        return Err(DataError::Empty {
            path: path.to_owned(),
        });
    }
    if members.is_empty() {
        let columns = names
            .iter()
            .enumerate()
            .map(|(i, n)| read_member(path, &mut zip, i, n, None));
        return Table::new(columns.collect::<Result<_, _>>()?);
    }
    let columns =
        members.iter().map(
            |&(member, name, want)| match names.iter().position(|n| n == member) {
                Some(index) => read_member(path, &mut zip, index, name, want),
                None => Err(DataError::UnknownColumn {
                    path: path.to_owned(),
                    name: member.into(),
                    names: names.clone(),
                    suggestion: nearest(member, names.iter().map(String::as_str)),
                }),
            },
        );
    Table::new(columns.collect::<Result<_, _>>()?)
}

/// Writes a column of numbers as an npy file of shape `[rows, ..]`.
pub fn write_npy(path: &Path, column: &Column) -> Result<(), DataError> {
    let dims: Vec<usize> = std::iter::once(column.rows())
        .chain(column.shape().iter().copied())
        .collect();
    match column.data() {
        ColumnData::U8(v) => write_array(path, dims, "|u1", v.iter().map(|x| [*x])),
        ColumnData::I32(v) => write_array(path, dims, "<i4", v.iter().map(|x| x.to_le_bytes())),
        ColumnData::F32(v) => write_array(path, dims, "<f4", v.iter().map(|x| x.to_le_bytes())),
        other @ (ColumnData::U16(_) | ColumnData::Text(_) | ColumnData::Sparse(_)) => {
            Err(DataError::ColumnKind {
                column: column.name.clone(),
                found: other.storage().name(),
                doing: "an npy file",
                expected: "numbers",
            })
        }
    }
}

/// What the header of an array says.
struct ArrayHeader {
    encoding: Encoding,
    column_major: bool,
    dims: Vec<usize>,
    /// The header's own size.
    bytes: u64,
}

/// `fill` reads until its buffer is full or the data ends, and says how much came.
fn read_header(
    path: &Path,
    mut fill: impl FnMut(&mut [u8]) -> Result<usize, DataError>,
) -> Result<ArrayHeader, DataError> {
    let bad = |reason: String| DataError::BadHeader {
        path: path.to_owned(),
        reason,
    };
    let mut start = [0; 12];
    let got = fill(&mut start[..10])?;
    if got == 0 {
        return Err(DataError::Empty {
            path: path.to_owned(),
        });
    }
    if got < 10 || &start[..6] != b"\x93NUMPY" {
        return Err(DataError::Magic {
            path: path.to_owned(),
            format: "an npy array",
            found: start[..got.min(6)].to_vec(),
            expected: "93 4e 55 4d 50 59",
        });
    }
    if !matches!(start[6..8], [1..=3, 0]) {
        let (major, minor) = (start[6], start[7]);
        return Err(bad(format!(
            "its format version is {major}.{minor}; 1.0 to 3.0 are read"
        )));
    }
    let (preamble, len) = if start[6] == 1 {
        (10, usize::from(u16::from_le_bytes([start[8], start[9]])))
    } else {
        fill(&mut start[10..])?;
        (
            12,
            u32::from_le_bytes([start[8], start[9], start[10], start[11]]) as usize,
        )
    };
    if len > MAX_HEADER {
        return Err(bad(format!(
            "its header declares {len} bytes; the maximum is {MAX_HEADER}"
        )));
    }
    let mut whole = start[..preamble].to_vec();
    whole.resize(preamble + len, 0);
    let got = fill(&mut whole[preamble..])?;
    if got < len {
        return Err(DataError::Truncated {
            path: path.to_owned(),
            part: "header".into(),
            declared: (preamble + len) as u64,
            found: (preamble + got) as u64,
        });
    }
    let bytes = whole.len() as u64;
    let text = String::from_utf8_lossy(&whole[preamble..]);
    let header = Header::parse(&text).map_err(|e| bad(format!("its header is corrupt: {e}")))?;
    let Some(encoding) = encoding(header.descr) else {
        return Err(DataError::ElementType {
            path: path.to_owned(),
            found: format!("`{}`", header.descr.chars().take(40).collect::<String>()),
            expected: "bool, an integer type, f4 or f8",
        });
    };
    Ok(ArrayHeader {
        encoding,
        column_major: header.fortran_order,
        dims: header.shape,
        bytes,
    })
}

/// `<f4` and the like.
fn encoding(descriptor: &str) -> Option<Encoding> {
    let (order, name) = descriptor.split_at_checked(1)?;
    let kind = match name {
        "b1" => NumberType::Bool,
        "u1" => NumberType::U8,
        "i1" => NumberType::I8,
        "u2" => NumberType::U16,
        "i2" => NumberType::I16,
        "u4" => NumberType::U32,
        "i4" => NumberType::I32,
        "u8" => NumberType::U64,
        "i8" => NumberType::I64,
        "f4" => NumberType::F32,
        "f8" => NumberType::F64,
        _ => return None,
    };
    match order {
        "<" | "=" | "|" => Some(Encoding {
            kind,
            big_endian: false,
        }),
        ">" => Some(Encoding {
            kind,
            big_endian: true,
        }),
        _ => None,
    }
}

impl ArrayHeader {
    fn row_major(&self, data: ColumnData) -> ColumnData {
        if !self.column_major || self.dims.len() < 2 {
            return data;
        }
        match data {
            ColumnData::U8(v) => ColumnData::U8(transposed(&v, &self.dims)),
            ColumnData::I32(v) => ColumnData::I32(transposed(&v, &self.dims)),
            ColumnData::F32(v) => ColumnData::F32(transposed(&v, &self.dims)),
            ColumnData::U16(v) => ColumnData::U16(transposed(&v, &self.dims)),
            other @ (ColumnData::Text(_) | ColumnData::Sparse(_)) => other,
        }
    }
}

/// Column-major to row-major.
fn transposed<T: Copy>(from: &[T], dims: &[usize]) -> Vec<T> {
    let mut strides = Vec::with_capacity(dims.len());
    let mut stride = 1;
    for &d in dims {
        strides.push(stride);
        stride *= d;
    }
    let mut index = vec![0; dims.len()];
    let mut at = 0;
    let mut to = Vec::with_capacity(from.len());
    for _ in 0..from.len() {
        to.push(from[at]);
        // count up, last axis fastest
        for axis in (0..dims.len()).rev() {
            index[axis] += 1;
            at += strides[axis];
            if index[axis] < dims[axis] {
                break;
            }
            at -= strides[axis] * dims[axis];
            index[axis] = 0;
        }
    }
    to
}

type Zip = ZipArchive<BufReader<File>>;

fn open_zip(path: &Path) -> Result<Zip, DataError> {
    let source = Source::open(path)?;
    let path = source.path.clone();
    let mut file = source.into_file().ok_or_else(|| DataError::BadHeader {
        path: path.clone(),
        reason: "an npz file is already compressed: a gzipped npz file is not supported".into(),
    })?;
    let io = |e: io::Error| DataError::io(&path, "read the file", &e);
    let mut magic = [0; 4];
    let got = fill(&mut file, &mut magic).map_err(io)?;
    if got == 0 {
        return Err(DataError::Empty { path });
    }
    if !magic.starts_with(b"PK") {
        return Err(DataError::Magic {
            path,
            format: "an npz file",
            found: magic[..got].to_vec(),
            expected: "50 4b 03 04",
        });
    }
    file.rewind().map_err(io)?;
    ZipArchive::new(file).map_err(|e| zip_fault(&path, &e))
}

/// Members' names without `.npy`, in the order of the file.
fn names(zip: &Zip) -> Vec<String> {
    (0..zip.len())
        .filter_map(|i| zip.name_for_index(i))
        .map(|name| name.strip_suffix(".npy").unwrap_or(name).to_owned())
        .collect()
}

fn read_member(
    path: &Path,
    zip: &mut Zip,
    index: usize,
    name: &str,
    want: Option<ElementType>,
) -> Result<Column, DataError> {
    let mut member = zip.by_index(index).map_err(|e| zip_fault(path, &e))?;
    let most = member
        .size()
        .min(member.compressed_size().saturating_mul(MOST_DEFLATE));
    let within = path.join(member.name());
    let header = read_header(&within, |to| {
        fill(&mut member, to).map_err(|e| member_fault(path, name, &e))
    })?;
    let array = Array {
        path: &within,
        column: name,
        dims: &header.dims,
        kind: header.encoding.kind,
        header: header.bytes,
    };
    let count = array.count(None, most)?;
    let data = decode::read(&mut member, count, header.encoding, want)
        .map_err(|f| Array { path, ..array }.locate(f, |e| member_fault(path, name, e)))?;
    let declared = array.declared();
    // the last read verifies the checksum
    if fill(&mut member, &mut [0]).map_err(|e| member_fault(path, name, &e))? > 0 {
        return Err(DataError::TrailingBytes {
            path: within,
            declared,
        });
    }
    Column::new(name, header.dims[1..].to_vec(), header.row_major(data))
}

fn fill(from: &mut impl Read, to: &mut [u8]) -> io::Result<usize> {
    let mut at = 0;
    while at < to.len() {
        match from.read(&mut to[at..]) {
            Ok(0) => break,
            Ok(n) => at += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(at)
}

fn zip_fault(path: &Path, error: &ZipError) -> DataError {
    DataError::BadHeader {
        path: path.to_owned(),
        reason: match error {
            ZipError::InvalidArchive(what) => {
                format!("a corrupt npz file, perhaps truncated ({what})")
            }
            _ => format!("not a readable npz file: {error}"),
        },
    }
}

fn member_fault(path: &Path, member: &str, error: &io::Error) -> DataError {
    DataError::BadHeader {
        path: path.to_owned(),
        reason: format!("its member `{member}` is corrupt: {error}"),
    }
}

fn write_array<const N: usize>(
    path: &Path,
    shape: Vec<usize>,
    descr: &str,
    mut elements: impl Iterator<Item = [u8; N]>,
) -> Result<(), DataError> {
    let header = Header {
        descr,
        fortran_order: false,
        shape,
    };
    write_to(path, |out| {
        out.write_all(&header.to_bytes())?;
        elements.try_for_each(|x| out.write_all(&x))
    })
}
