//! Words of other frameworks (foreign.txt), for whoever writes them by habit.

use std::collections::HashMap;
use std::sync::OnceLock;

/// What a word of another framework is in nn.
#[derive(Clone, Copy, Debug)]
pub struct Foreign {
    /// What to do, a sentence.
    pub help: &'static str,
    /// The name that takes its place, where that is all there is to it.
    pub ours: Option<&'static str>,
}

/// Where a word appears.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Place {
    /// A value, or what is called.
    Name,
    /// Named in a call.
    Argument,
    /// Behind a dot.
    Field,
    /// At the start of a line of a train block.
    Setting,
}

/// What to write for `word`, if it is known.
pub fn foreign(word: &str, place: Place) -> Option<Foreign> {
    static TABLE: OnceLock<HashMap<(Place, &str), Foreign>> = OnceLock::new();
    let table = TABLE.get_or_init(|| rows().collect());
    table.get(&(place, word)).copied()
}

fn rows() -> impl Iterator<Item = ((Place, &'static str), Foreign)> {
    let lines = include_str!("foreign.txt").lines();
    lines.filter_map(row).flat_map(|(place, words, foreign)| {
        let words = words.split(' ').filter(|w| !w.is_empty());
        words.map(move |word| ((place, word), foreign))
    })
}

/// `PLACE WORDS [= OURS]: HELP`
fn row(line: &'static str) -> Option<(Place, &'static str, Foreign)> {
    let (head, help) = line.split_once(": ")?;
    let (place, words) = head.split_once(' ')?;
    let place = match place {
        "name" => Place::Name,
        "argument" => Place::Argument,
        "field" => Place::Field,
        "setting" => Place::Setting,
        _ => return None,
    };
    let (words, ours) = match words.split_once(" = ") {
        Some((words, ours)) => (words, Some(ours)),
        None => (words, None),
    };
    Some((place, words, Foreign { help, ours }))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::library;

    #[test]
    fn every_line_is_read_and_every_word_is_there_once() {
        let text = include_str!("foreign.txt");
        let lines = text
            .lines()
            .filter(|l| !l.is_empty() && !l.starts_with('#'));
        assert!(lines.clone().all(|l| row(l).is_some()));
        let mut seen = HashSet::new();
        for (key, _) in rows() {
            assert!(seen.insert(key), "{key:?} is there twice");
        }
        assert!(seen.len() > 150);
    }

    #[test]
    fn names_to_write_are_of_the_library_and_words_are_not() {
        let known: HashSet<&str> = library::names().collect();
        for ((place, word), found) in rows().filter(|((p, _), _)| *p == Place::Name) {
            assert!(!known.contains(word), "{place:?} {word} is a name here");
            assert!(found.ours.is_none_or(|o| known.contains(o)), "{word}");
        }
    }
}
