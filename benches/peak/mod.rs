//! What this machine can do at most, measured: shared by the benches.

use nnc::backend::cpu::machine::features::{Features, Isa};
use nnc::backend::cpu::machine::pool::Pool;
use std::hint::black_box;
use std::time::Instant;

/// The least seconds per call over many runs of `calls` calls.
pub(crate) fn best(calls: usize, mut f: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut least = f64::INFINITY;
    let mut runs = 0;
    while runs < 10 || start.elapsed().as_secs_f64() < 0.3 {
        let run = Instant::now();
        (0..calls).for_each(|_| f());
        least = least.min(run.elapsed().as_secs_f64() / calls as f64);
        runs += 1;
    }
    least
}

/// GFLOP/s of independent multiply-adds on registers.
pub(crate) fn peak(features: Features, pool: &Pool) -> f64 {
    let kernel: fn() -> usize = match features.isa() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the instruction set was found.
        Isa::Avx512 => || unsafe { x86::wide() },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx2 => || unsafe { x86::middle() },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the target guarantees SSE2.
        Isa::Baseline => || unsafe { x86::narrow() },
        #[cfg(not(target_arch = "x86_64"))]
        _ => narrow,
    };
    let flops = kernel() * pool.threads();
    let seconds = best(1, || {
        pool.run(pool.threads(), &|_| {
            black_box(kernel());
        });
    });
    1e-9 * flops as f64 / seconds
}

const STEPS: usize = 100_000;

#[cfg(not(target_arch = "x86_64"))]
/// Multiplies and adds on twelve registers of four lanes; gives the number of operations.
fn narrow() -> usize {
    let mut acc = [[1.0f32; 4]; 12];
    let (x, y) = black_box(([0.999f32; 4], [0.001f32; 4]));
    for _ in 0..STEPS {
        acc = acc.map(|acc| std::array::from_fn(|lane| acc[lane] * x[lane] + y[lane]));
    }
    black_box(acc);
    2 * 12 * 4 * STEPS
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::STEPS;
    use std::arch::x86_64::*;
    use std::hint::black_box;

    #[target_feature(enable = "avx512f")]
    pub(super) fn wide() -> usize {
        let mut acc = [_mm512_set1_ps(1.0); 16];
        let (x, y) = (
            _mm512_set1_ps(black_box(0.999)),
            _mm512_set1_ps(black_box(0.001)),
        );
        for _ in 0..STEPS {
            for acc in &mut acc {
                *acc = _mm512_fmadd_ps(*acc, x, y);
            }
        }
        black_box(acc.into_iter().reduce(|a, b| _mm512_add_ps(a, b)));
        2 * 16 * 16 * STEPS
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn middle() -> usize {
        let mut acc = [_mm256_set1_ps(1.0); 12];
        let (x, y) = (
            _mm256_set1_ps(black_box(0.999)),
            _mm256_set1_ps(black_box(0.001)),
        );
        for _ in 0..STEPS {
            for acc in &mut acc {
                *acc = _mm256_fmadd_ps(*acc, x, y);
            }
        }
        black_box(acc.into_iter().reduce(|a, b| _mm256_add_ps(a, b)));
        2 * 12 * 8 * STEPS
    }

    #[target_feature(enable = "sse2")]
    pub(super) fn narrow() -> usize {
        let mut acc = [_mm_set1_ps(1.0); 14];
        let (x, y) = (_mm_set1_ps(black_box(0.999)), _mm_set1_ps(black_box(0.001)));
        for _ in 0..STEPS {
            for acc in &mut acc {
                *acc = _mm_add_ps(_mm_mul_ps(*acc, x), y);
            }
        }
        black_box(acc.into_iter().reduce(|a, b| _mm_add_ps(a, b)));
        2 * 14 * 4 * STEPS
    }
}
