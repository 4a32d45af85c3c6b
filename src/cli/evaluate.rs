//! `nnc evaluate FILE.nn --weights FILE`: loss and metrics of saved weights over a part of the data.

use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::cli::common::{Common, Failure, Machine, exit};
use crate::cli::load::{self, Loaded};
use crate::cli::prepare;
use crate::cli::run::progress::Progress;
use crate::data::Order;
use crate::spec;
use crate::train::bounds;
use crate::train::dataset::{Ranges, workers};
use crate::train::memory::{self, Steps};
use crate::train::store::Saved;
use crate::train::weights::WeightsFile;
use crate::train::{ProgramKind, Session, fit};

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub machine: Machine,
    /// Weights file written by `nnc run`
    #[arg(long, value_name = "FILE")]
    pub weights: PathBuf,
    /// Data set to evaluate on [default: test, else val, else train]
    #[arg(long, value_enum)]
    pub part: Option<Part>,
    /// Batch size (overrides the file)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: Option<u32>,
    /// Seed of the split (overrides the file)
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Fold that was held out [default: the fold saved with the weights]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub fold: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Part {
    Train,
    Val,
    Test,
}

pub(super) fn evaluate(args: &Args) -> Result<u8, Failure> {
    let mut loaded = load::load(&args.common)?;
    loaded.train.seed = args.seed.unwrap_or(loaded.train.seed);
    let device = args.machine.device(loaded.train.seed)?;
    let mut file = WeightsFile::open(&args.weights)?;
    hold_out(args, &mut loaded, &file)?;
    let fitted = prepare::fitted(&mut loaded, &args.common, &file, &args.weights)?;
    let kinds = [ProgramKind::Eval];
    let data = prepare::dataset(
        &mut loaded,
        &args.common,
        &args.machine,
        &kinds,
        fitted,
        Ranges::new(),
    )?;
    let compile = Box::new(|graph| device.compile(graph));
    let mut session = Session::new(&loaded.programs, data.most_rows(), compile)?;
    session.store_mut().load(&mut file, Saved::Model)?;
    let part = match args.part {
        Some(Part::Train) => spec::Part::Train,
        Some(Part::Val) => spec::Part::Val,
        Some(Part::Test) => spec::Part::Test,
        None if data.rows(spec::Part::Test) > 0 => spec::Part::Test,
        None if data.rows(spec::Part::Val) > 0 => spec::Part::Val,
        None => spec::Part::Train,
    };
    let size = args.batch.map_or(loaded.train.batch, |n| n as usize);
    let steps = Steps {
        what: "an evaluation",
        programs: &[(&loaded.programs.eval, 1)],
        rows: size.min(data.rows(part).max(1)),
        workers: workers(&loaded.data, args.machine.workers()),
        windows: data.window_bytes(),
    };
    memory::fits(&steps, &device)?;
    bounds::check(&mut session, &data, &loaded.train, &[part])?;
    let columns = session.columns(ProgramKind::Eval);
    let mut batches = data
        .batches(part, &columns, size, Order::Sequential)?
        .ok_or_else(|| prepare::no_part(part))?;
    let values = fit::evaluate(&mut session, &mut batches)?;
    let progress = Progress::new(session.metric_names(), args.common.json, args.machine.quiet);
    progress.say(&progress.shown(part.name(), &values));
    let mut fields = progress.fields("", &values);
    fields.insert("rows".into(), json!(batches.rows()));
    progress.event(part.name(), Value::Object(fields));
    progress.all_told()?;
    Ok(exit::FINE)
}

/// The fold that was held out when the weights were trained.
fn hold_out(args: &Args, loaded: &mut Loaded, file: &WeightsFile) -> Result<(), Failure> {
    let said = file.metadata().get("fold");
    let said = said.and_then(|f| f.split(' ').next()?.parse().ok());
    if loaded.data.folds().is_none() || args.fold.is_some() {
        return prepare::hold_out(loaded, args.fold);
    }
    match said {
        Some(fold) => prepare::hold_out(loaded, Some(fold)),
        None => Err(Failure::Usage {
            message: format!(
                "{} does not record which fold was held out",
                args.weights.display()
            ),
            help: Some("pass it with --fold N".into()),
        }),
    }
}
