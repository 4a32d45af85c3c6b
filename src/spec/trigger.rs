//! `when CONDITION do ACTION` among the callbacks, as plain data: names resolved,
//! kinds checked.

use crate::spec::callbacks::{Better, CallbackSettings};
use crate::spec::pattern::Pattern;

#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    pub when: Test,
    pub action: Action,
    /// What is remembered of metrics, by the places that [`Term`] and [`Action`] name.
    pub watched: Vec<Watched>,
    /// Considered after each step; otherwise after each epoch.
    pub each_step: bool,
}

/// A metric of which something is remembered.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    pub metric: String,
    /// There where the best is asked for.
    pub better: Option<Better>,
}

/// What is true or false; or neither, where a value is not there yet.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    Known(bool),
    Compare(Comparison, Box<Term>, Box<Term>),
    And(Box<Test>, Box<Test>),
    Or(Box<Test>, Box<Test>),
    Not(Box<Test>),
}

/// A number.
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    Number(f64),
    /// From 1.
    Epoch,
    /// Steps done since training began.
    Step,
    /// The learning rate.
    Rate,
    Metric(String),
    /// The best value so far, the present one included.
    Best(usize),
    /// The value one epoch (or step) ago.
    Previous(usize),
    /// Epochs (or steps) since the best one; 0: it is the present one.
    SinceBest(usize),
    Negative(Box<Term>),
    Abs(Box<Term>),
    Binary(Arithmetic, Box<Term>, Box<Term>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    /// With the sign of the divisor.
    Remainder,
    Power,
    Least,
    Greatest,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Stop,
    /// A text sent to an address.
    Notify {
        url: String,
        message: Pattern,
    },
    Print(Pattern),
    /// The weights of the best epoch so far, by this one of `watched`.
    RestoreBest(usize),
    Save {
        /// Below the folder of the run.
        path: Pattern,
        weights_only: bool,
    },
    /// Computed for each learning rate.
    SetRate(Term),
}

impl Trigger {
    /// Whether it reads the learning rate.
    pub fn reads_rate(&self) -> bool {
        let in_pattern = |p: &Pattern| p.names().any(|(name, _)| name == "lr");
        self.when.any(&mut |t| *t == Term::Rate)
            || match &self.action {
                Action::Notify { message: p, .. } | Action::Print(p) => in_pattern(p),
                Action::Save { path, .. } => in_pattern(path),
                Action::Stop | Action::RestoreBest(_) | Action::SetRate(_) => false,
            }
    }

    /// Whether it reads a metric, now or of before.
    pub fn reads_metrics(&self) -> bool {
        let mut metric = |t: &Term| matches!(t, Term::Metric(_));
        !self.watched.is_empty()
            || self.when.any(&mut metric)
            || match &self.action {
                Action::SetRate(rate) => rate.any(&mut metric),
                Action::Notify { message: p, .. }
                | Action::Print(p)
                | Action::Save { path: p, .. } => p
                    .names()
                    .any(|(n, _)| !matches!(n, "epoch" | "step" | "lr")),
                Action::Stop | Action::RestoreBest(_) => false,
            }
    }
}

impl CallbackSettings for Trigger {
    fn path(&self) -> Option<String> {
        match &self.action {
            Action::Save { path, .. } => Some(path.fill(|_| None)),
            Action::Stop
            | Action::Notify { .. }
            | Action::Print(_)
            | Action::RestoreBest(_)
            | Action::SetRate(_) => None,
        }
    }
}

impl Test {
    pub fn any(&self, of: &mut dyn FnMut(&Term) -> bool) -> bool {
        match self {
            Test::Known(_) => false,
            Test::Compare(_, a, b) => a.any(of) || b.any(of),
            Test::And(a, b) | Test::Or(a, b) => a.any(of) || b.any(of),
            Test::Not(a) => a.any(of),
        }
    }
}

impl Term {
    pub fn any(&self, of: &mut dyn FnMut(&Term) -> bool) -> bool {
        of(self)
            || match self {
                Term::Negative(a) | Term::Abs(a) => a.any(of),
                Term::Binary(_, a, b) => a.any(of) || b.any(of),
                _ => false,
            }
    }
}

impl Comparison {
    pub fn holds(self, a: f64, b: f64) -> bool {
        match self {
            Comparison::Equal => a == b,
            Comparison::Unequal => a != b,
            Comparison::Less => a < b,
            Comparison::AtMost => a <= b,
            Comparison::Greater => a > b,
            Comparison::AtLeast => a >= b,
        }
    }
}

impl Arithmetic {
    pub fn of(self, a: f64, b: f64) -> f64 {
        match self {
            Arithmetic::Add => a + b,
            Arithmetic::Subtract => a - b,
            Arithmetic::Multiply => a * b,
            Arithmetic::Divide => a / b,
            Arithmetic::Remainder => a - (a / b).floor() * b,
            Arithmetic::Power => a.powf(b),
            // NaN stays NaN
            Arithmetic::Least if a < b || a.is_nan() => a,
            Arithmetic::Greatest if a > b || a.is_nan() => a,
            Arithmetic::Least | Arithmetic::Greatest => b,
        }
    }
}
