//! PNG and JPEG files as pixels, and pixels as PNG files.

use std::io::{self, Cursor, Write};

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// The largest memory of one image.
const MAX_BYTES: usize = 512 << 20;
/// The largest number of pixels along a side.
const MAX_PIXELS: usize = 30_000;

/// An image of 8 bits per channel, row-major.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixels {
    pub width: usize,
    pub height: usize,
    /// 1: grey. 3: red, green, blue. 4: with transparency, which [`decode`] drops.
    pub channels: usize,
    pub bytes: Vec<u8>,
}

impl Pixels {
    /// Red, green and blue at a place.
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let pixel = &self.bytes[(y * self.width + x) * self.channels..][..self.channels];
        [0, 1, 2].map(|c| pixel[c.min(self.channels - 1)])
    }

    /// Each pixel of red, green and blue as Pillow's `L`.
    pub fn grey(&self) -> impl Iterator<Item = u8> {
        let pixels = self.bytes.chunks_exact(self.channels);
        pixels.map(|p| {
            let [r, g, b] = [p[0], p[1], p[2]].map(u32::from);
            ((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16) as u8
        })
    }
}

/// Reads a PNG or JPEG file of any kind: its pixels have 1 or 3 channels. Values of 16 bits
/// are rounded to 8; transparency is dropped; colour profiles are ignored.
///
/// # Errors
/// The reason why `file` is not such an image.
pub fn decode(file: &[u8]) -> Result<Pixels, String> {
    if file.starts_with(b"\x89PNG\r\n\x1a\n") {
        decode_png(file).map_err(|e| format!("invalid PNG: {e}"))
    } else if file.starts_with(&[0xff, 0xd8, 0xff]) {
        decode_jpeg(file).map_err(|e| format!("invalid JPEG: {e}"))
    } else {
        Err("it is neither PNG nor JPEG".into())
    }
}

fn check_size(width: usize, height: usize, bytes: usize) -> Result<(), String> {
    if width > MAX_PIXELS || height > MAX_PIXELS || bytes > MAX_BYTES {
        return Err(format!("{width} x {height} pixels are too many"));
    }
    Ok(())
}

fn decode_png(file: &[u8]) -> Result<Pixels, String> {
    let limits = png::Limits { bytes: MAX_BYTES };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(file), limits);
    // palettes to colours, 1, 2 and 4 bits to 8
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(|e| e.to_string())?;
    let (width, height) = reader.info().size();
    let (width, height) = (width as usize, height as usize);
    let size = reader.output_buffer_size().unwrap_or(usize::MAX);
    check_size(width, height, size)?;
    let mut bytes = vec![0; size];
    reader.next_frame(&mut bytes).map_err(|e| e.to_string())?;
    let (color, depth) = reader.output_color_type();
    if depth == png::BitDepth::Sixteen {
        let (values, _) = bytes.as_chunks::<2>();
        let rounded = |&x: &[u8; 2]| ((u32::from(u16::from_be_bytes(x)) + 128) / 257) as u8;
        bytes = values.iter().map(rounded).collect();
    }
    let (found, channels) = (color.samples(), if color.samples() < 3 { 1 } else { 3 });
    if found != channels {
        let pixels = bytes.chunks_exact(found);
        bytes = pixels.flat_map(|p| &p[..channels]).copied().collect();
    }
    Ok(Pixels {
        width,
        height,
        channels,
        bytes,
    })
}

fn decode_jpeg(file: &[u8]) -> Result<Pixels, String> {
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(MAX_PIXELS)
        .set_max_height(MAX_PIXELS);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode_headers().map_err(|e| e.to_string())?;
    let (width, height) = decoder.dimensions().unwrap_or_default();
    let (space, channels) = match decoder.input_colorspace() {
        Some(ColorSpace::Luma | ColorSpace::LumaA) => (ColorSpace::Luma, 1),
        _ => (ColorSpace::RGB, 3),
    };
    check_size(width, height, width * height * channels)?;
    decoder.set_options(options.jpeg_set_out_colorspace(space));
    let bytes = decoder.decode().map_err(|e| e.to_string())?;
    Ok(Pixels {
        width,
        height,
        channels,
        bytes,
    })
}

/// Writes a PNG file.
///
/// # Errors
/// Those of `out`; an image without pixels, or one that is too large for the format.
pub fn encode_png(out: impl Write, image: &Pixels) -> io::Result<()> {
    let side = |n: usize| u32::try_from(n).map_err(io::Error::other);
    let mut encoder = png::Encoder::new(out, side(image.width)?, side(image.height)?);
    encoder.set_color(match image.channels {
        1 => png::ColorType::Grayscale,
        3 => png::ColorType::Rgb,
        _ => png::ColorType::Rgba,
    });
    encoder.set_compression(png::Compression::Fast);
    encoder.set_filter(png::Filter::Adaptive);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&image.bytes)?;
    writer.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(color: png::ColorType, depth: png::BitDepth, data: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, 2, 1);
        encoder.set_color(color);
        encoder.set_depth(depth);
        encoder.set_palette(&[0, 0, 0, 10, 20, 30, 40, 50, 60][..]);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(data).unwrap();
        writer.finish().unwrap();
        file
    }

    #[test]
    fn every_kind_of_png_becomes_grey_or_rgb_of_8_bits() {
        use png::BitDepth::{Eight, One, Sixteen, Two};
        use png::ColorType::{Grayscale, GrayscaleAlpha, Indexed, Rgb, Rgba};
        let cases: [(_, _, &[u8], usize, &[u8]); 10] = [
            (Grayscale, One, &[0b0100_0000], 1, &[0, 255]),
            (Grayscale, Two, &[0b0110_0000], 1, &[85, 170]),
            (Grayscale, Eight, &[7, 200], 1, &[7, 200]),
            (Grayscale, Sixteen, &[1, 0x81, 0xff, 0xff], 1, &[1, 255]),
            (GrayscaleAlpha, Eight, &[7, 0, 200, 255], 1, &[7, 200]),
            (Indexed, Two, &[0b0110_0000], 3, &[10, 20, 30, 40, 50, 60]),
            (Indexed, Eight, &[2, 0], 3, &[40, 50, 60, 0, 0, 0]),
            (Rgb, Eight, &[1, 2, 3, 4, 5, 6], 3, &[1, 2, 3, 4, 5, 6]),
            (
                Rgba,
                Eight,
                &[1, 2, 3, 0, 4, 5, 6, 9],
                3,
                &[1, 2, 3, 4, 5, 6],
            ),
            (
                Rgb,
                Sixteen,
                &[0, 128, 0, 129, 1, 0, 2, 0, 3, 0, 4, 0],
                3,
                &[0, 1, 1, 2, 3, 4],
            ),
        ];
        for (color, depth, data, channels, expected) in cases {
            let found = decode(&png(color, depth, data)).unwrap();
            assert_eq!((found.width, found.height), (2, 1));
            assert_eq!(found.channels, channels, "{color:?} {depth:?}");
            assert_eq!(found.bytes, expected, "{color:?} {depth:?}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for channels in [1, 3] {
            let image = Pixels {
                width: 5,
                height: 3,
                channels,
                bytes: (0..15 * channels as u8).map(|i| i * 5).collect(),
            };
            let mut file = Vec::new();
            encode_png(&mut file, &image).unwrap();
            assert_eq!(decode(&file), Ok(image));
            file.truncate(60);
            assert!(decode(&file).unwrap_err().starts_with("invalid PNG: "));
        }
        let error = decode(b"GIF89a").unwrap_err();
        assert_eq!(error, "it is neither PNG nor JPEG");
        let error = decode(b"\xff\xd8\xff\xe0").unwrap_err();
        assert!(error.starts_with("invalid JPEG: "), "{error}");
    }
}
