//! What to say when a tensor does not fit a parameter: the place of the fault, the
//! place of its cause, both shapes, and the edit that fixes it where one can be named.
//!
//! What to propose is the library's business: a definition that fixes a kind of
//! mistake says so by `@fixes(..)` (see [`crate::library::proposal`]).

use std::sync::Arc;

use crate::diag::{Code, Diagnostic};
use crate::ir::Dim;
use crate::library::{proposal, proposals};
use crate::span::Span;
use crate::syntax::ast::{DefKind, DimExpr, ExprKind, Model, Param, TypeKind};

use crate::check::elab::Elab;
use crate::check::elab::pattern::{MeaningPattern, ParamType, param_type, per_sample_text};
use crate::check::elab::state::{Applied, Comparison};
use crate::check::elab::value::{ArgVal, DefRef, Meaning, Tensor, Val, lists, literal};
use crate::check::elab::world::Global;

/// Whether a metric compares with targets that are classes or probabilities.
fn counts_classes(r: &DefRef) -> bool {
    let target = lists(&r.def).1.get(1).map(|p| param_type(p.ty.as_ref()));
    r.def.kind == DefKind::Metric
        && matches!(
            target,
            Some(Ok(ParamType::Tensor(p)))
                if matches!(p.meaning, MeaningPattern::Prob | MeaningPattern::Class(_))
        )
}

impl Elab<'_> {
    /// The report; `None` if it has been made already.
    pub fn describe_mismatch(
        &self,
        m: &Mismatch,
        p: &Param,
        pattern: &str,
        t: &Tensor,
        span: Span,
        r: &DefRef,
    ) -> Option<Diagnostic> {
        if matches!(m, Mismatch::Reported) {
            return None;
        }
        if let Some(c) = self.comparison()
            && c.depth + 1 == self.frames.len()
        {
            let inputs = lists(&r.def).1;
            let of_target = inputs.get(1).is_some_and(|y| y.name.text == p.name.text);
            let (prediction, target) = (&c.prediction.meaning, &c.target.meaning);
            // It has been said of the prediction.
            if of_target
                && counts_classes(r)
                && *prediction == Meaning::Real
                && *target == Meaning::Real
            {
                return None;
            }
            return Some(self.describe_comparison(c, m, p, pattern, r));
        }
        let what = &r.def.name.text;
        let d = match m {
            Mismatch::Reported => return None,
            Mismatch::Rank { expected } => {
                let d = Diagnostic::error(
                    Code::E0201,
                    format!("`{what}` expects {expected}, but `{}` is {t}", p.name.text),
                );
                self.rank_help(d, expected, t, r)
            }
            Mismatch::Rest { expected, found } => Diagnostic::error(
                Code::E0203,
                format!("shapes do not match: `..` of `{what}` is both {expected} and {found}"),
            ),
            Mismatch::Size {
                name,
                expected,
                found,
            } => Diagnostic::error(
                Code::E0202,
                format!(
                    "`{what}` needs {name} = {expected} here, but `{}` has {found}",
                    p.name.text
                ),
            ),
            Mismatch::Meaning { expected } => self.meaning(expected, p, t, r),
        };
        Some(self.place(d, pattern, t, span))
    }

    /// At the call what it takes, at the argument what it is.
    fn place(&self, d: Diagnostic, pattern: &str, t: &Tensor, span: Span) -> Diagnostic {
        let made = self
            .made_at(t)
            .filter(|m| m.source == span.source && span.start <= m.start && m.end <= span.end);
        let is = format!("this is {t}");
        match self.top().call {
            // A stage of a pipe: the argument stands before it.
            Some(call) if call.source == span.source && span.end <= call.start => d
                .label(call, format!("expects {pattern}"))
                .label(made.unwrap_or(span), is),
            _ => d
                .label(span, is)
                .note(format!("`{}` expects {pattern}", self.top().what)),
        }
    }

    fn rank_help(&self, d: Diagnostic, expected: &str, t: &Tensor, r: &DefRef) -> Diagnostic {
        let wanted = expected.matches(',').count() + 1;
        let open = expected.contains("..");
        // One axis too few is more often a forgotten axis of channels.
        let other = self.for_rank(&r.def.name.text, t.ty.rank());
        if let Some(other) = other.filter(|_| t.ty.rank() > wanted || wanted == 5) {
            return d.help(format!("`{other}` takes tensors of {} axes", t.ty.rank()));
        }
        if let Some(help) = self.sequences_help(t, wanted).filter(|_| !open) {
            return d.help(help);
        }
        if let Some(reshape) = proposal("shape").filter(|_| !open && wanted > t.ty.rank() + 1) {
            let sample = expected.trim_start_matches("[B, ");
            return d.help(format!(
                "put `{reshape}([{sample})` before it, with the sizes of a sample"
            ));
        }
        if !open && wanted == t.ty.rank() + 1 {
            let sample: Option<Vec<String>> = t.ty.shape[1..]
                .iter()
                .map(|d| d.as_const().map(|n| n.to_string()))
                .collect();
            let reshape = proposal("shape")
                .zip(sample)
                .map_or(String::new(), |(r, s)| {
                    let ones = s.into_iter().chain(["1".into()]).collect::<Vec<_>>();
                    format!(" or `{r}([{}])`", ones.join(", "))
                });
            let last = expected.trim_end_matches(']').rsplit(", ").next();
            let last = last.filter(|n| n.chars().all(|c| c.is_alphabetic()));
            let what = last.map_or("the last".into(), |n| format!("`{n}`"));
            return d.help(format!(
                "an axis is missing: `expand(.., -1)`{reshape} adds {what} as an axis of size 1"
            ));
        }
        match proposal("axes") {
            Some(flatten)
                if !open && t.ty.rank() > wanted && wanted <= 2 && r.def.kind == DefKind::Layer =>
            {
                d.help(format!(
                    "put `{flatten}` before it to merge the axes into one"
                ))
            }
            _ => d,
        }
    }

    /// The relative of `Conv1D` and the like that takes tensors of so many axes: batch, places, channels.
    fn for_rank(&self, name: &str, rank: usize) -> Option<String> {
        let stem = name.strip_suffix(['D'])?;
        let own = stem.chars().last().filter(char::is_ascii_digit)?;
        let places = rank.checked_sub(2).filter(|n| (1..=3).contains(n))?;
        let other = format!("{}{places}D", stem.trim_end_matches(own));
        (other != name && self.world.library(&other).is_some()).then_some(other)
    }

    fn meaning(&self, expected: &str, p: &Param, t: &Tensor, r: &DefRef) -> Diagnostic {
        let what = &r.def.name.text;
        let ids = |name: &str| {
            Diagnostic::error(
                Code::E0302,
                format!("`{what}` expects quantities, not {name}"),
            )
        };
        match (expected, &t.meaning) {
            ("real", Meaning::Token(v)) => {
                let d = ids("token ids");
                match proposal("token") {
                    Some(table) => d.help(format!(
                        "put `{table}({v}, ..)` before `{what}` to turn each id into a vector"
                    )),
                    None => d,
                }
            }
            ("real", Meaning::Class(_)) => {
                let d = ids("class indices");
                match proposal("class") {
                    Some(f) => d.help(format!("use `{f}(..)` to turn each into a vector")),
                    None => d,
                }
            }
            ("prob", Meaning::Class(_)) => Diagnostic::error(
                Code::E0304,
                format!(
                    "`{what}` expects probabilities for `{}`, not class indices",
                    p.name.text
                ),
            )
            .help(match proposal("class") {
                Some(f) => format!("use `{f}(..)` to turn them into probabilities of 0 and 1"),
                None => "use an activation that returns probabilities".into(),
            }),
            ("prob", _) => Diagnostic::error(
                Code::E0303,
                format!(
                    "`{what}` expects probabilities, but `{}` is {t}",
                    p.name.text
                ),
            )
            .help(activations()),
            ("class", _) => Diagnostic::error(
                Code::E0305,
                format!(
                    "`{what}` expects class indices for `{}`, but this is {t}",
                    p.name.text
                ),
            )
            .help("declare the column as `class[n]`"),
            ("token", _) => Diagnostic::error(
                Code::E0307,
                format!(
                    "`{what}` looks ids up in a table, but `{}` is {t}",
                    p.name.text
                ),
            )
            .help("declare the input as `token[vocabulary][length]`"),
            _ => Diagnostic::error(
                Code::E0309,
                format!(
                    "`{what}` expects {expected} for `{}`, but this is {t}",
                    p.name.text
                ),
            ),
        }
    }

    /// A loss or metric of a `train` block whose output and target do not go together.
    fn describe_comparison(
        &self,
        c: &Comparison,
        m: &Mismatch,
        p: &Param,
        pattern: &str,
        r: &DefRef,
    ) -> Diagnostic {
        let what = &r.def.name.text;
        let (made, gives) = match self.made_at(&c.prediction) {
            Some(at) => (at, format!("this returns {}", c.prediction)),
            None => (c.at, format!("the model returns {}", c.prediction)),
        };
        let target = format!("{}: {}", c.name.text, per_sample_text(&c.target));
        let declared = self.world.map.borrow().line_column(c.name.span);
        let compared = format!(
            "which is compared with {target}, declared at {}:{}",
            declared.0, declared.1
        );
        let of_prediction = lists(&r.def)
            .1
            .first()
            .is_some_and(|first| first.name.text == p.name.text);
        // `class[2]` against more classes: the target's type, not the model's shape.
        let classes = match (param_type(p.ty.as_ref()), &c.target.meaning) {
            (Ok(ParamType::Tensor(pattern)), Meaning::Class(n)) if !of_prediction => {
                match pattern.meaning {
                    MeaningPattern::Class(e) => {
                        literal(e).filter(|k| n.as_const().is_some_and(|n| n != *k))
                    }
                    _ => None,
                }
            }
            _ => None,
        };
        if let (Some(k), Mismatch::Size { .. }) = (classes, m) {
            let d = Diagnostic::error(
                Code::E0305,
                format!(
                    "`{what}` expects {k} classes, but `{}` is {}",
                    c.name.text,
                    per_sample_text(&c.target)
                ),
            )
            .label(c.at, format!("expects {pattern} for `{}`", p.name.text))
            .label(
                c.name.span,
                format!("this is {}", per_sample_text(&c.target)),
            );
            return self.target_repair(d, c, r);
        }
        let Mismatch::Meaning { expected } = m else {
            let (model, target) = (per_sample_text(&c.prediction), per_sample_text(&c.target));
            if model == target {
                return Diagnostic::error(
                    Code::E0203,
                    format!(
                        "`{what}` expects {pattern} for `{}`, but gets {model} per sample",
                        p.name.text
                    ),
                )
                .label(made, gives)
                .label(c.at, compared)
                .help(
                    "declare its inputs as `[.., n]`: they hold a batch of samples of any shape",
                );
            }
            let d = Diagnostic::error(
                match m {
                    Mismatch::Size { .. } => Code::E0202,
                    _ => Code::E0203,
                },
                format!(
                    "the model returns {} per sample, but the target is {}",
                    per_sample_text(&c.prediction),
                    per_sample_text(&c.target)
                ),
            )
            .label(made, gives);
            let d = self.shape_repair(d, c, m, r);
            return d.label(c.at, compared);
        };
        if of_prediction {
            let d = Diagnostic::error(
                Code::E0303,
                format!(
                    "`{what}` expects probabilities, but the model returns {}",
                    per_sample_text(&c.prediction)
                ),
            )
            .label(made, gives)
            .label(c.at, format!("expects {pattern} for `{}`", p.name.text));
            // A metric of classes beside a target that is a quantity.
            if counts_classes(r)
                && c.prediction.meaning == Meaning::Real
                && c.target.meaning == Meaning::Real
            {
                let fitting: Vec<String> =
                    proposals("quantity").map(|m| format!("`{m}`")).collect();
                return d
                    .label(c.name.span, "the target is a quantity")
                    .help(format!(
                        "`{what}` counts classes; for quantities use {}",
                        fitting.join(" or ")
                    ));
            }
            let d = match &c.prediction.meaning {
                Meaning::Real => self.activation_repair(d, &c.prediction, over_classes(p)),
                _ => d,
            };
            return d;
        }
        let (code, text) = match (expected.as_str(), &c.target.meaning) {
            ("prob", Meaning::Class(_)) => (
                Code::E0304,
                format!(
                    "`{what}` expects one-hot targets, but `{}` is a class index",
                    c.name.text
                ),
            ),
            ("class", _) => (
                Code::E0305,
                format!(
                    "`{what}` expects class indices, but `{}` is {}",
                    c.name.text,
                    per_sample_text(&c.target)
                ),
            ),
            ("real", Meaning::Class(_) | Meaning::Token(_)) => (
                Code::E0302,
                format!(
                    "`{what}` expects quantities, but `{}` is an index",
                    c.name.text
                ),
            ),
            _ => (
                Code::E0309,
                format!(
                    "`{what}` expects {expected} for its target, but `{}` is {}",
                    c.name.text,
                    per_sample_text(&c.target)
                ),
            ),
        };
        let d = Diagnostic::error(code, text)
            .label(c.at, format!("expects {pattern} for `{}`", p.name.text))
            .label(
                c.name.span,
                format!("this is {}", per_sample_text(&c.target)),
            );
        self.target_repair(d, c, r)
    }

    /// Another of the kind whose target is of the meaning there is, or a target of another form.
    fn target_repair(&self, d: Diagnostic, c: &Comparison, r: &DefRef) -> Diagnostic {
        let other = self.world.kin(&r.def, |target| {
            matches!(
                (&c.target.meaning, target),
                (Meaning::Class(n), MeaningPattern::Class(e))
                    if literal(e).is_none_or(|k| n.as_const() == Some(k))
            ) || matches!(
                (&c.target.meaning, target),
                (Meaning::Prob, MeaningPattern::Prob) | (Meaning::Real, MeaningPattern::Real)
            )
        });
        let vectors = match (&c.target.meaning, proposal("class")) {
            (Meaning::Class(n), Some(f)) => Some(format!(
                "declare `target {} : prob[{n}] = {f}({})`",
                c.name.text, c.value
            )),
            (Meaning::Prob | Meaning::Real, _) => {
                Some("declare the target as `class[n]`".to_owned())
            }
            _ => None,
        };
        match (other, vectors) {
            (Some(name), rest) => {
                let rest = rest.map_or(String::new(), |r| format!(", or {r}"));
                let d = d.help(format!("write `{name}`{rest}"));
                let written = self.source_text(c.at);
                if written.starts_with(&*r.def.name.text) {
                    let end = c.at.start as usize + r.def.name.text.len();
                    d.fix(Span::new(c.at.source, c.at.start as usize, end), name)
                } else {
                    d
                }
            }
            (None, Some(rest)) => d.help(rest),
            (None, None) => d,
        }
    }

    /// The last layer, if the prediction is what it gives.
    pub(super) fn last_layer(&self, prediction: &Tensor) -> Option<&Applied> {
        let last = self.applied.last()?;
        (last.output.value == prediction.value).then_some(last)
    }

    /// The activation of the last layer, where it spreads 1 over several units.
    fn choosing(&self, c: &Comparison) -> Option<&ArgVal> {
        let choice = proposal("choice")?;
        let chooses =
            |a: &&ArgVal| matches!(&a.val, Val::Def(d) if *d.defs[0].def.name.text == *choice);
        let args = &self.last_layer(&c.prediction)?.instance.configured.args;
        args.iter().find(chooses)
    }

    /// A choice among one unit is no choice: its probability is always 1. Whether all is well.
    pub fn is_a_choice(&mut self, c: &Comparison) -> bool {
        if c.prediction.ty.shape.last() != Some(&Dim::ONE) {
            return true;
        }
        let Some(span) = self.choosing(c).map(|a| a.span) else {
            return true;
        };
        let written = self.source_text(span);
        let mut d = Diagnostic::error(Code::E0310, format!("`{written}` over 1 unit is always 1"))
            .label(span, "there is nothing to choose from");
        if let Some(f) = proposal("yes_or_no") {
            d = d
                .help(format!("use `{f}`, which returns the probability of yes"))
                .fix(span, f);
        }
        self.diagnose(d);
        false
    }

    /// Units that agree with the target, or one axis of many.
    fn shape_repair(&self, d: Diagnostic, c: &Comparison, m: &Mismatch, r: &DefRef) -> Diagnostic {
        let (p, y) = (&c.prediction, &c.target);
        let index = matches!(y.meaning, Meaning::Class(_));
        let wanted_rank = y.ty.rank() + usize::from(index);
        // A layer's units are an axis too: of two axes none is too many.
        if p.ty.rank() > wanted_rank.max(2) {
            return self.flatten_repair(d, p, wanted_rank.max(2));
        }
        let yes_or_no = matches!(&y.meaning, Meaning::Class(n) if n.as_const() == Some(2));
        // A choice between two, where yes or no is compared.
        if yes_or_no
            && self.choosing(c).is_some()
            && matches!(m, Mismatch::Rest { .. })
            && p.meaning == Meaning::Prob
            && p.ty.shape.last().and_then(Dim::as_const) == Some(2)
            && r.def.kind == DefKind::Loss
            && let (Some(other), Some(f)) = (self.world.loss_of_choice(), proposal("yes_or_no"))
        {
            let what = &r.def.name.text;
            return d
                .help(format!(
                    "use `{other}` with 2 units, or `{what}` with 1 unit and `{f}`"
                ))
                .fix(c.at, other);
        }
        let units = match &y.meaning {
            // Two classes and no axis of them: the loss takes one unit.
            Meaning::Class(_) if yes_or_no && matches!(m, Mismatch::Rest { .. }) => Some(Dim::ONE),
            Meaning::Class(n) => Some(n.clone()),
            _ if p.ty.rank() == y.ty.rank() + 1 => Some(Dim::ONE),
            _ => y.ty.shape.last().cloned(),
        };
        match units {
            Some(units) => self.units_repair(d, p, &units),
            None => d,
        }
    }

    /// Other units of the last layer.
    pub(super) fn units_repair(&self, d: Diagnostic, p: &Tensor, units: &Dim) -> Diagnostic {
        let Some(last) = self.last_layer(p) else {
            return d;
        };
        let Some(now) = p.ty.shape.last() else {
            return d;
        };
        let given = last
            .instance
            .configured
            .args
            .iter()
            .find(|a| matches!(&a.val, Val::Int(n) if n == now));
        let Some(given) = given.filter(|_| units != now) else {
            return d;
        };
        let written = self.source_text(given.span);
        let layer = &last.instance.configured.defs[0].def.name.text;
        let (line, _) = self.world.map.borrow().line_column(given.span);
        if written.chars().all(|c| c.is_ascii_digit() || c == '_') {
            let help = format!("change {written} to {units} in the last `{layer}`, on line {line}");
            let Some(declared) = self.declared_size(given.span, now) else {
                return d.help(help).fix(given.span, units.to_string());
            };
            let between = Span {
                start: declared.end,
                end: given.span.start,
                ..declared
            };
            let text = format!("{units}{}{units}", self.source_text(between));
            d.help(format!("{help}, and in the declared result"))
                .fix(declared.to(given.span), text)
        } else {
            d.help(format!(
                "`{written}`, on line {line}, is {now}, but must be {units}"
            ))
        }
    }

    /// The last size in the declared result of the model around `at`, where it is `now`.
    fn declared_size(&self, at: Span, now: &Dim) -> Option<Span> {
        let around = |m: &&Arc<Model>| {
            let body = m.body.span;
            body.source == at.source && body.start <= at.start && at.end <= body.end
        };
        let mut models = self.world.globals.values().filter_map(|(g, _)| match g {
            Global::Model(m) => Some(m),
            _ => None,
        });
        let result = models.find(around)?.result.as_ref()?;
        let TypeKind::Plain { brackets, .. } = &result.kind else {
            return None;
        };
        match brackets.last()?.last()? {
            DimExpr::Expr(e) => match e.kind {
                ExprKind::Int(n) if now.as_const() == Some(n) => Some(e.span),
                _ => None,
            },
            DimExpr::Rest(_) => None,
        }
    }

    /// Where one axis should be made of many: before the first of the last layers that
    /// would take fewer axes as well.
    pub(super) fn flatten_repair(
        &self,
        mut d: Diagnostic,
        prediction: &Tensor,
        wanted: usize,
    ) -> Diagnostic {
        let Some(flatten) = proposal("axes") else {
            return d;
        };
        let mut spot = None;
        let mut value = prediction.value;
        for (i, a) in self.applied.iter().enumerate().rev() {
            let (Some(input), true) = (&a.input, a.output.value == value) else {
                break;
            };
            let def = &a.instance.configured.defs[0].def;
            let dims = match lists(def).1.first().map(|p| param_type(p.ty.as_ref())) {
                Some(Ok(ParamType::Tensor(p))) => p.dims,
                _ => break,
            };
            let any_rank = dims.iter().any(|d| matches!(d, DimExpr::Rest(_)));
            if !any_rank || input.ty.rank() <= wanted {
                break;
            }
            // `[B, .., n]` works on samples, `[..]` on elements.
            if !matches!(dims.first(), Some(DimExpr::Rest(_))) {
                spot = Some(i);
            }
            value = input.value;
        }
        let Some(a) = spot.map(|i| &self.applied[i]) else {
            return d;
        };
        if let Some(input) = &a.input
            && let Some(made) = self.made_at(input)
            && made != a.span
        {
            d = d.label(made, format!("returns {input}"));
        }
        let layer = &a.instance.configured.defs[0].def.name.text;
        let (line, _) = self.world.map.borrow().line_column(a.span);
        d = d.help(format!("put `{flatten}` before `{layer}`, on line {line}"));
        let map = self.world.map.borrow();
        let text = &map.get(a.span.source).text;
        if text[..a.span.start as usize].trim_end().ends_with("|>") {
            d = d.fix(a.span.before(), format!("{flatten} |> "));
        }
        d
    }

    /// The activation that makes probabilities, written into the last layer where it takes one.
    pub(super) fn activation_repair(
        &self,
        d: Diagnostic,
        prediction: &Tensor,
        over_classes: bool,
    ) -> Diagnostic {
        let Some(f) = proposal(if over_classes { "choice" } else { "yes_or_no" }) else {
            return d;
        };
        let Some(last) = self.last_layer(prediction) else {
            return d.help(format!("end the model with `|> {f}`"));
        };
        let def = &last.instance.configured.defs[0].def;
        let (config, _) = lists(def);
        let slot = config
            .iter()
            .position(|p| matches!(param_type(p.ty.as_ref()), Ok(ParamType::Def("fn"))));
        let Some(slot) = slot else {
            return d.help(format!("end the model with `|> {f}`"));
        };
        let args = &last.instance.configured.args;
        let positional: Vec<&ArgVal> = args.iter().filter(|a| a.name.is_none()).collect();
        let name = &config[slot].name.text;
        let given = args
            .iter()
            .find(|a| a.name.as_ref().is_some_and(|n| n.text == *name))
            .or(positional.get(slot).copied());
        if let Some(given) = given {
            let written = self.source_text(given.span);
            return d
                .help(format!("replace `{written}` with `{f}`"))
                .fix(given.span, f);
        }
        let at = last.instance.span;
        let written = self.source_text(at);
        let Some(open) = written.strip_suffix(')') else {
            return d.help(format!("end the model with `|> {f}`"));
        };
        let more = if positional.len() == slot {
            format!(", {f}")
        } else {
            format!(", {name} = {f}")
        };
        let end = at.start as usize + open.trim_end().len();
        d.help(format!(
            "give the last layer an activation: `{open}{more})`"
        ))
        .fix(Span::new(at.source, end, end), more)
    }
}

/// Whether a loss is over a last axis of classes, not over each element.
fn over_classes(p: &Param) -> bool {
    match param_type(p.ty.as_ref()) {
        Ok(ParamType::Tensor(p)) => !matches!(p.dims.last(), Some(DimExpr::Rest(_)) | None),
        _ => false,
    }
}

fn activations() -> String {
    match (proposal("choice"), proposal("yes_or_no")) {
        (Some(many), Some(one)) => {
            format!("use `{many}` for several classes, `{one}` for yes or no")
        }
        _ => "use an activation that returns probabilities".into(),
    }
}

/// Why an argument does not fit its parameter.
#[derive(Clone, Debug)]
pub enum Mismatch {
    Rank {
        expected: String,
    },
    /// `..` stands for one run of axes, and meets two.
    Rest {
        expected: String,
        found: String,
    },
    Size {
        name: String,
        expected: Dim,
        found: Dim,
    },
    Meaning {
        expected: String,
    },
    /// Another mistake, reported already.
    Reported,
}
