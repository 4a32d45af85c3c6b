//! Passes keep what random graphs compute, and their text reads back after each.

use nnc::backend::interp::evaluate;
use nnc::ir::text_parse::parse;
use nnc::ir::{Bindings, verify};
use nnc::passes::PIPELINE;

use crate::support::differences::all_f64;
use crate::support::random_graph::{Limits, random_graph, random_inputs};

#[test]
fn every_pass_keeps_the_results() {
    let limits = Limits {
        attempts: 50,
        symbols: false,
        gradients: false,
    };
    let mut smaller = 0;
    for seed in 5000..5060 {
        let graph = all_f64(&random_graph(seed, limits));
        let inputs = random_inputs(&graph, seed);
        let expected = evaluate(&graph, &inputs, seed);
        let mut passed = graph.clone();
        for pass in PIPELINE {
            let before = passed.to_string();
            let told = || format!("seed {seed}, {}\n{before}", pass.name);
            passed = (pass.run)(&passed).unwrap_or_else(|e| panic!("{}: {e}", told()));
            assert_eq!(verify(&passed, pass.stage), Ok(()), "{}", told());
            let text = passed.to_string();
            let read = parse(&text).unwrap_or_else(|e| panic!("{}\n{text}: {e}", told()));
            assert_eq!(read.to_string(), without_comments(&text), "{}", told());
            let runs = passed.specialize(&Bindings::new()).expect("no symbols");
            let found = evaluate(&runs, &inputs, seed);
            for ((o, found), expected) in graph.outputs.iter().zip(found).zip(&expected) {
                let diff = found.max_rel_diff(expected);
                let (name, text) = (&o.name, told());
                assert!(
                    found.ty() == expected.ty() && diff <= 1e-9,
                    "{text}output {name}: {:?}, before {:?}\n{passed}",
                    found.values(),
                    expected.values()
                );
            }
        }
        smaller += usize::from(passed.nodes.len() < graph.nodes.len());
    }
    assert!(smaller > 30, "{smaller} graphs became smaller");
}

/// What the text shows of origins is not read back.
fn without_comments(text: &str) -> String {
    let lines = text.lines().map(|l| l.split("  # ").next().unwrap_or(l));
    lines.flat_map(|l| [l, "\n"]).collect()
}
