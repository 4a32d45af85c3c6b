//! TensorBoard's event files: TFRecord frames around protocol buffers.
//!
//! ```text
//! record   length u64, masked crc32c of it, data, masked crc32c of the data (little-endian)
//! Event    1 wall_time double, 2 step int64, 3 file_version string | 4 GraphDef | 5 Summary
//! Summary  1 Value*          Value   1 tag, 8 TensorProto, 9 SummaryMetadata
//! ```
//!
//! Field numbers are those of tensorflow's `event.proto`, `summary.proto` and
//! `tensor.proto`; scalars and histograms are tensors, as TensorFlow 2 writes them.

use super::picture::Images;

/// A protocol buffer being written.
#[derive(Clone, Debug, Default)]
pub(super) struct Message(Vec<u8>);

/// How many intervals a histogram has, as TensorFlow's.
const BUCKETS: usize = 30;

pub(super) const FLOAT: u64 = 1;
pub(super) const DOUBLE: u64 = 2;
const STRING: u64 = 7;
const CLASS_SCALAR: u64 = 1;
const CLASS_TENSOR: u64 = 2;
const CLASS_BLOBS: u64 = 3;

/// The first record of a file.
pub(super) fn header(wall_time: f64) -> Vec<u8> {
    let mut event = Message::default();
    event.double(1, wall_time);
    event.bytes(3, b"brain.Event:2");
    record(&event.0)
}

/// One number.
pub(super) fn scalar(wall_time: f64, step: u64, tag: &str, value: f32) -> Vec<u8> {
    let mut tensor = Message::default();
    tensor.number(1, FLOAT);
    tensor.message(2, &Message::default());
    tensor.bytes(4, &value.to_le_bytes());
    summary(wall_time, step, tag, &tensor, "scalars", CLASS_SCALAR)
}

/// A serialized GraphDef.
pub(super) fn graph(wall_time: f64, graph: &[u8]) -> Vec<u8> {
    let mut event = Message::default();
    event.double(1, wall_time);
    event.bytes(4, graph);
    record(&event.0)
}

/// Pictures of one size: their width, their height, and a PNG file each.
pub(super) fn images(wall_time: f64, step: u64, tag: &str, images: &Images) -> Vec<u8> {
    let mut shape = Message::default();
    let mut dim = Message::default();
    dim.number(1, images.files.len() as u64 + 2);
    shape.message(2, &dim);
    let mut tensor = Message::default();
    tensor.number(1, STRING);
    tensor.message(2, &shape);
    tensor.bytes(8, images.width.to_string().as_bytes());
    tensor.bytes(8, images.height.to_string().as_bytes());
    for file in &images.files {
        tensor.bytes(8, file);
    }
    summary(wall_time, step, tag, &tensor, "images", CLASS_BLOBS)
}

/// Where values lie: rows of (from, to, count).
pub(super) fn histogram(wall_time: f64, step: u64, tag: &str, values: &[f32]) -> Vec<u8> {
    let rows = buckets(values);
    let content: Vec<u8> = rows
        .iter()
        .flatten()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    let mut shape = Message::default();
    for size in [rows.len() as u64, 3] {
        let mut dim = Message::default();
        dim.number(1, size);
        shape.message(2, &dim);
    }
    let mut tensor = Message::default();
    tensor.number(1, DOUBLE);
    tensor.message(2, &shape);
    tensor.bytes(4, &content);
    summary(wall_time, step, tag, &tensor, "histograms", CLASS_TENSOR)
}

/// Equal intervals from the least value to the greatest; what is not finite is left out.
/// Where all values are one, the last bucket holds them.
fn buckets(values: &[f32]) -> Vec<[f64; 3]> {
    let finite = || {
        values
            .iter()
            .map(|&x| f64::from(x))
            .filter(|x| x.is_finite())
    };
    let (Some(least), Some(most)) = (finite().reduce(f64::min), finite().reduce(f64::max)) else {
        return Vec::new();
    };
    let width = (most - least) / BUCKETS as f64;
    let edge = |i: usize| match i {
        BUCKETS => most,
        i => least + width * i as f64,
    };
    let mut rows: Vec<[f64; 3]> = (0..BUCKETS).map(|i| [edge(i), edge(i + 1), 0.0]).collect();
    for x in finite() {
        let at = if width > 0.0 {
            ((x - least) / width) as usize
        } else {
            BUCKETS
        };
        rows[at.min(BUCKETS - 1)][2] += 1.0;
    }
    rows
}

fn summary(
    wall_time: f64,
    step: u64,
    tag: &str,
    tensor: &Message,
    plugin: &str,
    class: u64,
) -> Vec<u8> {
    let mut data = Message::default();
    data.bytes(1, plugin.as_bytes());
    let mut metadata = Message::default();
    metadata.message(1, &data);
    metadata.number(4, class);
    let mut value = Message::default();
    value.bytes(1, tag.as_bytes());
    value.message(8, tensor);
    value.message(9, &metadata);
    let mut summary = Message::default();
    summary.message(1, &value);
    let mut event = Message::default();
    event.double(1, wall_time);
    event.number(2, step);
    event.message(5, &summary);
    record(&event.0)
}

fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut out = Vec::with_capacity(data.len() + 16);
    out.extend(length);
    out.extend(masked(&length));
    out.extend(data);
    out.extend(masked(data));
    out
}

fn masked(data: &[u8]) -> [u8; 4] {
    let crc = crc32c::crc32c(data).rotate_right(15);
    crc.wrapping_add(0xa282_ead8).to_le_bytes()
}

impl Message {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }

    pub(super) fn number(&mut self, field: u64, n: u64) {
        self.varint(field << 3);
        self.varint(n);
    }

    fn double(&mut self, field: u64, x: f64) {
        self.varint(field << 3 | 1);
        self.0.extend(x.to_le_bytes());
    }

    pub(super) fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    pub(super) fn message(&mut self, field: u64, m: &Message) {
        self.bytes(field, &m.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_count_every_value_once() {
        let values: Vec<f32> = (0..100).map(|i| i as f32 / 10.0).collect();
        let rows = buckets(&values);
        assert_eq!(
            (rows.len(), rows[0][0], rows[29][1]),
            (30, 0.0, f64::from(9.9f32))
        );
        assert_eq!(rows.iter().map(|r| r[2]).sum::<f64>(), 100.0);
        assert!(rows.iter().all(|r| (3.0..=4.0).contains(&r[2])), "{rows:?}");
        let same = buckets(&[2.0, 2.0, f32::NAN]);
        assert_eq!((same.len(), same[29]), (30, [2.0, 2.0, 2.0]));
        assert!(buckets(&[f32::INFINITY]).is_empty());
    }

    /// The check value of CRC-32C, masked.
    #[test]
    fn checksums_are_masked() {
        let expected = 0xe306_9283u32.rotate_right(15).wrapping_add(0xa282_ead8);
        assert_eq!(masked(b"123456789"), expected.to_le_bytes());
    }
}
