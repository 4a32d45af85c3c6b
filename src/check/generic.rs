//! Each of the user's definitions is checked once for every use: sizes are
//! symbols, numbers without a default are unknown.

use crate::diag::{Code, Diagnostic};
use crate::ir::{Dim, Elem, Role, Type};
use crate::span::Span;
use crate::syntax::ast::{DefKind, ExprKind, Param};

use crate::check::elab::Elab;
use crate::check::elab::naming::snake_case;
use crate::check::elab::pattern::{ParamType, param_type};
use crate::check::elab::scope::VarRole;
use crate::check::elab::value::{DefRef, Home, Kind, Meaning, Tensor, Val, lists};
use crate::check::eval::argument::article;
use crate::check::eval::call::option_word;
use crate::check::train::optimizer_stages::stage_names;

impl Elab<'_> {
    /// Checks a definition (a stage of every optimizer, perhaps); whether it is free of mistakes.
    pub fn generic(&mut self, r: &DefRef, stage: bool) -> bool {
        let before = self.diags.len();
        let def = &r.def;
        self.check_lists(r);
        let span = def.name.span;
        let path = snake_case(&def.name.text);
        self.push_frame(r, path.as_str().into(), span);
        let (config, inputs) = lists(def);
        for p in config.iter().chain(inputs) {
            let one = self.generic_param(p);
            // Two stand for any number.
            let v = match (one, p.variadic) {
                (_, true) if p.default.is_some() => Some(Val::Error),
                (Some(one), true) => self.generic_param(p).map(|other| Val::list([one, other])),
                (one, _) => one,
            };
            if let Some(v) = v {
                self.frame().bind(&p.name.text, v, p.span, VarRole::Given);
            }
        }
        for (name, v) in self.implied(def.kind, span) {
            self.frame().bind_given(&name.into(), v, span);
        }
        if stage {
            let rate = ("lr", Val::Unknown(Kind::Float));
            for (name, v) in stage_names().chain([rate]) {
                self.frame().bind_given(&name.into(), v, span);
            }
        }
        if def.kind == DefKind::Metric {
            // Names of a batch and of the end are told apart; then both are walked as one.
            if !self.metric_step(def) {
                self.frames.pop();
                return false;
            }
        }
        match self.block(&def.body) {
            Some(v) => {
                let usable = self.returns_numbers(r, &v);
                if let Some(ty) = &def.result {
                    // A parameter of an unknown type has no sizes.
                    if self.diags.len() == before {
                        self.known_in_result(ty);
                    }
                    if usable {
                        self.declared_result(v, ty, r);
                    }
                }
            }
            None => {
                self.no_value(&def.name, &def.body);
            }
        }
        self.frames.pop();
        self.diags.len() == before
    }

    fn check_lists(&mut self, r: &DefRef) {
        let (config, inputs) = lists(&r.def);
        let last = inputs.last().map(|p| p.span);
        let variadic = config.iter().chain(inputs).filter(|p| p.variadic);
        for p in variadic.filter(|p| Some(p.span) != last || p.default.is_some()) {
            let d = Diagnostic::error(
                Code::E0412,
                format!("`...{}` takes all remaining arguments", p.name.text),
            )
            .label(p.span, "it must come last, and have no default");
            self.diagnose(d);
        }
        let one_list = matches!(
            r.def.kind,
            DefKind::Optimizer
                | DefKind::Schedule
                | DefKind::Initializer
                | DefKind::Regularizer
                | DefKind::Constraint
        );
        if one_list && r.def.lists.len() > 1 {
            let kind = r.def.kind.keyword();
            let d = Diagnostic::error(
                Code::E0412,
                format!("{} {kind} can only have one list of parameters", article(kind)),
            )
            .label(r.def.name.span, "this one has two")
            .help("the values it works on (`param`, `grad`, `step`, `shape`) are in scope without being declared");
            self.diagnose(d);
        }
        if matches!(r.def.kind, DefKind::Loss | DefKind::Metric) && lists(&r.def).1.len() != 2 {
            let kind = r.def.kind.keyword();
            let d = Diagnostic::error(
                Code::E0412,
                format!("a {kind} compares two tensors: the prediction and the target"),
            )
            .label(
                r.def.name.span,
                format!("write `{kind} {}(p: [..], y: [..])`", r.def.name.text),
            );
            self.diagnose(d);
        }
    }

    fn generic_param(&mut self, p: &Param) -> Option<Val> {
        let ty = match param_type(p.ty.as_ref()) {
            Ok(ty) => ty,
            Err(word) => {
                let word = word.clone();
                self.unknown_type(&word);
                return Some(Val::Error);
            }
        };
        if let (ParamType::Symbol(_), Some(word)) = (&ty, p.default.as_ref().and_then(option_word))
        {
            return Some(Val::Symbol(word));
        }
        match (&ty, &p.default) {
            // A default is one value among many: sizes stay open, choices take it.
            (ParamType::Kind(Kind::Int), Some(d)) if matches!(d.kind, ExprKind::Int(_)) => {
                Some(self.eval(d))
            }
            (_, Some(d)) => Some(self.eval(d)),
            (ParamType::Tensor(pattern), None) => {
                let t = self.fresh(pattern, &p.name.text);
                Some(Val::Tensor(t))
            }
            (ParamType::Kind(Kind::Int), None) => Some(Val::Int(Dim::symbol(&p.name.text))),
            (ParamType::Kind(k), None) => Some(Val::Unknown(*k)),
            _ => Some(Val::Error),
        }
    }

    /// The names that a kind of definition finds in scope.
    fn implied(&mut self, kind: DefKind, span: Span) -> Vec<(&'static str, Val)> {
        let _ = span;
        let tensor = |el: &mut Self, name: &str, dims: &[&str]| {
            let ty = Type::new(Elem::F32, dims.iter().map(|d| Dim::symbol(d)));
            let value = el.step.input(name, Role::Plain, ty.clone());
            Val::Tensor(Tensor {
                value,
                home: Home::Step,
                ty,
                meaning: Meaning::Real,
                mask: None,
            })
        };
        match kind {
            DefKind::Optimizer => vec![
                ("param", tensor(self, "param", &["n", "m"])),
                ("grad", tensor(self, "grad", &["n", "m"])),
                ("step", tensor(self, "step", &[])),
            ],
            DefKind::Schedule => vec![("step", tensor(self, "step", &[]))],
            DefKind::Regularizer | DefKind::Constraint => {
                vec![("param", tensor(self, "param", &["n", "m"]))]
            }
            DefKind::Initializer => {
                let sym = |n: &str| Val::Int(Dim::symbol(n));
                vec![
                    ("shape", Val::list([sym("n"), sym("m")])),
                    ("fan_in", sym("n")),
                    ("fan_out", sym("m")),
                ]
            }
            DefKind::Layer | DefKind::Fn | DefKind::Loss | DefKind::Metric => Vec::new(),
        }
    }
}
