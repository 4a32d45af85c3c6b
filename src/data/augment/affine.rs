//! Rotation, shifts, shear and zoom as one affine map, as Keras' `apply_affine_transform`;
//! pixels between others by straight lines, as `scipy.ndimage.affine_transform` of order 1.

use super::{Drawn, Size};
use crate::spec::augment::Fill;

/// Where the pixel at row `i` and column `j` comes from: row `m[0] i + m[1] j + m[2]`,
/// column `m[3] i + m[4] j + m[5]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine([f64; 6]);

type Matrix = [[f64; 3]; 3];

impl Affine {
    /// None if nothing moves.
    pub fn of(drawn: &Drawn, size: Size) -> Option<Affine> {
        let mut all: Option<Matrix> = None;
        let mut then = |next: Matrix| {
            all = Some(match &all {
                None => next,
                Some(before) => product(before, &next),
            });
        };
        if drawn.theta != 0.0 {
            let (sin, cos) = drawn.theta.to_radians().sin_cos();
            then([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]]);
        }
        if drawn.tx != 0.0 || drawn.ty != 0.0 {
            then([[1.0, 0.0, drawn.tx], [0.0, 1.0, drawn.ty], [0.0, 0.0, 1.0]]);
        }
        if drawn.shear != 0.0 {
            let (sin, cos) = drawn.shear.to_radians().sin_cos();
            then([[1.0, -sin, 0.0], [0.0, cos, 0.0], [0.0, 0.0, 1.0]]);
        }
        if drawn.zx != 1.0 || drawn.zy != 1.0 {
            then([[drawn.zx, 0.0, 0.0], [0.0, drawn.zy, 0.0], [0.0, 0.0, 1.0]]);
        }
        let all = all?;
        // about the centre of the image
        let (y, x) = (
            size.height as f64 / 2.0 - 0.5,
            size.width as f64 / 2.0 - 0.5,
        );
        let to = [[1.0, 0.0, y], [0.0, 1.0, x], [0.0, 0.0, 1.0]];
        let back = [[1.0, 0.0, -y], [0.0, 1.0, -x], [0.0, 0.0, 1.0]];
        let m = product(&product(&to, &all), &back);
        // Keras takes the first coordinate for that along the width: both change places
        Some(Affine([
            m[1][1], m[1][0], m[1][2], m[0][1], m[0][0], m[0][2],
        ]))
    }
}

impl Affine {
    /// From an image to one of another size, both of the same extent: the centres of pixels
    /// are at halves.
    pub fn resizing(from: Size, to: Size) -> Affine {
        let (y, x) = (
            from.height as f64 / to.height as f64,
            from.width as f64 / to.width as f64,
        );
        Affine([y, 0.0, 0.5 * y - 0.5, 0.0, x, 0.5 * x - 0.5])
    }
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    let mut c = [[0.0; 3]; 3];
    for (c, a) in c.iter_mut().zip(a) {
        for (j, c) in c.iter_mut().enumerate() {
            *c = (0..3).map(|k| a[k] * b[k][j]).sum();
        }
    }
    c
}

/// `from`, of `size`, seen through the map, as an image of the size `new`; the number is what
/// `Fill::Constant` fills with.
pub fn resample(
    from: &[f32],
    size: Size,
    map: &Affine,
    (fill, cval): (Fill, f32),
    new: Size,
    to: &mut [f32],
) {
    let Size {
        height,
        width,
        channels,
    } = size;
    let m = &map.0;
    for (i, line) in to.chunks_exact_mut(new.width * channels).enumerate() {
        let (row, column) = (i as f64 * m[0], i as f64 * m[3]);
        for (j, pixel) in line.chunks_exact_mut(channels).enumerate() {
            let y = row + j as f64 * m[1] + m[2];
            let x = column + j as f64 * m[4] + m[5];
            let (Some(y), Some(x)) = (between(y, height, fill), between(x, width, fill)) else {
                pixel.fill(cval);
                continue;
            };
            let at = |y: usize, x: usize| &from[(y * width + x) * channels..][..channels];
            let (a, b) = (at(y.first, x.first), at(y.first, x.second));
            let (c, d) = (at(y.second, x.first), at(y.second, x.second));
            for (k, pixel) in pixel.iter_mut().enumerate() {
                let above = a[k] + (b[k] - a[k]) * x.share;
                let below = c[k] + (d[k] - c[k]) * x.share;
                *pixel = above + (below - above) * y.share;
            }
        }
    }
}

/// Two positions along an axis, and the weight of the second.
struct Between {
    first: usize,
    second: usize,
    share: f32,
}

/// Around a coordinate on an axis of `len` pixels, as scipy has it for straight lines; none
/// where there is nothing but the constant.
fn between(x: f64, len: usize, fill: Fill) -> Option<Between> {
    let last = (len - 1) as f64;
    let x = if (0.0..=last).contains(&x) {
        x
    } else {
        beyond(x, len, fill)?
    };
    let floor = x.floor();
    let place = |at: f64| {
        let at = match fill {
            _ if (0.0..=last).contains(&at) => at,
            // of a whole number, so within
            Fill::Reflect => beyond(at, len, fill).unwrap_or(0.0),
            // the one beyond counts for nothing
            Fill::Nearest | Fill::Constant | Fill::Wrap => at.clamp(0.0, last),
        };
        at as usize
    };
    Some(Between {
        first: place(floor),
        second: place(floor + 1.0),
        share: (x - floor) as f32,
    })
}

/// The coordinate that stands for one outside: scipy's `map_coordinate`, whose `wrap` has
/// the first and the last pixel in one place.
fn beyond(x: f64, len: usize, fill: Fill) -> Option<f64> {
    let n = len as f64;
    let last = n - 1.0;
    Some(match fill {
        Fill::Constant => return None,
        Fill::Nearest => x.clamp(0.0, last),
        Fill::Reflect | Fill::Wrap if len == 1 => 0.0,
        Fill::Reflect if x < 0.0 => {
            let x = if x < -2.0 * n {
                2.0 * n * (-x / (2.0 * n)).trunc() + x
            } else {
                x
            };
            if x < -n { x + 2.0 * n } else { -x - 1.0 }
        }
        Fill::Reflect => {
            let x = x - 2.0 * n * (x / (2.0 * n)).trunc();
            if x >= n { 2.0 * n - x - 1.0 } else { x }
        }
        Fill::Wrap if x < 0.0 => x + last * ((-x / last).trunc() + 1.0),
        Fill::Wrap => x - last * (x / last).trunc(),
    })
}
