//! The metrics of an epoch or a step, by name.

use super::rates;
use crate::spec::names;
use crate::train::Session;

/// Metrics by name, in the order in which they are reported.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Logs(Vec<(String, f64)>);

impl Logs {
    pub fn new(names: &[String], train: &[f64], val: Option<&[f64]>) -> Logs {
        let mut logs = Logs::default();
        for (name, value) in names.iter().zip(train) {
            logs.set(name, *value);
        }
        for (name, value) in names.iter().zip(val.into_iter().flatten()) {
            logs.set(&names::validation(name), *value);
        }
        logs
    }

    pub fn get(&self, name: &str) -> Option<f64> {
        let mut all = self.0.iter();
        all.find(|(n, _)| n == name).map(|(_, v)| *v)
    }

    pub fn set(&mut self, name: &str, value: f64) {
        match self.0.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.into(), value)),
        }
    }

    pub fn all(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(n, v)| (n.as_str(), *v))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(n, _)| n.as_str())
    }

    /// Adds the learning rates that callbacks can change.
    pub(super) fn add_rates(&mut self, session: &Session) {
        for (name, rate) in rates::logged(session.store(), Vec::new()) {
            self.set(&name, rate);
        }
    }
}
