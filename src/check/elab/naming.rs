//! Keras' automatic names: `Dense` is `dense`, `Conv2D` is `conv2d`, `BatchNorm` is `batch_norm`.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::Elab;

/// Keras' `to_snake_case`: an underscore between a lower-case letter or digit and a
/// capital that starts a word.
pub(crate) fn snake_case(class: &str) -> String {
    let chars: Vec<char> = class.chars().collect();
    let mut out = String::new();
    for (i, &c) in chars.iter().enumerate() {
        let before = i.checked_sub(1).map(|j| chars[j]);
        let after = chars.get(i + 1);
        let starts_word = c.is_uppercase()
            && before.is_some_and(|b| b != '_')
            && (before.is_some_and(|b| b.is_lowercase())
                || after.is_some_and(|a| a.is_lowercase()));
        if starts_word {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// Names given so far.
#[derive(Default)]
pub(crate) struct GivenNames {
    /// Automatic names by the path they are in: in order, so that what is below a path lies
    /// together.
    counters: BTreeMap<Arc<str>, FxHashMap<String, usize>>,
    /// How often each layer has been applied.
    applications: FxHashMap<Arc<str>, u32>,
}

impl Elab<'_> {
    /// A name for a layer without one: `dense`, `dense_1`, ... within its path.
    pub fn auto_name(&mut self, class: &str) -> String {
        let base = snake_case(class);
        let path = self.top().path.clone();
        let names = self.names.counters.entry(path).or_default();
        let count = names.entry(base.clone()).or_insert(0);
        *count += 1;
        if *count == 1 {
            base
        } else {
            format!("{base}_{}", *count - 1)
        }
    }

    /// Restarts the names inside `path`: the layer is applied again and shares its weights.
    pub fn reset_names(&mut self, path: &str) {
        self.names.counters.remove(path);
        // `0` follows `/`.
        let below: Vec<Arc<str>> = self
            .names
            .counters
            .range::<str, _>((
                Bound::Excluded(format!("{path}/").as_str()),
                Bound::Excluded(format!("{path}0").as_str()),
            ))
            .map(|(p, _)| p.clone())
            .collect();
        for p in below {
            self.names.counters.remove(&p);
        }
    }

    /// How often the layer at `path` has been applied before.
    pub fn application(&mut self, path: &Arc<str>) -> u32 {
        let n = self.names.applications.entry(path.clone()).or_insert(0);
        *n += 1;
        *n - 1
    }

    pub fn full_name(&self, name: &str) -> Arc<str> {
        let path = &self.top().path;
        if path.is_empty() {
            name.into()
        } else {
            format!("{path}/{name}").into()
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_those_of_keras() {
        for (class, name) in [
            ("Dense", "dense"),
            ("Conv2D", "conv2d"),
            ("BatchNorm", "batch_norm"),
            ("LSTM", "lstm"),
            ("MaxPool2D", "max_pool2d"),
            ("Residual", "residual"),
            ("my_block", "my_block"),
        ] {
            assert_eq!(super::snake_case(class), name);
        }
    }
}
