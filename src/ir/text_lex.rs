//! Tokens of the text form. White space separates and `#` starts a comment.

use std::fmt;

use super::text::is_word_char;

/// What is wrong with a text, and where; lines and columns count from 1, columns in characters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TextError {
    pub line: usize,
    pub column: usize,
    pub message: String,
}

impl std::error::Error for TextError {}

/// `3:14: expected a type, found `]``
impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Position {
    pub line: usize,
    pub column: usize,
}

impl Position {
    pub(super) fn error(self, message: impl Into<String>) -> TextError {
        TextError {
            line: self.line,
            column: self.column,
            message: message.into(),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Token {
    /// `%name`
    Value(String),
    Word(String),
    /// As it is written, without a sign.
    Number(String),
    Text(String),
    Mark(char),
    End,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Value(name) => write!(f, "`%{name}`"),
            Token::Word(text) | Token::Number(text) => write!(f, "`{text}`"),
            Token::Text(text) => write!(f, "{}", super::text::Quoted(text)),
            Token::Mark(c) => write!(f, "`{c}`"),
            Token::End => write!(f, "the end"),
        }
    }
}

/// The last one is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, Position)>, TextError> {
    let mut lexer = Lexer {
        rest: text.chars().collect::<Vec<_>>().into_iter().peekable(),
        at: Position { line: 1, column: 1 },
    };
    let mut tokens = Vec::new();
    loop {
        let (token, at) = lexer.token()?;
        let end = token == Token::End;
        tokens.push((token, at));
        if end {
            return Ok(tokens);
        }
    }
}

struct Lexer {
    rest: std::iter::Peekable<std::vec::IntoIter<char>>,
    at: Position,
}

impl Lexer {
    fn token(&mut self) -> Result<(Token, Position), TextError> {
        loop {
            match self.rest.peek() {
                Some('#') => while self.next_if(|c| c != '\n').is_some() {},
                Some(c) if c.is_whitespace() => drop(self.next()),
                _ => break,
            }
        }
        let at = self.at;
        let token = match self.next() {
            None => Token::End,
            Some('%') => match self.word(String::new()) {
                name if name.is_empty() => return Err(at.error("a value has no name after `%`")),
                name => Token::Value(name),
            },
            Some('"') => Token::Text(self.text(at)?),
            Some(c @ ('(' | ')' | '[' | ']' | '{' | '}' | ',' | ':' | '=' | '+' | '-' | '*')) => {
                Token::Mark(c)
            }
            Some(c) if c.is_ascii_digit() => Token::Number(self.number(c)),
            Some(c) if is_word_char(c) => Token::Word(self.word(c.into())),
            Some(c) => return Err(at.error(format!("unexpected `{}`", c.escape_debug()))),
        };
        Ok((token, at))
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        if c == '\n' {
            self.at.line += 1;
            self.at.column = 1;
        } else {
            self.at.column += 1;
        }
        Some(c)
    }

    fn next_if(&mut self, accept: impl Fn(char) -> bool) -> Option<char> {
        self.rest.peek().copied().filter(|c| accept(*c))?;
        self.next()
    }

    fn word(&mut self, mut word: String) -> String {
        while let Some(c) = self.next_if(is_word_char) {
            word.push(c);
        }
        word
    }

    /// Digits, a point and an exponent, in the way of Rust.
    fn number(&mut self, first: char) -> String {
        let mut number = String::from(first);
        while let Some(c) = self.next_if(|c| c.is_ascii_digit() || matches!(c, '.' | 'e')) {
            number.push(c);
            if c == 'e' {
                number.extend(self.next_if(|c| c == '-'));
            }
        }
        number
    }

    fn text(&mut self, start: Position) -> Result<String, TextError> {
        let mut text = String::new();
        loop {
            let at = self.at;
            match self.next() {
                None | Some('\n') => return Err(start.error("the string does not end")),
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape().ok_or_else(|| at.error("no such escape"))?),
                Some(c) => text.push(c),
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        match self.next()? {
            'n' => Some('\n'),
            c @ ('"' | '\\') => Some(c),
            'u' => {
                self.next_if(|c| c == '{')?;
                let mut digits = String::new();
                while let Some(c) = self.next_if(|c| c.is_ascii_hexdigit()) {
                    digits.push(c);
                }
                self.next_if(|c| c == '}')?;
                char::from_u32(u32::from_str_radix(&digits, 16).ok()?)
            }
            _ => None,
        }
    }
}
