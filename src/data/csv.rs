//! CSV and TSV: text tables, quoted as in RFC 4180, gzip or not.
//!
//! Columns are chosen by header name, by index from 0, or by an inclusive range
//! of either, which makes one column of shape `[n]`. Numbers may have spaces
//! around them; a number that is not finite, an empty field and a row of another
//! length than the first are refused, naming the place. Rows are parsed as they
//! stream by: memory is the columns and one row.

use super::error::{DataError, Place, nearest};
use super::missing;
use super::source::{Source, refuse_utf16};
use super::table::{Column, ColumnData, ElementType, Storage, Table, TextColumn};
use super::write::replace;
use ::csv::{ByteRecord, ReaderBuilder, WriterBuilder};
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

/// How a text table is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CsvOptions {
    /// None: a tab in a `.tsv` file (`.tsv.gz` too), a comma in others.
    pub delimiter: Option<u8>,
    pub header: HeaderLine,
}

/// Whether the first line names the columns.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum HeaderLine {
    Present,
    Absent,
    /// It is a header if none of its fields is a number.
    #[default]
    Detect,
}

/// A column to be read.
#[derive(Clone, PartialEq, Debug)]
pub struct ColumnSpec {
    /// What it is called in the table.
    pub name: String,
    pub select: Select,
    pub element: ElementType,
    /// Shape of one row; none: `[]` for one field, `[n]` for a range.
    pub shape: Option<Vec<usize>>,
    /// A field may hold nothing: it is marked as missing.
    pub missing: bool,
}

/// Which fields of a row make a column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Select {
    Name(String),
    /// From 0.
    Index(usize),
    /// From the one through the other.
    Names(String, String),
    /// From the one through the other, from 0.
    Indices(usize, usize),
}

impl CsvOptions {
    pub fn detect() -> CsvOptions {
        CsvOptions {
            delimiter: None,
            header: HeaderLine::Detect,
        }
    }

    fn delimiter(&self, path: &Path) -> u8 {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        let tabs = name.trim_end_matches(".gz").ends_with(".tsv");
        self.delimiter.unwrap_or(if tabs { b'\t' } else { b',' })
    }
}

/// Reads the columns asked for.
pub fn read_csv(
    path: &Path,
    options: CsvOptions,
    specs: &[ColumnSpec],
) -> Result<Table, DataError> {
    let mut blocks = CsvBlocks::open(path, options, specs)?;
    match blocks.next(usize::MAX)? {
        Some(table) => Ok(table),
        None => Err(blocks.empty()),
    }
}

/// A file's rows, some at a time: memory is a block's columns and one row.
pub struct CsvBlocks {
    rows: Rows,
    sinks: Vec<Sink>,
}

impl CsvBlocks {
    pub fn open(
        path: &Path,
        options: CsvOptions,
        specs: &[ColumnSpec],
    ) -> Result<CsvBlocks, DataError> {
        let rows = Rows::open(path, options)?;
        let sinks = specs
            .iter()
            .map(|spec| Sink::new(spec, &rows))
            .collect::<Result<_, _>>()?;
        Ok(CsvBlocks { rows, sinks })
    }

    /// The next `most` rows, or what is left of them; none at the end.
    pub fn next(&mut self, most: usize) -> Result<Option<Table>, DataError> {
        let mut taken = 0;
        while taken < most && self.rows.advance()? {
            for sink in &mut self.sinks {
                sink.take(&self.rows)?;
            }
            taken += 1;
        }
        if taken == 0 {
            return Ok(None);
        }
        let columns = self.sinks.iter_mut().map(Sink::column);
        Table::new(columns.collect::<Result<_, _>>()?).map(Some)
    }

    /// What is to be said of a file without rows.
    pub fn empty(&self) -> DataError {
        DataError::Empty {
            path: self.rows.path().to_owned(),
        }
    }

    /// Name, storage and shape of each column.
    pub fn layout(&self) -> impl Iterator<Item = (&str, Storage, &[usize])> {
        let sinks = self.sinks.iter();
        sinks.map(|s| (s.name.as_str(), s.data.storage(), s.shape.as_slice()))
    }

    /// Bytes of text in all, where they are not compressed.
    pub fn exact_size(&self) -> Option<u64> {
        self.rows.reader.get_ref().source.exact_size()
    }

    /// Bytes of text read so far.
    pub fn bytes_read(&self) -> u64 {
        self.rows.reader.get_ref().read
    }
}

/// The names in the header line, if there is one, and the number of columns.
pub fn csv_header(
    path: &Path,
    options: CsvOptions,
) -> Result<(Option<Vec<String>>, usize), DataError> {
    let rows = Rows::open(path, options)?;
    Ok((rows.names, rows.width))
}

/// Writes a table with a header line. A column of shape `[n]` takes n fields, `name_0` and on.
pub fn write_csv(path: &Path, table: &Table) -> Result<(), DataError> {
    let delimiter = CsvOptions::detect().delimiter(path);
    replace(path, |out| write_to(out, delimiter, table))
}

/// Writes tables of the same columns one under another, below one header line.
pub fn write_tables(
    path: &Path,
    mut next: impl FnMut() -> io::Result<Option<Table>>,
) -> Result<(), DataError> {
    let delimiter = CsvOptions::detect().delimiter(path);
    replace(path, |out| {
        let mut header = true;
        while let Some(table) = next()? {
            write_rows(&mut *out, delimiter, &table, header)?;
            header = false;
        }
        Ok(())
    })
}

/// Writes a table as text, with a header line.
pub fn write_to(out: impl io::Write, delimiter: u8, table: &Table) -> io::Result<()> {
    write_rows(out, delimiter, table, true)
}

fn write_rows(out: impl io::Write, delimiter: u8, table: &Table, header: bool) -> io::Result<()> {
    let mut writer = WriterBuilder::new().delimiter(delimiter).from_writer(out);
    if header {
        for column in table.columns() {
            if column.shape().is_empty() {
                writer.write_field(&column.name)?;
            } else {
                for i in 0..column.per_row() {
                    writer.write_field(format!("{}_{i}", column.name))?;
                }
            }
        }
        writer.write_record(None::<&[u8]>)?;
    }
    for row in 0..table.rows() {
        for column in table.columns() {
            let fields = row * column.per_row()..(row + 1) * column.per_row();
            for i in fields {
                match column.data() {
                    ColumnData::U8(v) => writer.write_field(v[i].to_string())?,
                    ColumnData::U16(v) => writer.write_field(v[i].to_string())?,
                    ColumnData::I32(v) => writer.write_field(v[i].to_string())?,
                    ColumnData::F32(v) => writer.write_field(format!("{:?}", v[i]))?,
                    ColumnData::Text(v) => writer.write_field(v.get(i).unwrap_or_default())?,
                    ColumnData::Sparse(_) => {
                        let x = column.number(i).unwrap_or_default() as f32;
                        writer.write_field(format!("{x:?}"))?;
                    }
                }
            }
        }
        writer.write_record(None::<&[u8]>)?;
    }
    writer.flush()
}

/// The rows of a file, one at a time.
struct Rows {
    reader: ::csv::Reader<Metered>,
    budget: Rc<Budget>,
    record: ByteRecord,
    /// The first row was read already, to see whether it is a header.
    pending: bool,
    names: Option<Vec<String>>,
    /// Fields of a row.
    width: usize,
    /// Rows so far, the current one included.
    row: u64,
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
    /// Lines end in CR LF; told by the first of them.
    crlf: Option<bool>,
    /// The end of the file was met.
    ended: bool,
}

/// A row went over its budget.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a row is too long")]
enum TooLong {
    Bytes,
    Fields,
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
        Ok(n)
    }
}

impl Rows {
    fn open(path: &Path, options: CsvOptions) -> Result<Rows, DataError> {
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
        };
        let reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(64 << 10)
            .from_reader(metered);
        let record = ByteRecord::new();
        let mut rows = Rows {
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
                            "the name of column {i}, on the first line, is not valid UTF-8"
                        ),
                    }),
                });
            rows.names = Some(names.collect::<Result<_, _>>()?);
        } else {
            rows.pending = true;
        }
        Ok(rows)
    }

    fn path(&self) -> &Path {
        &self.reader.get_ref().source.path
    }

    /// Goes to the next row; false at the end.
    fn advance(&mut self) -> Result<bool, DataError> {
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
                let inner = self
                    .record
                    .as_slice()
                    .iter()
                    .filter(|&&b| b == b'\n')
                    .count() as u64;
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
                    None => Err(self.reader.get_ref().source.fault(&e)),
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

    /// The line on which the current row starts, and how many it takes.
    fn lines(&self) -> (u64, u64) {
        let inner = self
            .record
            .as_slice()
            .iter()
            .filter(|&&b| b == b'\n')
            .count() as u64;
        // the reader stands behind the row's LF, or between its CR and LF
        let behind = u64::from(self.reader.get_ref().crlf != Some(true));
        let next = self.reader.position().line();
        (next.saturating_sub(inner + behind).max(1), inner + 1)
    }

    fn place(&self, field: usize) -> Box<Place> {
        let column = self.names.as_ref().and_then(|n| n.get(field)).cloned();
        Box::new(Place {
            path: self.path().to_owned(),
            line: Some(self.lines().0),
            row: self.row,
            column: column.unwrap_or_else(|| format!("#{field}")),
        })
    }

    /// Index of the column that the header calls `name`.
    fn find(&self, name: &str) -> Result<usize, DataError> {
        let path = || self.path().to_owned();
        let names = self.names.as_deref().unwrap_or_default();
        let mut found = names.iter().enumerate().filter(|(_, n)| *n == name);
        match (found.next(), found.next()) {
            (Some((i, _)), None) => Ok(i),
            (Some(_), Some(_)) => Err(DataError::AmbiguousColumn {
                path: path(),
                name: name.into(),
            }),
            (None, _) => Err(DataError::UnknownColumn {
                path: path(),
                name: name.into(),
                suggestion: nearest(name, names.iter().map(String::as_str)),
                names: names.to_vec(),
            }),
        }
    }

    /// First and last field of a selection.
    fn fields(&self, select: &Select) -> Result<(usize, usize), DataError> {
        let (first, last) = match select {
            Select::Name(name) => {
                let i = self.find(name)?;
                (i, i)
            }
            Select::Index(i) => (*i, *i),
            Select::Names(a, b) => (self.find(a)?, self.find(b)?),
            Select::Indices(a, b) => (*a, *b),
        };
        if let Some(&index) = [first, last].iter().find(|&&i| i >= self.width) {
            return Err(DataError::ColumnIndex {
                path: self.path().to_owned(),
                index,
                columns: self.width,
            });
        }
        if first > last {
            let (first, last) = match select {
                Select::Names(a, b) => (format!("`{a}`"), format!("`{b}`")),
                _ => (first.to_string(), last.to_string()),
            };
            return Err(DataError::ColumnRange {
                path: self.path().to_owned(),
                first,
                last,
            });
        }
        Ok((first, last))
    }
}

/// Collects the elements of one column.
struct Sink {
    name: String,
    first: usize,
    last: usize,
    element: ElementType,
    shape: Vec<usize>,
    missing: bool,
    data: ColumnData,
}

impl Sink {
    fn new(spec: &ColumnSpec, rows: &Rows) -> Result<Sink, DataError> {
        let (first, last) = rows.fields(&spec.select)?;
        let fields = last - first + 1;
        let own = match spec.select {
            Select::Name(_) | Select::Index(_) => vec![],
            Select::Names(..) | Select::Indices(..) => vec![fields],
        };
        let shape = spec.shape.clone().unwrap_or_else(|| own.clone());
        let elements = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let text = spec.element == ElementType::Text;
        if elements != Some(fields) || (text && !shape.is_empty()) {
            return Err(DataError::Shape {
                path: rows.path().to_owned(),
                column: spec.name.clone(),
                found: own,
                expected: if text { vec![] } else { shape },
            });
        }
        Ok(Sink {
            name: spec.name.clone(),
            first,
            last,
            element: spec.element,
            shape,
            data: none_of(spec.element),
            missing: spec.missing,
        })
    }

    /// Takes its fields of the current row.
    fn take(&mut self, rows: &Rows) -> Result<(), DataError> {
        for i in self.first..=self.last {
            let bytes = rows.record.get(i).unwrap_or_default();
            // whole numbers of few digits, which most are, need no text
            let digits = digits(bytes);
            match &mut self.data {
                ColumnData::U8(v) if digits.is_some_and(|x| x < 256) => {
                    v.extend(digits.map(|x| x as u8))
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

    fn parse(&mut self, bytes: &[u8], rows: &Rows, field: usize) -> Result<(), DataError> {
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
                None => return bad("a whole number 0..255".into()),
            },
            (ColumnData::F32(v), _) => match number(value) {
                Some(x) if x.is_infinite() => return bad("a number that fits f32".into()),
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
                        "a class number 0..{} (classes in words are a `text` column, which `fit labels` numbers)",
                        classes.saturating_sub(1)
                    ));
                }
                None => return bad(format!("a class number 0..{}", classes.saturating_sub(1))),
            },
            (ColumnData::I32(v), _) => match whole(value).and_then(|x| i32::try_from(x).ok()) {
                Some(x) => v.push(x),
                None => return bad("a whole number that fits i32".into()),
            },
        }
        Ok(())
    }

    /// What has been collected since the last time.
    fn column(&mut self) -> Result<Column, DataError> {
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

fn too_long(error: &io::Error) -> Option<TooLong> {
    error.get_ref()?.downcast_ref().copied()
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

/// A number in digits; infinite if it is too large. Words (`nan`, `inf`) are no numbers.
fn number(text: &str) -> Option<f32> {
    let first = text.trim_start_matches(['+', '-']).bytes().next()?;
    if !first.is_ascii_digit() && first != b'.' {
        return None;
    }
    text.parse().ok()
}

/// A field without the spaces around it.
fn text(field: &[u8]) -> Option<&str> {
    std::str::from_utf8(field).ok().map(str::trim)
}
