//! `sweep` blocks: what is varied, how, and towards what.
//!
//! ```text
//! mod      the block: model, axes
//! goal     `minimize val_loss`
//! search   `search random(trials = 20)`
//! probe    whether the program can take the values
//! ```

mod goal;
mod search;

use std::collections::HashSet;
use std::sync::Arc;

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::span::Span;
use crate::spec::sweep::{Axis, Method, SweepSpec, Values};
use crate::syntax::ast::{Expr, ExprKind, Ident, Sweep, Train};

use crate::check::elab::Elab;
use crate::check::elab::value::{Val, float};
use crate::check::elab::world::Global;
use crate::check::train::callbacks::Reported;

/// More than this many axes, or values in a list, are a mistake.
const MOST: usize = 1000;

/// What a file trains; what its run reports is known where nothing is wrong with it.
pub struct Trained<'a> {
    pub block: &'a Train,
    pub reported: Option<&'a Reported>,
    pub epochs: usize,
    /// Whether the rows are held out in turn.
    pub folded: bool,
    /// Names on which what is read of the data depends.
    pub data_names: HashSet<Arc<str>>,
}

impl Elab<'_> {
    /// The block, and the values with which the program is to be checked.
    pub fn sweep(
        &mut self,
        s: &Sweep,
        span: Span,
        trained: Option<&Trained>,
    ) -> (Option<SweepSpec>, Vec<Probe>) {
        let before = self.diags.len();
        self.swept_model(&s.model, trained);
        let mut axes: Vec<Axis> = Vec::new();
        let mut places: Vec<Span> = Vec::new();
        let mut probes = Vec::new();
        for (name, values) in &s.axes {
            if let Some(at) = axes.iter().position(|a| a.name == *name.text) {
                let d = Diagnostic::error(Code::E0109, format!("`{}` is varied twice", name.text))
                    .label(name.span, "varied again here")
                    .label(places[at], "first varied here");
                self.diagnose(d);
                continue;
            }
            let known = self.swept_const(name, s);
            let Some(found) = self.sweep_values(values, &name.text, &mut probes) else {
                continue;
            };
            if known {
                places.push(name.span);
                axes.push(Axis {
                    name: name.text.to_string(),
                    values: found,
                    of_data: trained.is_some_and(|t| t.data_names.contains(&name.text)),
                });
            }
        }
        if s.axes.is_empty() || s.axes.len() > MOST {
            let d = Diagnostic::error(
                Code::E0710,
                format!("a sweep needs 1 to {MOST} hyperparameters"),
            )
            .label(s.model.span, format!("this has {}", s.axes.len()))
            .help("add a line such as `width in [16, 32, 64]`");
            self.diagnose(d);
        }
        let known = ["search", "minimize", "maximize"];
        let settings = self.settings(s.settings.iter(), &known, "a sweep");
        let goal = self.goal(&settings, s, trained);
        let epochs = trained.map(|t| t.epochs);
        let search = self.search(settings.get("search"), epochs, s.model.span);
        if let Some(search) = &search {
            self.can_be_gridded(&search.method, &axes, s);
        }
        let (Some(search), Some(goal)) = (search, goal) else {
            return (None, Vec::new());
        };
        if self.diags.len() > before {
            return (None, Vec::new());
        }
        let spec = SweepSpec {
            model: s.model.text.to_string(),
            axes,
            search,
            goal,
            span,
        };
        (Some(spec), probes)
    }

    /// A sweep runs the train block, so its model must be of that.
    fn swept_model(&mut self, model: &Ident, trained: Option<&Trained>) {
        match self.name(model) {
            Val::Model(_) => {}
            Val::Error => return,
            other => {
                self.error(
                    Code::E0103,
                    model.span,
                    format!("`{}` is not a model", model.text),
                    format!("this is {}", other.describe()),
                );
                return;
            }
        }
        let message = format!("`{}` is not trained", model.text);
        let d = Diagnostic::error(Code::E0707, message);
        let d = match trained {
            None => d
                .label(model.span, "there is no train block in the file")
                .help("add a train block: each trial runs it"),
            Some(t) if t.block.models.iter().any(|m| m.text == model.text) => return,
            Some(t) => {
                let d = d.label(model.span, "not in the train block");
                match t.block.models.first() {
                    Some(m) => d
                        .label(m.span, "this is trained")
                        .fix(model.span, m.text.to_string()),
                    None => d,
                }
            }
        };
        self.diagnose(d);
    }

    /// Whether an axis is a const of this file; what it is not is told.
    fn swept_const(&mut self, name: &Ident, s: &Sweep) -> bool {
        let found = self.world.globals.get(&name.text);
        let d = match found {
            Some((Global::Const, at)) if at.source == s.model.span.source => return true,
            Some((Global::Broken, _)) => return false,
            Some((Global::Const, at)) => {
                let message = format!("`{}` is a const of a different file", name.text);
                Diagnostic::error(Code::E0701, message)
                    .label(name.span, "a sweep can only vary consts of its own file")
                    .label(*at, "declared here")
                    .help("declare the const in this file: the best trial is written as a single file")
            }
            _ => {
                let globals = self.world.globals.iter();
                let consts = globals.filter(|(_, (g, _))| matches!(g, Global::Const));
                let mut consts: Vec<&str> = consts.map(|(k, _)| &**k).collect();
                consts.sort_unstable();
                let near = did_you_mean(&name.text, consts.iter().copied());
                let message = format!("a sweep varies consts, but `{}` is not a const", name.text);
                let d = Diagnostic::error(Code::E0701, message).label(name.span, "not a const");
                match near {
                    Some(near) => d
                        .help(format!("did you mean `{near}`?"))
                        .fix(name.span, near),
                    None if consts.is_empty() => d,
                    None => d.help(format!("the consts are: {}", consts.join(", "))),
                }
            }
        };
        self.diagnose(d);
        false
    }

    /// A list, a range, or `log(range)`.
    fn sweep_values(&mut self, e: &Expr, name: &str, probes: &mut Vec<Probe>) -> Option<Values> {
        let mut probe = |text: String, span: Span| {
            probes.push(Probe {
                name: name.to_owned(),
                text,
                span,
            });
        };
        match &e.kind {
            ExprKind::List(items) if items.is_empty() => self.bad_axis(e.span, "an empty list"),
            ExprKind::List(items) if items.len() > MOST => {
                self.bad_axis(e.span, &format!("a list of {}", items.len()))
            }
            ExprKind::List(items) => {
                let mut found: Vec<String> = Vec::new();
                for item in items {
                    if self.eval(item).is_error() {
                        return None;
                    }
                    let text = self.written(item.span);
                    if found.contains(&text) {
                        return self.bad_axis(item.span, &format!("`{text}` is listed twice"));
                    }
                    probe(text.clone(), item.span);
                    found.push(text);
                }
                Some(Values::Listed(found))
            }
            ExprKind::Range(a, b) => {
                let found = self.sweep_range(a, b, false, e.span)?;
                let (from, to) = ends(&found);
                probe(from, a.span);
                probe(to, b.span);
                Some(found)
            }
            ExprKind::Call { callee, args, .. } => match (&callee.kind, args.as_slice()) {
                (ExprKind::Name(f), [one]) if &*f.text == "log" && one.name.is_none() => {
                    let ExprKind::Range(a, b) = &one.value.kind else {
                        return self.bad_axis(one.value.span, "`log` needs a range, `a .. b`");
                    };
                    let found = self.sweep_range(a, b, true, one.value.span)?;
                    let (from, to) = ends(&found);
                    probe(from, a.span);
                    probe(to, b.span);
                    Some(found)
                }
                _ => self.bad_axis(e.span, "expected a list or a range"),
            },
            _ => self.bad_axis(e.span, "expected a list or a range"),
        }
    }

    fn sweep_range(&mut self, a: &Expr, b: &Expr, log: bool, span: Span) -> Option<Values> {
        let (x, y) = (self.eval(a), self.eval(b));
        if x.is_error() || y.is_error() {
            return None;
        }
        let (Some(from), Some(to)) = (float(&x), float(&y)) else {
            return self.bad_axis(span, "the ends of the range must be numbers");
        };
        if !from.is_finite() || !to.is_finite() || !(to - from).is_finite() {
            return self.bad_axis(span, "the ends of the range must be finite");
        }
        if from >= to {
            return self.bad_axis(span, "the end of the range must be above its start");
        }
        if log && from <= 0.0 {
            return self.bad_axis(a.span, "a logarithmic range must start above 0");
        }
        let whole = |v: &Val| match v {
            Val::Int(d) => d.as_const(),
            _ => None,
        };
        Some(match (whole(&x), whole(&y)) {
            (Some(from), Some(to)) => Values::Whole { from, to, log },
            _ => Values::Real { from, to, log },
        })
    }

    fn bad_axis<T>(&mut self, at: Span, what: &str) -> Option<T> {
        self.error(
            Code::E0702,
            at,
            "the values of a sweep must be a list, a range, or `log(a .. b)`",
            what.to_owned(),
        );
        None
    }

    /// The text of an expression, parentheses at its ends included.
    pub fn written(&self, span: Span) -> String {
        let map = self.world.map.borrow();
        let text = &map.get(span.source).text;
        let (mut start, mut end) = (span.start as usize, span.end as usize);
        let open = |t: &str| t.matches('(').count() as i64 - t.matches(')').count() as i64;
        while open(&text[start..end]) < 0 {
            match text[..start].rfind('(') {
                Some(at) => start = at,
                None => break,
            }
        }
        while open(&text[start..end]) > 0 {
            match text[end..].find(')') {
                Some(at) => end += at + 1,
                None => break,
            }
        }
        text[start..end].trim().to_owned()
    }

    /// A grid needs values that can be counted, and not too many of them.
    fn can_be_gridded(&mut self, method: &Method, axes: &[Axis], s: &Sweep) {
        /// A grid of more trials is a mistake.
        const MOST_TRIALS: usize = 100_000;
        let Method::Grid { points } = method else {
            return;
        };
        for (name, values) in &s.axes {
            let axis = axes.iter().find(|a| a.name == *name.text);
            if points.is_some() || axis.is_none_or(|a| a.values.count().is_some()) {
                continue;
            }
            let d = Diagnostic::error(Code::E0708, "grid search needs a finite number of values")
                .label(values.span, "this range is continuous")
                .help("list the values, divide every range with `grid(points = 5)`, or use `search random(trials = 20)`");
            self.diagnose(d);
        }
        let mut counts = axes.iter().map(|a| match (&a.values, points) {
            (Values::Listed(items), _) => Some(items.len()),
            (v, Some(points)) => Some(v.count().map_or(*points, |n| n.min(*points))),
            (v, None) => v.count(),
        });
        let all = counts.try_fold(1usize, |n, c| n.checked_mul(c?));
        if axes.len() == s.axes.len()
            && all.is_none_or(|n| n > MOST_TRIALS)
            && !axes
                .iter()
                .any(|a| points.is_none() && a.values.count().is_none())
        {
            let d = Diagnostic::error(
                Code::E0708,
                format!("a grid can have at most {MOST_TRIALS} combinations"),
            )
            .label(s.model.span, "these hyperparameters have more")
            .help("use `search random(trials = 20)`");
            self.diagnose(d);
        }
    }
}

/// The ends of a range, as a program would say them.
fn ends(values: &Values) -> (String, String) {
    match values {
        Values::Listed(items) => (items[0].clone(), items[items.len() - 1].clone()),
        Values::Whole { from, to, .. } => (from.to_string(), to.to_string()),
        Values::Real { from, to, .. } => (format!("{from:?}"), format!("{to:?}")),
    }
}

/// A value of an axis.
#[derive(Clone, Debug)]
pub struct Probe {
    pub name: String,
    pub text: String,
    pub span: Span,
}
