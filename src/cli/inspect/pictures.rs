//! Pictures among columns and inputs: as blocks in the terminal, in grids as PNG.

use super::resize;
use crate::data::formats::images::{Pixels, encode_png};
use crate::train::RunError;

/// Minimum side of an image; smaller ones are shown as tables of numbers.
const LEAST: usize = 4;
/// Minimum length of a flat byte row that is shown as a square image.
const FLAT: usize = 64;
/// Pixels between the pictures of a grid.
const GAP: usize = 4;
/// Pixels of a picture's longer side in a grid, at least and at most.
const SIDES: (usize, usize) = (84, 256);

/// How the numbers of a row make a picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shape {
    pub height: usize,
    pub width: usize,
    /// 1, 3 or 4.
    pub channels: usize,
    /// `[c, h, w]`, not `[h, w, c]`.
    pub first: bool,
}

/// Which numbers are black and white.
pub(super) type Ends = (f64, f64);

/// Rows of `shape` as pictures, if they are some: `[h, w]`, `[h, w, c]` or `[c, h, w]` of 1 or
/// 3 channels (or 4 last); flat ones if they are as long as one of `known`, or bytes that make
/// a square.
pub(super) fn picture(shape: &[usize], bytes: bool, known: &[Shape]) -> Option<Shape> {
    let sides = LEAST..1 << 14;
    let large = |h: &usize, w: &usize| sides.contains(h) && sides.contains(w);
    let (height, width, channels, first) = match shape {
        [h, w] if large(h, w) => (*h, *w, 1, false),
        [h, w, c @ (1 | 3 | 4)] if large(h, w) => (*h, *w, *c, false),
        [c @ (1 | 3), h, w] if large(h, w) => (*h, *w, *c, true),
        [n] => {
            let same = known.iter().find(|k| k.numbers() == *n);
            let side = n.isqrt();
            let square = bytes && *n >= FLAT && side * side == *n;
            return same.copied().or(square.then_some(Shape {
                height: side,
                width: side,
                channels: 1,
                first: false,
            }));
        }
        _ => return None,
    };
    Some(Shape {
        height,
        width,
        channels,
        first,
    })
}

impl Shape {
    pub(super) fn numbers(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// The picture of a row's numbers.
    fn draw(&self, values: &[f64], (black, white): Ends) -> Pixels {
        let span = if white > black { white - black } else { 1.0 };
        let byte = |x: f64| ((x - black) / span * 255.0).round().clamp(0.0, 255.0) as u8;
        let at = |y: usize, x: usize, c: usize| {
            let i = match self.first {
                true => (c * self.height + y) * self.width + x,
                false => (y * self.width + x) * self.channels + c,
            };
            byte(values.get(i).copied().unwrap_or(black))
        };
        let places = (0..self.height).flat_map(|y| (0..self.width).map(move |x| (y, x)));
        let pixels = places.flat_map(|(y, x)| match self.channels {
            1 => [at(y, x, 0); 3],
            _ => [0, 1, 2].map(|c| at(y, x, c)),
        });
        Pixels {
            width: self.width,
            height: self.height,
            channels: 3,
            bytes: pixels.collect(),
        }
    }
}

/// Which numbers are black and white in pictures of numbers from `min` to `max`: those of
/// bytes where some are bright.
pub(super) fn ends(min: f64, max: f64, bytes: bool) -> Ends {
    if bytes && max > 127.0 {
        (0.0, 255.0)
    } else {
        (min, max)
    }
}

/// Lines of blocks, two pixels a character above each other, at most `MOST` wide.
pub(super) fn blocks(values: &[f64], shape: Shape, ends: Ends) -> Vec<String> {
    const MOST: usize = 40;
    const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];
    let drawn = shape.draw(values, ends);
    let grey = Pixels {
        channels: 1,
        bytes: drawn.grey().collect(),
        ..drawn
    };
    let columns = grey.width.min(MOST);
    let lines = ((grey.height * columns) as f64 / (grey.width * 2) as f64).round();
    let small = resize::smooth(&grey, columns, lines.max(1.0) as usize);
    let shade = |y: &u8| SHADES[(usize::from(*y) * SHADES.len() / 256).min(4)];
    (small.bytes.chunks_exact(columns))
        .map(|row| row.iter().map(shade).collect::<String>())
        .collect()
}

/// Pictures beside each other, `columns` a line, as a PNG: small ones enlarged by a whole
/// number, so that each of their pixels can be seen.
pub(super) fn grid(
    pictures: &[Vec<f64>],
    shape: Shape,
    ends: Ends,
    columns: usize,
) -> Result<Vec<u8>, RunError> {
    let columns = columns.min(pictures.len()).max(1);
    let lines = pictures.len().div_ceil(columns).max(1);
    let longer = shape.width.max(shape.height);
    let draw = |values: &[f64]| {
        let drawn = shape.draw(values, ends);
        if longer > SIDES.1 {
            let side = |x: usize| (x * SIDES.1 / longer).max(1);
            resize::smooth(&drawn, side(drawn.width), side(drawn.height))
        } else {
            resize::enlarged(&drawn, SIDES.0.div_ceil(longer).max(1))
        }
    };
    let one = draw(&[]);
    let side = |n: usize, x: usize| n * (x + GAP) + GAP;
    let (width, height) = (side(columns, one.width), side(lines, one.height));
    let mut all = vec![0xff; width * height * 3];
    for (i, values) in pictures.iter().enumerate() {
        let (x, y) = (side(i % columns, one.width), side(i / columns, one.height));
        let drawn = draw(values);
        let rows = drawn.bytes.chunks_exact(one.width * 3);
        for (to, row) in all.chunks_exact_mut(width * 3).skip(y).zip(rows) {
            to[x * 3..][..row.len()].copy_from_slice(row);
        }
    }
    let all = Pixels {
        width,
        height,
        channels: 3,
        bytes: all,
    };
    let mut png = Vec::new();
    encode_png(&mut png, &all)
        .map_err(|e| RunError::Program(format!("cannot write an image: {e}")))?;
    Ok(png)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::formats::images::decode;

    #[test]
    fn pictures_are_known_by_their_shape() {
        let of = |shape: &[usize], bytes| {
            let p = picture(shape, bytes, &[])?;
            Some((p.height, p.width, p.channels, p.first))
        };
        assert_eq!(of(&[8, 9], false), Some((8, 9, 1, false)));
        assert_eq!(of(&[8, 9, 3], true), Some((8, 9, 3, false)));
        assert_eq!(of(&[3, 8, 9], true), Some((8, 9, 3, true)));
        assert_eq!(of(&[1, 8, 4], true), Some((8, 4, 1, true)));
        assert_eq!(of(&[64], true), Some((8, 8, 1, false)));
        for shape in [&[64][..], &[2, 9], &[8, 9, 2], &[], &[4, 4, 4, 4]] {
            assert_eq!(of(shape, false), None, "{shape:?}");
        }
        let known = picture(&[8, 9, 3], true, &[]);
        assert_eq!(picture(&[8 * 9 * 3], false, known.as_slice()), known);
    }

    #[test]
    fn blocks_are_dark_where_numbers_are_small() {
        let shape = picture(&[4, 4], true, &[]).unwrap();
        let mut values = vec![0.0; 16];
        values[..8].fill(1.0);
        assert_eq!(blocks(&values, shape, (0.0, 1.0)), ["████", "    "]);
        let values: Vec<f64> = (0..16).map(|i| f64::from(i % 4) * 85.0).collect();
        let lines = blocks(&values, shape, ends(0.0, 255.0, true));
        assert_eq!(lines, [" ░▓█", " ░▓█"]);
    }

    #[test]
    fn a_grid_shows_every_pixel() {
        let shape = picture(&[3, 4, 4], true, &[]).unwrap();
        let mut red = vec![0.0; 48];
        red[..16].fill(255.0);
        let png = grid(&[vec![0.0; 48], red], shape, (0.0, 255.0), 8).unwrap();
        let all = decode(&png).unwrap();
        assert_eq!((all.width, all.height), (2 * 84 + 12, 84 + 8));
        assert_eq!(all.pixel(6, 6), [0, 0, 0]);
        assert_eq!(all.pixel(100, 50), [255, 0, 0]);
        assert_eq!(all.pixel(1, 1), [255, 255, 255]);
    }
}
