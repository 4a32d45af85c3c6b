//! Diagnostics: data, not prose. A [`Diagnostic`] has a stable code, a message,
//! the place of the fault and of its cause, and where it can, the edit that
//! fixes it. `render` shows them to people, `json` to programs; `codes` lists
//! every code with its page for `nnc explain`.

mod codes;
pub mod json;
pub mod render;

pub use codes::Code;

use crate::span::Span;

#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
}

/// One mistake.
#[derive(Clone, PartialEq, Debug)]
pub struct Diagnostic {
    /// `E0203`; one of [`Code`].
    pub code: Code,
    pub severity: Severity,
    /// One sentence, lower case, no full stop.
    pub message: String,
    /// The place of the fault comes first.
    pub labels: Vec<Label>,
    /// What to do about it, a sentence.
    pub help: Option<String>,
    /// Background: rules, the definition that was violated.
    pub notes: Vec<String>,
    pub fix: Option<Fix>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Label {
    pub span: Span,
    pub text: String,
}

/// An edit that fixes the program: replace the text at `span`.
#[derive(Clone, PartialEq, Debug)]
pub struct Fix {
    pub span: Span,
    pub replacement: String,
}

impl Diagnostic {
    pub fn error(code: Code, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code,
            severity: Severity::Error,
            message: message.into(),
            labels: Vec::new(),
            help: None,
            notes: Vec::new(),
            fix: None,
        }
    }
    pub fn warning(code: Code, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Warning,
            ..Diagnostic::error(code, message)
        }
    }
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.labels.push(Label {
            span,
            text: text.into(),
        });
        self
    }
    pub fn help(mut self, text: impl Into<String>) -> Diagnostic {
        self.help = Some(text.into());
        self
    }
    pub fn note(mut self, text: impl Into<String>) -> Diagnostic {
        self.notes.push(text.into());
        self
    }
    pub fn fix(mut self, span: Span, replacement: impl Into<String>) -> Diagnostic {
        self.fix = Some(Fix {
            span,
            replacement: replacement.into(),
        });
        self
    }
    /// Where the fault is, if it has a place.
    pub fn span(&self) -> Option<Span> {
        self.labels.first().map(|l| l.span)
    }
}

/// The known name nearest to `name`, near enough to be a typo.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(name);
    known
        .into_iter()
        .map(|k| {
            (
                if fold(k) == folded {
                    2.0
                } else {
                    strsim::jaro_winkler(name, k)
                },
                k,
            )
        })
        .filter(|(score, k)| {
            *score > 1.0
                || *score > 0.88
                || strsim::damerau_levenshtein(name, k) <= if name.len() > 4 { 2 } else { 1 }
        })
        // of equally near names the first in the alphabet, whatever the order they come in
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, k)| k)
}

/// Case and underscores aside: `MaxPool2d` is `max_pool_2d` is `MaxPool2D`.
fn fold(name: &str) -> String {
    name.chars()
        .filter(|c| *c != '_')
        .flat_map(char::to_lowercase)
        .collect()
}
