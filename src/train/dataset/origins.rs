//! The file that a row of a table comes from.

use std::path::PathBuf;

use crate::spec::{Format, SourceSpec};

use super::Places;

/// The files of a table, in the order of its rows, each with its number of rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Origins(Vec<(PathBuf, u64)>);

impl Origins {
    pub(super) fn add(&mut self, path: PathBuf, rows: u64) {
        self.0.push((path, rows));
    }

    /// The file of a row of the table, and the row's number in it, from 1.
    pub(super) fn of(&self, row: u64) -> (PathBuf, u64) {
        let mut before = 0;
        for (path, rows) in &self.0 {
            if row < before + rows {
                return (path.clone(), row - before + 1);
            }
            before += rows;
        }
        (PathBuf::new(), row + 1)
    }
}

/// What a source reads: a file, a folder, or the first of its files.
pub(super) fn path(source: &SourceSpec, places: &Places) -> PathBuf {
    match (&source.format, source.format.paths().as_deref()) {
        (_, Some([first, ..])) => places.find(first),
        (Format::Fetched { set, .. }, _) => PathBuf::from(set),
        _ => PathBuf::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_in_their_own_file() {
        let mut origins = Origins::default();
        origins.add("a.csv".into(), 3);
        origins.add("b.csv".into(), 2);
        assert_eq!(origins.of(2), ("a.csv".into(), 3));
        assert_eq!(origins.of(3), ("b.csv".into(), 1));
    }
}
