//! How a product is cut into tasks: a function of its shape and the vector width alone.
//!
//! A task is a rectangle of C, or several whole matrices of a batch, or, where C is small and k long, a rectangle and a
//! range of k whose partial sums are added up in order afterwards. Counts are powers of two, so that two or
//! four threads get equal shares.

/// Numbers of parts along each axis. A task is `group` consecutive parts, counted batch, rows, columns, k.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Split {
    pub rows: usize,
    pub columns: usize,
    pub depth: usize,
    pub group: usize,
    pub tasks: usize,
}

/// Below this, starting a second thread costs more than it gains: 0.5 us of one core.
const TOO_SMALL: usize = 150_000;
/// About 15 us of one core: small enough that a thread that lost its core is not waited for long.
const TASK: usize = 4_000_000;
const MOST_TASKS: usize = 64;
/// A part is at least this deep, so that the sums outweigh writing and adding up what they give.
const LEAST_DEPTH: usize = 128;

/// Cuts `batch` products of m rows, `vectors` vectors of columns and depth k, of `flops` operations in all.
pub(super) fn split(batch: usize, m: usize, vectors: usize, k: usize, flops: usize) -> Split {
    let batch = batch.max(1);
    let mut split = Split {
        rows: 1,
        columns: 1,
        depth: 1,
        group: 1,
        tasks: 1,
    };
    let want = if flops < TOO_SMALL {
        1
    } else {
        flops
            .div_ceil(TASK)
            .next_power_of_two()
            .clamp(2, MOST_TASKS)
    };
    if batch >= want {
        split.group = batch.div_ceil(want).max(1);
    } else {
        let mut left = want.div_ceil(batch);
        // Columns first, down to two panels: each is packed once. Then rows, then columns again, then k.
        for (columns, least) in [(true, 6), (false, 24), (true, 2), (false, 8)] {
            let (parts, size) = if columns {
                (&mut split.columns, vectors)
            } else {
                (&mut split.rows, m)
            };
            while left > 1 && size >= 2 * *parts * least {
                (*parts, left) = (*parts * 2, left.div_ceil(2));
            }
        }
        while left > 1 && k >= 2 * split.depth * LEAST_DEPTH {
            (split.depth, left) = (split.depth * 2, left.div_ceil(2));
        }
    }
    split.tasks = (batch * split.rows * split.columns * split.depth).div_ceil(split.group);
    split
}

/// Part `i` of `0..size` cut into `parts` that differ by at most one.
pub(super) fn part(size: usize, parts: usize, i: usize) -> (usize, usize) {
    (i * size / parts, (i + 1) * size / parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_products_are_cut_evenly_and_small_ones_not() {
        let of = |batch, m: usize, n: usize, k: usize| {
            split(batch, m, n.div_ceil(16), k, 2 * batch * m * n * k)
        };
        assert_eq!(of(1, 32, 16, 8).tasks, 1);
        for (m, n, k) in [
            (128, 512, 784),
            (784, 512, 128),
            (128, 10, 512),
            (512, 10, 128),
            (32, 512, 128),
            (27, 32, 100_000),
        ] {
            let split = of(1, m, n, k);
            assert!(
                split.tasks >= 2 && split.tasks.is_power_of_two(),
                "{m} {n} {k}: {split:?}"
            );
        }
        let many = of(1024, 32, 16, 8);
        assert_eq!((many.rows, many.columns, many.depth), (1, 1, 1));
        assert_eq!(many.tasks * many.group, 1024);
    }

    #[test]
    fn parts_cover() {
        for parts in 1..9 {
            let mut at = 0;
            for i in 0..parts {
                let (start, end) = part(23, parts, i);
                assert!(start == at && (end - start).abs_diff(23 / parts) <= 1);
                at = end;
            }
            assert_eq!(at, 23);
        }
    }
}
