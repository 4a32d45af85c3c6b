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

/// Whether a fix, which was tried, needs no one to look at it: it changes how something is written
/// (syntax, quotes, the spelling of a name), not what the program computes. A name that is only
/// similar is a guess, unless it differs by a single slip.
pub fn is_certain(diagnostic: &Diagnostic, text: &str) -> bool {
    let spelling = matches!(
        diagnostic.code,
        Code::E0101
            | Code::E0103
            | Code::E0104
            | Code::E0108
            | Code::E0301
            | Code::E0313
            | Code::E0314
    );
    let Some(fix) = diagnostic
        .fix
        .as_ref()
        .filter(|_| spelling || diagnostic.code.is_of_syntax())
    else {
        return false;
    };
    let help = diagnostic.help.as_deref().unwrap_or("");
    if !help.starts_with("did you mean") {
        return true;
    }
    let (from, to) = (fold(&text[fix.span.range()]), fold(&fix.replacement));
    from == to || (from.len() > 4 && strsim::damerau_levenshtein(&from, &to) == 1)
}

/// The known name nearest to `name`, near enough to be a typo of it: never itself, and of a
/// short name not one with another letter in it (`acc` is not `auc`, `f1` is not `l1`).
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(name);
    known
        .into_iter()
        .filter(|k| *k != name)
        .map(|k| (likeness(name, &folded, k), k))
        .filter(|(score, _)| *score > 0.0)
        // of equally near names the first in the alphabet, whatever the order they come in
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, k)| k)
}

/// 0 where `known` is too far from the name.
fn likeness(name: &str, folded: &str, known: &str) -> f64 {
    let other = fold(known);
    if other == folded {
        return 2.0;
    }
    let score = strsim::jaro_winkler(name, known);
    let edits = strsim::damerau_levenshtein(folded, &other);
    let near = match folded.len() {
        0..=2 => false,
        // a letter lost, added or out of its place; not one for another
        3 => edits == 1 && (folded.len() != other.len() || same_letters(folded, &other)),
        4 => edits == 1,
        _ => edits <= 2 || score > 0.88,
    };
    if near { score } else { 0.0 }
}

fn same_letters(a: &str, b: &str) -> bool {
    let sorted = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    sorted(a) == sorted(b)
}

/// Whether two names differ by case and underscores alone.
pub fn same_word(a: &str, b: &str) -> bool {
    fold(a) == fold(b)
}

/// Case and underscores aside: `MaxPool2d` is `max_pool_2d` is `MaxPool2D`.
fn fold(name: &str) -> String {
    name.chars()
        .filter(|c| *c != '_')
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

    #[test]
    fn only_near_names_are_proposed() {
        let near = |name, known: &'static [&'static str]| did_you_mean(name, known.iter().copied());
        assert_eq!(near("Desne", &["Dense", "Dot"]), Some("Dense"));
        assert_eq!(near("rleu", &["relu", "elu", "selu"]), Some("relu"));
        assert_eq!(near("dense", &["Dense"]), Some("Dense"));
        assert_eq!(near("adm", &["Adam"]), Some("Adam"));
        assert_eq!(
            near("MaxPool2d", &["MaxPool2D", "MaxPool1D"]),
            Some("MaxPool2D")
        );
        for (name, known) in [("f1", "l1"), ("acc", "auc"), ("s", "s"), ("x", "y")] {
            assert_eq!(did_you_mean(name, [known]), None, "{name}");
        }
    }
}
