//! `Name(argument = value)` among callbacks, reports and actions: the signature of a name,
//! and how the checker reads its arguments for whoever declares it.

use std::ops::RangeInclusive;

use crate::ir::Graph;
use crate::spec::callbacks::{Frequency, Monitor};
use crate::spec::pattern::Pattern;

/// A name that a file may call, and its parameters.
#[derive(Clone, Copy, Debug)]
pub struct Signature {
    pub name: &'static str,
    /// In Keras' order.
    pub parameters: &'static [&'static str],
    /// Arguments of Keras that do not exist here, and why.
    pub absent: &'static [(&'static str, &'static str)],
}

impl Signature {
    pub const fn new(name: &'static str, parameters: &'static [&'static str]) -> Signature {
        Signature {
            name,
            parameters,
            absent: &[],
        }
    }
}

/// The arguments of one call. `None` means that a mistake was found and reported.
pub trait Arguments {
    fn is_given(&self, name: &str) -> bool;
    fn flag(&mut self, name: &str, default: bool) -> Option<bool>;
    /// `verbose`: 0 or 1, false unless given.
    fn verbose(&mut self) -> Option<bool>;
    /// A whole number from 0.
    fn count(&mut self, name: &str, default: u32) -> Option<u32>;
    fn whole_number(
        &mut self,
        name: &str,
        default: usize,
        range: RangeInclusive<i64>,
    ) -> Option<usize>;
    fn number(&mut self, name: &str, default: f64) -> Option<f64>;
    /// `Some(None)` where it is not given, or is `none`.
    fn number_or_none(&mut self, name: &str) -> Option<Option<f64>>;
    fn text(&mut self, name: &str, default: &str) -> Option<String>;
    /// A list of texts, each of which `fits`; `form` is what a mistake is told with.
    fn texts(&mut self, name: &str, form: &str, fits: fn(&str) -> bool) -> Option<Vec<String>>;
    /// One byte of a text.
    fn character(&mut self, name: &str, default: u8) -> Option<u8>;
    /// The place of a name among `words`; the first unless given.
    fn word(&mut self, name: &str, words: &[&str]) -> Option<usize>;
    /// `http://...` or `https://...`
    fn url(&mut self, name: &str, default: &str) -> Option<String>;
    /// A path below the run's folder; it must be given where it has no default.
    fn path(&mut self, name: &str, default: Option<&str>) -> Option<String>;
    /// `text`, the value of argument `name`, as a path of saved weights: it may hold metrics
    /// (after a step if `each_step`: of training alone) and `counts` in braces.
    fn weights_path(
        &mut self,
        name: &str,
        text: &str,
        counts: &[&str],
        each_step: bool,
    ) -> Option<Pattern>;
    /// One of `words`, or a number of steps; each epoch unless given.
    fn frequency(&mut self, name: &str, words: &[(&str, Frequency)]) -> Option<Frequency>;
    /// The metric that `monitor` and `mode` name; `each_step`: one that is known after a step.
    fn monitor(&mut self, each_step: bool) -> Option<Monitor>;
    /// Refuses a run whose learning rate cannot be set.
    fn needs_settable_rate(&mut self) -> Option<()>;
    /// The graph of a schedule, from `step` to `rate`; `example` shows how it is written.
    fn schedule(&mut self, name: &str, example: &str) -> Option<Graph>;
    /// Reports a value that is not as `rule` says; `found` is how it is spoken of.
    fn refuse(&mut self, name: &str, rule: &str, found: &str);
}
