//! The file formats that are read: each reader fills columns, and reports what does not fit.

pub mod csv;
pub mod decode;
pub mod folder;
pub mod idx;
pub mod images;
pub mod jsonl;
pub mod npy;
mod npy_header;
pub mod parquet;
pub mod sink;
pub mod source;
pub mod texts;
pub mod wav;
