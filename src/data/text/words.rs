//! A text cut into words, as Keras' `text_to_word_sequence` cuts it: made lower
//! case, every filtered character replaced by the split, cut at the split, empty
//! pieces dropped. By characters nothing is filtered.
//!
//! Neighbouring words may stand as one, joined by a blank (characters by nothing): those
//! of the first width, then those of the next, as Keras' `TextVectorization` and
//! scikit-learn's `CountVectorizer` list them.

use super::FILTERS;

/// How texts are cut and which words get an id.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Rules {
    /// Ids are below it; none: every word of the training texts has one.
    pub num_words: Option<u32>,
    /// Characters that separate words as `split` does.
    pub filters: String,
    pub lower: bool,
    /// What separates words; not empty.
    pub split: String,
    pub char_level: bool,
    /// Takes id 1 and the place of every word without an id, which is dropped otherwise.
    pub oov_token: Option<String>,
    /// How many neighbouring words stand as one; `[1]` is words alone.
    #[serde(default = "alone")]
    pub ngrams: Vec<u32>,
    #[serde(default)]
    pub ids: Numbering,
}

/// The id of a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub enum Numbering {
    /// By how often it is in the training texts.
    #[default]
    ByCount,
    /// The word's hash: 64-bit XXH3 of its UTF-8, without a seed, modulo the ids but 0.
    ByHash,
    /// Those of the byte pairs that it is made of; pairs as rare as this are not merged.
    BytePairs { min_frequency: u64 },
}

fn alone() -> Vec<u32> {
    vec![1]
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            num_words: None,
            filters: FILTERS.into(),
            lower: true,
            split: " ".into(),
            char_level: false,
            oov_token: None,
            ngrams: alone(),
            ids: Numbering::ByCount,
        }
    }
}

/// No ASCII character.
const SPLIT: u8 = 0x80;

/// Cuts texts by one set of rules; keeps a buffer between them.
pub(super) struct Cutter<'a> {
    rules: &'a Rules,
    /// What an ASCII character becomes; [`SPLIT`] is the split.
    ascii: [u8; 128],
    /// Filtered characters beyond ASCII.
    wide: Vec<char>,
    buffer: String,
}

impl<'a> Cutter<'a> {
    pub(super) fn new(rules: &'a Rules) -> Cutter<'a> {
        let mut ascii = [0; 128];
        for (byte, to) in (0u8..).zip(&mut ascii) {
            *to = if rules.lower {
                byte.to_ascii_lowercase()
            } else {
                byte
            };
        }
        for c in rules.filters.chars().filter(char::is_ascii) {
            // an upper case filter meets lower case texts, as in Keras
            if !(rules.lower && c.is_ascii_uppercase()) {
                let lowered = ascii;
                (ascii.iter_mut().zip(lowered))
                    .filter(|(_, l)| *l == c as u8)
                    .for_each(|(to, _)| *to = SPLIT);
            }
        }
        Cutter {
            rules,
            ascii,
            wide: rules.filters.chars().filter(|c| !c.is_ascii()).collect(),
            buffer: String::new(),
        }
    }

    /// Calls `f` with each word, or run of words.
    pub(super) fn each(&mut self, text: &str, mut f: impl FnMut(&str)) {
        if self.rules.ngrams == [1] {
            return self.each_word(text, f);
        }
        let (mut words, mut ends) = (String::new(), Vec::new());
        let between = if self.rules.char_level { "" } else { " " };
        self.each_word(text, |word| {
            if !ends.is_empty() {
                words.push_str(between);
            }
            words.push_str(word);
            ends.push(words.len());
        });
        let start = |i: usize| match i {
            0 => 0,
            i => ends[i - 1] + between.len(),
        };
        for &width in &self.rules.ngrams {
            let width = width as usize;
            for first in 0..(ends.len() + 1).saturating_sub(width) {
                f(&words[start(first)..ends[first + width - 1]]);
            }
        }
    }

    fn each_word(&mut self, text: &str, mut f: impl FnMut(&str)) {
        let rules = self.rules;
        if rules.char_level {
            let lowered;
            let text = if rules.lower {
                lowered = text.to_lowercase();
                &lowered
            } else {
                text
            };
            for (at, c) in text.char_indices() {
                f(&text[at..at + c.len_utf8()]);
            }
            return;
        }
        self.fill(text);
        match rules.split.as_bytes() {
            &[b] => self
                .buffer
                .split(char::from(b))
                .filter(|w| !w.is_empty())
                .for_each(f),
            _ => self
                .buffer
                .split(rules.split.as_str())
                .filter(|w| !w.is_empty())
                .for_each(f),
        }
    }

    /// The text in lower case, separators in place of what is filtered.
    fn fill(&mut self, text: &str) {
        let split = self.rules.split.as_str();
        self.buffer.clear();
        self.buffer.reserve(text.len());
        let lowered;
        // beyond ASCII lower case depends on the neighbours (a final sigma)
        let text = if self.rules.lower && !text.is_ascii() {
            lowered = text.to_lowercase();
            &lowered
        } else {
            text
        };
        for c in text.chars() {
            match self.ascii.get(c as usize) {
                Some(&SPLIT) => self.buffer.push_str(split),
                Some(&b) => self.buffer.push(char::from(b)),
                None if self.wide.contains(&c) => self.buffer.push_str(split),
                None => self.buffer.push(c),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(rules: &Rules, text: &str) -> Vec<String> {
        let mut words = Vec::new();
        Cutter::new(rules).each(text, |w| words.push(w.to_owned()));
        words
    }

    #[test]
    fn words_are_lower_case_and_end_at_blanks_and_filtered_characters() {
        let usual = Rules::default();
        assert_eq!(
            words(&usual, "It's <br />GREAT,\tre-do\nΣΑΣ\u{a0}x "),
            ["it's", "br", "great", "re", "do", "σας\u{a0}x"]
        );
        assert!(words(&usual, " .,;\n").is_empty() && words(&usual, "").is_empty());
        let odd = Rules {
            filters: "é:".into(),
            lower: false,
            split: "--".into(),
            ..usual.clone()
        };
        assert_eq!(words(&odd, "A b--Cé:d----e-f"), ["A b", "C", "d", "e-f"]);
        let upper = Rules {
            filters: "A".into(),
            ..usual.clone()
        };
        assert_eq!(words(&upper, "cAt"), ["cat"]);
        let characters = Rules {
            char_level: true,
            ..usual
        };
        assert_eq!(words(&characters, "É, x"), ["é", ",", " ", "x"]);
    }

    #[test]
    fn a_nul_is_a_character_like_others() {
        assert_eq!(words(&Rules::default(), "a\0b"), ["a\0b"]);
    }
}
