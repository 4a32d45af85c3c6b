//! Files opened for reading, gzip or not.
//!
//! The first bytes of a file show whether it is compressed, not its name;
//! if `x` is missing but `x.gz` is there it is taken instead, and the other way
//! round. Decompression streams: nothing is held but a buffer.

use crate::data::error::DataError;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Deflate cannot do better: 258 bytes from 2 bits.
pub const MOST_DEFLATE: u64 = 1032;
const BUFFER: usize = 64 << 10;

/// A file being read.
pub struct Source {
    /// The file that was found.
    pub path: PathBuf,
    reader: Stream,
    /// Bytes of the file itself.
    size: u64,
}

enum Stream {
    Plain(BufReader<File>),
    Gzip(Box<BufReader<MultiGzDecoder<BufReader<File>>>>),
}

impl Source {
    pub fn open(path: &Path) -> Result<Source, DataError> {
        let (path, mut file) = find(path)?;
        let io = |e: io::Error| DataError::io(&path, "read the file", &e);
        let size = file.metadata().map_err(io)?.len();
        let mut magic = Vec::with_capacity(2);
        file.by_ref().take(2).read_to_end(&mut magic).map_err(io)?;
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        let plain = BufReader::with_capacity(BUFFER, file);
        let reader = if magic == [0x1f, 0x8b] {
            Stream::Gzip(Box::new(BufReader::with_capacity(
                BUFFER,
                MultiGzDecoder::new(plain),
            )))
        } else {
            Stream::Plain(plain)
        };
        Ok(Source { path, reader, size })
    }

    /// Bytes of the file itself.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes it holds, exactly; none if it is compressed.
    pub fn exact_size(&self) -> Option<u64> {
        match self.reader {
            Stream::Plain(_) => Some(self.size),
            Stream::Gzip(_) => None,
        }
    }

    /// Bytes that it can hold at most: what a header may claim.
    pub fn most(&self) -> u64 {
        match self.reader {
            Stream::Plain(_) => self.size,
            Stream::Gzip(_) => self.size.saturating_mul(MOST_DEFLATE),
        }
    }

    /// The file itself, at its start; none if it is compressed.
    pub fn into_file(self) -> Option<BufReader<File>> {
        match self.reader {
            Stream::Plain(file) => Some(file),
            Stream::Gzip(_) => None,
        }
    }

    /// What a failed read of it means.
    pub fn fault(&self, error: &io::Error) -> DataError {
        match (&self.reader, error.kind()) {
            (Stream::Gzip(_), ErrorKind::UnexpectedEof) => DataError::Gzip {
                path: self.path.clone(),
                truncated: true,
            },
            (Stream::Gzip(_), ErrorKind::InvalidData | ErrorKind::InvalidInput) => {
                DataError::Gzip {
                    path: self.path.clone(),
                    truncated: false,
                }
            }
            _ => DataError::io(&self.path, "read the file", error),
        }
    }

    /// Reads until `to` is full or the data ends; says how much came.
    pub fn fill(&mut self, to: &mut [u8]) -> Result<usize, DataError> {
        let mut at = 0;
        while at < to.len() {
            match self.read(&mut to[at..]) {
                Ok(0) => break,
                Ok(n) => at += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(self.fault(&e)),
            }
        }
        Ok(at)
    }

    /// Verifies that nothing follows; in a compressed file the checksum too.
    pub fn end(&mut self, declared: u64) -> Result<(), DataError> {
        match self.fill(&mut [0])? {
            0 => Ok(()),
            _ => Err(DataError::TrailingBytes {
                path: self.path.clone(),
                declared,
            }),
        }
    }
}

impl Read for Source {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match &mut self.reader {
            Stream::Plain(r) => r.read(to),
            Stream::Gzip(r) => r.read(to),
        }
    }
}

/// Refuses text that begins as UTF-16 does.
pub fn refuse_utf16(path: &Path, text: &[u8]) -> Result<(), DataError> {
    if !text.starts_with(b"\xff\xfe") && !text.starts_with(b"\xfe\xff") {
        return Ok(());
    }
    Err(DataError::BadHeader {
        path: path.to_owned(),
        reason: "it is encoded in UTF-16; save it as UTF-8".into(),
    })
}

/// Opens a file that is one: a pipe without a writer would never open, a device never end.
/// None if it is not there.
pub fn open(path: &Path) -> Result<Option<File>, DataError> {
    let io = |e: io::Error| match e.kind() {
        ErrorKind::NotFound => Ok(None),
        _ => Err(DataError::io(path, "open the file", &e)),
    };
    match path.metadata() {
        Ok(kind) if kind.is_dir() => Err(DataError::NotAFile {
            path: path.to_owned(),
        }),
        Ok(kind) if !kind.is_file() => Err(DataError::Io {
            path: path.to_owned(),
            doing: "read the file",
            reason: "it is a pipe or a device, not a file".into(),
        }),
        Ok(_) => File::open(path).map_or_else(io, |file| Ok(Some(file))),
        Err(e) => io(e),
    }
}

/// Opens `path`, or its compressed or uncompressed sibling.
fn find(path: &Path) -> Result<(PathBuf, File), DataError> {
    let sibling = match path.extension() {
        Some(e) if e == "gz" => path.with_extension(""),
        _ => {
            let mut name = path.as_os_str().to_owned();
            name.push(".gz");
            PathBuf::from(name)
        }
    };
    for path in [path, &sibling] {
        match open(path) {
            Ok(Some(file)) => return Ok((path.to_owned(), file)),
            Ok(None) => {}
            Err(error) => return Err(error),
        }
    }
    Err(DataError::NotFound {
        path: path.to_owned(),
        tried: Some(sibling),
    })
}
