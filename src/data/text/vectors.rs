//! Word vectors from text files: GloVe's form, one word and its numbers per line, and
//! word2vec's, which is the same after a line with the number of words and of numbers.
//!
//! The file is read a line at a time, and only the vectors of the vocabulary's words are
//! kept. Fields are separated by blanks; a word may hold blanks itself, as some of GloVe's
//! do. The first of several lines with one word counts.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use rustc_hash::FxHashMap;

use super::Vocabulary;
use crate::bytes::reserve_exact;
use crate::data::error::{DataError, ValuePlace};
use crate::data::formats::source::Source;

/// A line is not longer than this.
const LINE: u64 = 1 << 20;

/// A vector for each id of a vocabulary.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Vectors {
    /// Numbers of a vector.
    pub dim: usize,
    /// Vectors of the ids from 0, end to end. Id 0, which is reserved, and words that the file lacks
    /// have zeros.
    pub values: Vec<f32>,
    /// Ids that have a vector, in order.
    pub found: Vec<u32>,
    /// Lines that hold a vector.
    pub lines: u64,
}

/// What `path` has for the words of a vocabulary.
///
/// # Errors
/// A wanted word whose line has a wrong number of fields or something that is not a number; a
/// first line that promises a different number of words; none of the words.
pub fn read_vectors(path: &Path, vocabulary: &Vocabulary) -> Result<Vectors, DataError> {
    let size = vocabulary.size();
    let ids: FxHashMap<&[u8], u32> = (1..size)
        .zip(&vocabulary.words)
        .map(|(id, word)| (word.text.as_bytes(), id))
        .collect();
    let source = Source::open(path)?;
    let path = source.path.clone();
    let mut reader = BufReader::with_capacity(1 << 18, source);
    let mut line = Vec::new();
    let mut number = 0;
    let mut promised = None;
    let mut all = Vectors::default();
    let mut known = vec![false; size as usize];
    loop {
        line.clear();
        number += 1;
        let read = reader.by_ref().take(LINE + 1).read_until(b'\n', &mut line);
        let read = read.map_err(|e| reader.get_ref().fault(&e))?;
        if read == 0 {
            break;
        }
        if line.len() as u64 > LINE {
            let (path, what, limit) = (path.clone(), "line", LINE);
            return Err(DataError::FieldTooLong {
                path,
                line: number,
                what,
                limit,
            });
        }
        let text = trim(&line);
        if number == 1
            && let Some((words, dim)) = header(text)
        {
            (promised, all.dim) = (Some(words), dim);
            continue;
        }
        if text.is_empty() {
            continue;
        }
        all.lines += 1;
        let fields = 1 + text.iter().filter(|b| **b == b' ').count();
        if all.dim == 0 {
            all.dim = fields - 1;
        }
        let ragged = || DataError::Ragged {
            path: path.clone(),
            line: number,
            row: all.lines,
            found: fields,
            expected: all.dim + 1,
            lines: 1,
        };
        if fields < all.dim + 1 || all.dim == 0 {
            return Err(ragged());
        }
        // what is left of the last fields is the word
        let mut parts = text.rsplitn(all.dim + 1, |b| *b == b' ');
        let mut numbers: Vec<&[u8]> = parts.by_ref().take(all.dim).collect();
        let word = parts.next().unwrap_or_default();
        let last = word.rsplit(|b| *b == b' ').next().unwrap_or_default();
        if fields > all.dim + 1 && float(last).is_some() {
            return Err(ragged());
        }
        let Some(&id) = ids.get(word).filter(|id| !known[**id as usize]) else {
            continue;
        };
        known[id as usize] = true;
        if all.values.is_empty() {
            all.values = zeros(size as usize, all.dim)?;
        }
        numbers.reverse();
        let to = &mut all.values[id as usize * all.dim..][..all.dim];
        for (i, (text, to)) in numbers.iter().zip(to).enumerate() {
            *to = float(text).ok_or_else(|| DataError::BadValue {
                place: Box::new(ValuePlace {
                    path: path.clone(),
                    line: Some(number),
                    row: all.lines,
                    column: format!("#{}", i + 1),
                }),
                value: String::from_utf8_lossy(text).into_owned(),
                expected: "a number".into(),
            })?;
        }
    }
    if all.lines == 0 {
        return Err(DataError::Empty { path });
    }
    if let Some(words) = promised.filter(|words| *words != all.lines) {
        let reason = format!(
            "its first line declares {words} words, but the file has {}",
            all.lines
        );
        return Err(DataError::BadHeader { path, reason });
    }
    all.found = (0..size).filter(|id| known[*id as usize]).collect();
    if all.found.is_empty() {
        return Err(DataError::NoVectors { path });
    }
    Ok(all)
}

fn zeros(rows: usize, each: usize) -> Result<Vec<f32>, DataError> {
    let room = || DataError::NoRoom { rows, each };
    let count = rows.checked_mul(each).ok_or_else(room)?;
    let mut all = Vec::new();
    reserve_exact(&mut all, count).map_err(|_| room())?;
    all.resize(count, 0.0);
    Ok(all)
}

/// Without the end of the line and blanks before it.
fn trim(line: &[u8]) -> &[u8] {
    let end = line
        .iter()
        .rposition(|b| !matches!(b, b' ' | b'\r' | b'\n'));
    &line[..end.map_or(0, |at| at + 1)]
}

/// word2vec's first line: how many words, how many numbers each.
fn header(line: &[u8]) -> Option<(u64, usize)> {
    let (words, dim) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    Some((words.parse().ok()?, dim.parse().ok().filter(|d| *d > 0)?))
}

/// A finite number.
fn float(text: &[u8]) -> Option<f32> {
    let x: f32 = std::str::from_utf8(text).ok()?.parse().ok()?;
    x.is_finite().then_some(x)
}
