//! `nnc predict FILE.nn --weights FILE --input ROWS`: a model's outputs, a row each.
//!
//! Input columns are found by header name; without a header (or with other names)
//! by position, where the file has just the fields that the model takes; else as in
//! the training file. JSON lines and Parquet are read by name; of a folder each file is a
//! row, and its `path` the first column of what is written. Probabilities become `class` (the likeliest, or 1 from 0.5
//! on) and `p`; other numbers keep the output's name. An npy file holds them raw.
//!
//! From one text file to another rows go some at a time: memory does not depend on how many
//! there are. On stdout nothing appears before all rows have been read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use crate::bytes::numbers_of;
use crate::cli::common::{Common, Failure, Machine, exit};
use crate::cli::load::{self, Loaded};
use crate::cli::{console, prepare};
use crate::data::formats::{csv, npy};
use crate::data::{Batches, Column, ColumnData, DataError, Order, Table};
use crate::ir::Elem;
use crate::plural;
use crate::spec::{ColumnSpec, Meaning, OutputSpec};
use crate::train::dataset::{extend, fill, indices, is_series};
use crate::train::device::Device;
use crate::train::fitted::{Fitted, Made};
use crate::train::memory::{self, Steps};
use crate::train::session::columns;
use crate::train::store::Saved;
use crate::train::weights::WeightsFile;
use crate::train::{ProgramKind, RunError, Session};
use input::{Input, Kinds};

mod input;

/// Rows of a text that are read at a time, in whole batches.
const AT_A_TIME: usize = 4096;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub machine: Machine,
    /// Weights file written by `nnc run`
    #[arg(long, value_name = "FILE")]
    pub weights: PathBuf,
    /// Rows to predict: a CSV, TSV, JSON Lines, Parquet, npy or npz file, or a folder of text,
    /// audio or image files
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
    /// Output file, CSV or npy; - prints CSV to stdout
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
    /// Batch size (overrides the file)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: Option<u32>,
}

pub(super) fn predict(args: &Args) -> Result<u8, Failure> {
    let mut loaded = load::load(&args.common)?;
    let device = args.machine.device(loaded.train.seed)?;
    if columns(&loaded.programs, ProgramKind::Predict).is_empty() {
        return Err(Failure::Usage {
            message: format!(
                "`{}` takes no columns of the data, so there are no rows to predict",
                loaded.train.models.first().map_or("", |m| m)
            ),
            help: Some(
                "to sample it, make what it draws an `input` of the data, in a copy of the program, \
                 and pass rows of noise; to run another model, name that first in the train block"
                    .into(),
            ),
        });
    }
    let raw = match Kinds::of(&args.output) {
        Kinds::Npy if loaded.train.outputs.len() > 1 => {
            let names: Vec<&str> = (loaded.train.outputs.iter()).map(|o| &*o.name).collect();
            return Err(Failure::Usage {
                message: format!(
                    "an npy file holds one array, but the model has several outputs: {}",
                    names.join(", ")
                ),
                help: Some("write a CSV file instead".into()),
            });
        }
        Kinds::Npy => true,
        Kinds::Text => false,
        Kinds::Npz | Kinds::Jsonl | Kinds::Parquet => {
            return Err(Failure::usage(
                "predictions can only be written as CSV or npy",
            ));
        }
    };
    let mut file = WeightsFile::open(&args.weights)?;
    let fitted = prepare::fitted(&mut loaded, &args.common, &file, &args.weights)?;
    let compile = Box::new(|graph| device.compile(graph));
    // Nothing is compared, so no metric collects rows.
    let mut session = Session::new(&loaded.programs, 1, compile)?;
    session.store_mut().load(&mut file, Saved::Model)?;
    let fitted = fitted.unwrap_or_default();
    let data = loaded.data.with_ranges(&fitted.ranges);
    let names = session.columns(ProgramKind::Predict);
    let mut specs: Vec<&ColumnSpec> = Vec::new();
    for name in &names {
        let derived = data.derived.iter().find(|d| d.name == *name);
        let from = derived.map_or(*name, |d| d.of.column());
        let spec = data.columns.iter().find(|c| c.name == from);
        specs.extend(spec.filter(|s| specs.iter().all(|known| known.name != s.name)));
    }
    let size = args.batch.map_or(loaded.train.batch, |n| n as usize);
    let file = args.output.as_os_str() != "-";
    let whole = raw || is_series(&loaded.data, &names);
    let rows = match file && !whole {
        true => size * AT_A_TIME.div_ceil(size),
        false => usize::MAX,
    };
    let mut predictor = Predictor {
        input: Input::open(
            &args.input,
            &specs,
            rows,
            &loaded.data.sources,
            &args.common,
        )?,
        session,
        device: &device,
        loaded: &loaded,
        fitted,
        names,
        size,
        threads: args.machine.threads(),
        count: 0,
    };
    if raw {
        for (name, shape, values) in predictor.outputs()?.unwrap_or_default() {
            npy::write_npy(&args.output, &Column::new(name, shape, values)?)?;
        }
    } else if file {
        predictor.write(&args.output)?;
    } else if let Some(table) = predictor.table()? {
        console::write(|out| csv::write_to(out, b',', &table))?;
    }
    let count = predictor.count;
    if file {
        let output = args.output.display().to_string();
        if args.common.json {
            let event = json!({"event": "predicted", "rows": count, "output": output});
            console::line(&event.to_string())?;
        } else if !args.machine.quiet {
            console::note(&format!(
                "wrote {} to {output}",
                plural::count(count, "prediction")
            ));
        }
    }
    Ok(exit::FINE)
}

/// A name, the shape of a row, the values of all rows.
type Values = (String, Vec<usize>, ColumnData);

/// Rows read, predicted and shown, some at a time.
struct Predictor<'a> {
    input: Input,
    session: Session<'a>,
    device: &'a Device,
    loaded: &'a Loaded,
    fitted: Fitted,
    /// Columns that the model takes.
    names: Vec<&'a str>,
    /// Rows of a batch.
    size: usize,
    threads: usize,
    /// Rows so far.
    count: usize,
}

impl Predictor<'_> {
    /// The model's outputs for the next rows; none at the end.
    fn outputs(&mut self) -> Result<Option<Vec<Values>>, Failure> {
        let Some(table) = self.input.next()? else {
            return Ok(None);
        };
        let needed = self.names.iter().map(|n| (*n).to_owned()).collect();
        let data = &self.loaded.data;
        let mut made = Made::default();
        let table = match self.fitted.fills.is_empty() {
            true => table,
            false => fill(data, &table, &self.fitted.fills)?,
        };
        let all: Vec<u32> = (0..table.rows() as u32).collect();
        let (table, rows) = match extend(data, &table, &[&all], &needed)? {
            None => (table, all),
            Some((table, whole)) => {
                let rows: Vec<u32> = all.into_iter().filter(|r| whole[*r as usize]).collect();
                console::note(&format!(
                    "skipped the first {} (not enough history)",
                    plural::count(table.rows() - rows.len(), "row"),
                ));
                (table, rows)
            }
        };
        let table = (self.fitted).derive(data, &table, &needed, &mut made, self.threads)?;
        if self.count == 0 {
            let steps = Steps {
                what: "a prediction",
                programs: &[(&self.loaded.programs.predict, 1)],
                rows: self.size.min(rows.len().max(1)),
                workers: 1,
                windows: 0,
            };
            memory::fits(&steps, self.device)?;
        }
        let columns = indices(&table, &self.names)?;
        let order = Order::Sequential;
        let mut batches = Batches::new(Arc::new(table), &columns, rows, self.size, order)?;
        self.count += batches.rows();
        Ok(Some(outputs(&mut self.session, &mut batches)?))
    }

    /// The same as the columns that people expect.
    fn table(&mut self) -> Result<Option<Table>, Failure> {
        let Some(outputs) = self.outputs()? else {
            return Ok(None);
        };
        let mut columns: Vec<Column> = self.input.paths()?.into_iter().collect();
        let alone = outputs.len() == 1;
        for ((name, shape, values), spec) in outputs.into_iter().zip(&self.loaded.train.outputs) {
            columns.extend(shown(spec, name, shape, values, alone)?);
        }
        Ok(Some(Table::new(columns)?))
    }

    /// All of them into a file, which is there in the end or not at all.
    fn write(&mut self, path: &Path) -> Result<(), Failure> {
        let mut fault = None;
        let written = csv::write_tables(path, || {
            self.table().map_err(|failure| {
                fault = Some(failure);
                std::io::ErrorKind::Other.into()
            })
        });
        match fault {
            Some(failure) => Err(failure),
            None => Ok(written?),
        }
    }
}

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
