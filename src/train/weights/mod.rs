//! Weights in safetensors files.
//!
//! Named tensors of every element type of the IR, with their shapes, and a map of
//! strings (`__metadata__` in the format). Saving is deterministic (equal
//! tensors and metadata give equal bytes) and atomic: the file is written
//! beside its final name and renamed, so that an interrupted run leaves the old
//! file whole. Loading reads each tensor straight into its final place, and
//! reports every disagreement in one error.

mod error;

use crate::data::DataError;
use crate::data::error::nearest;
use crate::data::formats::source;
use crate::data::write::replace_durably;
use crate::ir::Elem;
use crate::plural::count;
use crc32c::crc32c_append;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

pub use error::{Mismatch, WeightsError};

/// A header longer than this is no header.
const MAX_HEADER: u64 = 64 << 20;

/// Name, type and shape of a tensor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TensorSpec {
    pub name: String,
    pub elem: Elem,
    pub shape: Vec<usize>,
}

/// A tensor to be saved.
#[derive(Clone, Copy, Debug)]
pub struct TensorRef<'a> {
    pub name: &'a str,
    pub elem: Elem,
    pub shape: &'a [usize],
    /// Row-major, little-endian.
    pub bytes: &'a [u8],
}

/// A weights file, its header read and verified.
#[derive(Debug)]
pub struct WeightsFile {
    path: PathBuf,
    file: File,
    /// Where the tensors' bytes start.
    start: u64,
    metadata: BTreeMap<String, String>,
    /// In the order of the file.
    tensors: Vec<(TensorSpec, u64)>,
}

/// Metadata: the CRC-32C of the whole file, the digits of this one taken as [`NO_SUM`].
const CHECKSUM: &str = "crc32c_of_file";
const NO_SUM: &str = "00000000";
/// What earlier versions wrote: that of the tensors' bytes alone.
const TENSORS_CHECKSUM: &str = "crc32c";
/// Metadata of every file that a run writes.
const WRITER: &str = "nnc";

/// Writes `tensors` to `path`; the metadata hold the checksum of the file as well.
pub fn save(
    path: &Path,
    tensors: &[TensorRef<'_>],
    metadata: &BTreeMap<String, String>,
) -> Result<(), WeightsError> {
    let mut metadata = metadata.clone();
    metadata.insert(CHECKSUM.into(), NO_SUM.into());
    let mut header = header(tensors, &metadata)?;
    let length = (header.len() as u64).to_le_bytes();
    let sum = crc32c_append(crc32c_append(0, &length), &header);
    let sum = tensors
        .iter()
        .fold(sum, |sum, t| crc32c_append(sum, t.bytes));
    if let Some(digits) = sum_in(&mut header) {
        digits.copy_from_slice(format!("{sum:08x}").as_bytes());
    }
    replace_durably(path, |out| {
        out.write_all(&length)?;
        out.write_all(&header)?;
        tensors.iter().try_for_each(|t| out.write_all(t.bytes))
    })
    .map_err(WeightsError::Io)
}

impl WeightsFile {
    /// Reads the header and compares the file with its checksum; the tensors stay in it.
    pub fn open(path: &Path) -> Result<WeightsFile, WeightsError> {
        let (mut file, header) = WeightsFile::read(path)?;
        file.verify_checksum(header)?;
        Ok(file)
    }

    /// The file and the bytes of its header.
    fn read(path: &Path) -> Result<(WeightsFile, Vec<u8>), WeightsError> {
        let read = |e: std::io::Error| io(path, "read the file", &e);
        let format = |reason: String| WeightsError::Format {
            path: path.to_owned(),
            reason,
        };
        source::open(path).map_err(WeightsError::Io)?;
        let mut file = File::open(path).map_err(|e| io(path, "open the file", &e))?;
        let size = file.metadata().map_err(read)?.len();
        let mut len = [0; 8];
        if size < 8 {
            return Err(format(format!("it has only {}", count(size, "byte"))));
        }
        file.read_exact(&mut len).map_err(read)?;
        let len = u64::from_le_bytes(len);
        if len > MAX_HEADER || len > size - 8 {
            return Err(format(format!(
                "its header declares {len} bytes, but the file has {size}"
            )));
        }
        let mut header = vec![0; len as usize];
        file.read_exact(&mut header).map_err(read)?;
        let parsed: Metadata =
            serde_json::from_slice(&header).map_err(|e| format(e.to_string()))?;
        let start = 8 + len;
        if parsed.data_len() as u64 != size - start {
            return Err(format(format!(
                "its header declares {} bytes of weights, but the file has {}",
                parsed.data_len(),
                size - start
            )));
        }
        let metadata = parsed
            .metadata()
            .iter()
            .flatten()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        let mut tensors = parsed
            .tensors()
            .into_iter()
            .map(|(name, info)| {
                let elem = elem_of(info.dtype).ok_or_else(|| WeightsError::ElementType {
                    path: path.to_owned(),
                    name: name.clone(),
                    found: format!("{:?}", info.dtype).to_lowercase(),
                })?;
                let spec = TensorSpec {
                    name,
                    elem,
                    shape: info.shape.clone(),
                };
                Ok((spec, info.data_offsets.0 as u64))
            })
            .collect::<Result<Vec<_>, _>>()?;
        tensors.sort_by(|a, b| (a.1, &a.0.name).cmp(&(b.1, &b.0.name)));
        let file = WeightsFile {
            path: path.to_owned(),
            file,
            start,
            metadata,
            tensors,
        };
        Ok((file, header))
    }

    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Reads all tensors and compares what is there with the checksum, which only files of
    /// other programs lack.
    fn verify_checksum(&mut self, mut header: Vec<u8>) -> Result<(), WeightsError> {
        let corrupt = |what: &str| {
            Err(WeightsError::Format {
                path: self.path.clone(),
                reason: format!("the file is corrupt: {what}"),
            })
        };
        let (expected, mut sum) = if let Some(expected) = self.metadata.get(CHECKSUM) {
            let Some(digits) = sum_in(&mut header) else {
                return corrupt("its checksum is not where it is written");
            };
            digits.copy_from_slice(NO_SUM.as_bytes());
            let length = (header.len() as u64).to_le_bytes();
            let sum = crc32c_append(crc32c_append(0, &length), &header);
            (expected, sum)
        } else if let Some(expected) = self.metadata.get(TENSORS_CHECKSUM) {
            (expected, 0)
        } else if self.metadata.contains_key(WRITER) {
            return corrupt("its checksum is missing");
        } else {
            return Ok(());
        };
        let mut buffer = vec![0; 1 << 20];
        let mut read = || {
            self.file.seek(SeekFrom::Start(self.start))?;
            loop {
                match self.file.read(&mut buffer)? {
                    0 => return Ok(sum),
                    n => sum = crc32c_append(sum, &buffer[..n]),
                }
            }
        };
        let found = read().map_err(|e| io(&self.path, "read the file", &e))?;
        if format!("{found:08x}") == *expected {
            return Ok(());
        }
        corrupt("its checksum does not match")
    }

    pub fn tensors(&self) -> impl Iterator<Item = &TensorSpec> {
        self.tensors.iter().map(|(spec, _)| spec)
    }

    /// Verifies that the file holds just the tensors `expected`.
    pub fn verify(&self, expected: &[TensorSpec]) -> Result<(), WeightsError> {
        let find = |name: &str| self.tensors().find(|t| t.name == name);
        let wanted = |name: &str| expected.iter().any(|t| t.name == name);
        // a near name is worth telling only if nothing else claims it
        let unclaimed: Vec<&str> = self
            .tensors()
            .map(|t| t.name.as_str())
            .filter(|n| !wanted(n))
            .collect();
        let mut mismatches = Vec::new();
        for want in expected {
            match find(&want.name) {
                None => mismatches.push(Mismatch::Missing {
                    name: want.name.clone(),
                    suggestion: nearest(&want.name, unclaimed.iter().copied()),
                }),
                Some(found) if found != want => mismatches.push(Mismatch::Differs {
                    name: want.name.clone(),
                    found: found.clone(),
                    expected: want.clone(),
                }),
                Some(_) => {}
            }
        }
        mismatches.extend(unclaimed.iter().map(|name| Mismatch::Unexpected {
            name: (*name).into(),
        }));
        if mismatches.is_empty() {
            return Ok(());
        }
        Err(WeightsError::Mismatch {
            path: self.path.clone(),
            mismatches,
        })
    }

    /// Reads the tensor called `name` into `to`, which must have its size.
    pub fn read_into(&mut self, name: &str, to: &mut [u8]) -> Result<(), WeightsError> {
        let Some((spec, offset)) = self.tensors.iter().find(|(t, _)| t.name == name) else {
            let suggestion = nearest(name, self.tensors().map(|t| t.name.as_str()));
            let mismatches = vec![Mismatch::Missing {
                name: name.into(),
                suggestion,
            }];
            return Err(WeightsError::Mismatch {
                path: self.path.clone(),
                mismatches,
            });
        };
        if spec.bytes() != Some(to.len()) {
            return Err(WeightsError::Size {
                name: name.into(),
                shape: spec.shape.clone(),
                bytes: to.len(),
            });
        }
        self.file
            .seek(SeekFrom::Start(self.start + offset))
            .and_then(|_| self.file.read_exact(to))
            .map_err(|e| io(&self.path, "read the file", &e))?;
        if spec.elem == Elem::Bool && to.iter().any(|&b| b > 1) {
            let reason = format!("tensor `{name}` holds a bool that is neither 0 nor 1");
            return Err(WeightsError::Format {
                path: self.path.clone(),
                reason,
            });
        }
        Ok(())
    }
}

impl TensorSpec {
    /// The size in bytes; none if it overflows.
    pub fn bytes(&self) -> Option<usize> {
        size(self.elem, &self.shape)
    }
}

fn io(path: &Path, doing: &'static str, error: &std::io::Error) -> WeightsError {
    WeightsError::Io(DataError::io(path, doing, error))
}

fn dtype_of(elem: Elem) -> Dtype {
    match elem {
        Elem::F32 => Dtype::F32,
        Elem::F64 => Dtype::F64,
        Elem::I32 => Dtype::I32,
        Elem::U8 => Dtype::U8,
        Elem::Bool => Dtype::BOOL,
    }
}

fn elem_of(dtype: Dtype) -> Option<Elem> {
    Elem::ALL.into_iter().find(|&elem| dtype_of(elem) == dtype)
}

fn size(elem: Elem, shape: &[usize]) -> Option<usize> {
    let bytes = elem.size();
    shape.iter().try_fold(bytes, |n, &d| n.checked_mul(d))
}

/// The JSON header, its keys in the order given, padded so that the tensors start at a multiple of 8.
/// (The crate keeps metadata in a hash map, whose order differs from run to run.)
fn header(
    tensors: &[TensorRef<'_>],
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, WeightsError> {
    let mut map = serde_json::Map::new();
    if !metadata.is_empty() {
        map.insert("__metadata__".into(), serde_json::json!(metadata));
    }
    let mut offset = 0;
    for t in tensors {
        if size(t.elem, t.shape) != Some(t.bytes.len()) {
            return Err(WeightsError::Size {
                name: t.name.into(),
                shape: t.shape.into(),
                bytes: t.bytes.len(),
            });
        }
        let end = offset + t.bytes.len();
        let info = TensorInfo {
            dtype: dtype_of(t.elem),
            shape: t.shape.to_vec(),
            data_offsets: (offset, end),
        };
        if t.name == "__metadata__" || map.insert(t.name.into(), serde_json::json!(info)).is_some()
        {
            return Err(WeightsError::DuplicateName {
                name: t.name.into(),
            });
        }
        offset = end;
    }
    let mut header = serde_json::Value::Object(map).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok(header)
}

/// The digits of the checksum in a header. What looks like its key cannot be within a string,
/// where quotes are escaped.
fn sum_in(header: &mut [u8]) -> Option<&mut [u8]> {
    let key = format!("\"{CHECKSUM}\":\"");
    let at = header
        .windows(key.len())
        .position(|w| w == key.as_bytes())?
        + key.len();
    header.get_mut(at..at + NO_SUM.len())
}

#[cfg(test)]
mod tests;
