//! Programs grown from the library, trained for some steps by the CPU back end and by the interpreter.
//!
//! A program is a chain of what the library's examples show (so that a new definition takes part) with
//! other numbers, a loss, an optimizer and metrics; what the checker refuses is tried again. Each step
//! starts from the same values on both sides. Where their results differ, the interpreter runs again
//! from values a few roundings away: a result may be as far off as that moves it.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::OnceLock;

use nnc::check::{Checked, check_file};
use nnc::diag::Severity;
use nnc::ir::{Elem, OutputRole, Tensor};
use nnc::library::reference::entries;
use nnc::span::SourceId;
use nnc::spec::ColumnKind;
use nnc::syntax::ast::{DeclKind, DefKind};
use nnc::syntax::parse;
use nnc::train::device::Target;

use super::{Subject, drive};
use crate::support::mutate::{Dice, tokens};
use crate::support::trainer::{Sources, Trainer};

#[test]
fn random_programs_train_alike_on_both_back_ends() {
    drive(&Subject {
        test: "fuzz::training::random_programs_train_alike_on_both_back_ends",
        make,
        hold,
        few: 25,
    });
}

/// What a model of an example does to its one input.
struct Unit {
    input: String,
    /// How many axes the input has, where it is of plain numbers.
    rank: Option<usize>,
    body: String,
}

fn units() -> &'static [Unit] {
    static UNITS: OnceLock<Vec<Unit>> = OnceLock::new();
    UNITS.get_or_init(|| {
        let examples = entries().into_iter().flat_map(|e| e.doc.examples);
        examples.flat_map(|text| units_of(&text)).collect()
    })
}

fn units_of(text: &str) -> Vec<Unit> {
    let (file, _) = parse(SourceId(0), text);
    let models = file.decls.iter().filter_map(|d| match &d.kind {
        DeclKind::Model(m) => Some(m),
        _ => None,
    });
    let units = models.filter_map(|m| {
        let ([input], [], Some(value)) = (&*m.inputs, &*m.body.stmts, &m.body.value) else {
            return None;
        };
        let ty = &text[input.ty.as_ref()?.span.range()];
        Some(Unit {
            input: input.name.text.to_string(),
            rank: ty.starts_with('[').then(|| ty.split(',').count()),
            body: text[value.span.range()].to_owned(),
        })
    });
    units.collect()
}

fn names(kind: DefKind) -> Vec<String> {
    let all = entries()
        .into_iter()
        .filter(|e| e.def.kind == kind && e.public());
    let mut names: Vec<String> = all.map(|e| e.def.name.text.to_string()).collect();
    names.dedup();
    names
}

/// A program in the making.
#[derive(Clone)]
struct Draft {
    input: String,
    /// Each gives the next of `h0`, `h1`, ...
    bodies: Vec<String>,
    target: String,
    loss: String,
    optimizer: String,
    metrics: Vec<String>,
}

impl Draft {
    fn text(&self) -> String {
        let mut body = String::from("  h0 = x\n");
        for (i, line) in self.bodies.iter().enumerate() {
            let _ = writeln!(body, "  h{} = {line}", i + 1);
        }
        let last = self.bodies.len();
        let (input, target) = (&self.input, &self.target);
        let (loss, optimizer) = (&self.loss, &self.optimizer);
        let mut settings = format!("  loss {loss}\n  optimizer {optimizer}\n");
        if !self.metrics.is_empty() {
            let _ = writeln!(settings, "  metrics {}", self.metrics.join(", "));
        }
        format!(
            "data d {{
  source csv(\"none.csv\")
  column x : {input}
  column y : {target}
  input x : {input}
  target y : {target}
}}
model M(x: {input}) {{
{body}  h{last}
}}
train M on d {{
{settings}}}
"
        )
    }

    /// The sizes of an output, without the batch, if the model is right.
    fn output(&self) -> Option<Vec<usize>> {
        let text = format!(
            "{}layer Held(x: any[..]) -> any[..] {{
  param held: [] = zeros
  cast(x, real) + held
}}
model Whole(x: {input}) {{ Held(M(x)) }}
train Whole on e {{
  step Whole {{ minimize mean(Whole(x)); optimizer SGD }}
}}
data e {{
  source csv(\"none.csv\")
  column x : {input}
  input x : {input}
}}
",
            &self.text()[self.text().find("model").expect("a model")
                ..self.text().find("train M").expect("a train block")],
            input = self.input
        );
        let programs = check(&text)?.programs?;
        let predict = programs
            .predict
            .specialize(&[("B".into(), 7)].into())
            .ok()?;
        let [output] = &*predict.outputs else {
            return None;
        };
        let sizes = predict.ty(output.value).sizes()?;
        let (7, rest) = (*sizes.first()?, &sizes[1..]) else {
            return None;
        };
        (rest.iter().product::<usize>() <= 600).then(|| rest.to_vec())
    }
}

/// The program, if it has no mistake; warnings do not count.
fn check(text: &str) -> Option<Checked> {
    let report = check_file(&Sources(Some(text)), "program.nn", &[]);
    let mut all = report.diagnostics.iter();
    let sound = all.all(|d| d.severity != Severity::Error);
    report.checked.filter(|_| sound)
}

fn make(dice: &mut Dice) -> String {
    let mut draft = Draft {
        input: input(dice),
        bodies: Vec::new(),
        target: "[1]".into(),
        loss: "mse".into(),
        optimizer: "SGD".into(),
        metrics: Vec::new(),
    };
    let Some(mut sizes) = draft.output() else {
        return make(dice);
    };
    for _ in 0..1 + dice.below(4) {
        for _ in 0..10 {
            let mut longer = draft.clone();
            longer
                .bodies
                .push(stage(sizes.len(), draft.bodies.len(), dice));
            if let Some(output) = longer.output() {
                (draft, sizes) = (longer, output);
                break;
            }
        }
    }
    finish(draft, dice).unwrap_or_else(|| make(dice))
}

fn input(dice: &mut Dice) -> String {
    let mut size = || [1, 1, 2, 3, 4, 5, 8][dice.below(7)];
    let (a, b, c, d) = (size(), size(), size(), size());
    match dice.below(8) {
        0 | 1 => format!("[{a}]"),
        2 | 3 => format!("[{}, {b}]", a + 2),
        4 | 5 => format!("[{}, {}, {c}]", a + 2, b + 2),
        6 => format!("[{}, {}, {}, {d}]", a + 1, b + 1, c + 1),
        _ => format!("token[{}][{b}]", a + 1),
    }
}

/// What is done to `h{last}`, which has `rank` axes.
fn stage(rank: usize, last: usize, dice: &mut Dice) -> String {
    let fitting = |u: &&Unit| u.rank.is_none_or(|r| r == rank);
    let fitting: Vec<&Unit> = units().iter().filter(fitting).collect();
    let value = format!("h{last}");
    let unit = fitting[dice.below(fitting.len())];
    let changed: String = tokens(&unit.body)
        .into_iter()
        .map(|t| match t {
            t if t == unit.input => value.clone(),
            t if t.parse::<u32>().is_ok() && dice.chance(40) => dice.below(5).to_string(),
            t => t.to_owned(),
        })
        .collect();
    match dice.below(12) {
        0 => format!("{value} + ({changed})"),
        1 => format!("Concatenate({value}, {changed})"),
        2 => format!("({changed}) |> Dense({})", 1 + dice.below(4)),
        _ => changed,
    }
}

/// With a loss, an optimizer and metrics that fit.
fn finish(mut draft: Draft, dice: &mut Dice) -> Option<String> {
    let value = format!("h{}", draft.bodies.len());
    let k = 1 + dice.below(4);
    let head = match dice.below(6) {
        0 => None,
        1 => Some(format!("{value} |> Dense({k})")),
        2 => Some(format!("{value} |> Dense({k}, softmax)")),
        3 => Some(format!("{value} |> Dense({k}, sigmoid)")),
        4 => Some(format!("{value} |> Flatten |> Dense({k}, softmax)")),
        _ => Some(format!("{value} |> Flatten |> Dense(1, sigmoid)")),
    };
    draft.bodies.extend(head);
    let sizes = draft.output()?;
    let list = |sizes: &[usize]| {
        let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
        format!("[{}]", sizes.join(", "))
    };
    let (last, before) = sizes.split_last().unwrap_or((&1, &[]));
    let places = if before.is_empty() {
        String::new()
    } else {
        list(before)
    };
    let targets = [
        list(&sizes),
        format!("prob{}", list(&sizes)),
        format!("class[{last}]{places}"),
        format!("class[2]{}", list(&sizes)),
        format!("class[2]{places}"),
    ];
    let losses = names(DefKind::Loss);
    for attempt in 0.. {
        draft.target = targets[dice.below(targets.len())].clone();
        draft.loss = losses[dice.below(losses.len())].clone();
        if check(&draft.text()).is_some() {
            break;
        }
        if attempt == 30 {
            (draft.target, draft.loss) = (list(&sizes), "mse".into());
            check(&draft.text())?;
            break;
        }
    }
    let optimizers = names(DefKind::Optimizer);
    let options = [
        "",
        "",
        "(lr = 0.01)",
        "(lr = 0.1, clipnorm = 1)",
        "(lr = 0.05, clipvalue = 0.5)",
        "(lr = 0.01, global_clipnorm = 0.1)",
        "(weight_decay = 0.01)",
        "(use_ema = true)",
        "(gradient_accumulation_steps = 2)",
        "(lr = cosine_decay(0.1, 4))",
        "(lr = exponential_decay(0.1, 2, 0.5))",
    ];
    improve(&mut draft, |d| {
        let name = &optimizers[dice.below(optimizers.len())];
        d.optimizer = format!("{name}{}", options[dice.below(options.len())]);
    });
    let metrics = names(DefKind::Metric);
    for _ in 0..dice.below(3) {
        improve(&mut draft, |d| {
            d.metrics.push(metrics[dice.below(metrics.len())].clone());
        });
    }
    Some(draft.text())
}

/// Changes it, if the result is right; a few attempts.
fn improve(draft: &mut Draft, mut change: impl FnMut(&mut Draft)) {
    for _ in 0..8 {
        let mut changed = draft.clone();
        change(&mut changed);
        if check(&changed.text()).is_some() {
            *draft = changed;
            return;
        }
    }
}

type Batch = HashMap<String, Tensor>;

fn batch(checked: &Checked, rows: usize, dice: &mut Dice) -> Batch {
    let columns = checked.data.iter().flat_map(|d| &d.columns);
    let made = columns.map(|column| {
        let shape: Vec<usize> = [rows]
            .into_iter()
            .chain(column.shape.iter().copied())
            .collect();
        let target = column.name == "y";
        let mut value = || {
            let x = dice.below(4001) as f64 / 1000.0 - 2.0;
            match column.kind {
                ColumnKind::Class(k) | ColumnKind::Token(k) => dice.below(k) as f64,
                ColumnKind::F32 if target => (x + 2.1) / 4.2,
                ColumnKind::F32 => x,
                _ => dice.below(2) as f64,
            }
        };
        let count = shape.iter().product();
        let values: Vec<f64> = (0..count).map(|_| value()).collect();
        let elem = column.kind.elem().expect("no column of texts");
        (
            column.name.clone(),
            Tensor::from_values(elem, &shape, &values),
        )
    });
    made.collect()
}

fn hold(text: &str) {
    let checked = || check(text).unwrap_or_else(|| panic!("refused:\n{text}"));
    let seed = text
        .bytes()
        .fold(7u64, |s, b| s.wrapping_mul(31) + u64::from(b));
    let mut dice = Dice::new(seed);
    let mut cpu = Trainer::on(Target::Cpu, checked(), seed);
    let mut oracle = Trainer::new(checked(), seed);
    let both = |a: Results, b: Results| -> Vec<Pair> {
        let of = |name: &str| b.iter().find(|(n, _)| n == name).map(|(_, t)| t.clone());
        let pairs = a.into_iter();
        pairs
            .map(|(name, found)| {
                let expected = of(&name).unwrap_or_else(|| panic!("{name} is of the CPU alone"));
                Pair {
                    name,
                    found,
                    expected,
                }
            })
            .collect()
    };
    for pair in both(kept(&cpu), kept(&oracle)) {
        let far = pair.distance(&[]);
        assert!(
            far.is_none(),
            "initial {}: {}\n{text}",
            pair.name,
            far.unwrap()
        );
    }
    for (step, rows) in [5, 1, 3].into_iter().enumerate() {
        let batch = batch(&checked(), rows, &mut dice);
        cpu.kept = oracle.kept.clone();
        let before = oracle.kept.clone();
        let found = one_step(&mut cpu, &batch);
        let expected = one_step(&mut oracle, &batch);
        let pairs = both(found, expected);
        if pairs.iter().all(|p| p.distance(&[]).is_none()) {
            continue;
        }
        let near: Vec<Results> = (0..6)
            .map(|_| {
                let mut near = Trainer::new(checked(), seed);
                near.step = step as i32;
                near.kept = moved(&before, &mut dice);
                one_step(&mut near, &moved(&batch, &mut dice))
            })
            .collect();
        for pair in pairs {
            let of = |r: &Results| {
                r.iter()
                    .find(|(n, _)| *n == pair.name)
                    .map(|(_, t)| t.clone())
            };
            let near: Vec<Tensor> = near.iter().filter_map(of).collect();
            if let Some(far) = pair.distance(&near) {
                panic!("step {step}, {rows} rows, {}: {far}\n{text}", pair.name);
            }
        }
    }
    cpu.kept = oracle.kept.clone();
    cpu.collected = oracle.collected.clone();
    for ((name, found), (_, expected)) in cpu.metrics().into_iter().zip(oracle.metrics()) {
        let same = found == expected || (found.is_nan() && expected.is_nan());
        let near = (found - expected).abs() <= 1e-4 * (1.0 + expected.abs());
        assert!(same || near, "{name}: {found} for {expected}\n{text}");
    }
}

type Results = Vec<(String, Tensor)>;

fn kept(trainer: &Trainer) -> Results {
    let kept = trainer.kept.iter();
    kept.map(|(n, t)| (n.clone(), t.clone())).collect()
}

/// A step, then what an evaluation and a prediction give.
fn one_step(trainer: &mut Trainer, batch: &Batch) -> Results {
    trainer.train(batch);
    let mut results = kept(trainer);
    // A later result does not depend on an earlier one that is rounded.
    for (i, output) in trainer.predict(batch).into_iter().enumerate() {
        results.push((format!("output {i}"), output));
    }
    trainer.evaluate(batch);
    for name in &trainer.programs.eval.outputs {
        if matches!(name.role, OutputRole::Update(_)) {
            let value = trainer.kept[&*name.name].clone();
            results.push((format!("evaluated {}", name.name), value));
        }
    }
    results
}

/// The values a few roundings away.
fn moved(values: &HashMap<String, Tensor>, dice: &mut Dice) -> HashMap<String, Tensor> {
    let mut move_one = |t: &Tensor| {
        if !t.elem().is_float() {
            return t.clone();
        }
        let unit = match t.elem() {
            Elem::F64 => f64::EPSILON,
            _ => f64::from(f32::EPSILON),
        };
        let size = largest(t);
        let values: Vec<f64> = t
            .values()
            .iter()
            .map(|v| v + (dice.below(9) as f64 - 4.0) * unit * if *v == 0.0 { 0.0 } else { size })
            .collect();
        Tensor::from_values(t.elem(), t.shape(), &values)
    };
    values
        .iter()
        .map(|(n, t)| (n.clone(), move_one(t)))
        .collect()
}

fn largest(t: &Tensor) -> f64 {
    let values = t.values().into_iter().filter(|v| v.is_finite());
    values.fold(0.0, |m, v| v.abs().max(m))
}

struct Pair {
    name: String,
    found: Tensor,
    expected: Tensor,
}

impl Pair {
    /// What is too far away, where values near those of the step lead to `near`.
    fn distance(&self, near: &[Tensor]) -> Option<String> {
        if self.found.ty() != self.expected.ty() {
            return Some(format!("{} for {}", self.found.ty(), self.expected.ty()));
        }
        let expected = self.expected.values();
        let size = largest(&self.expected);
        let mut slack = 0.0f64;
        for other in near {
            for (a, b) in other.values().iter().zip(&expected) {
                if a.is_finite() != b.is_finite() {
                    return None;
                }
                if a.is_finite() {
                    slack = slack.max((a - b).abs());
                }
            }
        }
        for (i, (f, e)) in self.found.values().iter().zip(&expected).enumerate() {
            let same = f == e || (f.is_nan() && e.is_nan());
            let allowed = 1e-4 * e.abs() + 1e-5 * size + 1e-7 + 30.0 * slack;
            let huge = f.abs().min(e.abs()) > 1e37;
            if !same && !huge && ((f - e).abs() > allowed || (f - e).is_nan()) {
                return Some(format!(
                    "element {i}: {f:e} for {e:e}, {slack:e} apart nearby"
                ));
            }
        }
        None
    }
}
