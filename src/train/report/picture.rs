//! Pictures among the columns of the data.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::data::formats::images::{Pixels, encode_png};
use crate::data::{Column, ColumnData};

/// Height, width, channels of a picture.
pub type Shape = (usize, usize, usize);

/// The least side of what is drawn: smaller ones are rows of numbers.
const LEAST: usize = 4;

/// Whether a column holds pictures: bytes or numbers of shape `[h, w]` or `[h, w, c]` with 1, 3
/// or 4 channels; or flat bytes, 64 of them or more, that make a square.
pub fn picture_shape(column: &Column) -> Option<Shape> {
    let bytes = matches!(column.data(), ColumnData::U8(_));
    if !bytes && !matches!(column.data(), ColumnData::F32(_)) {
        return None;
    }
    match *column.shape() {
        [h, w] if h >= LEAST && w >= LEAST => Some((h, w, 1)),
        [h, w, c @ (1 | 3 | 4)] if h >= LEAST && w >= LEAST => Some((h, w, c)),
        [n] if bytes && n >= 64 && n.isqrt().pow(2) == n => Some((n.isqrt(), n.isqrt(), 1)),
        _ => None,
    }
}

/// A row as a PNG in a `data:` address. Bytes are taken as they are where some of them is
/// above 127, else, as numbers are, between the least and the largest of the row.
pub fn data_uri(column: &Column, row: usize, (h, w, c): Shape) -> Option<String> {
    let n = h * w * c;
    let bytes: Vec<u8> = match column.data() {
        ColumnData::U8(all) => {
            let bytes = all.get(row * n..(row + 1) * n)?;
            match bytes.iter().any(|b| *b > 127) {
                true => bytes.to_vec(),
                false => stretched(bytes.iter().map(|b| f32::from(*b))),
            }
        }
        ColumnData::F32(all) => stretched(all.get(row * n..(row + 1) * n)?.iter().copied()),
        _ => return None,
    };
    let pixels = Pixels {
        width: w,
        height: h,
        channels: c,
        bytes,
    };
    let mut png = Vec::new();
    encode_png(&mut png, &pixels).ok()?;
    Some(address(&png))
}

fn stretched(values: impl Iterator<Item = f32> + Clone) -> Vec<u8> {
    let finite = values.clone().filter(|v| v.is_finite());
    let (least, most) = finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), v| {
        (a.min(v), b.max(v))
    });
    let span = if most > least { most - least } else { 1.0 };
    values.map(|v| ((v - least) / span * 255.0) as u8).collect()
}

/// A PNG file as a `data:` address.
pub fn address(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(png))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_pictures_are_known_by_their_shape() {
        let column = |shape: &[usize]| {
            let n: usize = shape.iter().product();
            Column::new("x", shape.to_vec(), ColumnData::U8(vec![7; n])).unwrap()
        };
        assert_eq!(picture_shape(&column(&[8, 9])), Some((8, 9, 1)));
        assert_eq!(picture_shape(&column(&[8, 9, 3])), Some((8, 9, 3)));
        assert_eq!(picture_shape(&column(&[64])), Some((8, 8, 1)));
        for shape in [&[4][..], &[65], &[8, 9, 2], &[2, 9], &[]] {
            assert_eq!(picture_shape(&column(shape)), None);
        }
        let uri = data_uri(&column(&[8, 8]), 0, (8, 8, 1)).unwrap();
        assert!(uri.starts_with("data:image/png;base64,iVBORw0KGgo"));
    }
}
