//! `nnc predict FILE.nn --weights FILE --input ROWS`: a model's outputs, a row each.
//!
//! Input columns are found by header name; without a header (or with other names)
//! by position, where the file has just the fields that the model takes; else as in
//! the training file. Probabilities become `class` (the likeliest, or 1 from 0.5
//! on) and `p`; other numbers keep the output's name. An npy file holds them raw.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use crate::bytes::numbers_of;
use crate::cli::common::{Common, Failure, Machine, exit};
use crate::cli::{console, load, run};
use crate::data::csv::{self, CsvOptions, Select};
use crate::data::{Batches, Column, ColumnData, DataError, Order, Table, npy};
use crate::ir::Elem;
use crate::lower::spec::{ColumnSpec, Meaning, Missing, OutputSpec, Selector};
use crate::train::dataset::{csv_columns, element, fill, indices, shaped};
use crate::train::fitted::Made;
use crate::train::store::Saved;
use crate::train::weights::WeightsFile;
use crate::train::{Kind, RunError, Session};

#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub machine: Machine,
    /// What `nnc run` saved
    #[arg(long, value_name = "FILE")]
    pub weights: PathBuf,
    /// Rows to predict: CSV, TSV, npy or npz
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
    /// Where to write: a CSV or npy file, or - for CSV on stdout
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
    /// Rows at a time, in place of the file's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: Option<u32>,
}

pub fn predict(args: &Args) -> Result<u8, Failure> {
    let mut loaded = load::load(&args.common)?;
    let device = args.machine.device(loaded.train.seed)?;
    let raw = match Kinds::of(&args.output) {
        Kinds::Npy if loaded.train.outputs.len() > 1 => {
            let names: Vec<&str> = (loaded.train.outputs.iter()).map(|o| &*o.name).collect();
            return Err(Failure::Usage {
                message: format!(
                    "an npy file holds one array, the model has {}",
                    names.join(", ")
                ),
                help: Some("write a CSV file".into()),
            });
        }
        Kinds::Npy => true,
        Kinds::Npz => return Err(Failure::usage("predictions are written as CSV or npy")),
        Kinds::Text => false,
    };
    let mut file = WeightsFile::open(&args.weights)?;
    let fitted = run::fitted(&mut loaded, &args.common, &file, &args.weights)?;
    let compile = Box::new(|graph| device.compile(graph));
    // Nothing is compared, so no metric collects rows.
    let mut session = Session::new(&loaded.programs, 1, compile)?;
    session.store_mut().load(&mut file, Saved::Model)?;
    let names = session.columns(Kind::Predict);
    let mut specs: Vec<&ColumnSpec> = Vec::new();
    for name in &names {
        let derived = loaded.data.derived.iter().find(|d| d.name == *name);
        let from = derived.map_or(*name, |d| d.of.column());
        let spec = loaded.data.columns.iter().find(|c| c.name == from);
        specs.extend(spec.filter(|s| specs.iter().all(|known| known.name != s.name)));
    }
    let table = read(&args.input, &specs)?;
    let needed = names.iter().map(|n| (*n).to_owned()).collect();
    let (fitted, mut made) = (fitted.unwrap_or_default(), Made::default());
    let table = match fitted.fills.is_empty() {
        true => table,
        false => fill(&loaded.data, &table, &fitted.fills)?,
    };
    let threads = args.machine.threads();
    let table = Arc::new(fitted.derive(&loaded.data, &table, &needed, &mut made, threads)?);
    let size = args.batch.map_or(loaded.train.batch, |n| n as usize);
    let rows = (0..table.rows() as u32).collect();
    let columns = indices(&table, &names)?;
    let mut batches = Batches::new(table, &columns, rows, size, Order::Sequential)?;
    let outputs = outputs(&mut session, &mut batches)?;
    let count = batches.rows();
    if raw {
        for (name, shape, values) in outputs {
            npy::write_npy(&args.output, &Column::new(name, shape, values)?)?;
        }
    } else {
        let mut columns = Vec::new();
        let alone = outputs.len() == 1;
        for ((name, shape, values), spec) in outputs.into_iter().zip(&loaded.train.outputs) {
            columns.extend(shown(spec, name, shape, values, alone)?);
        }
        let table = Table::new(columns)?;
        if args.output.as_os_str() == "-" {
            console::write(|out| csv::write_to(out, b',', &table))?;
        } else {
            csv::write_csv(&args.output, &table)?;
        }
    }
    if args.output.as_os_str() != "-" {
        let output = args.output.display().to_string();
        if args.common.json {
            let event = json!({"event": "predicted", "rows": count, "output": output});
            console::line(&event.to_string())?;
        } else if !args.machine.quiet {
            console::note(&format!("{count} rows -> {output}"));
        }
    }
    Ok(exit::FINE)
}

/// A name, the shape of a row, the values of all rows.
type Values = (String, Vec<usize>, ColumnData);

/// Runs the model over all batches.
fn outputs(session: &mut Session, batches: &mut Batches) -> Result<Vec<Values>, RunError> {
    let rows = batches.rows();
    let mut all: Vec<Values> = session
        .outputs()
        .iter()
        .map(|(name, ty)| {
            let sizes = ty.shape.get(1..).unwrap_or_default().iter();
            let shape: Option<Vec<usize>> = sizes
                .map(|d| d.as_const().and_then(|n| usize::try_from(n).ok()))
                .collect();
            let shape = shape
                .ok_or_else(|| RunError::Program(format!("`{name}` has no size yet: {ty}")))?;
            let count = rows * shape.iter().product::<usize>();
            let data = match ty.elem {
                Elem::F32 | Elem::F64 => ColumnData::F32(Vec::with_capacity(count)),
                Elem::I32 => ColumnData::I32(Vec::with_capacity(count)),
                Elem::U8 | Elem::Bool => ColumnData::U8(Vec::with_capacity(count)),
            };
            Ok(((*name).to_owned(), shape, data))
        })
        .collect::<Result<_, RunError>>()?;
    let types: Vec<Elem> = session.outputs().iter().map(|(_, ty)| ty.elem).collect();
    let mut epoch = batches.epoch(0);
    while let Some(batch) = epoch.next_batch()? {
        let found = session.predict(&batch)?;
        for (((_, _, to), bytes), elem) in all.iter_mut().zip(found).zip(&types) {
            match to {
                ColumnData::F32(v) if *elem == Elem::F64 => {
                    v.extend(
                        numbers_of::<f64>(bytes)
                            .unwrap_or_default()
                            .iter()
                            .map(|&x| x as f32),
                    );
                }
                ColumnData::F32(v) => v.extend(numbers_of::<f32>(bytes).unwrap_or_default()),
                ColumnData::I32(v) => v.extend(numbers_of::<i32>(bytes).unwrap_or_default()),
                ColumnData::U8(v) => v.extend(bytes),
                ColumnData::U16(_) | ColumnData::Text(_) | ColumnData::Sparse(_) => {}
            }
        }
    }
    Ok(all)
}

/// The columns that people expect of an output.
fn shown(
    spec: &OutputSpec,
    name: String,
    shape: Vec<usize>,
    values: ColumnData,
    alone: bool,
) -> Result<Vec<Column>, DataError> {
    let (Meaning::Prob, ColumnData::F32(p)) = (spec.meaning, &values) else {
        return Ok(vec![Column::new(name, shape, values)?]);
    };
    let prefix = if alone {
        String::new()
    } else {
        format!("{name}_")
    };
    let classes = shape.last().copied().unwrap_or(1);
    // a binary head: one number, the probability of "yes"
    let (kept, class): (&[usize], Vec<i32>) = if classes == 1 {
        let class = p.iter().map(|&x| i32::from(x >= 0.5));
        (shape.strip_suffix(&[1]).unwrap_or(&shape), class.collect())
    } else {
        let best = p
            .chunks_exact(classes)
            .map(|row| (0..classes).fold(0, |b, i| if row[i] > row[b] { i } else { b }) as i32);
        (&shape[..shape.len() - 1], best.collect())
    };
    let p_shape = if classes == 1 {
        kept.to_vec()
    } else {
        shape.clone()
    };
    Ok(vec![
        Column::new(
            format!("{prefix}class"),
            kept.to_vec(),
            ColumnData::I32(class),
        )?,
        Column::new(format!("{prefix}p"), p_shape, values)?,
    ])
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kinds {
    Text,
    Npy,
    Npz,
}

impl Kinds {
    fn of(path: &Path) -> Kinds {
        match path.extension().and_then(|e| e.to_str()) {
            Some("npy") => Kinds::Npy,
            Some("npz") => Kinds::Npz,
            _ => Kinds::Text,
        }
    }
}

fn read(path: &Path, specs: &[&ColumnSpec]) -> Result<Table, Failure> {
    match Kinds::of(path) {
        Kinds::Text => read_text(path, specs),
        Kinds::Npy => match specs {
            [spec] => {
                let column = npy::read_npy(path, &spec.name, Some(element(spec.kind)))?;
                Ok(Table::new(vec![reshape(path, column, &spec.shape)?])?)
            }
            _ => Err(Failure::Usage {
                message: format!(
                    "an npy file holds one array, the model takes {}",
                    names(specs)
                ),
                help: Some("give a CSV or an npz file".into()),
            }),
        },
        Kinds::Npz => {
            let members: Vec<_> = specs
                .iter()
                .map(|c| (c.name.as_str(), c.name.as_str(), Some(element(c.kind))))
                .collect();
            let table = npy::read_npz(path, &members)?;
            let columns = table
                .into_columns()
                .into_iter()
                .zip(specs)
                .map(|(column, spec)| reshape(path, column, &spec.shape));
            Ok(Table::new(columns.collect::<Result<_, _>>()?)?)
        }
    }
}

/// Rows of as many elements are taken in the shape that the model takes.
fn reshape(path: &Path, column: Column, shape: &[usize]) -> Result<Column, DataError> {
    if column.per_row() == shape.iter().product::<usize>() {
        return column.reshaped(shape.to_vec());
    }
    shaped(path, column, shape)
}

fn read_text(path: &Path, specs: &[&ColumnSpec]) -> Result<Table, Failure> {
    let options = CsvOptions::detect();
    let (header, width) = csv::csv_header(path, options)?;
    let header = header.unwrap_or_default();
    let there = |name: &String| header.contains(name);
    let by_name = specs.iter().all(|s| match &s.selector {
        Selector::Name(name) => there(name),
        Selector::Names(first, last) => there(first) && there(last),
        Selector::Index(_) | Selector::Indices(..) => false,
    });
    let fields: usize = specs
        .iter()
        .map(|s| s.shape.iter().product::<usize>())
        .sum();
    let mut columns = csv_columns(specs);
    // a line for each row: none is left out
    for (column, spec) in columns.iter_mut().zip(specs) {
        column.missing = column.missing && spec.missing != Some(Missing::Drop);
    }
    if !by_name && width == fields {
        let mut at = 0;
        for (column, spec) in columns.iter_mut().zip(specs) {
            let count: usize = spec.shape.iter().product();
            column.select = if spec.shape.is_empty() {
                Select::Index(at)
            } else {
                Select::Indices(at, at + count - 1)
            };
            at += count;
        }
    } else if !by_name && width < fields {
        return Err(Failure::from(RunError::Usage {
            what: format!("{} has {width} columns", path.display()),
            reason: format!("the model takes {fields}: {}", names(specs)),
        }));
    }
    Ok(csv::read_csv(path, options, &columns)?)
}

/// `sepal_length, petals[3]`
fn names(specs: &[&ColumnSpec]) -> String {
    let shown: Vec<String> = specs
        .iter()
        .map(|s| match &s.shape[..] {
            [] => s.name.clone(),
            shape => format!("{}{shape:?}", s.name),
        })
        .collect();
    shown.join(", ")
}
