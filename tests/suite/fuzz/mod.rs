//! Random programs, held to what every program is promised.
//!
//! The suite looks at a few. `NNC_FUZZ=SECONDS` goes on for so long, in child processes with a seed
//! each (from `NNC_FUZZ_SEED`), so that an abort and a program without an end are findings too. What a
//! child was at lies in target/fuzz; a finding stays there, and `NNC_FUZZ=FILE` repeats it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::mutate::Dice;

mod texts;
mod training;

/// A kind of programs, and what is true of each.
struct Subject {
    /// The path of its test.
    test: &'static str,
    make: fn(&mut Dice) -> String,
    /// Panics where a promise does not hold.
    hold: fn(&str),
    /// How many the suite looks at.
    few: usize,
}

/// For one program; a child that is at one for twice as long has hung.
const LIMIT: Duration = Duration::from_secs(20);
/// A child that lives on would hide a leak.
const PROGRAMS_PER_CHILD: usize = 20_000;
/// As large as the main thread's.
const STACK: usize = 8 << 20;

fn drive(subject: &Subject) {
    let asked = std::env::var("NNC_FUZZ").ok();
    let (make, hold, few) = (subject.make, subject.hold, subject.few);
    if let Ok(child) = std::env::var("NNC_FUZZ_CHILD") {
        let words: Vec<&str> = child.split(' ').collect();
        let number = |i: usize| words[i].parse().expect("a number");
        let (seed, seconds, folder) = (number(0), number(1), PathBuf::from(words[2]));
        on_a_stack(move || run_child(make, hold, seed, seconds, &folder));
        return;
    }
    let Some(asked) = asked else {
        on_a_stack(move || {
            let mut dice = Dice::new(1);
            for _ in 0..few {
                hold(&make(&mut dice));
            }
        });
        return;
    };
    match asked.parse() {
        Ok(seconds) => run_children(subject, Duration::from_secs(seconds)),
        Err(_) => on_a_stack(move || hold(&fs::read_to_string(&asked).expect(&asked))),
    }
}

fn on_a_stack(run: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(STACK);
    if let Err(panic) = thread.spawn(run).expect("a thread").join() {
        std::panic::resume_unwind(panic);
    }
}

fn run_child(
    make: fn(&mut Dice) -> String,
    hold: fn(&str),
    seed: u64,
    seconds: u64,
    folder: &Path,
) {
    let mut dice = Dice::new(seed);
    let end = Instant::now() + Duration::from_secs(seconds);
    for n in 0..PROGRAMS_PER_CHILD {
        fs::write(folder.join("count"), n.to_string()).expect("write the count");
        if Instant::now() > end {
            break;
        }
        let text = make(&mut dice);
        fs::write(folder.join("at.nn"), &text).expect("write the program");
        let start = Instant::now();
        hold(&text);
        let took = start.elapsed();
        assert!(took < LIMIT, "{took:?}");
    }
}

struct Running {
    child: Child,
    seed: u64,
    folder: PathBuf,
    since: Instant,
}

fn run_children(subject: &Subject, time: Duration) {
    let root = Path::new("target/fuzz").join(subject.test.replace(':', "_"));
    let mut seed = std::env::var("NNC_FUZZ_SEED").map_or(1, |s| s.parse().expect("a number"));
    let (start, end) = (Instant::now(), Instant::now() + time);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut running: Vec<Running> = Vec::new();
    let (mut programs, mut findings) = (0, Vec::new());
    loop {
        while running.len() < cores.min(4) && Instant::now() < end && findings.len() < 20 {
            let left = end.saturating_duration_since(Instant::now());
            running.push(start_child(subject, seed, &root, left));
            seed += 1;
        }
        if running.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
        let mut still = Vec::new();
        for mut one in running {
            let Some(why) = ended(&mut one) else {
                still.push(one);
                continue;
            };
            let count = fs::read_to_string(one.folder.join("count")).unwrap_or_default();
            programs += count.trim().parse().unwrap_or(0);
            match why {
                Some(why) => findings.push(format!("{why}: {}", one.folder.display())),
                None => fs::remove_dir_all(&one.folder).expect("remove what a child was at"),
            }
        }
        running = still;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{}: {programs} programs in {seconds:.0} s, {} findings",
        subject.test,
        findings.len()
    );
    assert!(findings.is_empty(), "{findings:#?}");
}

fn start_child(subject: &Subject, seed: u64, root: &Path, time: Duration) -> Running {
    let folder = root.join(format!("seed-{seed}"));
    // What an earlier run found there is over.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder for a child");
    let said = fs::File::create(folder.join("said.txt")).expect("a file for what a child says");
    let task = format!("{seed} {} {}", time.as_secs().max(1), folder.display());
    let child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", subject.test, "--nocapture"])
        .env("NNC_FUZZ_CHILD", task)
        .stdout(Stdio::null())
        .stderr(said)
        .spawn()
        .expect("start a child");
    let since = Instant::now();
    Running {
        child,
        seed,
        folder,
        since,
    }
}

/// None while it runs; then why it failed, if it did.
fn ended(running: &mut Running) -> Option<Option<String>> {
    if let Some(status) = running.child.try_wait().expect("a child's status") {
        let why = format!("seed {}: {status}", running.seed);
        return Some((!status.success()).then_some(why));
    }
    let at = fs::metadata(running.folder.join("at.nn")).and_then(|m| m.modified());
    let idle = at.ok().and_then(|t| t.elapsed().ok());
    let idle = idle.unwrap_or_else(|| running.since.elapsed());
    if idle <= LIMIT * 2 {
        return None;
    }
    running.child.kill().expect("stop a child");
    running.child.wait().expect("a child's status");
    Some(Some(format!("seed {}: no end in {idle:?}", running.seed)))
}
