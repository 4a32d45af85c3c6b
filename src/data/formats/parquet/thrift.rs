//! Enough of Thrift's compact protocol to hold what a Parquet file's headers declare against
//! the file, before the parquet crate allocates and recurses by it.
//!
//! <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>, and for
//! the fields <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>.

use std::io::{self, Read};

/// Types of fields, as the protocol numbers them.
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// What is nested deeper is refused.
const DEEPEST: usize = 64;

/// What the header of a page says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct PageHeader {
    /// Bytes of the header itself.
    pub bytes: u64,
    /// Bytes of the page behind it, in the file and once decompressed.
    pub compressed: i64,
    pub uncompressed: i64,
    /// Bytes of a version 2 page before what is compressed; none if nothing is.
    pub plain: Option<i64>,
}

pub(super) fn page_header(from: impl Read) -> io::Result<PageHeader> {
    let mut thrift = Thrift { from, read: 0 };
    let mut header = PageHeader {
        plain: Some(0),
        ..PageHeader::default()
    };
    let mut id = 0;
    while let Some(kind) = thrift.field(&mut id)? {
        match (id, kind) {
            (2, 5) => header.uncompressed = thrift.number()?,
            (3, 5) => header.compressed = thrift.number()?,
            (8, STRUCT) => header.plain = levels(&mut thrift)?,
            _ => thrift.skip(kind, 0)?,
        }
    }
    header.bytes = thrift.read;
    Ok(header)
}

/// Bytes of the levels of a `DataPageHeaderV2`; none if it is not compressed.
fn levels(thrift: &mut Thrift<impl Read>) -> io::Result<Option<i64>> {
    let (mut id, mut bytes, mut compressed) = (0, 0i64, true);
    while let Some(kind) = thrift.field(&mut id)? {
        match (id, kind) {
            (5 | 6, 5) => bytes = bytes.saturating_add(thrift.number()?),
            // a truth value is its type
            (7, 1 | 2) => compressed = kind == 1,
            _ => thrift.skip(kind, 0)?,
        }
    }
    Ok(compressed.then_some(bytes))
}

/// Refuses a footer whose schema is nested too deep, or declares more than it has.
pub(super) fn check_footer(footer: &[u8]) -> io::Result<()> {
    let mut thrift = Thrift {
        from: footer,
        read: 0,
    };
    let mut id = 0;
    while let Some(kind) = thrift.field(&mut id)? {
        match (id, kind) {
            (2, LIST) => check_schema(&mut thrift)?,
            _ => thrift.skip(kind, 0)?,
        }
    }
    Ok(())
}

fn check_schema(thrift: &mut Thrift<impl Read>) -> io::Result<()> {
    let (count, kind) = thrift.list()?;
    if kind != STRUCT {
        return Err(bad("its schema is not a list of structures"));
    }
    // children that are still to come, of each group that is open
    let mut open: Vec<i64> = Vec::new();
    for at in 0..count {
        let (mut id, mut children) = (0, 0);
        while let Some(kind) = thrift.field(&mut id)? {
            match (id, kind) {
                (5, 5) => children = thrift.number()?,
                _ => thrift.skip(kind, 0)?,
            }
        }
        if children < 0 || children as u64 >= count - at {
            return Err(bad("its schema declares more columns than it has"));
        }
        match open.last_mut() {
            Some(left) => *left -= 1,
            None if at == 0 => {}
            None => return Err(bad("its schema has more than one root")),
        }
        if children > 0 {
            open.push(children);
        }
        if open.len() > DEEPEST {
            return Err(bad("its schema is nested too deep"));
        }
        while open.last() == Some(&0) {
            open.pop();
        }
    }
    match open.is_empty() {
        true => Ok(()),
        false => Err(bad("its schema declares more columns than it has")),
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

struct Thrift<R> {
    from: R,
    /// Bytes so far.
    read: u64,
}

impl<R: Read> Thrift<R> {
    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.from.read_exact(&mut byte)?;
        self.read += 1;
        Ok(byte[0])
    }

    fn varint(&mut self) -> io::Result<u64> {
        let mut x = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            x |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(x);
            }
        }
        Err(bad("a number in a header is too long"))
    }

    /// A whole number, as zigzag.
    fn number(&mut self) -> io::Result<i64> {
        let x = self.varint()?;
        Ok((x >> 1) as i64 ^ -((x & 1) as i64))
    }

    /// Type of the next field, none at the end of the structure; `id` becomes its number.
    fn field(&mut self, id: &mut i64) -> io::Result<Option<u8>> {
        let byte = self.byte()?;
        if byte == 0 {
            return Ok(None);
        }
        *id = match byte >> 4 {
            0 => self.number()?,
            more => id.saturating_add(i64::from(more)),
        };
        Ok(Some(byte & 0xf))
    }

    /// Number and type of a list's elements.
    fn list(&mut self) -> io::Result<(u64, u8)> {
        let byte = self.byte()?;
        let count = match byte >> 4 {
            15 => self.varint()?,
            n => u64::from(n),
        };
        Ok((count, byte & 0xf))
    }

    fn skip(&mut self, kind: u8, depth: usize) -> io::Result<()> {
        if depth > DEEPEST {
            return Err(bad("a header is nested too deep"));
        }
        match kind {
            // truth values of a field are its type
            1 | 2 if depth == 0 => Ok(()),
            1..=3 => self.byte().map(drop),
            4..=6 => self.varint().map(drop),
            7 => self.bytes(8),
            8 => {
                let count = self.varint()?;
                self.bytes(count)
            }
            9 | 10 => {
                let (count, kind) = self.list()?;
                (0..count).try_for_each(|_| self.skip(kind, depth + 1))
            }
            11 => {
                let count = self.varint()?;
                let kinds = if count == 0 { 0 } else { self.byte()? };
                (0..count).try_for_each(|_| {
                    self.skip(kinds >> 4, depth + 1)?;
                    self.skip(kinds & 0xf, depth + 1)
                })
            }
            STRUCT => {
                let mut id = 0;
                while let Some(kind) = self.field(&mut id)? {
                    if !matches!(kind, 1 | 2) {
                        self.skip(kind, depth + 1)?;
                    }
                }
                Ok(())
            }
            _ => Err(bad("a header holds a type that does not exist")),
        }
    }

    fn bytes(&mut self, count: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.from.by_ref().take(count), &mut io::sink())?;
        self.read += skipped;
        match skipped == count {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_header_is_read_to_its_end() {
        // type 3, 300 and 200 bytes, a checksum, a version 2 header: 2 + 1 bytes of levels
        let bytes = [
            0x15, 6, 0x15, 0xd8, 0x04, 0x15, 0x90, 0x03, 0x15, 2, 0x4c, 0x55, 4, 0x15, 2, 0x11, 0,
            0, 9,
        ];
        let header = page_header(&bytes[..]).unwrap();
        let expected = PageHeader {
            bytes: 18,
            compressed: 200,
            uncompressed: 300,
            plain: Some(3),
        };
        assert_eq!(header, expected);
        assert!(page_header(&bytes[..9]).is_err());
    }

    #[test]
    fn schemas_are_held_to_what_they_declare() {
        // field 2, a list of structures, each with its number of children
        let footer = |children: &[u8]| {
            let mut bytes = vec![0x29, 0xfc, children.len() as u8];
            for &n in children {
                bytes.extend([0x55, 2 * n, 0]);
            }
            bytes.push(0);
            check_footer(&bytes).map_err(|e| e.to_string())
        };
        assert_eq!(footer(&[2, 0, 1, 0]), Ok(()));
        let more = "its schema declares more columns than it has";
        assert_eq!(footer(&[60, 0]).unwrap_err(), more);
        assert_eq!(footer(&[2, 1, 0]).unwrap_err(), more);
        assert_eq!(
            footer(&[1, 0, 0]).unwrap_err(),
            "its schema has more than one root"
        );
        let deep = [[1; 70].as_slice(), &[0]].concat();
        assert_eq!(footer(&deep).unwrap_err(), "its schema is nested too deep");
    }
}
