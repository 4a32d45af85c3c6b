//! Files -> columns -> batches.
//!
//! ```text
//! error                 what can be wrong
//! table                 named columns in memory
//! source, decode        files opened, gzip or not; numbers of files
//! idx, csv, npy         formats read, and written by `nnc predict`
//! jsonl, parquet        fields by name
//! folder, texts, wav    files in a folder for each class
//! fetch                 data sets from the network, once
//! sink                  values, one at a time, of a column
//! packed, cache         texts parsed once, kept in a compact file
//! stream                packed files read some blocks at a time
//! images                folders of image files, a folder a class
//! shuffle, split        seeded permutations, parts
//! fit, learn, describe  statistics and transforms of chosen rows; what a column looks like
//! text, sparse          texts as ids, ids as bags
//! whiten                what is learnt of images
//! write                 whole files or none
//! augment               images changed at random on their way into a batch
//! batch                 rows gathered ahead on threads
//! ```
//!
//! Nothing here knows the language or the IR: readers are told what columns to
//! take and what they must hold.

pub mod augment;
pub mod balance;
pub mod batch;
pub mod cache;
pub mod describe;
pub mod error;
pub mod fetch;
pub mod missing;
pub mod packed;
pub mod series;
pub mod shuffle;
pub mod sparse;
pub mod split;
pub mod stream;
pub mod table;
pub mod text;
pub mod write;

pub use batch::{Batch, Batches, Epoch, Order, Taken};
pub use error::DataError;
pub use table::{Column, ColumnData, ElementType, Storage, Table};
pub mod fitted;
pub mod formats;
