//! Fields of rows -> the elements of a column.

use super::ColumnSpec;
use super::rows::{CsvRows, number};
use crate::data::error::DataError;
use crate::data::formats::decode::{Number, to_f32};
use crate::data::missing;
use crate::data::table::{Column, ColumnData, ElementType, Storage, TextColumn};

/// Collects the elements of one column.
pub(super) struct Sink {
    name: String,
    /// The fields that it takes.
    fields: Vec<usize>,
    element: ElementType,
    shape: Vec<usize>,
    missing: bool,
    data: ColumnData,
}

impl Sink {
    /// Name, type and shape of what it makes.
    pub(super) fn layout(&self) -> (&str, Storage, &[usize]) {
        (&self.name, self.data.storage(), &self.shape)
    }

    pub(super) fn new(spec: &ColumnSpec, rows: &CsvRows) -> Result<Sink, DataError> {
        let fields = rows.fields(&spec.select)?;
        let own = match spec.select.is_several() {
            true => vec![fields.len()],
            false => vec![],
        };
        let shape = spec.shape.clone().unwrap_or_else(|| own.clone());
        let elements = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let text = spec.element == ElementType::Text;
        if elements != Some(fields.len()) || (text && !shape.is_empty()) {
            return Err(DataError::Shape {
                path: rows.path().to_owned(),
                column: spec.name.clone(),
                found: own,
                expected: if text { vec![] } else { shape },
            });
        }
        Ok(Sink {
            name: spec.name.clone(),
            fields,
            element: spec.element,
            shape,
            data: none_of(spec.element),
            missing: spec.missing,
        })
    }

    /// Takes its fields of the current row.
    pub(super) fn take(&mut self, rows: &CsvRows) -> Result<(), DataError> {
        for i in 0..self.fields.len() {
            let i = self.fields[i];
            let bytes = rows.record.get(i).unwrap_or_default();
            // whole numbers of few digits, which most are, need no text
            let digits = digits(bytes);
            match &mut self.data {
                ColumnData::U8(v) if digits.is_some_and(|x| x < 256) => {
                    v.extend(digits.map(|x| x as u8));
                }
                ColumnData::I32(v) if digits.is_some() && self.element == ElementType::I32 => {
                    v.extend(digits.map(|x| x as i32));
                }
                ColumnData::F32(v) if digits.is_some() => v.extend(digits.map(|x| x as f32)),
                _ => self.parse(bytes, rows, i)?,
            }
        }
        Ok(())
    }

    fn parse(&mut self, bytes: &[u8], rows: &CsvRows, field: usize) -> Result<(), DataError> {
        let Ok(raw) = std::str::from_utf8(bytes) else {
            return Err(DataError::NotUtf8 {
                place: rows.place(field),
            });
        };
        let value = raw.trim();
        if self.missing && missing::is_missing(value) && missing::mark(&mut self.data) {
            return Ok(());
        }
        let bad = |expected: String| {
            Err(DataError::BadValue {
                place: rows.place(field),
                value: raw.into(),
                expected,
            })
        };
        match (&mut self.data, self.element) {
            (ColumnData::Text(v), _) => v.push(raw),
            // no element type is stored so
            (ColumnData::U16(_) | ColumnData::Sparse(_), _) => {}
            (ColumnData::U8(v), _) => match whole(value).and_then(|x| u8::try_from(x).ok()) {
                Some(x) => v.push(x),
                None => return bad("an integer 0..255".into()),
            },
            (ColumnData::F32(v), _) if value.len() > 7 && value.parse::<i64>().is_ok() => {
                // as of the formats that hold whole numbers: none becomes its neighbour
                let whole = value.parse().map_or(Number::Float(f64::NAN), Number::Whole);
                match to_f32(whole) {
                    Ok(x) => v.push(x),
                    Err(expected) => return bad(expected.into()),
                }
            }
            (ColumnData::F32(v), _) => match number(value) {
                Some(x) if x.is_infinite() => return bad("a number in the range of f32".into()),
                Some(x) => v.push(x),
                None => return bad("a finite number".into()),
            },
            (ColumnData::I32(v), ElementType::Class(classes)) => match whole(value) {
                Some(x) if (0..i64::from(classes)).contains(&x) => v.push(x as i32),
                Some(value) => {
                    return Err(DataError::ClassRange {
                        place: rows.place(field),
                        value,
                        classes,
                    });
                }
                None if number(value).is_none() && !value.is_empty() => {
                    return bad(format!(
                        "a class index 0..{} (read class names as a `text` column and number them with a `labels` fit)",
                        classes.saturating_sub(1)
                    ));
                }
                None => return bad(format!("a class index 0..{}", classes.saturating_sub(1))),
            },
            (ColumnData::I32(v), _) => match whole(value).and_then(|x| i32::try_from(x).ok()) {
                Some(x) => v.push(x),
                None => return bad("an integer in the range of i32".into()),
            },
        }
        Ok(())
    }

    /// What has been collected since the last time.
    pub(super) fn column(&mut self) -> Result<Column, DataError> {
        let data = std::mem::replace(&mut self.data, none_of(self.element));
        Column::new(self.name.clone(), self.shape.clone(), data)
    }
}

/// Where elements of a type are collected.
fn none_of(element: ElementType) -> ColumnData {
    match element {
        ElementType::U8 => ColumnData::U8(Vec::new()),
        ElementType::I32 | ElementType::Class(_) => ColumnData::I32(Vec::new()),
        ElementType::F32 => ColumnData::F32(Vec::new()),
        ElementType::Text => ColumnData::Text(TextColumn::default()),
    }
}

/// The value of one to six digits: exact in every element type but u8.
fn digits(bytes: &[u8]) -> Option<u32> {
    if bytes.is_empty() || bytes.len() > 6 {
        return None;
    }
    bytes.iter().try_fold(0, |n, b| {
        b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0'))
    })
}

/// A whole number, be it written `3` or `3.0`.
fn whole(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| {
        let x: f64 = text.parse().ok()?;
        // beyond 2^53 a double no longer tells neighbours apart
        (x.fract() == 0.0 && x.abs() <= 9_007_199_254_740_992.0).then_some(x as i64)
    })
}
