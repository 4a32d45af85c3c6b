//! What must be the same for a run to go on: the program, its data, seed and batch size.
//! Each is kept in a saved state in such a form that a difference can be named.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::Xxh3;

/// What identifies a program and a run of it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Identity {
    /// A hash of all that decides what the run computes.
    pub program: String,
    /// The program as it is run, overrides applied.
    pub text: String,
    /// Columns and parts, each with a hash of its values.
    pub data: Vec<(String, String)>,
    pub seed: u64,
    pub batch: usize,
    /// `2 of 5`, of data with folds: the one held out.
    pub fold: Option<String>,
}

impl Identity {
    /// For the metadata of a saved state.
    pub fn metadata(&self) -> BTreeMap<String, String> {
        let data = self
            .data
            .iter()
            .map(|(name, hash)| format!("{hash} {name}"));
        let fold = self.fold.iter().map(|f| ("fold".to_owned(), f.clone()));
        let all = BTreeMap::from([
            ("nnc".into(), env!("CARGO_PKG_VERSION").into()),
            ("program".into(), self.program.clone()),
            ("text".into(), self.text.clone()),
            ("data".into(), data.collect::<Vec<_>>().join("\n")),
            ("seed".into(), self.seed.to_string()),
            ("batch".into(), self.batch.to_string()),
        ]);
        all.into_iter().chain(fold).collect()
    }

    /// How the run of a saved state differs from this one; a sentence.
    pub fn difference(&self, saved: &BTreeMap<String, String>) -> Option<String> {
        let then = |key: &str| saved.get(key).map(String::as_str);
        let now = self.metadata();
        for key in ["nnc", "program", "seed", "batch"] {
            if then(key).is_none() {
                return Some(format!("it does not record its `{key}`"));
            }
        }
        for key in ["seed", "batch"] {
            let (then, now) = (then(key)?, now.get(key)?);
            if then != now {
                return Some(format!("it was trained with {key} {then}, not {now}"));
            }
        }
        if let (Some(then), Some(now)) = (then("fold"), now.get("fold"))
            && then != now
        {
            return Some(format!(
                "it holds out fold {then}, but this run holds out fold {now}"
            ));
        }
        if then("program") != Some(&self.program) {
            return Some(
                match (first_change(then("text")?, &self.text), then("nnc")?) {
                    (Some(change), _) => format!("the program changed: {change}"),
                    (None, version) if version != env!("CARGO_PKG_VERSION") => {
                        format!(
                            "it was saved by nnc {version}, but this is nnc {}",
                            env!("CARGO_PKG_VERSION")
                        )
                    }
                    _ => "an imported file changed, or another build of nnc wrote the run".into(),
                },
            );
        }
        let then: Vec<(&str, &str)> = then("data")?
            .lines()
            .filter_map(|l| l.split_once(' '))
            .map(|(hash, name)| (name, hash))
            .collect();
        let changed = self.data.iter().find(|(name, hash)| {
            let before = then.iter().find(|(n, _)| n == name);
            before.is_none_or(|(_, h)| h != hash)
        });
        changed.map(|(name, _)| format!("the data changed ({name})"))
    }
}

/// The first line that differs, comments and blanks aside.
fn first_change(then: &str, now: &str) -> Option<String> {
    let lines = |text: &str| -> Vec<(usize, String)> {
        let bare = |l: &str| l.split('#').next().unwrap_or_default().trim().to_owned();
        let all = text.lines().enumerate().map(|(i, l)| (i + 1, bare(l)));
        all.filter(|(_, l)| !l.is_empty()).collect()
    };
    let (then, now) = (lines(then), lines(now));
    let at = (0..then.len().max(now.len()))
        .find(|&i| then.get(i).map(|l| &l.1) != now.get(i).map(|l| &l.1))?;
    Some(match (then.get(at), now.get(at)) {
        (Some((n, before)), Some((_, after))) => {
            format!("line {n} was `{before}`, but is now `{after}`")
        }
        (Some((n, before)), None) => format!("line {n}, `{before}`, was removed"),
        (None, Some((n, after))) => format!("line {n}, `{after}`, was added"),
        (None, None) => return None,
    })
}

/// A hash of 128 bits, the same on every machine: XXH3 of what was added, each piece with its
/// length. It tells runs apart; it is no defence against who would forge one.
#[derive(Clone, Default)]
pub struct Hash(Xxh3);

impl Hash {
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    pub fn text(&self) -> String {
        format!("{:032x}", self.0.digest128())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_is_named() {
        let one = Identity {
            program: "1".into(),
            text: "a 1 # first\n\nb 2\n".into(),
            data: vec![("column x".into(), "11".into())],
            seed: 1,
            batch: 2,
            fold: Some("1 of 3".into()),
        };
        let saved = one.metadata();
        assert_eq!(one.difference(&saved), None);
        let changed = |f: fn(&mut Identity)| {
            let mut other = one.clone();
            f(&mut other);
            other.difference(&saved).unwrap()
        };
        assert_eq!(changed(|i| i.seed = 3), "it was trained with seed 1, not 3");
        assert_eq!(
            changed(|i| i.fold = Some("2 of 3".into())),
            "it holds out fold 1 of 3, but this run holds out fold 2 of 3"
        );
        let text = changed(|i| {
            i.program = "2".into();
            i.text = "# more\na 1\nb 3".into();
        });
        assert_eq!(
            text,
            "the program changed: line 3 was `b 2`, but is now `b 3`"
        );
        let text = changed(|i| {
            i.program = "2".into();
            i.text = "a 1".into();
        });
        assert_eq!(text, "the program changed: line 3, `b 2`, was removed");
        assert_eq!(
            changed(|i| i.program = "2".into()),
            "an imported file changed, or another build of nnc wrote the run"
        );
        let text = changed(|i| i.data[0].1 = "12".into());
        assert_eq!(text, "the data changed (column x)");
    }

    #[test]
    fn hashes_tell_neighbours_apart() {
        let hash = |bytes: &[u8]| {
            let mut h = Hash::default();
            h.add(bytes);
            h.text()
        };
        let all = [&b""[..], b"a", b"aa", &[0; 8], &[0; 9], &[0; 16]];
        let mut found: Vec<String> = all.iter().map(|b| hash(b)).collect();
        found.sort();
        found.dedup();
        assert_eq!(found.len(), all.len());
    }
}
