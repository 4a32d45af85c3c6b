//! The formatter: one way to write a file.
//!
//! Two blanks a level; lines up to 100 characters; columns of data, train and
//! sweep blocks aligned; at most one blank line. What the author decided stays:
//! comments and their place, blank lines, parentheses, the spelling of numbers,
//! blocks on one line, lists with a comma at their end over several lines, and
//! the places where a pipe breaks. A statement with a comment in its middle is
//! only indented.
//!
//! ```text
//! train  Net on d {loss mse            train Net on d {
//!   optimizer Adam( lr=1e-3 )    ->      loss       mse
//!   epochs 5 }                           optimizer  Adam(lr = 1e-3)
//!                                        epochs     5
//!                                      }
//! ```

use super::ast::*;
use super::dump::dump;
use super::lexer::{self, Kind};
use crate::span::Span;
use rustc_hash::FxHashMap;

mod expr;
mod flat;
mod items;

/// Lines are broken to stay within this many characters where they can.
const WIDTH: usize = 100;

/// The text of `file`, formatted; `text` is what it was parsed from, without errors.
pub fn format(file: &File, text: &str) -> String {
    let mut printer = Printer {
        text,
        comments: &file.comments,
        closing: closing(text),
        letters: letters(text),
        mark: ('\u{1}'..).find(|c| !text.contains(*c)).unwrap_or('\u{1}'),
        next: 0,
        out: String::new(),
        last_end: 0,
    };
    for decl in &file.decls {
        printer.decl(decl);
    }
    printer.comments_before(text.len(), 0);
    assemble(&printer.out, printer.mark)
}

/// The two trees and their comments differ in their places alone.
pub fn same_meaning(a: &File, b: &File) -> bool {
    let comments = |file: &File| -> Vec<String> {
        let texts = file.comments.iter().map(|c| c.text.trim().to_owned());
        texts.collect()
    };
    dump(a, None) == dump(b, None) && comments(a) == comments(b)
}

struct Printer<'a> {
    text: &'a str,
    comments: &'a [Comment],
    /// Where each `(` closes.
    closing: FxHashMap<u32, u32>,
    /// How many characters other than blanks precede each byte.
    letters: Vec<u32>,
    /// Marks a trailing comment's old column and text until lines are put together;
    /// a character that the text does not have.
    mark: char,
    /// The first comment not yet written.
    next: usize,
    out: String,
    /// Where in the source the last thing written ended.
    last_end: usize,
}

impl Printer<'_> {
    fn decl(&mut self, decl: &Decl) {
        let start = decl
            .attributes
            .first()
            .map_or(decl.span.start, |a| a.span.start) as usize;
        let first = self.comments[self.next..]
            .first()
            .map_or(start, |c| (c.span.start as usize).min(start));
        let short = matches!(decl.kind, DeclKind::Import(_) | DeclKind::Const(_));
        let may_need_blank = !self.out.is_empty() && !short && !self.blank_line_before(first);
        let above = self.out.len();
        self.comments_before(start, 0);
        for attribute in &decl.attributes {
            self.comments_before(attribute.span.start as usize, 0);
            self.start_line(attribute.span.start as usize, 0);
            let line = self.attribute(attribute);
            self.out.push_str(&line);
            self.end_line(attribute.span.end as usize);
        }
        self.comments_before(decl.span.start as usize, 0);
        self.start_line(decl.span.start as usize, 0);
        let text = if self.has_loose_comment(decl.span, &decl_blocks(self.text, decl)) {
            self.verbatim(decl.span, 0)
        } else {
            self.decl_text(decl)
        };
        self.out.push_str(&text);
        let many_lines = text.contains('\n') || !decl.attributes.is_empty();
        if may_need_blank && many_lines && !self.out[..above].ends_with("\n\n") {
            self.out.insert(above, '\n');
        }
        self.end_line(decl.span.end as usize);
    }

    fn attribute(&mut self, attribute: &Attribute) -> String {
        if self.has_loose_comment(attribute.span, &[]) {
            return self.verbatim(attribute.span, 0);
        }
        let name = format!("@{}", attribute.name.text);
        if attribute.args.is_empty() {
            return name;
        }
        let args: Vec<String> = attribute.args.iter().map(|a| self.source(a.span)).collect();
        format!("{name}({})", args.join(", "))
    }

    fn decl_text(&mut self, decl: &Decl) -> String {
        match &decl.kind {
            DeclKind::Import(import) => self.import(import),
            DeclKind::Const(c) => {
                let lead = format!("const {} = ", c.name.text);
                let value = self.expr(&c.value, 0, lead.len());
                lead + &value
            }
            DeclKind::Def(def) => {
                let head = format!("{} {}", def.kind.keyword(), def.name.text);
                let head = self.head(head, &def.lists, def.result.as_ref());
                head + " " + &self.block(&def.body, 0)
            }
            DeclKind::Model(model) => {
                let head = format!("model {}", model.name.text);
                let lists = std::slice::from_ref(&model.inputs);
                let head = self.head(head, lists, model.result.as_ref());
                head + " " + &self.block(&model.body, 0)
            }
            DeclKind::Data(data) => {
                format!("data {} ", data.name.text) + &self.data(data, decl.span)
            }
            DeclKind::Train(train) => {
                let models: Vec<&str> = train.models.iter().map(|m| &*m.text).collect();
                format!("train {} on {} ", models.join(", "), train.data.text)
                    + &self.train(train, decl.span)
            }
            DeclKind::Sweep(sweep) => {
                format!("sweep {} ", sweep.model.text) + &self.sweep(sweep, decl.span)
            }
        }
    }

    fn import(&mut self, import: &Import) -> String {
        let mut line = format!("import {}", self.source(import.path.span));
        let Some(names) = &import.names else {
            return line;
        };
        let names: Vec<&str> = names.iter().map(|n| &*n.text).collect();
        let flat = names.join(", ");
        if line.len() + flat.len() + 5 <= WIDTH {
            line.push_str(&format!(" {{ {flat} }}"));
        } else {
            line.push_str(" {\n");
            for name in names {
                line.push_str(&format!("  {name},\n"));
            }
            line.push('}');
        }
        line
    }

    fn head(&mut self, name: String, lists: &[Vec<Param>], result: Option<&TypeExpr>) -> String {
        let result = result.map_or(String::new(), |t| format!(" -> {}", self.ty(t)));
        let texts: Vec<Vec<String>> = lists
            .iter()
            .map(|l| l.iter().map(|p| self.param(p)).collect())
            .collect();
        let keep: Vec<bool> = lists
            .iter()
            .map(|l| {
                l.last()
                    .is_some_and(|p| self.broken_by_comma(p.span.end as usize))
            })
            .collect();
        // As few lists over several lines as make the rest fit, the first ones first.
        for broken in 0..=lists.len() {
            let mut line = name.clone();
            for (i, list) in texts.iter().enumerate() {
                if (i < broken || keep[i]) && !list.is_empty() {
                    line.push_str(&format!("(\n  {},\n)", list.join(",\n  ")));
                } else {
                    line.push_str(&format!("({})", list.join(", ")));
                }
            }
            line.push_str(&result);
            let fits = line.lines().all(|l| l.chars().count() + 2 <= WIDTH);
            if fits || broken == lists.len() {
                return line;
            }
        }
        name + &result
    }

    fn param(&mut self, param: &Param) -> String {
        let mut text = String::from(if param.variadic { "..." } else { "" });
        text.push_str(&param.name.text);
        if let Some(ty) = &param.ty {
            text.push_str(&format!(": {}", self.ty(ty)));
        }
        if let Some(default) = &param.default {
            text.push_str(&format!(" = {}", self.flat_or_source(default)));
        }
        text
    }

    /// `{ ... }` at the given indentation; its first line goes on after the head.
    fn block(&mut self, block: &Block, indent: usize) -> String {
        let mut stmts: Vec<(Span, Line<'_>)> = block
            .stmts
            .iter()
            .map(|s| (s.span, Line::Stmt(s)))
            .collect();
        if let Some(value) = &block.value {
            stmts.push((value.span, Line::Value(value)));
        }
        if let Some(flat) = self.flat_block(block, WIDTH) {
            return flat;
        }
        self.braced(block.span, &stmts, indent, |p, line, indent| match line {
            Line::Stmt(s) => p.stmt(s, indent),
            Line::Value(e) => p.expr(e, indent, indent),
        })
    }

    /// Items between braces, one a line, with their comments.
    fn braced<T: Copy>(
        &mut self,
        span: Span,
        items: &[(Span, T)],
        indent: usize,
        mut print: impl FnMut(&mut Self, T, usize) -> String,
    ) -> String {
        let outer = std::mem::take(&mut self.out);
        self.out.push('{');
        let open = span.start as usize + 1;
        self.end_line(open);
        let inner = indent + 2;
        for (item_span, item) in items {
            let (start, end) = (item_span.start as usize, item_span.end as usize);
            self.comments_before(start, inner);
            self.start_line(start, inner);
            let text = if self.has_loose_comment(*item_span, &item_blocks(self.text, *item_span)) {
                self.verbatim(*item_span, inner)
            } else {
                print(self, *item, inner)
            };
            self.out.push_str(&text);
            self.end_line(end);
        }
        let close = span.end as usize - 1;
        self.comments_before(close, inner);
        self.out.push_str(&" ".repeat(indent));
        self.out.push('}');
        self.last_end = span.end as usize;
        std::mem::replace(&mut self.out, outer)
    }

    /// Comments on lines of their own before `at`.
    fn comments_before(&mut self, at: usize, indent: usize) {
        while let Some(comment) = self.comments.get(self.next) {
            if comment.span.start as usize >= at {
                break;
            }
            self.start_line(comment.span.start as usize, indent);
            let text = self.source(comment.span);
            self.out.push_str(text.trim_end());
            self.out.push('\n');
            self.last_end = comment.span.end as usize;
            self.next += 1;
        }
    }

    /// Indents, after the blank line of the source, if any.
    fn start_line(&mut self, at: usize, indent: usize) {
        let first = self.out.is_empty() || self.out == "{\n";
        if !first && self.blank_line_before(at) && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
        self.out.push_str(&" ".repeat(indent));
    }

    /// Ends the line with the comment that trails it in the source, if any.
    fn end_line(&mut self, end: usize) {
        self.last_end = end;
        if let Some(comment) = self.comments.get(self.next) {
            let start = comment.span.start as usize;
            let between = self.text.get(end..start);
            let trails = !comment.own_line
                && between.is_some_and(|t| t.chars().all(|c| matches!(c, ' ' | '\t' | ';' | ',')));
            if trails {
                let line = self.text[..start].rfind('\n').map_or(0, |i| i + 1);
                let column = self.text[line..start].chars().count();
                let text = self.source(comment.span);
                let mark = self.mark;
                self.out
                    .push_str(&format!("{mark}{column}{mark}{}", text.trim_end()));
                self.last_end = comment.span.end as usize;
                self.next += 1;
            }
        }
        self.out.push('\n');
    }

    fn blank_line_before(&self, at: usize) -> bool {
        self.text
            .get(self.last_end..at)
            .is_some_and(|t| t.matches('\n').count() >= 2)
    }

    /// A comment inside `span` that no block inside it will write.
    fn has_loose_comment(&self, span: Span, blocks: &[Span]) -> bool {
        self.comments[self.next..]
            .iter()
            .take_while(|c| c.span.start < span.end)
            .any(|c| {
                c.span.start > span.start
                    && !blocks
                        .iter()
                        .any(|b| b.start < c.span.start && c.span.end <= b.end)
            })
    }

    /// The source as it is, moved to a new indentation.
    fn verbatim(&mut self, span: Span, indent: usize) -> String {
        while self
            .comments
            .get(self.next)
            .is_some_and(|c| c.span.start < span.end)
        {
            self.next += 1;
        }
        let line = self.text[..span.start as usize]
            .rfind('\n')
            .map_or(0, |i| i + 1);
        let old = self.text[line..].len() - self.text[line..].trim_start_matches(' ').len();
        let text = &self.text[span.range()];
        let mut out = String::new();
        for (i, line) in text.lines().enumerate() {
            let line = line.trim_end();
            if i > 0 {
                out.push('\n');
                let own = line.len() - line.trim_start().len();
                if !line.is_empty() {
                    out.push_str(&" ".repeat((own + indent).saturating_sub(old)));
                }
            }
            out.push_str(line.trim_start());
        }
        out
    }

    fn letters(&self, span: Span) -> usize {
        (self.letters[span.end as usize] - self.letters[span.start as usize]) as usize
    }

    fn source(&self, span: Span) -> String {
        self.text[span.range()].to_owned()
    }

    /// The list that ends at `end` has a comma and a line break before its bracket.
    fn broken_by_comma(&self, end: usize) -> bool {
        let rest = &self.text[end..];
        let rest = rest.trim_start_matches([' ', '\t', '\r']);
        rest.strip_prefix(',').is_some_and(|r| {
            r.trim_start_matches([' ', '\t', '\r']).starts_with('\n')
                && r.trim_start().starts_with([')', ']'])
        })
    }
}

/// For each `(` of the text the place of its `)`.
fn closing(text: &str) -> FxHashMap<u32, u32> {
    let mut pairs = FxHashMap::default();
    let mut open = Vec::new();
    let mut at = 0;
    while let Some(token) = lexer::next(text, at) {
        at = token.end;
        match &text[token.start..token.end] {
            "(" => open.push(token.start as u32),
            ")" => {
                if let Some(start) = open.pop() {
                    pairs.insert(start, token.start as u32);
                }
            }
            _ => {}
        }
    }
    pairs
}

fn letters(text: &str) -> Vec<u32> {
    let mut count = 0;
    let mut counts = Vec::with_capacity(text.len() + 1);
    counts.push(0);
    for byte in text.bytes() {
        // The first byte of each character.
        count += u32::from(!byte.is_ascii_whitespace() && byte & 0xC0 != 0x80);
        counts.push(count);
    }
    counts
}

#[derive(Clone, Copy)]
enum Line<'a> {
    Stmt(&'a Stmt),
    Value(&'a Expr),
}

/// The braces of a declaration's body, in which comments are written by its items.
fn decl_blocks(text: &str, decl: &Decl) -> Vec<Span> {
    match &decl.kind {
        DeclKind::Import(_) => Vec::new(),
        DeclKind::Const(_) => item_blocks(text, decl.span),
        DeclKind::Def(d) => vec![d.body.span],
        DeclKind::Model(m) => vec![m.body.span],
        DeclKind::Data(_) | DeclKind::Train(_) | DeclKind::Sweep(_) => {
            vec![items::body_span(text, decl.span)]
        }
    }
}

/// The outermost braces inside an item that are not inside other brackets.
fn item_blocks(text: &str, span: Span) -> Vec<Span> {
    let end = span.end as usize;
    let mut blocks = Vec::new();
    let mut open: Vec<(usize, u8)> = Vec::new();
    let mut at = span.start as usize;
    while let Some(token) = lexer::next(text, at).filter(|t| t.start < end) {
        at = token.end;
        if token.kind != Kind::Symbol {
            continue;
        }
        let byte = text.as_bytes()[token.start];
        match byte {
            b'(' | b'[' | b'{' => open.push((token.start, byte)),
            b')' | b']' | b'}' => {
                if let Some((start, b'{')) = open.pop()
                    && open.iter().all(|(_, b)| *b == b'{')
                {
                    blocks.push(Span::new(span.source, start, token.end));
                }
            }
            _ => {}
        }
    }
    blocks
}

/// Puts trailing comments in their columns: where they were, or two blanks after
/// the code; comments on neighbouring lines that were aligned stay so.
fn assemble(out: &str, mark: char) -> String {
    let lines: Vec<(&str, Option<(usize, &str)>)> = out
        .lines()
        .map(|line| match line.split_once(mark) {
            Some((code, rest)) => {
                let (column, text) = rest.split_once(mark).unwrap_or(("0", rest));
                (code.trim_end(), Some((column.parse().unwrap_or(0), text)))
            }
            None => (line.trim_end(), None),
        })
        .collect();
    let mut result = String::with_capacity(out.len());
    let mut i = 0;
    while i < lines.len() {
        let Some((column, _)) = lines[i].1 else {
            result.push_str(lines[i].0);
            result.push('\n');
            i += 1;
            continue;
        };
        let run = lines[i..]
            .iter()
            .take_while(|(_, c)| c.is_some_and(|(k, _)| k == column))
            .count();
        let code_end = lines[i..i + run]
            .iter()
            .map(|(code, _)| code.chars().count() + 2)
            .max()
            .unwrap_or(0);
        let column = if column > WIDTH {
            code_end
        } else {
            column.max(code_end)
        };
        for (code, comment) in &lines[i..i + run] {
            let pad = column.saturating_sub(code.chars().count());
            let text = comment.map_or("", |(_, t)| t);
            result.push_str(&format!("{code}{}{text}\n", " ".repeat(pad)));
        }
        i += run;
    }
    result
}
