//! The header of a NumPy array: a Python dictionary of `descr`, `fortran_order` and `shape`.

/// Headers are padded to a multiple of it.
const ALIGNMENT: usize = 64;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header<'a> {
    /// `<f4` and the like; a list where elements are records.
    pub descr: &'a str,
    pub fortran_order: bool,
    pub shape: Vec<usize>,
}

impl<'a> Header<'a> {
    /// # Errors
    /// What is wrong with the dictionary.
    pub(super) fn parse(text: &'a str) -> Result<Header<'a>, String> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        let mut rest = Rest(text);
        rest.expect("{")?;
        while !rest.take("}") {
            let key = rest.string()?;
            rest.expect(":")?;
            match key {
                "descr" => descr = Some(rest.descr()?),
                "fortran_order" => fortran_order = Some(rest.bool()?),
                "shape" => shape = Some(rest.tuple()?),
                other => return Err(format!("unknown key `{other}`")),
            }
            if !rest.take(",") {
                rest.expect("}")?;
                break;
            }
        }
        if !rest.0.trim().is_empty() {
            return Err("text follows after the dictionary".into());
        }
        let missing = |key: &str| format!("`{key}` is missing");
        Ok(Header {
            descr: descr.ok_or_else(|| missing("descr"))?,
            fortran_order: fortran_order.ok_or_else(|| missing("fortran_order"))?,
            shape: shape.ok_or_else(|| missing("shape"))?,
        })
    }

    /// The start of a file of format version 1, or 2 if that is too small.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let order = if self.fortran_order { "True" } else { "False" };
        let dims: Vec<String> = self.shape.iter().map(usize::to_string).collect();
        let comma = if dims.len() == 1 { "," } else { "" };
        let mut text = format!(
            "{{'descr': '{}', 'fortran_order': {order}, 'shape': ({}{comma})}}",
            self.descr,
            dims.join(", "),
        );
        let length_bytes = if text.len() < usize::from(u16::MAX) - 2 * ALIGNMENT {
            2
        } else {
            4
        };
        let before = 8 + length_bytes;
        let padding = ALIGNMENT - (before + text.len() + 1) % ALIGNMENT;
        text.extend(std::iter::repeat_n(' ', padding));
        text.push('\n');
        let mut bytes = b"\x93NUMPY".to_vec();
        bytes.extend([(length_bytes / 2) as u8, 0]);
        bytes.extend(&(text.len() as u32).to_le_bytes()[..length_bytes]);
        bytes.extend(text.as_bytes());
        bytes
    }
}

/// What is left of the text.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn take(&mut self, token: &str) -> bool {
        self.0 = self.0.trim_start();
        match self.0.strip_prefix(token) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.take(token) {
            return Ok(());
        }
        let found = self.0.chars().next();
        let found = found.map_or("the end".into(), |c| format!("`{}`", c.escape_debug()));
        Err(format!("expected `{token}`, found {found}"))
    }

    fn split(&mut self, at: usize) -> &'a str {
        let (taken, rest) = self.0.split_at(at);
        self.0 = rest;
        taken
    }

    fn string(&mut self) -> Result<&'a str, String> {
        let quote = if self.take("\"") { '"' } else { '\'' };
        if quote == '\'' {
            self.expect("'")?;
        }
        let end = self.0.find(quote).ok_or("a string does not end")?;
        let text = self.split(end);
        self.expect(&quote.to_string())?;
        Ok(text)
    }

    fn descr(&mut self) -> Result<&'a str, String> {
        self.0 = self.0.trim_start();
        if !self.0.starts_with(['[', '(']) {
            return self.string();
        }
        let mut depth = 0;
        for (i, c) in self.0.char_indices() {
            depth += i32::from("[(".contains(c)) - i32::from("])".contains(c));
            if depth == 0 {
                return Ok(self.split(i + 1));
            }
        }
        Err("a list does not end".into())
    }

    fn bool(&mut self) -> Result<bool, String> {
        if self.take("True") {
            return Ok(true);
        }
        self.expect("False").map(|()| false)
    }

    fn tuple(&mut self) -> Result<Vec<usize>, String> {
        let mut all = Vec::new();
        self.expect("(")?;
        while !self.take(")") {
            self.0 = self.0.trim_start();
            let end = self.0.find(|c: char| !c.is_ascii_digit());
            let digits = self.split(end.unwrap_or(self.0.len()));
            all.push(digits.parse().map_err(|e| format!("`shape`: {e}"))?);
            // a long integer of Python 2
            self.take("L");
            if !self.take(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_numpy_are_parsed() {
        let header = |descr, fortran_order, shape: &[usize]| {
            let shape = shape.to_vec();
            Ok(Header {
                descr,
                fortran_order,
                shape,
            })
        };
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }      \n";
        assert_eq!(Header::parse(text), header("<f4", false, &[3, 4]));
        let text =
            "{\"shape\":(7L,),\"fortran_order\":True,\"descr\":[('a', '<i4'), ('b', '<f8', (2,))]}";
        let records = "[('a', '<i4'), ('b', '<f8', (2,))]";
        assert_eq!(Header::parse(text), header(records, true, &[7]));
        let text = "{'descr': '|u1', 'fortran_order': False, 'shape': ()}";
        assert_eq!(Header::parse(text), header("|u1", false, &[]));
    }

    #[test]
    fn broken_headers_are_refused() {
        let cases = [
            ("", "expected `{`, found the end"),
            ("{'descr': '<f4'}", "`fortran_order` is missing"),
            (
                "{'descr': '<f4', 'shape': (1,)",
                "expected `}`, found the end",
            ),
            ("{'descr': <f4}", "expected `'`, found `<`"),
            ("{'descr': '<f4}", "a string does not end"),
            ("{'descr': [('a', '<f4')}", "a list does not end"),
            ("{'more': 1}", "unknown key `more`"),
            ("{'fortran_order': no}", "expected `False`, found `n`"),
            (
                "{'shape': (-1,)}",
                "`shape`: cannot parse integer from empty string",
            ),
            (
                "{'shape': (99999999999999999999,)}",
                "`shape`: number too large to fit in target type",
            ),
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x",
                "text follows after the dictionary",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(Header::parse(text), Err(expected.into()), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_padded_and_read() {
        for shape in [vec![], vec![5], vec![5, 6, 7], vec![123_456_789; 9_000]] {
            let header = Header {
                descr: "<f4",
                fortran_order: false,
                shape,
            };
            let bytes = header.to_bytes();
            assert_eq!(bytes.len() % ALIGNMENT, 0);
            let start = if bytes[6] == 1 { 10 } else { 12 };
            let text = std::str::from_utf8(&bytes[start..]).unwrap();
            assert_eq!(bytes[8..10], (text.len() as u32).to_le_bytes()[..2]);
            assert_eq!(Header::parse(text), Ok(header));
        }
    }
}
