//! Arithmetic on values: compile-time numbers stay numbers, tensors combine by
//! the broadcasting rule. A scalar combines with anything; `[.., n]` with `[n]`;
//! equal ranks stretch an axis of literal 1. Nothing else.

use crate::diag::{Code, Diagnostic};
use crate::ir::prim::{Binary, Compare, DotDims, Unary};
use crate::ir::{Dim, Elem, Prim};
use crate::span::Span;
use crate::syntax::ast::BinaryOp;

use crate::check::elab::Elab;
use crate::check::elab::pattern::NONE;
use crate::check::elab::value::{Kind, Meaning, Tensor, Val, float};

/// A longer list in a program is a mistake.
const MAX_LIST: usize = 4096;

impl Elab<'_> {
    pub fn binary(&mut self, op: BinaryOp, a: Val, b: Val, span: Span) -> Val {
        match (&a, &b) {
            (Val::Error, _) | (_, Val::Error) => Val::Error,
            // `x == none`: whether an argument is given.
            (Val::None, _) | (_, Val::None) if matches!(op, BinaryOp::Eq | BinaryOp::Ne) => {
                self.number_equal(op, &a, &b, span)
            }
            (Val::Tensor(_), _) | (_, Val::Tensor(_)) => self.tensor_binary(op, a, b, span),
            (Val::List(x), Val::List(y)) if op == BinaryOp::Add => {
                if x.len() + y.len() > MAX_LIST {
                    return self.error(
                        Code::E0116,
                        span,
                        format!("a list can have at most {MAX_LIST} items"),
                        format!("this has {}", x.len() + y.len()),
                    );
                }
                Val::list(x.iter().chain(y.iter()).cloned())
            }
            _ if matches!(op, BinaryOp::Eq | BinaryOp::Ne) => self.number_equal(op, &a, &b, span),
            _ => self.number_binary(op, &a, &b, span),
        }
    }

    pub(super) fn negate(&mut self, a: Val, span: Span) -> Val {
        match a {
            Val::Int(d) => match d.neg() {
                Ok(d) => Val::Int(d),
                Err(e) => self.type_error(e.into(), span),
            },
            Val::Float(x) => Val::Float(-x),
            Val::Unknown(Kind::Int | Kind::Float) => a,
            Val::Tensor(t) => {
                let Some(t) = self.quantity(t, span, "negated") else {
                    return Val::Error;
                };
                self.emit(Prim::Unary(Unary::Neg), &[&t], Meaning::Real, span)
            }
            Val::Error => Val::Error,
            other => self.not_defined("-", &other, None, span),
        }
    }

    pub(super) fn not(&mut self, a: Val, span: Span) -> Val {
        match a {
            Val::Bool(b) => Val::Bool(!b),
            Val::Unknown(Kind::Bool) | Val::Error => a,
            Val::Tensor(t) if t.ty.elem == Elem::Bool => {
                self.emit(Prim::Unary(Unary::Not), &[&t], Meaning::Real, span)
            }
            other => self.not_defined("not", &other, None, span),
        }
    }

    fn matmul(&mut self, a: Val, b: Val, span: Span) -> Val {
        let (Some(a), Some(b)) = (self.matrix_operand(a, span), self.matrix_operand(b, span))
        else {
            return Val::Error;
        };
        let (ra, rb) = (a.ty.rank(), b.ty.rank());
        if ra == 0 || rb == 0 {
            return self.error(
                Code::E0205,
                span,
                "a matrix product needs at least one axis on each side",
                format!("this multiplies {a} by {b}"),
            );
        }
        // Matrices on the right apply to the last axis; two stacks pair their leading axes.
        let batch = rb.saturating_sub(2);
        let inner = rb.saturating_sub(2);
        let leading = |t: &Tensor| t.ty.shape[..batch.min(t.ty.rank())].to_vec();
        if batch > 0 && (ra < batch + 1 || leading(&a) != leading(&b)) {
            let d = Diagnostic::error(
                Code::E0205,
                "the leading axes of two stacks of matrices must match",
            );
            let d = self.label_operands(d, &a, &b, span);
            return self.diagnose(d);
        }
        let (n, m) = (&a.ty.shape[ra - 1], &b.ty.shape[inner]);
        if n != m {
            if self.mode.generic && n.sub(m).is_ok_and(|d| d.as_const().is_none()) {
                return Val::Error;
            }
            let d = Diagnostic::error(
                Code::E0205,
                format!("cannot multiply {a} by {b}: the inner sizes are {n} and {m}"),
            );
            let d = self.label_operands(d, &a, &b, span).help(
                "the last axis of the left and the second to last axis of the right must be equal",
            );
            return self.diagnose(d);
        }
        let dims = DotDims {
            batch: (0..batch).map(|i| (i, i)).collect(),
            contract: vec![(ra - 1, inner)],
        };
        self.emit(Prim::Dot(dims), &[&a, &b], Meaning::Real, span)
    }

    fn matrix_operand(&mut self, v: Val, span: Span) -> Option<Tensor> {
        let t = self.as_tensor(&v, Elem::F32, span)?;
        let t = self.quantity(t, span, "multiplied")?;
        let elem = if t.ty.elem == Elem::F64 {
            Elem::F64
        } else {
            Elem::F32
        };
        self.cast(t, elem, span)
    }

    fn tensor_binary(&mut self, op: BinaryOp, a: Val, b: Val, span: Span) -> Val {
        let symbol = op.symbol();
        let compare = |c| Some(Prim::Compare(c));
        let prim = match op {
            BinaryOp::MatMul => return self.matmul(a, b, span),
            BinaryOp::Pow => return self.power(a, b, span),
            BinaryOp::And | BinaryOp::Or => {
                let ok = |v: &Val| match v {
                    Val::Tensor(t) => t.ty.elem == Elem::Bool,
                    Val::Bool(_) => true,
                    _ => false,
                };
                if !ok(&a) || !ok(&b) {
                    let bad = if ok(&a) { b } else { a };
                    return self.not_defined(symbol, &bad, None, span);
                }
                Prim::Binary(if op == BinaryOp::And {
                    Binary::And
                } else {
                    Binary::Or
                })
            }
            BinaryOp::Eq => return self.compare(Compare::Eq, a, b, span),
            BinaryOp::Ne => return self.compare(Compare::Ne, a, b, span),
            BinaryOp::Lt => compare(Compare::Lt).expect("a comparison"),
            BinaryOp::Le => compare(Compare::Le).expect("a comparison"),
            BinaryOp::Gt => compare(Compare::Gt).expect("a comparison"),
            BinaryOp::Ge => compare(Compare::Ge).expect("a comparison"),
            BinaryOp::Add => Prim::Binary(Binary::Add),
            BinaryOp::Sub => Prim::Binary(Binary::Sub),
            BinaryOp::Mul => Prim::Binary(Binary::Mul),
            BinaryOp::Div => Prim::Binary(Binary::Div),
            BinaryOp::Rem => Prim::Binary(Binary::Rem),
        };
        let (Some(mut a), Some(mut b)) =
            (self.operand(a, symbol, span), self.operand(b, symbol, span))
        else {
            return Val::Error;
        };
        if op == BinaryOp::Div {
            // Division gives quantities, also between counts.
            for v in [&mut a, &mut b] {
                if let Val::Tensor(t) = &*v
                    && t.ty.elem == Elem::I32
                {
                    let Some(t) = self.cast(t.clone(), Elem::F32, span) else {
                        return Val::Error;
                    };
                    *v = Val::Tensor(t);
                }
            }
        }
        match self.align(&a, &b, symbol, span) {
            Some((x, y)) => self.emit(prim, &[&x, &y], Meaning::Real, span),
            None => Val::Error,
        }
    }

    /// An operand of arithmetic: ids are refused, pixels become `f32`, truth values are refused.
    fn operand(&mut self, v: Val, symbol: &str, span: Span) -> Option<Val> {
        match v {
            Val::Tensor(t) => {
                if t.ty.elem == Elem::Bool && !matches!(symbol, "and" | "or") {
                    let d = Diagnostic::error(
                        Code::E0309,
                        format!("`{symbol}` takes numbers, not booleans"),
                    )
                    .label(span, format!("one side is {t}"))
                    .help("use `cast(.., real)` to turn them into 0 and 1");
                    self.diagnose(d);
                    return None;
                }
                self.quantity(t, span, &format!("used with `{symbol}`"))
                    .map(Val::Tensor)
            }
            Val::Int(_) | Val::Float(_) | Val::Bool(_) | Val::Unknown(_) => Some(v),
            other => {
                self.not_defined(symbol, &other, None, span);
                None
            }
        }
    }

    /// Equality works on ids too, and on truth values.
    fn compare(&mut self, c: Compare, a: Val, b: Val, span: Span) -> Val {
        for v in [&a, &b] {
            if !matches!(
                v,
                Val::Tensor(_) | Val::Int(_) | Val::Float(_) | Val::Bool(_) | Val::Unknown(_)
            ) {
                return self.not_defined(c.name(), v, None, span);
            }
        }
        match self.align(&a, &b, "==", span) {
            Some((x, y)) => self.emit(Prim::Compare(c), &[&x, &y], Meaning::Real, span),
            None => Val::Error,
        }
    }

    /// Small whole powers multiply; others need a float.
    fn power(&mut self, a: Val, b: Val, span: Span) -> Val {
        let (Some(a), Some(b)) = (self.operand(a, "^", span), self.operand(b, "^", span)) else {
            return Val::Error;
        };
        let whole = match &b {
            Val::Int(d) => d.as_const(),
            Val::Float(x) if x.fract() == 0.0 => Some(*x as i64),
            _ => None,
        };
        if let (Val::Tensor(x), Some(n @ 1..=4)) = (&a, whole) {
            let mul = |el: &mut Self, p: &Tensor, q: &Tensor| {
                el.emit(Prim::Binary(Binary::Mul), &[p, q], Meaning::Real, span)
            };
            let square = |el: &mut Self| mul(el, x, x);
            return match n {
                1 => a,
                2 => square(self),
                3 => match square(self) {
                    Val::Tensor(s) => mul(self, &s, x),
                    other => other,
                },
                _ => match square(self) {
                    Val::Tensor(s) => mul(self, &s, &s),
                    other => other,
                },
            };
        }
        let float = |el: &mut Self, v: Val| match v {
            Val::Tensor(t) if t.ty.elem == Elem::I32 => {
                el.cast(t, Elem::F32, span).map(Val::Tensor)
            }
            Val::Int(d) => d
                .as_const()
                .map(|c| Val::Float(c as f64))
                .or(Some(Val::Int(d))),
            other => Some(other),
        };
        let (Some(a), Some(b)) = (float(self, a), float(self, b)) else {
            return Val::Error;
        };
        match self.align(&a, &b, "^", span) {
            Some((x, y)) => self.emit(Prim::Binary(Binary::Pow), &[&x, &y], Meaning::Real, span),
            None => Val::Error,
        }
    }

    /// A power of whole numbers: whole, unless the exponent is negative.
    fn whole_power(&mut self, x: &Dim, y: &Dim, span: Span) -> Val {
        let exponent = match (x.as_const(), y.as_const()) {
            (Some(x), Some(n)) if n < 0 => return Val::Float((x as f64).powf(n as f64)),
            (Some(_), n) => n,
            (None, n) => n.filter(|n| (0..=8).contains(n)),
        };
        let Some(mut n) = exponent else {
            if self.mode.generic {
                return Val::Unknown(Kind::Float);
            }
            let [x, y] = [x, y].map(|d| Val::Int(d.clone()));
            return self.tensor_from_numbers(BinaryOp::Pow, &x, &y, span);
        };
        let mut power = || {
            let (mut square, mut power) = (x.clone(), Dim::ONE);
            while n > 0 {
                if n % 2 == 1 {
                    power = power.mul(&square)?;
                }
                n /= 2;
                if n > 0 {
                    square = square.mul(&square)?;
                }
            }
            Ok(power)
        };
        let power: Result<Dim, crate::ir::DimError> = power();
        power.map_or_else(|e| self.type_error(e.into(), span), Val::Int)
    }

    fn number_binary(&mut self, op: BinaryOp, a: &Val, b: &Val, span: Span) -> Val {
        use BinaryOp as O;
        if let (Val::Int(x), Val::Int(y)) = (a, b) {
            let int = |r: Result<Dim, _>| r.map(Val::Int);
            let r = match op {
                O::Add => int(x.add(y)),
                O::Sub => int(x.sub(y)),
                O::Mul => int(x.mul(y)),
                O::Rem => int(x.rem(y)),
                O::Div => return self.divide(x, y, span),
                O::Pow => return self.whole_power(x, y, span),
                _ => return self.number_compare(op, a, b, span),
            };
            return r.unwrap_or_else(|e| self.type_error(e.into(), span));
        }
        if let (Val::Bool(x), Val::Bool(y)) = (a, b) {
            match op {
                O::And => return Val::Bool(*x && *y),
                O::Or => return Val::Bool(*x || *y),
                _ => {}
            }
        }
        // An unknown does not decide, but a known side may.
        if matches!(op, O::And | O::Or)
            && matches!(a, Val::Unknown(Kind::Bool)) | matches!(b, Val::Unknown(Kind::Bool))
        {
            return match (op, a, b) {
                (O::And, Val::Bool(false), _) | (O::And, _, Val::Bool(false)) => Val::Bool(false),
                (O::Or, Val::Bool(true), _) | (O::Or, _, Val::Bool(true)) => Val::Bool(true),
                _ => Val::Unknown(Kind::Bool),
            };
        }
        let number = |v: &Val| {
            matches!(
                v,
                Val::Int(_) | Val::Float(_) | Val::Unknown(Kind::Int | Kind::Float)
            )
        };
        if number(a) && number(b) {
            if matches!(op, O::Lt | O::Le | O::Gt | O::Ge) {
                return self.number_compare(op, a, b, span);
            }
            let (x, y) = match (float(a), float(b)) {
                (Some(x), Some(y)) => (x, y),
                _ if matches!(a, Val::Unknown(_))
                    || matches!(b, Val::Unknown(_))
                    || self.mode.generic =>
                {
                    return Val::Unknown(Kind::Float);
                }
                // A size that is not known yet: go on as scalars.
                _ => return self.tensor_from_numbers(op, a, b, span),
            };
            return Val::Float(match op {
                O::Add => x + y,
                O::Sub => x - y,
                O::Mul => x * y,
                O::Div => x / y,
                O::Rem => x - (x / y).floor() * y,
                O::Pow => x.powf(y),
                _ => return self.not_defined(op.symbol(), a, Some(b), span),
            });
        }
        if let (Val::Float(w), Val::Def(_)) | (Val::Def(_), Val::Float(w)) = (a, b) {
            return self.weighted(op, *w, if matches!(a, Val::Def(_)) { a } else { b }, span);
        }
        if let (Val::Int(w), Val::Def(_)) | (Val::Def(_), Val::Int(w)) = (a, b)
            && let Some(w) = w.as_const()
        {
            return self.weighted(
                op,
                w as f64,
                if matches!(a, Val::Def(_)) { a } else { b },
                span,
            );
        }
        self.not_defined(op.symbol(), a, Some(b), span)
    }

    /// `0.2 * mse`: a loss with a weight.
    fn weighted(&mut self, op: BinaryOp, w: f64, def: &Val, span: Span) -> Val {
        if op == BinaryOp::Mul {
            Val::Weighted(w, Box::new(def.clone()))
        } else {
            self.not_defined(op.symbol(), def, None, span)
        }
    }

    /// Sizes divide to sizes where that comes out even, else to a number.
    fn divide(&mut self, x: &Dim, y: &Dim, span: Span) -> Val {
        // `(n - 1) / (n - 1)` is not 1 where n is
        let may_be_zero = x == y && y.sign().is_none();
        if !may_be_zero && let Some(q) = x.div_exact(y) {
            return Val::Int(q);
        }
        match (x.as_const(), y.as_const()) {
            (_, Some(0)) => self.type_error(crate::ir::DimError::DivisionByZero.into(), span),
            (Some(a), Some(b)) => match a.checked_rem(b) {
                None => self.type_error(crate::ir::DimError::Overflow.into(), span),
                Some(0) => Val::Int(Dim::Const(a / b)),
                Some(_) => Val::Float(a as f64 / b as f64),
            },
            _ if self.mode.generic => Val::Unknown(Kind::Float),
            _ => self.tensor_from_numbers(
                BinaryOp::Div,
                &Val::Int(x.clone()),
                &Val::Int(y.clone()),
                span,
            ),
        }
    }

    fn tensor_from_numbers(&mut self, op: BinaryOp, a: &Val, b: &Val, span: Span) -> Val {
        match self.as_tensor(a, Elem::F32, span) {
            Some(t) => self.tensor_binary(op, Val::Tensor(t), b.clone(), span),
            None => Val::Error,
        }
    }

    fn number_compare(&mut self, op: BinaryOp, a: &Val, b: &Val, span: Span) -> Val {
        let order = match (a, b) {
            (Val::Int(x), Val::Int(y)) => match x.sub(y).ok().and_then(|d| d.sign()) {
                Some(order) => Some(order),
                None => return Val::Unknown(Kind::Bool),
            },
            _ => match (float(a), float(b)) {
                (Some(x), Some(y)) => x.partial_cmp(&y),
                _ => return Val::Unknown(Kind::Bool),
            },
        };
        Val::Bool(match op {
            BinaryOp::Lt => order.is_some_and(|o| o.is_lt()),
            BinaryOp::Le => order.is_some_and(|o| o.is_le()),
            BinaryOp::Gt => order.is_some_and(|o| o.is_gt()),
            BinaryOp::Ge => order.is_some_and(|o| o.is_ge()),
            _ => return self.not_defined(op.symbol(), a, Some(b), span),
        })
    }

    fn number_equal(&mut self, op: BinaryOp, a: &Val, b: &Val, span: Span) -> Val {
        let equal = match (a, b) {
            (Val::Int(x), Val::Int(y)) if x == y => true,
            (Val::Int(x), Val::Int(y)) => match x.sub(y).ok().and_then(|d| d.as_const()) {
                Some(_) => false,
                None => return Val::Unknown(Kind::Bool),
            },
            (Val::Unknown(_), _) | (_, Val::Unknown(_)) => return Val::Unknown(Kind::Bool),
            (Val::None, Val::None) => true,
            // A choice of `symbol[none, ..]`.
            (Val::Symbol(s), Val::None) | (Val::None, Val::Symbol(s)) => &**s == NONE,
            (Val::None, _) | (_, Val::None) => false,
            (Val::Bool(x), Val::Bool(y)) => x == y,
            (Val::List(x), Val::List(y)) => return self.lists_equal(op, x, y, span),
            (Val::Str(x), Val::Str(y)) | (Val::Symbol(x), Val::Symbol(y)) => x == y,
            _ => match (float(a), float(b)) {
                (Some(x), Some(y)) => x == y,
                _ => return self.not_defined(op.symbol(), a, Some(b), span),
            },
        };
        Val::Bool(equal == (op == BinaryOp::Eq))
    }

    /// Item by item; one that is not known leaves it open unless another differs.
    fn lists_equal(&mut self, op: BinaryOp, x: &[Val], y: &[Val], span: Span) -> Val {
        let (mut equal, mut known) = (x.len() == y.len(), true);
        for (p, q) in x.iter().zip(y) {
            match self.binary(BinaryOp::Eq, p.clone(), q.clone(), span) {
                Val::Bool(same) => equal &= same,
                Val::Unknown(_) => known = false,
                _ => return Val::Error,
            }
        }
        if equal && !known {
            return Val::Unknown(Kind::Bool);
        }
        Val::Bool(equal == (op == BinaryOp::Eq))
    }

    fn not_defined(&mut self, op: &str, a: &Val, b: Option<&Val>, span: Span) -> Val {
        let what = match b {
            Some(b) => format!("{} and {}", a.describe(), b.describe()),
            None => a.describe(),
        };
        let d = Diagnostic::error(Code::E0309, format!("`{op}` is not defined for {what}"));
        let d = match (self.operands(), b) {
            (Some((x, y)), Some(b)) => d
                .label(x, format!("this is {}", a.describe()))
                .label(y, format!("this is {}", b.describe())),
            _ => d.label(span, format!("this takes {}", a.describe())),
        };
        self.diagnose(d)
    }
}
