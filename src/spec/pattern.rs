//! Text with values in braces, as Python's `str.format` reads it:
//! `{epoch:02d}-{val_loss:.2f}.safetensors`.
//!
//! A subset of Python's format specifications: `0` and a width, `.precision`, and the types
//! `d`, `f`, `e` and `%`. Without a specification a number is shown as `repr` does.

use std::fmt::Write;

#[derive(Clone, Debug, PartialEq, Default)]
pub struct Pattern {
    pub pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    Text(String),
    Value { name: String, form: Form },
}

/// How a value is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Form {
    /// At least so many characters.
    pub width: usize,
    /// Filled up with zeros after the sign, not with blanks before it.
    pub zeros: bool,
    pub precision: Option<usize>,
    pub kind: FormKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum FormKind {
    #[default]
    Shortest,
    Whole,
    Fixed,
    Exponent,
    Percent,
}

/// Widths and precisions above this are slips.
const MOST: usize = 40;

impl Pattern {
    /// The error is a sentence about the text.
    pub fn parse(text: &str) -> Result<Pattern, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain += &rest[..at];
            let (brace, after) = rest[at..].split_at(1);
            if after.starts_with(brace) {
                plain += brace;
                rest = &after[1..];
                continue;
            }
            if brace == "}" {
                return Err("a `}` has no `{` before it".into());
            }
            let end = after.find('}').ok_or("a `{` is not closed")?;
            let (name, spec) = match after[..end].split_once(':') {
                Some((name, spec)) => (name, spec),
                None => (&after[..end], ""),
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
                return Err(format!("`{{{}}}` names no value", &after[..end]));
            }
            let form = Form::parse(spec)
                .ok_or_else(|| format!("`{spec}` is not a form such as `02d` or `.2f`"))?;
            let name = name.into();
            pieces.push(Piece::Value { name, form });
            rest = &after[end + 1..];
        }
        plain += rest;
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Pattern { pieces })
    }

    /// The names in braces, with their forms.
    pub fn names(&self) -> impl Iterator<Item = (&str, Form)> {
        self.pieces.iter().filter_map(|p| match p {
            Piece::Value { name, form } => Some((name.as_str(), *form)),
            Piece::Text(_) => None,
        })
    }

    /// The text, with what `value` gives for each name.
    pub fn fill(&self, value: impl Fn(&str) -> Option<Number>) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(t) => text += t,
                Piece::Value { name, form } => match value(name) {
                    Some(number) => text += &form.show(number),
                    None => text += "NA",
                },
            }
        }
        text
    }
}

/// A value of a pattern: counts have no fraction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Count(usize),
    Real(f64),
}

impl Form {
    fn parse(spec: &str) -> Option<Form> {
        let (spec, kind) = match spec.char_indices().last() {
            Some((i, 'd')) => (&spec[..i], FormKind::Whole),
            Some((i, 'f' | 'F')) => (&spec[..i], FormKind::Fixed),
            Some((i, 'e')) => (&spec[..i], FormKind::Exponent),
            Some((i, '%')) => (&spec[..i], FormKind::Percent),
            _ => (spec, FormKind::Shortest),
        };
        let (width, precision) = match spec.split_once('.') {
            Some((width, p)) => (width, Some(p.parse().ok().filter(|p| *p <= MOST)?)),
            None => (spec, None),
        };
        if precision.is_some() && matches!(kind, FormKind::Whole | FormKind::Shortest) {
            return None;
        }
        let digits = |t: &str| t.chars().all(|c| c.is_ascii_digit());
        if !digits(width) || !digits(spec.split_once('.').map_or("", |s| s.1)) {
            return None;
        }
        Some(Form {
            zeros: width.starts_with('0'),
            width: match width {
                "" => 0,
                _ => width.parse().ok().filter(|w| *w <= MOST)?,
            },
            precision,
            kind,
        })
    }

    fn show(self, number: Number) -> String {
        let digits = self.precision.unwrap_or(6);
        let x = match number {
            Number::Count(n) => n as f64,
            Number::Real(x) => x,
        };
        let body = match (self.kind, number) {
            (FormKind::Shortest | FormKind::Whole, Number::Count(n)) => n.to_string(),
            (FormKind::Shortest | FormKind::Whole, Number::Real(x)) => repr(x),
            _ if !x.is_finite() => repr(x),
            (FormKind::Fixed, _) => format!("{x:.digits$}"),
            (FormKind::Exponent, _) => exponent(&format!("{x:.digits$e}")),
            (FormKind::Percent, _) => format!("{:.digits$}%", 100.0 * x),
        };
        let missing = self.width.saturating_sub(body.chars().count());
        if self.zeros && x.is_finite() {
            let (sign, rest) = match body.strip_prefix('-') {
                Some(rest) => ("-", rest),
                None => ("", body.as_str()),
            };
            format!("{sign}{}{rest}", "0".repeat(missing))
        } else {
            format!("{}{body}", " ".repeat(missing))
        }
    }
}

/// As Python's `repr` of a float: `0.5`, `1.0`, `1e-05`, `nan`.
pub fn repr(x: f64) -> String {
    if x.is_nan() {
        return "nan".into();
    }
    if x.is_infinite() {
        return if x > 0.0 { "inf" } else { "-inf" }.into();
    }
    let size = x.abs();
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        return exponent(&format!("{x:e}"));
    }
    let mut text = format!("{x}");
    if !text.contains('.') {
        let _ = write!(text, ".0");
    }
    text
}

/// `1.5e-5` with an exponent of a sign and two digits at least.
fn exponent(text: &str) -> String {
    let Some((mantissa, power)) = text.split_once('e') else {
        return text.into();
    };
    let (sign, digits) = match power.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', power),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Python 3 gives for each.
    #[test]
    fn values_are_shown_as_python_does() {
        let shown = |text: &str, number: Number| {
            let pattern = Pattern::parse(text).unwrap();
            pattern.fill(|name| (name == "x").then_some(number))
        };
        let cases = [
            ("a-{x:02d}.b", Number::Count(3), "a-03.b"),
            ("{x}", Number::Count(12), "12"),
            ("{x:.2f}", Number::Real(0.125), "0.12"),
            ("{x:.2f}", Number::Count(3), "3.00"),
            ("{x:07.2f}|", Number::Real(-1.5), "-001.50|"),
            ("{x:8.1e}", Number::Real(12345.0), " 1.2e+04"),
            ("{x:.1%}", Number::Real(0.256), "25.6%"),
            ("{x}", Number::Real(1e-5), "1e-05"),
            ("{x}", Number::Real(2.0), "2.0"),
            ("{x}", Number::Real(1.5e16), "1.5e+16"),
            ("{x:.3f}", Number::Real(f64::NAN), "nan"),
            ("{{{x}}}", Number::Count(1), "{1}"),
        ];
        for (text, number, expected) in cases {
            assert_eq!(shown(text, number), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        let cases = [
            ("{x", "not closed"),
            ("x}", "no `{`"),
            ("{}", "names no value"),
            ("{a b}", "names no value"),
            ("{x:5z}", "`5z`"),
            ("{x:.2d}", "`.2d`"),
            ("{x:99999f}", "`99999f`"),
        ];
        for (text, part) in cases {
            let error = Pattern::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
