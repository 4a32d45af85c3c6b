//! Data sets that are fetched once and kept: `CACHE/datasets/SET/FILE`.
//!
//! ```text
//! sets       what there is: addresses, sizes, checksums, columns
//! download   one file: taken up where it was cut off, tried again, held against its checksum
//! archive    columns of tar.gz archives
//! ```
//!
//! A file that is there under its name has been checked, and is not looked at again: with it
//! no network is touched. Until then it is `FILE.part`, which a run that is killed leaves
//! behind and the next one takes up; a run that fails removes it. A lock in the set's folder
//! keeps two runs from fetching at once. Nothing outside [`Fetcher::fetch`] uses the network.

mod archive;
mod download;
mod sets;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use sets::{ENTRIES, Layout, Remote, SETS, Set, find};

use super::error::DataError;

/// Messages to the user.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FetchEvent<'a> {
    /// Another process is fetching this set.
    Waiting {
        set: &'a str,
    },
    /// `from`: bytes that are there already.
    Began {
        set: &'a str,
        file: &'a str,
        url: &'a str,
        to: &'a Path,
        from: u64,
        of: u64,
    },
    Got {
        bytes: u64,
        of: u64,
    },
    /// A try has failed, and another follows.
    Again {
        url: &'a str,
        error: &'a DataError,
    },
    /// Checked, and in its place.
    Done {
        set: &'a str,
        file: &'a str,
        path: &'a Path,
        bytes: u64,
    },
}

/// How patient a fetch is.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// Without a byte.
    pub stall: Duration,
    /// Before each further try; as many tries as these, and one.
    pub pauses: &'static [Duration],
}

const PAUSES: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
];

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            pauses: &PAUSES,
        }
    }
}

/// Fetches data sets.
pub struct Fetcher<'a> {
    /// The cache folder.
    pub cache: &'a Path,
    /// In place of the sets' own addresses: files are at `MIRROR/SET/FILE`.
    pub mirror: Option<&'a str>,
    pub patience: Patience,
    pub tell: &'a dyn Fn(FetchEvent),
}

impl Fetcher<'_> {
    /// The folder that holds the set's files, all of them checked.
    pub fn fetch(&self, set: &Set) -> Result<PathBuf, DataError> {
        let folder = folder(self.cache, set);
        if set.files.iter().all(|f| is_there(&folder, f)) {
            return Ok(folder);
        }
        let io = |path: &Path, doing, e: std::io::Error| DataError::io(path, doing, &e);
        fs::create_dir_all(&folder).map_err(|e| io(&folder, "create the folder", e))?;
        let lock = folder.join(".lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock)
            .map_err(|e| io(&lock, "write the file", e))?;
        if file.try_lock().is_err() {
            (self.tell)(FetchEvent::Waiting {
                set: set.entry.name,
            });
            file.lock().map_err(|e| io(&lock, "lock the file", e))?;
        }
        for remote in set.files {
            if !is_there(&folder, remote) {
                download::download(self, set, remote, &folder)?;
            }
        }
        Ok(folder)
    }

    fn url(&self, set: &Set, file: &Remote) -> String {
        match self.mirror {
            Some(mirror) => format!(
                "{}/{}/{}",
                mirror.trim_end_matches('/'),
                set.entry.name,
                file.name
            ),
            None => file.url.into(),
        }
    }
}

/// Where a set's files are.
pub fn folder(cache: &Path, set: &Set) -> PathBuf {
    cache.join("datasets").join(set.entry.name)
}

fn is_there(folder: &Path, file: &Remote) -> bool {
    let found = fs::metadata(folder.join(file.name));
    found.is_ok_and(|m| m.is_file() && m.len() == file.bytes)
}
