//! The standard library, written in nn and embedded in the compiler.
//!
//! Files are parsed when a name in them is first needed: the index below is
//! made from the lines that begin a definition, without parsing.

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
    "convolution"
    "core"
    "crossentropies"
    "dropout"
    "embedding_losses"
    "functions"
    "initializers"
    "losses"
    "merging"
    "metrics"
    "normalization"
    "optimizers"
    "pooling"
    "recurrent"
    "regularizers"
    "resizing"
    "schedules"
    "shaping"
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

/// Files (indices of [`FILES`]) that define each name or alias.
pub fn index() -> &'static HashMap<&'static str, Vec<usize>> {
    static INDEX: OnceLock<HashMap<&'static str, Vec<usize>>> = OnceLock::new();
    INDEX.get_or_init(|| {
        let mut index: HashMap<&'static str, Vec<usize>> = HashMap::new();
        for (i, (_, text)) in FILES.iter().enumerate() {
            for name in text.lines().filter_map(declared) {
                let files = index.entry(name).or_default();
                if !files.contains(&i) {
                    files.push(i);
                }
            }
        }
        index
    })
}

/// Every name the library defines, for suggestions, documentation and editors. Those that begin
/// with an underscore are shared parts of definitions, of use to the library alone.
pub fn names() -> impl Iterator<Item = &'static str> {
    let names = index().keys().copied();
    names.filter(|n| !n.starts_with('_'))
}

/// The definition that carries `@mends(KEY)`: what a diagnostic about KEY proposes.
pub fn mending(key: &str) -> Option<&'static str> {
    mendings(key).next()
}

/// Every definition that carries `@mends(KEY)`.
pub fn mendings(key: &str) -> impl Iterator<Item = &'static str> {
    FILES.iter().flat_map(move |(_, text)| {
        let mut lines = text.lines();
        std::iter::from_fn(move || {
            lines.find(|l| {
                l.strip_prefix("@mends(").and_then(|l| l.strip_suffix(')')) == Some(key)
            })?;
            lines.find_map(|l| declared(l).filter(|_| !l.starts_with('@')))
        })
    })
}

/// `@direction(up)` or `@direction(down)` of a metric: which of its values are better.
pub fn direction(metric: &str) -> Option<&'static str> {
    let &file = index().get(metric)?.first()?;
    let mut found = None;
    for line in FILES[file].1.lines() {
        if let Some(up) = line.strip_prefix("@direction(") {
            found = up.strip_suffix(')');
        } else if let Some(name) = declared(line).filter(|_| !line.starts_with('@')) {
            if name == metric && found.is_some() {
                return found;
            }
            found = None;
        }
    }
    None
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
