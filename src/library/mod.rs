//! The standard library, written in nn and embedded in the compiler.
//!
//! A definition is parsed when its name is first needed: the index below is
//! made from the lines that begin a definition, without parsing.

pub mod foreign;
pub mod reference;

use std::collections::HashMap;
use std::sync::OnceLock;

/// The path that messages show, and the text, of each file named.
macro_rules! files {
    ($($name:literal)*) => {
        &[$((concat!("library/", $name, ".nn"), include_str!(concat!($name, ".nn")))),*]
    };
}

/// Name and text of every library file.
#[rustfmt::skip]
pub const FILES: &[(&str, &str)] = files! {
    "activations"
    "alignment"
    "attention"
    "confusion"
    "constraints"
    "conv_recurrent"
    "convolution"
    "core"
    "crossentropies"
    "curves"
    "dropout"
    "embedding_losses"
    "f_scores"
    "functions"
    "images"
    "initializers"
    "losses"
    "masking"
    "merging"
    "metrics"
    "mixing"
    "normalization"
    "optimizers"
    "pooling"
    "ranks"
    "recurrent"
    "regularizers"
    "resizing"
    "schedules"
    "shaping"
    "transforms"
    "wrappers"
    "transposed"
};

const KEYWORDS: &[&str] = &[
    "layer",
    "fn",
    "loss",
    "metric",
    "optimizer",
    "schedule",
    "initializer",
    "regularizer",
    "constraint",
];

/// A definition's text in its file: its attributes, head and body, without the docstring.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Index in [`FILES`].
    pub file: usize,
    start: usize,
    end: usize,
}

impl Part {
    pub fn text(&self) -> &'static str {
        &FILES[self.file].1[self.start..self.end]
    }
}

/// Every definition in order of file and place, and those (as indices) that carry each name or alias.
pub struct Index {
    pub parts: Vec<Part>,
    pub by_name: HashMap<&'static str, Vec<usize>>,
}

/// Made once, from the lines that begin a definition.
pub fn index() -> &'static Index {
    static INDEX: OnceLock<Index> = OnceLock::new();
    INDEX.get_or_init(|| {
        let mut index = Index {
            parts: Vec::new(),
            by_name: HashMap::new(),
        };
        for (file, (_, text)) in FILES.iter().enumerate() {
            index.add(file, text);
        }
        index
    })
}

impl Index {
    fn add(&mut self, file: usize, text: &'static str) {
        // Inside a definition every line is indented, empty, or closes a bracket.
        let (mut at, mut open): (usize, Option<usize>) = (0, None);
        // Whether the open part has had its keyword yet, or only attributes.
        let mut headed = false;
        for line in text.split_inclusive('\n') {
            let starts = line.starts_with(|c: char| c == '#' || c == '@' || c.is_alphabetic());
            if starts && (headed || line.starts_with('#')) {
                self.close(file, open.take(), at);
                headed = false;
            }
            if let Some(name) = declared(line) {
                open.get_or_insert(at);
                let parts = self.by_name.entry(name).or_default();
                if parts.last() != Some(&self.parts.len()) {
                    parts.push(self.parts.len());
                }
            } else if line.starts_with('@') {
                open.get_or_insert(at);
            }
            headed |= starts && !line.starts_with(['#', '@']);
            at += line.len();
        }
        self.close(file, open, at);
    }

    fn close(&mut self, file: usize, start: Option<usize>, end: usize) {
        if let Some(start) = start {
            self.parts.push(Part { file, start, end });
        }
    }
}

/// Every name the library defines, for suggestions, documentation and editors. Those that begin
/// with an underscore are shared parts of definitions, of use to the library alone.
pub fn names() -> impl Iterator<Item = &'static str> {
    let names = index().by_name.keys().copied();
    names.filter(|n| !n.starts_with('_'))
}

/// The names of definitions whose keyword is `of`, sorted; `aliases` too.
pub fn names_of(of: impl Fn(&str) -> bool, aliases: bool) -> Vec<&'static str> {
    let mut names: Vec<&str> = (index().parts.iter())
        .filter(|part| {
            let head = part.text().lines().find(|l| !l.starts_with('@'));
            head.and_then(|l| l.split_once(' '))
                .is_some_and(|(word, _)| of(word))
        })
        .flat_map(|part| part.text().lines().filter_map(declared_at_margin))
        .filter(|(name, alias)| !name.starts_with('_') && (aliases || !alias))
        .map(|(name, _)| name)
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The name that a line declares, and whether it is an alias.
fn declared_at_margin(line: &'static str) -> Option<(&'static str, bool)> {
    declared(line).map(|name| (name, line.starts_with('@')))
}

/// The definition that carries `@fixes(KEY)`: what a diagnostic about KEY proposes.
pub fn proposal(key: &str) -> Option<&'static str> {
    proposals(key).next()
}

/// Every definition that carries `@fixes(KEY)`.
pub fn proposals(key: &str) -> impl Iterator<Item = &'static str> {
    FILES.iter().flat_map(move |(_, text)| {
        let mut lines = text.lines();
        std::iter::from_fn(move || {
            lines.find(|l| {
                l.strip_prefix("@fixes(").and_then(|l| l.strip_suffix(')')) == Some(key)
            })?;
            lines.find_map(|l| declared(l).filter(|_| !l.starts_with('@')))
        })
    })
}

/// The definitions (as indices of parts) that carry `@every_optimizer(WHAT)`, with that word.
pub fn every_optimizer() -> impl Iterator<Item = (usize, &'static str)> {
    index().parts.iter().enumerate().filter_map(|(i, part)| {
        let first = part.text().lines().next()?;
        Some((
            i,
            first.strip_prefix("@every_optimizer(")?.strip_suffix(')')?,
        ))
    })
}

/// `@direction(up)` or `@direction(down)` of a metric: which of its values are better.
pub fn direction(metric: &str) -> Option<&'static str> {
    let parts = index().by_name.get(metric)?;
    let mut lines = parts.iter().flat_map(|&i| index().parts[i].text().lines());
    lines.find_map(|l| l.strip_prefix("@direction(")?.strip_suffix(')'))
}

/// The values of a parameter that are in use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usual {
    pub low: f64,
    pub high: f64,
    /// What the parameter is.
    pub what: &'static str,
}

/// `@usual(PARAMETER, LOW, HIGH, "WHAT")` of a definition.
pub fn usual(definition: &str, parameter: &str) -> Option<Usual> {
    let parts = index().by_name.get(definition).into_iter().flatten();
    let mut lines = parts.flat_map(|&i| {
        let lines = index().parts[i].text().lines();
        lines.take_while(|l| l.starts_with('@'))
    });
    lines.find_map(|l| {
        let args = l.strip_prefix("@usual(")?.strip_suffix("\")")?;
        let (numbers, what) = args.split_once(", \"")?;
        let mut parts = numbers.split(", ");
        parts.next().filter(|name| *name == parameter)?;
        let mut number = || parts.next()?.parse().ok();
        Some(Usual {
            low: number()?,
            high: number()?,
            what,
        })
    })
}

/// Whether a loss carries `@aligns(labels)`: labels of a row, each for one step or several, with a
/// blank (class 0) between equal neighbours.
pub fn aligns(loss: &str) -> bool {
    let parts = index().by_name.get(loss).into_iter().flatten();
    let mut lines = parts.flat_map(|&i| index().parts[i].text().lines());
    lines.any(|l| l == "@aligns(labels)")
}

/// `@target(LOW, HIGH)` of a loss: the numbers that it takes as a target.
pub fn target(loss: &str) -> Option<(f64, f64)> {
    let parts = index().by_name.get(loss)?;
    let mut lines = parts.iter().flat_map(|&i| index().parts[i].text().lines());
    let ends = lines.find_map(|l| l.strip_prefix("@target(")?.strip_suffix(')'))?;
    let (low, high) = ends.split_once(", ")?;
    Some((low.parse().ok()?, high.parse().ok()?))
}

/// The name that a line of library text declares: `layer Dense(` or `@alias(mse)`.
fn declared(line: &'static str) -> Option<&'static str> {
    if let Some(alias) = line.strip_prefix("@alias(") {
        return alias.split(')').next();
    }
    let (keyword, rest) = line.split_once(' ')?;
    let end = rest
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    KEYWORDS.contains(&keyword).then(|| &rest[..end])
}
