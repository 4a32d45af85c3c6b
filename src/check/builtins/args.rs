//! What a primitive's arguments are: found by name or place, and held to what is expected.

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::ir::{Dim, Elem, Shape};
use crate::plural;
use crate::span::Span;

use crate::check::elab::Elab;
use crate::check::elab::builtin::Args;
use crate::check::elab::type_errors::axes;
use crate::check::elab::value::{ArgVal, Tensor, Val};

impl Elab<'_> {
    /// The argument for a parameter, by name or position; `None` (reported) where it is missing.
    pub fn at(&mut self, a: &Args, param: &str) -> Option<Val> {
        match self.arg(a, param) {
            Some(arg) => Some(arg.val.clone()),
            None => {
                let d =
                    Diagnostic::error(Code::E0106, format!("`{}` needs `{param}`", a.builtin.name))
                        .label(a.span, format!("missing `{param}`"))
                        .note(format!(
                            "its arguments are: {}",
                            a.builtin.params.join(", ").replace('?', "")
                        ));
                self.diagnose(d);
                None
            }
        }
    }

    /// The argument for a parameter, if it is given. Unknown and surplus ones are reported.
    pub fn arg<'a>(&mut self, a: &'a Args, param: &str) -> Option<&'a ArgVal> {
        let params = a.builtin.params;
        let plain = |p: &str| p.trim_end_matches('?').to_string();
        if let Some(first) = params.first()
            && (plain(first) == param || *first == "...")
        {
            self.check_names(a);
        }
        let at = params.iter().position(|p| plain(p) == param)?;
        let mut position = 0;
        for arg in &a.args {
            match &arg.name {
                Some(n) if &*n.text == param => return Some(arg),
                Some(_) => {}
                // After `...`, only a name reaches a parameter.
                None if params.contains(&"...") => {}
                None => {
                    if position == at {
                        return Some(arg);
                    }
                    position += 1;
                }
            }
        }
        None
    }

    pub(super) fn check_names(&mut self, a: &Args) {
        let params = a.builtin.params;
        let known: Vec<&str> = params.iter().map(|p| p.trim_end_matches('?')).collect();
        for arg in &a.args {
            let Some(n) = &arg.name else { continue };
            if !known.contains(&&*n.text) {
                let mut d = Diagnostic::error(
                    Code::E0104,
                    format!("`{}` has no argument `{}`", a.builtin.name, n.text),
                )
                .label(n.span, "unknown argument");
                if let Some(stage) = (a.builtin.elsewhere)(&n.text) {
                    d = d.help(stage);
                } else if let Some(near) = did_you_mean(&n.text, known.iter().copied()) {
                    d = d.help(format!("did you mean `{near}`?")).fix(n.span, near);
                }
                self.diagnose(d);
            }
        }
        let positional = a.args.iter().filter(|a| a.name.is_none()).count();
        if !params.contains(&"...") && positional > params.len() {
            let d = Diagnostic::error(
                Code::E0107,
                format!(
                    "`{}` takes {}",
                    a.builtin.name,
                    plural::count(params.len(), "argument")
                ),
            )
            .label(a.span, format!("found {positional}"));
            self.diagnose(d);
        }
        for arg in &a.args {
            if let (Val::Error, Some(s)) = (&arg.val, &arg.symbol)
                && !matches!(&*s.text, "valid" | "same")
                && arg.name.as_ref().is_none_or(|n| &*n.text != "fill_mode")
            {
                let s = s.clone();
                if self.top().get(&s.text).is_none() {
                    self.unknown_name(&s);
                }
            }
        }
    }

    pub fn wrong(&mut self, a: &Args, param: &str, expected: &str, found: &Val) -> Val {
        if found.is_error() {
            return Val::Error;
        }
        let at = self.arg(a, param).map_or(a.span, |x| x.span);
        let d = Diagnostic::error(
            Code::E0301,
            format!("`{param}` of `{}` must be {expected}", a.builtin.name),
        )
        .label(at, format!("this is {}", found.describe()));
        self.diagnose(d)
    }

    pub fn tensor_at(&mut self, a: &Args, param: &str) -> Option<Tensor> {
        match self.at(a, param)? {
            Val::Tensor(t) => Some(t),
            Val::Error => None,
            v @ (Val::Int(_) | Val::Float(_)) => self.as_tensor(&v, Elem::F32, a.span),
            other => {
                let at = self.arg(a, param).map_or(a.span, |x| x.span);
                let d = Diagnostic::error(
                    Code::E0312,
                    format!("`{param}` of `{}` must be a tensor", a.builtin.name),
                )
                .label(at, format!("this is {}", other.describe()));
                self.diagnose(d);
                None
            }
        }
    }

    pub(super) fn shape_at(&mut self, a: &Args, param: &str) -> Option<Shape> {
        let at = self.arg(a, param).map_or(a.span, |x| x.span);
        match self.at(a, param)? {
            Val::List(items) => items
                .iter()
                .map(|v| self.positive_size(v.clone(), at))
                .collect(),
            Val::Error | Val::Unknown(_) => None,
            other => {
                self.wrong(a, param, "a list of sizes", &other);
                None
            }
        }
    }

    /// A number that a generic check does not know: `n` of `n: int`.
    pub fn is_open(&self, v: &Val) -> bool {
        match v {
            Val::Error | Val::Unknown(_) => true,
            Val::Int(d) => self.mode.generic && d.as_const().is_none(),
            _ => false,
        }
    }

    /// A list of small whole numbers; one number stands for all of `n`.
    pub fn counts_at(&mut self, a: &Args, param: &str, n: usize) -> Option<Vec<usize>> {
        let number = |v: &Val| match v {
            Val::Int(Dim::Const(c)) if *c > 0 => usize::try_from(*c).ok(),
            _ => None,
        };
        match self.arg(a, param).map(|x| x.val.clone()) {
            None => Some(vec![1; n]),
            Some(v) if self.is_open(&v) => None,
            Some(v @ Val::Int(_)) if number(&v).is_some() => {
                Some(vec![number(&v).expect("just seen"); n])
            }
            Some(Val::List(l)) if l.len() == n && l.iter().all(|v| number(v).is_some()) => {
                l.iter().map(number).collect()
            }
            Some(Val::List(l)) if l.iter().any(|v| self.is_open(v)) => None,
            Some(other) => {
                self.wrong(
                    a,
                    param,
                    &format!("a positive number or a list of {n}"),
                    &other,
                );
                None
            }
        }
    }

    pub fn flag_at(&mut self, a: &Args, param: &str, default: bool) -> bool {
        match self.arg(a, param).map(|x| x.val.clone()) {
            Some(Val::Bool(b)) => b,
            Some(Val::Error | Val::Unknown(_)) | None => default,
            Some(v) => {
                self.wrong(a, param, "true or false", &v);
                default
            }
        }
    }

    pub fn list_at(&mut self, a: &Args, param: &str) -> Option<std::rc::Rc<Vec<Val>>> {
        match self.at(a, param)? {
            Val::List(items) => Some(items),
            Val::Error => None,
            other => {
                self.wrong(a, param, "a list", &other);
                None
            }
        }
    }

    pub(super) fn filled(&mut self, a: &Args) -> Val {
        let (Some(items), Some(by)) = (self.list_at(a, "list"), self.list_at(a, "by")) else {
            return Val::Error;
        };
        if items.len() != by.len() {
            let expected = format!("a list of {}", by.len());
            return self.wrong(a, "list", &expected, &Val::List(items));
        }
        let pick = |(v, other): (&Val, &Val)| match v {
            Val::None => other.clone(),
            v => v.clone(),
        };
        Val::list(items.iter().zip(by.iter()).map(pick))
    }

    /// One axis; negative ones count from the end.
    pub(super) fn axis_at(
        &mut self,
        a: &Args,
        param: &str,
        rank: usize,
        default: Option<i64>,
    ) -> Option<usize> {
        let (v, at) = match self.arg(a, param) {
            Some(x) => (x.val.clone(), x.span),
            None => match default {
                Some(d) => (Val::Int(Dim::Const(d)), a.span),
                None => {
                    self.at(a, param)?;
                    return None;
                }
            },
        };
        self.axis(v, rank, at)
    }

    pub(super) fn axis(&mut self, v: Val, rank: usize, at: Span) -> Option<usize> {
        match v {
            Val::Int(Dim::Const(i)) => {
                let axis = if i < 0 { i + rank as i64 } else { i };
                if axis >= 0 && (axis as usize) < rank {
                    return Some(axis as usize);
                }
                let have = axes(rank);
                self.error(
                    Code::E0207,
                    at,
                    format!("axis {i} is out of range for a tensor of {have}"),
                    match rank {
                        0 => "a scalar has no axes".to_owned(),
                        1 => "the only axis is 0, or -1".to_owned(),
                        _ => format!("axes are 0 to {}; -1 is the last", rank - 1),
                    },
                );
                None
            }
            Val::Error | Val::Unknown(_) => None,
            // Any axis, as far as a generic check knows.
            Val::Int(_) if self.mode.generic => None,
            other => {
                self.error(
                    Code::E0301,
                    at,
                    "an axis must be an integer",
                    format!("this is {}", other.describe()),
                );
                None
            }
        }
    }

    /// Axes to reduce: all, one or a list.
    pub(super) fn axes_at(&mut self, a: &Args, rank: usize) -> Option<Vec<usize>> {
        let mut axes = match self.arg(a, "axis").map(|x| (x.val.clone(), x.span)) {
            None | Some((Val::None, _)) => (0..rank).collect(),
            Some((Val::List(l), at)) => l
                .iter()
                .map(|v| self.axis(v.clone(), rank, at))
                .collect::<Option<Vec<_>>>()?,
            Some((v, at)) => vec![self.axis(v, rank, at)?],
        };
        axes.sort_unstable();
        axes.dedup();
        Some(axes)
    }
}
