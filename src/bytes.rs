//! Numbers as bytes and back, without copying; and buffers aligned to a cache line.
//!
//! All multi-byte elements are little-endian in memory (x86-64, aarch64).

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::collections::TryReserveError;
use std::ptr::NonNull;

#[cfg(target_endian = "big")]
compile_error!("numbers are read from files as they lie in memory: little-endian");

/// Alignment of [`AlignedBytes`]: a cache line, and the widest vector.
pub const ALIGN: usize = 64;

/// Plain numbers.
///
/// # Safety
/// Every bit pattern is a value, and there is no padding.
pub unsafe trait Number: Copy + Default + Send + Sync + 'static {}

// SAFETY: plain numbers, no padding, no invalid bit patterns.
unsafe impl Number for u8 {}
// SAFETY: as above.
unsafe impl Number for u16 {}
// SAFETY: as above.
unsafe impl Number for i32 {}
// SAFETY: as above.
unsafe impl Number for f32 {}
// SAFETY: as above.
unsafe impl Number for f64 {}

/// The memory of `numbers`.
pub fn bytes_of<T: Number>(numbers: &[T]) -> &[u8] {
    // SAFETY: `Number` has no padding, and u8 no alignment.
    unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast(), size_of_val(numbers)) }
}

/// The memory of `numbers`, to be written.
pub fn bytes_of_mut<T: Number>(numbers: &mut [T]) -> &mut [u8] {
    // SAFETY: as in `bytes_of`, and every bit pattern is a `Number`.
    unsafe { std::slice::from_raw_parts_mut(numbers.as_mut_ptr().cast(), size_of_val(numbers)) }
}

/// `bytes` seen as numbers; none if they are not aligned or not a whole number of them.
pub fn numbers_of<T: Number>(bytes: &[u8]) -> Option<&[T]> {
    if !bytes.as_ptr().cast::<T>().is_aligned() || !bytes.len().is_multiple_of(size_of::<T>()) {
        return None;
    }
    // SAFETY: alignment and length were checked; every bit pattern is a `Number`.
    Some(unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / size_of::<T>()) })
}

/// The buffer seen as numbers; none if it is not a whole number of them.
pub fn numbers_of_mut<T: Number>(bytes: &mut AlignedBytes) -> Option<&mut [T]> {
    if !bytes.len.is_multiple_of(size_of::<T>()) {
        return None;
    }
    let len = bytes.len / size_of::<T>();
    // SAFETY: aligned to more than any number, all bytes initialised, the borrow exclusive;
    // every bit pattern is a `Number`.
    Some(unsafe { std::slice::from_raw_parts_mut(bytes.start.as_ptr().cast(), len) })
}

thread_local! {
    static MAY_FAIL: Cell<bool> = const { Cell::new(false) };
}

/// Room for `more` numbers, where it is an answer that there is none.
pub fn reserve_exact<T>(to: &mut Vec<T>, more: usize) -> Result<(), TryReserveError> {
    MAY_FAIL.set(true);
    let reserved = to.try_reserve_exact(more);
    MAY_FAIL.set(false);
    reserved
}

/// Whether this thread asks for memory that it can do without.
pub fn may_fail() -> bool {
    MAY_FAIL.get()
}

/// Bytes of fixed length, aligned to [`ALIGN`].
#[derive(Debug)]
pub struct AlignedBytes {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: it owns plain bytes.
unsafe impl Send for AlignedBytes {}
// SAFETY: shared access is read-only.
unsafe impl Sync for AlignedBytes {}

impl AlignedBytes {
    pub fn zeroed(len: usize) -> AlignedBytes {
        let layout = AlignedBytes::layout(len);
        // SAFETY: the layout's size is never 0.
        let start = unsafe { alloc_zeroed(layout) };
        let start = NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout));
        AlignedBytes { start, len }
    }

    fn layout(len: usize) -> Layout {
        Layout::from_size_align(len.max(1), ALIGN)
            .unwrap_or_else(|_| panic!("{len} bytes exceed the address space"))
    }
}

impl Clone for AlignedBytes {
    fn clone(&self) -> AlignedBytes {
        let mut copy = AlignedBytes::zeroed(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl Drop for AlignedBytes {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.start.as_ptr(), AlignedBytes::layout(self.len)) }
    }
}

impl std::ops::Deref for AlignedBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: `len` initialised bytes are owned.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl std::ops::DerefMut for AlignedBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_bytes_are_the_same_memory() {
        let mut numbers = [1i32, -2];
        bytes_of_mut(&mut numbers)[4..].copy_from_slice(&7i32.to_le_bytes());
        assert_eq!(numbers, [1, 7]);
        assert_eq!(numbers_of::<i32>(bytes_of(&numbers)), Some(&[1, 7][..]));
        assert_eq!(numbers_of::<i32>(&bytes_of(&numbers)[..3]), None);
    }

    #[test]
    fn aligned_bytes_are_aligned_and_zero() {
        for len in [0, 1, 63, 1000] {
            let bytes = AlignedBytes::zeroed(len);
            assert_eq!((bytes.as_ptr() as usize % ALIGN, bytes.len()), (0, len));
            assert!(bytes.iter().all(|&b| b == 0));
        }
    }
}
