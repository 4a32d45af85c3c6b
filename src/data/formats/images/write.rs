//! Images as PNG files.

use super::{Pixels, encode_png};
use crate::data::augment::Size;
use crate::data::error::DataError;
use crate::data::write::replace;
use std::path::Path;

/// Writes an image of 1, 3 or 4 channels (otherwise only the first); `bytes`: its values are
/// 0 to 255, otherwise the minimum becomes black and the maximum white.
pub fn write_png(path: &Path, image: &[f32], size: Size, bytes: bool) -> Result<(), DataError> {
    let channels = match size.channels {
        3 | 4 => size.channels,
        _ => 1,
    };
    let least = image.iter().copied().fold(f32::INFINITY, f32::min);
    let most = image.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (low, range) = if bytes {
        (0.0, 255.0)
    } else {
        (least, (most - least).max(f32::MIN_POSITIVE))
    };
    let shown = |x: &f32| ((x - low) / range * 255.0).round() as u8;
    let bytes = image
        .chunks_exact(size.channels)
        .flat_map(|p| p[..channels].iter().map(shown))
        .collect();
    let pixels = Pixels {
        width: size.width,
        height: size.height,
        channels,
        bytes,
    };
    replace(path, |out| encode_png(out, &pixels))
}
