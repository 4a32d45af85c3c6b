//! Changes of pixels where they stand; `[height, width, channels]`, row-major.

use super::Size;

/// Shifts every value by the same amount, clipped to the previous minimum and maximum: Keras'
/// `apply_channel_shift`.
pub fn shift_channels(image: &mut [f32], intensity: f32) {
    let least = image.iter().copied().fold(f32::INFINITY, f32::min);
    let most = image.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for x in image {
        *x = (*x + intensity).clamp(least, most);
    }
}

/// By a factor, as bytes: Keras' `apply_brightness_shift(scale=False)` of values in 0..255,
/// that is Pillow's `ImageEnhance.Brightness`. A fourth channel, opacity, stays.
pub fn brighten(image: &mut [f32], channels: usize, factor: f32) {
    let opacity = if channels == 4 { 3 } else { channels };
    for pixel in image.chunks_exact_mut(channels) {
        for (k, x) in pixel.iter_mut().enumerate() {
            // bytes lose what follows the point
            let byte = x.trunc();
            *x = if k == opacity {
                byte
            } else {
                (byte * factor).clamp(0.0, 255.0).trunc()
            };
        }
    }
}

/// The distance from each channel's mean by a factor: Keras' `RandomContrast`.
pub(super) fn contrast(image: &mut [f32], channels: usize, factor: f32, most: Option<f32>) {
    let pixels = (image.len() / channels) as f64;
    for k in 0..channels {
        let channel = image.iter().skip(k).step_by(channels);
        let mean = (channel.map(|&x| f64::from(x)).sum::<f64>() / pixels) as f32;
        for x in image.iter_mut().skip(k).step_by(channels) {
            *x = within((*x - mean) * factor + mean, most);
        }
    }
}

/// Normal noise, each block of words four numbers (Box and Muller).
pub(super) fn add_noise(
    image: &mut [f32],
    stddev: f32,
    most: Option<f32>,
    words: impl Fn(u32) -> [u32; 4],
) {
    for (block, four) in (0..).zip(image.chunks_mut(4)) {
        let [a, b, c, d] = words(block);
        let (first, second) = (pair(a, b), pair(c, d));
        let noise = [first.0, first.1, second.0, second.1];
        for (x, n) in four.iter_mut().zip(noise) {
            *x = within(*x + stddev * n, most);
        }
    }
}

/// Two normal numbers of two words.
fn pair(a: u32, b: u32) -> (f32, f32) {
    let radius = (-2.0 * ((f64::from(a) + 0.5) / 4_294_967_296.0).ln()).sqrt();
    let (sin, cos) = (std::f64::consts::TAU * f64::from(b) / 4_294_967_296.0).sin_cos();
    ((radius * cos) as f32, (radius * sin) as f32)
}

fn within(x: f32, most: Option<f32>) -> f32 {
    most.map_or(x, |most| x.clamp(0.0, most))
}

/// Left and right change places.
pub(super) fn flip_columns(image: &mut [f32], size: Size) {
    let channels = size.channels;
    for line in image.chunks_exact_mut(size.width * channels) {
        for j in 0..size.width / 2 {
            for k in 0..channels {
                line.swap(j * channels + k, (size.width - 1 - j) * channels + k);
            }
        }
    }
}

/// Top and bottom change places.
pub(super) fn flip_rows(image: &mut [f32], size: Size) {
    let line = size.width * size.channels;
    for i in 0..size.height / 2 {
        let (above, below) = image.split_at_mut((size.height - 1 - i) * line);
        above[i * line..][..line].swap_with_slice(&mut below[..line]);
    }
}

/// A rectangle (first row and column, height and width) in one value.
pub(super) fn erase(
    image: &mut [f32],
    size: Size,
    [top, left, height, width]: [usize; 4],
    value: f32,
) {
    let lines = image.chunks_exact_mut(size.width * size.channels);
    for line in lines.skip(top).take(height) {
        line[left * size.channels..(left + width) * size.channels].fill(value);
    }
}
