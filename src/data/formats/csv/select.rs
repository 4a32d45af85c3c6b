//! Which fields of a row make a column, and where they are in a file.

use std::collections::HashMap;
use std::path::Path;

use crate::data::error::{DataError, nearest};

/// Which fields of a row make a column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Select {
    Name(String),
    /// From 0.
    Index(usize),
    /// From the one through the other, as they lie in the file.
    Names(String, String),
    /// From the one through the other, from 0.
    Indices(usize, usize),
    /// Those of these names, in this order.
    Each(Vec<String>),
}

impl Select {
    /// Whether its fields make one column of several numbers.
    pub fn is_several(&self) -> bool {
        match self {
            Select::Name(_) | Select::Index(_) => false,
            Select::Names(..) | Select::Indices(..) | Select::Each(_) => true,
        }
    }

    /// The places of its fields among those of a file: `width` of them, under `names` if the
    /// file says any.
    pub fn places(
        &self,
        path: &Path,
        names: &[String],
        width: usize,
    ) -> Result<Vec<usize>, DataError> {
        let (first, last) = match self {
            Select::Name(name) => return Ok(vec![find(path, names, name)?]),
            Select::Each(each) => return find_all(path, names, each),
            Select::Index(i) => (*i, *i),
            Select::Names(a, b) => (find(path, names, a)?, find(path, names, b)?),
            Select::Indices(a, b) => (*a, *b),
        };
        if let Some(&index) = [first, last].iter().find(|&&i| i >= width) {
            return Err(DataError::ColumnIndex {
                path: path.to_owned(),
                index,
                columns: width,
            });
        }
        if first > last {
            let (first, last) = match self {
                Select::Names(a, b) => (format!("`{a}`"), format!("`{b}`")),
                _ => (first.to_string(), last.to_string()),
            };
            return Err(DataError::ColumnRange {
                path: path.to_owned(),
                first,
                last,
            });
        }
        Ok((first..=last).collect())
    }
}

/// As [`find`] for each of many.
fn find_all(path: &Path, names: &[String], each: &[String]) -> Result<Vec<usize>, DataError> {
    let mut places: HashMap<&String, Option<usize>> = HashMap::new();
    for (at, name) in names.iter().enumerate() {
        let place = places.entry(name).or_insert(Some(at));
        place.take_if(|known| *known != at);
    }
    let place = |name| places.get(name).copied().flatten();
    let found = each.iter().map(|name| match place(name) {
        Some(at) => Ok(at),
        None => find(path, names, name),
    });
    found.collect()
}

/// Index of the only field called `name`.
fn find(path: &Path, names: &[String], name: &str) -> Result<usize, DataError> {
    let mut found = names.iter().enumerate().filter(|(_, n)| *n == name);
    match (found.next(), found.next()) {
        (Some((i, _)), None) => Ok(i),
        (Some(_), Some(_)) => Err(DataError::AmbiguousColumn {
            path: path.to_owned(),
            name: name.into(),
        }),
        (None, _) => Err(DataError::UnknownColumn {
            path: path.to_owned(),
            name: name.into(),
            suggestion: nearest(name, names.iter().map(String::as_str)),
            names: names.to_vec(),
        }),
    }
}
