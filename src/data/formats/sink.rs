//! Values of a file, one at a time -> the elements of a column.
//!
//! What is stored and what is refused is `decode`'s: whole numbers must be in range and
//! survive exactly, floats are rounded to the nearest f32, what is not finite is refused.

use super::decode::{Number, to_f32, to_i32, to_u8, whole};
use crate::data::error::{self, DataError, ValuePlace};
use crate::data::missing;
use crate::data::table::{Column, ColumnData, ElementType, TextColumn};
use crate::plural::count;

/// Collects the elements of one column.
pub struct Sink {
    name: String,
    element: ElementType,
    missing: bool,
    data: ColumnData,
}

/// Why a value was not taken.
#[derive(Debug)]
pub enum Refusal {
    Class {
        value: i64,
        classes: u32,
    },
    Value {
        value: String,
        expected: String,
    },
    /// Not a number where one is due, or the other way round.
    Kind {
        found: String,
        expected: String,
    },
}

impl Sink {
    pub fn new(name: &str, element: ElementType) -> Sink {
        let data = match element {
            ElementType::U8 => ColumnData::U8(Vec::new()),
            ElementType::I32 | ElementType::Class(_) => ColumnData::I32(Vec::new()),
            ElementType::F32 => ColumnData::F32(Vec::new()),
            ElementType::Text => ColumnData::Text(TextColumn::default()),
        };
        Sink {
            name: name.into(),
            element,
            missing: false,
            data,
        }
    }

    /// Whether it takes nothing for a value, which is then marked as missing.
    pub fn with_missing(self, missing: bool) -> Sink {
        Sink { missing, ..self }
    }

    /// Marks a missing value; false if it takes none.
    pub fn nothing(&mut self) -> bool {
        self.missing && missing::mark(&mut self.data)
    }

    pub fn element(&self) -> ElementType {
        self.element
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The elements so far.
    #[expect(
        clippy::len_without_is_empty,
        reason = "nothing asks whether there are none"
    )]
    pub fn len(&self) -> usize {
        self.data.len()
    }

    pub fn number(&mut self, x: Number) -> Result<(), Refusal> {
        if matches!(x, Number::Float(x) if x.is_nan()) && self.nothing() {
            return Ok(());
        }
        let refused = |expected: String| Refusal::Value {
            value: x.to_string(),
            expected,
        };
        match (&mut self.data, self.element) {
            (ColumnData::U8(v), _) => v.push(to_u8(x).map_err(|e| refused(e.into()))?),
            (ColumnData::F32(v), _) => v.push(to_f32(x).map_err(|e| refused(e.into()))?),
            (ColumnData::I32(v), ElementType::Class(classes)) => match whole(x) {
                Some(n) if (0..i64::from(classes)).contains(&n) => v.push(n as i32),
                Some(value) => return Err(Refusal::Class { value, classes }),
                None => return Err(refused(expected(self.element, &[]))),
            },
            (ColumnData::I32(v), _) => v.push(to_i32(x).map_err(|e| refused(e.into()))?),
            (ColumnData::U16(_) | ColumnData::Sparse(_) | ColumnData::Text(_), _) => {
                return Err(Refusal::Kind {
                    found: format!("the number {x}"),
                    expected: expected(self.element, &[]),
                });
            }
        }
        Ok(())
    }

    pub fn text(&mut self, x: &str) -> Result<(), Refusal> {
        if missing::is_missing(x.trim()) && self.nothing() {
            return Ok(());
        }
        match &mut self.data {
            ColumnData::Text(v) => {
                v.push(x);
                Ok(())
            }
            _ => Err(Refusal::Kind {
                found: format!("the string {}", error::shown(x)),
                expected: expected(self.element, &[]),
            }),
        }
    }

    /// `shape` is that of a row.
    pub fn finish(self, shape: &[usize]) -> Result<Column, DataError> {
        Column::new(self.name, shape.to_vec(), self.data)
    }
}

impl Refusal {
    pub fn at(self, place: ValuePlace) -> DataError {
        let place = Box::new(place);
        match self {
            Refusal::Class { value, classes } => DataError::ClassRange {
                place,
                value,
                classes,
            },
            Refusal::Value { value, expected } => DataError::BadValue {
                place,
                value,
                expected,
            },
            Refusal::Kind { found, expected } => DataError::Kind {
                place,
                found,
                expected,
            },
        }
    }
}

/// What a row of a column holds, in words.
pub fn expected(element: ElementType, shape: &[usize]) -> String {
    let one = match element {
        ElementType::U8 => "an integer 0..255".into(),
        ElementType::I32 => "an integer".into(),
        ElementType::F32 => "a number".into(),
        ElementType::Class(n) => format!("a class index 0..{}", n.saturating_sub(1)),
        ElementType::Text => "a string".into(),
    };
    match shape {
        [] => one,
        [n] => format!("a list of {}", count(*n, "number")),
        shape => format!("lists of numbers of shape {}", error::shape(shape)),
    }
}
