//! CSVLogger: a line an epoch, in Keras' format.
//!
//! Epochs count from 0; the columns are those of the first epoch, sorted; where nothing
//! is validated, Keras adds `val_` columns of `NA`, and so does this.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Callback, CallbackContext, Declared, Logs, RunContext, read};
use crate::spec::call::{Arguments, Signature};
use crate::spec::callbacks::CallbackSettings;
use crate::spec::names;
use crate::spec::pattern::repr;
use crate::train::{RunError, Session};

#[derive(Clone, Debug, PartialEq)]
pub struct CsvLogger {
    /// Below the run's folder.
    path: String,
    separator: u8,
    append: bool,
}

impl CallbackSettings for CsvLogger {
    fn path(&self) -> Option<String> {
        Some(self.path.clone())
    }
}

impl Declared for CsvLogger {
    const SIGNATURE: Signature = Signature::new("CSVLogger", &["filename", "separator", "append"]);

    fn read(args: &mut dyn Arguments) -> Option<CsvLogger> {
        Some(CsvLogger {
            path: args.path("filename", None)?,
            separator: args.character("separator", b',')?,
            append: args.flag("append", false)?,
        })
    }

    fn start(&self, _: &Session, folder: &Path) -> Result<Box<dyn Callback>, RunError> {
        Ok(Box::new(Table::new(self, folder)))
    }
}

/// What the file holds so far.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct State {
    /// Bytes.
    pub length: u64,
    pub keys: Vec<String>,
}

#[derive(Debug)]
pub struct Table {
    path: PathBuf,
    separator: char,
    append: bool,
    header: bool,
    file: Option<File>,
    pub state: State,
}

impl Table {
    pub fn new(set: &CsvLogger, folder: &Path) -> Table {
        Table {
            path: folder.join(&set.path),
            separator: char::from(set.separator),
            append: set.append,
            header: !set.append,
            file: None,
            state: State::default(),
        }
    }

    /// Opens the file: from its start, or (`append`) from its end, or where a run that goes
    /// on had come to.
    pub fn begin(&mut self, resumed: bool) -> Result<(), RunError> {
        let fail = |e: std::io::Error| RunError::file(&self.path, "write the file", &e);
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(fail)?;
        }
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&self.path)
            .map_err(fail)?;
        let there = file.metadata().map_err(fail)?.len();
        let keep = match (resumed, self.append) {
            (true, _) => self.state.length.min(there),
            (false, true) => there,
            (false, false) => 0,
        };
        self.header = keep == 0;
        file.set_len(keep).map_err(fail)?;
        file.seek(SeekFrom::Start(keep)).map_err(fail)?;
        self.state.length = keep;
        self.file = Some(file);
        Ok(())
    }

    /// `epoch` counts from 0.
    pub fn epoch_end(&mut self, epoch: usize, logs: &Logs) -> Result<(), RunError> {
        let mut text = String::new();
        let separator = self.separator;
        if self.state.keys.is_empty() {
            self.state.keys = logs.names().map(str::to_owned).collect();
            self.state.keys.sort();
            let validated = |k: &String| names::of_validation(k).is_some();
            if !self.state.keys.iter().any(validated) {
                let keys = self.state.keys.iter();
                let vals: Vec<String> = keys.map(|k| names::validation(k)).collect();
                self.state.keys.extend(vals);
            }
        }
        if self.header {
            self.header = false;
            text += "epoch";
            for key in &self.state.keys {
                text.push(separator);
                text += key;
            }
            text += "\r\n";
        }
        text += &epoch.to_string();
        for key in &self.state.keys {
            text.push(separator);
            text += &logs.get(key).map_or_else(|| "NA".into(), repr);
        }
        text += "\r\n";
        if let Some(file) = &mut self.file {
            let written = file.write_all(text.as_bytes());
            written.map_err(|e| RunError::file(&self.path, "write the file", &e))?;
        }
        self.state.length += text.len() as u64;
        Ok(())
    }
}

impl Callback for Table {
    fn on_train_begin(&mut self, run: &mut RunContext) -> Result<(), RunError> {
        self.begin(run.resumed)
    }

    fn on_epoch_end(
        &mut self,
        logs: &mut Logs,
        cx: &mut CallbackContext,
        _: &mut RunContext,
    ) -> Result<(), RunError> {
        self.epoch_end(cx.epoch, logs)
    }

    fn state(&self) -> Value {
        json!(self.state)
    }

    fn restore(&mut self, state: &Value) -> Result<(), serde_json::Error> {
        read(state, &mut self.state)
    }
}
