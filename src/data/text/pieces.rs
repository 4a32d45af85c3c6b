//! Texts as byte pairs: GPT-2's form of byte pair encoding (Sennrich, Haddow and Birch,
//! 2016; Radford et al., 2019), trained and applied by the `tokenizers` crate.
//!
//! A text is cut into words, a blank belonging to the word behind it, and a word into
//! bytes; the pair that is there most often becomes a piece, then the next. Pairs are never
//! made across words. Every text can be written, so no piece stands for what is unknown.
//! Bytes are written as characters, a blank as `Ġ`: those of [`character`].

use std::collections::HashMap;

use rustc_hash::FxHashMap;
use tokenizers::Model;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::utils::SysRegex;

use super::in_pieces;
use super::vocabulary::Word;
use crate::data::error::DataError;
use crate::data::table::TextColumn;

/// GPT-2's words. Every character is in one.
const WORDS: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// How a byte is written: itself where it can be seen, else one of the characters from 256.
fn character(byte: u8) -> char {
    let seen = |b: u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if seen(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|b| !seen(*b)).count() as u32;
    char::from_u32(256 + before).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The text of a piece; bytes that are not text as `\xff`.
pub(super) fn text_of(piece: &str) -> String {
    let bytes: Vec<u8> = piece
        .chars()
        .filter_map(|c| (0..=255).find(|b| character(*b) == c))
        .collect();
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text += &format!("\\x{byte:02x}");
        }
    }
    text
}

/// A text's words, in order.
struct Splitter {
    words: SysRegex,
    lower: bool,
}

impl Splitter {
    fn new(lower: bool) -> Result<Splitter, DataError> {
        let words = SysRegex::new(WORDS).map_err(|e| broken(&e))?;
        Ok(Splitter { words, lower })
    }

    fn each<E>(&self, text: &str, mut f: impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
        let lowered;
        let text = if self.lower {
            // character by character, as the crate's own tokenizers
            lowered = text
                .chars()
                .flat_map(char::to_lowercase)
                .collect::<String>();
            &lowered
        } else {
            text
        };
        let mut end = 0;
        for (from, to) in self.words.find_iter(text) {
            f(&text[from..to])?;
            end = to;
        }
        // what the expression gave up on stands as one word
        match &text[end..] {
            "" => Ok(()),
            rest => f(rest),
        }
    }
}

/// How often each word is there, written in characters.
pub(super) fn count(
    texts: &TextColumn,
    rows: &[u32],
    lower: bool,
    threads: usize,
) -> Result<HashMap<String, u64>, DataError> {
    let splitter = Splitter::new(lower)?;
    let parts = in_pieces(rows, threads, |rows| {
        let mut counts: FxHashMap<String, u64> = FxHashMap::default();
        for &row in rows {
            let text = texts.get(row as usize).unwrap_or_default();
            let _: Result<(), ()> = splitter.each(text, |word| {
                match counts.get_mut(word) {
                    Some(n) => *n += 1,
                    None => {
                        counts.insert(word.to_owned(), 1);
                    }
                }
                Ok(())
            });
        }
        counts
    });
    let mut all = HashMap::new();
    for (word, n) in parts.into_iter().flatten() {
        *all.entry(written(&word)).or_default() += n;
    }
    Ok(all)
}

fn written(word: &str) -> String {
    word.bytes().map(character).collect()
}

/// Pieces in the order of their ids, and the merges that make them.
type PieceTable = (Vec<String>, Vec<(String, String)>);

/// At most `size` pieces, the 256 bytes first. Pairs that are there equally often are taken
/// in the order of their ids.
pub(super) fn train(
    counts: &HashMap<String, u64>,
    size: usize,
    min_frequency: u64,
) -> Result<PieceTable, DataError> {
    let trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(size)
        .min_frequency(min_frequency)
        .initial_alphabet((0..=255).map(character).collect())
        .build();
    let mut model = BPE::default();
    let words = counts.iter().map(|(w, n)| (w.as_str().into(), *n));
    trainer
        .do_train(&words.collect(), &mut model)
        .map_err(|e| broken(&e))?;
    let mut pieces: Vec<(u32, String)> = (model.get_vocab().into_iter())
        .map(|(piece, id)| (id, piece))
        .collect();
    pieces.sort_unstable();
    let saved = serde_json::to_value(&model).map_err(|e| broken(&e))?;
    let merges = saved.get("merges").cloned().unwrap_or_default();
    let merges = serde_json::from_value(merges).map_err(|e| broken(&e))?;
    Ok((pieces.into_iter().map(|(_, piece)| piece).collect(), merges))
}

/// Texts to ids: those of the pieces, one more each.
pub(super) struct Encoder {
    model: BPE,
    splitter: Splitter,
}

/// The ids of the words met.
type Known = FxHashMap<String, Vec<u32>>;

impl Encoder {
    /// # Errors
    /// Merges of pieces that there are not.
    pub fn new(
        words: &[Word],
        merges: &[(String, String)],
        lower: bool,
    ) -> Result<Encoder, DataError> {
        let vocab: serde_json::Map<_, _> = (0u32..)
            .zip(words)
            .map(|(id, w)| (w.text.clone(), id.into()))
            .collect();
        let model =
            serde_json::json!({"type": "BPE", "vocab": vocab, "merges": merges}).to_string();
        let mut model: BPE = serde_json::from_str(&model).map_err(|e| broken(&e))?;
        // words met are kept here, a thread's own
        model.resize_cache(0);
        let splitter = Splitter::new(lower)?;
        Ok(Encoder { model, splitter })
    }

    /// Calls `f` with the id of each piece. `known` holds those of words met before.
    pub fn encode(
        &self,
        text: &str,
        known: &mut Known,
        mut f: impl FnMut(u32),
    ) -> Result<(), DataError> {
        self.splitter.each(text, |word| {
            if let Some(ids) = known.get(word) {
                ids.iter().for_each(|&id| f(id));
                return Ok(());
            }
            let tokens = self.model.tokenize(&written(word));
            let tokens = tokens.map_err(|e| broken(&e))?;
            let ids: Vec<u32> = tokens.iter().map(|t| t.id + 1).collect();
            ids.iter().for_each(|&id| f(id));
            known.insert(word.to_owned(), ids);
            Ok(())
        })
    }
}

fn broken(reason: &dyn std::fmt::Display) -> DataError {
    DataError::BytePairs {
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_character_of_its_own() {
        let all: std::collections::BTreeSet<char> = (0..=255).map(character).collect();
        assert_eq!(all.len(), 256);
        assert_eq!((character(b' '), character(b'\n')), ('Ġ', 'Ċ'));
        assert_eq!(text_of(&written(" caf\u{e9}\n")), " caf\u{e9}\n");
        assert_eq!(text_of(&written("\u{e9}")[..2]), "\\xc3");
    }

    /// low 5, lower 2, newest 6, widest 3: Sennrich et al., without their end of a word.
    #[test]
    fn the_most_frequent_pair_is_merged_first() {
        let counts = [("low", 5), ("lower", 2), ("newest", 6), ("widest", 3)];
        let counts = counts.map(|(w, n)| (w.to_owned(), n)).into();
        let (pieces, merges) = train(&counts, 256 + 4, 2).unwrap();
        let shown: Vec<String> = merges.iter().map(|(a, b)| format!("{a} {b}")).collect();
        assert_eq!(shown, ["e s", "es t", "l o", "lo w"]);
        assert_eq!(pieces[256..], ["es", "est", "lo", "low"]);
        assert_eq!(pieces.len(), 260);
    }
}
