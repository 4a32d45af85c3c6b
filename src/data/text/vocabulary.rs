//! The words of training texts, and their ids: from 1, the most frequent first, of
//! equals the one that came first. 0 is reserved; an out-of-vocabulary token is 1. Where
//! ids are hashes, a "word" is all that has the id; byte pairs are in the order in which
//! they were merged, the 256 bytes first.
//!
//! What is counted does not depend on the number of threads: pieces of the texts are
//! counted apart and added up in their order.

use std::borrow::Cow;

use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_64;

use super::ids::Ids;
use super::in_pieces;
use super::pieces::{self, Encoder};
use super::words::{Cutter, Numbering, Rules};
use crate::data::error::DataError;
use crate::data::table::TextColumn;

/// A word of the training texts.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Word {
    pub text: String,
    /// How often it is there; 0 for the out-of-vocabulary token.
    pub count: u64,
    /// In how many texts.
    pub docs: u64,
}

/// A tokenizer fitted to the training texts.
#[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Vocabulary {
    pub rules: Rules,
    /// Texts it was fitted on.
    pub documents: u64,
    /// Word i has the id i + 1. As kept with weights, only those whose ids are in use.
    pub words: Vec<Word>,
    /// Which two pieces become one, in this order; of byte pairs only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merges: Vec<(String, String)>,
}

/// Counts of one piece of the texts, words in order of first appearance.
#[derive(Default)]
struct Counts {
    index: FxHashMap<Box<str>, u32>,
    words: Vec<Word>,
    /// The last text that each word was met in.
    last: Vec<u32>,
}

impl Vocabulary {
    /// Counts the words of `rows` of `texts`.
    ///
    /// # Errors
    /// No rows; an out-of-vocabulary token that is a word of the texts.
    pub fn fit(
        texts: &TextColumn,
        rows: &[u32],
        rules: Rules,
        threads: usize,
    ) -> Result<Vocabulary, DataError> {
        if rows.is_empty() {
            return Err(DataError::NoRows { doing: "fit" });
        }
        let documents = rows.len() as u64;
        if rules.ids == Numbering::ByCount {
            let words = by_count(count(texts, rows, &rules, threads), &rules)?;
            return Ok(Vocabulary {
                rules,
                documents,
                words,
                merges: Vec::new(),
            });
        }
        let mut vocabulary = Vocabulary {
            documents,
            words: vec![Word::default(); (rules.num_words.unwrap_or(1) as usize).saturating_sub(1)],
            merges: Vec::new(),
            rules,
        };
        if let Numbering::BytePairs { min_frequency } = vocabulary.rules.ids {
            let size = vocabulary.words.len();
            let counts = pieces::count(texts, rows, vocabulary.rules.lower, threads);
            let (names, merges) = pieces::train(&counts, size, min_frequency);
            let word = |text| Word {
                text,
                ..Word::default()
            };
            vocabulary.words = names.into_iter().map(word).collect();
            vocabulary.merges = merges;
        }
        let ids = vocabulary.ids_of(texts, rows, threads)?;
        let mut last = vec![usize::MAX; vocabulary.words.len()];
        for (row, ids) in ids.rows().enumerate() {
            for &id in ids {
                let at = id as usize - 1;
                vocabulary.words[at].count += 1;
                if last[at] != row {
                    last[at] = row;
                    vocabulary.words[at].docs += 1;
                }
            }
        }
        Ok(vocabulary)
    }

    /// Every id is below it.
    pub fn size(&self) -> u32 {
        let all = u32::try_from(self.words.len()).unwrap_or(u32::MAX - 1) + 1;
        self.rules.num_words.unwrap_or(all)
    }

    /// The word of an id.
    pub fn word(&self, id: u32) -> Option<&Word> {
        self.words.get((id as usize).checked_sub(1)?)
    }

    /// Without the words that have no id below [`Vocabulary::size`].
    pub fn in_use(&self) -> Vocabulary {
        let kept = (self.size() as usize).saturating_sub(1);
        Vocabulary {
            rules: self.rules.clone(),
            documents: self.documents,
            words: self.words.iter().take(kept).cloned().collect(),
            merges: self.merges.clone(),
        }
    }

    /// How the word of an id is shown: byte pairs as what they stand for, hashes by number.
    pub fn shown(&self, id: u32) -> Option<Cow<'_, str>> {
        let word = self.word(id)?;
        Some(match self.rules.ids {
            Numbering::ByCount => Cow::Borrowed(&word.text),
            Numbering::ByHash => Cow::Owned(format!("#{id}")),
            Numbering::BytePairs { .. } => Cow::Owned(pieces::text_of(&word.text)),
        })
    }

    /// The ids of each text's words, in order.
    ///
    /// # Errors
    /// Byte pairs, kept with weights, that are none.
    pub fn ids(&self, texts: &TextColumn, threads: usize) -> Result<Ids, DataError> {
        let rows: Vec<u32> = (0..texts.len() as u32).collect();
        self.ids_of(texts, &rows, threads)
    }

    fn ids_of(&self, texts: &TextColumn, rows: &[u32], threads: usize) -> Result<Ids, DataError> {
        let size = self.size();
        let text = |row: u32| texts.get(row as usize).unwrap_or_default();
        let made = match self.rules.ids {
            Numbering::ByCount => {
                let known: FxHashMap<&str, u32> = (1..size)
                    .zip(&self.words)
                    .map(|(id, word)| (word.text.as_str(), id))
                    .collect();
                let other = self.rules.oov_token.is_some().then_some(1);
                let id = |word: &str| known.get(word).copied().or(other);
                in_pieces(rows, threads, |rows| {
                    cut(rows.iter().map(|&r| text(r)), &self.rules, size, id)
                })
            }
            Numbering::ByHash => {
                let ids = u64::from(size).saturating_sub(1).max(1);
                let id = |word: &str| Some((xxh3_64(word.as_bytes()) % ids) as u32 + 1);
                in_pieces(rows, threads, |rows| {
                    cut(rows.iter().map(|&r| text(r)), &self.rules, size, id)
                })
            }
            Numbering::BytePairs { .. } => {
                let encoder = Encoder::new(&self.words, &self.merges, self.rules.lower)?;
                in_pieces(rows, threads, |rows| {
                    let mut ids = Ids::new(size);
                    let mut known = FxHashMap::default();
                    for &row in rows {
                        encoder.encode(text(row), &mut known, |id| ids.push(id));
                        ids.end_row();
                    }
                    ids
                })
            }
        };
        Ok(Ids::join(made))
    }
}

/// Words cut out of texts, each as the id it has; those without one are left out.
fn cut<'t>(
    texts: impl Iterator<Item = &'t str>,
    rules: &Rules,
    size: u32,
    id: impl Fn(&str) -> Option<u32>,
) -> Ids {
    let mut ids = Ids::new(size);
    let mut cutter = Cutter::new(rules);
    for text in texts {
        cutter.each(text, |word| {
            if let Some(id) = id(word) {
                ids.push(id);
            }
        });
        ids.end_row();
    }
    ids
}

/// Every word of the rows, in order of first appearance.
fn count(texts: &TextColumn, rows: &[u32], rules: &Rules, threads: usize) -> Counts {
    let mut pieces = in_pieces(rows, threads, |rows| {
        let mut counts = Counts::default();
        let mut cutter = Cutter::new(rules);
        for &row in rows {
            let text = texts.get(row as usize).unwrap_or_default();
            cutter.each(text, |word| counts.add(word, row));
        }
        counts
    })
    .into_iter();
    let mut all = pieces.next().unwrap_or_default();
    for piece in pieces {
        all.merge(piece);
    }
    all
}

/// The most frequent first, the out-of-vocabulary token before all.
fn by_count(all: Counts, rules: &Rules) -> Result<Vec<Word>, DataError> {
    let mut words = all.words;
    // stable: of equals the first to appear stays first
    words.sort_by_key(|w| std::cmp::Reverse(w.count));
    if let Some(token) = &rules.oov_token {
        if all.index.contains_key(token.as_str()) {
            return Err(DataError::OovIsAWord {
                token: token.clone(),
            });
        }
        let (text, count, docs) = (token.clone(), 0, 0);
        words.insert(0, Word { text, count, docs });
    }
    Ok(words)
}

impl Counts {
    fn add(&mut self, word: &str, row: u32) {
        let id = match self.index.get(word) {
            Some(&id) => id as usize,
            None => self.insert(word, row),
        };
        self.words[id].count += 1;
        if self.last[id] != row {
            self.last[id] = row;
            self.words[id].docs += 1;
        }
    }

    /// A word not met before; it is in no text yet.
    fn insert(&mut self, word: &str, row: u32) -> usize {
        let id = self.words.len();
        self.index.insert(word.into(), id as u32);
        self.words.push(Word {
            text: word.to_owned(),
            count: 0,
            docs: 0,
        });
        self.last.push(!row);
        id
    }

    fn merge(&mut self, later: Counts) {
        for word in later.words {
            let id = match self.index.get(word.text.as_str()) {
                Some(&id) => id as usize,
                None => self.insert(&word.text, 0),
            };
            self.words[id].count += word.count;
            self.words[id].docs += word.docs;
        }
    }
}
