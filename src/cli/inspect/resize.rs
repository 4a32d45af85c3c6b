//! Pictures in another size.

use crate::data::formats::images::Pixels;

/// Each pixel as a square of `times` by `times`.
pub(super) fn enlarged(from: &Pixels, times: usize) -> Pixels {
    let channels = from.channels;
    let mut bytes = Vec::with_capacity(from.bytes.len() * times * times);
    for row in from.bytes.chunks_exact(from.width * channels) {
        let start = bytes.len();
        for pixel in row.chunks_exact(channels) {
            (0..times).for_each(|_| bytes.extend(pixel));
        }
        let wide = start..bytes.len();
        (1..times).for_each(|_| bytes.extend_from_within(wide.clone()));
    }
    Pixels {
        width: from.width * times,
        height: from.height * times,
        channels,
        bytes,
    }
}

/// With a triangle filter that widens as the picture shrinks: Pillow's `BILINEAR`.
pub(super) fn smooth(from: &Pixels, width: usize, height: usize) -> Pixels {
    let channels = from.channels;
    let (old, new) = (from.width * channels, width * channels);
    let mut rows = vec![0.0; height * old];
    for (to, (first, weights)) in rows.chunks_exact_mut(old).zip(filter(from.height, height)) {
        let lines = from.bytes.chunks_exact(old).skip(first);
        for (line, weight) in lines.zip(weights) {
            (to.iter_mut().zip(line)).for_each(|(to, &x)| *to += f32::from(x) * weight);
        }
    }
    let columns = filter(from.width, width);
    let mut bytes = Vec::with_capacity(height * new);
    for row in rows.chunks_exact(old) {
        for (first, weights) in &columns {
            let pixels = row.chunks_exact(channels).skip(*first);
            let weighted = || pixels.clone().zip(weights);
            bytes.extend((0..channels).map(|c| {
                let sum: f32 = weighted().map(|(p, weight)| p[c] * weight).sum();
                sum.round() as u8
            }));
        }
    }
    Pixels {
        width,
        height,
        channels,
        bytes,
    }
}

/// For each new place the first old one that counts, and the weights from there on.
fn filter(old: usize, new: usize) -> Vec<(usize, Vec<f32>)> {
    let ratio = old as f32 / new as f32;
    let reach = ratio.max(1.0);
    let place = |i: usize| {
        let centre = (i as f32 + 0.5) * ratio;
        let first = ((centre - reach).floor().max(0.0) as usize).min(old - 1);
        let end = ((centre + reach).ceil() as usize).clamp(first + 1, old);
        let weight = |j: usize| (1.0 - ((j as f32 + 0.5 - centre) / reach).abs()).max(0.0);
        let sum: f32 = (first..end).map(weight).sum();
        (first, (first..end).map(|j| weight(j) / sum).collect())
    };
    (0..new).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: usize, height: usize, bytes: &[u8]) -> Pixels {
        Pixels {
            width,
            height,
            channels: 1,
            bytes: bytes.to_vec(),
        }
    }

    /// The numbers are those of Pillow 13: `Image.fromarray(x).resize(size, BILINEAR)`.
    #[test]
    fn smooth_is_pillows_bilinear() {
        let from = grey(4, 2, &[0, 40, 80, 120, 100, 140, 180, 220]);
        assert_eq!(smooth(&from, 4, 2), from);
        assert_eq!(smooth(&from, 2, 1), grey(2, 1, &[79, 141]));
        let bytes: Vec<u8> = (0..35).map(|i| i * 7).collect();
        let small = smooth(&grey(7, 5, &bytes), 3, 2);
        assert_eq!(small, grey(3, 2, &[55, 70, 85, 153, 168, 183]));
    }

    #[test]
    fn enlarged_repeats_pixels() {
        let from = grey(2, 1, &[1, 2]);
        assert_eq!(enlarged(&from, 2), grey(4, 2, &[1, 1, 2, 2, 1, 1, 2, 2]));
    }
}
