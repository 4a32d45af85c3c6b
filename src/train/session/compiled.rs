//! An executable bound to the store and to batches.

use crate::backend::Executable;
use crate::bytes::AlignedBytes;
use crate::data::Batch;
use crate::data::table::Storage;
use crate::ir::{Elem, Graph, OutputRole, Role};
use crate::spec::names;
use crate::train::RunError;
use crate::train::store::Store;

/// An executable, and where its inputs and results are.
pub(super) struct Compiled {
    pub(super) run: Box<dyn Executable>,
    inputs: Vec<Source>,
    pub(super) results: Vec<Target>,
    /// What `run` is handed; filled again each time.
    pointers: (Vec<*mut u8>, Vec<*mut u8>),
}

enum Source {
    /// At an offset in the store.
    Store(usize),
    /// A column of the batch.
    Column {
        name: String,
        /// Bytes in a batch, as the graph takes them.
        bytes: usize,
        elem: Elem,
        /// Holds the column where the batch's own buffer is not aligned or of another type.
        staging: Option<AlignedBytes>,
    },
}

pub(super) enum Target {
    Store(usize),
    Own(AlignedBytes),
    /// Rows that are put behind those in the store.
    Rows {
        batch: AlignedBytes,
        /// Offset in the store of all rows.
        at: usize,
        len: usize,
        /// Where the store counts them.
        count: usize,
    },
}

/// Where results go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Results {
    InStore,
    Own,
    /// Behind the rows that the store holds.
    Collected,
}

impl Compiled {
    pub(super) fn new(
        run: Box<dyn Executable>,
        store: &Store,
        to: Results,
    ) -> Result<Compiled, RunError> {
        let graph = run.graph();
        let unknown = |name: &str| RunError::Program(format!("nothing fills `{name}`"));
        let bytes = |v| {
            let ty = graph.ty(v);
            match ty.sizes() {
                Some(_) => Ok(ty.bytes()),
                None => Err(RunError::Program(format!("{ty} has no size yet"))),
            }
        };
        let inputs = graph
            .inputs
            .iter()
            .map(|input| match input.role {
                Role::Data => Ok(Source::Column {
                    name: input.name.to_string(),
                    bytes: bytes(input.value)?,
                    elem: graph.ty(input.value).elem,
                    staging: None,
                }),
                _ => {
                    let buffer = store
                        .find(&input.name)
                        .ok_or_else(|| unknown(&input.name))?;
                    Ok(Source::Store(buffer.offset()))
                }
            })
            .collect::<Result<Vec<_>, RunError>>()?;
        let results = results(graph)
            .zip(
                graph
                    .outputs
                    .iter()
                    .filter(|o| o.role == OutputRole::Result),
            )
            .map(|((name, _), output)| match to {
                Results::InStore => {
                    let buffer = store.find(name).ok_or_else(|| unknown(name))?;
                    Ok(Target::Store(buffer.offset()))
                }
                Results::Own => Ok(Target::Own(AlignedBytes::zeroed(bytes(output.value)?))),
                Results::Collected => {
                    let buffer = store.find(name).ok_or_else(|| unknown(name))?;
                    let count = names::collected_rows(name);
                    let count = store.find(&count).ok_or_else(|| unknown(&count))?;
                    Ok(Target::Rows {
                        batch: AlignedBytes::zeroed(bytes(output.value)?),
                        at: buffer.offset(),
                        len: buffer.len(),
                        count: count.offset(),
                    })
                }
            })
            .collect::<Result<Vec<_>, RunError>>()?;
        let pointers = (
            Vec::with_capacity(inputs.len()),
            Vec::with_capacity(results.len()),
        );
        Ok(Compiled {
            run,
            inputs,
            results,
            pointers,
        })
    }

    pub(super) fn run(&mut self, store: &mut Store, batch: Option<&Batch>) -> Result<(), RunError> {
        let base = store.base();
        let before = self.rows_before(base);
        let (inputs, results) = &mut self.pointers;
        inputs.clear();
        results.clear();
        let mut column = 0;
        for source in &mut self.inputs {
            inputs.push(match source {
                // SAFETY: an offset of a buffer in the store.
                Source::Store(offset) => unsafe { base.add(*offset) },
                Source::Column {
                    name,
                    bytes,
                    elem,
                    staging,
                } => {
                    let batch = batch
                        .filter(|b| column < b.columns())
                        .ok_or_else(|| RunError::Program(format!("no column `{name}`")))?;
                    let from = batch.column(column);
                    column += 1;
                    place(name, from, *bytes, *elem, staging)?
                }
            });
        }
        for target in &mut self.results {
            results.push(match target {
                // SAFETY: as above.
                Target::Store(offset) => unsafe { base.add(*offset) },
                Target::Own(bytes) | Target::Rows { batch: bytes, .. } => bytes.as_mut_ptr(),
            });
        }
        // SAFETY: every buffer has its type's size (checked when it was bound, columns just
        // now) and is aligned; buffers of the store, of results and of batches are distinct.
        unsafe { self.run.run(inputs, results) };
        match before {
            Some(before) => self.collect(base, before),
            None => Ok(()),
        }
    }

    /// Results that are in no store, as bytes.
    pub(super) fn own(&self) -> impl Iterator<Item = &[u8]> {
        self.results.iter().filter_map(|t| match t {
            Target::Own(bytes) => Some(&**bytes),
            Target::Store(_) | Target::Rows { .. } => None,
        })
    }

    /// Rows collected so far, of a program that collects.
    pub(super) fn rows_before(&self, base: *mut u8) -> Option<usize> {
        let count = self.results.iter().find_map(|t| match t {
            Target::Rows { count, .. } => Some(*count),
            _ => None,
        })?;
        // SAFETY: the offset is that of an F64 scalar in the store.
        Some(unsafe { base.add(count).cast::<f64>().read() } as usize)
    }

    /// Puts the batch's rows behind the `before` that the store holds.
    pub(super) fn collect(&self, base: *mut u8, before: usize) -> Result<(), RunError> {
        for target in &self.results {
            let Target::Rows {
                batch,
                at,
                len,
                count,
            } = target
            else {
                continue;
            };
            // SAFETY: the offset is that of an F64 scalar in the store.
            let now = unsafe { base.add(*count).cast::<f64>().read() } as usize;
            let row = batch.len() / now.saturating_sub(before).max(1);
            if row * now > *len {
                return Err(RunError::Program(format!(
                    "a metric collects {now} rows, and has room for {}",
                    *len / row.max(1)
                )));
            }
            // SAFETY: as just seen, the rows end within the buffer, which lies in the store;
            // the batch's own buffer is another.
            unsafe {
                let to = base.add(at + row * before);
                to.copy_from_nonoverlapping(batch.as_ptr(), batch.len());
            }
        }
        Ok(())
    }

    /// Results that are F64 scalars.
    pub(super) fn read(&self, values: &mut [f64]) {
        for (value, target) in values.iter_mut().zip(&self.results) {
            if let Target::Own(bytes) = target
                && let Some(bytes) = bytes.first_chunk()
            {
                *value = f64::from_le_bytes(*bytes);
            }
        }
    }
}

/// Names and types of a graph's results.
pub(super) fn results(graph: &Graph) -> impl Iterator<Item = (&str, &crate::ir::Type)> {
    graph
        .outputs
        .iter()
        .filter(|o| o.role == OutputRole::Result)
        .map(|o| (&*o.name, graph.ty(o.value)))
}

/// Where the executable finds a column: in the batch, or in `staging`, where it is
/// copied if it is not aligned, and converted if the file stores it otherwise.
pub(in crate::train) fn place(
    name: &str,
    from: crate::data::batch::BatchColumn,
    bytes: usize,
    elem: Elem,
    staging: &mut Option<AlignedBytes>,
) -> Result<*mut u8, RunError> {
    let same = matches!(
        (from.storage, elem),
        (Storage::U8, Elem::U8 | Elem::Bool)
            | (Storage::I32, Elem::I32)
            | (Storage::F32, Elem::F32)
    );
    let size = from.storage.size().unwrap_or(1);
    if from.bytes.len() / size != bytes / elem.size() {
        return Err(RunError::Column {
            column: name.into(),
            found: format!("{:?}", from.shape),
            expected: format!("{} values per batch", bytes / elem.size()),
        });
    }
    let aligned = (from.as_ptr() as usize).is_multiple_of(crate::bytes::ALIGN);
    if same && aligned {
        return Ok(from.as_ptr().cast_mut());
    }
    let to = staging.get_or_insert_with(|| AlignedBytes::zeroed(bytes));
    if same {
        to.copy_from_slice(from.bytes);
    } else {
        let (i32s, f32s) = (to.as_mut_ptr().cast::<i32>(), to.as_mut_ptr().cast::<f32>());
        let count = bytes / elem.size();
        // SAFETY: `to` is aligned and holds `count` elements of the type written.
        match (from.storage, elem) {
            (Storage::U8, Elem::I32) => (from.bytes.iter().take(count).enumerate())
                .for_each(|(i, &x)| unsafe { i32s.add(i).write(i32::from(x)) }),
            (Storage::U8, Elem::F32) => (from.bytes.iter().take(count).enumerate())
                .for_each(|(i, &x)| unsafe { f32s.add(i).write(f32::from(x)) }),
            (Storage::U16, Elem::I32) => (from
                .u16s()
                .unwrap_or_default()
                .iter()
                .take(count)
                .enumerate())
            .for_each(|(i, &x)| unsafe { i32s.add(i).write(i32::from(x)) }),
            (Storage::I32, Elem::F32) => (from
                .i32s()
                .unwrap_or_default()
                .iter()
                .take(count)
                .enumerate())
            .for_each(|(i, &x)| unsafe { f32s.add(i).write(x as f32) }),
            (storage, elem) => {
                return Err(RunError::Column {
                    column: name.into(),
                    found: storage.name().into(),
                    expected: elem.name().into(),
                });
            }
        }
    }
    Ok(to.as_mut_ptr())
}
