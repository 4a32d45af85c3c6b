//! `nnc emit FILE.nn --stage STAGE`: what a stage of the compiler makes of a file, as text.
//!
//! `ir` and `grad` are in the graphs' text form, over the batch size `B`; `plan` and
//! what follows are of one training step, for a batch of `--batch` rows.

use clap::ValueEnum;

use crate::backend::cuda;
use crate::cli::common::{Common, Failure, Machine, exit};
use crate::cli::{console, load, prepare};
use crate::data::error::reason;
use crate::ir::Graph;
use crate::passes;
use crate::span::SourceMap;
use crate::spec::Programs;
use crate::syntax::{self, dump::dump};
use crate::train::RunError;
use crate::train::device::optimized;
use crate::train::session::sized;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub machine: Machine,
    /// Compiler stage
    #[arg(long, value_enum)]
    pub stage: Stage,
    /// Batch size (overrides the file)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Stage {
    /// Syntax tree
    Ast,
    /// Layers and their output types
    Types,
    /// Graphs: init, train, eval, predict, metrics
    Ir,
    /// Training step with gradients, simplified
    Grad,
    /// Steps and buffers of the compiled training step
    Plan,
    /// The kernels in Cranelift IR
    Clif,
    /// The kernels as machine code
    Asm,
    /// The kernels as CUDA C++, which this build does not run
    Cuda,
}

pub(super) fn emit(args: &Args) -> Result<u8, Failure> {
    let text = match args.stage {
        Stage::Ast => return ast(args),
        Stage::Types => types(&load::load(&args.common)?),
        Stage::Ir => {
            let programs = load::load(&args.common)?.programs;
            let graphs = graphs(&programs).map(ToString::to_string);
            graphs.join("\n")
        }
        Stage::Grad => {
            let programs = load::load(&args.common)?.programs;
            let graph = passes::optimize(&programs.train)
                .map_err(|e| Failure::from(RunError::Program(e.to_string())))?;
            graph.to_string()
        }
        Stage::Plan | Stage::Clif | Stage::Asm | Stage::Cuda => compiled(args)?,
    };
    console::write(|out| out.write_all(text.as_bytes()))?;
    Ok(exit::FINE)
}

/// The training step as a compiler makes it.
fn compiled(args: &Args) -> Result<String, Failure> {
    let mut loaded = load::load(&args.common)?;
    prepare::sized(&mut loaded, &args.common, &args.machine)?;
    let rows = args.batch.map_or(loaded.train.batch, |n| n as usize);
    let graph = sized(&loaded.programs.train, rows)?;
    if args.stage == Stage::Cuda {
        return cuda_text(&graph, loaded.train.seed);
    }
    let device = args.machine.device(loaded.train.seed)?;
    let step = device.compile_cpu(&graph)?;
    let text = match args.stage {
        Stage::Clif => step.clif_text(),
        Stage::Asm => step.asm_text(),
        _ => Ok(step.plan_text()),
    };
    text.map_err(|e| {
        Failure::from(RunError::Compile {
            reason: e.to_string(),
        })
    })
}

fn cuda_text(step: &Graph, seed: u64) -> Result<String, Failure> {
    let source = cuda::source(&optimized(step)?, seed, "step");
    let source = source.map_err(|e| RunError::Compile {
        reason: e.to_string(),
    })?;
    Ok(format!("{}{}", cuda::PRELUDE, source.text))
}

/// The tree, even of a file with mistakes in it.
fn ast(args: &Args) -> Result<u8, Failure> {
    let file = &args.common.file;
    let text = std::fs::read_to_string(file).map_err(|e| {
        Failure::usage(format!(
            "{}: cannot read the file: {}",
            file.display(),
            reason(&e)
        ))
    })?;
    let mut map = SourceMap::default();
    let id = map.add(file.display().to_string(), &*text, false);
    let (tree, errors) = syntax::parse(id, &text);
    let shown = dump(&tree, Some(&map));
    console::write(|out| out.write_all(shown.as_bytes()))?;
    if errors.is_empty() {
        return Ok(exit::FINE);
    }
    load::show(&load::mistakes(&args.common)?, false)?;
    Ok(exit::PROGRAM)
}

/// `dense_1  Dense  prob[B, 10]`, a line each.
fn types(loaded: &load::Loaded) -> String {
    let width = |f: fn(&crate::check::LayerUse) -> usize| loaded.layers.iter().map(f).max();
    let path = width(|l| l.path.len()).unwrap_or(0);
    let class = width(|l| l.class.len()).unwrap_or(0);
    let mut text = String::new();
    for l in &loaded.layers {
        text += &format!("{:path$}  {:class$}  {}\n", l.path, l.class, l.output);
    }
    for o in &loaded.programs.predict.outputs {
        let ty = loaded.programs.predict.ty(o.value);
        text += &format!("{} -> {ty}\n", o.name);
    }
    text
}

fn graphs(programs: &Programs) -> [&Graph; 6] {
    [
        &programs.init,
        &programs.train,
        &programs.eval,
        &programs.predict,
        &programs.metrics,
        &programs.closing,
    ]
}
