//! What Keras' `ImageDataGenerator.fit` learns of images: means and standard deviations of
//! channels, and the matrix of ZCA whitening. All in f64, rows in the order given, by one
//! thread; a block of rows at a time is held as such.

use crate::data::error::DataError;
use crate::data::table::{Column, ColumnData};
use nalgebra::{DMatrix, SymmetricEigen};

/// Statistics of each channel.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Channels {
    pub mean: Vec<f64>,
    pub std: Vec<f64>,
}

/// Rows that are turned into f64 at once.
const BLOCK: usize = 256;

/// Mean and standard deviation of each channel of images times `rescale`.
pub fn channels(column: &Column, rows: &[u32], rescale: f64) -> Result<Channels, DataError> {
    check(column, rows)?;
    let count = channels_of(column);
    let (mut sum, mut squares) = (vec![0.0; count], vec![0.0; count]);
    let n = (rows.len() * column.per_row() / count) as f64;
    each_block(column, rows, |block| {
        for (i, x) in block.iter().enumerate() {
            sum[i % count] += x * rescale;
        }
    });
    let mean: Vec<f64> = sum.iter().map(|s| s / n).collect();
    each_block(column, rows, |block| {
        for (i, x) in block.iter().enumerate() {
            squares[i % count] += (x * rescale - mean[i % count]).powi(2);
        }
    });
    let std = squares.iter().map(|s| (s / n).sqrt()).collect();
    Ok(Channels { mean, std })
}

/// The channels' moments, and the matrix by which centred images are multiplied:
/// `U diag(sqrt(n) / (s + epsilon)) U^T` of the singular values `s` and vectors `U` of the
/// `n` images as columns. Directions in which they do not differ, by f32's reckoning, are
/// left out: what Keras has there is the rounding of its own sums.
pub fn zca(
    column: &Column,
    rows: &[u32],
    rescale: f64,
    epsilon: f64,
) -> Result<(Channels, Vec<f64>), DataError> {
    let found = channels(column, rows, rescale)?;
    let (each, count) = (column.per_row(), channels_of(column));
    let centred = |i: usize, x: f64| x * rescale - found.mean[i % count];
    let mut products = DMatrix::<f64>::zeros(each, each);
    each_block(column, rows, |block| {
        let images = block.len() / each;
        let columns = DMatrix::from_fn(each, images, |i, j| centred(i, block[j * each + i]));
        products.gemm(1.0, &columns, &columns.transpose(), 1.0);
    });
    let eigen = SymmetricEigen::new(products);
    let singular: Vec<f64> = eigen
        .eigenvalues
        .iter()
        .map(|x| x.max(0.0).sqrt())
        .collect();
    let largest = singular.iter().copied().fold(0.0, f64::max);
    let least = largest * f64::from(f32::EPSILON) * each.max(rows.len()) as f64;
    let n = (rows.len() as f64).sqrt();
    let factors = singular
        .iter()
        .map(|&s| if s > least { n / (s + epsilon) } else { 0.0 });
    let mut scaled = eigen.eigenvectors.clone();
    for (mut vector, factor) in scaled.column_iter_mut().zip(factors) {
        vector *= factor;
    }
    let matrix = scaled * eigen.eigenvectors.transpose();
    // symmetric: by columns is by rows
    Ok((found, matrix.as_slice().to_vec()))
}

fn check(column: &Column, rows: &[u32]) -> Result<(), DataError> {
    if rows.is_empty() {
        return Err(DataError::NoRows { doing: "fit" });
    }
    if let Some(&row) = rows.iter().find(|r| **r as usize >= column.rows()) {
        return Err(DataError::RowIndex {
            row: row as usize,
            rows: column.rows(),
        });
    }
    if matches!(column.data(), ColumnData::Text(_)) || !matches!(column.shape().len(), 2 | 3) {
        return Err(DataError::ColumnKind {
            column: column.name.clone(),
            found: column.storage().name(),
            doing: "fitting to images",
            expected: "images",
        });
    }
    Ok(())
}

fn channels_of(column: &Column) -> usize {
    column.shape().get(2).copied().unwrap_or(1)
}

/// Hands over the values of some rows at a time.
fn each_block(column: &Column, rows: &[u32], mut take: impl FnMut(&[f64])) {
    let each = column.per_row();
    let mut block = Vec::with_capacity(BLOCK.min(rows.len()) * each);
    for rows in rows.chunks(BLOCK) {
        block.clear();
        for &row in rows {
            let values = (0..each).map(|i| column.number(row as usize * each + i));
            block.extend(values.map(Option::unwrap_or_default));
        }
        take(&block);
    }
}
