//! The tokens of nn, one at a time: for [`super::layout`], which walks a whole
//! file, and for [`super::explain`], which looks around a mistake.

/// What a token is; its text says which.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Word,
    Number,
    String {
        closed: bool,
    },
    /// `'text'`, or `'` to the end of the line.
    SingleQuoted,
    Symbol,
    Newline,
    /// `# ...`; also `// ...` and `/* ... */`, which are none.
    Comment,
    /// Characters that no token begins with.
    Stray,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Token {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
}

/// Longest first.
const SYMBOLS: &[&str] = &[
    "...", "|>", "->", "=>", "..", "==", "!=", "<=", ">=", "+=", "-=", "*=", "/=", "**", "&&",
    "||", ":=", "++",
];

/// The first token at or after `at`, blanks skipped.
pub(super) fn next(text: &str, at: usize) -> Option<Token> {
    let bytes = text.as_bytes();
    let mut start = at;
    while matches!(bytes.get(start), Some(b' ' | b'\t' | b'\r')) {
        start += 1;
    }
    let token = |kind, end| Some(Token { kind, start, end });
    let line_end = || memchr_newline(bytes, start);
    match *bytes.get(start)? {
        b'\n' => token(Kind::Newline, start + 1),
        b'#' => token(Kind::Comment, line_end()),
        b'/' if bytes.get(start + 1) == Some(&b'/') => token(Kind::Comment, line_end()),
        b'/' if bytes.get(start + 1) == Some(&b'*') => {
            // To its `*/` on this line; the rest of a longer one shows up as stray text.
            let end = line_end();
            let close = text[start..end].find("*/").map_or(end, |i| start + i + 2);
            token(Kind::Comment, close)
        }
        b'"' => {
            let mut i = start + 1;
            loop {
                match bytes.get(i) {
                    Some(b'"') => return token(Kind::String { closed: true }, i + 1),
                    Some(b'\\') if !matches!(bytes.get(i + 1), None | Some(b'\n')) => i += 2,
                    None | Some(b'\n') => {
                        return token(Kind::String { closed: false }, floor(text, i));
                    }
                    Some(_) => i += 1,
                }
            }
        }
        b'\'' => {
            let close = bytes[start + 1..]
                .iter()
                .position(|b| matches!(b, b'\'' | b'\n'))
                .map_or(bytes.len(), |i| start + 1 + i);
            let closed = bytes.get(close) == Some(&b'\'');
            token(Kind::SingleQuoted, close + usize::from(closed))
        }
        b'0'..=b'9' => token(Kind::Number, number_end(bytes, start)),
        b if b.is_ascii_alphabetic() || b == b'_' => token(Kind::Word, word_end(bytes, start)),
        b if b.is_ascii_punctuation() && !matches!(b, b'$' | b'?' | b'`' | b'~' | b'\\') => {
            let long = SYMBOLS
                .iter()
                .find(|s| bytes[start..].starts_with(s.as_bytes()));
            token(Kind::Symbol, start + long.map_or(1, |s| s.len()))
        }
        _ => {
            let end = text[start..]
                .char_indices()
                .find(|(_, c)| c.is_ascii() && !is_stray(*c))
                .map_or(text.len(), |(i, _)| start + i);
            token(Kind::Stray, end)
        }
    }
}

/// Whether the `%` at `at` belongs to the number before it: `64%`, but not `7 % 2` or `7%n`.
pub(super) fn is_percent(text: &str, at: usize) -> bool {
    let bytes = text.as_bytes();
    let digit_before = at > 0 && bytes[at - 1].is_ascii_digit() && {
        let word = bytes[..at]
            .iter()
            .rposition(|b| !b.is_ascii_alphanumeric() && *b != b'_')
            .map_or(0, |i| i + 1);
        bytes[word].is_ascii_digit()
    };
    let after = bytes[at + 1..].iter().find(|b| !matches!(b, b' ' | b'\t'));
    digit_before
        && !after.is_some_and(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'_' | b'(' | b'[' | b'"' | b'.')
        })
}

/// The plain character that this one is taken for.
pub(super) fn look_alike(c: char) -> Option<(&'static str, &'static str)> {
    Some(match c {
        '\u{a0}' => ("a no-break space", " "),
        '\u{feff}' | '\u{200b}' => ("an invisible character", ""),
        '“' | '”' | '„' | '«' | '»' => ("a typographic quote", "\""),
        '‘' | '’' => ("a typographic quote", "\""),
        '–' | '—' | '−' => ("a typographic dash", "-"),
        '×' | '·' => ("a multiplication sign", "*"),
        '÷' => ("a division sign", "/"),
        '→' => ("an arrow", "->"),
        '…' => ("an ellipsis", ".."),
        '≤' => ("a comparison sign", "<="),
        '≥' => ("a comparison sign", ">="),
        '≠' => ("a comparison sign", "!="),
        '（' => ("a wide bracket", "("),
        '）' => ("a wide bracket", ")"),
        '，' => ("a wide comma", ","),
        '：' => ("a wide colon", ":"),
        _ => return None,
    })
}

fn is_stray(c: char) -> bool {
    matches!(c, '$' | '?' | '`' | '~' | '\\')
        || (c.is_ascii_control() && !matches!(c, '\n' | '\r' | '\t'))
}

fn word_end(bytes: &[u8], start: usize) -> usize {
    let len = bytes[start..]
        .iter()
        .take_while(|b| b.is_ascii_alphanumeric() || **b == b'_')
        .count();
    start + len
}

/// Letters glued to the digits are part of the token: it is then malformed.
fn number_end(bytes: &[u8], start: usize) -> usize {
    let mut end = word_end(bytes, start);
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        end = word_end(bytes, end + 1);
    }
    let exponent = matches!(bytes[end - 1], b'e' | b'E') && !bytes[start..end].starts_with(b"0x");
    let sign = matches!(bytes.get(end), Some(b'+' | b'-'));
    if exponent && sign && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        end = word_end(bytes, end + 1);
    }
    end
}

fn memchr_newline(bytes: &[u8], start: usize) -> usize {
    bytes[start..]
        .iter()
        .position(|b| *b == b'\n')
        .map_or(bytes.len(), |i| start + i)
}

/// The nearest character boundary at or below `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
