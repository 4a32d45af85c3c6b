//! What is drawn for a sample.
//!
//! Each parameter has words of its own in the sample's Philox stream, so that asking for one
//! more changes none of the others. The distributions are those of Keras'
//! `ImageDataGenerator.get_random_transform`.

use super::Size;
use crate::random::{Key, philox};
use crate::spec::augment::{Ranges, Shift};

/// Blocks for parameters; those of noise follow.
const BLOCKS: usize = 6;
/// The first block of the noise.
pub(super) const NOISE: u32 = 1024;

/// A sample's parameters, in Keras' terms: `tx` moves along the height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawn {
    /// Degrees.
    pub theta: f64,
    /// Pixels.
    pub tx: f64,
    pub ty: f64,
    /// Degrees.
    pub shear: f64,
    pub zx: f64,
    pub zy: f64,
    pub channel_shift: Option<f64>,
    pub horizontal_flip: bool,
    pub vertical_flip: bool,
    pub brightness: Option<f64>,
    pub contrast: Option<f64>,
    /// First row and column that stay.
    pub corner: [usize; 2],
    /// First row and column, height and width.
    pub erased: Option<[usize; 4]>,
}

/// Four words of a sample's stream in an epoch.
pub(super) fn words(key: Key, block: u32, (sample, epoch): (u64, u64)) -> [u32; 4] {
    let rest = (sample >> 32) as u32 ^ ((epoch >> 32) as u32).rotate_left(16);
    philox(key, [block, sample as u32, epoch as u32, rest])
}

impl Drawn {
    pub fn new(ranges: &Ranges, size: Size, key: Key, of: (u64, u64)) -> Drawn {
        let mut all = [[0; 4]; BLOCKS];
        for (block, to) in (0..).zip(&mut all) {
            *to = words(key, block, of);
        }
        // uniform in 0..1
        let unit = |i: usize| f64::from(all[i / 4][i % 4]) / 4_294_967_296.0;
        let between = |i: usize, [low, high]: [f64; 2]| low + (high - low) * unit(i);
        let around = |i: usize, most: f64| between(i, [-most, most]);
        let [height, width] = ranges.crop.unwrap_or([size.height, size.width]);
        let cut = Size {
            height,
            width,
            ..size
        };
        let zoomed = ranges.zoom != [1.0, 1.0];
        let zoom = |i| if zoomed { between(i, ranges.zoom) } else { 1.0 };
        let place = |i: usize, free: usize| (unit(i) * (free + 1) as f64) as usize;
        let erasing = &ranges.erasing;
        Drawn {
            theta: around(0, ranges.rotation),
            tx: shift(&ranges.height_shift, size.height, unit(1), unit(2)),
            ty: shift(&ranges.width_shift, size.width, unit(3), unit(4)),
            shear: around(5, ranges.shear),
            zx: zoom(6),
            zy: zoom(7),
            channel_shift: (ranges.channel_shift > 0.0).then(|| around(8, ranges.channel_shift)),
            horizontal_flip: ranges.horizontal_flip && unit(9) < 0.5,
            vertical_flip: ranges.vertical_flip && unit(10) < 0.5,
            brightness: ranges.brightness.map(|b| between(11, b)),
            contrast: ranges.contrast.map(|c| between(12, c)),
            corner: [
                place(13, size.height - height),
                place(14, size.width - width),
            ],
            erased: (unit(15) < erasing.share).then(|| {
                let area = between(16, erasing.area) * (height * width) as f64;
                let [h, w] = rectangle(area, unit(17), cut);
                [place(18, height - h), place(19, width - w), h, w]
            }),
        }
    }
}

/// Along an axis of so many pixels, from two uniform draws.
fn shift(shift: &Shift, size: usize, first: f64, second: f64) -> f64 {
    let sign = if second < 0.5 { -1.0 } else { 1.0 };
    match shift {
        Shift::Fraction(most) => (2.0 * first - 1.0) * most * size as f64,
        Shift::Pixels(most) => (2.0 * first - 1.0) * most,
        Shift::Below(n) => sign * (first * f64::from(*n)).floor(),
        Shift::OneOf(all) => {
            let chosen = all[((first * all.len() as f64) as usize).min(all.len() - 1)];
            let fractions = all.iter().all(|x| *x < 1.0);
            sign * chosen * if fractions { size as f64 } else { 1.0 }
        }
    }
}

/// Height and width of about an area; their ratio is between 0.3 and 1 / 0.3, evenly on the
/// scale of logarithms (Zhong et al., Random Erasing, 2017).
fn rectangle(area: f64, unit: f64, size: Size) -> [usize; 2] {
    let widest = -(0.3f64.ln());
    let ratio = ((2.0 * unit - 1.0) * widest).exp();
    let side = |x: f64, most: usize| (x.round() as usize).clamp(1, most);
    [
        side((area * ratio).sqrt(), size.height),
        side((area / ratio).sqrt(), size.width),
    ]
}
