//! Files -> columns -> batches.
//!
//! ```text
//! error                 what can be wrong
//! table                 named columns in memory
//! shuffle, split        seeded permutations, parts
//! write                 whole files or none
//! batch                 rows gathered ahead on a thread
//! ```
//!
//! Nothing here knows the language or the IR: readers are told what columns to
//! take and what they must hold.

pub mod batch;
pub mod error;
pub mod shuffle;
pub mod table;
pub mod write;

pub use crate::bytes as element;
pub use batch::{Batch, Batches, Epoch, Order};
pub use error::DataError;
pub use table::{Column, ColumnData, ElementType, Storage, Table};
