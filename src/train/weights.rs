//! Weights in safetensors files.
//!
//! Named tensors of every element type of the IR, with their shapes, and a map of
//! strings (`__metadata__` in the format). Saving is deterministic (equal
//! tensors and metadata give equal bytes) and atomic: the file is written
//! beside its final name and renamed, so that an interrupted run leaves the old
//! file whole. Loading reads each tensor straight into its final place, and
//! reports every disagreement in one error.

use crate::data::DataError;
use crate::data::error::{nearest, shape as shown_shape};
use crate::data::formats::source;
use crate::data::write::replace_durably;
use crate::diag::Code;
use crate::ir::Elem;
use crate::plural::count;
use crc32c::crc32c_append;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

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

/// What is wrong with a weights file.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum WeightsError {
    #[error(transparent)]
    Io(DataError),

    #[error("{}: not a safetensors file: {reason}", path.display())]
    Format { path: PathBuf, reason: String },

    #[error("{}: tensor `{name}` has type {found}; weights must be f32, f64, i32, u8 or bool", path.display())]
    ElementType {
        path: PathBuf,
        name: String,
        found: String,
    },

    #[error("{}: the weights do not match the model{}", path.display(), differences(mismatches))]
    Mismatch {
        path: PathBuf,
        mismatches: Vec<Mismatch>,
    },

    #[error(
        "tensor `{name}` {}: {} do not match its shape",
        shown_shape(shape),
        count(*bytes, "byte")
    )]
    Size {
        name: String,
        shape: Vec<usize>,
        bytes: usize,
    },

    #[error("two tensors are named `{name}`")]
    DuplicateName { name: String },
}

/// One disagreement between a file and what the model needs.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Mismatch {
    #[error("`{name}` is missing{}", similar(suggestion))]
    Missing {
        name: String,
        suggestion: Option<String>,
    },
    #[error("`{name}` is in the file, but not in the model")]
    Unexpected { name: String },
    #[error("`{name}` is {} {} in the file, {} {} in the model", found.elem.name(), shown_shape(&found.shape),
        expected.elem.name(), shown_shape(&expected.shape))]
    Differs {
        name: String,
        found: TensorSpec,
        expected: TensorSpec,
    },
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
    /// Its size in bytes; none if that overflows.
    pub fn bytes(&self) -> Option<usize> {
        size(self.elem, &self.shape)
    }
}

impl WeightsError {
    /// Stable code, as `nnc explain` takes it.
    pub fn code(&self) -> Code {
        match self {
            WeightsError::Io(error) => error.code(),
            WeightsError::Format { .. } => Code::E0941,
            WeightsError::ElementType { .. } => Code::E0942,
            WeightsError::Mismatch { .. } => Code::E0943,
            WeightsError::Size { .. } => Code::E0944,
            WeightsError::DuplicateName { .. } => Code::E0945,
        }
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

/// One a line, at most twenty.
fn differences(mismatches: &[Mismatch]) -> String {
    let mut text = String::new();
    for mismatch in mismatches.iter().take(20) {
        text += &format!("\n  {mismatch}");
    }
    if mismatches.len() > 20 {
        text += &format!("\n  and {} more", mismatches.len() - 20);
    }
    text
}

fn similar(suggestion: &Option<String>) -> String {
    suggestion
        .as_ref()
        .map_or(String::new(), |s| format!(" (the file has `{s}`)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::{bytes_of, bytes_of_mut};

    fn spec(name: &str, elem: Elem, shape: &[usize]) -> TensorSpec {
        TensorSpec {
            name: name.into(),
            elem,
            shape: shape.into(),
        }
    }

    /// Writes a kernel, a bias, a step counter and a mask.
    fn write(path: &Path) {
        let tensors = [
            TensorRef {
                name: "dense/kernel",
                elem: Elem::F32,
                shape: &[2, 3],
                bytes: bytes_of(&[1f32, 2.0, 3.0, 4.0, 5.0, f32::NAN]),
            },
            TensorRef {
                name: "mask",
                elem: Elem::U8,
                shape: &[3],
                bytes: &[1, 0, 1],
            },
            TensorRef {
                name: "dense/bias",
                elem: Elem::F64,
                shape: &[1],
                bytes: bytes_of(&[0.1f64]),
            },
            TensorRef {
                name: "step",
                elem: Elem::I32,
                shape: &[],
                bytes: bytes_of(&[-7i32]),
            },
        ];
        let metadata = (0..20)
            .map(|i| (format!("key{i}"), format!("\"{i}\"\n")))
            .chain([(WRITER.into(), "0.1".into())])
            .collect();
        save(path, &tensors, &metadata).unwrap();
    }

    #[test]
    fn what_is_saved_is_loaded_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        write(&path);
        write(&path); // over an existing file
        let mut file = WeightsFile::open(&path).unwrap();
        assert_eq!(file.metadata()["key13"], "\"13\"\n");
        file.verify(&[
            spec("step", Elem::I32, &[]),
            spec("mask", Elem::U8, &[3]),
            spec("dense/kernel", Elem::F32, &[2, 3]),
            spec("dense/bias", Elem::F64, &[1]),
        ])
        .unwrap();
        let mut kernel = [0f32; 6];
        file.read_into("dense/kernel", bytes_of_mut(&mut kernel))
            .unwrap();
        assert_eq!(
            kernel.map(f32::to_bits),
            [1f32, 2.0, 3.0, 4.0, 5.0, f32::NAN].map(f32::to_bits)
        );
        let (mut bias, mut step) = ([0f64], [0i32]);
        file.read_into("dense/bias", bytes_of_mut(&mut bias))
            .unwrap();
        file.read_into("step", bytes_of_mut(&mut step)).unwrap();
        assert_eq!((bias, step), ([0.1], [-7]));
        // nothing but the file is left behind, and the crate's own reader takes it
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(
            safetensors::SafeTensors::deserialize(&bytes)
                .unwrap()
                .tensor("mask")
                .unwrap()
                .data(),
            [1, 0, 1]
        );
    }

    #[test]
    fn a_bit_that_flips_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        write(&path);
        let whole = std::fs::read(&path).unwrap();
        assert!(WeightsFile::open(&path).is_ok());
        let mut corrupt = 0;
        for (at, bit) in (0..whole.len()).map(|at| (at, 1 << (at % 8))) {
            let mut bytes = whole.clone();
            bytes[at] ^= bit;
            std::fs::write(&path, bytes).unwrap();
            let error = WeightsFile::open(&path).map(|_| at).unwrap_err();
            assert_eq!(error.code().name().get(..4), Some("E094"), "{at}: {error}");
            corrupt += usize::from(error.to_string().contains("corrupt"));
        }
        assert!(corrupt > whole.len() / 4, "{corrupt} of {}", whole.len());
    }

    #[test]
    fn files_of_other_programs_and_of_earlier_versions_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w");
        let open = |metadata: &[(&str, &str)], tensor: &[u8]| {
            let named = metadata.iter().map(|(k, v)| ((*k).into(), (*v).into()));
            let t = TensorRef {
                name: "a",
                elem: Elem::U8,
                shape: &[2],
                bytes: &[1, 2],
            };
            let header = header(&[t], &named.collect()).unwrap();
            let length = (header.len() as u64).to_le_bytes();
            std::fs::write(&path, [&length[..], &header[..], tensor].concat()).unwrap();
            WeightsFile::open(&path).map(|_| ())
        };
        let sum = format!("{:08x}", crc32c_append(0, &[1, 2]));
        open(&[("format", "pt")], &[1, 2]).unwrap();
        open(&[("crc32c", &sum), ("nnc", "0.1")], &[1, 2]).unwrap();
        open(&[("crc32c", &sum), ("nnc", "0.1")], &[1, 3]).unwrap_err();
        // what a run has written has a checksum
        open(&[("nnc", "0.1")], &[1, 2]).unwrap_err();
    }

    #[test]
    fn equal_weights_give_equal_files() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [folder.path().join("a"), folder.path().join("b")];
        paths.iter().for_each(|p| write(p));
        assert_eq!(
            std::fs::read(&paths[0]).unwrap(),
            std::fs::read(&paths[1]).unwrap()
        );
    }

    #[test]
    fn every_disagreement_is_in_one_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        write(&path);
        let error = WeightsFile::open(&path)
            .unwrap()
            .verify(&[
                spec("dense/kernal", Elem::F32, &[2, 3]),
                spec("dense/bias", Elem::F32, &[1]),
                spec("lstm/kernel_of_gates", Elem::F32, &[8]),
                spec("mask", Elem::U8, &[4]),
            ])
            .unwrap_err();
        let text = error.to_string().replace(path.to_str().unwrap(), "w");
        assert_eq!(
            text,
            "w: the weights do not match the model\
             \n  `dense/kernal` is missing (the file has `dense/kernel`)\
             \n  `dense/bias` is f64 [1] in the file, f32 [1] in the model\
             \n  `lstm/kernel_of_gates` is missing\
             \n  `mask` is u8 [3] in the file, u8 [4] in the model\
             \n  `dense/kernel` is in the file, but not in the model\
             \n  `step` is in the file, but not in the model"
        );
    }

    #[test]
    fn what_is_not_a_weights_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        write(&path);
        let whole = std::fs::read(&path).unwrap();
        let huge = [u64::MAX.to_le_bytes().as_slice(), b"{}"].concat();
        let half = br#"{"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}"#;
        let half = [(half.len() as u64).to_le_bytes().as_slice(), half, &[0, 0]].concat();
        let cases: [(&[u8], &str); 7] = [
            (b"", "not a safetensors file: it has only 0 bytes"),
            (
                &huge,
                "not a safetensors file: its header declares 18446744073709551615 bytes, but the file has 10",
            ),
            (
                &whole[..whole.len() - 1],
                "not a safetensors file: its header declares 39 bytes of weights, but the file has 38",
            ),
            (
                &[&whole[..], &[0]].concat(),
                "not a safetensors file: its header declares 39 bytes of weights, but the file has 40",
            ),
            (b"\x02\0\0\0\0\0\0\0[]", "not a safetensors file: "),
            (
                b"GIF89a and so on",
                "not a safetensors file: its header declares",
            ),
            (
                &half,
                "tensor `a` has type f16; weights must be f32, f64, i32, u8 or bool",
            ),
        ];
        for (bytes, expected) in cases {
            std::fs::write(&path, bytes).unwrap();
            let error = WeightsFile::open(&path).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}\n{expected}");
        }
        assert_eq!(
            WeightsFile::open(&folder.path().join("none"))
                .unwrap_err()
                .code(),
            Code::E0903
        );
    }

    #[test]
    fn tensors_that_cannot_be_saved_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w");
        let t = TensorRef {
            name: "a",
            elem: Elem::U8,
            shape: &[2],
            bytes: &[1, 2],
        };
        let error = |tensors: &[TensorRef<'_>]| {
            save(&path, tensors, &BTreeMap::new())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(error(&[t, t]), "two tensors are named `a`");
        assert_eq!(
            error(&[TensorRef { shape: &[3], ..t }]),
            "tensor `a` [3]: 2 bytes do not match its shape"
        );
        assert_eq!(
            error(&[TensorRef {
                shape: &[usize::MAX, 3],
                ..t
            }])
            .split(':')
            .next(),
            Some("tensor `a` [18446744073709551615, 3]")
        );
        let nowhere = folder.path().join("no/such/w");
        assert!(
            save(&nowhere, &[t], &BTreeMap::new())
                .unwrap_err()
                .to_string()
                .contains("cannot create a file beside it: no such file")
        );
    }
}
