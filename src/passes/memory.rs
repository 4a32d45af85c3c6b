//! Memory planning: buffers that are alive at different times share a place.
//!
//! Offsets in one arena for intervals of steps, largest first, each at the tightest gap that is free for all of its
//! life (best fit by size; Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020).
//! The arena that results is what a back end allocates, so a peak predicted from it is the peak.

/// Alignment of every buffer in bytes: a cache line, and the widest vector.
pub const ALIGN: usize = 64;

/// A buffer's size in bytes and the first and the last step that touch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    pub bytes: usize,
    pub first: usize,
    pub last: usize,
}

/// Offsets by request, and the bytes of the arena.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Arena {
    pub offsets: Vec<usize>,
    pub bytes: usize,
}

pub fn plan(requests: &[Request]) -> Arena {
    let mut order: Vec<usize> = (0..requests.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(requests[i].bytes), requests[i].first, i));
    let mut arena = Arena {
        offsets: vec![0; requests.len()],
        bytes: 0,
    };
    // (offset, end, request), by offset
    let mut placed: Vec<(usize, usize, usize)> = Vec::new();
    for i in order {
        let r = &requests[i];
        let size = r.bytes.next_multiple_of(ALIGN);
        if size == 0 {
            continue;
        }
        let (mut at, mut best) = (0, None::<(usize, usize)>);
        let together = |o: &Request| o.first <= r.last && r.first <= o.last;
        for &(start, end, _) in placed.iter().filter(|p| together(&requests[p.2])) {
            if start > at {
                let gap = start - at;
                if gap >= size && best.is_none_or(|(g, _)| gap < g) {
                    best = Some((gap, at));
                }
            }
            at = at.max(end);
        }
        let offset = best.map_or(at, |(_, o)| o);
        arena.offsets[i] = offset;
        arena.bytes = arena.bytes.max(offset + size);
        let place = placed.partition_point(|p| p.0 < offset);
        placed.insert(place, (offset, offset + size, i));
    }
    arena
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(list: &[(usize, usize, usize)]) -> Vec<Request> {
        let request = |&(bytes, first, last)| Request { bytes, first, last };
        list.iter().map(request).collect()
    }

    #[test]
    fn what_is_alive_together_is_apart() {
        // A deterministic tangle of intervals.
        let mut state = 1u64;
        let mut next = |n: u64| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 33) % n
        };
        let list: Vec<_> = (0..200)
            .map(|_| {
                let first = next(100) as usize;
                (next(5000) as usize, first, first + next(20) as usize)
            })
            .collect();
        let r = requests(&list);
        let arena = plan(&r);
        for i in 0..r.len() {
            assert_eq!(arena.offsets[i] % ALIGN, 0);
            assert!(arena.offsets[i] + r[i].bytes <= arena.bytes);
            for j in 0..i {
                let together = r[i].first <= r[j].last && r[j].first <= r[i].last;
                let apart = arena.offsets[i] + r[i].bytes <= arena.offsets[j]
                    || arena.offsets[j] + r[j].bytes <= arena.offsets[i];
                assert!(!together || apart, "{i} {j}");
            }
        }
        // Never worse than twice what is alive at the worst moment.
        let alive = |t: usize| -> usize {
            let at = r.iter().filter(|r| r.first <= t && t <= r.last);
            at.map(|r| r.bytes.next_multiple_of(ALIGN)).sum()
        };
        let peak = (0..130).map(alive).max().unwrap_or(0);
        assert!(arena.bytes < 2 * peak, "{} for {peak}", arena.bytes);
    }

    #[test]
    fn a_chain_needs_two_buffers() {
        let chain: Vec<_> = (0..10).map(|i| (640, i, i + 1)).collect();
        assert_eq!(plan(&requests(&chain)).bytes, 1280);
        assert_eq!(plan(&requests(&[(0, 0, 5), (1, 0, 0)])).bytes, 64);
    }
}
