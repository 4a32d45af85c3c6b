//! A graph for every problem.

use smallvec::smallvec;

use super::*;
use crate::ir::graph::OriginId;
use crate::ir::prim::{Binary, Scan, Unary};

fn scalar(elem: Elem) -> Type {
    Type::scalar(elem)
}

/// The problems, as text.
fn found(graph: &Graph, stage: Stage) -> Vec<String> {
    let errors = verify(graph, stage).err().unwrap_or_default();
    errors.iter().map(VerifyError::to_string).collect()
}

#[track_caller]
fn expect(graph: &Graph, stage: Stage, expected: &[&str]) {
    assert_eq!(found(graph, stage), expected);
}

/// `y = x + x`
fn double() -> (Graph, Value, Value) {
    let mut g = Graph::new("double");
    let x = g.input("x", Role::Param, Type::of(Elem::F32, &[2]));
    let y = push(&mut g, Prim::Binary(Binary::Add), &[x, x]);
    g.output("y", OutputRole::Result, y);
    (g, x, y)
}

fn push(g: &mut Graph, prim: Prim, args: &[Value]) -> Value {
    g.push1(prim, args, OriginId::default()).unwrap()
}

#[test]
fn a_good_graph_passes_every_stage() {
    for stage in [Stage::Built, Stage::Differentiated, Stage::Specialized] {
        expect(&double().0, stage, &[]);
    }
}

#[test]
fn definitions() {
    let (mut g, x, _) = double();
    g.nodes[0].first = x;
    let twice = [
        "node 0 (add): defines %0, which is already defined",
        "output `y`: no node defines %1",
    ];
    expect(&g, Stage::Built, &twice);

    let (mut g, ..) = double();
    g.nodes[0].first = Value(7);
    let untyped = [
        "node 0 (add): defines %7, which has no type",
        "output `y`: no node defines %1",
    ];
    expect(&g, Stage::Built, &untyped);

    let (mut g, _, y) = double();
    push(&mut g, Prim::Unary(Unary::Neg), &[y]);
    g.nodes.swap(0, 1);
    expect(
        &g,
        Stage::Built,
        &["node 0 (neg): uses %1 before its definition"],
    );

    let (mut g, ..) = double();
    g.nodes[0].args[1] = Value(9);
    expect(&g, Stage::Built, &["node 0 (add): no node defines %9"]);
}

#[test]
fn types_are_inferred_anew() {
    let mut g = Graph::new("wrong");
    let x = g.input("x", Role::Plain, Type::of(Elem::F32, &[2]));
    let neg = || Prim::Unary(Unary::Neg);
    g.push_typed(neg(), &[x], smallvec![scalar(Elem::F32)], OriginId(0));
    g.push_typed(neg(), &[x], smallvec![], OriginId(4));
    let b = g.constant(1.0, Elem::Bool);
    g.push_typed(neg(), &[b], smallvec![scalar(Elem::Bool)], OriginId(0));
    let wrong = [
        "node 0 (neg): %1 is f32[], but the primitive returns f32[2]",
        "node 1 (neg): there is no origin 4",
        "node 1 (neg): has 0 results, but the primitive returns 1",
        "node 3 (neg): argument 0 is bool, but must be a signed number",
    ];
    expect(&g, Stage::Built, &wrong);
}

#[test]
fn constants_are_whole_where_they_must_be() {
    let mut g = Graph::new("constants");
    g.constant(0.5, Elem::F32);
    for (value, elem) in [(0.5, Elem::I32), (256.0, Elem::U8), (2.0, Elem::Bool)] {
        g.constant(value, elem);
    }
    g.constant(f64::NAN, Elem::I32);
    let wrong = [
        "node 1 (const): 0.5 is not a valid i32",
        "node 2 (const): 256 is not a valid u8",
        "node 3 (const): 2 is not a valid bool",
        "node 4 (const): NaN is not a valid i32",
    ];
    expect(&g, Stage::Built, &wrong);
}

#[test]
fn names() {
    let (mut g, _, y) = double();
    g.input("x", Role::Plain, scalar(Elem::F32));
    g.input("", Role::Plain, scalar(Elem::F32));
    g.output("y", OutputRole::Result, y);
    g.output("x", OutputRole::Result, y);
    g.output("", OutputRole::Result, y);
    let wrong = [
        "input `x`: the name is already used",
        "input ``: has no name",
        "output `y`: the name is already used",
        "output ``: has no name",
    ];
    expect(&g, Stage::Built, &wrong);
}

#[test]
fn roles_fit_types() {
    let mut g = Graph::new("roles");
    let roles = [
        (Role::Param, Elem::I32, 1),
        (Role::Slot, Elem::Bool, 1),
        (Role::Fit, Elem::U8, 1),
        (Role::Hyper, Elem::F32, 1),
        (Role::Metric, Elem::F32, 0),
        (Role::Step, Elem::F32, 0),
        (Role::Data, Elem::F32, 0),
        (Role::State, Elem::I32, 0),
        (Role::Plain, Elem::Bool, 0),
    ];
    for (role, elem, rank) in roles {
        let ty = Type::of(elem, &vec![2; rank]);
        g.input(role_name(&role), role, ty);
    }
    let wrong = [
        "input `param`: a param cannot be i32[2]",
        "input `slot`: a slot cannot be bool[2]",
        "input `fit`: a fit cannot be u8[2]",
        "input `hyper`: a hyper cannot be f32[2]",
        "input `metric`: a metric cannot be f32[]",
        "input `step`: a step cannot be f32[]",
        "input `data`: a data cannot be f32[]",
    ];
    expect(&g, Stage::Built, &wrong);
}

#[test]
fn updates() {
    let (mut g, _, y) = double();
    let c = g.constant(0.0, Elem::F32);
    g.output("x", OutputRole::Update(0), c);
    g.output("z", OutputRole::Update(0), y);
    g.output("none", OutputRole::Update(3), y);
    g.input("s", Role::Step, scalar(Elem::I32));
    let s = g.inputs[1].value;
    g.output("s", OutputRole::Update(1), s);
    let wrong = [
        "output `x`: is f32[], but updates an input that is f32[2]",
        "output `z`: updates an input that already has an update",
        "output `z`: updates input `x`, but has a different name",
        "output `none`: there is no input 3",
        "output `s`: updates a step, which a graph cannot change",
    ];
    expect(&g, Stage::Built, &wrong);
}

#[test]
fn regions_are_checked_too() {
    let mut body = Graph::new("body");
    let h = body.input("h", Role::State, scalar(Elem::F32));
    let n = push(&mut body, Prim::Unary(Unary::Neg), &[h]);
    body.nodes[0].args[0] = Value(5);
    body.output("h", OutputRole::Update(0), n);
    let mut g = Graph::new("outer");
    let x = g.input("x", Role::Plain, scalar(Elem::F32));
    let scan = Prim::Scan(Scan {
        body: body.into(),
        carries: 1,
        scanned: 0,
        length: Dim::symbol("T"),
        reverse: false,
    });
    push(&mut g, scan, &[x]);
    let mut wrong = vec![
        "in the region of node 0: node 0 (neg): no node defines %5",
        "in the region of node 0: input `h`: a region has plain inputs, and its outputs are results",
        "in the region of node 0: output `h`: a region has plain inputs, and its outputs are results",
    ];
    expect(&g, Stage::Differentiated, &wrong);
    wrong.push("node 0 (scan): the size T remains");
    expect(&g, Stage::Specialized, &wrong);
}

#[test]
fn later_stages_promise_more() {
    let mut g = Graph::new("early");
    let x = g.input("x", Role::Plain, Type::new(Elem::F32, [Dim::symbol("B")]));
    g.input("y", Role::Plain, Type::new(Elem::F32, [Dim::Const(-1)]));
    push(
        &mut g,
        Prim::Reshape(smallvec![Dim::ONE, Dim::symbol("B")]),
        &[x],
    );
    let c = g.constant(1.0, Elem::F32);
    push(&mut g, Prim::Gradient, &[c, c]);
    expect(&g, Stage::Built, &[]);
    let gradient = "node 2 (gradient): a gradient remains";
    expect(&g, Stage::Differentiated, &[gradient]);
    let symbols = [
        "input `x`: the size B remains",
        "input `y`: the size -1 is negative",
        "node 0 (reshape): the size B remains",
        "node 0 (reshape): the size B remains",
        gradient,
    ];
    expect(&g, Stage::Specialized, &symbols);
}
