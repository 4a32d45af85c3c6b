//! Positions in source text.
//!
//! A [`Span`] is a byte range in one source; a [`SourceMap`] owns every source
//! of a run (the user's file, its imports, the library files it used).

use std::ops::Range;
use std::sync::Arc;

/// Index of a source in its [`SourceMap`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct SourceId(pub u32);

/// Half-open byte range `start..end` in one source.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Span {
    pub source: SourceId,
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub fn new(source: SourceId, start: usize, end: usize) -> Span {
        Span {
            source,
            start: start as u32,
            end: end as u32,
        }
    }
    /// The smallest span that covers both; they must be of one source.
    pub fn to(self, other: Span) -> Span {
        Span {
            source: self.source,
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
    /// The empty span just before this one, for insertions.
    pub fn before(self) -> Span {
        Span {
            end: self.start,
            ..self
        }
    }
    /// The empty span just after this one, for insertions.
    pub fn after(self) -> Span {
        Span {
            start: self.end,
            ..self
        }
    }
}

/// A value and where it was written.
#[derive(Clone, PartialEq, Debug)]
pub struct Spanned<T> {
    pub node: T,
    pub span: Span,
}

impl<T> Spanned<T> {
    pub fn new(node: T, span: Span) -> Spanned<T> {
        Spanned { node, span }
    }
}

/// One source text.
#[derive(Clone, Debug)]
pub struct Source {
    /// As shown to people: the path as given, or `library/core.nn`.
    pub name: String,
    pub text: Arc<str>,
    /// Part of the standard library: its inside is not the user's mistake.
    pub library: bool,
    /// Byte offset at which each line starts.
    lines: Vec<u32>,
}

/// Every source of a run.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    sources: Vec<Source>,
}

impl SourceMap {
    pub fn add(
        &mut self,
        name: impl Into<String>,
        text: impl Into<Arc<str>>,
        library: bool,
    ) -> SourceId {
        let text = text.into();
        let lines = std::iter::once(0)
            .chain(
                text.bytes()
                    .enumerate()
                    .filter(|(_, b)| *b == b'\n')
                    .map(|(i, _)| i as u32 + 1),
            )
            .collect();
        self.sources.push(Source {
            name: name.into(),
            text,
            library,
            lines,
        });
        SourceId(self.sources.len() as u32 - 1)
    }
    pub fn get(&self, id: SourceId) -> &Source {
        &self.sources[id.0 as usize]
    }
    /// The text a span covers.
    pub fn text(&self, span: Span) -> &str {
        &self.get(span.source).text[span.range()]
    }
    /// Line and column of a span's start, both from 1; the column counts characters.
    pub fn line_column(&self, span: Span) -> (usize, usize) {
        let source = self.get(span.source);
        let line = source.lines.partition_point(|&s| s <= span.start).max(1);
        let start = source.lines.get(line - 1).copied().unwrap_or(0) as usize;
        let column = source
            .text
            .get(start..span.start as usize)
            .map_or(0, |t| t.chars().count());
        (line, column + 1)
    }
    /// `file:line:column`.
    pub fn place(&self, span: Span) -> String {
        let (line, column) = self.line_column(span);
        format!("{}:{line}:{column}", self.get(span.source).name)
    }
}
