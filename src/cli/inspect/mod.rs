//! `nnc inspect FILE.nn`: what the columns of the training rows hold, what tokenizers
//! learnt of them, and with `--sample N` what a model is fed of the first rows.
//!
//! ```text
//! columns  what columns hold
//! words    what tokenizers learnt
//! sample   rows, and what a model is fed of them
//! ```

use std::collections::BTreeSet;

use serde_json::json;

use crate::check::{Checked, Sizes};
use crate::cli::caching::Caching;
use crate::cli::common::{Common, Failure, Machine, exit};
use crate::cli::progress::thousands;
use crate::cli::{console, load};
use crate::data::cache::Told;
use crate::lower::spec::{DataSpec, Part};
use crate::train::dataset::{Dataset, Places, Reading, Streaming};

mod columns;
mod sample;
mod words;

use columns::{column_json, columns_text, facts, streamed_facts};
use sample::samples;
use words::{words, words_json, words_text};

#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub machine: Machine,
    /// Show what a model is fed of the first N training rows
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub sample: Option<u32>,
    /// How many of the most and of the least frequent words to show
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub words: usize,
    /// Seed of the split, in place of the file's
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

pub fn inspect(args: &Args) -> Result<u8, Failure> {
    let common = &args.common;
    let (mut checked, _) = load::checked(common, &Sizes::new())?;
    let seed = checked.train.as_ref().map_or(0, |t| t.seed);
    let seed = args.seed.unwrap_or(seed);
    let folder = common.file.parent().unwrap_or("".as_ref());
    let places = Places {
        program: folder.to_owned(),
        asked: args.machine.data.clone(),
    };
    let caching = Caching::new(common.json, args.machine.quiet);
    let tell = |told: &Told| caching.tell(told);
    let reading = Reading {
        places: &places,
        seed,
        threads: args.machine.threads(),
        fitted: None,
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
    let mut data_set = Dataset::load(spec, &needed, reading)?;
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
    let (columns, words) = match (data_set.part(Part::Train), data_set.stream(Part::Train)) {
        (Some((table, rows)), _) => (
            facts(spec, table, rows)?,
            words(spec, &data_set, table, rows, threads)?,
        ),
        (None, Some(rows)) => (streamed_facts(spec, rows)?, Vec::new()),
        (None, None) => return Err(Failure::usage("the data have no `train` part")),
    };
    let sizes = &data_set.fitted().sizes;
    let samples = match args.sample {
        Some(n) => samples(args, &checked, &data_set, n as usize, seed)?,
        None => Vec::new(),
    };
    if common.json {
        let event = json!({
            "event": "inspected",
            "data": spec.name,
            "rows": parts.iter().map(|(p, n)| (p.name(), *n)).collect::<std::collections::BTreeMap<_, _>>(),
            "columns": columns.iter().map(|(c, f)| column_json(c, f)).collect::<Vec<_>>(),
            "vocabularies": words.iter().map(|w| words_json(w, args.words)).collect::<Vec<_>>(),
            "fitted_sizes": sizes,
            "sample": samples.iter().map(|s| &s.json).collect::<Vec<_>>(),
        });
        console::line(&event.to_string())?;
        return Ok(exit::FINE);
    }
    let counted: Vec<String> = parts
        .iter()
        .map(|(p, n)| format!("{} {}", thousands(*n), p.name()))
        .collect();
    let mut text = format!(
        "{}: rows {}; what follows is of the training rows\n{}",
        spec.name,
        counted.join(" / "),
        columns_text(&columns)
    );
    for w in &words {
        text += "\n\n";
        text += &words_text(w, args.words);
    }
    if !sizes.is_empty() {
        let sizes: Vec<String> = sizes.iter().map(|(n, s)| format!("{n} = {s}")).collect();
        text += &format!("\n\nfitted sizes: {}", sizes.join(", "));
    }
    for sample in &samples {
        text += "\n\n";
        text += &sample.text;
    }
    console::line(&text)?;
    Ok(exit::FINE)
}

fn data<'a>(checked: &'a Checked, common: &Common) -> Result<&'a DataSpec, Failure> {
    checked.data.as_ref().ok_or_else(|| Failure::Usage {
        message: format!("{} has no `data` block to look at", common.file.display()),
        help: None,
    })
}

/// Four digits, no more than are needed.
fn short(x: f64) -> String {
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
    let decimals = (3 - x.abs().log10().floor() as i32).clamp(0, 6) as usize;
    format!("{x:.decimals$}")
}
