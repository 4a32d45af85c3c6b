//! Where the grammar stopped -> what to say about it.
//!
//! A [`Failure`] is the place and what pest could have read there. First come
//! the [`super::slips`], the mistakes people make who know another language;
//! everything else is reported as found and expected.

use std::ops::Range;

use pest::error::{Error, ErrorVariant, InputLocation};

use super::grammar::Rule;
use super::keywords::{self, DATA_ITEMS, DECLARATIONS, STATEMENTS};
use super::lexer::{self, Kind, Token};
use super::parse::MAX_SHOWN;
use super::slips;
use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::span::{SourceId, Span};

/// Which part of a declaration was being read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Place<'a> {
    /// Up to its `{`; a whole `import` or `const`.
    Head(&'static str),
    /// One item of its body.
    Body {
        keyword: &'static str,
        name: &'a str,
    },
}

/// A piece of text that does not follow the grammar.
pub(super) struct Failure<'a> {
    pub source: SourceId,
    pub text: &'a str,
    /// With its comments and newlines.
    pub original: &'a str,
    pub place: Place<'a>,
    /// Tokens of the piece, without newlines that end nothing.
    pub tokens: Vec<Token>,
    /// Index of the token that could not be read; past the last one at the end.
    pub at: usize,
    pub expected: Vec<Rule>,
    end: usize,
}

impl<'a> Failure<'a> {
    pub(super) fn new(
        source: SourceId,
        text: &'a str,
        original: &'a str,
        range: Range<usize>,
        error: &Error<Rule>,
        place: Place<'a>,
    ) -> Failure<'a> {
        let offset = match error.location {
            InputLocation::Pos(p) => p,
            InputLocation::Span((start, _)) => start,
        };
        let expected = match &error.variant {
            ErrorVariant::ParsingError { positives, .. } => positives.clone(),
            ErrorVariant::CustomError { .. } => Vec::new(),
        };
        let end = range.start + text[range.clone()].trim_end().len();
        let mut tokens = Vec::new();
        let mut next = range.start;
        while let Some(token) = lexer::next(text, next).filter(|t| t.start < end) {
            tokens.push(token);
            next = token.end;
        }
        let at = tokens.partition_point(|t| t.end <= range.start + offset);
        Failure {
            source,
            text,
            original,
            place,
            tokens,
            at,
            expected,
            end,
        }
    }

    /// The text of a token; empty at the end of the piece.
    pub(super) fn word(&self, index: usize) -> &'a str {
        self.tokens
            .get(index)
            .map_or("", |t| &self.text[t.start..t.end])
    }

    pub(super) fn found(&self) -> &'a str {
        self.word(self.at)
    }

    /// The token before the one that could not be read.
    pub(super) fn previous(&self) -> &'a str {
        self.at.checked_sub(1).map_or("", |i| self.word(i))
    }

    pub(super) fn kind(&self, index: usize) -> Option<Kind> {
        self.tokens.get(index).map(|t| t.kind)
    }

    pub(super) fn span(&self, index: usize) -> Span {
        match self.tokens.get(index) {
            Some(t) if t.kind == Kind::Newline => Span::new(self.source, t.start, t.start),
            Some(t) => Span::new(self.source, t.start, t.end),
            None => Span::new(self.source, self.end, self.end),
        }
    }

    pub(super) fn expects(&self, rule: Rule) -> bool {
        self.expected.contains(&rule)
    }

    /// A value could stand here.
    pub(super) fn expects_value(&self) -> bool {
        use Rule::*;
        self.expected.iter().any(|r| {
            matches!(
                r,
                expr | arg | postfix | number | string | stmt | neg | paren | list | index_item
            )
        })
    }

    /// A value has been read and could go on.
    pub(super) fn expects_operator(&self) -> bool {
        self.expects(Rule::infix) || self.expects(Rule::pipe)
    }

    pub(super) fn at_line_end(&self) -> bool {
        matches!(self.kind(self.at), None | Some(Kind::Newline)) || self.found() == ";"
    }

    /// The innermost bracket of the piece that is open at the mistake.
    pub(super) fn open_bracket(&self) -> Option<usize> {
        let mut open = Vec::new();
        for i in 0..self.at {
            match self.word(i) {
                "(" | "[" | "{" => open.push(i),
                ")" | "]" | "}" => {
                    open.pop();
                }
                _ => {}
            }
        }
        open.pop()
    }

    /// Index of the first token of the operand that ends just before `end`.
    pub(super) fn operand_start(&self, end: usize) -> usize {
        let mut depth = 0usize;
        for i in (0..end).rev() {
            match self.word(i) {
                ")" | "]" | "}" => depth += 1,
                "(" | "[" | "{" if depth == 0 => return i + 1,
                "(" | "[" | "{" => depth -= 1,
                "," | ";" | "=" | ":" | "if" | "require" | "penalize" | "+=" | "-=" | "*="
                | "/="
                    if depth == 0 =>
                {
                    return i + 1;
                }
                _ if depth == 0 && self.kind(i) == Some(Kind::Newline) => return i + 1,
                _ => {}
            }
        }
        0
    }

    /// "in the train block of `Digits`"
    pub(super) fn context(&self) -> String {
        match self.place {
            Place::Head(keyword @ ("import" | "const")) => format!("in this `{keyword}`"),
            Place::Head(keyword @ ("data" | "train" | "sweep")) => {
                format!("at the head of this {keyword} block")
            }
            Place::Head(keyword) => format!("at the head of this {keyword}"),
            Place::Body {
                keyword: keyword @ ("data" | "sweep"),
                name,
            } => format!("in the {keyword} block `{name}`"),
            Place::Body {
                keyword: "train",
                name,
            } => format!("in the train block of `{name}`"),
            Place::Body { keyword, name } => format!("in the body of {keyword} `{name}`"),
        }
    }

    /// What was found, in words.
    pub(super) fn described(&self) -> String {
        describe(self.kind(self.at), self.found())
    }
}

pub(super) fn describe(kind: Option<Kind>, text: &str) -> String {
    match kind {
        None => "the end".to_owned(),
        Some(Kind::Newline) => "the end of the line".to_owned(),
        Some(Kind::Number) => format!("the number `{text}`"),
        Some(Kind::String { .. }) => {
            let short: String = text.chars().take(24).collect();
            let dots = if short.len() < text.len() { "…" } else { "" };
            format!("the string {short}{dots}")
        }
        Some(Kind::Word) if keywords::RESERVED.contains(&text) => format!("the keyword `{text}`"),
        Some(Kind::Word) => format!("the name `{text}`"),
        _ => format!("`{text}`"),
    }
}

pub(super) fn explain(failure: &Failure<'_>) -> Diagnostic {
    slips::find(failure).unwrap_or_else(|| generic(failure))
}

fn generic(failure: &Failure<'_>) -> Diagnostic {
    let span = failure.span(failure.at);
    let expected = expected_words(failure);
    let message = if failure.at_line_end() && failure.found() != ";" {
        format!("the line ends too early {}", failure.context())
    } else {
        let found = failure.described();
        let found = found.strip_prefix("the ").unwrap_or(&found);
        format!("unexpected {found} {}", failure.context())
    };
    let mut diagnostic = Diagnostic::error(Code::E0001, message).label(
        span,
        if expected.is_empty() {
            "this does not fit here".to_owned()
        } else {
            format!("expected {}", list_words(&expected))
        },
    );
    if failure.at > 0 && failure.expects_operator() && !failure.at_line_end() {
        diagnostic = diagnostic.label(failure.span(failure.at - 1), "after this");
    }
    if expected == ["`=`"] && failure.at > 0 && !failure.at_line_end() {
        let gap = failure.span(failure.at - 1).after().to(span.before());
        diagnostic = diagnostic
            .help("write `=` between the name and its value")
            .fix(gap, " = ");
    }
    diagnostic
}

/// What could be at the mistake, in words, most specific first.
fn expected_words(failure: &Failure<'_>) -> Vec<&'static str> {
    use Rule::*;
    let mut words: Vec<&'static str> = Vec::new();
    let mut operator = false;
    let mut value = false;
    for rule in &failure.expected {
        let phrase = match rule {
            ident | word | setting_key => "a name",
            decl_name => "a name",
            string if !failure.expects(number) => "a string in double quotes",
            type_expr | plain_type | tuple_type => "a type",
            dims => "`[`",
            dim => "a size",
            rest => "`..`",
            variadic => "`...`",
            params => "a list of parameters, `(...)`",
            param => "a parameter",
            block | lbrace => "`{`",
            lparen if !failure.expects(infix) => "`(`",
            rparen => "`)`",
            rbracket => "`]`",
            rbrace => "`}`",
            comma => "`,`",
            colon => "`:`",
            arrow | result => "`->`",
            assign => "`=`",
            kw_on => "`on`",
            kw_in => "`in`",
            kw_else => "`else`",
            kw_do => "`do`",
            kw_from => "`from`",
            kw_along => "`along`",
            scan_pair => "`name in value`",
            carry => "`name = value`",
            named_arg => "`name = value`",
            split_part => "a set and its fraction, as in `train 80%`",
            state_decl => "`name = value`",
            data_item => "an item of a data block",
            kw_source | source_item => "`source`",
            kw_column | column_item => "`column`",
            kw_split | split_item => "`split`",
            kw_fit | fit_item => "`fit`",
            kw_input | input_item => "`input`",
            kw_target | target_item => "`target`",
            train_item | setting => "a setting",
            sweep_item | axis => "`name in values`",
            EOI => match failure.place {
                Place::Head("import" | "const") => "the end of the line",
                Place::Head(_) => "`{`",
                Place::Body { .. } => "the end of the line",
            },
            stmt => "a statement",
            expr | arg | postfix | number | paren | list | index_item => {
                value = true;
                continue;
            }
            infix | pipe => {
                operator = true;
                continue;
            }
            _ => continue,
        };
        if !words.contains(&phrase) {
            words.push(phrase);
        }
    }
    if value {
        words.retain(|w| *w != "a name");
        words.insert(0, "a value");
    }
    if operator {
        words.push("an operator");
    }
    words
}

pub(super) fn list_words(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [init @ .., last] => format!("{} or {last}", init.join(", ")),
    }
}

/// The name after the keyword at `keyword_at`; for a train block all before `on`.
pub(super) fn declared_name(text: &str, keyword_at: usize, end: usize) -> &str {
    let head = &text[keyword_at..end.max(keyword_at)];
    let Some(keyword) = lexer::next(head, 0) else {
        return "";
    };
    let Some(name) = lexer::next(head, keyword.end).filter(|t| t.kind == Kind::Word) else {
        return "";
    };
    &head[name.start..name.end]
}

/// How many lines in a row that are not declarations are examined one by one.
const LINES_READ: usize = 1_000;

/// Lines where a declaration should start: one diagnostic for each that is
/// recognised as another language's, one for all the others.
pub(super) fn not_declarations(
    source: SourceId,
    text: &str,
    range: Range<usize>,
) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    let mut unknown = None;
    let mut lines = 0;
    let mut at = range.start;
    while at < range.end && diagnostics.len() <= MAX_SHOWN {
        let end = text[at..range.end].find('\n').map_or(range.end, |i| at + i);
        if let Some(token) = lexer::next(text, at).filter(|t| t.start < end) {
            let own = token.start == at || at == range.start;
            let look = own && lines < LINES_READ;
            let known = look.then(|| known_line(source, text, token, end)).flatten();
            match known {
                Some(diagnostic) => diagnostics.push(diagnostic),
                None => {
                    // What is indented or closes a block belongs to the line above.
                    let word = &text[token.start..token.end];
                    if own && word != "}" && (unknown.is_none() || diagnostics.is_empty()) {
                        unknown.get_or_insert(token);
                        lines += 1;
                    }
                }
            }
        }
        at = end + 1;
    }
    diagnostics.extend(unknown.map(|token| unknown_line(source, text, token, lines)));
    diagnostics
}

fn known_line(source: SourceId, text: &str, token: Token, end: usize) -> Option<Diagnostic> {
    let word = &text[token.start..token.end];
    let span = Span::new(source, token.start, token.end);
    if word == "@" {
        return Some(
            Diagnostic::error(Code::E0002, "attribute without a declaration")
                .label(
                    Span::new(source, token.start, text[..end].trim_end().len()),
                    "no declaration follows",
                )
                .help("write its declaration on the next line"),
        );
    }
    if token.kind != Kind::Word {
        return None;
    }
    if let Some(diagnostic) = slips::foreign_declaration(source, text, token.start, word) {
        return Some(diagnostic);
    }
    let rest = text[token.end..end].trim_start();
    let diagnostic = Diagnostic::error(
        Code::E0002,
        format!("`{word}` does not start a declaration"),
    )
    .label(span, "this line is not part of a declaration");
    if rest.starts_with('=') && !rest.starts_with("==") {
        return Some(
            diagnostic
                .help(format!(
                    "write `const {word} = ...` for a value of the whole file"
                ))
                .fix(span.before(), "const "),
        );
    }
    let names = rest.starts_with(|c: char| c.is_alphanumeric() || c == '"');
    let near = did_you_mean(word, DECLARATIONS.iter().copied()).filter(|n| names && *n != word);
    if let Some(near) = near {
        return Some(
            diagnostic
                .help(format!("did you mean `{near}`?"))
                .fix(span, near),
        );
    }
    let item = DATA_ITEMS.contains(&word) || STATEMENTS.contains(&word);
    item.then(|| {
        diagnostic.help(format!(
            "`{word}` belongs inside the braces of a declaration; is there a `}}` too early?"
        ))
    })
}

fn unknown_line(source: SourceId, text: &str, token: Token, lines: usize) -> Diagnostic {
    let word = &text[token.start..token.end];
    let message = format!(
        "{} does not start a declaration",
        describe(Some(token.kind), word)
    );
    let label = if lines > 1 {
        format!("these {lines} lines are not part of a declaration")
    } else {
        "this line is not part of a declaration".to_owned()
    };
    Diagnostic::error(Code::E0002, message)
        .label(Span::new(source, token.start, token.end), label)
        .help(format!("start the line with {}", list_words(DECLARATIONS)))
}

/// A declaration that needs a body and has none.
pub(super) fn no_body(keyword: &str, name: &str, at: Span, found: Option<&str>) -> Diagnostic {
    let what = match keyword {
        "data" | "train" | "sweep" => format!("this {keyword} block has no body"),
        _ => format!("{keyword} `{name}` has no body"),
    };
    let diagnostic = Diagnostic::error(Code::E0023, what);
    match found {
        Some(found) => diagnostic
            .label(at, format!("expected `{{` here, found {found}"))
            .help("write the body in braces: `{ ... }`"),
        None => diagnostic
            .label(at, "expected `{` here")
            .help("write the body in braces, with its `{` on this line"),
    }
}

/// Text between a declaration's `}` and the end of its line.
pub(super) fn after_body(source: SourceId, text: &str, close: usize, at: usize) -> Diagnostic {
    let token = lexer::next(text, at);
    let (word, kind) = token.map_or(("", None), |t| (&text[t.start..t.end], Some(t.kind)));
    Diagnostic::error(
        Code::E0002,
        format!("{} after the end of a declaration", describe(kind, word)),
    )
    .label(
        Span::new(source, at, at + word.len()),
        "this is not part of a declaration",
    )
    .label(
        Span::new(source, close, close + 1),
        "the declaration ends here",
    )
    .help("start the next declaration on a line of its own")
}
