//! Runs a checked program's graphs without files: on the interpreter, the oracle, or compiled.

use std::collections::{BTreeMap, HashMap};

use nnc::backend::{Executable, Options, run_on};
use nnc::check::{Checked, Host, check_file};
use nnc::diag::render::{Style, render};
use nnc::ir::tensor::Tensor;
use nnc::ir::verify::{Stage, verify};
use nnc::ir::{Graph, Input, OutputRole, Role};
use nnc::spec::Runtime;
use nnc::train::device::{Device, Target, optimized};

/// Sources from the disk, or one from memory.
pub(crate) struct Sources<'a>(pub Option<&'a str>);

impl Host for Sources<'_> {
    fn runtime(&self) -> Runtime {
        nnc::train::RUNTIME
    }

    fn read(&self, path: &str) -> Result<String, String> {
        match self.0 {
            Some(text) => Ok(text.into()),
            None => std::fs::read_to_string(path).map_err(|e| e.to_string()),
        }
    }
}

/// A program without mistakes; panics with the rendered diagnostics otherwise.
pub(crate) fn checked(path: &str, text: Option<&str>) -> Checked {
    let report = check_file(&Sources(text), path, &[]);
    let shown = render(&report.diagnostics, &report.map, Style::plain());
    report.checked.unwrap_or_else(|| panic!("{shown}"))
}

/// A device of one thread.
pub(crate) fn device(target: Target, seed: u64) -> Device {
    Device::new(target, Options { seed, threads: 1 })
}

/// The kept buffers of a program by name, and its graphs, compiled, by batch size.
pub(crate) struct Trainer {
    pub programs: nnc::spec::Programs,
    pub kept: HashMap<String, Tensor>,
    device: Device,
    /// Steps taken.
    pub step: i32,
    compiled: HashMap<(String, usize), Box<dyn Executable>>,
    /// Rows that metrics have collected since the last reset.
    pub collected: HashMap<String, Vec<f64>>,
    rows: usize,
}

impl Trainer {
    /// On the interpreter.
    pub(crate) fn new(checked: Checked, seed: u64) -> Trainer {
        Trainer::on(Target::Interp, checked, seed)
    }

    pub(crate) fn on(target: Target, checked: Checked, seed: u64) -> Trainer {
        let device = device(target, seed);
        let programs = checked.programs.expect("a train block");
        for g in [
            &programs.init,
            &programs.train,
            &programs.eval,
            &programs.predict,
            &programs.metrics,
            &programs.closing,
        ] {
            verify(g, Stage::Built).unwrap_or_else(|e| panic!("{}: {e:?}\n{g}", g.name));
        }
        let init = programs.init.specialize(&BTreeMap::new()).unwrap();
        let mut init = device.compile(init).unwrap();
        let values = run_on(&mut *init, &[]);
        let kept = init
            .graph()
            .outputs
            .iter()
            .map(|o| o.name.to_string())
            .zip(values)
            .collect();
        Trainer {
            programs,
            kept,
            device,
            step: 0,
            compiled: HashMap::new(),
            collected: HashMap::new(),
            rows: 0,
        }
    }

    /// One training step on a batch of columns.
    pub(crate) fn train(&mut self, batch: &HashMap<String, Tensor>) {
        let g = self.programs.train.clone();
        self.run(&g, batch);
        self.step += 1;
    }

    /// The next training step and the values of its inputs.
    pub(crate) fn step(&self, batch: &HashMap<String, Tensor>) -> (Graph, Vec<Tensor>) {
        let graph = &self.programs.train;
        let column = graph.inputs.iter().find(|i| i.role == Role::Data);
        let rows = column.map_or(1, |i| batch[&*i.name].shape()[0]);
        let sizes = BTreeMap::from([("B".into(), rows as i64)]);
        let graph = optimized(&graph.specialize(&sizes).unwrap()).unwrap();
        let inputs = self.inputs(&graph, batch);
        (graph, inputs)
    }

    fn inputs(&self, graph: &Graph, batch: &HashMap<String, Tensor>) -> Vec<Tensor> {
        let value = |i: &Input| match i.role {
            Role::Data | Role::Fit => batch.get(&*i.name).cloned(),
            Role::Step => Some(Tensor::from_i32(&[], &[self.step])),
            _ => self.kept.get(&*i.name).cloned(),
        };
        let value =
            |i: &Input| value(i).unwrap_or_else(|| panic!("{}: no input `{}`", graph.name, i.name));
        graph.inputs.iter().map(value).collect()
    }

    /// The model's outputs on a batch.
    pub(crate) fn predict(&mut self, batch: &HashMap<String, Tensor>) -> Vec<Tensor> {
        let g = self.programs.predict.clone();
        self.run(&g, batch)
    }

    /// Adds a batch to the metrics, in evaluation mode.
    pub(crate) fn evaluate(&mut self, batch: &HashMap<String, Tensor>) {
        let g = self.programs.eval.clone();
        self.run(&g, batch);
    }

    /// Metric values since the last reset; accumulators start anew.
    pub(crate) fn metrics(&mut self) -> Vec<(String, f64)> {
        let g = self.programs.metrics.clone();
        let mut values = self.run(&g, &HashMap::new());
        let closing = self.programs.closing.clone();
        values.extend(self.close(&closing));
        for i in &self.programs.train.inputs {
            if i.role == Role::Metric {
                let t = &self.kept[&*i.name];
                let zero = Tensor::zeros(t.elem(), t.shape());
                self.kept.insert(i.name.to_string(), zero);
            }
        }
        let outputs = g.outputs.iter().chain(&closing.outputs);
        outputs
            .map(|o| o.name.to_string())
            .zip(values.iter().map(Tensor::item))
            .collect()
    }

    /// Values over the rows collected, which are forgotten.
    fn close(&mut self, closing: &Graph) -> Vec<Tensor> {
        let rows = std::mem::take(&mut self.rows);
        if closing.outputs.is_empty() {
            return Vec::new();
        }
        let sizes = BTreeMap::from([("B".into(), rows as i64)]);
        let mut run = self
            .device
            .compile(closing.specialize(&sizes).unwrap())
            .unwrap();
        let inputs: Vec<Tensor> = run
            .graph()
            .inputs
            .iter()
            .map(|i| {
                let ty = run.graph().ty(i.value);
                match self.collected.get(&*i.name) {
                    Some(data) => Tensor::from_values(ty.elem, &ty.sizes().unwrap(), data),
                    None => self.kept[&*i.name].clone(),
                }
            })
            .collect();
        self.collected.clear();
        run_on(&mut *run, &inputs)
    }

    fn run(&mut self, graph: &Graph, batch: &HashMap<String, Tensor>) -> Vec<Tensor> {
        // Not of any entry: the batch holds fitted statistics too.
        let column = graph.inputs.iter().find(|i| i.role == Role::Data);
        let rows = column.map_or(1, |i| batch[&*i.name].shape()[0]);
        let key = (graph.name.to_string(), rows);
        let run = self.compiled.entry(key.clone()).or_insert_with(|| {
            let sizes = BTreeMap::from([("B".into(), rows as i64)]);
            self.device
                .compile(graph.specialize(&sizes).unwrap())
                .unwrap()
        });
        let graph = run.graph().clone();
        let inputs = self.inputs(&graph, batch);
        let run = self.compiled.get_mut(&key).expect("just compiled");
        let values = run_on(&mut **run, &inputs);
        let mut results = Vec::new();
        for (o, value) in run.graph().outputs.iter().zip(values) {
            match o.role {
                OutputRole::Update(_) => {
                    self.kept.insert(o.name.to_string(), value);
                }
                OutputRole::Result => results.push(value),
            }
        }
        if matches!(&*graph.name, "train" | "eval") {
            self.rows += rows;
            let names = run.graph().outputs.iter();
            let names = names.filter(|o| o.role == OutputRole::Result);
            for (o, value) in names.zip(&results) {
                let all = self.collected.entry(o.name.to_string()).or_default();
                all.extend(value.values());
            }
        }
        results
    }
}
