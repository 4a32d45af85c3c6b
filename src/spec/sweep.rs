//! A `sweep` block as plain data: every name resolved, every default filled in.

use crate::span::Span;
use crate::spec::callbacks::Better;

/// `sweep Net { width in [16, 32]  search random(trials = 20)  minimize val_loss }`
#[derive(Clone, Debug, PartialEq)]
pub struct SweepSpec {
    pub model: String,
    /// In the order in which they are written; at least one.
    pub axes: Vec<Axis>,
    pub search: Search,
    pub goal: Goal,
    pub span: Span,
}

/// A const that a sweep varies.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    pub name: String,
    pub values: Values,
    /// Whether what is read of the data may depend on it.
    pub of_data: bool,
}

/// The values of an axis. Both ends of a range belong to it, and `from` is below `to`; with
/// `log` it is logarithmic, and `from` is above 0.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Expressions as they are written.
    Listed(Vec<String>),
    Whole {
        from: i64,
        to: i64,
        log: bool,
    },
    Real {
        from: f64,
        to: f64,
        log: bool,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    pub method: Method,
    /// `None`: the train block's.
    pub seed: Option<u64>,
}

/// How configurations are chosen; all counts are at least 1.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    /// Every combination; ranges are cut into `points`.
    Grid {
        points: Option<usize>,
    },
    Random {
        trials: usize,
    },
    /// A Latin hypercube.
    Latin {
        trials: usize,
    },
    Tpe(Tpe),
    /// Successive halving.
    Halving {
        trials: usize,
        factor: usize,
        /// Fewest epochs of a trial.
        least: usize,
    },
    Hyperband {
        factor: usize,
        least: usize,
    },
}

/// The tree-structured Parzen estimator.
#[derive(Clone, Debug, PartialEq)]
pub struct Tpe {
    pub trials: usize,
    /// Random trials at the start.
    pub startup: usize,
    /// Trials suggested at once, from the results of all before them.
    pub generation: usize,
    /// Draws of which the most promising is taken.
    pub candidates: usize,
    /// The fraction of trials that count as good; above 0 and below 1.
    pub gamma: f64,
}

/// What decides: a metric that the run reports after each epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    /// `val_loss`
    pub name: String,
    pub better: Better,
}

impl Values {
    /// How many there are, where they can be counted.
    pub fn count(&self) -> Option<usize> {
        match self {
            Values::Listed(items) => Some(items.len()),
            Values::Whole { from, to, .. } => {
                usize::try_from(to.checked_sub(*from)?).ok()?.checked_add(1)
            }
            Values::Real { .. } => None,
        }
    }

    /// `[8, 16]`, `0.1 .. 0.5`, `log(0.0001 .. 0.1)`
    pub fn text(&self) -> String {
        let range = |from: String, to: String, log: bool| match log {
            true => format!("log({from} .. {to})"),
            false => format!("{from} .. {to}"),
        };
        match self {
            Values::Listed(items) => format!("[{}]", items.join(", ")),
            Values::Whole { from, to, log } => range(from.to_string(), to.to_string(), *log),
            Values::Real { from, to, log } => range(format!("{from:?}"), format!("{to:?}"), *log),
        }
    }
}

impl Method {
    /// As it is written.
    pub fn name(&self) -> &'static str {
        match self {
            Method::Grid { .. } => "grid",
            Method::Random { .. } => "random",
            Method::Latin { .. } => "latin",
            Method::Tpe(_) => "tpe",
            Method::Halving { .. } => "halving",
            Method::Hyperband { .. } => "hyperband",
        }
    }

    /// `tpe(trials = 20, startup = 10, generation = 4, candidates = 24, gamma = 0.1)`
    pub fn text(&self) -> String {
        let given: Vec<(&str, String)> = match self {
            Method::Grid { points } => points.iter().map(|n| ("points", n.to_string())).collect(),
            Method::Random { trials } | Method::Latin { trials } => {
                vec![("trials", trials.to_string())]
            }
            Method::Tpe(t) => vec![
                ("trials", t.trials.to_string()),
                ("startup", t.startup.to_string()),
                ("generation", t.generation.to_string()),
                ("candidates", t.candidates.to_string()),
                ("gamma", t.gamma.to_string()),
            ],
            Method::Halving {
                trials,
                factor,
                least,
            } => vec![
                ("trials", trials.to_string()),
                ("factor", factor.to_string()),
                ("least", least.to_string()),
            ],
            Method::Hyperband { factor, least } => {
                vec![("factor", factor.to_string()), ("least", least.to_string())]
            }
        };
        if given.is_empty() {
            return self.name().into();
        }
        let given: Vec<String> = given.iter().map(|(k, v)| format!("{k} = {v}")).collect();
        format!("{}({})", self.name(), given.join(", "))
    }
}

impl Goal {
    /// `minimize` or `maximize`
    pub fn verb(&self) -> &'static str {
        match self.better {
            Better::Less => "minimize",
            Better::Greater => "maximize",
        }
    }
}
