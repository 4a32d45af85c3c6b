//! The pass before the grammar: one walk over the bytes that decides what a
//! line is.
//!
//! It gives back the text with the same byte offsets, in which comments are
//! blank and a newline that does not end a statement is a blank; the comments;
//! and the text's pieces: declarations, and inside a braced declaration its
//! items. Each piece is then read by the grammar on its own, so that a mistake
//! in one leaves the others readable. Whatever could make the later phases
//! recurse or grow without bound (brackets nested too deep, statements too
//! long) is refused here.
//!
//! A newline does not end a statement inside `( )` or `[ ]`; after a binary
//! operator, `,`, `=`, `|>`, `->` or `:`; before `|>`, `->`, `else` or `{`; or
//! after an attribute.
//!
//! Where brackets do not match, reading resumes at the next line that starts in
//! column 0 with what can only be the head of a declaration.

mod reports;

use super::ast::Comment;
use super::keywords::{DECLARATIONS, JOINING_WORDS};
use super::lexer::{self, Kind};
use crate::diag::{Code, Diagnostic};
use crate::span::{SourceId, Span};

/// Brackets may nest this deep.
pub(super) const MAX_DEPTH: usize = 200;
/// A statement's tree may be this high: its operators, calls and brackets, summed.
pub(super) const MAX_HEIGHT: u32 = 4_000;
/// Brackets that hold so little do not count towards the length of their row.
const SHALLOW: u32 = 8;
/// A statement may be this long, in bytes.
pub(super) const MAX_STATEMENT: usize = 256 * 1024;
/// After more mistakes than this the rest is not read.
const MAX_REPORTS: usize = 1_000;
/// Where operators nest to the right, each counts for this many.
const NESTING_COST: u32 = 10;

pub(super) struct Layout {
    /// As long as the source, byte for byte.
    pub text: String,
    pub comments: Vec<Comment>,
    pub pieces: Vec<Piece>,
    pub diagnostics: Vec<Diagnostic>,
    /// The deepest nesting of brackets.
    pub depth: usize,
}

/// A declaration, or a run of lines that are none.
#[derive(Debug)]
pub(super) struct Piece {
    pub start: usize,
    pub end: usize,
    /// The keyword that makes it a declaration.
    pub keyword: Option<&'static str>,
    /// Where the keyword stands, after the attributes.
    pub keyword_at: usize,
    pub body: Option<Body>,
    /// A mistake outside of its items has been reported.
    pub damaged: bool,
    /// The head nests too deep to be read.
    pub tall: bool,
}

/// `{ items }`
#[derive(Debug)]
pub(super) struct Body {
    pub open: usize,
    /// Offset of the `}`; the end of the piece where there is none.
    pub close: usize,
    pub items: Vec<Item>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub start: usize,
    pub end: usize,
    /// A mistake in it has been reported.
    pub damaged: bool,
}

struct Open {
    bracket: u8,
    at: usize,
    /// Column of the first character of its line.
    indent: usize,
    height: u32,
    tallest: u32,
}

struct Scanner<'a> {
    source: SourceId,
    text: &'a str,
    out: Vec<u8>,
    comments: Vec<Comment>,
    pieces: Vec<Piece>,
    diagnostics: Vec<Diagnostic>,
    stack: Vec<Open>,
    depth: usize,
    piece: Option<Piece>,
    item: Option<Item>,
    /// Start of the run of newlines and comments before the current token.
    newline: Option<usize>,
    line_start: usize,
    /// Column of the current line's first token, once seen.
    indent: Option<usize>,
    /// The last token wants something after it.
    joins: bool,
    /// The last token ends an operand.
    operand: bool,
    last_end: usize,
    height: u32,
    /// The declaration's body did not open: all is swallowed until the next head.
    orphan: bool,
    /// A `}` less indented than the `{` it closes.
    suspect: Option<(usize, usize)>,
}

pub(super) fn layout(source: SourceId, text: &str) -> Layout {
    let mut scanner = Scanner {
        source,
        text,
        out: text.as_bytes().to_vec(),
        comments: Vec::new(),
        pieces: Vec::new(),
        diagnostics: Vec::new(),
        stack: Vec::new(),
        depth: 0,
        piece: None,
        item: None,
        newline: None,
        line_start: 0,
        indent: None,
        joins: false,
        operand: false,
        last_end: 0,
        height: 0,
        orphan: false,
        suspect: None,
    };
    scanner.run();
    Layout {
        // Only whole characters were replaced, by blanks.
        text: String::from_utf8(scanner.out).unwrap_or_else(|_| text.to_owned()),
        comments: scanner.comments,
        pieces: scanner.pieces,
        diagnostics: scanner.diagnostics,
        depth: scanner.depth,
    }
}

impl Scanner<'_> {
    fn run(&mut self) {
        let mut at = 0;
        // A byte order mark is no text.
        if self.text.starts_with('\u{feff}') {
            at = '\u{feff}'.len_utf8();
            self.blank(0, at);
            self.line_start = at;
        }
        while let Some(token) = lexer::next(self.text, at) {
            if self.diagnostics.len() > MAX_REPORTS {
                break;
            }
            at = token.end;
            match token.kind {
                Kind::Newline => {
                    self.newline.get_or_insert(token.start);
                    self.line_start = token.end;
                    self.indent = None;
                    continue;
                }
                Kind::Comment => {
                    self.comment(token.start, token.end);
                    continue;
                }
                _ => {}
            }
            self.indent.get_or_insert(token.start - self.line_start);
            if self.newline.is_some() || self.last_end == 0 {
                self.line(token.start, &self.text[token.start..token.end]);
            }
            if !self.token(token.kind, token.start, token.end) {
                at = self.skip(token.end);
            }
            self.last_end = at.min(token.end);
        }
        if !self.stack.is_empty() && self.diagnostics.len() <= MAX_REPORTS {
            self.unclosed(None);
        }
        self.end_item();
        self.end_piece();
    }

    fn comment(&mut self, start: usize, end: usize) {
        let text = &self.text[start..end];
        if text.starts_with("//") || text.starts_with("/*") {
            let first = !self.diagnostics.iter().any(|d| d.code == Code::E0010);
            if first {
                let marker = &text[..2];
                self.diagnostics.push(
                    Diagnostic::error(Code::E0010, format!("`{marker}` does not start a comment"))
                        .label(self.span(start, start + 2), "comments start with `#`")
                        .help("replace it with `#`, or with `##` to document the declaration below; there is no `//` operator either")
                        .fix(self.span(start, start + 2), "#"),
                );
            }
        } else {
            let body = text.trim_start_matches('#');
            self.comments.push(Comment {
                text: body.trim_end().to_owned(),
                doc: text.starts_with("##") && !text.starts_with("###"),
                own_line: self.text[self.line_start..start].trim().is_empty(),
                span: self.span(start, start + text.trim_end().len()),
            });
        }
        self.blank(start, end);
    }

    /// A token begins a line: decides whether the statement before it ends there.
    fn line(&mut self, at: usize, token: &str) {
        let newline = self.newline.take();
        let column_0 = at == self.line_start;
        if column_0 && !self.stack.is_empty() && is_head(&self.text[at..]) {
            self.unclosed(Some(at));
            self.end_item();
            self.end_piece();
            return;
        }
        let Some(newline) = newline else { return };
        let top = self.stack.last().map(|o| o.bracket);
        let before_keyword = top.is_none()
            && self
                .piece
                .as_ref()
                .is_some_and(|p| p.keyword.is_none() && self.text[p.start..].starts_with('@'));
        let new_head = top.is_none() && column_0 && is_head(&self.text[at..]);
        let joined = matches!(top, Some(b'(' | b'['))
            || (self.joins && !new_head)
            || (before_keyword && self.last_end > 0)
            || matches!(token, "|>" | "->" | "else" | "{");
        if joined {
            self.blank(newline, at);
            return;
        }
        self.end_statement();
        if self.stack.is_empty() {
            self.orphan = (!column_0 || token == "}") && self.wants_body();
            if !self.orphan {
                self.end_piece();
            }
        }
    }

    /// The current declaration needs a body and has none yet.
    fn wants_body(&self) -> bool {
        self.piece.as_ref().is_some_and(|p| {
            p.body.is_none() && p.keyword.is_some_and(|k| !matches!(k, "const" | "import"))
        })
    }

    /// False: nothing more can be made of this declaration.
    fn token(&mut self, kind: Kind, start: usize, end: usize) -> bool {
        let text = &self.text[start..end];
        let closes = matches!(text, ")" | "]" | "}") && kind == Kind::Symbol;
        if closes && self.stack.is_empty() {
            self.stray_closer(start, end);
            return true;
        }
        self.begin(kind, start, end);
        let (mut joins, mut operand) = (false, true);
        match kind {
            Kind::Word => {
                joins = JOINING_WORDS.contains(&text);
                operand = !joins;
                match text {
                    "not" | "if" => self.grow(NESTING_COST, start),
                    "and" | "or" => self.grow(1, start),
                    _ => {}
                }
            }
            Kind::Number => {}
            Kind::String { closed } => self.string(start, end, closed),
            Kind::SingleQuoted => self.single_quoted(start, end),
            Kind::Stray => {
                self.stray_character(start, end);
                operand = false;
            }
            Kind::Symbol => match text {
                "(" | "[" | "{" => {
                    if self.operand {
                        self.grow(1, start);
                    }
                    operand = false;
                    if !self.open(start) {
                        return false;
                    }
                }
                ")" | "]" | "}" => self.close(start),
                ";" => {
                    operand = false;
                    self.end_statement();
                    if self.stack.is_empty() && !self.orphan {
                        self.end_piece();
                    }
                }
                "," => {
                    (joins, operand) = (true, false);
                    self.rest();
                }
                "." => {
                    operand = false;
                    self.grow(1, start);
                }
                _ => {
                    let percent = text == "%" && lexer::is_percent(self.text, start);
                    joins = !percent;
                    operand = percent;
                    let nests = text == "^" || (!self.operand && matches!(text, "-" | "+" | "!"));
                    if !matches!(text, "=" | ":" | "%") {
                        self.grow(if nests { NESTING_COST } else { 1 }, start);
                    }
                }
            },
            Kind::Newline | Kind::Comment => {}
        }
        self.joins = joins;
        self.operand = operand;
        true
    }

    /// Opens the piece and the item that this token starts.
    fn begin(&mut self, kind: Kind, start: usize, end: usize) {
        let text = &self.text[start..end];
        if text == ";" {
            return;
        }
        let piece = self.piece.get_or_insert(Piece {
            start,
            end,
            keyword: None,
            keyword_at: start,
            body: None,
            damaged: false,
            tall: false,
        });
        piece.end = end;
        let attributes_only = piece.keyword.is_none()
            && (piece.start == start || self.text[piece.start..].starts_with('@'));
        if attributes_only && kind == Kind::Word && self.stack.is_empty() {
            let after_at = self.text[..start].ends_with('@');
            // `model.fit(x)`, `data = load()`: a name of another language's.
            let used = lexer::next(self.text, end)
                .is_some_and(|t| matches!(&self.text[t.start..t.end], "." | "="));
            let word = DECLARATIONS.iter().find(|k| **k == text);
            if let (Some(&word), false) = (word, after_at || used) {
                piece.keyword = Some(word);
                piece.keyword_at = start;
            }
        }
        let in_body = self.stack.len() == 1
            && piece
                .body
                .as_ref()
                .is_some_and(|b| b.open == self.stack[0].at);
        if in_body && self.item.is_none() && text != "}" {
            self.item = Some(Item {
                start,
                end,
                damaged: false,
            });
        }
    }

    fn open(&mut self, at: usize) -> bool {
        let bracket = self.out[at];
        if self.stack.len() >= MAX_DEPTH {
            self.diagnostics.push(
                Diagnostic::error(
                    Code::E0011,
                    format!("brackets are nested more than {MAX_DEPTH} levels deep"),
                )
                .label(self.span(at, at + 1), "this one is too deep")
                .label(
                    self.span(self.stack[0].at, self.stack[0].at + 1),
                    "the outermost bracket",
                )
                .help("bind inner expressions to names"),
            );
            self.damage();
            return false;
        }
        if bracket == b'{'
            && self.stack.is_empty()
            && !self.orphan
            && self.wants_body()
            && let Some(piece) = &mut self.piece
        {
            piece.body = Some(Body {
                open: at,
                close: usize::MAX,
                items: Vec::new(),
            });
        }
        self.stack.push(Open {
            bracket,
            at,
            indent: self.indent.unwrap_or(0),
            height: std::mem::take(&mut self.height),
            tallest: 0,
        });
        self.depth = self.depth.max(self.stack.len());
        true
    }

    /// `)`, `]` or `}` with something open.
    fn close(&mut self, at: usize) {
        let bracket = self.out[at];
        let wanted = opener_of(bracket);
        let top = self.stack.len() - 1;
        let matching = self.stack.iter().rposition(|o| o.bracket == wanted);
        match matching {
            Some(i) if i == top => {}
            Some(i) => {
                self.mismatch(at);
                while self.stack.len() > i + 1 {
                    self.pop();
                }
            }
            None if self.stack[top].bracket == b'{' => {
                self.stray_inside(at);
                return;
            }
            None => self.mismatch(at),
        }
        if bracket == b'}' {
            let open = &self.stack[self.stack.len() - 1];
            let first_of_line = self.text[self.line_start..at].trim().is_empty();
            let column = at - self.line_start;
            if first_of_line && column < open.indent && self.suspect.is_none() {
                self.suspect = Some((open.at, at));
            }
        }
        if self.stack.len() == 1 {
            let body_at = self.stack[0].at;
            self.end_item();
            if let Some(body) = self.piece.as_mut().and_then(|p| p.body.as_mut())
                && body.open == body_at
            {
                body.close = at;
            }
        }
        self.pop();
    }

    fn pop(&mut self) {
        if let Some(open) = self.stack.pop() {
            // What is in the brackets of a stage of a pipe is beside the stages before it, not above.
            let inner = open.tallest.max(self.height) + 1;
            self.height = match inner > SHALLOW {
                true => open.height + inner,
                false => open.height.max(inner),
            };
        }
    }

    /// A statement or an element of a list is over: the next starts from the ground.
    fn rest(&mut self) {
        if let Some(open) = self.stack.last_mut() {
            open.tallest = open.tallest.max(self.height);
        }
        self.height = 0;
    }

    fn end_statement(&mut self) {
        self.rest();
        self.joins = false;
        self.operand = false;
        if self.stack.len() <= 1 {
            self.end_item();
        }
    }

    fn end_item(&mut self) {
        let Some(mut item) = self.item.take() else {
            return;
        };
        item.end = self.last_end.max(item.start);
        if item.end - item.start > MAX_STATEMENT && !item.damaged {
            self.too_long(item.start);
            item.damaged = true;
        }
        if let Some(body) = self.piece.as_mut().and_then(|p| p.body.as_mut()) {
            body.items.push(item);
        }
    }

    fn end_piece(&mut self) {
        self.stack.clear();
        self.suspect = None;
        self.orphan = false;
        self.height = 0;
        self.joins = false;
        self.operand = false;
        let Some(mut piece) = self.piece.take() else {
            return;
        };
        piece.end = self.last_end.max(piece.start);
        match &mut piece.body {
            Some(body) => body.close = body.close.min(piece.end),
            None if piece.keyword.is_some() && piece.end - piece.start > MAX_STATEMENT => {
                if !piece.damaged {
                    self.too_long(piece.start);
                }
                piece.damaged = true;
            }
            None => {}
        }
        match self.pieces.last_mut() {
            Some(last) if last.keyword.is_none() && piece.keyword.is_none() => {
                last.end = piece.end;
                last.damaged |= piece.damaged;
            }
            _ => self.pieces.push(piece),
        }
    }

    fn grow(&mut self, by: u32, at: usize) {
        let before = self.height;
        self.height += by;
        if before <= MAX_HEIGHT && self.height > MAX_HEIGHT {
            self.too_long(at);
            self.damage();
            let head = self.piece.as_mut().filter(|_| self.item.is_none());
            head.into_iter().for_each(|piece| piece.tall = true);
        }
    }

    /// From here to the next line that can only start a declaration: not read.
    fn skip(&mut self, from: usize) -> usize {
        let mut at = from;
        self.last_end = from;
        self.end_item();
        self.end_piece();
        while let Some(newline) = self.text[at..].find('\n') {
            let line = at + newline + 1;
            if is_head(&self.text[line..]) {
                self.line_start = line;
                self.newline = Some(line - 1);
                self.indent = None;
                return line;
            }
            at = line;
        }
        self.text.len()
    }

    fn damage(&mut self) {
        match (&mut self.item, &mut self.piece) {
            (Some(item), _) => item.damaged = true,
            (None, Some(piece)) => piece.damaged = true,
            (None, None) => {}
        }
    }

    fn blank(&mut self, start: usize, end: usize) {
        self.out[start..end].fill(b' ');
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.source, start, end)
    }
}

fn opener_of(closer: u8) -> u8 {
    match closer {
        b')' => b'(',
        b']' => b'[',
        _ => b'{',
    }
}

fn closer_of(opener: u8) -> u8 {
    match opener {
        b'(' => b')',
        b'[' => b']',
        _ => b'}',
    }
}

/// The line can only be the head of a declaration, not a setting or a statement
/// that lost its indentation.
fn is_head(text: &str) -> bool {
    let line = &text[..text.find('\n').unwrap_or(text.len())];
    let line = &line[..line.find('#').unwrap_or(line.len())];
    if let Some(rest) = line.strip_prefix('@') {
        return rest.starts_with(|c: char| c.is_ascii_alphabetic());
    }
    let word_end = line
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(line.len());
    let (word, rest) = line.split_at(word_end);
    if !DECLARATIONS.contains(&word) || !rest.starts_with([' ', '\t']) {
        return false;
    }
    let rest = rest.trim();
    let name_end = rest
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    let (name, after) = rest.split_at(name_end);
    let after = after.trim_start();
    match word {
        "import" => rest.starts_with('"'),
        _ if name.is_empty() => false,
        "const" => after.starts_with('=') && !after.starts_with("=="),
        "data" | "sweep" => after.starts_with('{'),
        "train" => after.contains("on ") && after.contains('{'),
        "loss" | "optimizer" => after.contains('{'),
        _ => after.starts_with(['(', '{']),
    }
}
