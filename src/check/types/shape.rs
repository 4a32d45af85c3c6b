//! Shapes, and the broadcasting rule: a scalar combines with anything, `[.., n]` with `[n]`, and equal ranks
//! stretch an axis of 1. Nothing else.

use smallvec::SmallVec;

use crate::diag::{Code, Diagnostic};
use crate::ir::ty::ShapeText;
use crate::ir::{Dim, Elem, Shape};
use crate::span::Span;

use crate::check::elab::Elab;
use crate::check::elab::value::{Meaning, Tensor, Val};

fn wider(a: Elem, b: Elem) -> Elem {
    let rank = |e: Elem| match e {
        Elem::Bool => 0,
        Elem::U8 => 1,
        Elem::I32 => 2,
        Elem::F32 => 3,
        Elem::F64 => 4,
    };
    if rank(a) >= rank(b) { a } else { b }
}

/// The broadcasting rule.
pub(crate) fn broadcast_shape(a: &Shape, b: &Shape) -> Option<Shape> {
    let (long, short) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    if long.len() > short.len() {
        return long.ends_with(short).then(|| long.clone());
    }
    let pairs: SmallVec<[Option<Dim>; 4]> = a
        .iter()
        .zip(b)
        .map(|(x, y)| match (x, y) {
            (x, y) if x == y => Some(x.clone()),
            (Dim::Const(1), y) => Some(y.clone()),
            (x, Dim::Const(1)) => Some(x.clone()),
            _ => None,
        })
        .collect();
    pairs.into_iter().collect()
}

/// What numpy would do.
fn loose_shape(a: &Shape, b: &Shape) -> Option<Shape> {
    let n = a.len().max(b.len());
    let at = |s: &Shape, i: usize| {
        (i + s.len())
            .checked_sub(n)
            .map_or(Dim::ONE, |j| s[j].clone())
    };
    (0..n)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y => Some(x),
            (Dim::Const(1), y) => Some(y),
            (x, Dim::Const(1)) => Some(x),
            _ => None,
        })
        .collect()
}

impl Elab<'_> {
    /// `x` as a tensor of quantities: ids are refused, pixels become `f32`.
    pub fn quantity(&mut self, t: Tensor, span: Span, what: &str) -> Option<Tensor> {
        if t.meaning.is_id() {
            let (name, key) = match t.meaning {
                Meaning::Class(_) => ("class indices", "class"),
                _ => ("token ids", "token"),
            };
            let repair = match crate::library::proposal(key) {
                Some(d) => format!("use `{d}` to turn each into a vector"),
                None => "turn each into a vector".into(),
            };
            let d = Diagnostic::error(
                Code::E0302,
                format!("{name} are names, not quantities: they cannot be {what}"),
            )
            .label(span, format!("this is {t}"))
            .help(format!(
                "{repair}, or `cast(.., real)` if the numbers themselves are meant"
            ));
            self.diagnose(d);
            return None;
        }
        match t.ty.elem {
            Elem::U8 => self.cast(t, Elem::F32, span),
            _ => Some(t),
        }
    }

    /// Both of one element type and shape, by the broadcasting rule.
    pub fn align(&mut self, a: &Val, b: &Val, what: &str, span: Span) -> Option<(Tensor, Tensor)> {
        let elem = self.common_elem(a, b);
        let x = self.as_tensor(a, elem, span)?;
        let y = self.as_tensor(b, elem, span)?;
        let elem = wider(x.ty.elem, y.ty.elem);
        let x = self.cast(x, elem, span)?;
        let y = self.cast(y, elem, span)?;
        self.align_shapes(x, y, what, span)
    }

    pub fn align_shapes(
        &mut self,
        x: Tensor,
        y: Tensor,
        what: &str,
        span: Span,
    ) -> Option<(Tensor, Tensor)> {
        match broadcast_shape(&x.ty.shape, &y.ty.shape) {
            Some(shape) => Some((
                self.stretch(x, &shape, span)?,
                self.stretch(y, &shape, span)?,
            )),
            None => {
                self.refuse_broadcast(&x, &y, what, span);
                None
            }
        }
    }

    fn common_elem(&self, a: &Val, b: &Val) -> Elem {
        let elem = |v: &Val| match v {
            Val::Tensor(t) => Some(t.ty.elem),
            _ => None,
        };
        let e = match (elem(a), elem(b)) {
            (Some(x), Some(y)) => wider(x, y),
            (Some(x), None) | (None, Some(x)) => x,
            (None, None) => Elem::F32,
        };
        let fractional = [a, b].iter().any(|v| matches!(v, Val::Float(_)));
        if fractional && !e.is_float() {
            Elem::F32
        } else {
            e
        }
    }

    fn refuse_broadcast(&mut self, x: &Tensor, y: &Tensor, what: &str, span: Span) {
        let unsure = |a: &Dim, b: &Dim| a != b && a.sub(b).map_or(true, |d| d.as_const().is_none());
        if self.mode.generic
            && x.ty
                .shape
                .iter()
                .rev()
                .zip(y.ty.shape.iter().rev())
                .any(|(a, b)| unsure(a, b))
            && x.ty.rank() == y.ty.rank()
        {
            return;
        }
        match loose_shape(&x.ty.shape, &y.ty.shape) {
            Some(would) => {
                let d = Diagnostic::error(
                    Code::E0204,
                    format!(
                        "`{what}` would silently broadcast {x} and {y} to {}",
                        ShapeText(&would)
                    ),
                );
                let d = self
                    .label_operands(d, x, y, span)
                    .note("a scalar combines with any tensor, `[.., n]` with `[n]`, and tensors of equal rank stretch an axis of size 1");
                let d = match self.lined_up(x, y, what) {
                    Some(written) => d.help(written),
                    None => d.help(
                        "use `expand(x, axis)` to add an axis of size 1, or `squeeze(x, axis)` to remove one",
                    ),
                };
                self.diagnose(d);
            }
            None => {
                let d = Diagnostic::error(
                    Code::E0203,
                    format!("shapes do not match: {x} `{what}` {y}"),
                );
                let d = self.label_operands(d, x, y, span);
                let (a, b) = (&x.ty.shape, &y.ty.shape);
                let matrices = what == "*" && b.len() == 2 && a.last() == b.first();
                let d = match self.lined_up(x, y, what) {
                    Some(written) => d.help(written),
                    None if matrices => d.help("write `@` for the product of matrices"),
                    None => d,
                };
                self.diagnose(d);
            }
        }
    }

    /// Both shapes, each at its operand.
    pub fn label_operands(&self, d: Diagnostic, x: &Tensor, y: &Tensor, span: Span) -> Diagnostic {
        match self.operands() {
            Some((a, b)) => d
                .label(a, format!("this is {x}"))
                .label(b, format!("this is {y}")),
            None => d.label(span, "these shapes do not match"),
        }
    }

    /// What would make two operands agree, as text, where an axis of 1 is all that is missing.
    fn lined_up(&self, x: &Tensor, y: &Tensor, op: &str) -> Option<String> {
        let (a, b) = self.operands()?;
        let (a, b) = (self.source_text(a), self.source_text(b));
        let plain = |t: &str| !t.is_empty() && t.chars().all(|c| c.is_alphanumeric() || c == '_');
        if !plain(&a) || !plain(&b) {
            return None;
        }
        // All axes but the last agree: is the last one a 1?
        let one_more = |long: &Tensor, short: &Tensor| {
            let (last, front) = long.ty.shape.split_last()?;
            (*front == short.ty.shape[..]).then(|| *last == Dim::ONE)
        };
        let (long, short, swapped) = if x.ty.rank() > y.ty.rank() {
            (x, y, false)
        } else {
            (y, x, true)
        };
        let unit = one_more(long, short)?;
        let write = |long: String, short: String| {
            if swapped {
                format!("{short} {op} {long}")
            } else {
                format!("{long} {op} {short}")
            }
        };
        let (l, s) = if swapped { (b, a) } else { (a, b) };
        let expanded = write(l.clone(), format!("expand({s}, -1)"));
        Some(if unit {
            let squeezed = write(format!("squeeze({l}, -1)"), s);
            format!(
                "write `{squeezed}` to get {}, or `{expanded}` to get {}",
                ShapeText(&short.ty.shape),
                ShapeText(&long.ty.shape)
            )
        } else {
            format!("write `{expanded}` to get {}", ShapeText(&long.ty.shape))
        })
    }
}

impl Elab<'_> {
    /// A size of an axis: an integer of at least 0.
    pub fn positive_size(&mut self, v: Val, span: Span) -> Option<Dim> {
        match v {
            Val::Int(d) if d.sign() == Some(std::cmp::Ordering::Less) => {
                self.error(
                    Code::E0210,
                    span,
                    "a size cannot be negative",
                    format!("this is {d}"),
                );
                None
            }
            Val::Int(d) => Some(d),
            Val::Error | Val::Unknown(_) => None,
            other => {
                self.error(
                    Code::E0301,
                    span,
                    "a size must be an integer",
                    format!("this is {}", other.describe()),
                );
                None
            }
        }
    }
}
