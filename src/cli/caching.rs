//! Messages while a text table is parsed into the cache.

use std::cell::RefCell;
use std::io::IsTerminal;

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::json;

use crate::cli::console;
use crate::data::packed::cache::CacheEvent;
use crate::plural::count;

pub(super) struct Caching {
    json: bool,
    quiet: bool,
    bar: RefCell<Option<ProgressBar>>,
}

impl Caching {
    pub(super) fn new(json: bool, quiet: bool) -> Caching {
        Caching {
            json,
            quiet,
            bar: RefCell::new(None),
        }
    }

    pub(super) fn tell(&self, told: &CacheEvent) {
        match told {
            CacheEvent::Reading {
                path,
                doing,
                done,
                of,
            } => {
                if self.quiet || !std::io::stderr().is_terminal() {
                    return;
                }
                let mut bar = self.bar.borrow_mut();
                let bar = bar.get_or_insert_with(|| ProgressBar::new_spinner().with_style(style()));
                let of = of.map(|n| format!(" of {}", HumanBytes(n)));
                bar.set_message(format!(
                    "{doing} {}: {}{}",
                    path.display(),
                    HumanBytes(*done),
                    of.unwrap_or_default()
                ));
                bar.tick();
            }
            CacheEvent::Made {
                path,
                entry,
                rows,
                bytes,
            } => {
                self.clear();
                if self.json {
                    let event = json!({
                        "event": "cached",
                        "file": path.display().to_string(),
                        "entry": entry.display().to_string(),
                        "rows": rows,
                        "bytes": bytes,
                    });
                    // the run goes on where nobody reads
                    let _ = console::line(&event.to_string());
                }
                if !self.quiet {
                    console::note(&format!(
                        "parsed {}: {}, cached as {} in {}",
                        path.display(),
                        count(*rows, "row"),
                        HumanBytes(*bytes),
                        entry.display()
                    ));
                }
            }
            CacheEvent::Unusable { reason } => {
                console::note(&format!("warning: cannot use the cache: {reason}"));
            }
            CacheEvent::Damaged { entry } => {
                console::note(&format!(
                    "warning: {} is corrupt; rebuilding it",
                    entry.display()
                ));
            }
        }
    }

    fn clear(&self) {
        if let Some(bar) = self.bar.borrow_mut().take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Caching {
    fn drop(&mut self) {
        self.clear();
    }
}

fn style() -> ProgressStyle {
    let style = ProgressStyle::with_template("{wide_msg}");
    style.unwrap_or_else(|_| ProgressStyle::default_spinner())
}
