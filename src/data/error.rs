//! What can be wrong with data: one variant a mistake, each with a stable code.
//!
//! The variants carry facts (file, row, column, value, expectation); `Display`
//! makes the sentence. Rows count from 1, as do lines; in a CSV file with a
//! header the first row is on line 2. Columns are named by their header
//! name, or `#3` for the field of index 3 where there is no header.

use std::path::{Path, PathBuf};

use crate::diag::Code;
use crate::plural::{count, thousands};

/// Where a value is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ValuePlace {
    pub path: PathBuf,
    /// Line of the file at which the row starts; text formats only.
    pub line: Option<u64>,
    pub row: u64,
    pub column: String,
}

impl std::fmt::Display for ValuePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": row {}, column `{}`", self.row, self.column)
    }
}

/// A mistake in the data or in what was asked of it.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum DataError {
    #[error("{}: no such {}", path.display(), also(tried))]
    NotFound {
        path: PathBuf,
        tried: Option<PathBuf>,
    },

    #[error("{}: expected a file, found a folder", path.display())]
    NotAFile { path: PathBuf },

    #[error("{}: expected a folder, found a file", path.display())]
    NotAFolder { path: PathBuf },

    /// A folder with one folder per class.
    #[error("{}: {reason}", path.display())]
    Classes { path: PathBuf, reason: String },

    #[error("{}: cannot {doing}: {reason}", path.display())]
    Io {
        path: PathBuf,
        doing: &'static str,
        reason: String,
    },

    #[error("{}: {}", path.display(), if *truncated {
        "the gzip stream ends too early: the file is truncated"
    } else {
        "the gzip stream is corrupt"
    })]
    Gzip { path: PathBuf, truncated: bool },

    #[error("{url}: cannot connect: {reason}")]
    Unreachable { url: String, reason: String },

    #[error("{url}: the server returned {}", http_status(*status))]
    Status { url: String, status: u16 },

    #[error("{url}: the connection closed after {} of {}", thousands(*found), count(*expected, "byte"))]
    CutShort {
        url: String,
        found: u64,
        expected: u64,
    },

    #[error("{url}: no data for {waited}, after {} of {}", thousands(*found), count(*expected, "byte"))]
    Stalled {
        url: String,
        waited: String,
        found: u64,
        expected: u64,
    },

    #[error("{url}: expected {}, but the server {}", count(*expected, "byte"), if *sent {
        "sends more".into()
    } else {
        format!("reports {}", count(*found, "byte"))
    })]
    OtherSize {
        url: String,
        found: u64,
        expected: u64,
        /// More has come; otherwise that is what the server says.
        sent: bool,
    },

    #[error("{url}: checksum mismatch: the sha256 is {found}, expected {expected}")]
    Checksum {
        url: String,
        expected: String,
        found: String,
    },

    #[error("{}: the file has no rows", path.display())]
    Empty { path: PathBuf },

    #[error("{}: not {format}: it starts with {}, expected {expected}", path.display(), hex(found))]
    Magic {
        path: PathBuf,
        format: &'static str,
        found: Vec<u8>,
        expected: &'static str,
    },

    #[error("{}: element type {found} is not supported; expected {expected}", path.display())]
    ElementType {
        path: PathBuf,
        found: String,
        expected: &'static str,
    },

    #[error("{}: the {part} should have {}, but the file ends after {}", path.display(),
        count(*declared, "byte"), thousands(*found))]
    Truncated {
        path: PathBuf,
        part: String,
        declared: u64,
        found: u64,
    },

    #[error("{}: the file is longer than the {} that its header declares", path.display(), count(*declared, "byte"))]
    TrailingBytes { path: PathBuf, declared: u64 },

    #[error("{}: its header declares {} bytes, but the file can hold at most {}", path.display(), counted(*declared), thousands(*limit))]
    TooLarge {
        path: PathBuf,
        declared: u128,
        limit: u64,
    },

    #[error("{place}: not valid UTF-8")]
    NotUtf8 { place: Box<ValuePlace> },

    #[error("{}:{line}: row {row} has {found}, expected {expected}{}", path.display(), spread(*lines),
        found = count(*found, "field"), expected = thousands(*expected))]
    Ragged {
        path: PathBuf,
        line: u64,
        row: u64,
        found: usize,
        expected: usize,
        /// How many lines the row takes: over one if a quoted field holds line breaks.
        lines: u64,
    },

    #[error("{}: there is no column `{name}`{}; {}", path.display(), did_you_mean(suggestion), list(names))]
    UnknownColumn {
        path: PathBuf,
        name: String,
        names: Vec<String>,
        suggestion: Option<String>,
    },

    #[error("{}: there is no column {index}: it has {}, numbered from 0", path.display(),
        count(*columns, "column"))]
    ColumnIndex {
        path: PathBuf,
        index: usize,
        columns: usize,
    },

    #[error("{}: columns {first} .. {last} are in the wrong order", path.display())]
    ColumnRange {
        path: PathBuf,
        first: String,
        last: String,
    },

    #[error("{place}: found {}, expected {expected}", shown(value))]
    BadValue {
        place: Box<ValuePlace>,
        value: String,
        expected: String,
    },

    /// Not a number where one is due, or the other way round.
    #[error("{place}: found {found}, expected {expected}")]
    Kind {
        place: Box<ValuePlace>,
        found: String,
        expected: String,
    },

    #[error("{}: {what} is {found}, expected {expected}", path.display())]
    Differs {
        path: PathBuf,
        what: &'static str,
        found: String,
        expected: String,
    },

    /// A line of text.
    #[error("{}:{line}: {reason}", path.display())]
    Syntax {
        path: PathBuf,
        line: u64,
        reason: String,
    },

    #[error("{place}: {value} is outside class[{classes}], which takes 0..{}", classes.saturating_sub(1))]
    ClassRange {
        place: Box<ValuePlace>,
        value: i64,
        classes: u32,
    },

    #[error("{}:{line}: the {what} that starts here is longer than {} MB{}", path.display(), limit >> 20, quote(what))]
    FieldTooLong {
        path: PathBuf,
        line: u64,
        what: &'static str,
        limit: u64,
    },

    #[error("{}:{line}: the row that starts here opens a quote that is never closed", path.display())]
    OpenQuote { path: PathBuf, line: u64 },

    #[error("{}: {reason}", path.display())]
    BadHeader { path: PathBuf, reason: String },

    #[error("{}: column `{column}` has shape {} per row, expected {}", path.display(), shape(found), shape(expected))]
    Shape {
        path: PathBuf,
        column: String,
        found: Vec<usize>,
        expected: Vec<usize>,
    },

    #[error(
        "columns have different numbers of rows: `{first}` has {}, `{second}` has {}",
        thousands(*first_rows),
        thousands(*second_rows)
    )]
    RowCount {
        first: String,
        first_rows: usize,
        second: String,
        second_rows: usize,
    },

    #[error("{}: two columns are named `{name}`; select one by its index", path.display())]
    AmbiguousColumn { path: PathBuf, name: String },

    #[error("two columns are named `{name}`")]
    DuplicateColumn { name: String },

    #[error("the split leaves `{part}` empty: {share} of {}", count(*rows, "row"))]
    EmptyPart {
        part: String,
        share: String,
        rows: usize,
    },

    #[error("the split uses {asked}; together its parts must use all of the {}", count(*rows, "row"))]
    SplitSum { asked: String, rows: usize },

    #[error("the split gives `{part}` {share}: {expected}")]
    SplitShare {
        part: String,
        share: String,
        expected: &'static str,
    },

    #[error("column `{column}` holds {found}, but {doing} needs {expected}")]
    ColumnKind {
        column: String,
        found: &'static str,
        doing: &'static str,
        expected: &'static str,
    },

    #[error("nothing to {doing}: no rows are selected")]
    NoRows { doing: &'static str },

    #[error("row {row} is out of range: the table has {}", count(*rows, "row"))]
    RowIndex { row: usize, rows: usize },

    #[error("a batch must have at least one row")]
    BatchSize,

    #[error(
        "the out-of-vocabulary token `{token}` also occurs as a word in the texts; choose another token"
    )]
    OovIsAWord { token: String },

    #[error("the fitted `{name}` is {value}, but a size must be at least 1{}", if *value > 1.0 {
        " and fit into 32 bits"
    } else {
        ""
    })]
    FittedSize { name: String, value: f64 },

    #[error("column `{column}` has {} in the training set, expected {expected}", count(*found, "distinct label"))]
    Labels {
        column: String,
        found: usize,
        expected: usize,
    },

    #[error(
        "row {row}, column `{column}`: {} is not among the labels of the training set",
        shown(value)
    )]
    NoLabel {
        column: String,
        row: u64,
        value: String,
    },

    #[error(
        "column `{column}` has numbers that are not positive: the Box-Cox transform needs positive numbers"
    )]
    NotPositive { column: String },

    #[error("{}: row {row}, {shown}: {what} must be {}, not {value}", path.display(), bounds(*low, *high))]
    OutOfBounds {
        path: PathBuf,
        shown: String,
        row: u64,
        value: f64,
        low: f64,
        high: f64,
        what: String,
    },

    #[error("{shown} is 0 in every training row: {what} must be above 0 somewhere")]
    AllZero { shown: String, what: String },

    #[error("inconsistent BPE merges: {reason}")]
    BytePairs { reason: String },

    #[error("{}: the file has a vector for none of the words in the vocabulary", path.display())]
    NoVectors { path: PathBuf },

    #[error("{}: cannot be used: {reason}", path.display())]
    Cache { path: PathBuf, reason: String },

    #[error("{}: the file changed while it was read", path.display())]
    Changed { path: PathBuf },

    #[error("{}: not a readable PNG or JPEG image: {reason}", path.display())]
    BadImage { path: PathBuf, reason: String },

    #[error("not enough memory for {} of {}", count(*rows, "row"), count(*each, "value"))]
    NoRoom { rows: usize, each: usize },

    #[error("row {row}, column `{column}`: {} does not name a part of the split; expected {}", shown(value), expected.join(", "))]
    NoPart {
        column: String,
        row: u64,
        value: String,
        /// In quotes.
        expected: Vec<String>,
    },

    #[error("class {class} of column `{column}` has no training rows, so its weight is undefined")]
    EmptyClass { column: String, class: usize },

    #[error("`{part}` has {}, but each sample needs {span} consecutive rows", count(*rows, "row"))]
    TooShort {
        part: String,
        rows: usize,
        span: usize,
    },

    #[error("{} has no values in the training set, so there is nothing to fill its missing values with",
        feature(column, *feature_of))]
    NothingToFill {
        column: String,
        /// From 0, of a column of several.
        feature_of: Option<usize>,
    },

    #[error(
        "row {row}, column `{column}`: {} is not a date; expected a number, or a date such as 2024-05-31 or 2024-05-31T13:00:00Z",
        shown(value)
    )]
    NotATime {
        column: String,
        row: u64,
        value: String,
    },
}

impl DataError {
    /// Stable code, as `nnc explain` takes it.
    pub fn code(&self) -> Code {
        match self {
            DataError::NotFound { .. } => Code::E0901,
            DataError::NotAFile { .. } => Code::E0902,
            DataError::Io { .. } => Code::E0903,
            DataError::Gzip { .. } => Code::E0904,
            DataError::Unreachable { .. } => Code::E0971,
            DataError::Status { .. } => Code::E0972,
            DataError::CutShort { .. } => Code::E0973,
            DataError::Stalled { .. } => Code::E0974,
            DataError::OtherSize { .. } => Code::E0975,
            DataError::Checksum { .. } => Code::E0976,
            DataError::Empty { .. } => Code::E0905,
            DataError::Magic { .. } => Code::E0906,
            DataError::ElementType { .. } => Code::E0907,
            DataError::Truncated { .. } => Code::E0908,
            DataError::TrailingBytes { .. } => Code::E0909,
            DataError::TooLarge { .. } => Code::E0910,
            DataError::NotUtf8 { .. } => Code::E0911,
            DataError::Ragged { .. } => Code::E0912,
            DataError::UnknownColumn { .. } => Code::E0913,
            DataError::ColumnIndex { .. } => Code::E0914,
            DataError::ColumnRange { .. } => Code::E0915,
            DataError::BadValue { .. } => Code::E0916,
            DataError::ClassRange { .. } => Code::E0917,
            DataError::FieldTooLong { .. } => Code::E0918,
            DataError::BadHeader { .. } => Code::E0920,
            DataError::Shape { .. } => Code::E0921,
            DataError::RowCount { .. } => Code::E0922,
            DataError::AmbiguousColumn { .. } => Code::E0923,
            DataError::DuplicateColumn { .. } => Code::E0924,
            DataError::EmptyPart { .. } => Code::E0925,
            DataError::SplitSum { .. } => Code::E0926,
            DataError::SplitShare { .. } => Code::E0927,
            DataError::ColumnKind { .. } => Code::E0928,
            DataError::NoRows { .. } => Code::E0929,
            DataError::RowIndex { .. } => Code::E0930,
            DataError::BatchSize => Code::E0931,
            DataError::OovIsAWord { .. } => Code::E0932,
            DataError::FittedSize { .. } => Code::E0933,
            DataError::NoRoom { .. } => Code::E0934,
            DataError::Labels { .. } => Code::E0935,
            DataError::NoLabel { .. } => Code::E0936,
            DataError::NotPositive { .. } => Code::E0937,
            DataError::OpenQuote { .. } => Code::E0919,
            DataError::NoPart { .. } => Code::E0961,
            DataError::NotATime { .. } => Code::E0962,
            DataError::NotAFolder { .. } => Code::E0938,
            DataError::Kind { .. } => Code::E0939,
            DataError::Syntax { .. } => Code::E0940,
            DataError::Classes { .. } => Code::E0946,
            DataError::Differs { .. } => Code::E0947,
            DataError::OutOfBounds { .. } => Code::E0977,
            DataError::AllZero { .. } => Code::E0978,
            DataError::BytePairs { .. } => Code::E0991,
            DataError::NoVectors { .. } => Code::E0992,
            DataError::Cache { .. } => Code::E0965,
            DataError::Changed { .. } => Code::E0966,
            DataError::NothingToFill { .. } => Code::E0963,
            DataError::TooShort { .. } => Code::E0964,
            DataError::EmptyClass { .. } => Code::E0967,
            DataError::BadImage { .. } => Code::E0984,
        }
    }

    /// The file that could not be read or written.
    pub fn path(&self) -> Option<&Path> {
        match self {
            DataError::Io { path, .. } | DataError::Cache { path, .. } => Some(path),
            _ => None,
        }
    }

    /// Whether a data set could not be fetched.
    pub fn is_of_a_fetch(&self) -> bool {
        matches!(
            self,
            DataError::Unreachable { .. }
                | DataError::Status { .. }
                | DataError::CutShort { .. }
                | DataError::Stalled { .. }
                | DataError::OtherSize { .. }
                | DataError::Checksum { .. }
        )
    }

    pub(crate) fn io(path: &Path, doing: &'static str, error: &std::io::Error) -> DataError {
        DataError::Io {
            path: path.to_owned(),
            doing,
            reason: reason(error),
        }
    }
}

/// `from 0 to 1`
fn bounds(low: f64, high: f64) -> String {
    match high {
        f64::INFINITY => format!("at least {low}"),
        _ => format!("from {low} to {high}"),
    }
}

/// `404 (Not Found)`
fn http_status(status: u16) -> String {
    let known = ureq::http::StatusCode::from_u16(status).ok();
    match known.and_then(|s| s.canonical_reason()) {
        Some(reason) => format!("{status} ({reason})"),
        None => status.to_string(),
    }
}

/// The nearest of `names` to `name`, if any is near enough to be a slip.
pub(crate) fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    names
        .into_iter()
        .map(|n| {
            (
                strsim::damerau_levenshtein(&name.to_lowercase(), &n.to_lowercase()),
                n,
            )
        })
        .filter(|(distance, n)| {
            let length = n.chars().count().max(name.chars().count());
            // of names of a letter or two only the case may be a slip
            *distance <= (length / 3).max(usize::from(length > 2))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, n)| n.to_owned())
}

/// The system's words without "(os error 13)".
pub(crate) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_lowercase(),
        None => text,
    }
}

/// `(28, 28)`; a scalar is `()`.
pub(crate) fn shape(dims: &[usize]) -> String {
    let dims: Vec<String> = dims.iter().map(usize::to_string).collect();
    format!("[{}]", dims.join(", "))
}

fn also(tried: &Option<PathBuf>) -> String {
    tried.as_ref().map_or("file or folder".into(), |p| {
        format!("file, nor {}", p.display())
    })
}

fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "nothing".into();
    }
    bytes
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect::<Vec<_>>()
        .join(" ")
}

fn spread(lines: u64) -> String {
    if lines > 1 {
        format!(" (it spans {lines} lines: is a quote left open?)")
    } else {
        String::new()
    }
}

fn feature(column: &str, feature: Option<usize>) -> String {
    match feature {
        Some(i) => format!("feature {i} of column `{column}`"),
        None => format!("column `{column}`"),
    }
}

fn did_you_mean(suggestion: &Option<String>) -> String {
    suggestion
        .as_ref()
        .map_or(String::new(), |s| format!(" (did you mean `{s}`?)"))
}

fn list(names: &[String]) -> String {
    match names.len() {
        0 => "its columns have no names: select them by index".into(),
        _ if names.iter().all(|n| n.trim().parse::<f64>().is_ok()) => format!(
            "it has {}: if the first line is a row, not a header, set `header = false`",
            list_of(names)
        ),
        _ => format!("it has {}", list_of(names)),
    }
}

/// Products of sizes that overflow are kept as the largest number.
fn counted(bytes: u128) -> String {
    match bytes {
        u128::MAX => "more than 10^38".into(),
        n => thousands(n),
    }
}

/// At most eight names.
pub(crate) fn list_of(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(8).map(|n| format!("`{n}`")).collect();
    match names.len() {
        n if n > 8 => format!("{} and {} more", shown.join(", "), n - 8),
        _ => shown.join(", "),
    }
}

/// Fields and rows of quoted text run on while a quote is open.
fn quote(what: &str) -> &'static str {
    match what {
        "field" | "row" => ": is a quote left open?",
        _ => "",
    }
}

/// A value from a file, kept short and free of control characters.
pub(crate) fn shown(value: &str) -> String {
    if value.is_empty() {
        return "nothing".into();
    }
    let mut text: String = value
        .chars()
        .take(40)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if value.chars().nth(40).is_some() {
        text.push('…');
    }
    format!("`{text}`")
}
