//! Keras' automatic names: `Dense` is `dense`, `Conv2D` is `conv2d`, `BatchNorm` is `batch_norm`.

/// Keras' `to_snake_case`: an underscore between a lower-case letter or digit and a
/// capital that starts a word.
pub fn snake_case(class: &str) -> String {
    let chars: Vec<char> = class.chars().collect();
    let mut out = String::new();
    for (i, &c) in chars.iter().enumerate() {
        let before = i.checked_sub(1).map(|j| chars[j]);
        let after = chars.get(i + 1);
        let starts_word = c.is_uppercase()
            && before.is_some_and(|b| b != '_')
            && (before.is_some_and(|b| b.is_lowercase())
                || after.is_some_and(|a| a.is_lowercase()));
        if starts_word {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_those_of_keras() {
        for (class, name) in [
            ("Dense", "dense"),
            ("Conv2D", "conv2d"),
            ("BatchNorm", "batch_norm"),
            ("LSTM", "lstm"),
            ("MaxPool2D", "max_pool2d"),
            ("Residual", "residual"),
            ("my_block", "my_block"),
        ] {
            assert_eq!(super::snake_case(class), name);
        }
    }
}
