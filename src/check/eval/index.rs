//! `x[..]`: items of lists, slices of tensors.

use crate::diag::{Code, Diagnostic};
use crate::ir::{Dim, Prim, Shape};
use crate::span::Span;
use crate::syntax::ast::{Expr, IndexItem};

use crate::check::elab::Elab;
use crate::check::elab::value::{Tensor, Val};

impl Elab<'_> {
    pub(super) fn index(&mut self, v: Val, items: &[IndexItem], span: Span) -> Val {
        let v = match v {
            Val::Tuple(t) => Val::list(t.iter().map(|(_, v)| v.clone())),
            v => v,
        };
        match v {
            Val::Error => Val::Error,
            Val::List(list) => match items {
                [IndexItem::At(e)] => match self.eval(e) {
                    Val::List(at) => {
                        let picked: Vec<Val> = at
                            .iter()
                            .map(|v| self.list_item(&list, v, e.span))
                            .collect();
                        if picked.iter().any(Val::is_error) {
                            Val::Error
                        } else {
                            Val::list(picked)
                        }
                    }
                    at => self.list_item(&list, &at, e.span),
                },
                [
                    IndexItem::Slice {
                        start,
                        end,
                        step: None,
                        ..
                    },
                ] => self.part_of_list(&list, start.as_deref(), end.as_deref(), span),
                _ => self.error(
                    Code::E0301,
                    span,
                    "a list takes a single index",
                    "expected one index",
                ),
            },
            Val::Tensor(t) => self.slice(t, items, span),
            other => self.error(
                Code::E0301,
                span,
                format!("{} cannot be indexed", other.describe()),
                "indexed here",
            ),
        }
    }

    /// `list[1:]`, `list[:-2]`: what is outside is left out.
    fn part_of_list(
        &mut self,
        list: &[Val],
        start: Option<&Expr>,
        end: Option<&Expr>,
        span: Span,
    ) -> Val {
        let n = list.len() as i64;
        let mut bounds = [0, n];
        for (bound, e) in bounds.iter_mut().zip([start, end]) {
            let Some(e) = e else { continue };
            *bound = match self.eval(e) {
                Val::Int(Dim::Const(i)) => (if i < 0 { i + n } else { i }).clamp(0, n),
                v if self.is_open(&v) => return Val::Error,
                other => {
                    return self.error(
                        Code::E0301,
                        span,
                        "an index must be an integer",
                        format!("this is {}", other.describe()),
                    );
                }
            };
        }
        let [from, to] = bounds.map(|b| b as usize);
        Val::list(list.get(from..to).unwrap_or_default().iter().cloned())
    }

    /// `list[0]`, `list[-1]`
    fn list_item(&mut self, list: &[Val], at: &Val, span: Span) -> Val {
        match at {
            Val::Int(Dim::Const(i)) => {
                let from_start = if *i < 0 { i + list.len() as i64 } else { *i };
                match usize::try_from(from_start).ok().and_then(|i| list.get(i)) {
                    Some(v) => v.clone(),
                    None => self.error(
                        Code::E0208,
                        span,
                        format!("index {i} is out of bounds for a list of {}", list.len()),
                        "outside",
                    ),
                }
            }
            v if self.is_open(v) => Val::Error,
            other => self.error(
                Code::E0301,
                span,
                "an index must be an integer",
                format!("this is {}", other.describe()),
            ),
        }
    }

    /// `x[.., 0, 1:3]`: a slice, then the axes indexed by one number dropped.
    fn slice(&mut self, t: Tensor, items: &[IndexItem], span: Span) -> Val {
        let rest = items.iter().position(|i| matches!(i, IndexItem::Rest(_)));
        let named = items.len() - usize::from(rest.is_some());
        if named > t.ty.rank() {
            return self.error(
                Code::E0201,
                span,
                format!("too many indices: {named} for {t}"),
                "expected at most one index per axis",
            );
        }
        let skip = t.ty.rank() - named;
        let (mut starts, mut ends, mut steps): (Vec<Dim>, Vec<Dim>, Vec<usize>) =
            Default::default();
        let mut kept = Shape::new();
        let mut dropped = false;
        let whole =
            |axis: usize, starts: &mut Vec<Dim>, ends: &mut Vec<Dim>, steps: &mut Vec<usize>| {
                starts.push(Dim::ZERO);
                ends.push(t.ty.shape[axis].clone());
                steps.push(1);
            };
        for (i, item) in items.iter().enumerate() {
            let axis = starts.len();
            match item {
                IndexItem::Rest(_) => {
                    for a in axis..axis + skip {
                        whole(a, &mut starts, &mut ends, &mut steps);
                        kept.push(t.ty.shape[a].clone());
                    }
                }
                IndexItem::At(e) => {
                    let v = self.eval(e);
                    let size = &t.ty.shape[axis];
                    let written = self.source_text(e.span);
                    let Some(at) = self.offset(v, size, e.span) else {
                        return Val::Error;
                    };
                    let inside = match (at.as_const(), size.as_const()) {
                        (Some(i), Some(n)) => (0..n).contains(&i),
                        (Some(i), None) => i >= 0,
                        _ => true,
                    };
                    if !inside {
                        return self.error(
                            Code::E0208,
                            e.span,
                            format!("index {written} is out of bounds for axis {axis} of {t}"),
                            format!("the axis has size {size}"),
                        );
                    }
                    let Ok(end) = at.add(&Dim::ONE) else {
                        return Val::Error;
                    };
                    starts.push(at);
                    ends.push(end);
                    steps.push(1);
                    dropped = true;
                }
                IndexItem::Slice {
                    start,
                    end,
                    step,
                    span,
                } => {
                    let size = t.ty.shape[axis].clone();
                    let s = match start {
                        Some(e) => {
                            let v = self.eval(e);
                            self.offset(v, &size, e.span)
                        }
                        None => Some(Dim::ZERO),
                    };
                    let e = match end {
                        Some(e) => {
                            let v = self.eval(e);
                            self.offset(v, &size, e.span)
                        }
                        None => Some(size),
                    };
                    let by = match step {
                        Some(e) => match self.eval(e) {
                            Val::Int(Dim::Const(n)) if n > 0 => n as usize,
                            v if self.is_open(&v) => return Val::Error,
                            _ => {
                                return self.error(
                                    Code::E0208,
                                    e.span,
                                    "the step of a slice must be a positive integer",
                                    "invalid step",
                                );
                            }
                        },
                        None => 1,
                    };
                    let (Some(s), Some(e)) = (s, e) else {
                        return Val::Error;
                    };
                    let step = Dim::from(by);
                    let len = e
                        .sub(&s)
                        .and_then(|d| d.add(&step))
                        .and_then(|d| d.sub(&Dim::ONE))
                        .and_then(|d| d.div(&step));
                    match len {
                        Ok(len) => kept.push(len),
                        Err(err) => return self.type_error(err.into(), *span),
                    }
                    starts.push(s);
                    ends.push(e);
                    steps.push(by);
                }
            }
            if i + 1 == items.len() && rest.is_none() {
                for a in starts.len()..t.ty.rank() {
                    whole(a, &mut starts, &mut ends, &mut steps);
                    kept.push(t.ty.shape[a].clone());
                }
            }
        }
        let meaning = t.meaning.clone();
        match self.emit(
            Prim::Slice {
                starts,
                ends,
                steps,
            },
            &[&t],
            meaning.clone(),
            span,
        ) {
            Val::Tensor(s) if dropped => self.emit(Prim::Reshape(kept), &[&s], meaning, span),
            other => other,
        }
    }

    /// A position on an axis: negative ones count from the end.
    fn offset(&mut self, v: Val, size: &Dim, span: Span) -> Option<Dim> {
        match v {
            Val::Int(d) if d.sign() == Some(std::cmp::Ordering::Less) => match d.add(size) {
                Ok(d) => Some(d),
                Err(e) => {
                    self.type_error(e.into(), span);
                    None
                }
            },
            Val::Int(d) => Some(d),
            Val::Error | Val::Unknown(_) => None,
            other => {
                let d = Diagnostic::error(
                    Code::E0301,
                    "an index must be an integer known at compile time",
                )
                .label(span, format!("this is {}", other.describe()))
                .help("use `gather(x, indices)` for computed indices");
                self.diagnose(d);
                None
            }
        }
    }
}
