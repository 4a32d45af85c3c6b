//! `nnc summary FILE.nn`: layers, output shapes, parameters; memory and work of a step.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use serde_json::json;

use crate::check::LayerUse;
use crate::cli::common::{Common, Failure, Machine, exit};
use crate::cli::load::Loaded;
use crate::cli::tables::TextTable;
use crate::cli::{console, load, prepare};
use crate::ir::{Graph, Role};
use crate::plural::{count, thousands};
use crate::spec::{DataSpec, Part, SplitSpec};
use crate::train::ProgramKind;
use crate::train::dataset::{Dataset, Places, Ranges, workers};
use crate::train::memory::{Held, Memory, estimate};
use crate::train::store::{Buffer, Store};

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub machine: Machine,
    /// Batch size (overrides the file)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: Option<u32>,
}

/// A line of the table.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    path: String,
    class: String,
    output: String,
    /// The layer's own, without those of the layers in it; counted where a shared layer is first used.
    parameters: usize,
    kept: usize,
    shared: bool,
}

pub(super) fn summary(args: &Args) -> Result<u8, Failure> {
    let mut loaded = load::load(&args.common)?;
    let data = read(&mut loaded, args)?;
    let rows = args.batch.map_or(loaded.train.batch, |n| n as usize);
    let device = args.machine.device(loaded.train.seed)?;
    let workers = workers(&loaded.data, args.machine.workers());
    // reports go over a set once more
    let held_out = held_out(&loaded.data) + usize::from(loaded.reports_rows());
    let held = data.as_ref().map(|data| Held {
        bytes: data.bytes(),
        rows: data.most_rows(),
    });
    let estimate = estimate(&loaded.programs, &device, rows, held_out, workers, held)?;
    drop(data);
    let store = Store::laid_out(&loaded.programs, 1)?;
    let layers = rows_of(&loaded.layers, &store);
    let count = |role: Role| -> usize {
        let mine = store.buffers().iter().filter(|b| b.role == role);
        mine.map(Buffer::elements).sum()
    };
    let (parameters, kept) = (count(Role::Param), count(Role::State));
    let trained = trained(&loaded.programs.train, &store);
    let memory = &estimate.memory;
    if args.common.json {
        let layers: Vec<_> = layers
            .iter()
            .map(|l| {
                json!({
                    "name": l.path,
                    "layer": l.class,
                    "output": l.output,
                    "parameters": l.parameters + l.kept,
                    "shared": l.shared,
                })
            })
            .collect();
        let event = json!({
            "event": "summary",
            "models": loaded.train.models,
            "batch": rows,
            "layers": layers,
            "parameters": parameters + kept,
            "trained": trained,
            "frozen": parameters - trained,
            "memory": {
                "parameters": memory.parameters,
                "states": memory.states,
                "activations": memory.activations,
                "scratch": memory.scratch,
                "batches": memory.batches,
                "base": memory.base,
                "data": held.map(|_| memory.data),
                "reading": held.map(|_| memory.reading),
                "peak": memory.peak(),
            },
            "step_flops": estimate.step_flops,
            "predict_flops": estimate.predict_flops,
        });
        console::line(&event.to_string())?;
        return Ok(exit::FINE);
    }
    let mut table = TextTable::new(["name", "layer", "output", "parameters"]).right(3..4);
    for layer in &layers {
        let depth = layer.path.matches('/').count();
        let name = layer.path.rsplit('/').next().unwrap_or_default();
        let parameters = match layer.parameters + layer.kept {
            _ if layer.shared => "shared".into(),
            n => thousands(n),
        };
        table.row([
            format!("{}{name}", "  ".repeat(depth)),
            layer.class.clone(),
            layer.output.clone(),
            parameters,
        ]);
    }
    let text = format!(
        "{}\n{table}\n{}",
        loaded.train.models.join(", "),
        totals(
            [trained, parameters - trained, kept],
            (memory, held.is_some()),
            rows,
            estimate.step_flops,
            estimate.predict_flops
        )
    );
    console::line(&text)?;
    Ok(exit::FINE)
}

/// Files of more bytes than this are not read for a summary.
const MOST_READ: u64 = 256 << 20;

/// The data as a run holds them, where they are there to be read in short time; a program whose
/// sizes depend on them gets these.
fn read(loaded: &mut Loaded, args: &Args) -> Result<Option<Dataset>, Failure> {
    let must = loaded.data.has_unknown_sizes();
    let places = Places {
        program: loaded.folder.clone(),
        asked: args.machine.data.clone(),
    };
    if !must && bytes_of_sources(&loaded.data, &places).is_none_or(|n| n > MOST_READ) {
        return Ok(None);
    }
    let kinds = [ProgramKind::Train, ProgramKind::Eval];
    let data = prepare::dataset(
        loaded,
        &args.common,
        &args.machine,
        &kinds,
        None,
        Ranges::new(),
    );
    match data {
        Ok(data) => Ok(Some(data)),
        Err(failure) if must => Err(failure),
        // a model can be described without its data
        Err(_) => Ok(None),
    }
}

/// Bytes of the files of all sources; none where one is not there, is fetched or is streamed.
fn bytes_of_sources(data: &DataSpec, places: &Places) -> Option<u64> {
    let mut all = 0;
    for source in data.sources.iter().filter(|s| !s.stream) {
        for path in source.format.paths()? {
            all += bytes_below(&places.find(path), 3)?;
        }
    }
    data.sources.iter().all(|s| !s.stream).then_some(all)
}

/// Bytes of a file (or of its compressed sibling), or of all files in a folder.
fn bytes_below(path: &Path, depth: usize) -> Option<u64> {
    let compressed = || std::fs::metadata(format!("{}.gz", path.display()));
    let found = path.metadata().or_else(|_| compressed()).ok()?;
    if !found.is_dir() {
        return Some(found.len());
    }
    let entries = std::fs::read_dir(path).ok().filter(|_| depth > 0)?;
    let sizes = entries.map(|e| bytes_below(&e.ok()?.path(), depth - 1));
    sizes.sum()
}

/// Parts of the data that are not trained on.
fn held_out(data: &DataSpec) -> usize {
    let split = data.split.iter().flat_map(SplitSpec::made);
    let given = data.sources.iter().filter_map(|s| s.part);
    let parts: BTreeSet<Part> = split.chain(given).filter(|p| *p != Part::Train).collect();
    parts.len()
}

/// Numbers of the parameters that a training step changes: the rest is frozen.
fn trained(step: &Graph, store: &Store) -> usize {
    let changed: HashSet<&str> = step.outputs.iter().map(|o| &*o.name).collect();
    let params = store.buffers().iter().filter(|b| b.role == Role::Param);
    params
        .filter(|b| changed.contains(&*b.name))
        .map(Buffer::elements)
        .sum()
}

fn totals(
    [trained, frozen, kept]: [usize; 3],
    (memory, read): (&Memory, bool),
    rows: usize,
    step: u64,
    predict: u64,
) -> String {
    let frozen = match frozen {
        0 => String::new(),
        n => format!(" {} frozen,", thousands(n)),
    };
    let mut lines = vec![format!(
        "parameters   {} trainable,{frozen} {} non-trainable",
        thousands(trained),
        thousands(kept)
    )];
    for (name, n) in [
        ("weights", memory.parameters),
        ("state", memory.states),
        ("activations", memory.activations),
        ("scratch", memory.scratch),
        ("batches", memory.batches),
        ("data", memory.data),
        ("peak", memory.peak()),
    ] {
        if name == "data" && !read {
            continue;
        }
        let what = match name {
            "weights" => "the parameters",
            "state" => "layer statistics, optimizer slots, metrics",
            "activations" => "peak size of intermediate results",
            "scratch" => "scratch space for matrix products",
            "batches" => "prefetched batches",
            "data" => "the columns",
            _ if read => "whole process, reading included",
            _ => "whole process, without the data",
        };
        lines.push(format!("{name:<12} {:>10}  {what}", bytes(n)));
    }
    let rows = count(rows, "row");
    lines.push(format!(
        "compute      {:>10}  per training step ({rows})",
        flops(step)
    ));
    lines.push(format!(
        "{:12} {:>10}  per prediction batch",
        "",
        flops(predict)
    ));
    lines.join("\n")
}

/// The layers as they are applied, with what each owns.
fn rows_of(layers: &[LayerUse], store: &Store) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::with_capacity(layers.len() + 1);
    for layer in layers {
        rows.push(Row {
            path: layer.path.to_string(),
            class: layer.class.clone(),
            output: layer.output.clone(),
            parameters: 0,
            kept: 0,
            shared: rows.iter().any(|r| r.path == *layer.path),
        });
    }
    let mut loose = Row {
        path: String::new(),
        class: "(the model itself)".into(),
        output: String::new(),
        parameters: 0,
        kept: 0,
        shared: false,
    };
    for buffer in store.buffers() {
        let within = |path: &str| {
            let rest = buffer.name.strip_prefix(path);
            rest.is_some_and(|r| r.starts_with('/'))
        };
        let owner = rows
            .iter_mut()
            .filter(|r| !r.shared && within(&r.path))
            .max_by_key(|r| r.path.len())
            .unwrap_or(&mut loose);
        match buffer.role {
            Role::Param => owner.parameters += buffer.elements(),
            Role::State => owner.kept += buffer.elements(),
            _ => {}
        }
    }
    if loose.parameters + loose.kept > 0 {
        rows.push(loose);
    }
    rows
}

/// `18.8 KiB`
pub(super) fn bytes(n: usize) -> String {
    scaled(n as f64, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"])
}

fn flops(n: u64) -> String {
    scaled(
        n as f64,
        1000.0,
        &["FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP"],
    )
}

fn scaled(mut x: f64, step: f64, units: &[&str]) -> String {
    let mut unit = 0;
    while x >= step && unit + 1 < units.len() {
        x /= step;
        unit += 1;
    }
    if unit == 0 {
        format!("{x} {}", units[0])
    } else {
        format!("{x:.1} {}", units[unit])
    }
}
