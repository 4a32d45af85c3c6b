//! Reads the arguments of a call for whoever declares its name.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::diag::{Code, Diagnostic};
use crate::ir::{Dim, Graph};
use crate::span::Span;
use crate::spec::call::Arguments;
use crate::spec::callbacks::{Frequency, MONITORING, Monitor};
use crate::spec::names;
use crate::spec::pattern::Pattern;
use crate::syntax::ast::{DefKind, ExprKind};

use super::Reported;
use super::args::CallArguments;
use crate::check::elab::Elab;
use crate::check::elab::value::{Val, float};

/// The arguments of one call in a train block.
pub(crate) struct Reader<'r, 'a, 'w> {
    pub elab: &'r mut Elab<'w>,
    pub call: &'r CallArguments<'a>,
    pub run: &'r Reported,
}

impl Reader<'_, '_, '_> {
    /// The value of an argument if it is given, and its place.
    fn value(&mut self, name: &str) -> Option<(Val, Span)> {
        let e = self.call.get(name)?;
        Some((self.elab.eval(e), e.span))
    }

    /// The place of an argument, or of the call.
    fn place(&self, name: &str) -> Span {
        self.call.get(name).map_or(self.call.span, |e| e.span)
    }

    fn bad_value<T>(&mut self, rule: &str, at: Span, found: &str) -> Option<T> {
        self.elab.bad_value(self.call.bad_value, rule, at, found)
    }

    pub(crate) fn missing<T>(&mut self, name: &str, example: &str) -> Option<T> {
        let message = format!("`{}` needs `{name}`", self.call.name);
        let d = Diagnostic::error(Code::E0106, message)
            .label(self.call.span, "missing argument")
            .help(format!("write `{example}`"));
        self.elab.diagnose(d);
        None
    }

    /// An address that must be given.
    pub(crate) fn given_url(&mut self, name: &str) -> Option<String> {
        if self.call.get(name).is_none() {
            let example = format!("{}(\"http://localhost:9000\", ..)", self.call.name);
            return self.missing(name, &example);
        }
        let text = self.text(name, "")?;
        let rest = (text.strip_prefix("http://")).or_else(|| text.strip_prefix("https://"));
        let plain = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_graphic());
        if rest.is_some_and(plain) {
            return Some(text);
        }
        let rule = format!("`{name}` must be a URL that starts with `http://` or `https://`");
        self.bad_value(&rule, self.place(name), &format!("\"{text}\""))
    }
}

impl Arguments for Reader<'_, '_, '_> {
    fn is_given(&self, name: &str) -> bool {
        self.call.get(name).is_some()
    }

    fn flag(&mut self, name: &str, default: bool) -> Option<bool> {
        match self.value(name) {
            None => Some(default),
            Some((Val::Bool(b), _)) => Some(b),
            Some((Val::Error, _)) => None,
            Some((v, at)) => self.bad_value(
                &format!("`{name}` must be true or false"),
                at,
                &v.describe(),
            ),
        }
    }

    fn verbose(&mut self) -> Option<bool> {
        match self.value("verbose") {
            None => Some(false),
            Some((Val::Bool(b), _)) => Some(b),
            Some((Val::Int(d), _)) if matches!(d.as_const(), Some(0 | 1)) => {
                Some(d.as_const() == Some(1))
            }
            Some((Val::Error, _)) => None,
            Some((v, at)) => self.bad_value("`verbose` must be 0 or 1", at, &v.describe()),
        }
    }

    fn count(&mut self, name: &str, default: u32) -> Option<u32> {
        match self.value(name) {
            None => Some(default),
            Some((Val::Int(Dim::Const(n)), _)) if (0..=1 << 31).contains(&n) => Some(n as u32),
            Some((Val::Error, _)) => None,
            Some((v, at)) => {
                let rule = format!("`{name}` must be an integer from 0");
                self.bad_value(&rule, at, &v.describe())
            }
        }
    }

    fn whole_number(
        &mut self,
        name: &str,
        default: usize,
        range: RangeInclusive<i64>,
    ) -> Option<usize> {
        match self.value(name) {
            None => Some(default),
            Some((Val::Int(Dim::Const(n)), _)) if range.contains(&n) => Some(n as usize),
            Some((Val::Error, _)) => None,
            Some((v, at)) => {
                let (least, most) = range.into_inner();
                let rule = format!("`{name}` must be an integer from {least} to {most}");
                self.bad_value(&rule, at, &v.describe())
            }
        }
    }

    fn number(&mut self, name: &str, default: f64) -> Option<f64> {
        match self.value(name) {
            None => Some(default),
            Some((Val::Error, _)) => None,
            Some((v, at)) => match float(&v) {
                Some(x) => Some(x),
                None => self.bad_value(&format!("`{name}` must be a number"), at, &v.describe()),
            },
        }
    }

    fn number_or_none(&mut self, name: &str) -> Option<Option<f64>> {
        match self.call.get(name).map(|e| &e.kind) {
            None | Some(ExprKind::None) => Some(None),
            Some(_) => self.number(name, 0.0).map(Some),
        }
    }

    fn text(&mut self, name: &str, default: &str) -> Option<String> {
        match self.value(name) {
            None => Some(default.into()),
            Some((Val::Str(s), _)) => Some(s.to_string()),
            Some((Val::Error, _)) => None,
            Some((v, at)) => self.bad_value(
                &format!("`{name}` must be a string in quotes"),
                at,
                &v.describe(),
            ),
        }
    }

    fn texts(&mut self, name: &str, form: &str, fits: fn(&str) -> bool) -> Option<Vec<String>> {
        let mut texts = Vec::new();
        let items = match self.call.get(name).map(|e| (&e.kind, e.span)) {
            None | Some((ExprKind::None, _)) => return Some(texts),
            Some((ExprKind::List(items), _)) => items,
            Some((_, at)) => return self.bad_value(form, at, "not a list"),
        };
        for item in items {
            match self.elab.eval(item) {
                Val::Str(text) if fits(&text) => texts.push(text.to_string()),
                Val::Str(text) => return self.bad_value(form, item.span, &format!("\"{text}\"")),
                Val::Error => return None,
                v => return self.bad_value(form, item.span, &v.describe()),
            }
        }
        Some(texts)
    }

    fn character(&mut self, name: &str, default: u8) -> Option<u8> {
        match self.value(name) {
            None => Some(default),
            Some((Val::Str(s), _)) if s.len() == 1 && !s.contains(['"', '\n', '\r']) => {
                Some(s.as_bytes()[0])
            }
            Some((Val::Error, _)) => None,
            Some((v, at)) => self.bad_value(
                &format!("`{name}` must be one character"),
                at,
                &v.describe(),
            ),
        }
    }

    fn word(&mut self, name: &str, words: &[&str]) -> Option<usize> {
        let Some(e) = self.call.get(name) else {
            return Some(0);
        };
        let known = match &e.kind {
            ExprKind::Name(n) => words.iter().position(|w| *w == &*n.text),
            _ => None,
        };
        if known.is_none() {
            let words: Vec<String> = words.iter().map(|w| format!("`{w}`")).collect();
            let message = format!("`{name}` must be {}", words.join(" or "));
            let code = self.call.bad_value;
            self.elab
                .error(code, e.span, message, format!("invalid {name}"));
        }
        known
    }

    fn url(&mut self, name: &str, default: &str) -> Option<String> {
        match self.is_given(name) {
            true => self.given_url(name),
            false => Some(default.into()),
        }
    }

    fn path(&mut self, name: &str, default: Option<&str>) -> Option<String> {
        match (self.value(name), default) {
            (None, Some(default)) => Some(default.into()),
            (None, None) => {
                let example = format!("{}(\"name\")", self.call.name);
                self.missing(name, &example)
            }
            (Some((Val::Str(path), at)), _) => self.elab.below_the_run(&path, at),
            (Some((Val::Error, _)), _) => None,
            (Some((v, at)), _) => {
                self.bad_value("a path must be a string in quotes", at, &v.describe())
            }
        }
    }

    fn weights_path(
        &mut self,
        name: &str,
        text: &str,
        counts: &[&str],
        each_step: bool,
    ) -> Option<Pattern> {
        let at = self.place(name);
        let path = match Pattern::parse(text) {
            Ok(path) => path,
            Err(reason) => return self.elab.bad_path(at, &format!("{reason}, in \"{text}\"")),
        };
        if !text.ends_with(".safetensors") {
            return self
                .elab
                .bad_path(at, "its name must end in `.safetensors`");
        }
        match (self.elab).fillable(&path, at, self.run, counts, each_step) {
            Ok(()) => Some(path),
            Err(reason) => self.elab.bad_path(at, &reason?),
        }
    }

    fn frequency(&mut self, name: &str, words: &[(&str, Frequency)]) -> Option<Frequency> {
        let Some(e) = self.call.get(name) else {
            return Some(Frequency::Epoch);
        };
        if let ExprKind::Name(n) = &e.kind
            && let Some((_, frequency)) = words.iter().find(|(w, _)| *w == &*n.text)
        {
            return Some(*frequency);
        }
        match self.elab.eval(e) {
            Val::Int(Dim::Const(n)) if (1..=1 << 31).contains(&n) => {
                Some(Frequency::Steps(n as u32))
            }
            Val::Error => None,
            v => {
                let rule = format!("`{name}` must be `epoch` or a number of steps");
                self.bad_value(&rule, e.span, &v.describe())
            }
        }
    }

    fn monitor(&mut self, each_step: bool) -> Option<Monitor> {
        let (name, at): (Arc<str>, Span) = match self.call.get(MONITORING) {
            None => (names::validation(names::LOSS).into(), self.call.span),
            Some(e) => match &e.kind {
                ExprKind::Name(n) => (n.text.clone(), n.span),
                ExprKind::Str(s) => {
                    let d = Diagnostic::error(Code::E0616, "a metric is written without quotes")
                        .label(e.span, "this is a string")
                        .fix(e.span, s.clone());
                    self.elab.diagnose(d);
                    return None;
                }
                _ => {
                    return self.bad_value(
                        "`monitor` must be the name of a metric",
                        e.span,
                        "something else",
                    );
                }
            },
        };
        if !self.elab.reported(self.run, &name, each_step, at) {
            return None;
        }
        let mode = self.call.get("mode");
        let better = self.elab.better(self.run, &name, mode, at)?;
        Some(Monitor {
            name: name.to_string(),
            better,
        })
    }

    fn needs_settable_rate(&mut self) -> Option<()> {
        let at = self.call.span;
        let d = Diagnostic::error(
            Code::E0617,
            format!("`{}` cannot change this learning rate", self.call.name),
        );
        let d = match self.run.scheduled {
            Some(schedule) => d
                .label(at, "this would set the optimizer's `lr`")
                .label(schedule, "but a schedule already sets it")
                .help("give the optimizer a number instead of a schedule, or remove the callback"),
            None if self.run.adjustable => return Some(()),
            None => d
                .label(at, "this would set the optimizer's `lr`")
                .note("the optimizer has no argument `lr`"),
        };
        self.elab.diagnose(d);
        None
    }

    fn schedule(&mut self, name: &str, example: &str) -> Option<Graph> {
        let Some((v, at)) = self.value(name) else {
            return self.missing(name, example);
        };
        let schedule = self.elab.of_kind(v, DefKind::Schedule, at)?;
        self.elab.schedule_graph(&schedule, at)
    }

    fn refuse(&mut self, name: &str, rule: &str, found: &str) {
        let at = self.place(name);
        let _: Option<()> = self.bad_value(rule, at, found);
    }
}
