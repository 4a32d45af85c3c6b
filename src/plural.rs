//! Numbers, nouns and words of commands in what people read.

/// `4,810`
pub fn thousands(n: impl TryInto<u64>) -> String {
    let digits = n.try_into().unwrap_or(u64::MAX).to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `1 thread`, `4,810 rows`: a number and what it counts, which is given in the singular.
pub fn count(n: impl TryInto<u64>, noun: &str) -> String {
    let n = n.try_into().unwrap_or(u64::MAX);
    format!("{} {}", thousands(n), agreeing(n, noun))
}

/// `thread` of one, `threads` of any other number.
pub fn agreeing(n: impl TryInto<u64>, noun: &str) -> String {
    if n.try_into().is_ok_and(|n| n == 1) {
        return noun.into();
    }
    let sibilant = ["s", "x", "z", "tch", "sh"];
    if sibilant.iter().any(|end| noun.ends_with(end)) {
        return format!("{noun}es");
    }
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        _ => format!("{noun}s"),
    }
}

/// `train`, `train and test`, `train, val and test`
pub fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [front @ .., last] => format!("{} and {last}", front.join(", ")),
    }
}

/// A word of a command that people are to type, quoted where a shell would change it.
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./=,:+%@".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.into();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_agree_with_their_nouns() {
        let cases = [
            (0, "row", "0 rows"),
            (1, "thread", "1 thread"),
            (2, "class", "2 classes"),
            (12_345, "validation row", "12,345 validation rows"),
            (3, "entry", "3 entries"),
            (2, "batch", "2 batches"),
            (4, "epoch", "4 epochs"),
            (2, "array", "2 arrays"),
            (1_234_567, "hash", "1,234,567 hashes"),
        ];
        for (n, noun, expected) in cases {
            assert_eq!(count(n, noun), expected);
        }
        assert_eq!(
            [7, 4810, 1_234_567].map(thousands),
            ["7", "4,810", "1,234,567"]
        );
    }

    #[test]
    fn words_survive_a_shell() {
        for text in [
            "models/a.nn",
            "file=\"x y\"",
            "it's",
            "",
            "rate=1e-3",
            "w=[1, 2]",
        ] {
            let command = format!("printf %s {}", super::word(text));
            let said = std::process::Command::new("sh")
                .args(["-c", &command])
                .output();
            assert_eq!(String::from_utf8(said.unwrap().stdout).unwrap(), text);
        }
        assert_eq!(super::word("rate=1e-3"), "rate=1e-3");
    }
}
