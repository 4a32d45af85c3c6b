//! Strided views: how a tensor lies in a buffer, and what the shape primitives do to that.
//!
//! Transpose, broadcast, slice and reverse never move data; reshape does only where strides cannot say it.
//! Offsets and strides count elements.

use smallvec::SmallVec;

pub type Sizes = SmallVec<[usize; 4]>;
pub type Strides = SmallVec<[isize; 4]>;

/// Element (i, j, ..) is at `offset + i * strides[0] + j * strides[1] ..`.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct View {
    pub offset: isize,
    pub sizes: Sizes,
    pub strides: Strides,
}

impl View {
    /// Row-major without gaps.
    pub fn contiguous(sizes: &[usize]) -> View {
        View {
            offset: 0,
            sizes: sizes.into(),
            strides: row_major(sizes),
        }
    }

    pub fn elements(&self) -> usize {
        self.sizes.iter().product()
    }

    /// Whether it is row-major without gaps from offset 0 (axes of size 1 may have any stride).
    pub fn is_whole(&self) -> bool {
        self.offset == 0 && self.is_row_major()
    }

    /// Whether it is row-major without gaps, wherever it starts.
    pub fn is_row_major(&self) -> bool {
        let expected = row_major(&self.sizes);
        self.elements() == 0
            || (0..self.sizes.len()).all(|i| self.sizes[i] == 1 || self.strides[i] == expected[i])
    }

    pub fn transpose(&self, perm: &[usize]) -> View {
        View {
            offset: self.offset,
            sizes: perm.iter().map(|&p| self.sizes[p]).collect(),
            strides: perm.iter().map(|&p| self.strides[p]).collect(),
        }
    }

    /// Axis i becomes axis `axes[i]` of a tensor of `sizes`; axes of size 1 are stretched, the others are new.
    pub fn broadcast(&self, sizes: &[usize], axes: &[usize]) -> View {
        let mut strides: Strides = SmallVec::from_elem(0, sizes.len());
        for (i, &axis) in axes.iter().enumerate() {
            strides[axis] = match self.sizes[i] == sizes[axis] {
                true => self.strides[i],
                false => 0,
            };
        }
        View {
            offset: self.offset,
            sizes: sizes.into(),
            strides,
        }
    }

    pub fn slice(&self, starts: &[usize], ends: &[usize], steps: &[usize]) -> View {
        let mut view = self.clone();
        for axis in 0..self.sizes.len() {
            view.offset += starts[axis] as isize * self.strides[axis];
            view.sizes[axis] = (ends[axis] - starts[axis]).div_ceil(steps[axis]);
            view.strides[axis] = self.strides[axis] * steps[axis] as isize;
        }
        view
    }

    pub fn reverse(&self, axes: &[usize]) -> View {
        let mut view = self.clone();
        for &axis in axes {
            view.offset += (self.sizes[axis] as isize - 1).max(0) * self.strides[axis];
            view.strides[axis] = -self.strides[axis];
        }
        view
    }

    /// The same elements in row-major order under other sizes, where strides can say it.
    pub fn reshape(&self, sizes: &[usize]) -> Option<View> {
        if self.elements() == 0 {
            return Some(View::contiguous(sizes));
        }
        let old = self.squeeze();
        let mut strides: Strides = SmallVec::from_elem(0, sizes.len());
        let (mut i, mut j) = (0, 0);
        while j < sizes.len() {
            if sizes[j] == 1 {
                j += 1;
                continue;
            }
            // Groups of equal products: old axes i..i2 against new axes j..j2.
            let (mut i2, mut j2) = (i + 1, j + 1);
            let (mut left, mut right) = (old.sizes[i], sizes[j]);
            while left != right {
                if left < right {
                    left *= old.sizes[i2];
                    i2 += 1;
                } else {
                    right *= sizes[j2];
                    j2 += 1;
                }
            }
            if (i..i2 - 1).any(|k| old.strides[k] != old.strides[k + 1] * old.sizes[k + 1] as isize)
            {
                return None;
            }
            let mut stride = old.strides[i2 - 1];
            for k in (j..j2).rev() {
                strides[k] = stride;
                stride *= sizes[k] as isize;
            }
            (i, j) = (i2, j2);
        }
        Some(View {
            offset: self.offset,
            sizes: sizes.into(),
            strides,
        })
    }

    /// Without the axes of size 1.
    pub fn squeeze(&self) -> View {
        let kept = || (0..self.sizes.len()).filter(|&i| self.sizes[i] != 1);
        View {
            offset: self.offset,
            sizes: kept().map(|i| self.sizes[i]).collect(),
            strides: kept().map(|i| self.strides[i]).collect(),
        }
    }

    /// With axes `from..to` joined into one, where a single stride can say it.
    pub fn join(&self, from: usize, to: usize) -> Option<(usize, isize)> {
        let (mut size, mut stride) = (1, 0);
        for axis in (from..to).rev().filter(|&a| self.sizes[a] != 1) {
            match size {
                1 => stride = self.strides[axis],
                _ if self.strides[axis] == stride * size as isize => {}
                _ => return None,
            }
            size *= self.sizes[axis];
        }
        Some((size, stride))
    }
}

pub fn row_major(sizes: &[usize]) -> Strides {
    let mut strides: Strides = SmallVec::from_elem(0, sizes.len());
    let mut stride = 1;
    for (i, &size) in sizes.iter().enumerate().rev() {
        strides[i] = stride;
        stride *= size as isize;
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reshape_keeps_order_or_refuses() {
        let whole = View::contiguous(&[2, 3, 4]);
        assert_eq!(whole.reshape(&[6, 4]), Some(View::contiguous(&[6, 4])));
        assert!(whole.transpose(&[1, 0, 2]).reshape(&[6, 4]).is_none());
        let split = whole.transpose(&[1, 0, 2]).reshape(&[3, 1, 2, 2, 2]);
        assert_eq!(
            split.map(|v| v.strides.to_vec()),
            Some(vec![4, 0, 12, 2, 1])
        );
        let row = View::contiguous(&[4]).broadcast(&[3, 4], &[1]);
        assert!(row.reshape(&[12]).is_none());
        assert_eq!(
            row.reshape(&[3, 2, 2]).map(|v| v.strides.to_vec()),
            Some(vec![0, 2, 1])
        );
    }

    #[test]
    fn slices_and_reversals_move_the_start() {
        let v = View::contiguous(&[4, 5]).slice(&[1, 0], &[4, 5], &[2, 3]);
        assert_eq!((v.offset, v.sizes.as_slice()), (5, &[2, 2][..]));
        let r = v.reverse(&[0]);
        assert_eq!((r.offset, r.strides.as_slice()), (15, &[-10, 3][..]));
        assert_eq!(View::contiguous(&[2, 1, 3]).join(0, 3), Some((6, 1)));
        assert_eq!(r.join(0, 2), None);
    }
}
