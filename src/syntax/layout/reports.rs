//! What the walk over the bytes has to say about brackets, strings and characters.

use super::super::lexer;
use super::{Body, MAX_HEIGHT, MAX_STATEMENT, Scanner, closer_of, opener_of};
use crate::diag::{Code, Diagnostic};

impl Scanner<'_> {
    pub(super) fn too_long(&mut self, at: usize) {
        self.diagnostics.push(
            Diagnostic::error(Code::E0012, "this statement is too long")
                .label(self.span(at, at + 1), "the limit is here")
                .help("bind parts of it to names; keep tables of numbers in a file and read it with `csv` or `npy`")
                .note(format!(
                    "a statement can hold up to {MAX_HEIGHT} operators in a row and {} kB of code",
                    MAX_STATEMENT / 1024
                )),
        );
    }

    pub(super) fn mismatch(&mut self, at: usize) {
        let open = &self.stack[self.stack.len() - 1];
        let (opener, closer) = (open.bracket as char, self.out[at] as char);
        let wanted = closer_of(open.bracket) as char;
        let open_span = self.span(open.at, open.at + 1);
        let close_span = self.span(at, at + 1);
        let diagnostic = if closer == '}' {
            Diagnostic::error(Code::E0003, format!("`{opener}` is never closed"))
                .label(open_span, format!("no `{wanted}` for this one"))
                .label(close_span, format!("`{wanted}` is missing before this"))
        } else {
            Diagnostic::error(
                Code::E0004,
                format!("`{opener}` cannot be closed by `{closer}`"),
            )
            .label(close_span, format!("expected `{wanted}`"))
            .label(open_span, format!("to close this `{opener}`"))
        };
        let diagnostic = if closer != '}' && opener != '{' {
            diagnostic.fix(close_span, wanted)
        } else {
            diagnostic
        };
        self.diagnostics
            .push(diagnostic.help(format!("close it with `{wanted}`")));
        self.damage();
    }

    pub(super) fn stray_inside(&mut self, at: usize) {
        let closer = self.out[at] as char;
        let opener = opener_of(self.out[at]) as char;
        self.diagnostics.push(
            Diagnostic::error(Code::E0005, format!("unmatched `{closer}`"))
                .label(
                    self.span(at, at + 1),
                    format!("there is no `{opener}` before it"),
                )
                .help(format!("remove it, or add the missing `{opener}`")),
        );
        self.blank(at, at + 1);
        self.damage();
    }

    pub(super) fn stray_closer(&mut self, start: usize, end: usize) {
        self.blank(start, end);
        if self.orphan {
            return;
        }
        let closer = &self.text[start..end];
        // Lines after a body that closed too early are the same mistake.
        self.end_piece();
        if self.pieces.last().is_some_and(|p| p.keyword.is_none()) {
            self.pieces.pop();
        }
        let mut diagnostic = Diagnostic::error(Code::E0005, format!("unmatched `{closer}`")).label(
            self.span(start, end),
            format!(
                "there is no `{}` open here",
                opener_of(closer.as_bytes()[0]) as char
            ),
        );
        if let Some(Body { close, .. }) = self.pieces.last().and_then(|p| p.body.as_ref())
            && self.out.get(*close) == Some(&b'}')
        {
            diagnostic = diagnostic.label(
                self.span(*close, close + 1),
                "the declaration before it already ends here",
            );
        }
        self.diagnostics
            .push(diagnostic.help("remove it, or add the missing opening bracket"));
    }

    /// Brackets are open at the head of the next declaration, or at the end of the file.
    pub(super) fn unclosed(&mut self, head: Option<usize>) {
        let open = &self.stack[self.stack.len() - 1];
        let closer = closer_of(open.bracket) as char;
        let opener = open.bracket as char;
        let at = match self.suspect {
            Some((suspect, _)) if opener == '{' => suspect,
            _ => open.at,
        };
        let mut diagnostic = Diagnostic::error(Code::E0003, format!("`{opener}` is never closed"))
            .label(self.span(at, at + 1), format!("no `{closer}` for this one"));
        if let (Some((_, close)), '{') = (self.suspect, opener) {
            diagnostic = diagnostic.label(
                self.span(close, close + 1),
                "this closes it, but its indentation matches a different block",
            );
        }
        if let Some(head) = head {
            let line = self.text[head..].lines().next().unwrap_or("");
            let word = line.split_whitespace().next().unwrap_or(line);
            diagnostic = diagnostic.label(
                self.span(head, head + word.len()),
                "the next declaration starts here",
            );
        }
        self.diagnostics
            .push(diagnostic.help(format!("add `{closer}` where it should end")));
        self.damage();
        if let Some(piece) = &mut self.piece {
            piece.damaged = true;
        }
    }

    pub(super) fn string(&mut self, start: usize, end: usize, closed: bool) {
        if !closed {
            self.diagnostics.push(
                Diagnostic::error(Code::E0006, "this string is never closed")
                    .label(self.span(start, start + 1), "it starts here")
                    .label(self.span(end, end), "and needs its `\"` by here")
                    .help("a string ends on the line it starts on; write a line break as `\\n`")
                    .fix(self.span(end, end), "\""),
            );
            self.damage();
            // What closes these is inside the string.
            while let Some(open) = self.stack.last()
                && open.bracket != b'{'
                && open.at >= self.line_start
            {
                self.pop();
            }
            return;
        }
        let body = &self.text[start..end];
        let mut escaped = false;
        for (i, c) in body.char_indices() {
            if escaped && !matches!(c, '"' | '\\' | 'n' | 't') {
                let at = start + i - 1;
                self.diagnostics.push(
                    Diagnostic::error(Code::E0007, format!("unknown escape `\\{c}` in a string"))
                        .label(self.span(at, start + i + c.len_utf8()), "unknown escape")
                        .help("the escapes are `\\\"`, `\\\\`, `\\n` and `\\t`; a backslash itself is `\\\\`")
                        .fix(self.span(at, at + 1), "\\\\"),
                );
                self.damage();
                return;
            }
            escaped = c == '\\' && !escaped;
        }
    }

    pub(super) fn single_quoted(&mut self, start: usize, end: usize) {
        let inner = &self.text[start + 1..end];
        let inner = inner.strip_suffix('\'').unwrap_or(inner);
        let fixed = format!("\"{}\"", inner.replace('"', "\\\""));
        self.diagnostics.push(
            Diagnostic::error(Code::E0008, "strings are written in double quotes")
                .label(self.span(start, end), "these are single quotes")
                .help("use double quotes")
                .fix(self.span(start, end), fixed),
        );
        self.damage();
    }

    pub(super) fn stray_character(&mut self, start: usize, end: usize) {
        let on_this_line = self.diagnostics.last().is_some_and(|d| {
            d.code == Code::E0009 && d.labels[0].span.start as usize >= self.line_start
        });
        if !on_this_line {
            let text = &self.text[start..end];
            let c = text.chars().next().unwrap_or(' ');
            let shown = if c.is_control() || c.is_whitespace() {
                format!("U+{:04X}", c as u32)
            } else {
                format!("`{c}`")
            };
            let mut diagnostic =
                Diagnostic::error(Code::E0009, format!("{shown} is not part of the language"))
                    .label(self.span(start, start + c.len_utf8()), "this character");
            if let Some((name, plain)) = lexer::look_alike(c) {
                diagnostic = diagnostic
                    .help(format!("this is {name}; replace it with a plain `{plain}`"))
                    .fix(self.span(start, start + c.len_utf8()), plain);
            } else if c == '$' || c == '?' || c == '~' || c == '`' {
                diagnostic = diagnostic.help("remove it");
            } else if c.is_alphabetic() {
                diagnostic = diagnostic.help(
                    "names consist of the letters a-z and A-Z, digits and `_`; other characters are allowed in strings and comments",
                );
            }
            self.diagnostics.push(diagnostic);
        }
        self.damage();
    }
}
