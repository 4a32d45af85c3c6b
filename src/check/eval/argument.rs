//! An argument held to the type of its parameter.

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::span::Span;
use crate::syntax::ast;
use crate::syntax::ast::{DefKind, Param};

use crate::check::elab::Elab;
use crate::check::elab::pattern::{
    MeaningPattern, NONE, ParamType, Pattern, param_type, pattern_text,
};
use crate::check::elab::state::Fit;
use crate::check::elab::value::{ArgVal, DefRef, Kind, Meaning, Tensor, Val};
use crate::check::types::mismatch::Mismatch;

/// Keywords as words.
fn spoken(kind: &str) -> &str {
    match kind {
        "a fn" => "a function",
        other => other,
    }
}

pub(crate) fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    }
}

impl Elab<'_> {
    /// Checks one argument against its parameter; `None` if reported.
    pub(super) fn check_arg(&mut self, p: &Param, a: &ArgVal, r: &DefRef) -> Option<Val> {
        let ty = match param_type(p.ty.as_ref()) {
            Ok(ty) => ty,
            Err(word) => {
                let word = word.clone();
                self.unknown_type(&word);
                return None;
            }
        };
        if let ParamType::Symbol(names) = &ty {
            if let Val::Symbol(s) = &a.val
                && names.contains(&&**s)
            {
                return Some(a.val.clone());
            }
            if let Some(s) = &a.symbol
                && names.contains(&&*s.text)
            {
                return Some(Val::Symbol(s.text.clone()));
            }
            if matches!(a.val, Val::None) && names.contains(&NONE) {
                return Some(Val::Symbol(NONE.into()));
            }
            let found = a
                .symbol
                .as_ref()
                .map_or_else(|| a.val.describe(), |s| format!("`{}`", s.text));
            let mut d = Diagnostic::error(
                Code::E0313,
                format!("`{}` must be one of {}", p.name.text, names.join(", ")),
            )
            .label(a.span, format!("this is {found}"));
            let near = a
                .symbol
                .as_ref()
                .and_then(|s| did_you_mean(&s.text, names.iter().copied()));
            if let Some(near) = near {
                d = d.help(format!("did you mean `{near}`?")).fix(a.span, near);
            } else if let Val::Str(text) = &a.val {
                let lower = text.to_lowercase();
                if let Some(word) = names.iter().find(|n| **n == lower) {
                    d = d
                        .help(format!("write the word without quotes: `{word}`"))
                        .fix(a.span, *word);
                }
            }
            self.diagnose_call(d);
            return None;
        }
        let sought = match &ty {
            ParamType::Def(word) => DefKind::ALL.into_iter().find(|k| k.keyword() == *word),
            _ => None,
        };
        if self.seeking(sought, |el| el.unresolved_of_call(a)) {
            return None;
        }
        // What may be left out by default may be left out by name.
        let optional = matches!(
            p.default.as_ref().map(|d| &d.kind),
            Some(ast::ExprKind::None)
        );
        if optional && matches!(a.val, Val::None) {
            return Some(Val::None);
        }
        match ty {
            ParamType::Anything => Some(a.val.clone()),
            ParamType::Tensor(pattern) => {
                let t = match &a.val {
                    Val::Tensor(t) => t.clone(),
                    Val::Int(_) | Val::Float(_) | Val::Unknown(_)
                        if !matches!(pattern.meaning, MeaningPattern::Bool) =>
                    {
                        return self
                            .number_as_input(&a.val, &pattern, a.span)
                            .map(Val::Tensor);
                    }
                    other => {
                        let d = Diagnostic::error(
                            Code::E0312,
                            format!(
                                "`{}` of `{}` must be a tensor",
                                p.name.text, r.def.name.text
                            ),
                        )
                        .label(a.span, format!("this is {}", other.describe()));
                        self.diagnose_call(d);
                        return None;
                    }
                };
                match self.unify(&pattern, t.clone(), a.span) {
                    Ok(t) => Some(Val::Tensor(t)),
                    Err(m) => {
                        self.mismatch(m, p, &pattern_text(&pattern), &t, a.span, r);
                        None
                    }
                }
            }
            ParamType::Kind(kind) => self.check_kind(kind, p, a),
            ParamType::List => match &a.val {
                Val::List(_) => Some(a.val.clone()),
                _ => self.wrong_kind("a list", p, a),
            },
            ParamType::Def(word) => self.check_def(word, p, a),
            ParamType::Symbol(_) => None,
        }
    }

    fn check_kind(&mut self, kind: Kind, p: &Param, a: &ArgVal) -> Option<Val> {
        match (kind, &a.val) {
            (Kind::Int, Val::Int(_)) | (Kind::Bool, Val::Bool(_)) | (Kind::Text, Val::Str(_)) => {
                Some(a.val.clone())
            }
            (Kind::Float, Val::Int(_) | Val::Float(_)) => Some(a.val.clone()),
            // A schedule stands for a number that changes; so does a scalar.
            (Kind::Float, Val::Def(c)) if c.defs[0].def.kind == DefKind::Schedule => {
                Some(a.val.clone())
            }
            (Kind::Float, Val::Tensor(t)) if t.ty.rank() == 0 => Some(a.val.clone()),
            (k, Val::Unknown(u)) if *u == k || k == Kind::Float => Some(a.val.clone()),
            // A quotient of sizes, whole in the uses that are right.
            (Kind::Int, Val::Unknown(Kind::Float)) => Some(a.val.clone()),
            _ => self.wrong_kind(kind.describe(), p, a),
        }
    }

    fn check_def(&mut self, word: &str, p: &Param, a: &ArgVal) -> Option<Val> {
        let fits = match &a.val {
            Val::None => true,
            Val::Def(c) => c.defs[0].def.kind.keyword() == word,
            Val::Builtin(_) | Val::Layer(_) => {
                word == "fn" || (word == "layer" && matches!(a.val, Val::Layer(_)))
            }
            Val::Tensor(_) if word == "initializer" => true,
            Val::Fitted(n) if word == "initializer" => {
                matches!(self.world.fit(n), Some(Fit::Vectors { .. }))
            }
            _ => false,
        };
        if fits {
            return Some(a.val.clone());
        }
        let expected = format!("{} {word}", article(word));
        let mut d = self.not_of_kind(&expected, p, a);
        if let Some(kind) = DefKind::ALL.into_iter().find(|k| k.keyword() == word)
            && matches!(a.val, Val::Str(_))
        {
            d = self.unquoted(d, &a.val, kind, a.span);
        }
        self.diagnose_call(d);
        None
    }

    fn wrong_kind(&mut self, expected: &str, p: &Param, a: &ArgVal) -> Option<Val> {
        let d = self.not_of_kind(expected, p, a);
        self.diagnose_call(d);
        None
    }

    fn not_of_kind(&self, expected: &str, p: &Param, a: &ArgVal) -> Diagnostic {
        Diagnostic::error(
            Code::E0301,
            format!("`{}` must be {}", p.name.text, spoken(expected)),
        )
        .label(a.span, format!("this is {}", a.val.describe()))
    }

    /// A number where a tensor is wanted: of the pattern's shape, where its sizes are all known.
    fn number_as_input(&mut self, v: &Val, pattern: &Pattern, span: Span) -> Option<Tensor> {
        let shape = self.shape_of(pattern.dims)?;
        let (elem, meaning) = match &pattern.meaning {
            MeaningPattern::Class(e) => match self.eval(e) {
                Val::Int(n) => (crate::ir::Elem::I32, Meaning::Class(n)),
                _ => return None,
            },
            MeaningPattern::Prob => (crate::ir::Elem::F32, Meaning::Prob),
            _ => (crate::ir::Elem::F32, Meaning::Real),
        };
        let scalar = self.as_tensor(v, elem, span)?;
        let scalar = Tensor { meaning, ..scalar };
        self.stretch(scalar, &shape, span)
    }

    fn mismatch(
        &mut self,
        m: Mismatch,
        p: &Param,
        pattern: &str,
        t: &Tensor,
        span: Span,
        r: &DefRef,
    ) {
        if let Some(d) = self.describe_mismatch(&m, p, pattern, t, span, r) {
            self.diagnose_call(d);
        }
    }
}
