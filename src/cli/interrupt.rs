//! Ctrl-C and SIGTERM: the first asks a run to finish its step and save, a second
//! ends the process at once.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crate::cli::common::exit;
use crate::cli::console;

static STOP: AtomicBool = AtomicBool::new(false);

/// Set once the user wants to stop.
pub(super) fn flag() -> &'static AtomicBool {
    &STOP
}

/// Starts to listen, once. Where the system does not let us, Ctrl-C ends the process as ever.
pub(super) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(install);
}

fn install() {
    let installed = ctrlc::set_handler(|| {
        if STOP.swap(true, SeqCst) {
            std::process::exit(i32::from(exit::INTERRUPTED));
        }
    });
    if let Err(e) = installed {
        console::note(&format!("warning: Ctrl-C will not save the weights: {e}"));
    }
}

/// Has a write beyond the limit on the size of a file fail, as other writes do, where the system
/// would end the process.
pub(super) fn files_may_be_too_large() {
    #[cfg(unix)]
    // SAFETY: the signal is ignored; no code of ours runs in it.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}
