//! Images changed at random while batches are gathered.
//!
//! ```text
//! draw     what is drawn for a sample: from the seed, the place in the program, the
//!          sample's row and the epoch alone, so that threads change nothing
//! affine   rotation, shifts, shear and zoom at once, between pixels by straight lines
//! pixels   channel shift, brightness, contrast, noise, erasing
//! ```
//!
//! In this order: affine, crop, channel shift, flips, brightness (all as Keras'
//! `ImageDataGenerator.apply_transform`, which has no crop), contrast, noise, erasing.
//! Images are `[height, width]` or `[height, width, channels]`, of bytes or real numbers;
//! what comes of them is real, and of bytes stays within 0..255.

mod affine;
mod draw;
mod pixels;

pub use affine::{Affine, resample};
pub use draw::Drawn;
pub use pixels::{brighten, shift_channels};

use super::table::{Column, ColumnData};
use crate::random::{Key, site_key};
use crate::spec::augment::Ranges;
use draw::NOISE;

/// Height, width, channels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

/// What is done to the images of a column.
#[derive(Debug)]
pub struct Augment {
    ranges: Ranges,
    key: Key,
    /// Size of the column's images.
    size: Size,
    /// Shape of a row of the column, as declared.
    shape: Vec<usize>,
    /// The values are bytes.
    bytes: bool,
}

/// Room for an image on its way; a worker's own.
#[derive(Default)]
pub struct Scratch {
    plain: Vec<f32>,
    moved: Vec<f32>,
}

impl Size {
    /// The size of `[height, width]` or `[height, width, channels]`.
    pub fn of(shape: &[usize]) -> Option<Size> {
        let (height, width, channels) = match shape {
            [h, w] => (*h, *w, 1),
            [h, w, c] => (*h, *w, *c),
            _ => return None,
        };
        Some(Size {
            height,
            width,
            channels,
        })
    }

    pub fn len(self) -> usize {
        self.height * self.width * self.channels
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl Augment {
    /// For a column of this shape; `site` names the place in the program. `None` if these are not
    /// images, or are smaller than the crop.
    pub fn new(
        ranges: &Ranges,
        seed: u64,
        site: &str,
        shape: &[usize],
        bytes: bool,
    ) -> Option<Augment> {
        let size = Size::of(shape)?;
        let fits = |[h, w]: [usize; 2]| h <= size.height && w <= size.width;
        ranges.crop.is_none_or(fits).then(|| Augment {
            ranges: ranges.clone(),
            key: site_key(seed, site),
            size,
            shape: shape.to_vec(),
            bytes,
        })
    }

    /// Whether it was made for columns such as this.
    pub fn takes(&self, column: &Column) -> bool {
        let stored = match column.data() {
            ColumnData::U8(_) => self.bytes,
            ColumnData::F32(_) => !self.bytes,
            ColumnData::U16(_)
            | ColumnData::I32(_)
            | ColumnData::Text(_)
            | ColumnData::Sparse(_) => false,
        };
        stored && column.shape() == self.shape
    }

    /// Whether what it gives lies within 0..255.
    pub fn gives_bytes(&self) -> bool {
        self.bytes
    }

    /// Shape of an augmented image.
    pub fn shape(&self) -> Vec<usize> {
        let mut shape = self.shape.clone();
        if let Some(crop) = self.ranges.crop {
            shape[..2].copy_from_slice(&crop);
        }
        shape
    }

    /// Row `row` of a column, as sample and epoch `of` have it.
    pub fn row(
        &self,
        column: &ColumnData,
        row: usize,
        of: (u64, u64),
        to: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let len = self.size.len();
        let at = row * len..(row + 1) * len;
        match column {
            ColumnData::U8(all) => {
                let pixels = all[at].iter();
                (scratch.plain.iter_mut().zip(pixels)).for_each(|(to, &x)| *to = f32::from(x));
            }
            ColumnData::F32(all) => scratch.plain[..len].copy_from_slice(&all[at]),
            // `takes` has refused these
            ColumnData::U16(_)
            | ColumnData::I32(_)
            | ColumnData::Text(_)
            | ColumnData::Sparse(_) => return,
        }
        let drawn = Drawn::new(&self.ranges, self.size, self.key, of);
        self.apply(&drawn, of, to, scratch);
    }

    /// What lies in `scratch.plain`, changed as drawn.
    fn apply(&self, drawn: &Drawn, of: (u64, u64), to: &mut [f32], scratch: &mut Scratch) {
        let (size, ranges) = (self.size, &self.ranges);
        let plain = &scratch.plain[..size.len()];
        let moved = &mut scratch.moved[..size.len()];
        let moved: &[f32] = match Affine::of(drawn, size) {
            None => plain,
            Some(affine) => {
                let fill = (ranges.fill, ranges.cval as f32);
                resample(plain, size, &affine, fill, size, moved);
                moved
            }
        };
        let cut = self.cut();
        crop(moved, size, drawn.corner, cut, to);
        let most = self.bytes.then_some(255.0);
        if let Some(intensity) = drawn.channel_shift {
            shift_channels(to, intensity as f32);
        }
        if drawn.horizontal_flip {
            pixels::flip_columns(to, cut);
        }
        if drawn.vertical_flip {
            pixels::flip_rows(to, cut);
        }
        if let Some(factor) = drawn.brightness {
            brighten(to, cut.channels, factor as f32);
        }
        if let Some(factor) = drawn.contrast {
            pixels::contrast(to, cut.channels, factor as f32, most);
        }
        if ranges.noise > 0.0 {
            pixels::add_noise(to, ranges.noise as f32, most, |block| {
                draw::words(self.key, NOISE + block, of)
            });
        }
        if let Some(rectangle) = drawn.erased {
            pixels::erase(to, cut, rectangle, ranges.erasing.value as f32);
        }
    }

    /// What is left of an image.
    fn cut(&self) -> Size {
        let [height, width] = self
            .ranges
            .crop
            .unwrap_or([self.size.height, self.size.width]);
        Size {
            height,
            width,
            ..self.size
        }
    }
}

impl Scratch {
    /// Room for the largest of several.
    pub fn of<'a>(all: impl Iterator<Item = &'a Augment>) -> Scratch {
        let most = all.map(|a| a.size.len()).max().unwrap_or(0);
        Scratch {
            plain: vec![0.0; most],
            moved: vec![0.0; most],
        }
    }
}

/// The rectangle of `cut`'s height and width whose first pixel is at `corner`.
fn crop(from: &[f32], size: Size, corner: [usize; 2], cut: Size, to: &mut [f32]) {
    let (line, wide) = (size.width * size.channels, cut.width * cut.channels);
    let lines = from.chunks_exact(line).skip(corner[0]);
    for (to, from) in to.chunks_exact_mut(wide).zip(lines) {
        let left = corner[1] * size.channels;
        to.copy_from_slice(&from[left..left + wide]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::augment::{Erasing, Shift};

    fn column(rows: usize) -> ColumnData {
        ColumnData::U8((0..rows * 30).map(|i| (i * 7 % 251) as u8).collect())
    }

    fn made(ranges: Ranges) -> (Augment, Scratch) {
        let augment = Augment::new(&ranges, 3, "x", &[5, 6], true).unwrap();
        let scratch = Scratch::of([&augment].into_iter());
        (augment, scratch)
    }

    fn image(ranges: &Ranges, row: usize, epoch: u64) -> Vec<f32> {
        let (augment, mut scratch) = made(ranges.clone());
        let mut to = vec![0.0; augment.shape().iter().product()];
        let of = (row as u64, epoch);
        augment.row(&column(9), row, of, &mut to, &mut scratch);
        to
    }

    #[test]
    fn nothing_asked_for_changes_nothing() {
        let expected: Vec<f32> = (30..60).map(|i| (i * 7 % 251) as f32).collect();
        assert_eq!(image(&Ranges::default(), 1, 4), expected);
    }

    #[test]
    fn what_is_drawn_depends_on_row_and_epoch() {
        let ranges = Ranges {
            rotation: 20.0,
            width_shift: Shift::Fraction(0.3),
            noise: 3.0,
            ..Ranges::default()
        };
        let one = image(&ranges, 1, 0);
        assert_eq!(one, image(&ranges, 1, 0));
        assert_ne!(one, image(&ranges, 1, 1));
        // another row of the same pixels
        let (augment, mut scratch) = made(ranges);
        let mut other = vec![0.0; 30];
        augment.row(&column(9), 1, (2, 0), &mut other, &mut scratch);
        assert_ne!(one, other);
    }

    #[test]
    fn crops_lie_within_the_image_and_reach_its_ends() {
        let ranges = Ranges {
            crop: Some([3, 2]),
            ..Ranges::default()
        };
        let mut corners = std::collections::BTreeSet::new();
        for epoch in 0..200 {
            let cut = image(&ranges, 0, epoch);
            assert_eq!(cut.len(), 6);
            // pixel i of row 0 is 7 i
            corners.insert((cut[0] / 7.0) as usize);
            assert_eq!(cut[2] - cut[0], 42.0);
        }
        let all = (0..3).flat_map(|y| (0..5).map(move |x| 6 * y + x));
        assert_eq!(corners, all.collect());
        assert!(Augment::new(&ranges, 0, "", &[2, 9], true).is_none());
    }

    #[test]
    fn erased_rectangles_have_the_area_asked_for() {
        let ranges = Ranges {
            erasing: Erasing {
                share: 1.0,
                area: [0.2, 0.4],
                value: 255.0,
            },
            ..Ranges::default()
        };
        let plain = image(&Ranges::default(), 2, 0);
        for epoch in 0..50 {
            let changed = image(&ranges, 2, epoch);
            let erased = changed.iter().filter(|x| **x == 255.0).count();
            assert!((3..=15).contains(&erased), "{erased}");
            let kept = plain.iter().zip(&changed).filter(|(a, b)| a == b).count();
            assert_eq!(kept + erased, 30);
        }
    }

    #[test]
    fn bytes_stay_within_their_range() {
        let ranges = Ranges {
            noise: 200.0,
            contrast: Some([3.0, 4.0]),
            brightness: Some([2.0, 3.0]),
            ..Ranges::default()
        };
        let changed = image(&ranges, 4, 0);
        assert!(changed.iter().all(|x| (0.0..=255.0).contains(x)));
        assert!(changed.contains(&255.0));
    }
}
