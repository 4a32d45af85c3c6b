//! Parts whose rows are read some at a time: each file is parsed once, into the cache.
//!
//! All columns of the block are kept, whatever a command needs of them, so that every command
//! finds the same file, and an order made of its blocks is one order.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::data::DataError;
use crate::data::packed::BLOCK;
use crate::data::packed::cache::{self, Tell, Wanted};
use crate::data::packed::stream::{Stream, StreamPart, WINDOW};
use crate::data::split;
use crate::spec::{ColumnSpec, DataSpec, Format, Part};
use crate::train::identity::Hash;

use super::Places;
use super::divide::named;
use super::origins::Origins;
use super::sources::{csv_columns, csv_options};

/// How streamed rows are kept and read.
#[derive(Clone)]
pub struct Streaming<'a> {
    /// The cache folder; none: the user's.
    pub cache: Option<PathBuf>,
    /// Bytes of a block.
    pub block: usize,
    /// Blocks that are mixed at a time.
    pub window: usize,
    /// Bytes of a file that is held in memory, from which on it is parsed once as well.
    pub least: u64,
    pub tell: Tell<'a>,
}

impl<'a> Streaming<'a> {
    pub fn new(tell: Tell<'a>) -> Streaming<'a> {
        Streaming {
            cache: None,
            block: BLOCK,
            window: WINDOW,
            least: 64 << 20,
            tell,
        }
    }

    pub fn cache(&self) -> Result<PathBuf, DataError> {
        match &self.cache {
            Some(folder) => Ok(folder.clone()),
            None => cache::folder(),
        }
    }
}

type Streams = BTreeMap<Part, StreamPart>;

/// The parts that are streamed, and the files that their rows come from.
pub(super) fn load(
    spec: &DataSpec,
    places: &Places,
    seed: u64,
    how: &Streaming,
) -> Result<(Streams, BTreeMap<Part, Origins>), DataError> {
    let (mut parts, mut origins) = (BTreeMap::new(), BTreeMap::new());
    if spec.sources.iter().all(|s| !s.stream) {
        return Ok((parts, origins));
    }
    let cache = how.cache()?;
    let columns: Vec<&ColumnSpec> = spec.columns.iter().collect();
    let columns = csv_columns(&columns);
    let mut files: BTreeMap<Option<Part>, _> = BTreeMap::new();
    for source in spec.sources.iter().filter(|s| s.stream) {
        // the checker lets no other be streamed
        if let Format::Csv {
            path,
            delimiter,
            header,
            quote,
        } = &source.format
        {
            let wanted = Wanted {
                path: &places.find(path),
                options: csv_options(*delimiter, *header, *quote),
                columns: &columns,
                block: how.block,
            };
            let packed = cache::packed(&cache, &wanted, how.tell)?;
            let (of_part, from): &mut (Vec<_>, Origins) = files.entry(source.part).or_default();
            from.add(places.find(path), packed.0.rows());
            of_part.push(packed);
        }
    }
    for (part, (files, from)) in files {
        let stream = Arc::new(Stream::new(files));
        let all = usize::try_from(stream.rows()).unwrap_or(usize::MAX);
        match &spec.split {
            Some(split) if part == spec.pool() => {
                let sizes = split::sizes(all, &named(&split.parts))?;
                let seed = split.seed.unwrap_or(seed);
                let names = split.parts.iter().map(|(part, _)| *part);
                origins.extend(names.clone().map(|part| (part, from.clone())));
                parts.extend(names.zip(stream.divided(&sizes, seed)));
            }
            _ => {
                let whole = stream.divided(&[all], seed);
                let part = part.unwrap_or(Part::Train);
                origins.insert(part, from);
                parts.extend(whole.into_iter().map(|rows| (part, rows)));
            }
        }
    }
    Ok((parts, origins))
}

/// What identifies the rows of a part.
pub(super) fn hashes(part: Part, rows: &StreamPart) -> [(String, String); 2] {
    let hash = |text: &str| {
        let mut hash = Hash::default();
        hash.add(text.as_bytes());
        hash.text()
    };
    let name = part.name();
    [
        (
            format!("what the file of `{name}` holds"),
            hash(rows.stream().hash()),
        ),
        (format!("the rows of `{name}`"), hash(&rows.describe())),
    ]
}
