//! A trial's process: `nnc run` of the same program, with the trial's values. What goes wrong
//! in it ends the trial and nothing else, and all its memory goes when it does.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Instant;

use crate::cli::common::{Failure, exit};
use crate::cli::sweep::child_events::Heard;
use crate::train::RunError;
use crate::train::sweep::Work;

/// A trial that runs.
pub(super) struct Running {
    pub work: Work,
    pub began: Instant,
    pub heard: Heard,
    /// Whether it resumes from what its folder holds.
    pub resumed: bool,
    process: Child,
    complaints: Option<JoinHandle<String>>,
}

/// What reaches the sweep from its trials.
pub(super) enum TrialMessage {
    Line(usize, String),
    /// The trial has nothing more to say.
    Closed(usize),
}

/// How a trial's process ended.
#[derive(Debug, PartialEq)]
pub(super) enum Ended {
    Well,
    /// It has saved its state and can go on.
    Interrupted,
    Badly(String),
}

/// What is the same for all trials.
pub(super) struct Trials {
    pub program: PathBuf,
    /// Arguments of `nnc run`, in front of those of a trial.
    pub arguments: Vec<String>,
}

impl Trials {
    /// Starts a trial; `own` are its own arguments.
    pub(super) fn start(
        &self,
        work: Work,
        own: &[String],
        heard: Heard,
        resumed: bool,
        to: &SyncSender<TrialMessage>,
    ) -> Result<Running, Failure> {
        let mut command = Command::new(&self.program);
        command
            .arg("run")
            .args(&self.arguments)
            .args(own)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        apart(&mut command);
        let mut process = command
            .spawn()
            .map_err(|e| RunError::file(&self.program, "start the program", &e))?;
        let trial = work.trial;
        if let Some(out) = process.stdout.take() {
            let to = to.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    if to.send(TrialMessage::Line(trial, line)).is_err() {
                        return;
                    }
                }
                let _ = to.send(TrialMessage::Closed(trial));
            });
        }
        let complaints = process
            .stderr
            .take()
            .map(|err| std::thread::spawn(|| end_of(err)));
        Ok(Running {
            work,
            began: Instant::now(),
            heard,
            resumed,
            process,
            complaints,
        })
    }
}

impl Running {
    /// Asks it to finish its step, save and end.
    pub(super) fn stop(&mut self) {
        #[cfg(unix)]
        {
            // SAFETY: a signal to a child that has not been waited for, so that its id is its own.
            unsafe { libc::kill(self.process.id() as libc::pid_t, libc::SIGTERM) };
        }
        #[cfg(not(unix))]
        {
            let _ = self.process.kill();
        }
    }

    /// Waits for its end, once it has nothing more to say.
    pub(super) fn wait(&mut self) -> Ended {
        let status = self.process.wait();
        let complaints = self.complaints.take().and_then(|c| c.join().ok());
        let complaints = complaints.unwrap_or_default();
        match status {
            Ok(s) if s.code() == Some(i32::from(exit::FINE)) => Ended::Well,
            Ok(s) if s.code() == Some(i32::from(exit::INTERRUPTED)) => Ended::Interrupted,
            Ok(s) => Ended::Badly(match self.heard.error.take() {
                Some(error) => error,
                None => reason(s, &complaints),
            }),
            Err(e) => Ended::Badly(e.to_string()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // where the sweep itself fails; a trial that has ended is waited for already
        if let Ok(None) = self.process.try_wait() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

/// What a folder that a killed sweep has left allows: `None` where there is nothing to go on
/// from, and it has been cleared.
pub(super) fn left_behind(folder: &Path, goal: &str) -> Option<Heard> {
    if !folder.exists() {
        return None;
    }
    wait_until_free(folder);
    let of_run =
        |f: &Path| f.join("checkpoints").is_dir() || f.join("weights.safetensors").exists();
    if of_run(folder) || of_run(&folder.join("fold-1")) {
        return Some(Heard::before(folder, goal));
    }
    let _ = std::fs::remove_dir_all(folder);
    None
}

/// A trial whose sweep was killed finishes its step and saves: a moment.
fn wait_until_free(folder: &Path) {
    let began = Instant::now();
    while crate::train::output::is_running(folder) && began.elapsed().as_secs() < 30 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Why a process ended that said nothing itself.
fn reason(status: ExitStatus, complaints: &str) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        if let Some(signal) = status.signal() {
            return match signal {
                libc::SIGKILL => "killed by signal 9 (probably out of memory)".into(),
                signal => format!("killed by signal {signal}"),
            };
        }
    }
    let said = complaints.lines().rev().find(|l| !l.trim().is_empty());
    match said {
        Some(line) => line.trim().to_owned(),
        None => status.to_string(),
    }
}

/// The last of what is written there, all of it read.
fn end_of(mut from: impl Read) -> String {
    const MOST: usize = 4096;
    let mut kept: Vec<u8> = Vec::new();
    let mut part = [0; MOST];
    while let Ok(n) = from.read(&mut part) {
        if n == 0 {
            break;
        }
        kept.extend_from_slice(&part[..n]);
        let surplus = kept.len().saturating_sub(MOST);
        kept.drain(..surplus);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// Ctrl-C on a terminal is for the sweep, which asks its trials to end; where it is killed
/// itself, the system does.
fn apart(command: &mut Command) {
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        command.process_group(0);
    }
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::CommandExt;
        let parent = std::process::id();
        let ask = move || {
            // SAFETY: two calls that may be made between fork and exec.
            let (asked, now) = unsafe {
                (
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM),
                    libc::getppid(),
                )
            };
            match asked == 0 && now == parent as libc::pid_t {
                true => Ok(()),
                false => Err(std::io::Error::other("the sweep has ended")),
            }
        };
        // SAFETY: `ask` allocates nothing where it succeeds, and takes no lock.
        unsafe { command.pre_exec(ask) };
    }
}
