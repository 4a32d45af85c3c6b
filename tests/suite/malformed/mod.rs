//! Malformed data, each through `nnc run`: exit code 3, one error with its place, no run's
//! folder left behind, little memory. What is said of each is a snapshot to be read.
//!
//! ```text
//! text     CSV, TSV, gzip, JSON lines
//! arrays   IDX, npy, npz
//! tables   Parquet
//! folders  texts, sounds and images by class
//! damage   sound files, a byte of which is changed or missing
//! ```

mod arrays;
mod damage;
mod folders;
pub(crate) mod tables;
mod text;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) use crate::data::gz;

/// Bytes that a run may ask for: what the program takes, and a row in the making.
const MOST: u64 = 200 << 20;

/// Where what is read in blocks is kept.
const CACHE: &str = "cache";

/// A broken input and a program that reads it.
pub(crate) struct Case {
    pub name: &'static str,
    /// Of the data block: source, columns, splits, inputs and targets.
    pub lines: String,
    pub files: Vec<(String, Content)>,
}

pub(crate) enum Content {
    Bytes(Vec<u8>),
    Folder,
    /// A file of so many zeros that takes no room.
    Zeros(u64),
    Link(&'static str),
    Pipe,
}

/// Two numbers and a class, of one file.
pub(crate) fn numbers(name: &'static str, source: &str, bytes: impl AsRef<[u8]>) -> Case {
    let file = source.split('"').nth(1).unwrap_or_default().to_owned();
    Case {
        name,
        lines: format!("source {source}\ncolumn x : [2] = a .. b\ncolumn y : class[2]\n{FEEDS}"),
        files: vec![(file, Content::Bytes(bytes.as_ref().to_vec()))],
    }
}

pub(crate) const FEEDS: &str = "input x : [2]\ntarget y : class[2]";
/// A text `t` as a bag of words, and a class.
pub(crate) const WORDS: &str = "split { train 50%, test 50% }\nfit vocab = Tokenizer(train.t, num_words = 2)\ninput x : [2] = t |> bag(vocab)\ntarget y : class[2]";

impl Case {
    /// In place of the columns and what follows.
    pub(crate) fn with(mut self, lines: &str) -> Case {
        let source = self.lines.lines().next().unwrap_or_default().to_owned();
        self.lines = format!("{source}\n{lines}");
        self
    }

    /// With another source.
    pub(crate) fn of_source(mut self, source: &str) -> Case {
        let (_, rest) = self.lines.split_once('\n').unwrap_or_default();
        self.lines = format!("source {source}\n{rest}");
        self
    }

    /// In place of its files, but for the first one's name.
    pub(crate) fn with_bytes(mut self, bytes: impl AsRef<[u8]>) -> Case {
        self.files.truncate(1);
        self.files[0].1 = Content::Bytes(bytes.as_ref().to_vec());
        self
    }

    pub(crate) fn and(mut self, path: &str, content: Content) -> Case {
        self.files.push((path.into(), content));
        self
    }

    fn write(&self, folder: &Path) {
        let lines = self.lines.replace('\n', "\n  ");
        let program = format!(
            "data d {{\n  {lines}\n}}\n\nmodel M(x: [2]) -> prob {{ x |> Dense(1, sigmoid) }}\n\n\
             train M on d {{\n  loss binary_crossentropy\n  optimizer Adam\n}}\n"
        );
        fs::write(folder.join("a.nn"), program).unwrap();
        for (path, content) in &self.files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match content {
                Content::Bytes(bytes) => fs::write(&path, bytes).unwrap(),
                Content::Folder => fs::create_dir_all(&path).unwrap(),
                Content::Zeros(size) => fs::File::create(&path).unwrap().set_len(*size).unwrap(),
                Content::Link(to) => std::os::unix::fs::symlink(to, &path).unwrap(),
                Content::Pipe => {
                    let made = Command::new("mkfifo").arg(&path).status().unwrap();
                    assert!(made.success());
                }
            }
        }
    }

    /// Runs the program; what is said of it.
    fn run(&self) -> String {
        let folder = tempfile::tempdir().unwrap();
        self.write(folder.path());
        let before = names(folder.path());
        let output = command(folder.path()).output().unwrap();
        let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let name = self.name;
        assert_eq!(output.status.code(), Some(3), "{name}: {told}");
        assert_eq!(told.matches("error[").count(), 1, "{name}: {told}");
        assert!(!told.contains("panicked"), "{name}: {told}");
        assert_eq!(before, names(folder.path()), "{name}");
        // nothing half made stays in the cache either
        let cache = folder.path().join(CACHE);
        assert!(!cache.exists() || files(&cache) == 0, "{name}");
        told
    }
}

fn names(folder: &Path) -> Vec<String> {
    let all = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = all
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != CACHE)
        .collect();
    names.sort();
    names
}

/// Files below a folder.
fn files(folder: &Path) -> usize {
    let all = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    all.map(|path| if path.is_dir() { files(&path) } else { 1 })
        .sum()
}

/// `nnc run a.nn` there, with so much memory.
fn command(folder: &Path) -> Command {
    let mut command = Command::new("sh");
    let limited = format!("ulimit -d {}; exec \"$0\" run a.nn", MOST >> 10);
    command
        .args(["-c", &limited, env!("CARGO_BIN_EXE_nnc")])
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .env("NNC_CACHE", folder.join(CACHE));
    command
}

/// Every case's name and what is said of it; there are at least so many, no two of a name.
fn said(cases: &[Case], least: usize) -> String {
    let mut names: Vec<&str> = cases.iter().map(|c| c.name).collect();
    names.sort_unstable();
    names.dedup();
    assert!(
        names.len() == cases.len() && cases.len() >= least,
        "{names:?}"
    );
    let next = AtomicUsize::new(0);
    let all = Mutex::new(vec![String::new(); cases.len()]);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(at) else { break };
                    let told = case.run().trim_end().replace('\n', "\n  ");
                    all.lock().unwrap()[at] = format!("{}\n  {told}", case.name);
                }
            });
        }
    });
    let all = all.into_inner().unwrap();
    assert!(all.iter().all(|text| !text.is_empty()));
    all.join("\n")
}

#[test]
fn malformed_text_is_refused() {
    insta::assert_snapshot!(said(&text::cases(), 60));
}

#[test]
fn malformed_arrays_are_refused() {
    insta::assert_snapshot!(said(&arrays::cases(), 40));
}

#[test]
fn malformed_tables_are_refused() {
    insta::assert_snapshot!(said(&tables::cases(), 24));
}

#[test]
fn malformed_folders_are_refused() {
    insta::assert_snapshot!(said(&folders::cases(), 24));
}

#[test]
fn what_may_not_be_read_is_told() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let folder = tempfile::tempdir().unwrap();
    let case = numbers("locked", "csv(\"a.csv\")", "a,b,y\n1,2,0\n");
    case.write(folder.path());
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    mode(folder.path(), 0o755).unwrap();
    mode(&folder.path().join("a.csv"), 0o000).unwrap();
    let mut command = command(folder.path());
    // SAFETY: it only asks.
    if unsafe { libc::geteuid() } == 0 {
        // root may read everything: nobody may not, but cannot always start the program either
        command.uid(65_534).gid(65_534);
    }
    let Ok(output) = command.output() else { return };
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert_eq!(
        told,
        "error[E0903]: a.csv: cannot open the file: permission denied\n"
    );
}
