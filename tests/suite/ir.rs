//! The IR: its text form on random graphs, and the files of `tests/ir`.
//!
//! Such a file is a graph and what is expected of it, in comments:
//!
//! ```text
//! #! stage specialized          to verify for; built where none is given
//! #! error: node 0 (gradient)   of the verifier, or `LINE:COLUMN: ..` of the parser; all of them, in order
//! #! input x = 1 2.5            in row-major order
//! #! output y = 2 5             of the interpreter, within 1e-6
//! #! seed 3                     0 where none is given
//! ```

use std::collections::{BTreeMap, BTreeSet};

use nnc::backend::interp::evaluate;
use nnc::ir::prim::{Binary, Compare, Reduce, Unary};
use nnc::ir::text_parse::{parse, parse_all, parse_dim};
use nnc::ir::{Dim, Graph, OriginId, Prim, Stage, Tensor, verify};

use crate::support::random_graph::{Limits, Random, random_graph, random_inputs};

const SYMBOLIC: Limits = Limits {
    attempts: 60,
    symbols: true,
    gradients: true,
};

/// Without origins, which the text shows but does not hold.
fn bare(graph: &Graph) -> Graph {
    let mut graph = graph.clone();
    graph.origins.truncate(1);
    for node in &mut graph.nodes {
        node.origin = OriginId::default();
        if let Prim::Scan(scan) = &mut node.prim {
            scan.body = bare(&scan.body).into();
        }
    }
    graph
}

fn each_prim(graph: &Graph, f: &mut dyn FnMut(&Prim)) {
    for node in &graph.nodes {
        f(&node.prim);
        if let Prim::Scan(scan) = &node.prim {
            each_prim(&scan.body, f);
        }
    }
}

#[test]
fn text_round_trips_for_every_primitive() {
    let mut seen = BTreeSet::new();
    for seed in 0..120 {
        let graph = random_graph(seed, SYMBOLIC);
        assert_eq!(verify(&graph, Stage::Built), Ok(()), "seed {seed}\n{graph}");
        let text = graph.to_string();
        let read = parse(&text).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{text}"));
        assert_eq!(read, bare(&graph), "seed {seed}\n{text}");
        assert_eq!(read.to_string(), bare(&graph).to_string());
        each_prim(&graph, &mut |p| {
            seen.insert(p.name());
        });
    }
    let operators = Unary::ALL.map(Unary::name).into_iter();
    let operators = operators
        .chain(Binary::ALL.map(Binary::name))
        .chain(Compare::ALL.map(Compare::name))
        .chain(Reduce::ALL.map(Reduce::reduce_name));
    let others = [
        "const",
        "size",
        "iota",
        "random",
        "select",
        "cast",
        "stop_gradient",
        "reshape",
        "transpose",
        "broadcast",
        "slice",
        "pad",
        "concat",
        "reverse",
        "arg_max",
        "arg_sort",
        "dot",
        "gather",
        "scatter_add",
        "conv",
        "conv_input_grad",
        "conv_kernel_grad",
        "window_max",
        "window_sum",
        "window_max_grad",
        "window_sum_grad",
        "scan",
        "gradient",
    ];
    let all: BTreeSet<&str> = operators.chain(others).collect();
    assert_eq!(seen, all);
}

/// What is known of `evaluate` without another implementation: it accepts every
/// graph that the verifier accepts, and its results are of the inferred types.
#[test]
fn random_graphs_evaluate() {
    let limits = Limits {
        symbols: false,
        gradients: false,
        ..SYMBOLIC
    };
    for seed in 0..60 {
        let graph = random_graph(seed, limits);
        assert_eq!(verify(&graph, Stage::Specialized), Ok(()));
        let results = evaluate(&graph, &random_inputs(&graph, seed), seed);
        let found: Vec<_> = results.iter().map(Tensor::ty).collect();
        let expected = graph.outputs.iter().map(|o| graph.ty(o.value).clone());
        assert_eq!(found, expected.collect::<Vec<_>>());
    }
}

#[test]
fn sizes_round_trip() {
    let mut random = Random(3);
    let symbols = ["B", "n", "vocab.size"].map(Dim::symbol);
    for _ in 0..500 {
        let mut dim = random.of(&symbols);
        for _ in 0..random.below(6) {
            let other = match random.below(3) {
                0 => Dim::Const(random.below(9) as i64 - 4),
                1 => random.of(&symbols),
                _ => dim.clone(),
            };
            let next = match random.below(7) {
                0 => dim.add(&other),
                1 => dim.sub(&other),
                2 => dim.mul(&other),
                3 => dim.div(&other),
                4 => dim.rem(&other),
                5 => Ok(dim.max_with(&other)),
                _ => Ok(dim.min_with(&other)),
            };
            dim = next.unwrap_or(dim);
        }
        assert_eq!(parse_dim(&dim.to_string()), Ok(dim.clone()), "{dim}");
    }
    for text in [
        "-9223372036854775808",
        "9223372036854775807",
        "-9223372036854775808*n",
    ] {
        assert_eq!(parse_dim(text).unwrap().to_string(), text);
    }
}

#[test]
fn several_graphs_in_one_text() {
    let text = "graph a() {\n}\ngraph \"b c\"(%x: f32[],) {\n  result \"y\" = %x\n}\n";
    let graphs = parse_all(text).unwrap();
    assert_eq!(graphs.len(), 2);
    assert_eq!(&*graphs[1].name, "b c");
    assert_eq!(
        parse(text).unwrap_err().to_string(),
        "3:1: expected the end, found `graph`"
    );
    assert_eq!(parse_all("").unwrap(), []);
}

#[test]
fn what_cannot_be_read_is_said_with_its_place() {
    let start = "graph g(%x: f32[2], %i: i32[]) {\n  ";
    let deep = format!(
        "%y = reshape %x shape=[{}2{}]",
        "(".repeat(90),
        ")".repeat(90)
    );
    let cases = [
        (
            "",
            "3:1: expected a node, `update`, `result` or `}`, found the end",
        ),
        ("%y = neg %z", "2:12: `%z` is not defined"),
        ("%x = neg %x", "2:3: `%x` is already defined"),
        ("%y = neg", "2:8: neg: takes 1 arguments, got 0"),
        (
            "%y = neg\n  %z = neg %x",
            "2:8: neg: takes 1 arguments, got 0",
        ),
        ("%y = negate %x", "2:8: there is no primitive `negate`"),
        ("%y: f32[3] = neg %x", "2:7: neg returns f32[2], not f32[3]"),
        ("%y: f16[3] = neg %x", "2:7: there is no element type `f16`"),
        (
            "%y = add %x, %i",
            "2:8: add: argument 1 is i32[], but must be f32[2]",
        ),
        (
            "%y, %z = neg %x",
            "2:12: neg: the number of results is 1, of names 2",
        ),
        (
            "%y = reshape %x",
            "2:8: `reshape` needs the attribute `shape`",
        ),
        ("%y = neg %x axis=0", "2:15: `neg` has no attribute `axis`"),
        ("%y = neg %x color=0", "2:15: there is no attribute `color`"),
        (
            "%y = reverse %x axes=[0] axes=[0]",
            "2:28: `axes` is given twice",
        ),
        (
            "%y = reverse %x axes=[-1]",
            "2:25: expected an integer, found `-`",
        ),
        ("%y = reverse %x axes=0", "2:24: expected `[`, found `0`"),
        (
            "%y = reshape %x shape=[2*9223372036854775807]",
            "2:26: the size overflows 64 bits",
        ),
        (
            "%y = reshape %x shape=[div(2, 0)]",
            "2:26: division by zero",
        ),
        (
            "%y = reshape %x shape=[sqrt(2, 2)]",
            "2:26: there is no function `sqrt` of sizes",
        ),
        (
            "%y = reshape %x shape=[99999999999999999999]",
            "2:26: `99999999999999999999` is not a 64-bit integer",
        ),
        (&deep, "2:89: nested too deeply"),
        (
            "%y = const value=1.2.3 elem=f32",
            "2:20: `1.2.3` is not a number",
        ),
        (
            "%y = const value=fine elem=f32",
            "2:20: `fine` is not a number",
        ),
        (
            "%e = slice %x starts=[2] ends=[2] steps=[1]\n  %y = gather %e, %i axis=0",
            "3:8: gather: an axis without elements has no index",
        ),
        (
            "%y = scatter_add %i, %x axis=0 size=0",
            "2:8: scatter_add: an axis without elements has no index",
        ),
        ("%y = random %i site=\"a", "2:23: the string does not end"),
        ("%y = random %i site=\"\\q\"", "2:24: no such escape"),
        (
            "%y = scan %x carries=1 scanned=0 length=2",
            "2:8: `scan` needs a region, `graph body(..) {..}`",
        ),
        ("%y = neg %x graph b() {}", "2:8: `neg` has no region"),
        (
            "result y = %x",
            "2:10: expected a name in quotes, found `y`",
        ),
        (
            "return \"y\" = %x",
            "2:3: expected `update` or `result`, found `return`",
        ),
        ("update \"y\" = %x", "2:10: there is no input `y`"),
        ("% = neg %x", "2:3: a value has no name after `%`"),
        ("@", "2:3: unexpected `@`"),
    ];
    for (line, expected) in cases {
        let error = parse(&format!("{start}{line}\n")).unwrap_err();
        assert_eq!(error.to_string(), expected, "{line}");
    }
    let inputs = parse("graph g(%x: f32[] = parm \"x\") {}").unwrap_err();
    assert_eq!(inputs.to_string(), "1:21: there is no role `parm`");
}

/// What a file of `tests/ir` expects.
#[derive(Default)]
struct Expected {
    stage: Option<Stage>,
    errors: Vec<String>,
    inputs: BTreeMap<String, Vec<f64>>,
    outputs: BTreeMap<String, Vec<f64>>,
    seed: u64,
}

impl Expected {
    fn of(text: &str) -> Expected {
        let mut expected = Expected::default();
        for line in text.lines().filter_map(|l| l.strip_prefix("#! ")) {
            if let Some(error) = line.strip_prefix("error: ") {
                expected.errors.push(error.into());
                continue;
            }
            let (word, rest) = line.split_once(' ').expect("a directive has an argument");
            match word {
                "stage" => expected.stage = Some(stage(rest)),
                "seed" => expected.seed = rest.parse().expect("a seed"),
                "input" | "output" => {
                    let (name, values) = rest.split_once('=').expect("NAME = VALUES");
                    let values = values.split_whitespace();
                    let values = values.map(|v| v.parse().expect("a number")).collect();
                    let list = if word == "input" {
                        &mut expected.inputs
                    } else {
                        &mut expected.outputs
                    };
                    let before = list.insert(name.trim().to_string(), values);
                    assert_eq!(before, None, "{name} is given twice");
                }
                _ => panic!("there is no directive `{word}`"),
            }
        }
        expected
    }

    fn check(&self, text: &str) {
        let graph = match parse(text) {
            Ok(graph) => graph,
            Err(e) => return assert_eq!([e.to_string()], self.errors[..]),
        };
        let found = verify(&graph, self.stage.unwrap_or(Stage::Built));
        let found = found.err().unwrap_or_default();
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, self.errors);
        if self.outputs.is_empty() {
            return assert!(
                self.inputs.is_empty() && !self.errors.is_empty(),
                "expects nothing"
            );
        }
        let inputs: Vec<Tensor> = graph
            .inputs
            .iter()
            .map(|input| {
                let ty = graph.ty(input.value);
                let values = &self.inputs.get(&*input.name);
                let values = values.unwrap_or_else(|| panic!("no value for {}", input.name));
                Tensor::from_values(ty.elem, &ty.sizes().expect("sizes"), values)
            })
            .collect();
        assert_eq!(inputs.len(), self.inputs.len(), "values for no input");
        let found = evaluate(&graph, &inputs, self.seed);
        let names: BTreeSet<&str> = graph.outputs.iter().map(|o| &*o.name).collect();
        let expected: BTreeSet<&str> = self.outputs.keys().map(String::as_str).collect();
        assert_eq!(names, expected);
        for (output, found) in graph.outputs.iter().zip(found) {
            let expected = Tensor::from_f64(found.shape(), &self.outputs[&*output.name]);
            let diff = found.max_rel_diff(&expected);
            assert!(diff <= 1e-6, "{}: {:?}", output.name, found.values());
        }
    }
}

fn stage(name: &str) -> Stage {
    match name {
        "built" => Stage::Built,
        "differentiated" => Stage::Differentiated,
        "specialized" => Stage::Specialized,
        _ => panic!("there is no stage `{name}`"),
    }
}

#[test]
fn files() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ir");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    for path in paths {
        println!("{}", path.display());
        let text = std::fs::read_to_string(&path).expect("a text");
        Expected::of(&text).check(&text);
    }
}
