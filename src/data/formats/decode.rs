//! Binary numbers of a file -> the elements of a column.
//!
//! Shared by the IDX and npy readers. A number is stored as what is asked for,
//! or refused: whole numbers must be in range and survive exactly; f64 is
//! rounded to the nearest f32 (as text is), but must not overflow; what is not
//! finite is refused. Memory: the column itself and one buffer.

use crate::bytes::reserve_exact;
use crate::data::error::{self, DataError, ValuePlace};
use crate::data::table::{ColumnData, ElementType, Storage};
use std::io::{self, Read};
use std::path::Path;

/// Number types of the file formats.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NumberType {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

/// How numbers are encoded in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Encoding {
    pub kind: NumberType,
    pub big_endian: bool,
}

/// Why decoding stopped.
#[derive(Debug)]
pub enum Fault {
    Io(io::Error),
    /// The data ended after so many bytes.
    Short(u64),
    /// Element `index` cannot be had as asked.
    Value {
        index: usize,
        value: String,
        expected: &'static str,
    },
    Class {
        index: usize,
        value: i64,
        classes: u32,
    },
    /// Numbers are not texts.
    Text,
    Memory,
}

/// An array in a file, as its header declares it.
#[derive(Clone, Copy, Debug)]
pub struct Array<'a> {
    pub path: &'a Path,
    /// What it is called in the table.
    pub column: &'a str,
    /// Rows first.
    pub dims: &'a [usize],
    pub kind: NumberType,
    /// Bytes before the elements.
    pub header: u64,
}

impl Array<'_> {
    /// The elements, if the file, which holds `exact` or at any rate no more than `most` bytes, can have them all.
    pub fn count(&self, exact: Option<u64>, most: u64) -> Result<usize, DataError> {
        let path = || self.path.to_owned();
        let Some((&rows, shape)) = self.dims.split_first() else {
            return Err(DataError::BadHeader {
                path: path(),
                reason: "it holds a single number and has no rows".into(),
            });
        };
        let count = self
            .dims
            .iter()
            .try_fold(1u128, |n, &d| n.checked_mul(d as u128));
        let declared = count
            .and_then(|n| {
                n.checked_mul(self.kind.size() as u128)?
                    .checked_add(u128::from(self.header))
            })
            .unwrap_or(u128::MAX);
        match (u64::try_from(declared), exact) {
            (Ok(declared), Some(found)) if declared > found => {
                return Err(DataError::Truncated {
                    path: path(),
                    part: "file".into(),
                    declared,
                    found,
                });
            }
            _ if declared > u128::from(most) => {
                return Err(DataError::TooLarge {
                    path: path(),
                    declared,
                    limit: most,
                });
            }
            _ => {}
        }
        if rows == 0 {
            return Err(DataError::Empty { path: path() });
        }
        match count.and_then(|n| usize::try_from(n).ok()) {
            Some(n) if n > 0 => Ok(n),
            _ => Err(DataError::BadHeader {
                path: path(),
                reason: format!(
                    "its rows have shape {} and so no elements",
                    error::shape(shape)
                ),
            }),
        }
    }

    /// Header and elements in bytes; only after `count` has found them in range.
    pub fn declared(&self) -> u64 {
        self.header + self.dims.iter().product::<usize>() as u64 * self.kind.size() as u64
    }

    /// Adds the position in the file to an error; `io` converts a failed read.
    pub fn locate(&self, fault: Fault, io: impl FnOnce(&io::Error) -> DataError) -> DataError {
        let path = self.path.to_owned();
        let per_row = self.dims[1..].iter().product::<usize>().max(1);
        let place = |index: usize| {
            let row = (index / per_row) as u64 + 1;
            Box::new(ValuePlace {
                path: self.path.to_owned(),
                line: None,
                row,
                column: self.column.into(),
            })
        };
        match fault {
            Fault::Io(e) => io(&e),
            Fault::Short(found) => DataError::Truncated {
                path,
                part: "file".into(),
                declared: self.declared(),
                found: self.header + found,
            },
            Fault::Value {
                index,
                value,
                expected,
            } => DataError::BadValue {
                place: place(index),
                value,
                expected: expected.into(),
            },
            Fault::Class {
                index,
                value,
                classes,
            } => DataError::ClassRange {
                place: place(index),
                value,
                classes,
            },
            Fault::Text => DataError::ElementType {
                path,
                found: "number".into(),
                expected: "text",
            },
            Fault::Memory => DataError::Io {
                path,
                doing: "keep it in memory",
                reason: format!("cannot allocate {} bytes", self.declared()),
            },
        }
    }
}

/// Reads `count` numbers; the caller has made sure that the file can hold them.
pub fn read(
    from: &mut impl Read,
    count: usize,
    encoding: Encoding,
    want: Option<ElementType>,
) -> Result<ColumnData, Fault> {
    let want = want.unwrap_or(encoding.kind.natural());
    let small = encoding.kind.size() == 1 && encoding.kind != NumberType::I8;
    let storage = match want {
        ElementType::U8 => Storage::U8,
        ElementType::Class(_) if small => Storage::U8,
        ElementType::I32 | ElementType::Class(_) => Storage::I32,
        ElementType::F32 => Storage::F32,
        ElementType::Text => return Err(Fault::Text),
    };
    let data = match storage {
        Storage::U8 if small => ColumnData::U8(bytes(from, count)?),
        Storage::U8 => ColumnData::U8(convert(from, count, encoding, to_u8)?),
        Storage::I32 => ColumnData::I32(convert(from, count, encoding, to_i32)?),
        Storage::F32 => ColumnData::F32(convert(from, count, encoding, to_f32)?),
        // no element type is stored so
        Storage::U16 | Storage::Text => return Err(Fault::Text),
    };
    if let ElementType::Class(classes) = want {
        check_classes(&data, classes)?;
    }
    Ok(data)
}

/// Finds the first element that is not in `0..classes`.
fn check_classes(data: &ColumnData, classes: u32) -> Result<(), Fault> {
    let outside = |x: i64| x < 0 || x >= i64::from(classes);
    let found = match data {
        ColumnData::U8(v) => v
            .iter()
            .map(|&x| i64::from(x))
            .enumerate()
            .find(|&(_, x)| outside(x)),
        ColumnData::I32(v) => v
            .iter()
            .map(|&x| i64::from(x))
            .enumerate()
            .find(|&(_, x)| outside(x)),
        ColumnData::U16(_) | ColumnData::F32(_) | ColumnData::Text(_) | ColumnData::Sparse(_) => {
            None
        }
    };
    found.map_or(Ok(()), |(index, value)| {
        Err(Fault::Class {
            index,
            value,
            classes,
        })
    })
}

impl NumberType {
    /// Bytes of a number.
    pub fn size(self) -> usize {
        match self {
            NumberType::Bool | NumberType::U8 | NumberType::I8 => 1,
            NumberType::U16 | NumberType::I16 => 2,
            NumberType::U32 | NumberType::I32 | NumberType::F32 => 4,
            NumberType::U64 | NumberType::I64 | NumberType::F64 => 8,
        }
    }

    /// What it is stored as if nothing is asked for.
    fn natural(self) -> ElementType {
        match self {
            NumberType::Bool | NumberType::U8 => ElementType::U8,
            NumberType::I8
            | NumberType::U16
            | NumberType::I16
            | NumberType::U32
            | NumberType::I32
            | NumberType::U64
            | NumberType::I64 => ElementType::I32,
            NumberType::F32 | NumberType::F64 => ElementType::F32,
        }
    }
}

/// A number of a file.
#[derive(Clone, Copy, Debug)]
pub enum Number {
    Whole(i64),
    /// Above `i64::MAX`.
    Huge(u64),
    Float(f64),
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Number::Whole(x) => x.fmt(f),
            Number::Huge(x) => x.fmt(f),
            Number::Float(x) if x.is_finite() && x.abs() >= 1e16 => write!(f, "{x:e}"),
            Number::Float(x) => x.fmt(f),
        }
    }
}

fn reserve<T>(count: usize) -> Result<Vec<T>, Fault> {
    let mut v = Vec::new();
    reserve_exact(&mut v, count).map_err(|_| Fault::Memory)?;
    Ok(v)
}

fn bytes(from: &mut impl Read, count: usize) -> Result<Vec<u8>, Fault> {
    let mut all = reserve(count)?;
    from.take(count as u64)
        .read_to_end(&mut all)
        .map_err(Fault::Io)?;
    if all.len() < count {
        Err(Fault::Short(all.len() as u64))
    } else {
        Ok(all)
    }
}

fn convert<T>(
    from: &mut impl Read,
    count: usize,
    encoding: Encoding,
    to: fn(Number) -> Result<T, &'static str>,
) -> Result<Vec<T>, Fault> {
    macro_rules! each {
        ($type:ty, $number:expr) => {
            convert_each(from, count, |bytes: [u8; size_of::<$type>()]| {
                let x = if encoding.big_endian {
                    <$type>::from_be_bytes(bytes)
                } else {
                    <$type>::from_le_bytes(bytes)
                };
                let number: Number = $number(x);
                to(number).map_err(|expected| (number.to_string(), expected))
            })
        };
    }
    match encoding.kind {
        NumberType::Bool | NumberType::U8 => each!(u8, |x| Number::Whole(i64::from(x))),
        NumberType::I8 => each!(i8, |x| Number::Whole(i64::from(x))),
        NumberType::U16 => each!(u16, |x| Number::Whole(i64::from(x))),
        NumberType::I16 => each!(i16, |x| Number::Whole(i64::from(x))),
        NumberType::U32 => each!(u32, |x| Number::Whole(i64::from(x))),
        NumberType::I32 => each!(i32, |x| Number::Whole(i64::from(x))),
        NumberType::U64 => each!(u64, |x| i64::try_from(x)
            .map_or(Number::Huge(x), Number::Whole)),
        NumberType::I64 => each!(i64, Number::Whole),
        NumberType::F32 => each!(f32, |x| Number::Float(f64::from(x))),
        NumberType::F64 => each!(f64, Number::Float),
    }
}

fn convert_each<T, const N: usize>(
    from: &mut impl Read,
    count: usize,
    decode: impl Fn([u8; N]) -> Result<T, (String, &'static str)>,
) -> Result<Vec<T>, Fault> {
    let mut all = reserve(count)?;
    let mut buffer = vec![0; 8192 * N];
    while all.len() < count {
        let part = &mut buffer[..(count - all.len()).min(8192) * N];
        let mut filled = 0;
        while filled < part.len() {
            match from.read(&mut part[filled..]) {
                Ok(0) => return Err(Fault::Short((all.len() * N + filled) as u64)),
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Fault::Io(e)),
            }
        }
        for &bytes in part.as_chunks::<N>().0 {
            let index = all.len();
            all.push(decode(bytes).map_err(|(value, expected)| Fault::Value {
                index,
                value,
                expected,
            })?);
        }
    }
    Ok(all)
}

pub fn to_u8(x: Number) -> Result<u8, &'static str> {
    whole(x)
        .and_then(|x| u8::try_from(x).ok())
        .ok_or("an integer 0..255")
}

pub fn to_i32(x: Number) -> Result<i32, &'static str> {
    whole(x)
        .and_then(|x| i32::try_from(x).ok())
        .ok_or("an integer in the range of i32")
}

pub fn to_f32(x: Number) -> Result<f32, &'static str> {
    match x {
        Number::Whole(x) if (x as f32) as i128 == i128::from(x) => Ok(x as f32),
        Number::Huge(x) if (x as f32) as u128 == u128::from(x) => Ok(x as f32),
        Number::Whole(_) | Number::Huge(_) => Err("an integer that f32 represents exactly"),
        Number::Float(x) if !x.is_finite() => Err("a finite number"),
        Number::Float(x) if (x as f32).is_finite() => Ok(x as f32),
        Number::Float(_) => Err("a number in the range of f32"),
    }
}

pub fn whole(x: Number) -> Option<i64> {
    match x {
        Number::Whole(x) => Some(x),
        Number::Huge(_) => None,
        // beyond 2^53 a double no longer tells neighbours apart
        Number::Float(x) => {
            (x.fract() == 0.0 && x.abs() <= 9_007_199_254_740_992.0).then_some(x as i64)
        }
    }
}
