//! Sizes of axes: integers, or polynomials over named sizes.
//!
//! `B`, `n` and the sizes that only the data can tell are symbols. Sums and
//! products are kept in a normal form, so equality is structural. Floor
//! division and remainder that do not come out even are atoms. Arithmetic
//! that overflows i64 is an error, never a wrap.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A size: a constant, or a polynomial with at least one symbol.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Dim {
    Const(i64),
    Poly(Arc<Poly>),
}

/// A sum of integer multiples of products of atoms; never constant, no zero coefficients.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Poly {
    terms: BTreeMap<Vec<Atom>, i64>,
}

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Atom {
    Symbol(Arc<str>),
    /// `floor(a / b)`
    Div(Dim, Dim),
    /// `a mod b`, of the sign of `b`
    Rem(Dim, Dim),
    Max(Dim, Dim),
    Min(Dim, Dim),
}

/// A result that does not fit i64, or a division by zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DimError {
    #[error("the size overflows 64 bits")]
    Overflow,
    #[error("division by zero")]
    DivisionByZero,
}

type Result<T> = std::result::Result<T, DimError>;

/// What a symbol stands for.
pub type Bindings = BTreeMap<Arc<str>, i64>;

/// Nobody writes a size with more terms, or a product with more factors.
const MAX_TERMS: usize = 128;

impl Dim {
    pub const ONE: Dim = Dim::Const(1);
    pub const ZERO: Dim = Dim::Const(0);

    pub fn symbol(name: &str) -> Dim {
        Dim::atom(Atom::Symbol(name.into()))
    }
    pub fn as_const(&self) -> Option<i64> {
        match self {
            Dim::Const(c) => Some(*c),
            Dim::Poly(_) => None,
        }
    }
    /// The name, where this is one symbol and nothing else.
    pub fn as_symbol(&self) -> Option<&Arc<str>> {
        let Dim::Poly(p) = self else { return None };
        match p.terms.iter().next()? {
            (atoms, 1) if p.terms.len() == 1 => match atoms.as_slice() {
                [Atom::Symbol(s)] => Some(s),
                _ => None,
            },
            _ => None,
        }
    }
    pub fn add(&self, other: &Dim) -> Result<Dim> {
        if let (Dim::Const(a), Dim::Const(b)) = (self, other) {
            return a.checked_add(*b).map(Dim::Const).ok_or(DimError::Overflow);
        }
        let mut terms = self.terms();
        for (atoms, c) in other.terms() {
            add_term(&mut terms, atoms, c)?;
        }
        if terms.len() > MAX_TERMS {
            return Err(DimError::Overflow);
        }
        Ok(Dim::from_terms(terms))
    }
    pub fn neg(&self) -> Result<Dim> {
        self.mul(&Dim::Const(-1))
    }
    pub fn sub(&self, other: &Dim) -> Result<Dim> {
        self.add(&other.neg()?)
    }
    pub fn mul(&self, other: &Dim) -> Result<Dim> {
        if let (Dim::Const(a), Dim::Const(b)) = (self, other) {
            return a.checked_mul(*b).map(Dim::Const).ok_or(DimError::Overflow);
        }
        let mut terms = BTreeMap::new();
        for (a, x) in self.terms() {
            for (b, y) in other.terms() {
                if a.len() + b.len() > MAX_TERMS || terms.len() > MAX_TERMS {
                    return Err(DimError::Overflow);
                }
                let mut atoms: Vec<Atom> = a.iter().chain(&b).cloned().collect();
                atoms.sort();
                add_term(
                    &mut terms,
                    atoms,
                    x.checked_mul(y).ok_or(DimError::Overflow)?,
                )?;
            }
        }
        Ok(Dim::from_terms(terms))
    }
    /// Floor division.
    pub fn div(&self, other: &Dim) -> Result<Dim> {
        match (self, other) {
            (_, Dim::Const(0)) => Err(DimError::DivisionByZero),
            (Dim::Const(a), Dim::Const(b)) => {
                let q = a.checked_div_euclid(*b).ok_or(DimError::Overflow)?;
                // div_euclid rounds so that the remainder is not negative; floor differs for b < 0.
                Ok(Dim::Const(if *b < 0 && a.rem_euclid(*b) != 0 {
                    q - 1
                } else {
                    q
                }))
            }
            _ if self == other && other.sign().is_none() => {
                Ok(Dim::atom(Atom::Div(self.clone(), other.clone())))
            }
            _ => match self.div_exact(other) {
                Some(q) => Ok(q),
                None => Ok(Dim::atom(Atom::Div(self.clone(), other.clone()))),
            },
        }
    }
    pub fn rem(&self, other: &Dim) -> Result<Dim> {
        match (self, other) {
            (_, Dim::Const(0)) => Err(DimError::DivisionByZero),
            (Dim::Const(_), Dim::Const(_)) => self.sub(&self.div(other)?.mul(other)?),
            _ if self == other && other.sign().is_none() => {
                Ok(Dim::atom(Atom::Rem(self.clone(), other.clone())))
            }
            _ => match self.div_exact(other) {
                Some(_) => Ok(Dim::ZERO),
                None => Ok(Dim::atom(Atom::Rem(self.clone(), other.clone()))),
            },
        }
    }
    /// The quotient, where it is known to come out even.
    pub fn div_exact(&self, other: &Dim) -> Option<Dim> {
        if self == other && *other != Dim::ZERO {
            return Some(Dim::ONE);
        }
        let divisor = other.terms();
        let [(datoms, dc)] = divisor.iter().collect::<Vec<_>>()[..] else {
            return None;
        };
        let mut terms = BTreeMap::new();
        for (atoms, c) in self.terms() {
            let mut rest = atoms.clone();
            for atom in datoms {
                rest.remove(rest.iter().position(|a| a == atom)?);
            }
            if *dc == 0 || c.checked_rem(*dc)? != 0 {
                return None;
            }
            add_term(&mut terms, rest, c.checked_div(*dc)?).ok()?;
        }
        Some(Dim::from_terms(terms))
    }
    pub fn max_with(&self, other: &Dim) -> Dim {
        match (self, other) {
            (Dim::Const(a), Dim::Const(b)) => Dim::Const(*a.max(b)),
            _ if self == other => self.clone(),
            _ => Dim::atom(Atom::Max(self.clone(), other.clone())),
        }
    }
    pub fn min_with(&self, other: &Dim) -> Dim {
        match (self, other) {
            (Dim::Const(a), Dim::Const(b)) => Dim::Const(*a.min(b)),
            _ if self == other => self.clone(),
            _ => Dim::atom(Atom::Min(self.clone(), other.clone())),
        }
    }
    /// Replaces the symbols that `bindings` knows.
    pub fn substitute(&self, bindings: &dyn Fn(&str) -> Option<Dim>) -> Result<Dim> {
        let Dim::Poly(p) = self else {
            return Ok(self.clone());
        };
        let mut sum = Dim::ZERO;
        for (atoms, c) in &p.terms {
            let mut product = Dim::Const(*c);
            for atom in atoms {
                let value = match atom {
                    Atom::Symbol(s) => bindings(s).unwrap_or_else(|| Dim::atom(atom.clone())),
                    Atom::Div(a, b) => a.substitute(bindings)?.div(&b.substitute(bindings)?)?,
                    Atom::Rem(a, b) => a.substitute(bindings)?.rem(&b.substitute(bindings)?)?,
                    Atom::Max(a, b) => a.substitute(bindings)?.max_with(&b.substitute(bindings)?),
                    Atom::Min(a, b) => a.substitute(bindings)?.min_with(&b.substitute(bindings)?),
                };
                product = product.mul(&value)?;
            }
            sum = sum.add(&product)?;
        }
        Ok(sum)
    }
    /// Solves `self == value` for `name`, where `self` is `c * name + rest`
    /// with a constant `c` and a `rest` that does not mention `name`.
    pub fn solve(&self, name: &str, value: &Dim) -> Option<Dim> {
        let symbol = vec![Atom::Symbol(name.into())];
        let mut terms = self.terms();
        let c = terms.remove(&symbol)?;
        let rest = Dim::from_terms(terms);
        if rest.mentions(name) {
            return None;
        }
        value.sub(&rest).ok()?.div_exact(&Dim::Const(c))
    }
    pub fn mentions(&self, name: &str) -> bool {
        let mut found = false;
        self.each_symbol(&mut |s| found |= &**s == name);
        found
    }
    /// Calls `f` with every symbol, repeats included.
    pub fn each_symbol(&self, f: &mut dyn FnMut(&Arc<str>)) {
        let Dim::Poly(p) = self else { return };
        for atom in p.terms.keys().flatten() {
            match atom {
                Atom::Symbol(s) => f(s),
                Atom::Div(a, b) | Atom::Rem(a, b) | Atom::Max(a, b) | Atom::Min(a, b) => {
                    a.each_symbol(f);
                    b.each_symbol(f);
                }
            }
        }
    }
    /// Some if the sign is known for any symbols of at least 1.
    pub fn sign(&self) -> Option<std::cmp::Ordering> {
        match self {
            Dim::Const(c) => Some(c.cmp(&0)),
            Dim::Poly(p) => {
                let plain = |atoms: &Vec<Atom>| atoms.iter().all(|a| matches!(a, Atom::Symbol(_)));
                let positive = p.terms.iter().all(|(a, c)| *c > 0 && plain(a));
                positive.then_some(std::cmp::Ordering::Greater)
            }
        }
    }

    fn atom(atom: Atom) -> Dim {
        Dim::Poly(Arc::new(Poly {
            terms: BTreeMap::from([(vec![atom], 1)]),
        }))
    }
    fn terms(&self) -> BTreeMap<Vec<Atom>, i64> {
        match self {
            Dim::Const(0) => BTreeMap::new(),
            Dim::Const(c) => BTreeMap::from([(Vec::new(), *c)]),
            Dim::Poly(p) => p.terms.clone(),
        }
    }
    fn from_terms(terms: BTreeMap<Vec<Atom>, i64>) -> Dim {
        if terms.is_empty() {
            return Dim::ZERO;
        }
        if terms.len() == 1
            && let Some(c) = terms.get(&Vec::new())
        {
            return Dim::Const(*c);
        }
        Dim::Poly(Arc::new(Poly { terms }))
    }
}

fn add_term(terms: &mut BTreeMap<Vec<Atom>, i64>, atoms: Vec<Atom>, c: i64) -> Result<()> {
    let slot = terms.entry(atoms.clone()).or_insert(0);
    *slot = slot.checked_add(c).ok_or(DimError::Overflow)?;
    if *slot == 0 {
        terms.remove(&atoms);
    }
    Ok(())
}

impl From<i64> for Dim {
    fn from(c: i64) -> Dim {
        Dim::Const(c)
    }
}

impl From<usize> for Dim {
    fn from(c: usize) -> Dim {
        Dim::Const(i64::try_from(c).expect("a size in memory fits i64"))
    }
}

/// `2*n + 1`, `B*h`, `(h - 3)/2`: what `Dim`'s users read, and the IR's text form.
impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Dim::Poly(p) = self else {
            return write!(f, "{}", self.as_const().unwrap_or_default());
        };
        // The constant goes last: `n + 1`.
        let ordered = p
            .terms
            .iter()
            .filter(|(a, _)| !a.is_empty())
            .chain(p.terms.iter().filter(|(a, _)| a.is_empty()));
        for (i, (atoms, c)) in ordered.enumerate() {
            let sign = if *c < 0 { "-" } else { "+" };
            match (i, *c < 0) {
                (0, true) => write!(f, "-")?,
                (0, false) => {}
                _ => write!(f, " {sign} ")?,
            }
            let magnitude = c.unsigned_abs();
            if atoms.is_empty() || magnitude != 1 {
                write!(f, "{magnitude}")?;
                if !atoms.is_empty() {
                    write!(f, "*")?;
                }
            }
            for (j, atom) in atoms.iter().enumerate() {
                if j > 0 {
                    write!(f, "*")?;
                }
                write!(f, "{atom}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Atom::Symbol(s) => write!(f, "{s}"),
            Atom::Div(a, b) => write!(f, "div({a}, {b})"),
            Atom::Rem(a, b) => write!(f, "rem({a}, {b})"),
            Atom::Max(a, b) => write!(f, "max({a}, {b})"),
            Atom::Min(a, b) => write!(f, "min({a}, {b})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(name: &str) -> Dim {
        Dim::symbol(name)
    }

    #[test]
    fn normal_form_makes_equal_sizes_equal() {
        let a = s("n").add(&s("m")).unwrap().mul(&Dim::Const(2)).unwrap();
        let b = s("m")
            .mul(&Dim::Const(2))
            .unwrap()
            .add(&s("n").add(&s("n")).unwrap())
            .unwrap();
        assert_eq!(a, b);
        assert_eq!(a.to_string(), "2*m + 2*n");
        assert_eq!(a.sub(&b).unwrap(), Dim::ZERO);
    }

    #[test]
    fn a_size_that_may_be_0_over_itself_is_not_1() {
        assert_eq!(Dim::ZERO.div_exact(&Dim::ZERO), None);
        assert_eq!(Dim::ZERO.div(&Dim::ZERO), Err(DimError::DivisionByZero));
        assert_eq!(s("n").div(&s("n")), Ok(Dim::ONE));
        let less = s("n").sub(&Dim::ONE).unwrap();
        for result in [less.div(&less).unwrap(), less.rem(&less).unwrap()] {
            let at = |n: i64| result.substitute(&|_| Some(Dim::Const(n)));
            assert_eq!(at(1), Err(DimError::DivisionByZero));
            assert!(at(3).is_ok_and(|d| d.as_const().is_some()));
        }
        let least = Dim::Const(i64::MIN);
        assert_eq!(least.div_exact(&Dim::Const(-1)), None);
        assert_eq!(least.div(&Dim::Const(-1)), Err(DimError::Overflow));
    }

    #[test]
    fn division_is_exact_where_it_can_be_and_floors_otherwise() {
        let four_n = s("n").mul(&Dim::Const(4)).unwrap();
        assert_eq!(four_n.div(&Dim::Const(4)).unwrap(), s("n"));
        assert_eq!(four_n.div(&s("n")).unwrap(), Dim::Const(4));
        assert_eq!(
            four_n.div(&Dim::Const(3)).unwrap().to_string(),
            "div(4*n, 3)"
        );
        for (a, b) in [(7, 2), (-7, 2), (7, -2), (-7, -2), (6, 3), (0, 5)] {
            let floor = (a as f64 / b as f64).floor() as i64;
            assert_eq!(
                Dim::Const(a).div(&Dim::Const(b)).unwrap(),
                Dim::Const(floor),
                "{a} / {b}"
            );
            assert_eq!(
                Dim::Const(a).rem(&Dim::Const(b)).unwrap(),
                Dim::Const(a - floor * b),
                "{a} % {b}"
            );
        }
    }

    #[test]
    fn overflow_and_division_by_zero_are_errors() {
        assert_eq!(Dim::Const(i64::MAX).add(&Dim::ONE), Err(DimError::Overflow));
        assert_eq!(
            Dim::Const(1 << 40).mul(&Dim::Const(1 << 40)),
            Err(DimError::Overflow)
        );
        assert_eq!(s("n").div(&Dim::ZERO), Err(DimError::DivisionByZero));
        assert_eq!(
            Dim::Const(i64::MIN).div(&Dim::Const(-1)),
            Err(DimError::Overflow)
        );
    }

    #[test]
    fn solve_and_substitute() {
        let d = s("n").mul(&Dim::Const(2)).unwrap().add(&Dim::ONE).unwrap();
        assert_eq!(d.solve("n", &Dim::Const(7)), Some(Dim::Const(3)));
        assert_eq!(d.solve("n", &Dim::Const(8)), None);
        let at = d
            .substitute(&|n| (n == "n").then_some(Dim::Const(5)))
            .unwrap();
        assert_eq!(at, Dim::Const(11));
    }
}
