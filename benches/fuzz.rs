//! A fuzz driver: programs at random are parsed, formatted and checked.
//!
//! `cargo bench --bench fuzz -- SECONDS [SEED]` runs children, each with a seed of its own, so that an
//! abort (a stack overflow, memory) or a check without an end is a finding, too. What a child was at
//! lies in target/fuzz/; a finding stays there, and the exit code is 1.
//!
//! Held of each program: no panic; spans inside the file and between characters; diagnostics that
//! print as text and as JSON; what `fmt` writes parses to the same tree and is formatted; all of it
//! within [`LIMIT`].

#![expect(clippy::print_stdout, reason = "a driver prints what it found")]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::time::{Duration, Instant};

use nnc::check::{Host, find_mistakes};
use nnc::diag::render::{Style, render};
use nnc::span::SourceId;
use nnc::spec::Runtime;
use nnc::syntax;

#[path = "../tests/suite/support/mutate.rs"]
mod mutate;
use mutate::{Dice, grow, mutate as change};

/// For one program; a child that is at one program for twice as long has hung.
const LIMIT: Duration = Duration::from_secs(10);
/// A child that lives on would hide a leak.
const PROGRAMS_PER_CHILD: u64 = 20_000;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let number =
        |i: usize, default: u64| words.get(i).and_then(|w| w.parse().ok()).unwrap_or(default);
    if words.first().is_some_and(|w| w == "child") {
        child(number(1, 0), Path::new(&words[2]), number(3, 60));
        return ExitCode::SUCCESS;
    }
    parent(Duration::from_secs(number(0, 60)), number(1, 1))
}

struct Running {
    child: Child,
    seed: u64,
    folder: PathBuf,
}

fn parent(time: Duration, first_seed: u64) -> ExitCode {
    let root = Path::new("target/fuzz");
    fs::create_dir_all(root).expect("target/fuzz");
    let end = Instant::now() + time;
    let (mut seed, mut findings, mut programs) = (first_seed, 0, 0);
    let width = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(4);
    let mut running: Vec<Running> = Vec::new();
    loop {
        while running.len() < width && Instant::now() < end {
            running.push(start(seed, root, end));
            seed += 1;
        }
        if running.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
        let mut i = 0;
        while i < running.len() {
            let Some(failed) = ended(&mut running[i]) else {
                i += 1;
                continue;
            };
            let done = running.remove(i);
            programs += count_of(&done.folder);
            if let Some(why) = failed {
                findings += 1;
                println!("finding: {why}: {}", done.folder.join("at.nn").display());
            } else {
                // it is only what the child was at
                let _ = fs::remove_dir_all(&done.folder);
            }
        }
    }
    println!("{programs} programs from seed {first_seed}, {findings} findings");
    ExitCode::from(u8::from(findings > 0))
}

fn start(seed: u64, root: &Path, end: Instant) -> Running {
    let folder = root.join(format!("seed-{seed}"));
    fs::create_dir_all(&folder).expect("a folder for a child");
    let seconds = end
        .saturating_duration_since(Instant::now())
        .as_secs()
        .max(1);
    let child = Command::new(std::env::current_exe().expect("this program"))
        .args(["child", &seed.to_string()])
        .arg(&folder)
        .arg(seconds.to_string())
        .spawn()
        .expect("start a child");
    Running {
        child,
        seed,
        folder,
    }
}

/// None while it runs; then why it failed, if it did.
fn ended(running: &mut Running) -> Option<Option<String>> {
    let status = running.child.try_wait().expect("a child's status");
    if let Some(status) = status {
        let why = format!("seed {}: {status}", running.seed);
        return Some((!status.success()).then_some(why));
    }
    let at = fs::metadata(running.folder.join("at.nn")).and_then(|m| m.modified());
    let since = at.ok().and_then(|t| t.elapsed().ok()).unwrap_or_default();
    if since > LIMIT * 2 {
        // the status no longer matters
        let _ = running.child.kill();
        let _ = running.child.wait();
        return Some(Some(format!(
            "seed {}: no end after {since:?}",
            running.seed
        )));
    }
    None
}

fn count_of(folder: &Path) -> u64 {
    let text = fs::read_to_string(folder.join("count")).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

fn child(seed: u64, folder: &Path, seconds: u64) {
    let sources = sources();
    let mut dice = Dice::new(seed);
    let end = Instant::now() + Duration::from_secs(seconds);
    for n in 0..PROGRAMS_PER_CHILD {
        if Instant::now() > end {
            break;
        }
        let text = if dice.below(5) == 0 {
            grow(&mut dice)
        } else {
            let text = &sources[dice.below(sources.len())];
            change(text, &sources[dice.below(sources.len())], &mut dice)
        };
        fs::write(folder.join("at.nn"), &text).expect("write the program");
        let start = Instant::now();
        hold(&text);
        let took = start.elapsed();
        assert!(took < LIMIT, "{took:?}");
        if n % 100 == 0 {
            fs::write(folder.join("count"), n.to_string()).expect("write the count");
        }
    }
}

fn sources() -> Vec<String> {
    let folders = [
        "models",
        "tests/check/ok",
        "tests/check/bad",
        "tests/syntax/ok",
        "tests/syntax/bad",
    ];
    let mut paths: Vec<PathBuf> = folders
        .iter()
        .filter_map(|f| fs::read_dir(f).ok())
        .flatten()
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "nn"))
        .collect();
    paths.sort();
    let texts = paths.iter().filter_map(|p| fs::read_to_string(p).ok());
    let texts: Vec<String> = texts.filter(|t| t.len() < 8000).collect();
    assert!(!texts.is_empty(), "run in the repository");
    texts
}

struct Texts(HashMap<String, String>);

impl Host for Texts {
    fn runtime(&self) -> Runtime {
        nnc::train::RUNTIME
    }

    fn read(&self, path: &str) -> Result<String, String> {
        self.0.get(path).cloned().ok_or("no such file".into())
    }
}

/// Panics where a promise does not hold.
fn hold(text: &str) {
    let (file, diagnostics) = syntax::parse(SourceId(0), text);
    if diagnostics.is_empty() {
        let once = syntax::format(&file, text);
        let (again, wrong) = syntax::parse(SourceId(0), &once);
        assert!(wrong.is_empty(), "fmt wrote what does not parse:\n{once}");
        assert!(
            syntax::same_meaning(&file, &again),
            "fmt changed the program:\n{once}"
        );
        assert!(
            syntax::format(&again, &once) == once,
            "fmt changes its own:\n{once}"
        );
    }
    let files = Texts(HashMap::from([("file.nn".to_owned(), text.to_owned())]));
    let report = find_mistakes(&files, "file.nn", &[]);
    for diagnostic in &report.diagnostics {
        let labels = diagnostic.labels.iter().map(|l| l.span);
        for span in labels.chain(diagnostic.fix.iter().map(|f| f.span)) {
            let source = &report.map.get(span.source).text;
            assert!(
                source.get(span.range()).is_some(),
                "a span outside: {diagnostic:?}"
            );
        }
        let line = nnc::diag::json::line(diagnostic, &report.map);
        let json: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert!(json["code"].is_string() && !line.contains('\n'), "{line}");
    }
    let rendered = render(&report.diagnostics, &report.map, Style::plain());
    assert!(
        rendered.is_empty() == report.diagnostics.is_empty(),
        "nothing is shown"
    );
}
