//! How much memory a run will take, data set aside, before it starts.
//!
//! ```text
//! peak = base              the process itself: code, libraries, stacks, the compiler;
//!                          measured on this process once it has compiled the programs
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

/// Of the process itself where the system does not tell: `nnc run` of a model of ten
/// parameters, release build.
const BASE: usize = 16 << 20;

/// What a run takes that compiling does not: readers' buffers, stacks, pages of code.
const RUNNING: usize = 1 << 20;

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

/// Without what metrics collect, which depends on the data's length. For batches of `rows`, with `held_out` parts besides the training part; compiles the
/// programs but runs none.
pub fn estimate(
    programs: &Programs,
    device: &Device,
    rows: usize,
    held_out: usize,
) -> Result<Estimate, RunError> {
    let store = Store::new(programs, 1)?;
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
    // the store above is there already
    let base = peak_of_process().map_or(BASE, |b| b.saturating_sub(store.len()));
    let base = (base + RUNNING).next_multiple_of(1 << 20);
    Ok(Estimate {
        memory: Memory {
            parameters,
            states: store.len() - parameters,
            activations: most(|c| c.arena_bytes),
            scratch: most(|c| c.scratch_bytes),
            batches: SLOTS * (batch + held_out * staged),
            base,
        },
        step_flops: train.flops,
        predict_flops: predict.flops,
    })
}

/// Most bytes that this process has had in memory so far; where the system tells.
pub fn peak_of_process() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Bytes of a batch's columns.
fn batch_bytes(graph: &Graph) -> usize {
    let inputs = graph.inputs.iter().filter(|i| i.role == Role::Data);
    inputs.map(|i| graph.ty(i.value).bytes()).sum()
}
