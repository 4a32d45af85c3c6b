//! Images as PNG files.

use crate::data::augment::Size;
use crate::data::error::DataError;
use crate::data::write::replace;
use image::ImageEncoder;
use image::codecs::png::PngEncoder;
use std::io;
use std::path::Path;

/// Writes an image of 1, 3 or 4 channels (otherwise only the first); `bytes`: its values are
/// 0 to 255, otherwise the minimum becomes black and the maximum white.
pub fn write_png(path: &Path, image: &[f32], size: Size, bytes: bool) -> Result<(), DataError> {
    let (kept, kind) = match size.channels {
        3 => (3, image::ExtendedColorType::Rgb8),
        4 => (4, image::ExtendedColorType::Rgba8),
        _ => (1, image::ExtendedColorType::L8),
    };
    let least = image.iter().copied().fold(f32::INFINITY, f32::min);
    let most = image.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (low, range) = if bytes {
        (0.0, 255.0)
    } else {
        (least, (most - least).max(f32::MIN_POSITIVE))
    };
    let shown = |x: &f32| ((x - low) / range * 255.0).round() as u8;
    let pixels: Vec<u8> = image
        .chunks_exact(size.channels)
        .flat_map(|p| p[..kept].iter().map(shown))
        .collect();
    let (Ok(width), Ok(height)) = (u32::try_from(size.width), u32::try_from(size.height)) else {
        return Err(DataError::BadImage {
            path: path.to_owned(),
            reason: "it is too large for a PNG file".into(),
        });
    };
    replace(path, |out| {
        let encoder = PngEncoder::new(out);
        let written = encoder.write_image(&pixels, width, height, kind);
        written.map_err(io::Error::other)
    })
}
