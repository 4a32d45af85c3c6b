//! The buffers that outlive a step: parameters, states, optimizer slots,
//! hyperparameters, metric accumulators, fitted statistics and the step counter.
//!
//! One allocation; every buffer starts at a multiple of 64 bytes. Buffers are
//! found by name: an input of one graph and an output of another with the same
//! name are the same buffer.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use crate::bytes::{ALIGN, AlignedBytes};
use crate::ir::{Elem, Graph, OutputRole, Role, Type};
use crate::spec::Programs;
use crate::train::RunError;
use crate::train::weights::{self, Mismatch, TensorRef, TensorSpec, WeightsError, WeightsFile};

/// Metadata of a weights file: names of the tensors that only training needs, a line each.
const TRAINING: &str = "training_only";

#[derive(Debug)]
pub struct Store {
    buffers: Vec<Buffer>,
    by_name: HashMap<Arc<str>, usize>,
    /// Bytes of all buffers.
    size: usize,
    memory: AlignedBytes,
    /// What the accumulators hold at the start of an epoch, in the order of `buffers`.
    fresh: Vec<u8>,
    /// Metadata of every weights file of these buffers.
    notes: BTreeMap<String, String>,
}

/// Copies of all parameters and states, one after another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot(Vec<u8>);

/// Where a buffer is, and what.
#[derive(Clone, Debug, PartialEq)]
pub struct Buffer {
    pub name: Arc<str>,
    pub role: Role,
    pub elem: Elem,
    pub shape: Vec<usize>,
    offset: usize,
    len: usize,
}

/// Which buffers a weights file holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Saved {
    /// Parameters and states: what a new run starts from.
    Start,
    /// Also fitted statistics: what `evaluate` and `predict` need.
    Model,
    /// Also slots and hyperparameters: what training needs to go on at an epoch's start.
    Training,
    /// Also the metric accumulators: what training needs to go on in an epoch's midst.
    Everything,
}

impl Store {
    /// The places of the buffers that the graphs keep and of what metrics collect from `rows` rows
    /// per epoch, without their memory. Fails on graphs that disagree about a name.
    pub fn laid_out(programs: &Programs, rows: usize) -> Result<Store, RunError> {
        let mut found: Vec<(Arc<str>, Role, Type)> = Vec::new();
        let mut by_name: HashMap<Arc<str>, usize> = HashMap::new();
        let mut add = |name: &Arc<str>, role: &Role, ty: &Type| match by_name.get(name) {
            Some(&i) => {
                let (_, known_role, known) = &mut found[i];
                if known != ty {
                    return Err(RunError::Program(format!(
                        "`{name}` is {known} and also {ty}"
                    )));
                }
                if *known_role == Role::Plain {
                    *known_role = role.clone();
                }
                Ok(())
            }
            None => {
                by_name.insert(name.clone(), found.len());
                found.push((name.clone(), role.clone(), ty.clone()));
                Ok(())
            }
        };
        // what only begins a run is not saved with it
        for input in &programs.init.inputs {
            add(&input.name, &Role::Plain, programs.init.ty(input.value))?;
        }
        for o in &programs.init.outputs {
            if o.role == OutputRole::Result {
                add(&o.name, &Role::Plain, programs.init.ty(o.value))?;
            }
        }
        for graph in graphs(programs) {
            for input in graph.inputs.iter().filter(|i| i.role != Role::Data) {
                add(&input.name, &input.role, graph.ty(input.value))?;
            }
        }
        let closing = super::session::sized(&programs.closing, rows)?;
        for input in &closing.inputs {
            add(&input.name, &input.role, closing.ty(input.value))?;
        }
        let mut size = 0;
        let buffers = found
            .into_iter()
            .map(|(name, role, ty)| {
                let shape = ty.sizes().ok_or_else(|| {
                    RunError::Program(format!("the size of `{name}` is not known: {ty}"))
                })?;
                let len = shape
                    .iter()
                    .try_fold(ty.elem.size(), |n, &d| n.checked_mul(d));
                let offset = size;
                let len = len
                    .filter(|&n| n <= isize::MAX as usize / 2)
                    .ok_or_else(|| RunError::Program(format!("`{name}` is too large: {ty}")))?;
                size += len.next_multiple_of(ALIGN);
                if size > isize::MAX as usize / 2 {
                    return Err(RunError::Program("the weights are too large".into()));
                }
                Ok(Buffer {
                    name,
                    role,
                    elem: ty.elem,
                    shape: shape.to_vec(),
                    offset,
                    len,
                })
            })
            .collect::<Result<Vec<_>, RunError>>()?;
        Ok(Store {
            buffers,
            by_name,
            size,
            memory: AlignedBytes::zeroed(0),
            fresh: Vec::new(),
            notes: BTreeMap::new(),
        })
    }

    /// The same with memory, all of it zero. It was asked before whether there is as much.
    pub fn allocated(self) -> Store {
        Store {
            memory: AlignedBytes::zeroed(self.size),
            ..self
        }
    }

    /// What is written into every weights file beside the tensors.
    pub fn set_notes(&mut self, notes: BTreeMap<String, String>) {
        self.notes = notes;
    }

    pub fn buffers(&self) -> &[Buffer] {
        &self.buffers
    }

    pub fn find(&self, name: &str) -> Option<&Buffer> {
        self.by_name.get(name).map(|&i| &self.buffers[i])
    }

    /// Numbers that training changes.
    pub fn parameters(&self) -> usize {
        let params = self.buffers.iter().filter(|b| b.role == Role::Param);
        params.map(Buffer::elements).sum()
    }

    /// Bytes of all buffers.
    pub fn len(&self) -> usize {
        self.size
    }

    pub fn is_empty(&self) -> bool {
        self.buffers.is_empty()
    }

    pub fn bytes(&self, buffer: &Buffer) -> &[u8] {
        &self.memory[buffer.offset..][..buffer.len]
    }

    /// Fills a buffer; false if it is not there or of another size.
    pub fn set(&mut self, name: &str, bytes: &[u8]) -> bool {
        let Some(&i) = self.by_name.get(name) else {
            return false;
        };
        let Buffer { offset, len, .. } = self.buffers[i];
        let fits = len == bytes.len();
        if fits {
            self.memory[offset..][..len].copy_from_slice(bytes);
        }
        fits
    }

    /// Copies a buffer into another of the same size; false if there are no such two.
    pub fn copy(&mut self, to: &str, from: &str) -> bool {
        let at = |name| self.by_name.get(name).map(|&i: &usize| &self.buffers[i]);
        let (Some(to), Some(from)) = (at(to), at(from)) else {
            return false;
        };
        let fits = to.len == from.len;
        if fits {
            let (start, end) = (from.offset, from.offset + from.len);
            self.memory.copy_within(start..end, to.offset);
        }
        fits
    }

    /// Where the buffers start; valid until the store is used otherwise.
    pub(super) fn base(&mut self) -> *mut u8 {
        self.memory.as_mut_ptr()
    }

    /// Remembers what the accumulators hold now as an epoch's start.
    pub(super) fn accumulators_are_fresh(&mut self) {
        self.fresh = self.accumulators();
    }

    /// What the metric accumulators hold, one after another.
    pub fn accumulators(&self) -> Vec<u8> {
        let metrics = self.buffers.iter().filter(|b| b.role == Role::Metric);
        metrics.flat_map(|b| self.bytes(b)).copied().collect()
    }

    /// Puts back what [`Store::accumulators`] gave.
    pub fn set_accumulators(&mut self, from: &[u8]) {
        set_accumulators(&self.buffers, &mut self.memory, from);
    }

    /// Accumulators as at an epoch's start.
    pub fn reset_accumulators(&mut self) {
        set_accumulators(&self.buffers, &mut self.memory, &self.fresh);
    }

    /// Copies parameters and states to `to`, whose memory is used again.
    pub fn snapshot(&self, to: &mut Option<Snapshot>) {
        let Snapshot(bytes) = to.get_or_insert(Snapshot(Vec::new()));
        bytes.clear();
        for b in self.model() {
            bytes.extend_from_slice(self.bytes(b));
        }
    }

    /// Puts back what [`Store::snapshot`] copied.
    pub fn put_back(&mut self, from: &Snapshot) {
        let mut rest = &from.0[..];
        let held = |b: &&Buffer| Saved::Start.holds(&b.role);
        for b in self.buffers.iter().filter(held) {
            let Some((bytes, after)) = rest.split_at_checked(b.len) else {
                return;
            };
            self.memory[b.offset..][..b.len].copy_from_slice(bytes);
            rest = after;
        }
    }

    /// Everything that the buffers hold.
    pub fn image(&self) -> &[u8] {
        &self.memory
    }

    /// Puts back what [`Store::image`] gave.
    pub fn set_image(&mut self, from: &[u8]) {
        self.memory.copy_from_slice(from);
    }

    /// Whether all floats that training changes are finite.
    pub fn is_finite(&self) -> bool {
        let trained = |r: &Role| matches!(r, Role::Param | Role::State | Role::Slot);
        self.buffers.iter().filter(|b| trained(&b.role)).all(|b| {
            let bytes = self.bytes(b);
            match b.elem {
                Elem::F32 => {
                    (bytes.as_chunks::<4>().0.iter()).all(|w| f32::from_le_bytes(*w).is_finite())
                }
                Elem::F64 => {
                    (bytes.as_chunks::<8>().0.iter()).all(|w| f64::from_le_bytes(*w).is_finite())
                }
                Elem::I32 | Elem::U8 | Elem::Bool => true,
            }
        })
    }

    fn model(&self) -> impl Iterator<Item = &Buffer> {
        self.buffers.iter().filter(|b| Saved::Start.holds(&b.role))
    }

    /// Writes a weights file; of each of `kept` what stands before its names, and the copy.
    pub fn save(
        &self,
        path: &Path,
        saved: Saved,
        metadata: &BTreeMap<String, String>,
        kept: &[(String, &Snapshot)],
    ) -> Result<(), RunError> {
        let held = || self.buffers.iter().filter(|b| saved.holds(&b.role));
        let mut tensors: Vec<TensorRef> = held()
            .map(|b| TensorRef {
                name: &b.name,
                elem: b.elem,
                shape: &b.shape,
                bytes: self.bytes(b),
            })
            .collect();
        let names: Vec<(String, &Buffer, &[u8])> = kept
            .iter()
            .flat_map(|(prefix, snapshot)| {
                let mut rest = &snapshot.0[..];
                self.model().map_while(move |b| {
                    let (bytes, after) = rest.split_at_checked(b.len)?;
                    rest = after;
                    Some((format!("{prefix}{}", b.name), b, bytes))
                })
            })
            .collect();
        tensors.extend(names.iter().map(|(name, b, bytes)| TensorRef {
            name,
            elem: b.elem,
            shape: &b.shape,
            bytes,
        }));
        let training: Vec<&str> = held()
            .filter(|b| !Saved::Model.holds(&b.role))
            .map(|b| &*b.name)
            .chain(names.iter().map(|(name, ..)| name.as_str()))
            .collect();
        let mut metadata = metadata.clone();
        metadata.extend(self.notes.clone());
        if !training.is_empty() {
            metadata.insert(TRAINING.into(), training.join("\n"));
        }
        Ok(weights::save(path, &tensors, &metadata)?)
    }

    /// Fills the buffers that `wanted` names from a file. Every disagreement is reported
    /// at once; what only training needs may be in the file unwanted.
    pub fn load(&mut self, file: &mut WeightsFile, wanted: Saved) -> Result<(), RunError> {
        let held = || self.buffers.iter().filter(|b| wanted.holds(&b.role));
        let expected: Vec<TensorSpec> = held()
            .map(|b| TensorSpec {
                name: b.name.to_string(),
                elem: b.elem,
                shape: b.shape.clone(),
            })
            .collect();
        if let Err(error) = file.verify(&expected) {
            let WeightsError::Mismatch { path, mismatches } = error else {
                return Err(error.into());
            };
            let training = file.metadata().get(TRAINING).map_or("", String::as_str);
            let known = |name: &str| {
                training.lines().any(|t| t == name)
                    || self.find(name).is_some_and(|b| b.role == Role::Fit)
            };
            let unwanted = |m: &Mismatch| matches!(m, Mismatch::Unexpected { name } if known(name));
            let mismatches: Vec<Mismatch> =
                mismatches.into_iter().filter(|m| !unwanted(m)).collect();
            if !mismatches.is_empty() {
                return Err(WeightsError::Mismatch { path, mismatches }.into());
            }
        }
        for b in self.buffers.iter().filter(|b| wanted.holds(&b.role)) {
            file.read_into(&b.name, &mut self.memory[b.offset..][..b.len])?;
        }
        Ok(())
    }
}

impl Store {
    /// A copy that a weights file holds under `prefix`.
    pub fn read_snapshot(
        &self,
        file: &mut WeightsFile,
        prefix: &str,
    ) -> Result<Snapshot, RunError> {
        let mut all = Vec::new();
        for b in self.model() {
            let from = all.len();
            all.resize(from + b.len, 0);
            file.read_into(&format!("{prefix}{}", b.name), &mut all[from..])?;
        }
        Ok(Snapshot(all))
    }
}

impl Buffer {
    /// Bytes from the start of the store.
    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    /// Bytes of its elements.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

impl Saved {
    fn holds(self, role: &Role) -> bool {
        match role {
            Role::Param | Role::State => true,
            Role::Fit => self != Saved::Start,
            Role::Slot | Role::Hyper => matches!(self, Saved::Training | Saved::Everything),
            Role::Metric => self == Saved::Everything,
            // counted in the metadata
            Role::Step => false,
            Role::Data | Role::Plain => false,
        }
    }
}

/// Every graph but `init`, and `closing`, which is over rows of an epoch.
fn graphs(programs: &Programs) -> [&Graph; 4] {
    [
        &programs.train,
        &programs.eval,
        &programs.predict,
        &programs.metrics,
    ]
}

fn set_accumulators(buffers: &[Buffer], memory: &mut AlignedBytes, mut from: &[u8]) {
    for b in buffers.iter().filter(|b| b.role == Role::Metric) {
        let Some((bytes, rest)) = from.split_at_checked(b.len) else {
            return;
        };
        memory[b.offset..][..b.len].copy_from_slice(bytes);
        from = rest;
    }
}
