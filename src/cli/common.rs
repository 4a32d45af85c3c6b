//! What the subcommands share: options, failures, devices.

use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::json;

use crate::backend::Options;
use crate::cli::{console, load};
use crate::diag::Diagnostic;
use crate::diag::render::render;
use crate::plural::count;
use crate::span::SourceMap;
use crate::train::RunError;
use crate::train::device::{Device, Target};

/// Exit codes.
pub(super) mod exit {
    pub(crate) const FINE: u8 = 0;
    pub(crate) const PROGRAM: u8 = 1;
    pub(crate) const USAGE: u8 = 2;
    pub(crate) const RUN: u8 = 3;
    pub(crate) const BUG: u8 = 70;
    pub(crate) const INTERRUPTED: u8 = 130;
}

/// Options of everything that compiles a file.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Common {
    /// Program to read
    #[arg(value_name = "FILE.nn")]
    pub file: PathBuf,
    /// Override a constant; repeatable
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = name_value)]
    pub set: Vec<(String, String)>,
    /// Print events to stdout as JSON lines; messages go to stderr
    #[arg(long)]
    pub json: bool,
    /// Treat warnings as errors, those about the data too
    #[arg(long)]
    pub deny_warnings: bool,
}

/// Options of everything that runs a program.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Machine {
    /// Compute device
    #[arg(long, value_enum, default_value_t = DeviceName::Auto)]
    pub device: DeviceName,
    /// CPU threads; does not change results [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Data-loading threads; does not change results [default: 2 if images are augmented,
    /// else 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
    /// Folder with the data files [default: the folder of FILE.nn]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Download mirror for built-in data sets: files are read from URL/SET/FILE
    /// [default: $NNC_MIRROR]
    #[arg(long, value_name = "URL")]
    pub mirror: Option<String>,
    /// Print errors and warnings only
    #[arg(long)]
    pub quiet: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum DeviceName {
    /// Fastest available
    Auto,
    /// Code compiled for this CPU
    Cpu,
    /// NVIDIA GPU (not in this build)
    Cuda,
    /// Reference interpreter (slow)
    Interp,
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub enum Failure {
    /// The program is wrong; its diagnostics have been shown.
    Program,
    Usage {
        message: String,
        help: Option<String>,
    },
    /// Warnings about the data, which have been shown, are not to be.
    Denied {
        warnings: usize,
    },
    Run(Box<RunError>),
    /// A run's failure that has a place in the program.
    Placed(Box<(Diagnostic, SourceMap)>),
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Failure {
        Failure::Run(Box::new(error))
    }
}

impl From<crate::data::DataError> for Failure {
    fn from(error: crate::data::DataError) -> Failure {
        Failure::Run(Box::new(error.into()))
    }
}

impl From<crate::train::weights::WeightsError> for Failure {
    fn from(error: crate::train::weights::WeightsError) -> Failure {
        Failure::Run(Box::new(error.into()))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        RunError::file("<stdout>".as_ref(), "write", &error).into()
    }
}

impl Failure {
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::Usage {
            message: message.into(),
            help: None,
        }
    }

    /// Prints it; gives the exit code.
    pub fn report(&self, json: bool) -> u8 {
        if let Failure::Placed(found) = self {
            let (diagnostic, map) = &**found;
            if json {
                let _ = console::line(&placed_event(diagnostic, map).to_string());
            }
            let shown = render(std::slice::from_ref(diagnostic), map, load::style());
            // the count of a check's errors follows it
            let shown = shown.rsplit_once("\n\n").map_or(&*shown, |(d, _)| d);
            console::note(shown.trim_end());
            return exit::RUN;
        }
        let (code, message, help, exit) = match self {
            Failure::Program | Failure::Placed(_) => return exit::PROGRAM,
            Failure::Usage { message, help } => (None, message.clone(), help.clone(), exit::USAGE),
            Failure::Denied { warnings } => (
                None,
                format!("{} about the data", count(*warnings, "warning")),
                Some("`--deny-warnings` makes errors of them".into()),
                exit::RUN,
            ),
            Failure::Run(error) => (
                Some(error.code()),
                error.to_string(),
                error.help(),
                exit::RUN,
            ),
        };
        if json {
            let event = json!({"event": "error", "code": code, "message": message, "help": help});
            // the exit code tells it all the same
            let _ = console::line(&event.to_string());
        }
        let code = code.map(|c| format!("[{c}]")).unwrap_or_default();
        console::note(&format!("error{code}: {message}"));
        if let Some(help) = help {
            console::note(&format!("  help: {help}"));
        }
        exit
    }
}

/// The event `error`, with its place and what is known beside.
fn placed_event(d: &Diagnostic, map: &SourceMap) -> serde_json::Value {
    let mut event = json!({
        "event": "error",
        "code": d.code,
        "message": d.message,
        "help": d.help,
        "notes": d.notes,
        "labels": d.labels.iter().map(|l| l.text.as_str()).collect::<Vec<_>>(),
    });
    if let Some(span) = d.span() {
        let (line, column) = map.line_column(span);
        event["file"] = map.get(span.source).name.as_str().into();
        event["line"] = line.into();
        event["column"] = column.into();
    }
    event
}

impl Machine {
    pub(super) fn threads(&self) -> usize {
        match self.threads {
            Some(n) => usize::from(n),
            None => std::thread::available_parallelism().map_or(1, |n| n.get()),
        }
    }

    pub(super) fn workers(&self) -> Option<usize> {
        self.workers.map(usize::from)
    }

    /// The options as they were given, each after a blank.
    pub(super) fn words(&self) -> String {
        let mut text = String::new();
        let mut add = |name: &str, value: &str| {
            text += &format!(" --{name} {}", console::word(value));
        };
        if self.device != DeviceName::Auto {
            add("device", self.device.name());
        }
        for (name, value) in [("threads", self.threads), ("workers", self.workers)] {
            if let Some(n) = value {
                add(name, &n.to_string());
            }
        }
        if let Some(data) = &self.data {
            add("data", &data.display().to_string());
        }
        if let Some(mirror) = &self.mirror {
            add("mirror", mirror);
        }
        text
    }

    /// Refuses what this build cannot run on.
    pub(super) fn device(&self, seed: u64) -> Result<Device, Failure> {
        let target = match self.device {
            DeviceName::Auto | DeviceName::Cpu => Target::Cpu,
            DeviceName::Interp => Target::Interp,
            DeviceName::Cuda => {
                return Err(Failure::Usage {
                    message: "this build of nnc does not support CUDA".into(),
                    help: Some("omit --device, or use --device cpu".into()),
                });
            }
        };
        let options = Options {
            seed,
            threads: self.threads(),
        };
        Ok(Device::new(target, options))
    }

    /// The device, for people and for events.
    pub(super) fn describe(&self) -> String {
        match self.device {
            DeviceName::Interp => "interpreter".into(),
            _ => format!("cpu, {}", count(self.threads(), "thread")),
        }
    }
}

impl DeviceName {
    pub(super) fn name(self) -> &'static str {
        match self {
            DeviceName::Auto | DeviceName::Cpu => "cpu",
            DeviceName::Cuda => "cuda",
            DeviceName::Interp => "interp",
        }
    }
}

fn name_value(text: &str) -> Result<(String, String), String> {
    if text.contains(['\n', '\r']) {
        return Err("a value must be on one line".into());
    }
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() && !value.trim().is_empty() => {
            Ok((name.trim().into(), value.trim().into()))
        }
        _ => Err("expected NAME=VALUE, as in --set width=256".into()),
    }
}
