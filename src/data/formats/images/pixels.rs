//! Image files as numbers of 0 to 255, row-major, of one size.
//!
//! Resizing is Keras' (`keras.ops.image.resize` without antialiasing): pixels have their
//! centres at halves. Grey is Pillow's `L`: 0.299 red + 0.587 green + 0.114 blue.

use super::{ImageOptions, Pixels};
use crate::bytes::reserve_exact;
use crate::data::augment::{Affine, Size, resample};
use crate::data::error::DataError;
use crate::data::formats::folder::{Entry, Folder};
use crate::spec::Interpolation;
use crate::spec::augment::Fill;
use std::path::Path;

/// Every image, one after the other; reports the first broken one in their order.
pub(super) fn all<T: Copy + Default + Send>(
    folder: &Folder,
    size: Size,
    options: ImageOptions,
    number: impl Fn(f32) -> T + Sync,
) -> Result<Vec<T>, DataError> {
    let (each, count) = (size.len(), folder.files.len());
    let room = each
        .checked_mul(count)
        .filter(|n| *n <= isize::MAX as usize / 4);
    let mut found: Vec<T> = Vec::new();
    let reserved = room.map(|n| reserve_exact(&mut found, n).map(|()| n));
    let Some(Ok(room)) = reserved else {
        return Err(DataError::NoRoom { rows: count, each });
    };
    found.resize(room, T::default());
    let block = count.div_ceil(options.threads.max(1)).max(1);
    let blocks = found.chunks_mut(block * each);
    let faults: Vec<Option<DataError>> = std::thread::scope(|scope| {
        let work = blocks.zip(folder.files.chunks(block)).map(|(to, files)| {
            let number = &number;
            scope.spawn(move || {
                let made = decode(folder, files, size, options.interpolation, number, to);
                made.err()
            })
        });
        let threads: Vec<_> = work.collect();
        threads
            .into_iter()
            .map(|t| match t.join() {
                Ok(fault) => fault,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    });
    match faults.into_iter().flatten().next() {
        Some(fault) => Err(fault),
        None => Ok(found),
    }
}

/// Some images, into their places.
fn decode<T>(
    folder: &Folder,
    files: &[Entry],
    size: Size,
    interpolation: Interpolation,
    number: &impl Fn(f32) -> T,
    to: &mut [T],
) -> Result<(), DataError> {
    let (mut plain, mut sized) = (Vec::new(), vec![0.0; size.len()]);
    for (file, to) in files.iter().zip(to.chunks_exact_mut(size.len())) {
        let path = folder.at(file);
        let from = load(&path, size.channels, &mut plain)?;
        resize(&plain, from, interpolation, size, &mut sized);
        (to.iter_mut().zip(&sized)).for_each(|(to, x)| *to = number(*x));
    }
    Ok(())
}

/// A file's pixels, with 1 or 3 channels.
fn load(path: &Path, channels: usize, pixels: &mut Vec<f32>) -> Result<Size, DataError> {
    let bad = |reason: String| DataError::BadImage {
        path: path.to_owned(),
        reason,
    };
    let found = std::fs::metadata(path).map_err(|e| DataError::io(path, "read the file", &e))?;
    if !found.is_file() {
        return Err(bad("it is not a file".into()));
    }
    let file = std::fs::read(path).map_err(|e| DataError::io(path, "read the file", &e))?;
    let image = super::decode(&file).map_err(bad)?;
    let values = || image.bytes.iter().map(|&x| f32::from(x));
    pixels.clear();
    match (image.channels, channels) {
        (1, 3) => pixels.extend(values().flat_map(|x| [x; 3])),
        (3, 1) => pixels.extend(image.grey().map(f32::from)),
        _ => pixels.extend(values()),
    }
    let Pixels { width, height, .. } = image;
    Ok(Size {
        height,
        width,
        channels,
    })
}

/// `from` in another size.
fn resize(from: &[f32], size: Size, interpolation: Interpolation, new: Size, to: &mut [f32]) {
    if size == new {
        to.copy_from_slice(from);
        return;
    }
    match interpolation {
        Interpolation::Bilinear => {
            let map = Affine::resizing(size, new);
            resample(from, size, &map, (Fill::Nearest, 0.0), new, to);
        }
        Interpolation::Nearest => {
            let place = |i: usize, old: usize, new: usize| {
                ((i as f64 + 0.5) * old as f64 / new as f64) as usize
            };
            let lines = to.chunks_exact_mut(new.width * new.channels);
            for (i, line) in lines.enumerate() {
                let row = place(i, size.height, new.height).min(size.height - 1);
                for (j, pixel) in line.chunks_exact_mut(new.channels).enumerate() {
                    let column = place(j, size.width, new.width).min(size.width - 1);
                    let at = (row * size.width + column) * size.channels;
                    pixel.copy_from_slice(&from[at..at + size.channels]);
                }
            }
        }
    }
}
