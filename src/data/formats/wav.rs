//! WAV files in a folder for each class, as Keras' `audio_dataset_from_directory`.
//!
//! The columns are `audio`, `label` and `path`. A row of `audio` has shape `[length]` or
//! `[length, channels]`: samples from -1 to 1 (whole ones over half their range, as
//! TensorFlow's `decode_wav`; floats as they are), cut at the end or padded there with zeros.
//! PCM of 8, 16, 24 and 32 bits and 32-bit floats; all files of one sample rate. Memory is
//! the columns and a buffer: what a header declares is held against the file first.

use super::csv::ColumnSpec;
use super::decode::Number;
use super::folder::Folder;
use super::sink::Sink;
use super::source;
use super::texts::read_files;
use crate::data::error::{DataError, ValuePlace};
use crate::data::table::Table;
use hound::{SampleFormat, WavReader};
use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

pub const ENDINGS: &[&str] = &[".wav"];
pub const COLUMNS: &[&str] = &["audio", "label", "path"];

/// Reads the columns asked for; `rate` is what all files must have, in samples a second.
pub fn read_wavs(
    folder: &Folder,
    rate: Option<u32>,
    specs: &[ColumnSpec],
) -> Result<Table, DataError> {
    let mut rate = rate.map(|r| (r, String::new()));
    read_files(folder, specs, COLUMNS, |spec, entry, sink| {
        let path = folder.at(entry);
        let mut sound = Sound::open(&path)?;
        let (expected, of) = rate.get_or_insert_with(|| (sound.rate, entry.path.clone()));
        if sound.rate != *expected {
            return Err(DataError::Differs {
                path: path.clone(),
                what: "its sample rate",
                found: format!("{} Hz", sound.rate),
                expected: match of.as_str() {
                    "" => format!("{expected} Hz"),
                    of => format!("{expected} Hz, as in {of}"),
                },
            });
        }
        sound.put(spec.shape.as_deref().unwrap_or_default(), sink)
    })
}

/// Counts what is read of a file: hound does not say where the samples begin.
struct Counted {
    file: BufReader<File>,
    read: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(to)?;
        self.read.set(self.read.get() + n as u64);
        Ok(n)
    }
}

/// A file and what its header says.
struct Sound<'a> {
    path: &'a Path,
    reader: WavReader<Counted>,
    rate: u32,
    channels: usize,
}

impl Sound<'_> {
    fn open(path: &Path) -> Result<Sound<'_>, DataError> {
        let io = |e: std::io::Error| DataError::io(path, "read the file", &e);
        let file = source::open(path)?.ok_or_else(|| DataError::NotFound {
            path: path.to_owned(),
            tried: None,
        })?;
        let size = file.metadata().map_err(io)?.len();
        if size == 0 {
            return Err(DataError::BadHeader {
                path: path.to_owned(),
                reason: "it is empty".into(),
            });
        }
        let read = Rc::new(Cell::new(0));
        let counted = Counted {
            file: BufReader::new(file),
            read: read.clone(),
        };
        let reader = WavReader::new(counted).map_err(|e| broken(path, e, 0))?;
        let spec = reader.spec();
        let samples = u64::from(reader.len()) * u64::from(spec.bits_per_sample.div_ceil(8));
        let declared = read.get() + samples;
        if declared > size {
            return Err(DataError::Truncated {
                path: path.to_owned(),
                part: "file".into(),
                declared,
                found: size,
            });
        }
        if reader.len() == 0 {
            return Err(DataError::BadHeader {
                path: path.to_owned(),
                reason: "it has no samples".into(),
            });
        }
        Ok(Sound {
            path,
            rate: spec.sample_rate,
            channels: usize::from(spec.channels),
            reader,
        })
    }

    /// A row of `shape`: its first samples, and zeros where it has fewer.
    fn put(&mut self, shape: &[usize], sink: &mut Sink) -> Result<(), DataError> {
        let (length, channels) = match *shape {
            [length] => (length, 1),
            [length, channels] => (length, channels),
            _ => {
                return Err(DataError::Shape {
                    path: self.path.to_owned(),
                    column: sink.name().to_owned(),
                    found: vec![self.reader.duration() as usize, self.channels],
                    expected: shape.to_vec(),
                });
            }
        };
        if channels != self.channels {
            return Err(DataError::Differs {
                path: self.path.to_owned(),
                what: "its number of channels",
                found: self.channels.to_string(),
                expected: channels.to_string(),
            });
        }
        let place = ValuePlace {
            path: self.path.to_owned(),
            line: None,
            row: (sink.len() / (length * channels)) as u64 + 1,
            column: sink.name().to_owned(),
        };
        let spec = self.reader.spec();
        let there = (self.reader.len() as usize).min(length * channels);
        let path = self.path;
        let mut take = |x: f64| {
            let taken = sink.number(Number::Float(x));
            taken.map_err(|r| r.at(place.clone()))
        };
        match spec.sample_format {
            SampleFormat::Float => {
                for (i, x) in self.reader.samples::<f32>().take(there).enumerate() {
                    take(f64::from(x.map_err(|e| broken(path, e, i))?))?;
                }
            }
            SampleFormat::Int => {
                let half = 2f64.powi(i32::from(spec.bits_per_sample) - 1);
                for (i, x) in self.reader.samples::<i32>().take(there).enumerate() {
                    take(f64::from(x.map_err(|e| broken(path, e, i))?) / half)?;
                }
            }
        }
        (there..length * channels).try_for_each(|_| take(0.0))
    }
}

/// What hound says of a file of which `read` samples could be read.
fn broken(path: &Path, error: hound::Error, read: usize) -> DataError {
    let reason = match error {
        hound::Error::IoError(_) if read > 0 => {
            format!("the file ends after {read} samples, but its header declares more")
        }
        hound::Error::IoError(e) if e.kind() == std::io::ErrorKind::Other => {
            "the file ends in its header".into()
        }
        hound::Error::IoError(e) => return DataError::io(path, "read the file", &e),
        hound::Error::FormatError(what) => format!("not a readable WAV file: {what}"),
        hound::Error::Unsupported => {
            "its encoding is not supported; expected PCM or 32-bit floats".into()
        }
        other => format!("not a readable WAV file: {other}"),
    };
    DataError::BadHeader {
        path: path.to_owned(),
        reason,
    }
}
