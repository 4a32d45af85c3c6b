//! Columns of images that are changed at random while a model trains.

use std::path::Path;
use std::sync::Arc;

use crate::bytes::numbers_of;
use crate::data::augment::{Augment, Size};
use crate::data::batch::Taken;
use crate::data::formats::images::write_png;
use crate::data::{Batches, DataError, Order, Table};
use crate::spec::augment::Saved;
use crate::spec::{ColumnKind, DataSpec};

use super::indices;

/// Workers where images are changed and nobody asked for a number; one elsewhere.
const WORKERS: usize = 2;

/// By the names under which batches have them.
#[derive(Debug)]
pub(super) struct Augmented(Vec<One>);

#[derive(Debug)]
struct One {
    name: String,
    column: String,
    augment: Arc<Augment>,
    saved: Option<Saved>,
}

/// How many threads make batches.
pub fn workers(spec: &DataSpec, asked: Option<usize>) -> usize {
    let usual = if spec.augmented.is_empty() {
        1
    } else {
        WORKERS
    };
    asked.unwrap_or(usual)
}

impl Augmented {
    pub(super) fn new(spec: &DataSpec, seed: u64) -> Augmented {
        let made = spec.augmented.iter().filter_map(|a| {
            let column = spec.columns.iter().find(|c| c.name == a.column)?;
            let bytes = column.kind == ColumnKind::U8;
            let augment = Augment::new(&a.ranges, seed, &a.name, &column.shape, bytes)?;
            Some(One {
                name: a.name.clone(),
                column: a.column.clone(),
                augment: Arc::new(augment),
                saved: a.saved.clone(),
            })
        });
        Augmented(made.collect())
    }

    /// The columns that stand under these names.
    pub(super) fn columns(&self, table: &Table, names: &[&str]) -> Result<Vec<Taken>, DataError> {
        let taken = names.iter().map(|name| {
            let one = self.0.iter().find(|one| one.name == **name);
            let column = one.map_or(*name, |one| &one.column);
            Ok(Taken {
                column: indices(table, &[column])?[0],
                augment: one.map(|one| one.augment.clone()),
            })
        });
        taken.collect()
    }

    /// Writes the first images of the first epoch, where that is asked for, below a folder;
    /// gives each folder and how many there are.
    pub(super) fn save(
        &self,
        below: &Path,
        table: &Arc<Table>,
        rows: &[u32],
        order: Order,
    ) -> Result<Vec<(String, usize)>, DataError> {
        let mut all = Vec::new();
        for one in &self.0 {
            let Some(Saved { to, count }) = &one.saved else {
                continue;
            };
            let folder = below.join(to);
            std::fs::create_dir_all(&folder)
                .map_err(|e| DataError::io(&folder, "create the folder", &e))?;
            let taken = self.columns(table, &[&one.name])?;
            let mut batches = Batches::prepared(table.clone(), &taken, rows.to_vec(), 1, order, 1)?;
            let input = one.name.split(':').next().unwrap_or_default();
            let mut epoch = batches.epoch(0);
            let mut written = 0;
            while written < *count
                && let Some(batch) = epoch.next_batch()?
            {
                let column = batch.column(0);
                let image = numbers_of::<f32>(column.bytes).unwrap_or_default();
                let path = folder.join(format!("{input}_{:03}.png", written + 1));
                if let Some(size) = Size::of(column.shape) {
                    write_png(&path, image, size, one.augment.gives_bytes())?;
                }
                written += 1;
            }
            all.push((to.clone(), written));
        }
        Ok(all)
    }
}
