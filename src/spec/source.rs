//! `source` items: what a file writes, and what a reader of the runtime says of itself.
//!
//! Which readers and data sets there are is the runtime's to say: its
//! [`Runtime`](super::Runtime) lists a [`SourceEntry`] or a [`DataSetEntry`] for each.

use std::path::PathBuf;

use super::Part;
use crate::span::Span;

#[derive(Clone, Debug, PartialEq)]
pub struct SourceSpec {
    /// `None`: the rows that the split divides (all of `train`, where there is no split).
    pub part: Option<Part>,
    pub format: Format,
    /// Rows are read a few at a time, not all into memory.
    pub stream: bool,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// Text with a delimiter; `.gz` is recognised.
    Csv {
        path: String,
        delimiter: u8,
        header: bool,
        /// Whether fields may be quoted.
        quote: bool,
    },
    /// One IDX file a column.
    Idx {
        files: Vec<(String, String)>,
    },
    /// One `.npy` file a column.
    Npy {
        files: Vec<(String, String)>,
    },
    /// Arrays by column name.
    Npz {
        path: String,
    },
    /// A data set that is fetched once.
    Fetched {
        set: &'static str,
        /// The set's own training or test rows.
        rows: Part,
        /// Where its files are, once they have been fetched.
        folder: Option<PathBuf>,
    },
    /// An object a line; `.gz` is recognised.
    Jsonl {
        path: String,
    },
    Parquet {
        path: String,
    },
    /// Text files in a folder for each class.
    Texts {
        path: String,
        /// The folders that are read, in the order of the labels.
        class_names: Option<Vec<String>>,
    },
    /// Sounds in a folder for each class.
    Wavs {
        path: String,
        class_names: Option<Vec<String>>,
        /// Samples a second that every file must have.
        rate: Option<u32>,
    },
    /// A folder with a folder of image files for each class.
    Images {
        path: String,
        class_names: Option<Vec<String>>,
        /// Height and width, if they are given.
        size: Option<[usize; 2]>,
        interpolation: Interpolation,
    },
}

impl Format {
    /// The files or the folder that it names; none of a data set that is fetched.
    pub fn paths(&self) -> Option<Vec<&str>> {
        match self {
            Format::Csv { path, .. }
            | Format::Jsonl { path }
            | Format::Parquet { path }
            | Format::Npz { path }
            | Format::Texts { path, .. }
            | Format::Wavs { path, .. }
            | Format::Images { path, .. } => Some(vec![path]),
            Format::Idx { files } | Format::Npy { files } => {
                Some(files.iter().map(|(_, path)| path.as_str()).collect())
            }
            Format::Fetched { .. } => None,
        }
    }
}

/// How an image is brought to another size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpolation {
    Bilinear,
    Nearest,
}

/// A reader that a file may name.
#[derive(Clone, Copy, Debug)]
pub struct SourceEntry {
    pub name: &'static str,
    pub takes: Takes,
    pub options: &'static [(&'static str, OptionKind)],
    pub holds: Holds,
    pub make: fn(SourceArguments) -> Format,
}

/// A data set that is fetched once: a source without arguments.
#[derive(Clone, Copy, Debug)]
pub struct DataSetEntry {
    pub name: &'static str,
    pub fields: &'static [(&'static str, Field)],
}

/// What a reader takes beside its options.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Takes {
    /// A path without a name; such as this.
    One(&'static str),
    /// `column = "file"`, for each column.
    FilePerColumn,
    Nothing,
}

/// What can be had of a source, as far as its format decides it.
#[derive(Clone, Copy, Debug)]
pub enum Holds {
    /// The file says.
    Anything,
    Numbers,
    Fields(&'static [(&'static str, Field)]),
}

/// What a field of a source can be read as.
#[derive(Clone, Copy, Debug)]
pub enum Field {
    Text,
    /// The number or the name of a class.
    Label,
    /// Samples, or samples of each channel.
    Sound,
    /// Grey, or of three colours.
    Image,
    /// Bytes of this shape.
    Pixels(&'static [usize]),
    /// A class of so many.
    Class(usize),
}

/// What an option is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptionKind {
    Flag,
    /// At least 1.
    Count,
    /// Texts.
    Names,
    /// Height and width.
    Size,
    Interpolation,
}

/// The arguments of a source, each of its kind.
#[derive(Debug, Default)]
pub struct SourceArguments {
    pub path: String,
    /// By column.
    pub files: Vec<(String, String)>,
    pub options: Vec<(&'static str, Choice)>,
}

/// The value of an option.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    Flag(bool),
    Count(u32),
    Names(Vec<String>),
    Size([usize; 2]),
    Interpolation(Interpolation),
}

impl SourceArguments {
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.options.iter().find_map(|(n, c)| match c {
            Choice::Flag(x) if *n == name => Some(*x),
            _ => None,
        })
    }

    pub fn count(&self, name: &str) -> Option<u32> {
        self.options.iter().find_map(|(n, c)| match c {
            Choice::Count(x) if *n == name => Some(*x),
            _ => None,
        })
    }

    pub fn names(&self, name: &str) -> Option<Vec<String>> {
        self.options.iter().find_map(|(n, c)| match c {
            Choice::Names(x) if *n == name => Some(x.clone()),
            _ => None,
        })
    }

    pub fn size(&self, name: &str) -> Option<[usize; 2]> {
        self.options.iter().find_map(|(n, c)| match c {
            Choice::Size(x) if *n == name => Some(*x),
            _ => None,
        })
    }

    pub fn interpolation(&self, name: &str) -> Interpolation {
        let given = self.options.iter().find_map(|(n, c)| match c {
            Choice::Interpolation(x) if *n == name => Some(*x),
            _ => None,
        });
        given.unwrap_or(Interpolation::Bilinear)
    }
}
