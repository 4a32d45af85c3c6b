//! The settings of a `train` block.

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::ir::{Dim, Graph};
use crate::library::foreign::{Place, foreign};
use crate::span::Span;
use crate::spec;
use crate::spec::{OutputSpec, TrainSpec};
use crate::syntax::ast::{Arg, Setting, Train, TrainItem};

use crate::check::data::balance::BALANCE;
use crate::check::elab::Elab;
use crate::check::elab::value::{Meaning, Tensor, Val};

use super::weights::{CLASS_WEIGHT, SAMPLE_WEIGHT};

/// What a run of the program is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Run {
    Train,
    Eval,
    Predict,
    /// An evaluation whose results are what reports show: see `reports.rs`.
    Report,
}

pub(crate) const SETTINGS: [&str; 13] = [
    "loss",
    BALANCE,
    CLASS_WEIGHT,
    SAMPLE_WEIGHT,
    "optimizer",
    "freeze",
    "metrics",
    "epochs",
    "batch",
    "seed",
    "shuffle",
    "callbacks",
    "report",
];

/// Settings of a train block by key; several of one key are reported.
pub struct Settings<'a> {
    pub items: Vec<&'a Setting>,
    /// The keys that there are.
    pub known: &'a [&'a str],
}

impl<'a> Settings<'a> {
    /// The setting of a key, also in another spelling, which is reported where settings are read.
    pub fn get(&self, key: &str) -> Option<&'a Setting> {
        let same = self.items.iter().find(|s| &*s.key.text == key);
        let meant = || self.items.iter().find(|s| self.means(&s.key.text, key));
        same.or_else(meant).copied()
    }

    fn means(&self, word: &str, key: &str) -> bool {
        !self.known.contains(&word)
            && (foreign(word, Place::Setting).is_some_and(|f| f.ours == Some(key))
                || did_you_mean(word, self.known.iter().copied()) == Some(key))
    }
}

/// A setting of the block itself.
pub(crate) fn setting<'a>(t: &'a Train, key: &str) -> Option<&'a Setting> {
    t.items.iter().find_map(|i| match i {
        TrainItem::Setting(s) if &*s.key.text == key => Some(s),
        _ => None,
    })
}

pub(crate) fn output_spec(name: &str, t: &Tensor) -> OutputSpec {
    let meaning = match t.meaning {
        Meaning::Prob => spec::Meaning::Prob,
        Meaning::Real | Meaning::Class(_) | Meaning::Token(_) => spec::Meaning::Real,
    };
    OutputSpec {
        name: name.into(),
        meaning,
    }
}

impl Elab<'_> {
    pub fn settings<'a>(
        &mut self,
        items: impl Iterator<Item = &'a Setting>,
        known: &'a [&'a str],
        what: &str,
    ) -> Settings<'a> {
        let (mut kept, mut unknown): (Vec<&Setting>, Vec<&Setting>) = Default::default();
        for s in items {
            if !known.contains(&&*s.key.text) {
                let mut d = Diagnostic::error(
                    Code::E0108,
                    format!("{what} has no setting `{}`", s.key.text),
                )
                .label(s.key.span, "unknown setting");
                let foreign = foreign(&s.key.text, Place::Setting)
                    .filter(|f| f.ours.is_none_or(|ours| known.contains(&ours)));
                d = match (foreign, did_you_mean(&s.key.text, known.iter().copied())) {
                    (Some(found), _) => match found.ours {
                        Some(ours) => d.help(found.help).fix(s.key.span, ours),
                        None => d.help(found.help),
                    },
                    (None, Some(near)) => d
                        .help(format!("did you mean `{near}`?"))
                        .fix(s.key.span, near),
                    (None, None) => d.note(format!("settings: {}", known.join(", "))),
                };
                self.diagnose(d);
                unknown.push(s);
                continue;
            }
            if let Some(first) = kept.iter().find(|k| k.key.text == s.key.text) {
                let d = Diagnostic::error(Code::E0109, format!("`{}` is set twice", s.key.text))
                    .label(s.key.span, "set again here")
                    .label(first.key.span, "first set here");
                self.diagnose(d);
                continue;
            }
            kept.push(s);
        }
        kept.extend(unknown);
        Settings { items: kept, known }
    }

    /// The plain settings, defaults filled in.
    pub fn train_spec(&mut self, t: &Train, span: Span) -> TrainSpec {
        let settings = t.items.iter().filter_map(|i| match i {
            TrainItem::Setting(s) => Some(s),
            _ => None,
        });
        let s = self.settings(settings, &SETTINGS, "a train block");
        let stepped = t.items.iter().any(|i| matches!(i, TrainItem::Step(_)));
        if stepped {
            for key in ["loss", "optimizer", "metrics"] {
                if let Some(x) = s.get(key) {
                    self.error(
                        Code::E0612,
                        x.span,
                        format!("`{key}` belongs inside a step here"),
                        "this block trains by steps",
                    );
                }
            }
            for key in [CLASS_WEIGHT, SAMPLE_WEIGHT] {
                if let Some(x) = s.get(key) {
                    let d =
                        Diagnostic::error(Code::E0612, format!("`{key}` only applies to a `loss`"))
                            .label(x.span, "this block trains by steps")
                            .help("multiply by the weight in the step's `minimize`");
                    self.diagnose(d);
                }
            }
        }
        let shuffle = match s.get("shuffle").map(|x| self.one_value(x)) {
            Some(Some((Val::Bool(b), _))) => b,
            Some(Some((v, at))) if !v.is_error() => {
                self.error(
                    Code::E0605,
                    at,
                    "`shuffle` must be true or false",
                    format!("this is {}", v.describe()),
                );
                true
            }
            _ => true,
        };
        TrainSpec {
            models: t.models.iter().map(|m| m.text.to_string()).collect(),
            epochs: self.positive(s.get("epochs"), 1, 1),
            batch: self.positive(s.get("batch"), 32, 1),
            seed: self.positive(s.get("seed"), 0, 0) as u64,
            shuffle,
            balance: None,
            metrics: Vec::new(),
            outputs: Vec::new(),
            callbacks: Vec::new(),
            reports: Vec::new(),
            rates: Vec::new(),
            bounded: Graph::default(),
            bounds: Vec::new(),
            classes: Vec::new(),
            alignments: Vec::new(),
            span,
        }
    }

    fn positive(&mut self, s: Option<&Setting>, default: usize, least: i64) -> usize {
        let Some(s) = s else { return default };
        match self.one_value(s) {
            Some((Val::Int(Dim::Const(n)), _)) if n >= least && n <= i64::from(u32::MAX) => {
                n as usize
            }
            Some((Val::Error, _)) | None => default,
            Some((v, at)) => {
                self.error(
                    Code::E0605,
                    at,
                    format!("`{}` must be an integer from {least}", s.key.text),
                    format!("this is {}", v.describe()),
                );
                default
            }
        }
    }

    pub(super) fn one_value(&mut self, s: &Setting) -> Option<(Val, Span)> {
        match s.values.as_slice() {
            [
                Arg {
                    name: None, value, ..
                },
            ] => Some((self.eval(value), value.span)),
            _ => {
                self.error(
                    Code::E0605,
                    s.span,
                    format!("`{}` takes one value", s.key.text),
                    format!("found {}", s.values.len()),
                );
                None
            }
        }
    }
}
