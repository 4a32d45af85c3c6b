//! The loop over graphs made by hand: linear regression, its gradient written out.

use nnc::diag::Code;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::allocations::peak;
use nnc::backend::Options;
use nnc::data::{Batches, Column, ColumnData, Order, Table};
use nnc::ir::prim::{Binary, DotDims, Reduce};
use nnc::ir::{Dim, Elem, Graph, OriginId, OutputRole, Prim, Role, Type, Value};
use nnc::spec::Programs;
use nnc::train::device::{Device, Target};
use nnc::train::fit::{Nothing, Position, evaluate};
use nnc::train::identity::Identity;
use nnc::train::progress::Silent;
use nnc::train::state::{resume, save_state};
use nnc::train::{
    Callbacks, CheckpointSink, EpochRow, Fit, Outcome, Parts, ProgressSink, RunError, Session,
    Stopped, fit,
};

const ROWS: usize = 22;

fn push(g: &mut Graph, prim: Prim, args: &[Value]) -> Value {
    g.push1(prim, args, OriginId::default()).unwrap()
}

fn filled(g: &mut Graph, value: f64, ty: &Type) -> Value {
    let c = g.constant(value, ty.elem);
    if ty.rank() == 0 {
        return c;
    }
    let shape = ty.shape.clone();
    push(
        g,
        Prim::Broadcast {
            shape,
            axes: vec![],
        },
        &[c],
    )
}

/// Forward pass; adds the batch to the accumulators. Gives `x`, the errors and `B` as f32.
fn forward(g: &mut Graph, w: Value, sum: (usize, Value), count: (usize, Value)) -> (Value, Value) {
    let b = Dim::symbol("B");
    let x = g.input(
        "x",
        Role::Data,
        Type::new(Elem::F32, [b.clone(), Dim::Const(2)]),
    );
    let y = g.input("y", Role::Data, Type::new(Elem::F32, [b.clone()]));
    let dims = DotDims {
        batch: vec![],
        contract: vec![(1, 0)],
    };
    let p = push(g, Prim::Dot(dims), &[x, w]);
    let error = push(g, Prim::Binary(Binary::Sub), &[p, y]);
    let squares = push(g, Prim::Binary(Binary::Mul), &[error, error]);
    let squares = push(g, Prim::Cast(Elem::F64), &[squares]);
    let op = Reduce::Sum;
    let all = push(g, Prim::Reduce { op, axes: vec![0] }, &[squares]);
    let new = push(g, Prim::Binary(Binary::Add), &[sum.1, all]);
    g.output("loss.sum", OutputRole::Update(sum.0), new);
    let rows = push(
        g,
        Prim::Size {
            dim: b,
            elem: Elem::F64,
        },
        &[],
    );
    let new = push(g, Prim::Binary(Binary::Add), &[count.1, rows]);
    g.output("loss.count", OutputRole::Update(count.0), new);
    (x, error)
}

fn programs(rate: f64) -> Programs {
    let weights = Type::of(Elem::F32, &[2]);
    let f64s = Type::scalar(Elem::F64);
    let mut init = Graph::new("init");
    for (name, value, ty) in [
        ("w", 0.5, &weights),
        ("loss.sum", 0.0, &f64s),
        ("loss.count", 0.0, &f64s),
    ] {
        let v = filled(&mut init, value, ty);
        init.output(name, OutputRole::Result, v);
    }

    let mut train = Graph::new("train");
    let w = train.input("w", Role::Param, weights.clone());
    let sum = train.input("loss.sum", Role::Metric, f64s.clone());
    let count = train.input("loss.count", Role::Metric, f64s.clone());
    train.input("step", Role::Step, Type::scalar(Elem::I32));
    let (x, error) = forward(&mut train, w, (1, sum), (2, count));
    let dims = DotDims {
        batch: vec![],
        contract: vec![(0, 0)],
    };
    let gradient = push(&mut train, Prim::Dot(dims), &[x, error]);
    let rate = filled(&mut train, rate, &weights);
    let change = push(&mut train, Prim::Binary(Binary::Mul), &[gradient, rate]);
    let new = push(&mut train, Prim::Binary(Binary::Sub), &[w, change]);
    train.output("w", OutputRole::Update(0), new);

    let mut eval = Graph::new("eval");
    let w = eval.input("w", Role::Param, weights.clone());
    let sum = eval.input("loss.sum", Role::Metric, f64s.clone());
    let count = eval.input("loss.count", Role::Metric, f64s.clone());
    forward(&mut eval, w, (1, sum), (2, count));

    let mut predict = Graph::new("predict");
    let w = predict.input("w", Role::Param, weights.clone());
    let x = Type::new(Elem::F32, [Dim::symbol("B"), Dim::Const(2)]);
    let x = predict.input("x", Role::Data, x);
    let dims = DotDims {
        batch: vec![],
        contract: vec![(1, 0)],
    };
    let p = push(&mut predict, Prim::Dot(dims), &[x, w]);
    predict.output("p", OutputRole::Result, p);

    let mut metrics = Graph::new("metrics");
    let sum = metrics.input("loss.sum", Role::Metric, f64s.clone());
    let count = metrics.input("loss.count", Role::Metric, f64s);
    let mean = push(&mut metrics, Prim::Binary(Binary::Div), &[sum, count]);
    metrics.output("loss", OutputRole::Result, mean);
    Programs {
        init,
        train,
        eval,
        predict,
        metrics,
        closing: Graph::new("closing"),
        ends: Vec::new(),
    }
}

/// y = 3 a - 2 b, exactly.
fn table() -> Arc<Table> {
    let x: Vec<f32> = (0..2 * ROWS)
        .map(|i| (i * 7 % 11) as f32 / 8.0 - 0.5)
        .collect();
    let y = x.chunks(2).map(|r| 3.0 * r[0] - 2.0 * r[1]).collect();
    let x = Column::new("x", vec![2], ColumnData::F32(x)).unwrap();
    let y = Column::new("y", vec![], ColumnData::F32(y)).unwrap();
    Arc::new(Table::new(vec![x, y]).unwrap())
}

fn parts(batch: usize) -> Parts {
    let new = |rows: std::ops::Range<u32>, order| {
        Batches::new(table(), &[0, 1], rows.collect(), batch, order).unwrap()
    };
    Parts {
        train: new(0..14, Order::Shuffled { seed: 5 }),
        val: Some(new(14..19, Order::Sequential)),
        test: Some(new(19..22, Order::Sequential)),
    }
}

fn session(programs: &Programs) -> Session<'_> {
    session_on(Target::Interp, programs)
}

fn session_on(target: Target, programs: &Programs) -> Session<'_> {
    let options = Options {
        seed: 1,
        threads: 1,
    };
    let device = Device::new(target, options);
    Session::new(programs, ROWS, Box::new(move |graph| device.compile(graph))).unwrap()
}

fn plan(epochs: usize, stop: &AtomicBool) -> Fit<'_> {
    Fit {
        epochs,
        from: Position::default(),
        limit: None,
        stop,
        every: None,
        history: Vec::new(),
        spent: 0.0,
    }
}

fn train(session: &mut Session, parts: &mut Parts, fit_: &Fit) -> Result<Outcome, RunError> {
    let mut callbacks = Callbacks::none();
    fit(
        session,
        parts,
        fit_,
        &mut callbacks,
        &mut Silent,
        &mut Nothing,
    )
}

fn weights(session: &Session) -> Vec<u8> {
    let store = session.store();
    store.bytes(store.find("w").unwrap()).to_vec()
}

#[test]
fn it_learns_and_metrics_are_exact_over_uneven_batches() {
    let programs = programs(0.1);
    let stop = AtomicBool::new(false);
    let mut session_ = session(&programs);
    let outcome = train(&mut session_, &mut parts(4), &plan(60, &stop)).unwrap();
    assert_eq!(outcome.history.len(), 60);
    // 14 rows by 4 are 4 steps
    assert_eq!((outcome.history[0].steps, session_.steps()), (4, 240));
    assert!(
        outcome.history[59].train[0] < 1e-8,
        "{:?}",
        outcome.history[59]
    );
    assert!(outcome.test.unwrap()[0] < 1e-8);

    let mut untrained = session(&programs);
    let mut whole = Batches::new(
        table(),
        &[0, 1],
        (0..ROWS as u32).collect(),
        ROWS,
        Order::Sequential,
    )
    .unwrap();
    let at_once = evaluate(&mut untrained, &mut whole).unwrap();
    let mut pieces = Batches::new(
        table(),
        &[0, 1],
        (0..ROWS as u32).collect(),
        9,
        Order::Sequential,
    )
    .unwrap();
    let in_pieces = evaluate(&mut untrained, &mut pieces).unwrap();
    let expected: f64 = (0..ROWS)
        .map(|r| {
            let x = |c: usize| ((2 * r + c) * 7 % 11) as f64 / 8.0 - 0.5;
            let e: f64 = 0.5 * x(0) + 0.5 * x(1) - (3.0 * x(0) - 2.0 * x(1));
            e * e
        })
        .sum::<f64>()
        / ROWS as f64;
    assert!(
        (at_once[0] - expected).abs() < 1e-6,
        "{at_once:?} {expected}"
    );
    assert!((at_once[0] - in_pieces[0]).abs() < 1e-12);
}

#[test]
fn a_stopped_run_goes_on_to_the_same_bits() {
    let programs = programs(0.05);
    let stop = AtomicBool::new(false);
    let mut straight = session(&programs);
    let whole = train(&mut straight, &mut parts(4), &plan(5, &stop)).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let identity = Identity {
        program: "p".into(),
        seed: 5,
        batch: 4,
        ..Identity::default()
    };
    // 10 steps: in the midst of epoch 3; 8: at its start
    for limit in [10, 8] {
        let path = folder.path().join("w.safetensors");
        let mut first = session(&programs);
        let cut = Fit {
            limit: Some(limit),
            ..plan(5, &stop)
        };
        let outcome = train(&mut first, &mut parts(4), &cut).unwrap();
        assert_eq!(outcome.stopped, Some(Stopped::Limit));
        let mut none = Callbacks::none();
        save_state(&path, &mut first, &none, &outcome, &identity).unwrap();

        let mut second = session(&programs);
        let from = resume(&path, &mut second, &mut none, &identity).unwrap();
        assert_eq!(second.steps(), limit);
        let rest = Fit {
            from: from.position,
            history: from.history,
            ..plan(5, &stop)
        };
        let outcome = train(&mut second, &mut parts(4), &rest).unwrap();
        assert_eq!(weights(&second), weights(&straight));
        assert_eq!(outcome.test, whole.test);
        let (last, expected) = (outcome.history.last().unwrap(), &whole.history[4]);
        assert_eq!((&last.train, &last.val), (&expected.train, &expected.val));
        assert_eq!(outcome.history.len(), 5);
        // the epoch that was cut counts all of its steps
        let third = outcome.history.iter().find(|r| r.epoch == 3).unwrap();
        assert_eq!(third.train, whole.history[2].train);

        let other = Identity {
            seed: 6,
            ..identity.clone()
        };
        let error = resume(&path, &mut second, &mut none, &other).unwrap_err();
        assert_eq!(error.code(), Code::E0956);
        assert!(
            error
                .to_string()
                .contains("it was trained with seed 5, not 6"),
            "{error}"
        );
    }
}

/// The average of a parameter takes its place when training ends, not where it is interrupted.
#[test]
fn parameters_settle_at_the_end() {
    let mut programs = programs(0.05);
    let weights_type = Type::of(Elem::F32, &[2]);
    let average = filled(&mut programs.init, 7.0, &weights_type);
    programs.init.output("average", OutputRole::Result, average);
    programs.train.input("average", Role::Slot, weights_type);
    programs.ends = vec![("w".into(), "average".into())];
    let sevens: Vec<u8> = [7.0_f32; 2].iter().flat_map(|x| x.to_le_bytes()).collect();
    for (stopped, limit) in [(false, None), (true, Some(3))] {
        let stop = AtomicBool::new(false);
        let mut session = session(&programs);
        let fit_ = Fit {
            limit,
            ..plan(2, &stop)
        };
        train(&mut session, &mut parts(4), &fit_).unwrap();
        assert_eq!(weights(&session) != sevens, stopped);
    }
}

#[test]
fn a_request_to_stop_ends_after_the_step() {
    struct StopAt<'a>(usize, &'a AtomicBool);
    impl ProgressSink for StopAt<'_> {
        fn step(&mut self, _: usize, done: usize, session: &mut Session) -> Result<(), RunError> {
            if session.steps() as usize == self.0 {
                self.1.store(true, Relaxed);
            }
            assert!(done <= 4);
            Ok(())
        }
    }
    let programs = programs(0.05);
    let stop = AtomicBool::new(false);
    let mut session = session(&programs);
    struct Rows(Vec<EpochRow>);
    impl CheckpointSink for Rows {
        fn state(&mut self, _: &mut Session, _: &Callbacks, at: &Outcome) -> Result<(), RunError> {
            self.0 = at.history.clone();
            Ok(())
        }
    }
    let mut rows = Rows(Vec::new());
    let outcome = fit(
        &mut session,
        &mut parts(4),
        &plan(50, &stop),
        &mut Callbacks::none(),
        &mut StopAt(6, &stop),
        &mut rows,
    )
    .unwrap();
    assert_eq!(outcome.stopped, Some(Stopped::Interrupted));
    assert_eq!(session.steps(), 6);
    assert_eq!(outcome.position, Position { epoch: 1, step: 2 });
    assert_eq!((rows.0.len(), outcome.history.len()), (1, 1));
    assert!(outcome.test.is_none());
}

#[test]
fn a_loss_that_is_no_number_names_its_step() {
    let programs = programs(1e30);
    let stop = AtomicBool::new(false);
    let error = train(&mut session(&programs), &mut parts(4), &plan(5, &stop)).unwrap_err();
    assert_eq!(error.code(), Code::E0951);
    let text = error.to_string();
    assert!(text.ends_with("in epoch 1, after step 2"), "{text}");
}

#[test]
fn a_column_of_another_shape_is_refused() {
    let programs = programs(0.1);
    let mut session = session(&programs);
    let y = table().columns()[1].clone();
    let x = Column::new("x", vec![], ColumnData::F32(vec![0.0; ROWS])).unwrap();
    let table = Arc::new(Table::new(vec![x, y]).unwrap());
    let mut batches = Batches::new(table, &[0, 1], vec![0, 1], 2, Order::Sequential).unwrap();
    let error = evaluate(&mut session, &mut batches).unwrap_err();
    assert_eq!(error.code(), Code::E0955);
    assert!(error.to_string().contains("column `x`"), "{error}");
}

#[test]
fn a_step_allocates_nothing() {
    let programs = programs(0.1);
    let mut session = session_on(Target::Cpu, &programs);
    let mut batches = parts(4).train;
    let mut epoch = |number: u64| {
        session.reset_metrics();
        let mut epoch = batches.epoch(number);
        while let Some(batch) = epoch.next_batch().unwrap() {
            session.train(&batch).unwrap();
            assert!(session.loss_is_finite());
        }
        session.metrics().unwrap()[0]
    };
    // compiles for both sizes of batch
    let first = epoch(0);
    let (last, bytes) = peak(|| (1..20).map(&mut epoch).last());
    assert_eq!(bytes, 0);
    assert!(last.unwrap() < 0.1 * first);
}
