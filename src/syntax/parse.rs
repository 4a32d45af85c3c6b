//! Text -> tree: [`super::layout`] cuts the file into pieces, the grammar reads
//! each, and every piece that does not follow it gives one diagnostic.

use std::sync::Arc;

use pest::Parser;
use pest::iterators::Pair;

use super::ast::*;
use super::build::{Head, SweepItem, finish_block};
use super::explain::{self, Failure, Place};
use super::expr::Builder;
use super::grammar::{Grammar, Rule};
use super::layout::{self, Body, Layout, Piece};
use crate::diag::{Code, Diagnostic};
use crate::plural;
use crate::span::{SourceId, Span};

/// A source file may be this long, in bytes.
pub const MAX_SOURCE: usize = 16 * 1024 * 1024;
/// This many syntax errors of a file are shown.
pub const MAX_SHOWN: usize = 20;
/// After this many the rest of the file is not read.
const MAX_COUNTED: usize = 1_000;
/// Brackets nested deeper than this are read on a stack of their own.
const DEEP: usize = 24;
const DEEP_STACK: usize = 64 * 1024 * 1024;

/// The declarations that follow the grammar, and every mistake, in the order of
/// the text. A declaration with a mistake inside is left out.
pub fn parse(source: SourceId, text: &str) -> (File, Vec<Diagnostic>) {
    let mut file = File {
        source,
        decls: Vec::new(),
        comments: Vec::new(),
        broken: Vec::new(),
    };
    if text.len() > MAX_SOURCE {
        return (file, vec![too_large(source, text.len())]);
    }
    let mut layout = layout::layout(source, text);
    let mut diagnostics = std::mem::take(&mut layout.diagnostics);
    file.comments = std::mem::take(&mut layout.comments);
    let mut reader = Reader {
        source,
        text: &layout.text,
        original: text,
        comments: &file.comments,
        diagnostics: Vec::new(),
        broken: Vec::new(),
    };
    file.decls = if layout.depth > DEEP {
        match on_deep_stack(|| reader.pieces(&layout)) {
            Some(decls) => decls,
            None => reader.pieces(&layout),
        }
    } else {
        reader.pieces(&layout)
    };
    diagnostics.append(&mut reader.diagnostics);
    let mut broken = std::mem::take(&mut reader.broken);
    if diagnostics.iter().any(|d| d.code == Code::E0029) {
        // What lacks a name may be what a train block names.
        broken.extend(file.decls.iter().flat_map(trained_names));
    }
    diagnostics.sort_by_key(|d| d.span().map_or(0, |s| s.start));
    file.broken = broken;
    (file, capped(source, diagnostics))
}

fn trained_names(decl: &Decl) -> Vec<Ident> {
    match &decl.kind {
        DeclKind::Train(t) => t.models.iter().chain([&t.data]).cloned().collect(),
        _ => Vec::new(),
    }
}

struct Reader<'a> {
    source: SourceId,
    text: &'a str,
    original: &'a str,
    comments: &'a [Comment],
    diagnostics: Vec<Diagnostic>,
    broken: Vec<Ident>,
}

impl Reader<'_> {
    fn pieces(&mut self, layout: &Layout) -> Vec<Decl> {
        let mut decls = Vec::new();
        for piece in &layout.pieces {
            if self.diagnostics.len() > MAX_COUNTED {
                break;
            }
            match piece.keyword {
                Some(keyword) => decls.extend(self.declaration(piece, keyword)),
                None if !piece.damaged => {
                    self.foreign_names(piece.start..piece.end);
                    self.diagnostics.extend(explain::not_declarations(
                        self.source,
                        self.text,
                        piece.start..piece.end,
                    ));
                }
                None => {}
            }
        }
        decls
    }

    /// Names that lines in the manner of another language declare: `let width = 128`, `width = 128`. Uses of them are
    /// not mistakes of their own.
    fn foreign_names(&mut self, range: std::ops::Range<usize>) {
        let mut at = range.start;
        for line in self.text[range].split_inclusive('\n') {
            let start = at;
            at += line.len();
            if line.starts_with([' ', '\t']) {
                continue;
            }
            let word = |text: &str, from: usize| {
                let rest = &text[from..];
                let begin = from + rest.len() - rest.trim_start().len();
                let is_name = |c: char| c.is_alphanumeric() || c == '_';
                let len = text[begin..]
                    .find(|c| !is_name(c))
                    .unwrap_or(text.len() - begin);
                begin..begin + len
            };
            let first = word(line, 0);
            let second = word(line, first.end);
            let name = match line[first.end..].trim_start().starts_with('=') {
                true => first,
                false => second,
            };
            if !name.is_empty() {
                self.broken.push(Ident {
                    text: line[name.clone()].into(),
                    span: Span::new(self.source, start + name.start, start + name.end),
                });
            }
        }
    }

    /// A declaration; of one with a mistake inside, the name.
    fn declaration(&mut self, piece: &Piece, keyword: &'static str) -> Option<Decl> {
        let decl = self.sound_declaration(piece, keyword);
        if decl.is_none() && !matches!(keyword, "import" | "train" | "sweep") {
            let end = piece.body.as_ref().map_or(piece.end, |b| b.open);
            let name = explain::declared_name(self.text, piece.keyword_at, end);
            if let Some(at) = self.text[piece.keyword_at..end].find(name)
                && !name.is_empty()
            {
                let at = piece.keyword_at + at;
                self.broken.push(Ident {
                    text: name.into(),
                    span: Span::new(self.source, at, at + name.len()),
                });
            }
        }
        decl
    }

    fn sound_declaration(&mut self, piece: &Piece, keyword: &'static str) -> Option<Decl> {
        let rule = match keyword {
            "import" => Rule::one_import,
            "const" => Rule::one_const,
            "data" => Rule::one_data_head,
            "model" => Rule::one_model_head,
            "train" => Rule::one_train_head,
            "sweep" => Rule::one_sweep_head,
            _ => Rule::one_def_head,
        };
        let head_end = piece.body.as_ref().map_or(piece.end, |b| b.open);
        let before = self.diagnostics.len();
        let mut attributes = Vec::new();
        let mut head = None;
        if !piece.tall && (!piece.damaged || piece.body.is_some()) {
            self.piece(
                rule,
                piece.start..head_end,
                Place::Head(keyword),
                |b, pair| match pair.as_rule() {
                    Rule::attribute => attributes.push(b.attribute(pair)),
                    Rule::EOI => {}
                    _ => head = Some(b.head(pair)),
                },
            );
        }
        let name = explain::declared_name(self.text, piece.keyword_at, head_end);
        let body = match (&piece.body, keyword) {
            (Some(body), _) => Some(body),
            (None, "import" | "const") => None,
            (None, _) => {
                if self.diagnostics.len() == before && !piece.damaged {
                    let at = Span::new(self.source, piece.end, piece.end);
                    self.diagnostics
                        .push(explain::no_body(keyword, name, at, None));
                }
                return None;
            }
        };
        let kind = self.kind(head, body, keyword, name);
        if let Some(body) = body {
            let rest = self.text[(body.close + 1).min(piece.end)..piece.end].trim_start();
            if !rest.is_empty() && !piece.damaged {
                self.diagnostics.push(explain::after_body(
                    self.source,
                    self.text,
                    body.close,
                    piece.end - rest.len(),
                ));
            }
        }
        let sound = self.diagnostics.len() == before
            && !piece.damaged
            && !body.is_some_and(|b| b.items.iter().any(|i| i.damaged));
        if !sound {
            return None;
        }
        Some(Decl {
            attributes,
            doc: self.doc(piece.start),
            kind: kind?,
            span: Span::new(self.source, piece.keyword_at, piece.end),
        })
    }

    fn kind(
        &mut self,
        head: Option<Head>,
        body: Option<&Body>,
        keyword: &'static str,
        name: &str,
    ) -> Option<DeclKind> {
        let Some(body) = body else {
            return match head? {
                Head::Import(i) => Some(DeclKind::Import(i)),
                Head::Const(c) => Some(DeclKind::Const(c)),
                _ => None,
            };
        };
        let place = Place::Body { keyword, name };
        match keyword {
            "data" => {
                let items = self.items(body, Rule::one_data_item, place, Builder::data_item);
                match head? {
                    Head::Data(name) => Some(DeclKind::Data(Data { name, items })),
                    _ => None,
                }
            }
            "train" => {
                let items = self.items(body, Rule::one_train_item, place, Builder::train_item);
                match head? {
                    Head::Train { models, data } => Some(DeclKind::Train(Train {
                        models,
                        data,
                        items,
                    })),
                    _ => None,
                }
            }
            "sweep" => {
                let items = self.items(body, Rule::one_sweep_item, place, Builder::sweep_item);
                let Head::Sweep(model) = head? else {
                    return None;
                };
                let mut sweep = Sweep {
                    model,
                    axes: Vec::new(),
                    settings: Vec::new(),
                };
                for item in items {
                    match item {
                        SweepItem::Axis(name, value) => sweep.axes.push((name, value)),
                        SweepItem::Setting(s) => sweep.settings.push(s),
                    }
                }
                Some(DeclKind::Sweep(sweep))
            }
            _ => {
                let stmts = self.items(body, Rule::one_stmt, place, Builder::stmt);
                let span = Span::new(self.source, body.open, body.close + 1);
                let body = finish_block(stmts, span);
                match head? {
                    Head::Def {
                        kind,
                        name,
                        lists,
                        result,
                    } => Some(DeclKind::Def(Arc::new(Def {
                        kind,
                        name,
                        lists,
                        result,
                        body,
                    }))),
                    Head::Model {
                        name,
                        inputs,
                        result,
                    } => Some(DeclKind::Model(Arc::new(Model {
                        name,
                        inputs,
                        result,
                        body,
                    }))),
                    _ => None,
                }
            }
        }
    }

    fn items<T>(
        &mut self,
        body: &Body,
        rule: Rule,
        place: Place<'_>,
        build: fn(&Builder, Pair<'_, Rule>) -> T,
    ) -> Vec<T> {
        let mut items = Vec::with_capacity(body.items.len());
        for item in &body.items {
            if self.diagnostics.len() > MAX_COUNTED {
                break;
            }
            if item.damaged {
                continue;
            }
            self.piece(rule, item.start..item.end, place, |b, pair| {
                if pair.as_rule() != Rule::EOI {
                    items.push(build(b, pair));
                }
            });
        }
        items
    }

    /// Reads one piece of the text by `rule` and hands each of its pairs to `build`.
    fn piece(
        &mut self,
        rule: Rule,
        range: std::ops::Range<usize>,
        place: Place<'_>,
        mut build: impl FnMut(&Builder, Pair<'_, Rule>),
    ) {
        let text = self.text[range.clone()].trim_end();
        match Grammar::parse(rule, text) {
            Ok(pairs) => {
                let builder = Builder {
                    source: self.source,
                    base: range.start,
                    errors: Default::default(),
                };
                for pair in pairs {
                    build(&builder, pair);
                }
                self.diagnostics.append(&mut builder.errors.into_inner());
            }
            Err(error) => {
                let failure =
                    Failure::new(self.source, self.text, self.original, range, &error, place);
                self.diagnostics.push(explain::explain(&failure));
            }
        }
    }

    /// The run of own-line `##` comments that ends on the line before `start`.
    fn doc(&self, start: usize) -> String {
        let before = self
            .comments
            .partition_point(|c| (c.span.start as usize) < start);
        let mut lines = Vec::new();
        let mut below = start;
        for comment in self.comments[..before].iter().rev() {
            let end = comment.span.end as usize;
            let gap = &self.original[end..below];
            let adjacent = gap.matches('\n').count() == 1 && gap.trim().is_empty();
            if !(comment.doc && comment.own_line && adjacent) {
                break;
            }
            lines.push(comment.text.strip_prefix(' ').unwrap_or(&comment.text));
            below = comment.span.start as usize;
        }
        lines.reverse();
        lines.join("\n")
    }
}

/// None where the system gives no thread.
fn on_deep_stack<T: Send>(run: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(DEEP_STACK)
            .spawn_scoped(scope, run)
            .ok()?;
        match thread.join() {
            Ok(value) => Some(value),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn too_large(source: SourceId, len: usize) -> Diagnostic {
    Diagnostic::error(
        Code::E0013,
        format!("this file is too large: {:.1} MB", len as f64 / 1048576.0),
    )
    .label(
        Span::new(source, 0, 0),
        format!("the limit is {} MB", MAX_SOURCE / (1024 * 1024)),
    )
    .help("keep data in separate files and read them with a `source`")
}

fn capped(source: SourceId, mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    if diagnostics.len() <= MAX_SHOWN {
        return diagnostics;
    }
    let more = diagnostics.len() - MAX_SHOWN;
    let least = if diagnostics.len() > MAX_COUNTED {
        "at least "
    } else {
        ""
    };
    let place = diagnostics[MAX_SHOWN]
        .span()
        .unwrap_or(Span::new(source, 0, 0));
    diagnostics.truncate(MAX_SHOWN);
    diagnostics.push(
        Diagnostic::error(
            Code::E0030,
            format!("and {least}{}", plural::count(more, "more syntax error")),
        )
        .label(place.before(), "the first of them is here")
        .help("fix the errors above first"),
    );
    diagnostics
}
