//! Convolutions and windows of the CPU back end against the interpreter, of sizes that take several blocks of
//! columns and several tasks; and bit by bit the same for any number of threads.

use nnc::backend::cpu::machine::features::Features;
use nnc::backend::interp::evaluate;
use nnc::ir::prim::{ConvDims, Prim, WindowDims, WindowOp};
use nnc::ir::{Dim, Elem, Graph, OriginId, OutputRole, Role, Tensor, Type};

use crate::cpu::run;
use crate::support::random_graph::Random;

struct Conv {
    name: &'static str,
    x: &'static [usize],
    kernel: &'static [usize],
    strides: &'static [usize],
    dilation: &'static [usize],
    low: &'static [usize],
    high: &'static [usize],
    groups: usize,
}

const CONVS: &[Conv] = &[
    Conv {
        name: "an image of one channel, two blocks",
        x: &[2, 28, 28, 1],
        kernel: &[3, 3, 1, 17],
        strides: &[1, 1],
        dilation: &[1, 1],
        low: &[0, 0],
        high: &[0, 0],
        groups: 1,
    },
    Conv {
        name: "several tasks",
        x: &[5, 12, 13, 24],
        kernel: &[3, 3, 24, 33],
        strides: &[1, 1],
        dilation: &[1, 1],
        low: &[1, 1],
        high: &[1, 1],
        groups: 1,
    },
    Conv {
        name: "a kernel that is shared out",
        x: &[1, 7, 8, 130],
        kernel: &[3, 2, 130, 88],
        strides: &[1, 1],
        dilation: &[1, 1],
        low: &[1, 0],
        high: &[1, 1],
        groups: 1,
    },
    Conv {
        name: "same padding, a stride that does not divide",
        x: &[3, 9, 14, 19],
        kernel: &[3, 4, 19, 35],
        strides: &[2, 2],
        dilation: &[1, 1],
        low: &[1, 1],
        high: &[1, 2],
        groups: 1,
    },
    Conv {
        name: "more channels than a block of columns has",
        x: &[1, 3, 5, 1030],
        kernel: &[2, 2, 1030, 3],
        strides: &[1, 2],
        dilation: &[1, 1],
        low: &[0, 1],
        high: &[1, 0],
        groups: 1,
    },
    Conv {
        name: "too many channels for columns",
        x: &[1, 2, 4100],
        kernel: &[2, 4100, 2],
        strides: &[1],
        dilation: &[1],
        low: &[0],
        high: &[1],
        groups: 1,
    },
    Conv {
        name: "windows of one place are a product",
        x: &[4, 6, 5, 33],
        kernel: &[1, 1, 33, 18],
        strides: &[1, 1],
        dilation: &[1, 1],
        low: &[0, 0],
        high: &[0, 0],
        groups: 1,
    },
    Conv {
        name: "windows of one place, by strides",
        x: &[4, 6, 5, 33],
        kernel: &[1, 1, 33, 18],
        strides: &[2, 3],
        dilation: &[1, 1],
        low: &[0, 0],
        high: &[0, 0],
        groups: 1,
    },
    Conv {
        name: "groups and dilation",
        x: &[3, 8, 9, 12],
        kernel: &[3, 2, 4, 9],
        strides: &[1, 1],
        dilation: &[2, 3],
        low: &[2, 1],
        high: &[2, 2],
        groups: 3,
    },
    Conv {
        name: "depthwise",
        x: &[3, 7, 8, 37],
        kernel: &[3, 3, 1, 37],
        strides: &[1, 2],
        dilation: &[2, 1],
        low: &[1, 1],
        high: &[1, 1],
        groups: 37,
    },
    Conv {
        name: "depthwise, several filters a channel",
        x: &[2, 9, 5],
        kernel: &[3, 1, 15],
        strides: &[2],
        dilation: &[1],
        low: &[2],
        high: &[0],
        groups: 5,
    },
    Conv {
        name: "causal over a long sequence",
        x: &[3, 400, 5],
        kernel: &[3, 5, 6],
        strides: &[1],
        dilation: &[7],
        low: &[14],
        high: &[0],
        groups: 1,
    },
    Conv {
        name: "volumes",
        x: &[2, 5, 4, 6, 3],
        kernel: &[2, 3, 3, 3, 8],
        strides: &[1, 2, 1],
        dilation: &[2, 1, 1],
        low: &[1, 0, 1],
        high: &[0, 1, 1],
        groups: 1,
    },
    Conv {
        name: "strides above the window",
        x: &[2, 11, 10, 4],
        kernel: &[2, 1, 4, 6],
        strides: &[3, 4],
        dilation: &[1, 1],
        low: &[0, 0],
        high: &[0, 0],
        groups: 1,
    },
];

fn tensor(seed: u64, shape: &[usize]) -> Tensor {
    let mut random = Random(seed);
    let mut draw = |_| random.below(2001) as f32 / 1000.0 - 1.0;
    let values: Vec<f32> = (0..shape.iter().product()).map(&mut draw).collect();
    Tensor::from_f32(shape, &values)
}

fn dims(sizes: &[usize]) -> Vec<Dim> {
    sizes.iter().map(|&n| Dim::from(n)).collect()
}

/// A graph of one node over tensors.
fn alone(prim: Prim, args: &[Tensor]) -> Graph {
    let mut g = Graph::new("alone");
    let inputs: Vec<_> = args
        .iter()
        .enumerate()
        .map(|(i, a)| g.input(&format!("x{i}"), Role::Plain, a.ty()))
        .collect();
    let y = g.push1(prim, &inputs, OriginId::default()).expect("typed");
    g.output("y", OutputRole::Result, y);
    g
}

/// Every instruction set and number of threads gives the interpreter's result, to rounding; the threads not a bit apart.
fn check(name: &str, prim: Prim, args: &[Tensor], allowed: f64) {
    let graph = alone(prim, args);
    let expected = evaluate(&graph, args, 0).remove(0).values();
    for features in Features::available() {
        let found = run(&graph, args, 0, 1, features);
        let bits =
            |t: &[Tensor]| -> Vec<u64> { t[0].values().iter().map(|v| v.to_bits()).collect() };
        for threads in [2, 3] {
            let others = run(&graph, args, 0, threads, features);
            assert_eq!(bits(&found), bits(&others), "{name}: {threads} threads");
        }
        for (i, (f, e)) in found[0].values().iter().zip(&expected).enumerate() {
            let same = f == e || (f.is_nan() && e.is_nan());
            assert!(
                same || (f - e).abs() <= allowed,
                "{name} {features:?}: element {i}: {f} for {e}"
            );
        }
    }
}

impl Conv {
    fn dims(&self) -> ConvDims {
        ConvDims {
            strides: self.strides.to_vec(),
            dilation: self.dilation.to_vec(),
            low: dims(self.low),
            high: dims(self.high),
            groups: self.groups,
        }
    }

    fn check(&self) {
        let conv = self.dims();
        let n = self.strides.len();
        let (x, kernel) = (tensor(1, self.x), tensor(2, self.kernel));
        let y = nnc::ir::infer::infer(&Prim::Conv(conv.clone()), &[&x.ty(), &kernel.ty()]);
        let y = y.expect("a window that fits")[0].sizes().expect("sizes");
        let dy = tensor(3, &y);
        // Of sums of so many products of numbers below 1, with some room.
        let rounding = |terms: usize| 8.0 * f64::from(f32::EPSILON) * (terms as f64);
        let places = y[..=n].iter().product::<usize>();
        let reached = self.kernel[..n].iter().product::<usize>();
        let prim = Prim::Conv(conv.clone());
        check(
            self.name,
            prim,
            &[x.clone(), kernel.clone()],
            rounding(reached * self.kernel[n]),
        );
        let prim = Prim::ConvInputGrad {
            conv: conv.clone(),
            spatial: dims(&self.x[1..=n]),
        };
        check(
            self.name,
            prim,
            &[dy.clone(), kernel],
            rounding(reached * self.kernel[n + 1]),
        );
        let prim = Prim::ConvKernelGrad {
            conv,
            kernel: dims(&self.kernel[..n]),
        };
        check(self.name, prim, &[x, dy], rounding(places));
    }
}

#[test]
fn convolutions_of_many_blocks_agree_with_the_interpreter() {
    for conv in CONVS {
        conv.check();
    }
}

/// Ties, NaN and infinities among the numbers; windows that overlap, leave gaps, and stand on padding alone.
#[test]
fn windows_agree_with_the_interpreter_at_the_edges() {
    let cases: [(&[usize], [&[usize]; 4]); 5] = [
        (&[3, 8, 9, 70], [&[2, 2], &[2, 2], &[0, 0], &[0, 0]]),
        (&[2, 7, 6, 5], [&[3, 3], &[1, 2], &[1, 1], &[1, 1]]),
        (&[2, 9, 3], [&[2], &[3], &[0], &[1]]),
        (
            &[2, 4, 5, 3, 6],
            [&[2, 1, 2], &[1, 2, 2], &[0, 0, 1], &[1, 0, 0]],
        ),
        (&[1, 3, 4], [&[2], &[1], &[2], &[3]]),
    ];
    for (shape, [window, strides, low, high]) in cases {
        let mut random = Random(7);
        let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 0.0];
        let count = shape.iter().product();
        let mut draw = |special: bool| -> Vec<f32> {
            let few = |r: &mut Random| r.below(5) as f32 - 2.0;
            (0..count)
                .map(|_| match random.below(12) {
                    0 if special => random.of(&odd),
                    _ => few(&mut random),
                })
                .collect()
        };
        let dims = WindowDims {
            window: window.to_vec(),
            strides: strides.to_vec(),
            low: dims(low),
            high: dims(high),
        };
        for (op, special) in [(WindowOp::Max, true), (WindowOp::Sum, false)] {
            let x = Tensor::from_f32(shape, &draw(special));
            let prim = Prim::Window {
                op,
                dims: dims.clone(),
            };
            let y = nnc::ir::infer::infer(&prim, &[&x.ty()]).expect("a window that fits");
            let dy = tensor(4, &y[0].sizes().expect("sizes"));
            check("window", prim, std::slice::from_ref(&x), 1e-5);
            let prim = Prim::WindowGrad {
                op,
                dims: dims.clone(),
            };
            check("gradient of a window", prim, &[x, dy], 1e-5);
        }
    }
}

/// No image: the kernel's gradient is zeros, the others have no elements.
#[test]
fn convolutions_of_nothing() {
    let conv = CONVS[0].dims();
    let of = |shape: &[usize]| Tensor::of_type(&Type::of(Elem::F32, shape)).expect("a tensor");
    let (x, dy) = (of(&[0, 28, 28, 1]), of(&[0, 26, 26, 17]));
    let prim = Prim::ConvKernelGrad {
        conv,
        kernel: dims(&[3, 3]),
    };
    check("no image", prim, &[x, dy], 0.0);
}
