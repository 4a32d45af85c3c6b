//! Runs a checked program's graphs on the interpreter, without files: the oracle of training.

use std::collections::{BTreeMap, HashMap};

use nnc::backend::interp::evaluate;
use nnc::check::{Checked, Files, check_file};
use nnc::diag::render::{Style, render};
use nnc::ir::tensor::Tensor;
use nnc::ir::verify::{Stage, verify};
use nnc::ir::{Graph, OutputRole, Role};
use nnc::passes::optimize;

/// Sources from the disk, or one from memory.
pub struct Sources<'a>(pub Option<&'a str>);

impl Files for Sources<'_> {
    fn read(&self, path: &str) -> Result<String, String> {
        match self.0 {
            Some(text) => Ok(text.into()),
            None => std::fs::read_to_string(path).map_err(|e| e.to_string()),
        }
    }
}

/// A program without mistakes; panics with the rendered diagnostics otherwise.
pub fn checked(path: &str, text: Option<&str>) -> Checked {
    let report = check_file(&Sources(text), path, &[]);
    let shown = render(&report.diagnostics, &report.map, Style::plain());
    report.checked.unwrap_or_else(|| panic!("{shown}"))
}

/// The kept buffers of a program by name, and its graphs by batch size.
pub struct Trainer {
    pub programs: nnc::lower::Programs,
    pub kept: HashMap<String, Tensor>,
    pub seed: u64,
    step: i32,
    graphs: HashMap<(String, usize), Graph>,
}

impl Trainer {
    pub fn new(checked: Checked, seed: u64) -> Trainer {
        let programs = checked.programs.expect("a train block");
        for g in [
            &programs.init,
            &programs.train,
            &programs.eval,
            &programs.predict,
            &programs.metrics,
        ] {
            verify(g, Stage::Built).unwrap_or_else(|e| panic!("{}: {e:?}\n{g}", g.name));
        }
        let init = optimize(&programs.init.specialize(&BTreeMap::new()).unwrap()).unwrap();
        let values = evaluate(&init, &[], seed);
        let kept = init
            .outputs
            .iter()
            .map(|o| o.name.to_string())
            .zip(values)
            .collect();
        Trainer {
            programs,
            kept,
            seed,
            step: 0,
            graphs: HashMap::new(),
        }
    }

    /// One training step on a batch of columns.
    pub fn train(&mut self, batch: &HashMap<String, Tensor>) {
        let g = self.programs.train.clone();
        self.run(&g, batch);
        self.step += 1;
    }

    /// The model's outputs on a batch.
    pub fn predict(&mut self, batch: &HashMap<String, Tensor>) -> Vec<Tensor> {
        let g = self.programs.predict.clone();
        self.run(&g, batch)
    }

    /// Metric values since the last reset; accumulators start anew.
    pub fn metrics(&mut self) -> Vec<(String, f64)> {
        let g = self.programs.metrics.clone();
        let values = self.run(&g, &HashMap::new());
        for i in &self.programs.train.inputs {
            if i.role == Role::Metric {
                let t = &self.kept[&*i.name];
                let zero = Tensor::zeros(t.elem(), t.shape());
                self.kept.insert(i.name.to_string(), zero);
            }
        }
        g.outputs
            .iter()
            .map(|o| o.name.to_string())
            .zip(values.iter().map(Tensor::item))
            .collect()
    }

    fn run(&mut self, graph: &Graph, batch: &HashMap<String, Tensor>) -> Vec<Tensor> {
        // Not of any entry: the batch holds fitted statistics too.
        let column = graph.inputs.iter().find(|i| i.role == Role::Data);
        let rows = column.map_or(1, |i| batch[&*i.name].shape()[0]);
        let key = (graph.name.to_string(), rows);
        let specialised = self.graphs.entry(key).or_insert_with(|| {
            let sizes = BTreeMap::from([("B".into(), rows as i64)]);
            optimize(&graph.specialize(&sizes).unwrap()).unwrap()
        });
        let inputs: Vec<Tensor> = specialised
            .inputs
            .iter()
            .map(|i| match i.role {
                Role::Data | Role::Fit => batch[&*i.name].clone(),
                Role::Step => Tensor::from_i32(&[], &[self.step]),
                _ => self.kept[&*i.name].clone(),
            })
            .collect();
        let mut results = Vec::new();
        for (o, value) in specialised
            .outputs
            .iter()
            .zip(evaluate(specialised, &inputs, self.seed))
        {
            match o.role {
                OutputRole::Update(_) => {
                    self.kept.insert(o.name.to_string(), value);
                }
                OutputRole::Result => results.push(value),
            }
        }
        results
    }
}
