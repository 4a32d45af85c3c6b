//! BackupAndRestore: how the run's own states are saved (`train/checkpoints.rs`), which the
//! loop does by itself.

use std::path::Path;

use super::{Callback, Declared};
use crate::spec::call::{Arguments, Signature};
use crate::spec::callbacks::{CallbackSettings, Frequency};
use crate::train::{RunError, Session};

#[derive(Clone, Debug, PartialEq)]
pub struct BackupAndRestore {
    /// Below the run's folder.
    pub folder: String,
    pub frequency: Frequency,
    /// Whether the one before the last is kept.
    pub double_checkpoint: bool,
    /// Whether they are removed once training has ended.
    pub delete_checkpoint: bool,
}

impl CallbackSettings for BackupAndRestore {
    fn path(&self) -> Option<String> {
        Some(self.folder.clone())
    }
}

impl Declared for BackupAndRestore {
    const SIGNATURE: Signature = Signature::new(
        "BackupAndRestore",
        &[
            "backup_dir",
            "save_freq",
            "double_checkpoint",
            "delete_checkpoint",
        ],
    );
    const ONCE: Option<&'static str> = Some("a run can only have one `BackupAndRestore`");

    fn read(args: &mut dyn Arguments) -> Option<BackupAndRestore> {
        Some(BackupAndRestore {
            folder: args.path("backup_dir", Some("checkpoints"))?,
            frequency: args.frequency("save_freq", &[("epoch", Frequency::Epoch)])?,
            double_checkpoint: args.flag("double_checkpoint", false)?,
            delete_checkpoint: args.flag("delete_checkpoint", true)?,
        })
    }

    fn start(&self, _: &Session, _: &Path) -> Result<Box<dyn Callback>, RunError> {
        Ok(Box::new(Active))
    }
}

struct Active;

impl Callback for Active {}
