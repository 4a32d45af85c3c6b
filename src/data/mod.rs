//! Files -> columns -> batches.
//!
//! ```text
//! error                 what can be wrong with data, and what it is called
//! table, sparse         named columns in memory; bags of ids
//! formats/              a reader per format, and writers of CSV and npy
//! fetch/                data sets that are downloaded once
//! packed/               text tables parsed once, kept in a compact file, read some blocks at a time
//! shuffle, split/       seeded permutations; training, validation and test sets
//! fitted/, missing      statistics and transforms computed from chosen rows
//! text/                 texts as ids, vocabularies, byte pairs
//! series, balance       rows made from neighbouring rows; classes drawn equally often
//! describe              what a column looks like
//! augment/              images changed at random on their way into a batch
//! batch/                rows gathered ahead on threads
//! write                 whole files or none
//! ```
//!
//! Nothing here knows the language or the graphs: readers are given the columns to read and
//! what these must hold. Of `spec` they use the plain names of fields.

pub mod augment;
pub mod balance;
pub mod batch;
pub mod describe;
pub mod error;
pub mod fetch;
pub mod fitted;
pub mod formats;
pub mod missing;
pub mod packed;
pub mod series;
pub mod shuffle;
pub mod sparse;
pub mod split;
pub mod table;
pub mod text;
pub mod write;

pub use batch::{Batch, Batches, Epoch, Order, Taken};
pub use error::DataError;
pub use table::{Column, ColumnData, ElementType, Storage, Table};
