//! Pages of a column, each held against the file before the parquet crate makes it: what
//! a header declares must be possible for so many bytes, or the crate would allocate by it.

use super::thrift::{PageHeader, page_header};
use crate::data::formats::source::MOST_DEFLATE;
use flate2::read::MultiGzDecoder;
use parquet::basic::{Compression, Encoding, Type};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::serialized_reader::SerializedPageReader;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

/// Snappy cannot do better: 64 bytes from 3.
const MOST_SNAPPY: u64 = 22;
/// A deflated page above this is inflated once to see that it is as long as it says.
const LARGE: u64 = 256 << 10;

pub(super) struct Pages {
    inner: SerializedPageReader<File>,
    file: Arc<File>,
    codec: Compression,
    physical: Type,
    /// Sections of levels before the values of a version 1 page.
    sections: usize,
    /// Where the next header is, and the bytes from there on.
    at: u64,
    left: u64,
    /// Values that are still to come.
    values: u64,
}

impl Pages {
    /// The pages of `chunk`, a column of `rows` rows.
    pub(super) fn open(
        file: &Arc<File>,
        chunk: &ColumnChunkMetaData,
        rows: usize,
    ) -> Result<Pages> {
        let size = file.metadata()?.len();
        let (at, left) = range(chunk).ok_or_else(|| wrong("has no data in the file"))?;
        if at.checked_add(left).is_none_or(|end| end > size) {
            return Err(wrong("is declared to lie beyond the end of the file"));
        }
        let descr = chunk.column_descr();
        let sections = [descr.max_rep_level(), descr.max_def_level()];
        let inner = SerializedPageReader::new(file.clone(), chunk, rows, None)?;
        Ok(Pages {
            inner,
            file: file.clone(),
            codec: chunk.compression(),
            physical: chunk.column_type(),
            sections: sections.iter().filter(|&&level| level > 0).count(),
            at,
            left,
            values: u64::try_from(chunk.num_values()).unwrap_or(0),
        })
    }

    fn check_next(&mut self) -> Result<()> {
        if self.left == 0 {
            return Ok(());
        }
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(self.at))?;
        let header = page_header(BufReader::new(file).take(self.left))
            .map_err(|e| wrong(&format!("has a corrupt page header: {e}")))?;
        let sizes = (
            u64::try_from(header.compressed),
            u64::try_from(header.uncompressed),
        );
        let (Ok(compressed), Ok(uncompressed)) = sizes else {
            return Err(wrong("has a page with a negative size"));
        };
        self.left -= header.bytes;
        self.at += header.bytes;
        if compressed > self.left {
            return Err(wrong("has a page that extends past its end"));
        }
        let most = match self.codec {
            Compression::SNAPPY => compressed.saturating_mul(MOST_SNAPPY),
            Compression::GZIP(_) => compressed.saturating_mul(MOST_DEFLATE),
            _ => compressed,
        };
        if uncompressed > most.saturating_add(64) {
            return Err(wrong(&format!(
                "has a page of {compressed} bytes that is declared to hold {uncompressed}"
            )));
        }
        if matches!(self.codec, Compression::GZIP(_)) && compressed > LARGE {
            self.check_inflated(header, compressed, uncompressed)?;
        }
        self.at += compressed;
        self.left -= compressed;
        Ok(())
    }

    /// The crate inflates a page to its end, however long it says it is.
    fn check_inflated(&self, header: PageHeader, compressed: u64, size: u64) -> Result<()> {
        let Some(plain) = header.plain.and_then(|n| u64::try_from(n).ok()) else {
            return Ok(());
        };
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(self.at.saturating_add(plain)))?;
        let deflated = BufReader::new(file).take(compressed.saturating_sub(plain));
        let mut inflated = MultiGzDecoder::new(deflated).take(size + 1);
        let found = io::copy(&mut inflated, &mut io::sink())?;
        match found <= size {
            true => Ok(()),
            false => Err(wrong(&format!(
                "has a page that is declared to hold {size} bytes but holds more"
            ))),
        }
    }

    fn check(&mut self, page: &Page) -> Result<()> {
        let (count, bytes) = (u64::from(page.num_values()), page.buffer().len() as u64);
        if page.is_dictionary_page() {
            let least = match self.physical {
                Type::INT64 | Type::DOUBLE => 8,
                _ => 4,
            };
            return match count.saturating_mul(least) <= bytes {
                true => Ok(()),
                false => Err(wrong(
                    "has a dictionary with more values than fit into its page",
                )),
            };
        }
        self.values = self
            .values
            .checked_sub(count)
            .ok_or_else(|| wrong("has more values in its pages than it declares"))?;
        let sections = match page.encoding() {
            Encoding::DELTA_LENGTH_BYTE_ARRAY => 1,
            Encoding::DELTA_BYTE_ARRAY => 2,
            Encoding::PLAIN
            | Encoding::PLAIN_DICTIONARY
            | Encoding::RLE_DICTIONARY
            | Encoding::RLE
            | Encoding::DELTA_BINARY_PACKED
            | Encoding::BYTE_STREAM_SPLIT => return Ok(()),
            other => {
                return Err(wrong(&format!(
                    "has values in the unsupported encoding {other}"
                )));
            }
        };
        let mut at = self.values_at(page);
        for _ in 0..sections {
            let rest = at.and_then(|at| page.buffer().get(at..));
            let end = rest.and_then(|rest| packed_end(rest, count));
            at = at.zip(end).map(|(at, end)| at + end);
        }
        match at {
            Some(_) => Ok(()),
            None => Err(wrong("has a page with corrupt lengths")),
        }
    }

    /// Where in a page the values begin, behind its levels.
    fn values_at(&self, page: &Page) -> Option<usize> {
        match page {
            Page::DataPageV2 {
                def_levels_byte_len,
                rep_levels_byte_len,
                ..
            } => usize::try_from(u64::from(*def_levels_byte_len) + u64::from(*rep_levels_byte_len))
                .ok(),
            _ => {
                let mut at = 0usize;
                for _ in 0..self.sections {
                    let length = page.buffer().get(at..)?.first_chunk()?;
                    at = at.checked_add(4 + u32::from_le_bytes(*length) as usize)?;
                }
                Some(at)
            }
        }
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        self.check_next()?;
        let page = self.inner.get_next_page()?;
        if let Some(page) = &page {
            self.check(page)?;
        }
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.get_next_page().map(drop)
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.inner.at_record_boundary()
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Result<Page>> {
        self.get_next_page().transpose()
    }
}

/// Start and length of a column in the file; none where they are negative.
fn range(chunk: &ColumnChunkMetaData) -> Option<(u64, u64)> {
    let start = chunk
        .dictionary_page_offset()
        .filter(|&at| at > 0)
        .unwrap_or(chunk.data_page_offset());
    let bytes = chunk.compressed_size();
    Some((u64::try_from(start).ok()?, u64::try_from(bytes).ok()?))
}

/// Where a section of delta-packed numbers ends, if it holds at most `most` and is whole.
/// <https://github.com/apache/parquet-format/blob/master/Encodings.md>, DELTA_BINARY_PACKED.
fn packed_end(bytes: &[u8], most: u64) -> Option<usize> {
    let mut at = 0;
    let number = |at: &mut usize| {
        let mut x = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *bytes.get(*at)?;
            *at += 1;
            x |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(x);
            }
        }
        None
    };
    let (block, parts, count) = (number(&mut at)?, number(&mut at)?, number(&mut at)?);
    number(&mut at)?;
    let each = block.checked_div(parts).filter(|&n| n > 0 && n % 32 == 0)?;
    if count > most {
        return None;
    }
    let mut left = count.saturating_sub(1);
    while left > 0 {
        number(&mut at)?;
        let parts = usize::try_from(parts).ok()?;
        let widths = bytes.get(at..at.checked_add(parts)?)?;
        at += parts;
        for &width in widths {
            if left == 0 {
                break;
            }
            let size = u64::from(width).checked_mul(each)? / 8;
            at = at.checked_add(usize::try_from(size).ok()?)?;
            left = left.saturating_sub(each);
        }
        if at > bytes.len() {
            return None;
        }
    }
    Some(at)
}

fn wrong(what: &str) -> ParquetError {
    ParquetError::General(what.into())
}
