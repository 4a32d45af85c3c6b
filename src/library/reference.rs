//! What the library's docstrings say, for `nnc explain NAME` and docs/library.
//!
//! A docstring is prose, then a line `- \`name\`: meaning` for each argument (its continuation
//! is indented), then examples fenced as `nn`:
//!
//! ```text
//! ## `activation(x @ kernel + bias)` on the last axis.
//! ##
//! ## - `units`: size of the last axis of the output.
//! ##
//! ## ```nn
//! ## model M(x: [8]) -> [4] { x |> Dense(4, relu) }
//! ## ```
//! ```

use std::fmt::Write;
use std::sync::Arc;

use crate::span::SourceId;
use crate::syntax::ast::{Decl, DeclKind, Def, DefKind, ExprKind};
use crate::syntax::{self};

/// A definition of the library, as its file has it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// `library/core.nn`
    pub file: &'static str,
    pub def: Arc<Def>,
    pub aliases: Vec<String>,
    pub doc: Doc,
    /// Everything before the body: `layer Dense(...)(x: [.., n]) -> [.., units]`.
    pub signature: &'static str,
    /// Defaults as written, by parameter.
    pub defaults: Vec<(String, &'static str)>,
    /// The whole definition.
    pub source: &'static str,
}

/// A docstring in its parts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Doc {
    pub prose: String,
    /// Names and meanings.
    pub arguments: Vec<(String, String)>,
    pub examples: Vec<String>,
}

/// Every definition, in order of file and place.
pub fn entries() -> Vec<Entry> {
    (0..super::FILES.len()).flat_map(of_file).collect()
}

/// The definitions that `name` stands for.
pub fn find(name: &str) -> Vec<Entry> {
    let index = super::index();
    let parts = index.by_name.get(name).into_iter().flatten();
    let mut files: Vec<usize> = parts.map(|p| index.parts[*p].file).collect();
    files.dedup();
    let all = files.into_iter().flat_map(of_file);
    all.filter(|e| *e.def.name.text == *name || e.aliases.iter().any(|a| a == name))
        .collect()
}

/// What every optimizer takes: names with their defaults, and meanings.
fn common_arguments() -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for (part, _) in super::every_optimizer() {
        let part = super::index().parts[part];
        let name = part.text().lines().find_map(super::declared);
        let stages = of_file(part.file);
        let stage = stages.iter().find(|e| Some(&*e.def.name.text) == name);
        found.extend(stage.map(Entry::arguments).unwrap_or_default());
    }
    found
}

fn of_file(i: usize) -> Vec<Entry> {
    let (path, text) = super::FILES[i];
    let (file, _) = syntax::parse(SourceId(0), text);
    let entry = |decl: Decl| {
        let DeclKind::Def(def) = &decl.kind else {
            return None;
        };
        let head = decl.span.start as usize..def.body.span.start as usize;
        Some(Entry {
            file: path,
            aliases: aliases(&decl),
            doc: Doc::parse(&decl.doc),
            signature: text.get(head).unwrap_or_default().trim_end(),
            source: text.get(decl.span.range()).unwrap_or_default(),
            defaults: defaults(def, text),
            def: def.clone(),
        })
    };
    file.decls.into_iter().filter_map(entry).collect()
}

fn defaults(def: &Def, text: &'static str) -> Vec<(String, &'static str)> {
    let all = def.lists.iter().flatten();
    let written = all.filter_map(|p| Some((p, p.default.as_ref()?)));
    written
        .map(|(p, e)| {
            let value = text.get(e.span.range()).unwrap_or_default();
            (p.name.text.to_string(), value)
        })
        .collect()
}

/// The names in `@alias(...)`.
fn aliases(decl: &Decl) -> Vec<String> {
    let mut names = Vec::new();
    for a in decl.attributes.iter().filter(|a| &*a.name.text == "alias") {
        for arg in &a.args {
            if let ExprKind::Name(n) = &arg.value.kind {
                names.push(n.text.to_string());
            }
        }
    }
    names
}

impl Entry {
    /// Whether it is for users: a name that begins with `_` is a part of other definitions.
    pub fn public(&self) -> bool {
        !self.def.name.text.starts_with('_')
    }

    /// Documented arguments with their defaults, and what they mean.
    fn arguments(&self) -> Vec<(String, String)> {
        let named = |(name, meaning): &(String, String)| {
            let default = self.defaults.iter().find(|(n, _)| n == name);
            let name = match default {
                Some((_, value)) => format!("{name} = {value}"),
                None => name.clone(),
            };
            (name, meaning.clone())
        };
        self.doc.arguments.iter().map(named).collect()
    }
}

impl Doc {
    pub fn parse(text: &str) -> Doc {
        let mut doc = Doc::default();
        let mut prose: Vec<&str> = Vec::new();
        let mut example: Option<String> = None;
        for line in text.lines() {
            if let Some(inside) = &mut example {
                if line.trim() == "```" {
                    doc.examples.extend(example.take());
                } else {
                    inside.push_str(line);
                    inside.push('\n');
                }
            } else if line.trim() == "```nn" {
                example = Some(String::new());
            } else if let Some((name, meaning)) = argument(line) {
                doc.arguments.push((name.into(), meaning.into()));
            } else if line.starts_with("  ")
                && let Some((_, meaning)) = doc.arguments.last_mut()
            {
                meaning.push(' ');
                meaning.push_str(line.trim());
            } else {
                prose.push(line);
            }
        }
        doc.prose = prose.join("\n").trim().to_owned();
        doc
    }
}

/// ``- `name`: meaning``
fn argument(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("- `")?.split_once("`: ")
}

/// An entry as `nnc explain` prints it.
pub fn page(e: &Entry) -> String {
    let kind = e.def.kind.keyword();
    let mut page = format!("{kind} {}\n\n{}\n", e.def.name.text, e.doc.prose);
    if !e.aliases.is_empty() {
        let _ = write!(page, "\nAlias: {}.\n", e.aliases.join(", "));
    }
    let mut table = |title: &str, rows: &[(String, String)]| {
        let width = rows.iter().map(|(n, _)| n.chars().count()).max();
        let Some(width) = width else { return };
        let _ = write!(page, "\n{title}\n");
        for (name, meaning) in rows {
            let _ = writeln!(page, "  {name:width$}  {meaning}");
        }
    };
    table("Arguments", &e.arguments());
    if e.def.kind == DefKind::Optimizer {
        table("Arguments of all optimizers", &common_arguments());
    }
    for example in &e.doc.examples {
        page += "\nExample\n";
        for line in example.lines() {
            let _ = writeln!(page, "  {line}");
        }
    }
    let _ = write!(page, "\nDefinition ({})\n", e.file);
    for line in e.source.lines() {
        let _ = writeln!(page, "  {line}");
    }
    page
}

/// A library file as a page of docs/library; `text` is the file's.
pub fn markdown(file: &str, text: &str, entries: &[Entry]) -> String {
    let stem = file.trim_start_matches("library/").trim_end_matches(".nn");
    let mut out = format!("# {stem}\n\n");
    let intro = text.lines().take_while(|l| l.starts_with("# "));
    for line in intro {
        let _ = writeln!(out, "{}", &line[2..]);
    }
    let mut before = "";
    for e in entries.iter().filter(|e| e.file == file && e.public()) {
        let name = &*e.def.name.text;
        if name != before {
            let _ = write!(out, "\n## {name}\n");
        }
        before = name;
        let _ = write!(out, "\n```nn\n{}\n```\n", e.signature);
        let _ = write!(out, "\n{}\n", e.doc.prose);
        if !e.aliases.is_empty() {
            let names: Vec<String> = e.aliases.iter().map(|a| format!("`{a}`")).collect();
            let _ = write!(out, "\nAlias: {}.\n", names.join(", "));
        }
        if !e.doc.arguments.is_empty() {
            out.push('\n');
            for (name, meaning) in &e.doc.arguments {
                let _ = writeln!(out, "- `{name}`: {meaning}");
            }
        }
        for example in &e.doc.examples {
            let _ = write!(out, "\nExample:\n\n```nn\n{example}```\n");
        }
    }
    out
}
