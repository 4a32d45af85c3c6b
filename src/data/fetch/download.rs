//! One file: from its address to its place.
//!
//! What is known of it beforehand, its size and its checksum, is held against what comes: a
//! server that declares another size, or sends more, is not believed. A connection that is
//! cut or stalls is tried again from where it was; an answer that says no is final.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};
use ureq::http::header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE};

use super::{FetchEvent, Fetcher, Remote, Set};
use crate::data::DataError;
use crate::data::error::reason;

const BUFFER: usize = 64 << 10;
/// Bytes between two reports of how far it is.
const STRIDE: u64 = 1 << 18;

/// Why an attempt failed.
enum Fault {
    /// Another try may do better.
    Passing(DataError),
    Final(DataError),
}

use Fault::{Final, Passing};

/// Fetches a file into the set's folder, whose lock is held.
pub(super) fn download(
    fetcher: &Fetcher,
    set: &Set,
    remote: &Remote,
    folder: &Path,
) -> Result<(), DataError> {
    let url = fetcher.url(set, remote);
    let path = folder.join(remote.name);
    let part = folder.join(format!("{}.part", remote.name));
    let one = Download {
        fetcher,
        set,
        remote,
        url: &url,
        path: &path,
        part: &part,
    };
    let done = one.whole();
    if done.is_err() {
        // nothing is to be done if it cannot be removed
        let _ = fs::remove_file(&part);
    }
    done
}

struct Download<'a> {
    fetcher: &'a Fetcher<'a>,
    set: &'a Set,
    remote: &'a Remote,
    url: &'a str,
    path: &'a Path,
    part: &'a Path,
}

impl Download<'_> {
    fn whole(&self) -> Result<(), DataError> {
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(self.part)
            .map_err(|e| self.io(&e))?;
        // bytes of an earlier process
        let mut inherited = file.metadata().map_err(|e| self.io(&e))?.len();
        if inherited > self.remote.bytes {
            file.set_len(0).map_err(|e| self.io(&e))?;
            inherited = 0;
        }
        loop {
            self.all_bytes(&mut file)?;
            let found = self.sha256(&mut file)?;
            if found == self.remote.sha256 {
                break;
            }
            file.set_len(0).map_err(|e| self.io(&e))?;
            if inherited == 0 {
                return Err(DataError::Checksum {
                    url: self.url.into(),
                    expected: self.remote.sha256.into(),
                    found,
                });
            }
            inherited = 0;
        }
        file.sync_all().map_err(|e| self.io(&e))?;
        drop(file);
        fs::rename(self.part, self.path).map_err(|e| self.io(&e))?;
        (self.fetcher.tell)(FetchEvent::Done {
            set: self.set.entry.name,
            file: self.remote.name,
            path: self.path,
            bytes: self.remote.bytes,
        });
        Ok(())
    }

    /// Tries until as many bytes are there as there should be.
    fn all_bytes(&self, file: &mut File) -> Result<(), DataError> {
        let mut pauses = self.fetcher.patience.pauses.iter();
        loop {
            let error = match self.once(file) {
                Ok(()) => return Ok(()),
                Err(Final(error)) => return Err(error),
                Err(Passing(error)) => error,
            };
            let Some(pause) = pauses.next() else {
                return Err(error);
            };
            let url = self.url;
            (self.fetcher.tell)(FetchEvent::Again { url, error: &error });
            std::thread::sleep(*pause);
        }
    }

    fn once(&self, file: &mut File) -> Result<(), Fault> {
        let io = |e: std::io::Error| Final(self.io(&e));
        let of = self.remote.bytes;
        let mut at = file.seek(SeekFrom::End(0)).map_err(io)?;
        if at == of {
            return Ok(());
        }
        let mut request = agent(self.fetcher).get(self.url);
        if at > 0 {
            request = request.header(RANGE, format!("bytes={at}-"));
        }
        let answer = request.call().map_err(|e| self.fault(&e, at))?;
        let status = answer.status().as_u16();
        let text = |name| {
            let value = answer.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        match status {
            206 if at > 0 && text(CONTENT_RANGE) == Some(format!("bytes {at}-{}/{of}", of - 1)) => {
            }
            // the whole from its start, whatever was asked for
            200 => {
                at = 0;
                file.set_len(0).map_err(io)?;
                file.seek(SeekFrom::Start(0)).map_err(io)?;
            }
            // what is there is not of this file: the next try asks for all of it
            206 | 416 => {
                file.set_len(0).map_err(io)?;
                let status = 416;
                let url = self.url.into();
                return Err(Passing(DataError::Status { url, status }));
            }
            status => {
                let error = DataError::Status {
                    url: self.url.into(),
                    status,
                };
                return Err(match status {
                    408 | 425 | 429 | 500..=599 => Passing(error),
                    _ => Final(error),
                });
            }
        }
        let declared = text(CONTENT_LENGTH).and_then(|n| n.trim().parse::<u64>().ok());
        if let Some(declared) = declared.filter(|n| *n != of - at) {
            return Err(Final(self.other_size(at + declared, false)));
        }
        (self.fetcher.tell)(FetchEvent::Began {
            set: self.set.entry.name,
            file: self.remote.name,
            url: self.url,
            to: self.path,
            from: at,
            of,
        });
        self.body(&mut answer.into_body().into_reader(), file, at)
    }

    /// Writes what comes behind the `at` bytes that are there.
    fn body(&self, from: &mut impl Read, file: &mut File, mut at: u64) -> Result<(), Fault> {
        let of = self.remote.bytes;
        let mut buffer = vec![0; BUFFER];
        let mut told = at;
        loop {
            let n = match from.read(&mut buffer) {
                Ok(0) if at == of => return Ok(()),
                Ok(0) => return Err(Passing(self.cut(at))),
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(self.broken(&e, at)),
            };
            if at + n as u64 > of {
                return Err(Final(self.other_size(at + n as u64, true)));
            }
            file.write_all(&buffer[..n])
                .map_err(|e| Final(self.io(&e)))?;
            at += n as u64;
            if at - told >= STRIDE || at == of {
                told = at;
                (self.fetcher.tell)(FetchEvent::Got { bytes: at, of });
            }
        }
    }

    fn sha256(&self, file: &mut File) -> Result<String, DataError> {
        file.seek(SeekFrom::Start(0)).map_err(|e| self.io(&e))?;
        let mut hash = Sha256::new();
        std::io::copy(file, &mut hash).map_err(|e| self.io(&e))?;
        let digest = hash.finalize();
        Ok(digest.iter().map(|b| format!("{b:02x}")).collect())
    }

    /// No answer.
    fn fault(&self, error: &ureq::Error, at: u64) -> Fault {
        match error {
            ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
                Passing(self.unreachable(format!(
                    "no connection within {}",
                    seconds(self.fetcher.patience.connect)
                )))
            }
            ureq::Error::Timeout(_) => Passing(self.stalled(at)),
            ureq::Error::BadUri(_) | ureq::Error::TooManyRedirects => {
                Final(self.unreachable(error.to_string()))
            }
            ureq::Error::Io(e) => Passing(self.unreachable(reason(e))),
            ureq::Error::HostNotFound => Passing(self.unreachable("unknown host".into())),
            _ => Passing(self.unreachable(error.to_string())),
        }
    }

    /// An answer that ends badly.
    fn broken(&self, error: &std::io::Error, at: u64) -> Fault {
        let inner = error
            .get_ref()
            .and_then(|e| e.downcast_ref::<ureq::Error>());
        let stalled =
            error.kind() == ErrorKind::TimedOut || matches!(inner, Some(ureq::Error::Timeout(_)));
        Passing(match stalled {
            true => self.stalled(at),
            false => self.cut(at),
        })
    }

    fn unreachable(&self, reason: String) -> DataError {
        DataError::Unreachable {
            url: self.url.into(),
            reason,
        }
    }

    fn stalled(&self, at: u64) -> DataError {
        DataError::Stalled {
            url: self.url.into(),
            waited: seconds(self.fetcher.patience.stall),
            found: at,
            expected: self.remote.bytes,
        }
    }

    fn cut(&self, at: u64) -> DataError {
        DataError::CutShort {
            url: self.url.into(),
            found: at,
            expected: self.remote.bytes,
        }
    }

    fn other_size(&self, found: u64, sent: bool) -> DataError {
        DataError::OtherSize {
            url: self.url.into(),
            found,
            expected: self.remote.bytes,
            sent,
        }
    }

    fn io(&self, error: &std::io::Error) -> DataError {
        DataError::io(self.part, "write the file", error)
    }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

fn agent(fetcher: &Fetcher) -> ureq::Agent {
    let patience = fetcher.patience;
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_resolve(Some(patience.connect))
        .timeout_connect(Some(patience.connect))
        .timeout_recv_response(Some(patience.stall))
        .timeout_per_read(Some(patience.stall))
        .user_agent(concat!("nnc/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent()
}
