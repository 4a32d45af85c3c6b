//! TensorBoard: the tags, steps and folders that Keras' callback writes.
//!
//! ```text
//! train/        epoch_NAME, epoch_learning_rate, epoch_steps_per_second   step: epoch, from 0
//!               batch_NAME, batch_steps_per_second                        step: steps done
//!               WEIGHT/histogram, WEIGHT/image                            step: epoch
//!               the graph of a prediction
//! validation/   epoch_NAME                                                step: epoch
//!               evaluation_NAME_vs_iterations                             step: steps done
//! ```

mod events;
mod picture;

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Batch, Callback, CallbackContext, Declared, Logs, RunContext, read};
use crate::ir::{Elem, Role};
use crate::spec::call::{Arguments, Signature};
use crate::spec::callbacks::{CallbackSettings, Frequency};
use crate::spec::names;
use crate::train::store::Buffer;
use crate::train::{RunError, Session};

/// How TensorBoard knows an event file.
const PREFIX: &str = "events.out.tfevents.";

#[derive(Clone, Debug, PartialEq)]
pub(super) struct TensorBoard {
    /// Below the run's folder.
    folder: String,
    /// Epochs from one histogram of the weights to the next; 0: none.
    histogram_freq: u32,
    /// The model's operations, once.
    write_graph: bool,
    /// The weights as pictures, with their histograms.
    write_images: bool,
    write_steps_per_second: bool,
    frequency: Frequency,
}

impl CallbackSettings for TensorBoard {
    fn path(&self) -> Option<String> {
        Some(self.folder.clone())
    }
}

impl Declared for TensorBoard {
    const SIGNATURE: Signature = Signature {
        name: "TensorBoard",
        parameters: &[
            "log_dir",
            "histogram_freq",
            "write_graph",
            "write_images",
            "write_steps_per_second",
            "update_freq",
        ],
        absent: &[
            (
                "profile_batch",
                "`nnc summary` shows the FLOPs per layer, and `perf record nnc run FILE.nn` profiles a run",
            ),
            ("embeddings_freq", EMBEDDINGS),
            ("embeddings_metadata", EMBEDDINGS),
        ],
    };

    fn read(args: &mut dyn Arguments) -> Option<TensorBoard> {
        let words = [("epoch", Frequency::Epoch), ("batch", Frequency::Steps(1))];
        Some(TensorBoard {
            folder: args.path("log_dir", Some("logs"))?,
            histogram_freq: args.count("histogram_freq", 0)?,
            write_graph: args.flag("write_graph", true)?,
            write_images: write_images(args)?,
            write_steps_per_second: args.flag("write_steps_per_second", false)?,
            frequency: args.frequency("update_freq", &words)?,
        })
    }

    fn start(&self, session: &Session, folder: &Path) -> Result<Box<dyn Callback>, RunError> {
        Ok(Box::new(Board::new(self.clone(), session, folder)))
    }
}

const EMBEDDINGS: &str = "the weights of an embedding are in `weights.safetensors`, under its name";

/// Images of the weights, which come with their histograms.
fn write_images(args: &mut dyn Arguments) -> Option<bool> {
    let images = args.flag("write_images", false)?;
    let often = args.count("histogram_freq", 0)?;
    if images && often == 0 {
        let rule = "`write_images` needs `histogram_freq`, as in Keras";
        args.refuse("write_images", rule, "there would be no images");
        return None;
    }
    Some(images)
}

/// The files of a run, and how far they are written.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct State {
    pub train: Written,
    pub validation: Written,
}

#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Written {
    bytes: u64,
}

#[derive(Debug)]
struct Board {
    settings: TensorBoard,
    folder: PathBuf,
    state: State,
    train: Option<File>,
    validation: Option<File>,
    /// When the epoch began, and with how many steps done.
    began: (Instant, u64),
    last_step: Instant,
    /// To be written first.
    graph: Option<Vec<u8>>,
}

impl Board {
    fn new(settings: TensorBoard, session: &Session, folder: &Path) -> Board {
        let now = Instant::now();
        let graph = settings.write_graph;
        Board {
            folder: folder.join(&settings.folder),
            state: State::default(),
            train: None,
            validation: None,
            began: (now, 0),
            last_step: now,
            graph: graph.then(|| picture::graph(&session.programs().predict)),
            settings,
        }
    }

    fn batch_end(&mut self, session: &mut Session) -> Result<(), RunError> {
        let Frequency::Steps(n) = self.settings.frequency else {
            return Ok(());
        };
        let step = session.steps();
        let now = Instant::now();
        let seconds = (now - self.last_step).as_secs_f64();
        self.last_step = now;
        if !step.is_multiple_of(u64::from(n.max(1))) {
            return Ok(());
        }
        let wall = wall_time();
        let mut out = Vec::new();
        if self.settings.write_steps_per_second {
            let rate = 1.0 / seconds.max(1e-9);
            let tag = "batch_steps_per_second";
            out.extend(events::scalar(wall, step, tag, rate as f32));
        }
        let names = session.metric_names().to_vec();
        for (name, value) in names.iter().zip(session.running()?) {
            let tag = format!("batch_{name}");
            out.extend(events::scalar(wall, step, &tag, *value as f32));
        }
        self.write(true, wall, &out)
    }

    /// `rates`: the learning rates, as Keras names them.
    fn epoch_end(
        &mut self,
        epoch: usize,
        logs: &Logs,
        rates: &[(String, f64)],
        session: &Session,
    ) -> Result<(), RunError> {
        let wall = wall_time();
        let (epoch, steps) = (epoch as u64, session.steps());
        let (mut train, mut validation) = (Vec::new(), Vec::new());
        let mut logs = logs.clone();
        for (name, rate) in rates {
            logs.set(name, *rate);
        }
        for (name, value) in logs.all() {
            let value = value as f32;
            match names::of_validation(name) {
                None => train.extend(events::scalar(wall, epoch, &format!("epoch_{name}"), value)),
                Some(name) => {
                    let tag = format!("evaluation_{name}_vs_iterations");
                    validation.extend(events::scalar(wall, steps, &tag, value));
                    let tag = format!("epoch_{name}");
                    validation.extend(events::scalar(wall, epoch, &tag, value));
                }
            }
        }
        if self.settings.write_steps_per_second {
            let seconds = self.began.0.elapsed().as_secs_f64().max(1e-9);
            let rate = (steps - self.began.1) as f64 / seconds;
            let tag = "epoch_steps_per_second";
            train.extend(events::scalar(wall, epoch, tag, rate as f32));
        }
        let often = u64::from(self.settings.histogram_freq);
        if often > 0 && epoch.is_multiple_of(often) {
            train.extend(self.weights(wall, epoch, session));
        }
        self.write(true, wall, &train)?;
        self.write(false, wall, &validation)
    }

    /// Histograms of the weights, and their images where these are wanted.
    fn weights(&self, wall: f64, epoch: u64, session: &Session) -> Vec<u8> {
        let mut out = Vec::new();
        for (b, values) in weights(session) {
            let tag = format!("{}/histogram", b.name);
            out.extend(events::histogram(wall, epoch, &tag, &values));
            let images = match self.settings.write_images {
                true => picture::images(&b.shape, &values),
                false => None,
            };
            if let Some(images) = images {
                let tag = format!("{}/image", b.name);
                out.extend(events::images(wall, epoch, &tag, &images));
            }
        }
        out
    }

    /// Appends records to the file of the training or the validation part.
    fn write(&mut self, train: bool, wall: f64, records: &[u8]) -> Result<(), RunError> {
        if records.is_empty() {
            return Ok(());
        }
        let (part, file, state) = if train {
            ("train", &mut self.train, &mut self.state.train)
        } else {
            (
                "validation",
                &mut self.validation,
                &mut self.state.validation,
            )
        };
        let folder = self.folder.join(part);
        let fail = |e: std::io::Error| RunError::file(&folder, "write an event file in it", &e);
        let mut header = Vec::new();
        let file = match file {
            Some(file) => file,
            None => {
                std::fs::create_dir_all(&folder).map_err(fail)?;
                let name = match known(&folder) {
                    Some(name) if state.bytes > 0 => name,
                    _ => format!("{PREFIX}{:010}.nnc.v2", wall as u64).into(),
                };
                let mut options = OpenOptions::new();
                options.create(true).truncate(false).write(true);
                let mut new = options.open(folder.join(name)).map_err(fail)?;
                // what was written after the state was saved is written again
                state.bytes = state.bytes.min(new.metadata().map_err(fail)?.len());
                new.set_len(state.bytes).map_err(fail)?;
                new.seek(SeekFrom::Start(state.bytes)).map_err(fail)?;
                if state.bytes == 0 {
                    header = events::header(wall);
                    if let Some(graph) = self.graph.take().filter(|_| train) {
                        header.extend(events::graph(wall, &graph));
                    }
                }
                file.insert(new)
            }
        };
        header.extend(records);
        file.write_all(&header).map_err(fail)?;
        state.bytes += header.len() as u64;
        Ok(())
    }
}

impl Callback for Board {
    fn on_epoch_begin(
        &mut self,
        cx: &mut CallbackContext,
        _: &mut RunContext,
    ) -> Result<(), RunError> {
        let now = Instant::now();
        self.began = (now, cx.session.steps());
        self.last_step = now;
        Ok(())
    }

    fn on_train_batch_end(
        &mut self,
        _: Batch,
        cx: &mut CallbackContext,
        _: &mut RunContext,
    ) -> Result<(), RunError> {
        self.batch_end(cx.session)
    }

    fn on_epoch_end(
        &mut self,
        logs: &mut Logs,
        cx: &mut CallbackContext,
        run: &mut RunContext,
    ) -> Result<(), RunError> {
        let rates = run.rates(cx.session);
        self.epoch_end(cx.epoch, logs, &rates, cx.session)
    }

    fn state(&self) -> Value {
        json!(self.state)
    }

    fn restore(&mut self, state: &Value) -> Result<(), serde_json::Error> {
        read(state, &mut self.state)
    }
}

/// The event file that is in a folder.
fn known(folder: &Path) -> Option<OsString> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let names = entries.map(|e| e.file_name());
    names
        .filter(|n| n.to_string_lossy().starts_with(PREFIX))
        .min()
}

/// Parameters and states of 32-bit numbers.
fn weights<'a>(session: &'a Session) -> impl Iterator<Item = (&'a Buffer, Vec<f32>)> {
    let store = session.store();
    let kept = |role: &Role| matches!(role, Role::Param | Role::State);
    let held = store.buffers().iter();
    held.filter(move |b| kept(&b.role) && b.elem == Elem::F32)
        .map(|b| {
            let (words, _) = store.bytes(b).as_chunks::<4>();
            let values = words.iter().map(|w| f32::from_le_bytes(*w)).collect();
            (b, values)
        })
}

fn wall_time() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |d| d.as_secs_f64())
}
