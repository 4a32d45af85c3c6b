//! How much memory a run will take, data set aside, before it starts.
//!
//! ```text
//! peak = base              the process itself: code, libraries, stacks, the compiler
//!      + store             parameters, states, slots, accumulators
//!      + activations       the largest arena of the programs, which never run at once
//!      + scratch           packed panels of products
//!      + batches           rows prepared ahead, and copies of them that are aligned
//! ```

use crate::backend::Cost;
use crate::data::batch::SLOTS;
use crate::ir::{Graph, Role};
use crate::lower::Programs;
use crate::train::RunError;
use crate::train::device::Device;
use crate::train::session::sized;
use crate::train::store::Store;

/// Resident memory of a process that trains next to nothing, measured: `nnc run`
/// of a model of ten parameters on one thread, release build (tests/suite/memory.rs holds it).
pub const BASE: usize = 12 << 20;
/// For each thread beyond the first: its stack and its share of the allocator.
pub const THREAD: usize = 100 << 10;

/// Bytes, by what they are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Memory {
    /// Trained.
    pub parameters: usize,
    /// Kept by layers, optimizers and metrics.
    pub states: usize,
    pub activations: usize,
    pub scratch: usize,
    pub batches: usize,
    pub base: usize,
}

/// What a run takes and does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Estimate {
    pub memory: Memory,
    /// Multiplications and additions of a training step, and of one prediction of a batch.
    pub step_flops: u64,
    pub predict_flops: u64,
}

impl Memory {
    pub fn peak(&self) -> usize {
        self.parameters + self.states + self.activations + self.scratch + self.batches + self.base
    }
}

/// For batches of `rows`; compiles the programs but runs none.
pub fn estimate(
    programs: &Programs,
    device: &Device,
    threads: usize,
    rows: usize,
) -> Result<Estimate, RunError> {
    let store = Store::new(programs)?;
    let parameters: usize = store
        .buffers()
        .iter()
        .filter(|b| b.role == Role::Param)
        .map(|b| b.len())
        .sum();
    let train = sized(&programs.train, rows)?;
    let eval = sized(&programs.eval, rows)?;
    let batch = batch_bytes(&train);
    let staged = batch_bytes(&eval);
    let costs = |graph| device.compile(graph).map(|e| e.cost());
    let train = costs(train)?;
    let eval = costs(eval)?;
    let predict = costs(sized(&programs.predict, rows)?)?;
    let most = |f: fn(&Cost) -> usize| f(&train).max(f(&eval));
    Ok(Estimate {
        memory: Memory {
            parameters,
            states: store.len() - parameters,
            activations: most(|c| c.arena_bytes),
            scratch: most(|c| c.scratch_bytes),
            batches: SLOTS * batch + staged,
            base: BASE + threads.saturating_sub(1) * THREAD,
        },
        step_flops: train.flops,
        predict_flops: predict.flops,
    })
}

/// Bytes of a batch's columns.
fn batch_bytes(graph: &Graph) -> usize {
    let inputs = graph.inputs.iter().filter(|i| i.role == Role::Data);
    inputs.map(|i| graph.ty(i.value).bytes()).sum()
}
