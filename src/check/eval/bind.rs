//! Arguments to parameters: by position and name, any number of them for a
//! variadic one, defaults for the rest.

use std::sync::Arc;

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::library;
use crate::library::foreign::{Place, foreign};
use crate::span::Span;
use crate::syntax::ast::{self, DefKind, Expr, Param};

use crate::check::elab::Elab;
use crate::check::elab::pattern::{ParamType, param_type};
use crate::check::elab::scope::VarRole;
use crate::check::elab::value::{ArgVal, DefRef, Val, float, lists};

use super::call::{abbreviates, option_word, signature_note};

impl Elab<'_> {
    /// Binds the parameters of one list in the frame on top; whether all could be.
    pub(super) fn bind_params(
        &mut self,
        params: &[Param],
        args: &[ArgVal],
        span: Span,
        r: &DefRef,
    ) -> bool {
        let Some(given) = self.distribute(params, args, r) else {
            return false;
        };
        let complete = given.complete;
        let mut ok = complete;
        for (p, args) in params.iter().zip(given.slots) {
            let val = match (args.as_slice(), &p.default) {
                ([], Some(default)) => self.default_of(p, default),
                // What has no parameter may be meant for this one.
                ([], None) if !complete => continue,
                ([], None) => {
                    let what = &r.def.name.text;
                    let d =
                        Diagnostic::error(Code::E0106, format!("`{what}` needs `{}`", p.name.text))
                            .label(span, format!("missing `{}`", p.name.text))
                            .note(signature_note(&r.def));
                    self.diagnose_call(d);
                    ok = false;
                    continue;
                }
                (several, _) if p.variadic => {
                    let items: Vec<Option<Val>> =
                        several.iter().map(|a| self.check_arg(p, a, r)).collect();
                    let items: Option<Vec<Val>> = items.into_iter().collect();
                    items.map(Val::list)
                }
                // Of what shape a number is to be, only the other arguments tell.
                ([a, ..], _) if !ok && matches!(a.val, Val::Int(_) | Val::Float(_)) => {
                    let known = self.diags.len();
                    let v = self.check_arg(p, a, r);
                    let taken = matches!(param_type(p.ty.as_ref()), Ok(ParamType::Tensor(_)));
                    self.diags
                        .truncate(if taken { known } else { self.diags.len() });
                    v
                }
                ([a, ..], _) => {
                    self.check_usual(p, a, r);
                    self.check_arg(p, a, r)
                }
            };
            match val {
                Some(v) => {
                    let at = args.first().map_or(p.span, |a| a.span);
                    self.frame().bind(&p.name.text, v, at, VarRole::Given);
                }
                None => ok = false,
            }
        }
        ok
    }

    /// Warns of a number far from those that are in use for a parameter of the library.
    fn check_usual(&mut self, p: &Param, a: &ArgVal, r: &DefRef) {
        let usual = || library::usual(&r.def.name.text, &p.name.text);
        let Some(x) = float(&a.val).filter(|_| r.library) else {
            return;
        };
        let written = !self.world.map.borrow().get(a.span.source).library;
        if let Some(usual) = usual().filter(|u| written && !(u.low..=u.high).contains(&x)) {
            let what = format!("`{} = {x}` is outside the usual range", p.name.text);
            let range = format!("usual values are {} to {}", usual.low, usual.high);
            let d = Diagnostic::warning(Code::W0660, what)
                .label(a.span, range)
                .help(usual.what);
            self.diagnose_call(d);
        }
    }

    /// Which arguments go to which parameter: one each, any number to a variadic one.
    fn distribute<'a>(
        &mut self,
        params: &[Param],
        args: &'a [ArgVal],
        r: &DefRef,
    ) -> Option<Given<'a>> {
        let what = &r.def.name.text;
        let mut given = Given {
            slots: vec![Vec::new(); params.len()],
            complete: true,
        };
        let any = params.iter().position(|p| p.variadic);
        let mut position = 0;
        for a in args {
            let slot = match &a.name {
                None => {
                    position += 1;
                    match any {
                        Some(any) => any.min(position - 1),
                        None if position > params.len() => {
                            let takes = match params.len() {
                                0 => "no arguments".into(),
                                1 => "1 argument".into(),
                                n => format!("{n} arguments"),
                            };
                            let d = Diagnostic::error(
                                Code::E0107,
                                format!("`{what}` takes {takes} here"),
                            )
                            .label(a.span, "unexpected argument");
                            self.diagnose_call(d);
                            return None;
                        }
                        None => position - 1,
                    }
                }
                Some(name) => match params.iter().position(|p| p.name.text == name.text) {
                    Some(i) => i,
                    None if self.is_option_of(&name.text, r) => continue,
                    // Every layer takes it.
                    None if r.def.kind == DefKind::Layer && &*name.text == "trainable" => {
                        if self.unresolved_of_call(a) {
                            given.complete = false;
                        } else if !matches!(a.val, Val::Bool(_) | Val::Unknown(_) | Val::Error) {
                            let d =
                                Diagnostic::error(Code::E0301, "`trainable` must be true or false")
                                    .label(a.span, format!("this is {}", a.val.describe()));
                            self.diagnose_call(d);
                            given.complete = false;
                        }
                        continue;
                    }
                    None => {
                        self.unknown_argument(name, params, r);
                        given.complete = false;
                        continue;
                    }
                },
            };
            if let (Some(first), false) = (given.slots[slot].first(), params[slot].variadic) {
                let d = Diagnostic::error(
                    Code::E0105,
                    format!("`{}` is given twice", params[slot].name.text),
                )
                .label(a.span, "given again here")
                .label(first.span, "first given here");
                self.diagnose_call(d);
                given.complete = false;
                continue;
            }
            given.slots[slot].push(a);
        }
        Some(given)
    }

    fn default_of(&mut self, p: &Param, default: &Expr) -> Option<Val> {
        match (param_type(p.ty.as_ref()), option_word(default)) {
            (Ok(ParamType::Symbol(names)), Some(word)) => Some(match names.contains(&&*word) {
                true => Val::Symbol(word),
                false => Val::Error,
            }),
            _ => Some(self.eval(default)),
        }
    }

    fn unknown_argument(&mut self, name: &ast::Ident, params: &[Param], r: &DefRef) {
        let (config, inputs) = lists(&r.def);
        let what = &r.def.name.text;
        let mut d = Diagnostic::error(
            Code::E0104,
            format!("`{what}` has no argument `{}`", name.text),
        )
        .label(name.span, "unknown argument");
        let options = self.options_of(r);
        let own = params.iter().map(|p| &p.name.text);
        let all: Vec<&Arc<str>> = own.chain(&options).collect();
        let known = || all.iter().map(|n| &***n);
        let near = known()
            .find(|p| abbreviates(p, &name.text) || abbreviates(&name.text, p))
            .or_else(|| did_you_mean(&name.text, known()));
        let foreign = foreign(&name.text, Place::Argument)
            .filter(|f| f.ours.is_none_or(|ours| known().any(|k| k == ours)));
        if let Some(found) = foreign {
            d = d.help(found.help);
            if let Some(ours) = found.ours {
                d = d.fix(name.span, ours);
            }
        } else if let Some(near) = near {
            d = d
                .help(format!("did you mean `{near}`?"))
                .fix(name.span, near);
        } else if config.is_empty() && inputs.is_empty() {
            d = d.note(format!("`{what}` takes no arguments"));
        } else {
            let names: Vec<&str> = known().collect();
            d = d.note(format!("its arguments are: {}", names.join(", ")));
        }
        self.diagnose_call(d);
    }
}

/// Arguments by parameter.
struct Given<'a> {
    slots: Vec<Vec<&'a ArgVal>>,
    /// Whether every argument has a parameter.
    complete: bool,
}
