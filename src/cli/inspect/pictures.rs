//! Pictures among columns and inputs: as blocks in the terminal, in grids as PNG.

use std::io::Cursor;

use image::imageops::{FilterType, overlay, resize};
use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage};

use crate::train::RunError;

/// Minimum side of an image; smaller ones are shown as tables of numbers.
const LEAST: usize = 4;
/// Minimum length of a flat byte row that is shown as a square image.
const FLAT: usize = 64;
/// Pixels between the pictures of a grid.
const GAP: u32 = 4;
/// Pixels of a picture's longer side in a grid, at least and at most.
const SIDES: (u32, u32) = (84, 256);

/// How the numbers of a row make a picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    pub height: usize,
    pub width: usize,
    /// 1, 3 or 4.
    pub channels: usize,
    /// `[c, h, w]`, not `[h, w, c]`.
    pub first: bool,
}

/// Which numbers are black and white.
pub type Ends = (f64, f64);

/// Rows of `shape` as pictures, if they are some: `[h, w]`, `[h, w, c]` or `[c, h, w]` of 1 or
/// 3 channels (or 4 last); flat ones if they are as long as one of `known`, or bytes that make
/// a square.
pub fn picture(shape: &[usize], bytes: bool, known: &[Shape]) -> Option<Shape> {
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
    pub fn numbers(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// The picture of a row's numbers.
    fn draw(&self, values: &[f64], (black, white): Ends) -> RgbImage {
        let span = if white > black { white - black } else { 1.0 };
        let byte = |x: f64| ((x - black) / span * 255.0).round().clamp(0.0, 255.0) as u8;
        let at = |y: u32, x: u32, c: usize| {
            let (y, x) = (y as usize, x as usize);
            let i = match self.first {
                true => (c * self.height + y) * self.width + x,
                false => (y * self.width + x) * self.channels + c,
            };
            byte(values.get(i).copied().unwrap_or(black))
        };
        RgbImage::from_fn(self.width as u32, self.height as u32, |x, y| {
            Rgb(match self.channels {
                1 => [at(y, x, 0); 3],
                _ => [0, 1, 2].map(|c| at(y, x, c)),
            })
        })
    }
}

/// Which numbers are black and white in pictures of numbers from `min` to `max`: those of
/// bytes where some are bright.
pub fn ends(min: f64, max: f64, bytes: bool) -> Ends {
    if bytes && max > 127.0 {
        (0.0, 255.0)
    } else {
        (min, max)
    }
}

/// Lines of blocks, two pixels a character above each other, at most `MOST` wide.
pub fn blocks(values: &[f64], shape: Shape, ends: Ends) -> Vec<String> {
    const MOST: u32 = 40;
    const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];
    let gray: GrayImage = DynamicImage::ImageRgb8(shape.draw(values, ends)).into_luma8();
    let (w, h) = gray.dimensions();
    let columns = w.min(MOST);
    let lines = (f64::from(h * columns) / f64::from(w * 2)).round().max(1.0) as u32;
    let small = resize(&gray, columns, lines, FilterType::Triangle);
    let shade = |&Luma([y]): &Luma<u8>| SHADES[(usize::from(y) * SHADES.len() / 256).min(4)];
    (small.rows())
        .map(|row| row.map(shade).collect::<String>())
        .collect()
}

/// Pictures beside each other, `columns` a line, as a PNG: small ones enlarged by a whole
/// number, so that each of their pixels can be seen.
pub fn grid(
    pictures: &[Vec<f64>],
    shape: Shape,
    ends: Ends,
    columns: usize,
) -> Result<Vec<u8>, RunError> {
    let columns = columns.min(pictures.len()).max(1) as u32;
    let lines = (pictures.len() as u32).div_ceil(columns).max(1);
    let (w, h) = (shape.width as u32, shape.height as u32);
    let longer = w.max(h);
    let (w, h, filter) = if longer > SIDES.1 {
        let side = |x: u32| (x * SIDES.1 / longer).max(1);
        (side(w), side(h), FilterType::Triangle)
    } else {
        let times = SIDES.0.div_ceil(longer).max(1);
        (w * times, h * times, FilterType::Nearest)
    };
    let paper = Rgb([0xff; 3]);
    let side = |n: u32, x: u32| n * (x + GAP) + GAP;
    let mut all = RgbImage::from_pixel(side(columns, w), side(lines, h), paper);
    for (i, values) in (0u32..).zip(pictures) {
        let one = resize(&shape.draw(values, ends), w, h, filter);
        let at = |n: u32, x: u32| i64::from(side(n, x));
        overlay(&mut all, &one, at(i % columns, w), at(i / columns, h));
    }
    let mut png = Cursor::new(Vec::new());
    all.write_to(&mut png, ImageFormat::Png)
        .map_err(|e| RunError::Program(format!("cannot write an image: {e}")))?;
    Ok(png.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let all = image::load_from_memory(&png).unwrap().into_rgb8();
        assert_eq!(all.dimensions(), (2 * 84 + 12, 84 + 8));
        assert_eq!(all.get_pixel(6, 6).0, [0, 0, 0]);
        assert_eq!(all.get_pixel(100, 50).0, [255, 0, 0]);
        assert_eq!(all.get_pixel(1, 1).0, [255, 255, 255]);
    }
}
