//! Fetching the data sets that a program's sources name, and its messages: a bar on a
//! terminal, lines elsewhere, events as JSON.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::path::Path;

use indicatif::{DecimalBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::cli::common::{Failure, Machine};
use crate::cli::console;
use crate::data::DataError;
use crate::data::fetch::{self, FetchEvent, Fetcher, Patience};
use crate::data::packed::cache;
use crate::diag::Diagnostic;
use crate::span::SourceMap;
use crate::spec::{DataSpec, Format};

/// A mirror for all of a user's runs.
const MIRROR: &str = "NNC_MIRROR";

/// The data block with every data set in its place; what is not in the cache is fetched.
///
/// # Errors
/// With the source's place in the file, where a set cannot be fetched.
pub(super) fn fetched(
    spec: &DataSpec,
    map: &SourceMap,
    machine: &Machine,
    json: bool,
) -> Result<DataSpec, Failure> {
    let mut spec = spec.clone();
    for source in &mut spec.sources {
        let Format::Fetched { set, folder, .. } = &mut source.format else {
            continue;
        };
        let Some(set) = fetch::find(set) else {
            continue;
        };
        let cache = cache::folder()?;
        let mirror = mirror(machine)?;
        let teller = Teller {
            json,
            quiet: machine.quiet,
            bar: RefCell::new(None),
        };
        let fetcher = Fetcher {
            cache: &cache,
            mirror: mirror.as_deref(),
            patience: Patience::default(),
            tell: &|told| teller.tell(told),
        };
        let found = fetcher.fetch(set);
        drop(teller.bar.take());
        match found {
            Ok(found) => *folder = Some(found),
            Err(error) if error.is_of_a_fetch() => {
                let d = Diagnostic::error(error.code(), error.to_string())
                    .label(
                        source.span,
                        format!("`{}` is downloaded from there", set.entry.name),
                    )
                    .help(help(&error, set.entry.name, &cache));
                return Err(Failure::Placed(Box::new((d, map.clone()))));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(spec)
}

fn mirror(machine: &Machine) -> Result<Option<String>, Failure> {
    let given = machine.mirror.clone();
    let given = given.or_else(|| std::env::var(MIRROR).ok().filter(|m| !m.is_empty()));
    match given {
        Some(url) if !url.starts_with("http://") && !url.starts_with("https://") => {
            Err(Failure::Usage {
                message: format!("`{url}` is not the URL of a mirror"),
                help: Some("it must start with http:// or https://".into()),
            })
        }
        given => Ok(given),
    }
}

fn help(error: &DataError, set: &str, cache: &Path) -> String {
    let folder = cache.join("datasets").join(set);
    match error {
        DataError::Checksum { .. } | DataError::OtherSize { .. } => {
            "the download was deleted: a file with different content is never used".into()
        }
        _ => format!(
            "choose another server with --mirror URL, or put the file into {} yourself",
            folder.display()
        ),
    }
}

struct Teller {
    json: bool,
    quiet: bool,
    bar: RefCell<Option<ProgressBar>>,
}

impl Teller {
    fn tell(&self, told: FetchEvent) {
        match told {
            FetchEvent::Waiting { set } => {
                self.say(&format!("waiting for another run to download {set}"));
            }
            FetchEvent::Began {
                set,
                file,
                url,
                to,
                from,
                of,
            } => {
                let rest = match from {
                    0 => String::new(),
                    n => format!(", {} of it already here", DecimalBytes(n)),
                };
                self.say(&format!("downloading {url} ({}{rest})", DecimalBytes(of)));
                self.event(json!({
                    "event": "fetching", "set": set, "file": file, "url": url,
                    "path": to.display().to_string(), "bytes": of, "from": from,
                }));
                self.draw(from, of);
            }
            FetchEvent::Got { bytes, .. } => {
                if let Some(bar) = &*self.bar.borrow() {
                    bar.set_position(bytes);
                }
            }
            FetchEvent::Again { url, error } => {
                drop(self.bar.take());
                let text = error.to_string();
                let reason = text.strip_prefix(url).unwrap_or(&text);
                self.say(&format!("retrying{reason}"));
            }
            FetchEvent::Done {
                set,
                file,
                path,
                bytes,
            } => {
                drop(self.bar.take());
                self.say(&format!("saved {}", path.display()));
                self.event(json!({
                    "event": "fetched", "set": set, "file": file,
                    "path": path.display().to_string(), "bytes": bytes,
                }));
            }
        }
    }

    fn say(&self, text: &str) {
        if !self.quiet {
            console::note(text);
        }
    }

    fn event(&self, event: serde_json::Value) {
        if self.json {
            // the exit code tells it all the same
            let _ = console::line(&event.to_string());
        }
    }

    fn draw(&self, from: u64, of: u64) {
        if self.quiet || !std::io::stderr().is_terminal() {
            return;
        }
        let template = "{bar:30} {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left";
        let style = ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("━━─");
        let bar = ProgressBar::with_draw_target(Some(of), ProgressDrawTarget::stderr());
        bar.set_style(style);
        bar.set_position(from);
        bar.reset_eta();
        self.bar.replace(Some(bar));
    }
}
