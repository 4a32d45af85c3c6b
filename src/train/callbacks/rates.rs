//! The learning rates of a run: `F32[]` hyperparameters that the compiled step reads.

use crate::backend::Executable;
use crate::bytes::AlignedBytes;
use crate::ir::Role;
use crate::spec::names;
use crate::train::Store;

/// Name (of the buffer) and value of each.
pub(super) fn all(store: &Store) -> Vec<(String, f32)> {
    let hyper = store.buffers().iter().filter(|b| b.role == Role::Hyper);
    hyper
        .filter(|b| names::optimizer_of_rate(&b.name).is_some())
        .filter_map(|b| {
            let value = f32::from_le_bytes(store.bytes(b).try_into().ok()?);
            Some((b.name.to_string(), value))
        })
        .collect()
}

pub(super) fn set(store: &mut Store, name: &str, rate: f32) {
    store.set(name, &rate.to_le_bytes());
}

/// As Keras names them in its logs: `learning_rate`, or with the optimizer's name where
/// there are several. `given` are those of schedules, which are not kept.
pub(super) fn logged(store: &Store, given: Vec<(String, f32)>) -> Vec<(String, f64)> {
    let mut rates = all(store);
    rates.extend(given);
    let several = rates.len() > 1;
    rates
        .into_iter()
        .map(|(name, rate)| {
            let optimizer = names::optimizer_of_rate(&name).unwrap_or(&name);
            let optimizer = several.then_some(optimizer);
            (names::logged_rate(optimizer), f64::from(rate))
        })
        .collect()
}

/// The rate that a schedule gives for a step or an epoch, which count from 1.
pub(in crate::train) fn scheduled(rate: &mut dyn Executable, count: u64) -> f32 {
    let mut step = AlignedBytes::zeroed(4);
    let mut result = AlignedBytes::zeroed(4);
    step.copy_from_slice(&(count as f32).to_le_bytes());
    let takes = rate.graph().inputs.len();
    // SAFETY: the graph takes at most `step`, an F32[], and gives one F32[]: the checker makes it.
    unsafe { rate.run(&[step.as_mut_ptr()][..takes.min(1)], &[result.as_mut_ptr()]) };
    result.first_chunk().map_or(0.0, |b| f32::from_le_bytes(*b))
}
