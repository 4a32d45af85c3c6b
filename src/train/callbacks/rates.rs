//! The learning rates of a run: `F32[]` hyperparameters that the compiled step reads.

use crate::ir::Role;
use crate::train::Store;

/// Name (of the buffer) and value of each.
pub fn all(store: &Store) -> Vec<(String, f32)> {
    let hyper = store.buffers().iter().filter(|b| b.role == Role::Hyper);
    hyper
        .filter(|b| b.name.ends_with("/learning_rate"))
        .filter_map(|b| {
            let value = f32::from_le_bytes(store.bytes(b).try_into().ok()?);
            Some((b.name.to_string(), value))
        })
        .collect()
}

pub fn set(store: &mut Store, name: &str, rate: f32) {
    store.set(name, &rate.to_le_bytes());
}

/// As Keras names them in its logs: `learning_rate`, or with the optimizer's name where
/// there are several. `given` are those of schedules, which are not kept.
pub fn logged(store: &Store, given: Vec<(String, f32)>) -> Vec<(String, f64)> {
    let mut rates = all(store);
    rates.extend(given);
    let several = rates.len() > 1;
    rates
        .into_iter()
        .map(|(name, rate)| {
            let optimizer = name.strip_suffix("/learning_rate").unwrap_or(&name);
            let name = match several {
                true => format!("learning_rate_{optimizer}"),
                false => "learning_rate".into(),
            };
            (name, f64::from(rate))
        })
        .collect()
}
