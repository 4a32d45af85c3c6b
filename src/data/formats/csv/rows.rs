//! The rows of a text with a delimiter, one at a time, in bounded memory.

use super::{CsvOptions, HeaderLine, Select};
use crate::data::error::{DataError, ValuePlace};
use crate::data::formats::source::{Source, refuse_utf16};
use ::csv::{ByteRecord, ReaderBuilder};
use std::cell::Cell;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

/// A longer field is taken for a quote left open.
const MAX_FIELD: u64 = 16 << 20;
/// A longer row likewise.
const MAX_ROW: u64 = 32 << 20;
/// A row of more delimiters is refused.
const MAX_FIELDS: u64 = 1 << 20;

/// The rows of a file, one at a time.
pub(super) struct CsvRows {
    reader: ::csv::Reader<Metered>,
    budget: Rc<Budget>,
    pub record: ByteRecord,
    /// The first row was read already, to see whether it is a header.
    pending: bool,
    pub names: Option<Vec<String>>,
    /// Fields of a row.
    pub width: usize,
    /// Rows so far, the current one included.
    pub row: u64,
}

/// What a row may still take.
#[derive(Default)]
struct Budget {
    bytes: Cell<u64>,
    fields: Cell<u64>,
}

impl Budget {
    fn renew(&self) {
        self.bytes.set(MAX_ROW);
        self.fields.set(MAX_FIELDS);
    }
}

/// Reads no more than its budget, which is renewed for each row.
struct Metered {
    source: Source,
    budget: Rc<Budget>,
    delimiter: u8,
    last: u8,
    /// Bytes so far.
    read: u64,
    /// Lines end in CR LF, as the first one shows.
    crlf: Option<bool>,
    /// The end of the file was met.
    ended: bool,
    /// None: quotes are characters.
    quotes: Option<Quotes>,
}

/// Where the bytes so far leave the quotes: a quoted field of several lines that is followed by
/// text was opened by a quote that was meant as a character.
#[derive(Clone, Copy, Debug)]
struct Quotes {
    at: At,
    /// The line, from 1, and that on which the last quoted field began.
    line: u64,
    opened: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    /// A field begins here.
    Start,
    Bare,
    Quoted,
    /// Behind a quote in a quoted field: its end, or the first of two.
    Closed,
}

impl Quotes {
    /// Goes over `bytes`; the line at which text follows a quoted field of several lines.
    fn pass(&mut self, bytes: &[u8], delimiter: u8) -> Option<u64> {
        if self.at != At::Quoted && self.at != At::Closed && !bytes.contains(&b'"') {
            self.line += bytes.iter().filter(|&&b| b == b'\n').count() as u64;
            if let Some(&last) = bytes.last() {
                let begins = last == delimiter || matches!(last, b'\n' | b'\r');
                self.at = if begins { At::Start } else { At::Bare };
            }
            return None;
        }
        for &b in bytes {
            let ends = b == delimiter || matches!(b, b'\n' | b'\r');
            self.at = match (self.at, b) {
                (At::Start, b'"') => {
                    self.opened = self.line;
                    At::Quoted
                }
                (At::Quoted, b'"') => At::Closed,
                (At::Closed, b'"') | (At::Quoted, _) => At::Quoted,
                _ if ends => At::Start,
                (At::Closed, b' ') => At::Closed,
                (At::Closed, _) if self.opened < self.line => return Some(self.line),
                // a byte order mark begins no field
                (At::Start, 0xef | 0xbb | 0xbf) if self.line == 1 => At::Start,
                _ => At::Bare,
            };
            self.line += u64::from(b == b'\n');
        }
        None
    }
}

/// A row went over its budget.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a row is too long")]
enum TooLong {
    Bytes,
    Fields,
}

/// Text follows a quoted field that began on another line.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a stray quote")]
struct StrayQuote {
    opened: u64,
    closed: u64,
}

impl Read for Metered {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let budget = self.budget.bytes.get();
        if budget == 0 {
            return Err(io::Error::other(TooLong::Bytes));
        }
        let most = to.len().min(usize::try_from(budget).unwrap_or(usize::MAX));
        let mut n = self.source.read(&mut to[..most])?;
        if self.crlf.is_none()
            && let Some(at) = to[..n].iter().position(|&b| b == b'\n')
        {
            let before = at.checked_sub(1).map_or(self.last, |i| to[i]);
            self.crlf = Some(before == b'\r');
        }
        match n.checked_sub(1) {
            Some(last) => self.last = to[last],
            // a last line without its end gets one: lines are then counted alike
            None if self.last != b'\n' && most > 0 => {
                (to[0], self.last, n) = (b'\n', b'\n', 1);
            }
            None => self.ended = true,
        }
        self.budget.bytes.set(budget - n as u64);
        let delimiters = to[..n].iter().filter(|&&b| b == self.delimiter).count();
        match self.budget.fields.get().checked_sub(delimiters as u64) {
            Some(left) => self.budget.fields.set(left),
            None => return Err(io::Error::other(TooLong::Fields)),
        }
        self.read += n as u64;
        if let Some(quotes) = &mut self.quotes
            && let Some(closed) = quotes.pass(&to[..n], self.delimiter)
        {
            let opened = quotes.opened;
            return Err(io::Error::other(StrayQuote { opened, closed }));
        }
        Ok(n)
    }
}

impl CsvRows {
    pub(super) fn open(path: &Path, options: CsvOptions) -> Result<CsvRows, DataError> {
        let source = Source::open(path)?;
        let delimiter = options.delimiter(&source.path);
        let budget = Rc::new(Budget::default());
        let metered = Metered {
            source,
            budget: budget.clone(),
            delimiter,
            last: b'\n',
            read: 0,
            crlf: None,
            ended: false,
            quotes: options.quote.then_some(Quotes {
                at: At::Start,
                line: 1,
                opened: 1,
            }),
        };
        let reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .quoting(options.quote)
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(64 << 10)
            .from_reader(metered);
        let record = ByteRecord::new();
        let mut rows = CsvRows {
            reader,
            budget,
            record,
            pending: false,
            names: None,
            width: 0,
            row: 0,
        };
        if !rows.read()? {
            return Err(DataError::Empty {
                path: rows.path().to_owned(),
            });
        }
        rows.width = rows.record.len();
        refuse_utf16(rows.path(), rows.record.as_slice())?;
        let header = match options.header {
            HeaderLine::Present => true,
            HeaderLine::Absent => false,
            HeaderLine::Detect => rows
                .record
                .iter()
                .all(|field| text(field).is_some_and(|t| number(t).is_none())),
        };
        if header {
            let names = rows
                .record
                .iter()
                .enumerate()
                .map(|(i, field)| match text(field) {
                    Some(name) => Ok(name.to_owned()),
                    None => Err(DataError::BadHeader {
                        path: rows.path().to_owned(),
                        reason: format!(
                            "the name of column {i} on the first line is not valid UTF-8"
                        ),
                    }),
                });
            rows.names = Some(names.collect::<Result<_, _>>()?);
        } else {
            rows.pending = true;
        }
        Ok(rows)
    }

    /// Bytes of the file; none if it is compressed.
    pub(super) fn size(&self) -> Option<u64> {
        self.reader.get_ref().source.exact_size()
    }

    /// Bytes read so far.
    pub(super) fn read_so_far(&self) -> u64 {
        self.reader.get_ref().read
    }

    pub(super) fn path(&self) -> &Path {
        &self.reader.get_ref().source.path
    }

    /// Goes to the next row; false at the end.
    pub(super) fn advance(&mut self) -> Result<bool, DataError> {
        if !std::mem::take(&mut self.pending) && !self.read()? {
            return Ok(false);
        }
        self.row += 1;
        if self.record.len() != self.width {
            let (line, lines) = self.lines();
            return Err(DataError::Ragged {
                path: self.path().to_owned(),
                line,
                row: self.row,
                found: self.record.len(),
                expected: self.width,
                lines,
            });
        }
        Ok(true)
    }

    fn read(&mut self) -> Result<bool, DataError> {
        self.budget.renew();
        let line = self.reader.position().line();
        match self.reader.read_byte_record(&mut self.record) {
            Ok(false) => Ok(false),
            // every row but one that ends inside a quote has its line break
            Ok(true) if self.reader.get_ref().ended => {
                let inner = self.breaks();
                let line = self.reader.position().line().saturating_sub(inner).max(1);
                Err(DataError::OpenQuote {
                    path: self.path().to_owned(),
                    line,
                })
            }
            Ok(true) if self.record.as_slice().len() as u64 <= MAX_FIELD => Ok(true),
            Ok(true) => match self
                .record
                .iter()
                .any(|field| field.len() as u64 > MAX_FIELD)
            {
                true => Err(self.too_long("field", self.lines().0, MAX_FIELD)),
                false => Ok(true),
            },
            Err(error) => match error.into_kind() {
                ::csv::ErrorKind::Io(e) => match too_long(&e) {
                    Some(TooLong::Bytes) => Err(self.too_long("row", line, MAX_ROW)),
                    Some(TooLong::Fields) => Err(DataError::Syntax {
                        path: self.path().to_owned(),
                        line,
                        reason: format!(
                            "a row that starts here has more than {MAX_FIELDS} delimiters: is a quote left open?"
                        ),
                    }),
                    None => match stray(&e) {
                        Some(StrayQuote { opened, closed }) => Err(DataError::Syntax {
                            path: self.path().to_owned(),
                            line: closed,
                            reason: format!(
                                "text follows the end of a quoted field that begins on line {opened}: is that quote a character? Then `quote = false` in the source reads all quotes so"
                            ),
                        }),
                        None => Err(self.reader.get_ref().source.fault(&e)),
                    },
                },
                other => Err(DataError::BadHeader {
                    path: self.path().to_owned(),
                    reason: format!("{other:?}"),
                }),
            },
        }
    }

    fn too_long(&self, what: &'static str, line: u64, limit: u64) -> DataError {
        DataError::FieldTooLong {
            path: self.path().to_owned(),
            line,
            what,
            limit,
        }
    }

    /// Line breaks within the current row's fields.
    fn breaks(&self) -> u64 {
        let bytes = self.record.as_slice().iter();
        bytes.filter(|&&b| b == b'\n').count() as u64
    }

    /// The line on which the current row starts, and how many it takes.
    pub(super) fn lines(&self) -> (u64, u64) {
        let inner = self.breaks();
        // the reader stands behind the row's LF, or between its CR and LF
        let behind = u64::from(self.reader.get_ref().crlf != Some(true));
        let next = self.reader.position().line();
        (next.saturating_sub(inner + behind).max(1), inner + 1)
    }

    pub(super) fn place(&self, field: usize) -> Box<ValuePlace> {
        let column = self.names.as_ref().and_then(|n| n.get(field)).cloned();
        Box::new(ValuePlace {
            path: self.path().to_owned(),
            line: Some(self.lines().0),
            row: self.row,
            column: column.unwrap_or_else(|| format!("#{field}")),
        })
    }

    /// The fields of a selection.
    pub(super) fn fields(&self, select: &Select) -> Result<Vec<usize>, DataError> {
        let names = self.names.as_deref().unwrap_or_default();
        select.places(self.path(), names, self.width)
    }
}

fn too_long(error: &io::Error) -> Option<TooLong> {
    error.get_ref()?.downcast_ref().copied()
}

fn stray(error: &io::Error) -> Option<StrayQuote> {
    error.get_ref()?.downcast_ref().copied()
}

/// A number in digits; infinite if it is too large. Words (`nan`, `inf`) are not numbers.
pub(super) fn number(text: &str) -> Option<f32> {
    let first = text.trim_start_matches(['+', '-']).bytes().next()?;
    if !first.is_ascii_digit() && first != b'.' {
        return None;
    }
    text.parse().ok()
}

/// A field without the spaces around it.
pub(super) fn text(field: &[u8]) -> Option<&str> {
    std::str::from_utf8(field).ok().map(str::trim)
}
