//! The cache folder's compact files: text tables parsed once and kept packed.
//!
//! An entry is `tables/KEY.rows`: KEY is the hash of the source file's bytes, of how it is
//! read and of the columns asked for, so that an entry is never out of date; what has changed
//! has another key. Hashing a large file takes seconds, so a file's hash is remembered in
//! `hashes/` with its size and its times, and taken from there while they are as they were.
//! An entry that was not used for [`KEPT`] days goes when a new one is made. All of it may be
//! deleted at any time.

use crate::data::error::DataError;
use crate::data::formats::csv::{ColumnSpec, CsvBlocks, CsvOptions, read_csv};
use crate::data::formats::source::Source;
use crate::data::packed::{self, Broken, Packed, PackedColumn, Packer};
use crate::data::table::{ElementType, Table};
use crate::data::write::replace;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// Days that an entry is kept without being used.
pub const KEPT: u64 = 90;
/// Goes up when entries are made otherwise.
const VERSION: u32 = 1;
/// A file that changed so shortly before it was hashed may change again within the same tick
/// of its clock.
const SETTLED: Duration = Duration::from_secs(2);
/// Text between two reports of how far it is.
const STRIDE: u64 = 8 << 20;

/// Messages to the user while the cache is used.
#[derive(Clone, Debug, PartialEq)]
pub enum CacheEvent<'a> {
    /// A file is being gone through: bytes so far, and in all if that is known.
    Reading {
        path: &'a Path,
        doing: &'static str,
        done: u64,
        of: Option<u64>,
    },
    /// An entry was made.
    Made {
        path: &'a Path,
        entry: &'a Path,
        rows: u64,
        bytes: u64,
    },
    /// An entry is corrupt, and is rebuilt.
    Damaged { entry: &'a Path },
    /// Nothing can be kept there, so what is large is parsed each time.
    Unusable { reason: String },
}

/// Shows it.
pub type Tell<'a> = &'a dyn Fn(&CacheEvent);

/// A text table to be packed.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    pub path: &'a Path,
    pub options: CsvOptions,
    pub columns: &'a [ColumnSpec],
    /// Bytes of a block at most.
    pub block: usize,
}

/// The cache folder: `NNC_CACHE`, else `$XDG_CACHE_HOME/nnc`, else `~/.cache/nnc`.
pub fn folder() -> Result<PathBuf, DataError> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty());
    let home = || set("HOME").or_else(|| set("USERPROFILE"));
    set("NNC_CACHE")
        .map(PathBuf::from)
        .or_else(|| set("XDG_CACHE_HOME").map(|p| PathBuf::from(p).join("nnc")))
        .or_else(|| home().map(|p| PathBuf::from(p).join(".cache/nnc")))
        .ok_or_else(|| DataError::Cache {
            path: "cache".into(),
            reason: "no home folder found: set NNC_CACHE to a folder".into(),
        })
}

/// The packed form of a table, from `cache` or made there; with a hash of what is in it.
pub fn packed(cache: &Path, wanted: &Wanted, tell: Tell) -> Result<(Packed, String), DataError> {
    let source = Source::open(wanted.path)?.path;
    let before = Stamp::of(&source)?;
    let content = content(cache, &source, &before, tell)?;
    let what = format!(
        "{VERSION} {content:032x} {} {:?} {:?}",
        wanted.block, wanted.options, wanted.columns
    );
    let key = format!("{:032x}", xxh3_128(what.as_bytes()));
    let tables = cache.join("tables");
    let entry = tables.join(format!("{key}.rows"));
    match Packed::open(&entry).and_then(|p| p.verify().map(|()| p)) {
        Ok(found) => {
            // its time says when it was used last
            let _ = File::options()
                .append(true)
                .open(&entry)
                .and_then(|f| f.set_modified(SystemTime::now()));
            return Ok((found, key));
        }
        // as a rule there is none
        Err(Broken::Io(_)) => {}
        Err(Broken::Damaged) => tell(&CacheEvent::Damaged { entry: &entry }),
    }
    make_folder(&tables)?;
    remove_old(&tables);
    make(&entry, &source, wanted, tell)?;
    if Stamp::of(&source)? != before {
        let _ = fs::remove_file(&entry);
        return Err(DataError::Changed { path: source });
    }
    let made = Packed::open(&entry).map_err(|e| DataError::Cache {
        path: entry.clone(),
        reason: e.to_string(),
    })?;
    tell(&CacheEvent::Made {
        path: &source,
        entry: &entry,
        rows: made.rows(),
        bytes: fs::metadata(&entry).map_or(0, |m| m.len()),
    });
    Ok((made, key))
}

/// A table in memory, through the cache if the file has `least` bytes and no texts are asked
/// for: the same table, sooner. Where the cache cannot be used, the file is parsed.
pub fn table(
    cache: Result<PathBuf, DataError>,
    wanted: &Wanted,
    least: u64,
    tell: Tell,
) -> Result<Table, DataError> {
    let parse = || read_csv(wanted.path, wanted.options, wanted.columns);
    let mut columns = wanted.columns.iter();
    let numbers = columns.len() > 0 && columns.all(|c| c.element != ElementType::Text);
    if !numbers || Source::open(wanted.path)?.size() < least {
        return parse();
    }
    let found = match &cache {
        Ok(folder) => packed(folder, wanted, tell).and_then(|(packed, _)| packed.table()),
        Err(error) => Err(error.clone()),
    };
    match found {
        Err(error @ (DataError::Io { .. } | DataError::Cache { .. }))
            if error.path() != Some(wanted.path) =>
        {
            let reason = error.to_string();
            tell(&CacheEvent::Unusable { reason });
            parse()
        }
        found => found,
    }
}

fn make(entry: &Path, source: &Path, wanted: &Wanted, tell: Tell) -> Result<(), DataError> {
    let mut blocks = CsvBlocks::open(source, wanted.options, wanted.columns)?;
    let columns = blocks.columns();
    let strides = columns.iter().map(|c| c.stride().unwrap_or_default());
    let rows = packed::block_rows(strides.sum(), wanted.block);
    let of = blocks.exact_size();
    let mut fault = None;
    let written = replace(entry, |out| {
        let mut packer = Packer::new(out, columns, rows)?;
        let mut told = 0;
        loop {
            let block = match blocks.next(rows) {
                Ok(Some(block)) => block,
                Ok(None) if packer.rows() > 0 => break,
                ended => {
                    fault = Some(ended.err().unwrap_or_else(|| blocks.empty()));
                    return Err(io::ErrorKind::Other.into());
                }
            };
            packer.block(&block)?;
            let done = blocks.bytes_read();
            if done - told >= STRIDE {
                told = done;
                let doing = "parsing";
                tell(&CacheEvent::Reading {
                    path: source,
                    doing,
                    done,
                    of,
                });
            }
        }
        packer.finish().map(drop)
    });
    match fault {
        Some(fault) => Err(fault),
        None => written,
    }
}

fn make_folder(path: &Path) -> Result<(), DataError> {
    fs::create_dir_all(path).map_err(|e| DataError::io(path, "create the folder", &e))
}

/// Takes away what was not used for long, and what was left half written a day ago or more.
fn remove_old(tables: &Path) {
    const DAY: u64 = 24 * 60 * 60;
    let Ok(entries) = fs::read_dir(tables) else {
        return;
    };
    for entry in entries.flatten() {
        let age = entry.metadata().and_then(|m| m.modified()).ok();
        let Some(age) = age.and_then(|t| t.elapsed().ok()) else {
            continue;
        };
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let half = name.starts_with(".nnc-") && age.as_secs() > DAY;
        if half || (name.ends_with(".rows") && age.as_secs() > KEPT * DAY) {
            // whoever cannot remove it loses nothing but room
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// What changes when a file does.
#[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
struct Stamp {
    size: u64,
    /// When its content and when anything of it changed, in nanoseconds.
    modified: u128,
    changed: u128,
    /// Which file of which disk it is.
    number: (u64, u64),
}

/// A hash that is remembered.
#[derive(serde::Serialize, serde::Deserialize)]
struct Remembered {
    path: PathBuf,
    stamp: Stamp,
    hash: String,
}

impl Stamp {
    fn of(path: &Path) -> Result<Stamp, DataError> {
        let metadata = fs::metadata(path).map_err(|e| DataError::io(path, "read the file", &e))?;
        let modified = metadata.modified().unwrap_or(UNIX_EPOCH);
        let modified = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (changed, number) = rest(&metadata);
        Ok(Stamp {
            size: metadata.len(),
            modified: modified.as_nanos(),
            changed,
            number,
        })
    }

    /// Whether a change from now on would be seen in it.
    fn settled(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_nanos();
        self.modified.max(self.changed) + SETTLED.as_nanos() < now
    }
}

#[cfg(unix)]
fn rest(metadata: &Metadata) -> (u128, (u64, u64)) {
    use std::os::unix::fs::MetadataExt;
    let seconds = u128::try_from(metadata.ctime()).unwrap_or_default();
    let nanos = u128::try_from(metadata.ctime_nsec()).unwrap_or_default();
    let changed = seconds * 1_000_000_000 + nanos;
    (changed, (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn rest(_: &Metadata) -> (u128, (u64, u64)) {
    (0, (0, 0))
}

/// XXH3-128 of a file's bytes, remembered where the file is as it was.
fn content(cache: &Path, source: &Path, stamp: &Stamp, tell: Tell) -> Result<u128, DataError> {
    let whole = fs::canonicalize(source).unwrap_or_else(|_| source.to_owned());
    let name = xxh3_128(whole.as_os_str().as_encoded_bytes());
    let note = cache.join("hashes").join(format!("{name:032x}.json"));
    let known = fs::read(&note).ok();
    let known = known.and_then(|text| serde_json::from_slice::<Remembered>(&text).ok());
    let known = known.filter(|r| r.path == whole && r.stamp == *stamp);
    if let Some(hash) = known.and_then(|r| u128::from_str_radix(&r.hash, 16).ok()) {
        return Ok(hash);
    }
    // what is remembered must not change while it is read, nor unseen afterwards
    let settled = stamp.settled();
    let hash = hash(source, stamp.size, tell)?;
    if Stamp::of(source)? != *stamp {
        return Err(DataError::Changed {
            path: source.to_owned(),
        });
    }
    if settled {
        let remembered = Remembered {
            path: whole,
            stamp: stamp.clone(),
            hash: format!("{hash:032x}"),
        };
        make_folder(&cache.join("hashes"))?;
        replace(&note, |out| Ok(serde_json::to_writer(out, &remembered)?))?;
    }
    Ok(hash)
}

fn hash(path: &Path, size: u64, tell: Tell) -> Result<u128, DataError> {
    let io = |e: io::Error| DataError::io(path, "read the file", &e);
    let mut file = File::open(path).map_err(io)?;
    let mut hash = Xxh3::new();
    let mut buffer = vec![0; 1 << 20];
    let (mut done, mut told) = (0, 0);
    loop {
        let n = match file.read(&mut buffer) {
            Ok(0) => return Ok(hash.digest128()),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(io(e)),
        };
        hash.update(&buffer[..n]);
        done += n as u64;
        if done - told >= STRIDE * 8 {
            told = done;
            let (doing, of) = ("hashing", Some(size));
            tell(&CacheEvent::Reading {
                path,
                doing,
                done,
                of,
            });
        }
    }
}

impl CsvBlocks {
    /// As they are packed.
    fn columns(&self) -> Vec<PackedColumn> {
        let columns = self.layout();
        columns
            .map(|(name, storage, shape)| PackedColumn {
                name: name.to_owned(),
                storage,
                shape: shape.to_vec(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::formats::csv::{HeaderLine, Select};
    use crate::diag::Code;
    use std::cell::RefCell;

    const OPTIONS: CsvOptions = CsvOptions {
        delimiter: Some(b','),
        header: HeaderLine::Present,
        quote: true,
    };

    fn columns() -> Vec<ColumnSpec> {
        let column = |name: &str, select, element| ColumnSpec {
            name: name.into(),
            select,
            element,
            shape: None,
            missing: false,
        };
        vec![
            column("x", Select::Names("a".into(), "b".into()), ElementType::F32),
            column("y", Select::Name("y".into()), ElementType::Class(3)),
        ]
    }

    fn text(rows: usize) -> String {
        let rows = (0..rows).map(|r| format!("{r},{}.5,{}\n", r * 2, r % 3));
        format!("a,b,y\n{}", rows.collect::<String>())
    }

    /// Asks for the file; what the user was told besides.
    fn ask(folder: &Path, columns: &[ColumnSpec]) -> (Result<(Packed, String), DataError>, String) {
        let told = RefCell::new(String::new());
        let wanted = Wanted {
            path: &folder.join("rows.csv"),
            options: OPTIONS,
            columns,
            block: 120,
        };
        let found = packed(&folder.join("cache"), &wanted, &|t| {
            *told.borrow_mut() += match t {
                CacheEvent::Reading { .. } => "",
                CacheEvent::Made { .. } => "made ",
                CacheEvent::Damaged { .. } => "damaged ",
                CacheEvent::Unusable { .. } => "unusable ",
            }
        });
        (found, told.into_inner())
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        let tables = fs::read_dir(folder.join("cache/tables"));
        let mut files: Vec<_> = tables.unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        files
    }

    #[test]
    fn a_text_is_parsed_once_for_what_it_holds_and_what_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::write(folder.join("rows.csv"), text(100)).unwrap();
        let (made, told) = ask(folder, &columns());
        let (made, key) = made.unwrap();
        assert_eq!(
            (told.as_str(), made.rows(), made.block_rows()),
            ("made ", 100, 10)
        );
        let x = made.column(9, 0).unwrap();
        assert_eq!((x.shape(), x.number(19)), (&[2][..], Some(198.5)));
        assert_eq!(made.column(3, 1).unwrap().number(1), Some(1.0));

        let (again, told) = ask(folder, &columns());
        assert_eq!((told.as_str(), again.unwrap().1), ("", key.clone()));
        // the same bytes elsewhere in time
        fs::write(folder.join("rows.csv"), text(100)).unwrap();
        assert_eq!(ask(folder, &columns()).1, "");
        let (other, told) = ask(folder, &columns()[..1]);
        assert_eq!(told, "made ");
        assert_ne!(other.unwrap().1, key);
        fs::write(folder.join("rows.csv"), text(101)).unwrap();
        let (other, told) = ask(folder, &columns());
        assert_eq!((told.as_str(), other.unwrap().0.rows()), ("made ", 101));
        assert_eq!(files(folder).len(), 3);
    }

    #[test]
    fn a_table_in_memory_is_the_same_through_the_cache_and_without() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let path = &folder.join("rows.csv");
        fs::write(path, text(100).replace("\n50,", "\n,")).unwrap();
        let mut columns = columns();
        columns[0].missing = true;
        let bits = |table: &Table| -> Vec<Vec<u8>> {
            let columns = table.columns().iter();
            columns.map(|c| c.as_bytes().unwrap().to_vec()).collect()
        };
        let wanted = Wanted {
            path,
            options: OPTIONS,
            columns: &columns,
            block: 120,
        };
        let parsed = read_csv(path, OPTIONS, &columns).unwrap();
        let ask = |cache: &str, least: u64| {
            let told = RefCell::new(Vec::new());
            let tell = |t: &CacheEvent| told.borrow_mut().push(format!("{t:?}"));
            let cache = Ok(folder.join(cache));
            let found = table(cache, &wanted, least, &tell).unwrap();
            assert_eq!(bits(&found), bits(&parsed));
            assert_eq!(found.rows(), 100);
            told.into_inner().concat()
        };
        let size = fs::metadata(path).unwrap().len();
        assert_eq!(ask("cache", size + 1), "");
        assert!(ask("cache", size).starts_with("Made"));
        assert_eq!(ask("cache", size), "");
        assert!(ask("rows.csv", size).starts_with("Unusable"));
        fs::write(path, "a,b,y\n1,2,9\n").unwrap();
        let error = table(Ok(folder.join("cache")), &wanted, 0, &|_| {}).unwrap_err();
        assert_eq!(error.code(), Code::E0917);
    }

    #[test]
    fn an_entry_that_is_damaged_or_cut_off_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::write(folder.join("rows.csv"), text(50)).unwrap();
        let (made, _) = ask(folder, &columns());
        let entry = made.unwrap().0.path().to_owned();
        let whole = fs::read(&entry).unwrap();
        let mut changed = whole.clone();
        changed[100] ^= 4;
        for bad in [&changed[..], &whole[..200], &[]] {
            fs::write(&entry, bad).unwrap();
            let (found, told) = ask(folder, &columns());
            assert_eq!(
                (told.as_str(), found.unwrap().0.rows()),
                ("damaged made ", 50)
            );
            assert_eq!(fs::read(&entry).unwrap(), whole);
        }
    }

    #[test]
    fn a_broken_text_names_its_row_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let broken = text(1000).replace("\n777,1554.5,0\n", "\n777,much,0\n");
        fs::write(folder.join("rows.csv"), broken).unwrap();
        let error = ask(folder, &columns()).0.unwrap_err().to_string();
        assert!(
            error.contains("rows.csv:779: row 778, column `b`: found `much`"),
            "{error}"
        );
        fs::write(folder.join("rows.csv"), "a,b,y\n").unwrap();
        assert_eq!(ask(folder, &columns()).0.unwrap_err().code(), Code::E0905);
        assert_eq!(files(folder), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_hash_is_remembered_only_of_a_file_that_is_at_rest() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let path = folder.join("rows.csv");
        let hashes = |n: usize| {
            let there = fs::read_dir(folder.join("cache/hashes"));
            assert_eq!(there.map_or(0, Iterator::count), n);
        };
        fs::write(&path, text(10)).unwrap();
        let stamp = Stamp::of(&path).unwrap();
        assert!(!stamp.settled());
        let cache = folder.join("cache");
        let first = content(&cache, &path, &stamp, &|_| {}).unwrap();
        hashes(0);
        let older = Stamp {
            modified: 0,
            changed: 0,
            ..stamp
        };
        assert!(older.settled());
        // a stamp that is not the file's: it changed meanwhile
        let changed = content(&cache, &path, &older, &|_| {}).unwrap_err();
        assert_eq!(changed.code(), Code::E0966);
        let note = Remembered {
            path: fs::canonicalize(&path).unwrap(),
            stamp: Stamp::of(&path).unwrap(),
            hash: "2a".into(),
        };
        let name = xxh3_128(note.path.as_os_str().as_encoded_bytes());
        fs::create_dir_all(cache.join("hashes")).unwrap();
        let to = cache.join("hashes").join(format!("{name:032x}.json"));
        fs::write(to, serde_json::to_string(&note).unwrap()).unwrap();
        let stamp = Stamp::of(&path).unwrap();
        assert_eq!(content(&cache, &path, &stamp, &|_| {}).unwrap(), 42);
        fs::write(&path, text(11)).unwrap();
        let stamp = Stamp::of(&path).unwrap();
        let second = content(&cache, &path, &stamp, &|_| {}).unwrap();
        assert!(second != 42 && second != first);
    }

    #[test]
    fn what_was_not_used_for_long_goes() {
        let folder = tempfile::tempdir().unwrap();
        let day = Duration::from_secs(24 * 60 * 60);
        let put = |name: &str, days: u64| {
            let file = File::create(folder.path().join(name)).unwrap();
            let then = SystemTime::now() - day * days as u32;
            file.set_modified(then).unwrap();
        };
        put("old.rows", KEPT + 1);
        put("used.rows", KEPT - 1);
        put(".nnc-half", 2);
        put(".nnc-at-work", 0);
        put("another's", 1000);
        remove_old(folder.path());
        let left = fs::read_dir(folder.path()).unwrap();
        let mut left: Vec<_> = left.map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".nnc-at-work", "another's", "used.rows"]);
    }
}
