//! Byte pair encoding: merges are learnt from counted words and applied to words, with the
//! results of Hugging Face's `tokenizers`. Words and pieces are lists of ids.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;

/// Two adjacent ids.
pub(super) type Pair = (u32, u32);

/// Learns merges, in order: the most frequent pair first, then that of the smallest ids.
/// `merged` gives the id that a pair becomes, or `None` when the vocabulary is full.
pub(super) fn learn(
    words: &mut [Vec<u32>],
    counts: &[u64],
    min_frequency: u64,
    mut merged: impl FnMut(Pair) -> Option<u32>,
) -> Vec<Pair> {
    let mut frequencies: FxHashMap<Pair, i64> = FxHashMap::default();
    let mut places: FxHashMap<Pair, Vec<usize>> = FxHashMap::default();
    for (i, word) in words.iter().enumerate() {
        for pair in word.windows(2) {
            let pair = (pair[0], pair[1]);
            *frequencies.entry(pair).or_default() += counts[i] as i64;
            add(places.entry(pair).or_default(), i);
        }
    }
    let mut queue = BinaryHeap::new();
    let mut learnt = Vec::new();
    loop {
        for (pair, places) in places.drain() {
            queue.push(Candidate {
                frequency: frequencies[&pair],
                pair: Reverse(pair),
                places,
            });
        }
        let Some(mut top) = queue.pop() else {
            break;
        };
        let Reverse(pair) = top.pair;
        // merges since then have used up some of them
        if top.frequency != frequencies[&pair] {
            top.frequency = frequencies[&pair];
            queue.push(top);
            continue;
        }
        if top.frequency < 1 || min_frequency > top.frequency as u64 {
            break;
        }
        let Some(new) = merged(pair) else {
            break;
        };
        learnt.push(pair);
        for i in top.places {
            merge(&mut words[i], pair, new, |changed, more| {
                let count = counts[i] as i64;
                let frequency = frequencies.entry(changed).or_default();
                *frequency += if more { count } else { -count };
                if more {
                    add(places.entry(changed).or_default(), i);
                }
            });
        }
    }
    learnt
}

/// A pair that may be merged next.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    frequency: i64,
    pair: Reverse<Pair>,
    /// Indices of words that have it.
    places: Vec<usize>,
}

fn add(places: &mut Vec<usize>, i: usize) {
    if places.last() != Some(&i) {
        places.push(i);
    }
}

/// Replaces a pair in a word by `new`, from left to right. `changed` gets the pairs that
/// the word has once more or once less; the replaced pair itself is not among them.
fn merge(word: &mut Vec<u32>, (a, b): Pair, new: u32, mut changed: impl FnMut(Pair, bool)) {
    let mut i = 0;
    while i + 1 < word.len() {
        if (word[i], word[i + 1]) == (a, b) {
            if let Some(before) = i.checked_sub(1).map(|i| word[i]) {
                changed((before, a), false);
                changed((before, new), true);
            }
            word[i] = new;
            word.remove(i + 1);
            if let Some(&after) = word.get(i + 1) {
                changed((b, after), false);
                changed((new, after), true);
            }
        }
        i += 1;
    }
}

/// Merges by rank: each pair with its rank and the id that it becomes.
#[derive(Debug, Default)]
pub(super) struct Merges(pub FxHashMap<Pair, (u32, u32)>);

impl Merges {
    /// Applies the merges to a word: the lowest rank first, then from left to right.
    pub(super) fn apply(&self, word: &mut Vec<u32>) {
        const END: usize = usize::MAX;
        // a merged place is empty; the others are a linked list
        let mut ids: Vec<Option<u32>> = word.iter().copied().map(Some).collect();
        let mut next: Vec<usize> = (1..=ids.len()).collect();
        let mut before: Vec<usize> = (0..ids.len()).map(|i| i.wrapping_sub(1)).collect();
        let mut queue = BinaryHeap::new();
        let found = |ids: &[Option<u32>], at: usize, next: usize| {
            let pair = (ids.get(at).copied()??, ids.get(next).copied()??);
            let (rank, new) = self.0.get(&pair)?;
            Some(Reverse((*rank, at, *new)))
        };
        queue.extend((1..ids.len()).filter_map(|i| found(&ids, i - 1, i)));
        while let Some(Reverse((_, at, new))) = queue.pop() {
            let after = next[at];
            // expired: one of the two has been merged since
            if found(&ids, at, after).is_none_or(|Reverse((_, _, id))| id != new) {
                continue;
            }
            ids[at] = Some(new);
            ids[after] = None;
            next[at] = next[after];
            if let Some(place) = before.get_mut(next[at]) {
                *place = at;
            }
            if before[at] != END {
                queue.extend(found(&ids, before[at], at));
            }
            queue.extend(found(&ids, at, next[at]));
        }
        word.clear();
        word.extend(ids.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_pairs_are_merged_from_the_left() {
        let mut word = vec![1, 1, 1, 1, 1];
        let mut changes = Vec::new();
        merge(&mut word, (1, 1), 2, |pair, more| {
            changes.push((pair, more));
        });
        assert_eq!(word, [2, 2, 1]);
        let merges = Merges([((1, 1), (0, 2)), ((2, 2), (1, 3))].into_iter().collect());
        let mut word = vec![1; 7];
        merges.apply(&mut word);
        assert_eq!(word, [3, 2, 1]);
    }

    #[test]
    fn the_lowest_rank_is_applied_first() {
        let ranks = [((2, 3), (0, 4)), ((1, 2), (1, 5)), ((1, 4), (2, 6))];
        let merges = Merges(ranks.into_iter().collect());
        let mut word = vec![1, 2, 3, 1, 2];
        merges.apply(&mut word);
        assert_eq!(word, [6, 5]);
    }
}
