//! Names that stand for nothing.

use std::sync::Arc;

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::library;
use crate::library::foreign::{Place, foreign};
use crate::span::Span;
use crate::syntax::ast::{DefKind, Ident};

use super::Elab;
use super::value::Val;
use super::world::Global;

impl Elab<'_> {
    /// `f` with the knowledge that a definition of this kind is looked for: what is unknown is
    /// compared with those.
    pub fn seeking<T>(&mut self, kind: Option<DefKind>, f: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.sought, kind);
        let result = f(self);
        self.sought = before;
        result
    }

    pub fn unknown_name(&mut self, n: &Ident) -> Val {
        let d = Diagnostic::error(Code::E0101, format!("unknown name `{}`", n.text))
            .label(n.span, "not declared anywhere");
        let d = self.with_proposal(d, n);
        self.diagnose(d)
    }

    /// What may have been meant, or what there is to choose from.
    fn with_proposal(&self, d: Diagnostic, n: &Ident) -> Diagnostic {
        if self.world.fit(&n.text).is_some() {
            return d.help(
                "fitted statistics are known in the data block alone; a model gets numbers through its inputs",
            );
        }
        if let Some(found) = foreign(&n.text, Place::Name) {
            let d = d.help(found.help);
            return match found.ours {
                Some(ours) => d.fix(n.span, ours),
                None => d,
            };
        }
        let local: Vec<String> = self.top().names().map(String::from).collect();
        let known = match self.sought {
            Some(kind) => self.names_of(kind, true),
            None => self.world.names(),
        };
        let all = local
            .iter()
            .map(String::as_str)
            .chain(known.iter().map(|k| &**k));
        if let Some(near) = did_you_mean(&n.text, all) {
            return d.help(format!("did you mean `{near}`?")).fix(n.span, near);
        }
        match self.sought {
            Some(kind) => d.note(self.choices(kind)),
            None => d,
        }
    }

    /// `the losses are: ...`
    pub fn choices(&self, kind: DefKind) -> String {
        let names = self.names_of(kind, false);
        let several = match kind {
            DefKind::Loss => "losses",
            DefKind::Metric => "metrics",
            DefKind::Optimizer => "optimizers",
            DefKind::Schedule => "schedules",
            DefKind::Initializer => "initializers",
            DefKind::Regularizer => "regularizers",
            DefKind::Constraint => "constraints",
            DefKind::Layer => "layers",
            DefKind::Fn => "functions",
        };
        format!("the {several} are: {}", names.join(", "))
    }

    /// The names that a definition of a kind may have; without `all` no aliases, and without
    /// what may stand for it (a loss is a metric, too).
    fn names_of(&self, kind: DefKind, all: bool) -> Vec<Arc<str>> {
        let is = |k: DefKind| k == kind || (all && kind == DefKind::Metric && k == DefKind::Loss);
        let own = self
            .world
            .globals
            .iter()
            .filter_map(|(name, (global, _))| match global {
                Global::Defs(defs) => defs.iter().any(|d| is(d.def.kind)).then(|| name.clone()),
                _ => None,
            });
        let library = library::names_of(
            |word| DefKind::ALL.iter().any(|k| k.keyword() == word && is(*k)),
            all,
        );
        let mut names: Vec<Arc<str>> = own.chain(library.into_iter().map(Arc::from)).collect();
        if kind == DefKind::Fn {
            names.extend(self.world.functions().map(Arc::from));
        }
        names.sort();
        names.dedup();
        names
    }

    /// A string, or a list of names or strings, where a name belongs: without the quotes and brackets.
    pub fn unquoted(&self, d: Diagnostic, v: &Val, kind: DefKind, span: Span) -> Diagnostic {
        match v {
            Val::Str(text) => {
                if let Some(found) = foreign(text, Place::Name) {
                    let d = d.help(format!("names have no quotes; {}", found.help));
                    return match found.ours {
                        Some(ours) => d.fix(span, ours),
                        None => d,
                    };
                }
                let known = self.names_of(kind, true);
                let names = || known.iter().map(|k| &**k);
                let same = names().find(|k| **k == **text);
                match same.or_else(|| did_you_mean(text, names())) {
                    Some(name) => d
                        .help(format!("write the name without quotes: `{name}`"))
                        .fix(span, name),
                    None => d.note(self.choices(kind)),
                }
            }
            Val::List(_) | Val::Error => {
                let text = self.source_text(span);
                let Some(items) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) else {
                    return d;
                };
                let names: Vec<&str> = items
                    .split(',')
                    .map(|i| i.trim().trim_matches(['"', '\'']))
                    .collect();
                let names = names.join(", ");
                d.help(format!("write the names without brackets: `{names}`"))
                    .fix(span, names)
            }
            _ => d,
        }
    }

    pub fn unknown_type(&mut self, word: &Ident) {
        let known = [
            "real", "int", "bool", "u8", "prob", "class", "token", "any", "float", "text", "list",
            "fn", "layer",
        ];
        let mut d = Diagnostic::error(Code::E0314, format!("unknown type `{}`", word.text))
            .label(word.span, "there is no such type");
        // Words of other languages.
        let meant = match &*word.text {
            "integer" | "int32" | "int64" | "i32" | "i64" => Some("int"),
            "f32" | "f64" | "float32" | "float64" | "double" | "number" => Some("real"),
            "str" | "string" => Some("text"),
            "boolean" => Some("bool"),
            "uint8" | "byte" => Some("u8"),
            _ => None,
        };
        if matches!(&*word.text, "class" | "token") {
            d = d.help(format!("write `{}[n]`, where n is their number", word.text));
        } else if let Some(meant) = meant {
            d = d
                .help(format!("replace it with `{meant}`"))
                .fix(word.span, meant);
        } else if matches!(
            &*word.text,
            "tensor" | "Tensor" | "vector" | "matrix" | "array"
        ) {
            d = d.help("write only the sizes for a tensor of numbers, as in `[B, n]`");
        } else if let Some(near) = did_you_mean(&word.text, known) {
            d = d
                .help(format!("did you mean `{near}`?"))
                .fix(word.span, near);
        }
        self.diagnose(d);
    }
}
