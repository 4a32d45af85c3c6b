//! From a path to programs: the checker and the lowering, diagnostics shown.

use std::collections::BTreeMap;
use std::io::{ErrorKind, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::check::{self, Allowed, LayerUse, Report, Sizes};
use crate::cli::common::{Common, Failure};
use crate::cli::console;
use crate::data::error::reason;
use crate::diag::render::{Style, render};
use crate::diag::{Severity, json};
use crate::ir::Graph;
use crate::span::SourceMap;
use crate::spec::sweep::SweepSpec;
use crate::spec::{DataSpec, TrainSpec};
use crate::spec::{Programs, Runtime};
use crate::syntax::MAX_SOURCE;
use crate::train::identity::{Hash, Identity};

/// A program that can run.
pub(super) struct Loaded {
    pub data: DataSpec,
    pub train: TrainSpec,
    pub programs: Programs,
    pub layers: Vec<LayerUse>,
    /// The file's name without `.nn`.
    pub name: String,
    /// The folder that it is in.
    pub folder: PathBuf,
    /// The program's sources, the file itself first.
    pub map: SourceMap,
    pub sweep: Option<SweepSpec>,
    /// What the reports show of a batch; empty where they show nothing of one.
    pub report: Graph,
    /// Warnings that are meant.
    pub allowed: Allowed,
    /// Whether the headers of its sources have been looked at: they are the same for all folds.
    pub headers_seen: bool,
}

impl Loaded {
    /// `text`: the program as it is run; `data`: what [`Dataset::hashes`] gives.
    ///
    /// [`Dataset::hashes`]: crate::train::dataset::Dataset::hashes
    pub(super) fn identity(&self, text: String, data: Vec<(String, String)>) -> Identity {
        let mut hash = Hash::default();
        let p = &self.programs;
        for graph in [&p.init, &p.train, &p.eval, &p.metrics, &p.closing] {
            hash.add(graph.to_string().as_bytes());
        }
        hash.add(rows_text(&self.data).as_bytes());
        hash.add(format!("{:?}", self.train.balance).as_bytes());
        for callback in &self.train.callbacks {
            hash.add(callback.describe().as_bytes());
        }
        Identity {
            program: hash.text(),
            text,
            data,
            seed: self.train.seed,
            batch: self.train.batch,
            fold: (self.data.folds()).map(|f| format!("{} of {}", f.fold, f.count)),
        }
    }
}

impl Loaded {
    /// Whether reports go over the rows of a set.
    pub(super) fn reports_rows(&self) -> bool {
        !self.report.outputs.is_empty()
    }

    /// The same program with the sizes that the data determined. Settings stay as they are.
    ///
    /// # Errors
    /// Reports what does not fit these sizes, with the places in the file.
    pub(super) fn set_sizes(&mut self, common: &Common, sizes: &Sizes) -> Result<(), Failure> {
        let (checked, _) = checked(common, sizes)?;
        let check::Checked {
            data: Some(data),
            train: Some(train),
            programs: Some(programs),
            layers,
            report,
            ..
        } = checked
        else {
            return Err(Failure::Program);
        };
        let fold = self.data.folds().map(|f| f.fold);
        (self.data, self.programs, self.layers) = (data, programs, layers);
        self.data.hold_out(fold.unwrap_or(1));
        self.report = report;
        self.train.rates = train.rates;
        (self.train.bounds, self.train.bounded) = (train.bounds, train.bounded);
        (self.train.classes, self.train.alignments) = (train.classes, train.alignments);
        Ok(())
    }
}

/// Shows what the checker found: to people on stderr, or to programs on stdout.
pub(super) fn show(report: &Report, json: bool) -> std::io::Result<()> {
    if report.diagnostics.is_empty() {
        return Ok(());
    }
    if json {
        let lines = json::lines(&report.diagnostics, &report.map);
        return console::write(|out| out.write_all(lines.as_bytes()));
    }
    console::note(render(&report.diagnostics, &report.map, style()).trim_end());
    Ok(())
}

/// How many diagnostics are of `severity`.
pub(super) fn count(report: &Report, severity: Severity) -> usize {
    let all = report.diagnostics.iter();
    all.filter(|d| d.severity == severity).count()
}

/// Whether its warnings stop the program.
pub(super) fn denied(common: &Common, report: &Report) -> bool {
    common.deny_warnings && count(report, Severity::Warning) > 0
}

/// Checks a file whose data, if `sizes` has something, have been read.
fn check(common: &Common, sizes: &Sizes) -> Result<Report, Failure> {
    let path = source(common)?;
    Ok(check::check_sized(&Disk, path, &common.set, sizes))
}

/// Checks a file for its mistakes alone.
pub(super) fn mistakes(common: &Common) -> Result<Report, Failure> {
    let path = source(common)?;
    Ok(check::find_mistakes(&Disk, path, &common.set))
}

/// The same, where some of the files have another text.
pub(super) fn mistakes_of(
    common: &Common,
    texts: &BTreeMap<String, String>,
) -> Result<Report, Failure> {
    let path = source(common)?;
    Ok(check::find_mistakes(&Edited(texts), path, &common.set))
}

/// Refuses a pipe, which may wait for ever, or a device; what this process was given as a file
/// descriptor (`/dev/stdin`, `<(..)` of a shell) has someone who writes it.
pub(super) fn refuse_pipe(file: &Path) -> Result<(), Failure> {
    if is_given(file) || file.metadata().is_ok_and(|m| m.is_file() || m.is_dir()) || !file.exists()
    {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{}: it is a pipe or a device, not a file",
        file.display()
    )))
}

fn is_given(file: &Path) -> bool {
    let given = ["/dev/stdin", "/dev/fd", "/proc/self/fd"];
    given.iter().any(|g| file.starts_with(g))
}

/// The program's path, once it could be opened.
fn source(common: &Common) -> Result<&str, Failure> {
    let file = &common.file;
    refuse_pipe(file)?;
    if let Err(e) = std::fs::File::open(file) {
        let file = file.display();
        return Err(Failure::usage(format!(
            "{file}: cannot open the file: {}",
            reason(&e)
        )));
    }
    file.to_str().ok_or_else(|| {
        Failure::usage(format!(
            "{}: the file name is not valid UTF-8",
            file.display()
        ))
    })
}

/// A file without mistakes, with the sizes that its data determined, if they have been
/// read; diagnostics are shown.
pub(super) fn checked(
    common: &Common,
    sizes: &Sizes,
) -> Result<(check::Checked, SourceMap), Failure> {
    let report = check(common, sizes)?;
    if sizes.is_empty() || report.checked.is_none() {
        show(&report, common.json)?;
    }
    if report.checked.is_none() && !sizes.is_empty() {
        let mut found: Vec<String> = sizes.iter().map(|(n, s)| format!("{n} = {s}")).collect();
        found.sort();
        console::note(&format!("sizes found in the data: {}", found.join(", ")));
    }
    let denied = denied(common, &report);
    match report.checked {
        Some(checked) if !denied => Ok((checked, report.map)),
        _ => Err(Failure::Program),
    }
}

/// Checks and lowers a file that is to be run; its diagnostics are shown.
pub(super) fn load(common: &Common) -> Result<Loaded, Failure> {
    let (checked, map) = checked(common, &Sizes::new())?;
    let (Some(data), Some(train), Some(programs)) = (checked.data, checked.train, checked.programs)
    else {
        let file = common.file.display();
        return Err(Failure::Usage {
            message: format!("{file} has no `train` block, so there is nothing to run"),
            help: Some("`nnc check` and `nnc emit --stage ast` work without one".into()),
        });
    };
    let name = common.file.file_stem().unwrap_or_default();
    let folder = common.file.parent().unwrap_or(Path::new("."));
    Ok(Loaded {
        data,
        train,
        programs,
        layers: checked.layers,
        name: name.to_string_lossy().into_owned(),
        folder: folder.to_owned(),
        map,
        sweep: checked.sweep,
        report: checked.report,
        allowed: checked.allowed,
        headers_seen: false,
    })
}

/// Everything that decides which rows a run sees, and in which set.
fn rows_text(data: &DataSpec) -> String {
    let columns: Vec<_> = data
        .columns
        .iter()
        .map(|c| (&c.name, c.kind, &c.shape, &c.selector, c.missing))
        .collect();
    let sources: Vec<_> = (data.sources.iter())
        .map(|s| (s.part, &s.format, s.stream))
        .collect();
    let split = data.split.as_ref();
    let split = split.map(|s| (&s.method, &s.parts, s.seed));
    let fits: Vec<_> = data.fits.iter().map(|f| (&f.name, &f.kind)).collect();
    let made: Vec<_> = (data.derived.iter())
        .map(|d| (&d.name, &d.of, &d.make))
        .collect();
    let augmented: Vec<_> = (data.augmented.iter())
        .map(|a| (&a.name, &a.column, &a.ranges))
        .collect();
    format!("{columns:?} {sources:?} {split:?} {fits:?} {made:?} {augmented:?}")
}

/// How diagnostics look on this terminal.
pub(super) fn style() -> Style {
    let terminal = std::io::stderr().is_terminal();
    let width = std::env::var("COLUMNS").ok().and_then(|w| w.parse().ok());
    Style {
        color: terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        unicode: true,
        width: width
            .unwrap_or(if terminal { 80 } else { 100 })
            .clamp(40, 140),
    }
}

/// The file system, but for some files.
struct Edited<'a>(&'a BTreeMap<String, String>);

impl check::Host for Edited<'_> {
    fn runtime(&self) -> Runtime {
        check::Host::runtime(&Disk)
    }

    fn read(&self, path: &str) -> Result<String, String> {
        match self.0.get(path) {
            Some(text) => Ok(text.clone()),
            None => check::Host::read(&Disk, path),
        }
    }
}

/// The file system, for imports.
struct Disk;

impl check::Host for Disk {
    fn runtime(&self) -> Runtime {
        crate::train::RUNTIME
    }

    fn read(&self, path: &str) -> Result<String, String> {
        // what is read from a pipe is gone
        static GIVEN: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
        let given = is_given(Path::new(path));
        let mut known = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = known.get(path) {
            return Ok(text.clone());
        }
        let text = read(path)?;
        if given {
            known.insert(path.into(), text.clone());
        }
        Ok(text)
    }
}

fn read(path: &str) -> Result<String, String> {
    if refuse_pipe(Path::new(path)).is_err() {
        return Err("it is a pipe or a device, not a file".into());
    }
    let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
    let mut text = String::new();
    // one byte more than the parser takes: it says what is wrong with a longer file
    let most = MAX_SOURCE as u64 + 1;
    match file.take(most).read_to_string(&mut text) {
        Ok(_) => Ok(text),
        Err(e) if e.kind() == ErrorKind::InvalidData => Err("the file is not valid UTF-8".into()),
        Err(e) => Err(e.to_string()),
    }
}
