//! Texts as numbers, with the semantics of Keras' `Tokenizer` and `pad_sequences`.
//!
//! ```text
//! words         a text cut into words
//! pieces        a text as byte pairs
//! merges        byte pair encoding: merges learnt and applied
//! vocabulary    words counted in training texts; their ids
//! ids           lists of ids: padded to one length, counted into bags
//! vectors       files of word vectors
//! ```

mod ids;
mod merges;
mod pieces;
mod vectors;
mod vocabulary;
mod words;

pub use ids::{BagMode, Ids, Side};
pub use vectors::{Vectors, read_vectors};
pub use vocabulary::{Vocabulary, Word};
pub use words::{Numbering, Rules};

/// What Keras' `Tokenizer` takes for blanks.
pub const FILTERS: &str = "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n";

/// Runs `f` over `items` cut into as many adjacent pieces as there are threads, and
/// gives the results in the order of the pieces.
fn in_pieces<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    f: impl Fn(&[T]) -> R + Sync,
) -> Vec<R> {
    let size = items.len().div_ceil(threads.max(1)).max(1);
    if items.len() <= size {
        return vec![f(items)];
    }
    std::thread::scope(|scope| {
        let pieces: Vec<&[T]> = items.chunks(size).collect();
        let started: Vec<_> = pieces
            .iter()
            .map(|&piece| std::thread::Builder::new().spawn_scoped(scope, || f(piece)))
            .collect();
        let joined = started.into_iter().zip(&pieces).map(|(thread, piece)| {
            match thread.map(|t| t.join()) {
                Ok(Ok(result)) => result,
                Ok(Err(panic)) => std::panic::resume_unwind(panic),
                // no thread is to be had
                Err(_) => f(piece),
            }
        });
        joined.collect()
    })
}
