//! Texts as byte pairs: GPT-2's form of byte pair encoding (Sennrich, Haddow and Birch,
//! 2016; Radford et al., 2019), with the pieces and ids of Hugging Face's `tokenizers`.
//!
//! A text is cut into words, a blank belonging to the word behind it, and a word into
//! bytes; the pair that is there most often becomes a piece, then the next. Pairs are never
//! made across words. Every text can be written, so no piece stands for what is unknown.
//! Bytes are written as characters, a blank as `Ġ`: those of [`character`].

use std::collections::HashMap;

use rustc_hash::FxHashMap;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

use super::in_pieces;
use super::merges::{Merges, learn};
use super::vocabulary::Word;
use crate::data::error::DataError;
use crate::data::table::TextColumn;

/// Endings of English words that are words of their own.
const ENDINGS: [&str; 7] = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Letter,
    Number,
    Blank,
    Other,
}

impl Kind {
    fn of(c: char) -> Kind {
        match c {
            'a'..='z' | 'A'..='Z' => Kind::Letter,
            '0'..='9' => Kind::Number,
            c if c.is_whitespace() => Kind::Blank,
            c if c.is_ascii() => Kind::Other,
            c => match c.general_category_group() {
                GeneralCategoryGroup::Letter => Kind::Letter,
                GeneralCategoryGroup::Number => Kind::Number,
                _ => Kind::Other,
            },
        }
    }

    /// Bytes of `text` up to the first character of another kind.
    fn run(self, text: &str) -> usize {
        text.find(|c| Kind::of(c) != self).unwrap_or(text.len())
    }
}

/// The length of the first of GPT-2's words, which `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+|
/// ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+` finds. Every character is in one.
fn word_len(text: &str) -> usize {
    if let Some(ending) = ENDINGS.iter().find(|e| text.starts_with(**e)) {
        return ending.len();
    }
    let body = text.strip_prefix(' ').unwrap_or(text);
    let kind = body.chars().next().map_or(Kind::Blank, Kind::of);
    if kind != Kind::Blank {
        return text.len() - body.len() + kind.run(body);
    }
    // the last blank belongs to the word behind it
    let blanks = &text[..Kind::Blank.run(text)];
    match blanks.char_indices().next_back() {
        Some((last, _)) if blanks.len() < text.len() && last > 0 => last,
        _ => blanks.len(),
    }
}

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

/// Calls `f` with each word of a text, in order.
fn each_word(text: &str, lower: bool, mut f: impl FnMut(&str)) {
    let lowered;
    let mut rest = if lower {
        // character by character, as Hugging Face's
        lowered = text.chars().flat_map(char::to_lowercase);
        &lowered.collect::<String>()
    } else {
        text
    };
    while !rest.is_empty() {
        let (word, behind) = rest.split_at(word_len(rest));
        f(word);
        rest = behind;
    }
}

/// How often each word is there.
pub(super) fn count(
    texts: &TextColumn,
    rows: &[u32],
    lower: bool,
    threads: usize,
) -> HashMap<String, u64> {
    let parts = in_pieces(rows, threads, |rows| {
        let mut counts: FxHashMap<String, u64> = FxHashMap::default();
        for &row in rows {
            let text = texts.get(row as usize).unwrap_or_default();
            each_word(text, lower, |word| match counts.get_mut(word) {
                Some(n) => *n += 1,
                None => {
                    counts.insert(word.to_owned(), 1);
                }
            });
        }
        counts
    });
    let mut all = HashMap::new();
    for (word, n) in parts.into_iter().flatten() {
        *all.entry(word).or_default() += n;
    }
    all
}

/// Pieces in the order of their ids, and the merges that make them.
type PieceTable = (Vec<String>, Vec<(String, String)>);

/// At most `size` pieces, the 256 bytes first. Pairs that are there equally often are taken
/// in the order of their ids.
pub(super) fn train(counts: &HashMap<String, u64>, size: usize, min_frequency: u64) -> PieceTable {
    let mut pieces: Vec<String> = (0..=255).map(|b| character(b).into()).collect();
    pieces.sort_unstable();
    let mut ids: FxHashMap<String, u32> = (pieces.iter().cloned()).zip(0..).collect();
    let bytes = byte_ids(&ids);
    let mut words: Vec<Vec<u32>> = Vec::with_capacity(counts.len());
    words.extend(counts.keys().map(|w| in_ids(w, &bytes).collect()));
    let counts: Vec<u64> = counts.values().copied().collect();
    let mut merges = learn(&mut words, &counts, min_frequency, |(a, b)| {
        if pieces.len() >= size {
            return None;
        }
        let piece = [a, b].map(|id| pieces[id as usize].as_str()).concat();
        Some(*ids.entry(piece).or_insert_with_key(|piece| {
            pieces.push(piece.clone());
            pieces.len() as u32 - 1
        }))
    });
    // a pair that was merged twice has its last rank
    let last: FxHashMap<_, usize> = merges.iter().copied().zip(0..).collect();
    let mut rank = 0..;
    merges.retain(|pair| rank.next() == last.get(pair).copied());
    let piece = |id: u32| pieces[id as usize].clone();
    let merges = merges.into_iter().map(|(a, b)| (piece(a), piece(b)));
    let merges = merges.collect();
    (pieces, merges)
}

/// The ids of bytes, of those that have one.
fn byte_ids(ids: &FxHashMap<String, u32>) -> [Option<u32>; 256] {
    let mut name = [0; 4];
    std::array::from_fn(|b| {
        let character = character(b as u8).encode_utf8(&mut name);
        ids.get(&*character).copied()
    })
}

fn in_ids(word: &str, bytes: &[Option<u32>; 256]) -> impl Iterator<Item = u32> {
    word.bytes().filter_map(|b| bytes[usize::from(b)])
}

/// Texts to ids: those of the pieces, one more each.
pub(super) struct Encoder {
    bytes: [Option<u32>; 256],
    merges: Merges,
    lower: bool,
}

/// The ids of the words met.
type Known = FxHashMap<String, Vec<u32>>;

impl Encoder {
    /// # Errors
    /// Merges of pieces that there are not.
    pub(super) fn new(
        words: &[Word],
        merges: &[(String, String)],
        lower: bool,
    ) -> Result<Encoder, DataError> {
        let ids: FxHashMap<String, u32> = (words.iter()).map(|w| w.text.clone()).zip(0..).collect();
        let id = |piece: &str| {
            let id = ids.get(piece).copied();
            id.ok_or_else(|| DataError::BytePairs {
                reason: format!("token `{piece}` is not in the vocabulary"),
            })
        };
        let mut ranks = Merges::default();
        for (rank, (a, b)) in (0..).zip(merges) {
            let merged = id(&[a.as_str(), b].concat())?;
            ranks.0.insert((id(a)?, id(b)?), (rank, merged));
        }
        Ok(Encoder {
            bytes: byte_ids(&ids),
            merges: ranks,
            lower,
        })
    }

    /// Calls `f` with the id of each piece. `known` holds those of words met before.
    pub(super) fn encode(&self, text: &str, known: &mut Known, mut f: impl FnMut(u32)) {
        each_word(text, self.lower, |word| {
            if let Some(ids) = known.get(word) {
                ids.iter().for_each(|&id| f(id));
                return;
            }
            let mut ids: Vec<u32> = in_ids(word, &self.bytes).collect();
            self.merges.apply(&mut ids);
            ids.iter_mut().for_each(|id| *id += 1);
            ids.iter().for_each(|&id| f(id));
            known.insert(word.to_owned(), ids);
        });
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
        let written = |text: &str| text.bytes().map(character).collect::<String>();
        assert_eq!(text_of(&written(" caf\u{e9}\n")), " caf\u{e9}\n");
        assert_eq!(text_of(&written("\u{e9}")[..2]), "\\xc3");
    }

    /// low 5, lower 2, newest 6, widest 3: Sennrich et al., without their end of a word.
    #[test]
    fn the_most_frequent_pair_is_merged_first() {
        let counts = [("low", 5), ("lower", 2), ("newest", 6), ("widest", 3)];
        let counts = counts.map(|(w, n)| (w.to_owned(), n)).into();
        let (pieces, merges) = train(&counts, 256 + 4, 2);
        let shown: Vec<String> = merges.iter().map(|(a, b)| format!("{a} {b}")).collect();
        assert_eq!(shown, ["e s", "es t", "l o", "lo w"]);
        assert_eq!(pieces[256..], ["es", "est", "lo", "low"]);
        assert_eq!(pieces.len(), 260);
    }

    #[test]
    fn words_are_gpt_2s() {
        let words = |text| {
            let mut all = Vec::new();
            each_word(text, false, |w| all.push(w.to_owned()));
            all
        };
        let text = "it's 'sand  isn't\t x2 (3\u{b2})!\n\n y \u{3000} ";
        assert_eq!(
            words(text),
            [
                "it",
                "'s",
                " '",
                "sand",
                " ",
                " isn",
                "'t",
                "\t",
                " x",
                "2",
                " (",
                "3\u{b2}",
                ")!",
                "\n\n",
                " y",
                " \u{3000} "
            ]
        );
        // a letter is \p{L}: no mark, no number of letters
        assert_eq!(
            words("e\u{301}\u{2160}\u{4e00}"),
            ["e", "\u{301}", "\u{2160}", "\u{4e00}"]
        );
    }
}
