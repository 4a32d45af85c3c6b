//! The words of training texts, and their ids: from 1, the most frequent first, of
//! equals the one that came first. 0 is no word; an out-of-vocabulary token is 1.
//!
//! What is counted does not depend on the number of threads: pieces of the texts are
//! counted apart and added up in their order.

use rustc_hash::FxHashMap;

use super::ids::Ids;
use super::in_pieces;
use super::words::{Cutter, Rules};
use crate::data::error::DataError;
use crate::data::table::TextColumn;

/// A word of the training texts.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Word {
    pub text: String,
    /// How often it is there; 0 for the out-of-vocabulary token.
    pub count: u64,
    /// In how many texts.
    pub docs: u64,
}

/// What a tokenizer learnt of the training texts.
#[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Vocabulary {
    pub rules: Rules,
    /// Texts it was fitted on.
    pub documents: u64,
    /// Word i has the id i + 1. As kept with weights, only those whose ids are in use.
    pub words: Vec<Word>,
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
        let mut pieces = in_pieces(rows, threads, |rows| {
            let mut counts = Counts::default();
            let mut cutter = Cutter::new(&rules);
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
        Ok(Vocabulary {
            rules,
            documents: rows.len() as u64,
            words,
        })
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
            words: self.words.iter().take(kept).cloned().collect(),
            ..self.clone()
        }
    }

    /// The ids of each text's words, in order.
    pub fn ids(&self, texts: &TextColumn, threads: usize) -> Ids {
        let size = self.size();
        let known: FxHashMap<&str, u32> = (1..size)
            .zip(&self.words)
            .map(|(id, word)| (word.text.as_str(), id))
            .collect();
        let other = self.rules.oov_token.is_some().then_some(1);
        let rows: Vec<u32> = (0..texts.len() as u32).collect();
        let pieces = in_pieces(&rows, threads, |rows| {
            let mut ids = Ids::new(size);
            let mut cutter = Cutter::new(&self.rules);
            for &row in rows {
                let text = texts.get(row as usize).unwrap_or_default();
                cutter.each(text, |word| {
                    if let Some(id) = known.get(word).copied().or(other) {
                        ids.push(id);
                    }
                });
                ids.end_row();
            }
            ids
        });
        Ids::join(pieces)
    }
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
