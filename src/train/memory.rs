//! How much memory a run will take, before it starts.
//!
//! ```text
//! peak = base              the process itself: code, libraries, stacks, the compiler;
//!                          measured on this process once it has compiled the programs
//!      + data              the columns, where this process holds them
//!      + store             parameters, states, slots, accumulators
//!      + activations       the largest arena of the programs, which never run at once
//!      + scratch           packed panels of products
//!      + batches           rows prepared ahead, and copies of them that are aligned
//!
//! Reading may take more than training does later: then that is the peak.
//! ```

use crate::backend::Cost;
use crate::data::batch::slots;
use crate::ir::{Graph, Role};
use crate::spec::Programs;
use crate::train::RunError;
use crate::train::device::Device;
use crate::train::session::sized;
use crate::train::store::Store;

/// Bytes of the process itself where the system does not report them: `nnc run` of a model of ten
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
    /// The columns; 0 where they have not been read.
    pub data: usize,
    /// Most of all while the columns were read.
    pub reading: usize,
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
        let training = [
            self.parameters,
            self.states,
            self.activations,
            self.scratch,
            self.batches,
            self.base,
            self.data,
        ];
        training.iter().sum::<usize>().max(self.reading)
    }
}

/// What the data add to a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Held {
    /// Bytes of the columns that this process holds.
    pub bytes: usize,
    /// Rows of the largest part, which metrics may collect.
    pub rows: usize,
}

/// For batches of `rows`, with `held_out` parts (and reports) besides the training part, made by so many
/// `workers`; compiles the programs but runs none. Where the data have not been read, without
/// them and without what metrics collect, which depends on their length.
pub fn estimate(
    programs: &Programs,
    device: &Device,
    rows: usize,
    held_out: usize,
    workers: usize,
    held: Option<Held>,
) -> Result<Estimate, RunError> {
    let store = Store::laid_out(programs, held.map_or(1, |h| h.rows))?;
    let reading = held.and_then(|_| peak_of_process()).unwrap_or(0);
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
    let left = headroom().unwrap_or(usize::MAX);
    let costs = |graph: Graph| -> Result<Cost, RunError> {
        let cost = device.cost(&graph)?;
        // what cannot run is described all the same
        if cost.arena_bytes.saturating_add(cost.scratch_bytes) < left {
            device.compile(graph)?;
        }
        Ok(cost)
    };
    let (train, eval) = (costs(train)?, costs(eval)?);
    let predict = costs(sized(&programs.predict, rows)?)?;
    let most = |f: fn(&Cost) -> usize| f(&train).max(f(&eval));
    let data = held.map_or(0, |h| h.bytes);
    let base = match held {
        // what reading took for a time is free for what follows
        Some(_) => memory_of_process("VmRSS:").map(|all| all.saturating_sub(data)),
        None => peak_of_process(),
    };
    let base = (base.unwrap_or(BASE) + RUNNING).next_multiple_of(1 << 20);
    Ok(Estimate {
        memory: Memory {
            parameters,
            states: store.len() - parameters,
            activations: most(|c| c.arena_bytes),
            scratch: most(|c| c.scratch_bytes),
            batches: slots(workers) * (batch + held_out * staged),
            base,
            data,
            reading,
        },
        step_flops: train.flops,
        predict_flops: predict.flops,
    })
}

/// Refuses parameters and what is kept beside them, where they are more than there is.
///
/// # Errors
/// [`RunError::StoreMemory`].
pub fn holds(store: &Store) -> Result<(), RunError> {
    let needs = store.len();
    match headroom() {
        Some(left) if needs > left => Err(RunError::StoreMemory {
            parameters: store.parameters(),
            needs,
            left,
        }),
        _ => Ok(()),
    }
}

/// Programs that are to run on batches of so many rows.
pub struct Steps<'a> {
    /// `a training step`
    pub what: &'static str,
    /// Each with the number of sets whose batches are made ahead for it.
    pub programs: &'a [(&'a Graph, usize)],
    pub rows: usize,
    pub workers: usize,
    /// Bytes of rows that are not all in memory.
    pub windows: usize,
}

/// Refuses programs whose first step would ask for more memory than there is, naming a batch
/// that fits.
///
/// # Errors
/// [`RunError::Memory`]; what compiling says.
pub fn fits(steps: &Steps, device: &Device) -> Result<(), RunError> {
    let Some(left) = headroom() else {
        return Ok(());
    };
    let needed = |rows: usize| -> Result<usize, RunError> {
        let (mut arena, mut scratch, mut batches) = (0, 0, 0);
        for (program, sets) in steps.programs {
            let program = sized(program, rows)?;
            batches += slots(steps.workers) * sets * batch_bytes(&program);
            let cost = device.cost(&program)?;
            arena = arena.max(cost.arena_bytes);
            scratch = scratch.max(cost.scratch_bytes);
        }
        Ok(arena + scratch + batches + steps.windows + RUNNING)
    };
    let rows = steps.rows;
    let needs = needed(rows)?;
    if needs <= left {
        return Ok(());
    }
    let mut smaller = rows / 2;
    while smaller > 0 && needed(smaller)? > left {
        smaller /= 2;
    }
    Err(RunError::Memory {
        what: steps.what,
        rows,
        needs,
        left,
        fits: (smaller > 0).then_some(smaller),
    })
}

/// Bytes that this process may still take: what the machine has left, what its control
/// group allows, what the process is limited to, whichever is least; where the system tells.
pub fn headroom() -> Option<usize> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let number = |path: &str| read(path)?.trim().parse::<usize>().ok();
    let field = |text: &str, key: &str| -> Option<usize> {
        let line = text.lines().find_map(|l| l.strip_prefix(key))?;
        let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib * 1024)
    };
    let machine = read("/proc/meminfo").and_then(|t| field(&t, "MemAvailable:"));
    // version 2: limits of the group and of all above it
    let group = read("/proc/self/cgroup").and_then(|t| {
        let path = t.lines().find_map(|l| l.strip_prefix("0::"))?.to_owned();
        let ways = std::path::Path::new(&path).ancestors();
        ways.filter_map(|p| {
            let folder = format!("/sys/fs/cgroup{}", p.display());
            let most = number(&format!("{folder}/memory.max"))?;
            let now = number(&format!("{folder}/memory.current"))?;
            Some(most.saturating_sub(now))
        })
        .min()
    });
    let first = "/sys/fs/cgroup/memory/memory";
    let old_group = number(&format!("{first}.limit_in_bytes"))
        .zip(number(&format!("{first}.usage_in_bytes")))
        .map(|(most, now)| most.saturating_sub(now));
    let own = read("/proc/self/limits").and_then(|t| {
        let line = t
            .lines()
            .find_map(|l| l.strip_prefix("Max address space"))?;
        let most: usize = line.split_whitespace().next()?.parse().ok()?;
        let now = field(&read("/proc/self/status")?, "VmSize:")?;
        Some(most.saturating_sub(now))
    });
    [machine, group, old_group, own].into_iter().flatten().min()
}

/// Most bytes that this process has had in memory so far; where the system tells.
pub fn peak_of_process() -> Option<usize> {
    memory_of_process("VmHWM:")
}

fn memory_of_process(key: &str) -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix(key))?;
    let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Bytes of a batch's columns.
fn batch_bytes(graph: &Graph) -> usize {
    let inputs = graph.inputs.iter().filter(|i| i.role == Role::Data);
    inputs.map(|i| graph.ty(i.value).bytes()).sum()
}
