//! Every path against a naive sum in f64: sizes around the vectors' and tiles' edges, all kinds of strides.

use super::*;
use crate::backend::fusion::contractions::BatchAxis;

/// A small generator, so that a failure repeats.
fn values(seed: u64, len: usize) -> Vec<f32> {
    (0..len as u64)
        .map(|i| crate::random::uniform([seed as u32, 9], 0, i) - 0.5)
        .collect()
}

/// Layouts of a [rows, cols] matrix: row-major, transposed, padded rows, every second column, both strides odd.
fn layouts(rows: usize, cols: usize) -> [Strides; 5] {
    [
        (cols.max(1), 1),
        (1, rows.max(1)),
        (cols + 3, 1),
        (2 * cols + 1, 2),
        (3, 3 * rows + 2),
    ]
}

fn extent(rows: usize, cols: usize, (rs, cs): Strides) -> usize {
    if rows * cols == 0 {
        1
    } else {
        (rows - 1) * rs + (cols - 1) * cs + 1
    }
}

struct Case {
    shape: MatMul,
    a: Vec<f32>,
    b: Vec<f32>,
    c: Vec<f32>,
    bias: Vec<f32>,
}

impl Case {
    fn new(shape: MatMul) -> Case {
        let MatMul {
            m, n, k, a, b, c, ..
        } = shape;
        let beyond = |f: fn(&BatchAxis) -> usize| -> usize {
            shape.batch.iter().map(|x| (x.len - 1) * f(x)).sum()
        };
        Case {
            a: values(1, extent(m, k, a) + beyond(|x| x.a)),
            b: values(2, extent(k, n, b) + beyond(|x| x.b)),
            c: values(3, extent(m, n, c) + beyond(|x| x.c)),
            bias: values(4, n),
            shape,
        }
    }

    fn run(&self, features: Features, pool: &Pool, epilogue: Epilogue) -> Vec<f32> {
        let gemm = Gemm::new(self.shape.clone(), features);
        let mut scratch = vec![0u64; gemm.scratch_bytes().div_ceil(8)];
        let mut c = self.c.clone();
        // SAFETY: the vectors are as long as the shape says.
        unsafe {
            let scratch = scratch.as_mut_ptr().cast();
            gemm.run(
                pool,
                self.a.as_ptr(),
                self.b.as_ptr(),
                c.as_mut_ptr(),
                scratch,
                epilogue,
            );
        }
        c
    }

    /// Compares each element of C, and that what lies between them is untouched.
    fn check(&self, got: &[f32], bias: bool, relu: bool, what: &str) {
        let s = &self.shape;
        let mut expected: Vec<f64> = self.c.iter().map(|&x| f64::from(x)).collect();
        for index in 0..s.batch.iter().map(|x| x.len).product() {
            let (mut a, mut b, mut c, mut rest) = (0, 0, 0, index);
            for x in s.batch.iter().rev() {
                let i = rest % x.len;
                rest /= x.len;
                (a, b, c) = (a + i * x.a, b + i * x.b, c + i * x.c);
            }
            for i in 0..s.m {
                for j in 0..s.n {
                    let products = (0..s.k).map(|l| {
                        f64::from(self.a[a + i * s.a.0 + l * s.a.1])
                            * f64::from(self.b[b + l * s.b.0 + j * s.b.1])
                    });
                    let mut sum = products.sum::<f64>();
                    let at = c + i * s.c.0 + j * s.c.1;
                    sum += if s.accumulate { expected[at] } else { 0.0 };
                    sum += if bias { f64::from(self.bias[j]) } else { 0.0 };
                    expected[at] = if relu { sum.max(0.0) } else { sum };
                }
            }
        }
        let tolerance = 1e-6 * (s.k as f64 + 4.0);
        for (at, (&got, &expected)) in got.iter().zip(&expected).enumerate() {
            assert!(
                (f64::from(got) - expected).abs() <= tolerance,
                "{what} {s:?}: {got}, not {expected}, at {at}"
            );
        }
    }
}

fn plain(m: usize, n: usize, k: usize) -> MatMul {
    MatMul {
        m,
        n,
        k,
        a: (k, 1),
        b: (n, 1),
        c: (n, 1),
        accumulate: false,
        batch: vec![],
    }
}

#[test]
fn all_paths_all_strides() {
    let pool = Pool::new(2);
    let sizes = [1, 2, 5, 8, 10, 17, 33, 49];
    for features in Features::available() {
        let mut turn = 0;
        for m in sizes {
            for n in sizes {
                for k in [0, 1, 16, 35] {
                    // All 125 combinations of layouts come round.
                    turn += 7;
                    let (a, b, c) = (
                        layouts(m, k)[turn % 5],
                        layouts(k, n)[turn / 5 % 5],
                        layouts(m, n)[turn / 25 % 5],
                    );
                    let case = Case::new(MatMul {
                        m,
                        n,
                        k,
                        a,
                        b,
                        c,
                        accumulate: turn % 2 == 0,
                        batch: vec![],
                    });
                    case.check(
                        &case.run(features, &pool, Epilogue::None),
                        false,
                        false,
                        "plain",
                    );
                    let relu = turn % 3 == 0;
                    let epilogue = Epilogue::Bias {
                        bias: case.bias.as_ptr(),
                        relu,
                    };
                    case.check(&case.run(features, &pool, epilogue), true, relu, "bias");
                }
            }
        }
    }
}

/// Shapes long enough for several blocks of k, several tasks, and for k to be cut.
#[test]
fn large_shapes() {
    let pool = Pool::new(2);
    let shapes = [
        plain(129, 130, 257),
        MatMul {
            a: (1, 130),
            ..plain(130, 70, 400)
        },
        MatMul {
            b: (1, 300),
            accumulate: true,
            ..plain(40, 129, 300)
        },
        MatMul {
            c: (1, 40),
            ..plain(40, 129, 200)
        },
        MatMul {
            accumulate: true,
            ..plain(5, 7, 5_000)
        },
        MatMul {
            c: (1, 5),
            a: (1, 5),
            ..plain(5, 17, 2_000)
        },
        plain(1, 1000, 300),
        MatMul {
            c: (1, 1),
            ..plain(1000, 1, 300)
        },
    ];
    for features in Features::available() {
        for shape in &shapes {
            let case = Case::new(shape.clone());
            case.check(
                &case.run(features, &pool, Epilogue::None),
                false,
                false,
                "plain",
            );
            let epilogue = Epilogue::Bias {
                bias: case.bias.as_ptr(),
                relu: true,
            };
            case.check(&case.run(features, &pool, epilogue), true, true, "bias");
        }
    }
}

#[test]
fn batches() {
    let pool = Pool::new(2);
    for features in Features::available() {
        for (m, n, k, outer) in [
            (5, 17, 9, 7),
            (32, 16, 8, 40),
            (1, 3, 2, 0),
            (70, 96, 70, 3),
        ] {
            let axis = |len, a, b, c| BatchAxis { len, a, b, c };
            let batch = vec![
                axis(outer, 2 * m * k, k * n, 2 * m * n),
                axis(2, m * k, 0, m * n),
            ];
            if outer == 0 {
                let gemm = Gemm::new(
                    MatMul {
                        batch,
                        ..plain(m, n, k)
                    },
                    features,
                );
                let null = std::ptr::null_mut::<f32>();
                // SAFETY: nothing is described.
                unsafe { gemm.run(&pool, null, null, null, null.cast(), Epilogue::None) };
                continue;
            }
            let case = Case::new(MatMul {
                batch,
                ..plain(m, n, k)
            });
            case.check(
                &case.run(features, &pool, Epilogue::None),
                false,
                false,
                "batch",
            );
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let shapes = [
        plain(64, 256, 200),
        plain(200, 256, 64),
        plain(128, 10, 512),
        plain(9, 9, 10_000),
    ];
    for features in Features::available() {
        for shape in &shapes {
            let case = Case::new(shape.clone());
            let run = |threads| {
                let c = case.run(features, &Pool::new(threads), Epilogue::None);
                c.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            let one = run(1);
            assert!(one == run(2) && one == run(3), "{features:?} {shape:?}");
        }
    }
}

/// Each element of C is handed out once, complete, with its own coordinates.
#[test]
fn tiles_cover_once() {
    unsafe extern "C" fn negate(tile: &Tile, ctx: *const c_void) {
        // SAFETY: C's strides, as the test passes them.
        unsafe {
            let (c, strides) = *ctx.cast::<(*mut f32, Strides)>();
            for i in 0..tile.rows {
                for j in 0..tile.cols {
                    let x = tile.data.add(i * tile.rs + j * tile.cs);
                    let at = (tile.row + i) * strides.0 + (tile.col + j) * strides.1;
                    assert_eq!(x, c.add(at + tile.batch * 200 * 200));
                    *x = -1.0 - *x;
                }
            }
        }
    }
    let pool = Pool::new(2);
    for features in Features::available() {
        for (m, n, k) in [(3, 5, 4), (130, 100, 300), (9, 11, 2000)] {
            for c in [(n, 1), (1, m), (2 * n, 2)] {
                let batch = vec![BatchAxis {
                    len: 2,
                    a: m * k,
                    b: 0,
                    c: 200 * 200,
                }];
                let case = Case::new(MatMul {
                    c,
                    batch,
                    ..plain(m, n, k)
                });
                let expected = case.run(features, &pool, Epilogue::None);
                let gemm = Gemm::new(case.shape.clone(), features);
                let mut scratch = vec![0u64; gemm.scratch_bytes().div_ceil(8)];
                let mut got = case.c.clone();
                let ctx = (got.as_mut_ptr(), c);
                // SAFETY: the vectors are as long as the shape says.
                unsafe {
                    let ctx = (&raw const ctx).cast();
                    let (a, b, scratch) = (
                        case.a.as_ptr(),
                        case.b.as_ptr(),
                        scratch.as_mut_ptr().cast(),
                    );
                    gemm.run(
                        &pool,
                        a,
                        b,
                        got.as_mut_ptr(),
                        scratch,
                        Epilogue::Tile { f: negate, ctx },
                    );
                }
                for batch in 0..2 {
                    for i in 0..m {
                        for j in 0..n {
                            let at = batch * 200 * 200 + i * c.0 + j * c.1;
                            assert_eq!(
                                got[at],
                                -1.0 - expected[at],
                                "{m} {n} {k} {c:?} at {i} {j}"
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn double_precision() {
    let pool = Pool::new(3);
    for (a, b, c) in [(0, 1, 2), (3, 4, 0), (4, 0, 2)] {
        let (m, n, k) = (7, 19, 11);
        let batch = vec![BatchAxis {
            len: 3,
            a: 0,
            b: 5,
            c: 1000,
        }];
        let (a, b, c) = (layouts(m, k)[a], layouts(k, n)[b], layouts(m, n)[c]);
        let case = Case::new(MatMul {
            m,
            n,
            k,
            a,
            b,
            c,
            accumulate: false,
            batch,
        });
        let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
        let (a, b, mut c) = (wide(&case.a), wide(&case.b), wide(&case.c));
        // SAFETY: the vectors are as long as the shape says.
        unsafe {
            double::multiply(&pool, &case.shape, a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
        }
        let narrow: Vec<f32> = c.iter().map(|&x| x as f32).collect();
        case.check(&narrow, false, false, "double");
    }
}
