//! IDX, the format of MNIST: big-endian arrays of any rank.
//!
//! `00 00 type rank`, then `rank` dims of 32 bits, then the elements, row-major.
//! Types: 08 u8, 09 i8, 0B i16, 0C i32, 0D f32, 0E f64. The first dim counts the
//! rows. The header is held against the file's size before anything is allocated.

use super::decode::{self, Array, Encoding, NumberType};
use super::source::Source;
use crate::data::error::DataError;
use crate::data::table::{Column, ElementType};
use std::path::Path;

/// Reads the array of `path` as a column called `name`.
pub fn read_idx(path: &Path, name: &str, want: Option<ElementType>) -> Result<Column, DataError> {
    let mut source = Source::open(path)?;
    let mut magic = [0; 4];
    let got = source.fill(&mut magic)?;
    if got == 0 {
        return Err(DataError::Empty { path: source.path });
    }
    if got < 4 || magic[..2] != [0, 0] {
        return Err(DataError::Magic {
            path: source.path,
            format: "an IDX file",
            found: magic[..got].to_vec(),
            expected: "00 00, a type and a rank",
        });
    }
    let kind = match magic[2] {
        0x08 => NumberType::U8,
        0x09 => NumberType::I8,
        0x0B => NumberType::I16,
        0x0C => NumberType::I32,
        0x0D => NumberType::F32,
        0x0E => NumberType::F64,
        other => {
            return Err(DataError::ElementType {
                path: source.path,
                found: format!("{other:02x}"),
                expected: "08 (u8), 09 (i8), 0b (i16), 0c (i32), 0d (f32) or 0e (f64)",
            });
        }
    };
    let mut dims = vec![0; usize::from(magic[3]) * 4];
    let got = source.fill(&mut dims)?;
    if got < dims.len() {
        return Err(DataError::Truncated {
            path: source.path,
            part: "header".into(),
            declared: 4 + dims.len() as u64,
            found: 4 + got as u64,
        });
    }
    let header = 4 + dims.len() as u64;
    let dims: Vec<usize> = dims
        .as_chunks()
        .0
        .iter()
        .map(|&d| u32::from_be_bytes(d) as usize)
        .collect();
    let path = source.path.clone();
    let array = Array {
        path: &path,
        column: name,
        dims: &dims,
        kind,
        header,
    };
    let count = array.count(source.exact_size(), source.most())?;
    let encoding = Encoding {
        kind,
        big_endian: true,
    };
    let data = decode::read(&mut source, count, encoding, want)
        .map_err(|fault| array.locate(fault, |e| source.fault(e)))?;
    source.end(array.declared())?;
    Column::new(name, dims[1..].to_vec(), data)
}
