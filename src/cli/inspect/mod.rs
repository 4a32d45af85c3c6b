//! `nnc inspect FILE.nn`: what the columns of the training rows hold, what tokenizers
//! computed from them, and with `--sample N` the model's inputs for the first rows.
//!
//! ```text
//! columns   what columns hold
//! words     vocabularies
//! sample    rows, and what a model is fed of them
//! pictures  rows that are pictures
//! resize    pictures in another size
//! page      all of it as a page, with its pictures beside it
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::check::{Checked, Sizes};
use crate::cli::caching::Caching;
use crate::cli::common::{Common, Failure, Machine, exit};
use crate::cli::{console, fetch, load, warnings};
use crate::data::packed::cache::CacheEvent;
use crate::plural::{self, thousands};
use crate::spec::{DataSpec, Part};
use crate::train::dataset::{Dataset, Places, Ranges, Reading, Streaming, headers};

mod columns;
mod page;
mod pictures;
mod resize;
mod sample;
mod words;

use columns::{Look, Source, columns_text, looks};
use sample::{Sample, samples};
use words::{Words, words, words_json, words_text};

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub machine: Machine,
    /// Show the model inputs of the first N training rows
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub sample: Option<u32>,
    /// Number of most and least frequent words to show
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub words: usize,
    /// Write inspect.html, histograms and images to this folder
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Seed of the split (overrides the file)
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// Rows whose pictures are shown.
const HEAD: usize = 64;

/// All that was found.
struct Inspected<'a> {
    spec: &'a DataSpec,
    /// The parts that are there.
    parts: Vec<(Part, usize)>,
    /// The first rows: their places in the columns looked at, their numbers in the data.
    head: Vec<(usize, u64)>,
    columns: Vec<Look<'a>>,
    words: Vec<Words<'a>>,
    /// How many words of each end to show.
    most: usize,
    sizes: &'a BTreeMap<String, i64>,
    samples: Vec<Sample>,
}

pub(super) fn inspect(args: &Args) -> Result<u8, Failure> {
    let common = &args.common;
    let (mut checked, map) = load::checked(common, &Sizes::new())?;
    let seed = checked.train.as_ref().map_or(0, |t| t.seed);
    let seed = args.seed.unwrap_or(seed);
    let folder = common.file.parent().unwrap_or("".as_ref());
    let places = Places {
        program: folder.to_owned(),
        asked: args.machine.data.clone(),
    };
    let caching = Caching::new(common.json, args.machine.quiet);
    let tell = |told: &CacheEvent| caching.tell(told);
    let reading = Reading {
        places: &places,
        seed,
        threads: args.machine.threads(),
        workers: args.machine.workers(),
        fitted: None,
        ranges: Ranges::new(),
        streaming: Streaming::new(&tell),
    };
    let spec = data(&checked, common)?;
    let names: BTreeSet<String> = spec
        .columns
        .iter()
        .map(|c| c.name.clone())
        .chain(spec.derived.iter().map(|d| d.name.clone()))
        .collect();
    let needed = names.iter().map(String::as_str).collect();
    let fetched = fetch::fetched(spec, &map, &args.machine, common.json)?;
    let found = headers(&fetched, &places);
    let found = warnings::show(found, &checked.allowed, &map, common.json)?;
    warnings::deny(common, found)?;
    let mut data_set = Dataset::load(&fetched, &needed, reading)?;
    if spec.has_unknown_sizes() {
        (checked, _) = load::checked(common, &data_set.fitted().sizes())?;
    }
    let spec = data(&checked, common)?;
    data_set.derive(spec, &names)?;
    let parts: Vec<(Part, usize)> = Part::ALL
        .into_iter()
        .map(|p| (p, data_set.rows(p)))
        .filter(|(_, n)| *n > 0)
        .collect();
    let threads = args.machine.threads();
    let count = HEAD.max(args.sample.unwrap_or(0) as usize);
    let streamed;
    let (source, table, head) = match (data_set.part(Part::Train), data_set.stream(Part::Train)) {
        (Some((table, rows)), _) => {
            let first = rows.iter().take(count);
            let first: Vec<_> = first.map(|&r| (r as usize, u64::from(r))).collect();
            (Source::Table(table, rows), table, first)
        }
        (None, Some(rows)) => {
            let (table, numbers) = rows.head(count)?;
            streamed = table;
            let first = numbers.into_iter().enumerate().collect();
            (Source::Stream(rows), &streamed, first)
        }
        (None, None) => return Err(Failure::usage("there is no training set")),
    };
    let columns = looks(spec, source, table, data_set.missing())?;
    let samples = match args.sample {
        Some(n) => {
            let first = &head[..head.len().min(n as usize)];
            samples(args, &checked, &data_set, &columns, first, seed)?
        }
        None => Vec::new(),
    };
    let words = match source {
        Source::Table(table, rows) => words(spec, &data_set, table, rows, threads)?,
        // texts are not streamed
        Source::Stream(_) => Vec::new(),
    };
    let found = Inspected {
        spec,
        parts,
        head,
        columns,
        words,
        most: args.words,
        sizes: &data_set.fitted().sizes,
        samples,
    };
    let written = match &args.out {
        Some(folder) => page::write(folder, &found)?,
        None => Vec::new(),
    };
    if common.json {
        console::line(&found.json(&written).to_string())?;
        return Ok(exit::FINE);
    }
    console::line(&found.text())?;
    if let Some(page) = written.last() {
        console::note(&format!(
            "wrote {} and {}",
            page.display(),
            plural::count(written.len() - 1, "image file")
        ));
    }
    Ok(exit::FINE)
}

impl Inspected<'_> {
    /// `16,000 train / 4,000 val / 5,000 test rows`
    fn counted(&self) -> String {
        let counted: Vec<String> = (self.parts.iter())
            .map(|(p, n)| format!("{} {}", thousands(*n), p.name()))
            .collect();
        format!("{} rows", counted.join(" / "))
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{}: {}; statistics below are for the training rows\n{}",
            self.spec.name,
            self.counted(),
            columns_text(&self.columns)
        );
        for w in &self.words {
            text += "\n\n";
            text += &words_text(w, self.most);
        }
        if !self.sizes.is_empty() {
            let sizes: Vec<String> = self
                .sizes
                .iter()
                .map(|(n, s)| format!("{n} = {s}"))
                .collect();
            text += &format!("\n\nfitted sizes: {}", sizes.join(", "));
        }
        for sample in &self.samples {
            text += "\n\n";
            text += &sample.text();
        }
        text
    }

    fn json(&self, written: &[PathBuf]) -> Value {
        let rows = self.parts.iter().map(|(p, n)| (p.name(), *n));
        json!({
            "event": "inspected",
            "data": self.spec.name,
            "rows": rows.collect::<BTreeMap<_, _>>(),
            "columns": self.columns.iter().map(Look::json).collect::<Vec<_>>(),
            "vocabularies": self.words.iter().map(|w| words_json(w, self.most)).collect::<Vec<_>>(),
            "fitted_sizes": self.sizes,
            "sample": self.samples.iter().map(Sample::json).collect::<Vec<_>>(),
            "written": written,
        })
    }
}

fn data<'a>(checked: &'a Checked, common: &Common) -> Result<&'a DataSpec, Failure> {
    checked.data.as_ref().ok_or_else(|| Failure::Usage {
        message: format!("{} has no `data` block to inspect", common.file.display()),
        help: None,
    })
}

/// Four digits, no more than are needed.
fn short(x: f64) -> String {
    digits(x, 4)
}

/// Three digits, no more than are needed.
fn rough(x: f64) -> String {
    digits(x, 3)
}

fn digits(x: f64, most: i32) -> String {
    if x.fract() == 0.0 && x.abs() < 1e9 {
        let digits = thousands(x.abs() as usize);
        return if x < 0.0 {
            format!("-{digits}")
        } else {
            digits
        };
    }
    if x.abs() >= 1e5 || (x != 0.0 && x.abs() < 1e-3) {
        return format!("{x:.3e}");
    }
    let decimals = (most - 1 - x.abs().log10().floor() as i32).clamp(1, 6) as usize;
    let text = format!("{x:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
