//! Vectors of floats: the few operations that the kernels need, for each instruction set.
//!
//! Everything is inlined into functions compiled for the instruction set; to call a method elsewhere, on a processor
//! that may lack it, is undefined: hence the `unsafe`.

/// A vector of `LANES` floats.
pub(super) trait Simd: Copy {
    const LANES: usize;
    /// Which of the lanes take part in a masked operation.
    type Mask: Copy;

    /// The first `lanes` lanes.
    unsafe fn mask(lanes: usize) -> Self::Mask;
    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// Reads the masked lanes; the others are 0.
    unsafe fn load_part(from: *const f32, mask: Self::Mask) -> Self;
    /// Writes the masked lanes only.
    unsafe fn store_part(self, to: *mut f32, mask: Self::Mask);
    unsafe fn add(self, other: Self) -> Self;
    /// `x * y + self`, rounded once where the instruction set can.
    unsafe fn fma(self, x: Self, y: Self) -> Self;
    /// The larger of 0 and the lane; NaN stays NaN.
    unsafe fn relu(self) -> Self;
    /// Turns rows into columns in the leading `LANES` vectors.
    unsafe fn transpose(block: &mut [Self; 16]);
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{V8, V16};

/// The vector that every processor of the target has.
#[cfg(target_arch = "x86_64")]
pub(super) type V4 = std::arch::x86_64::__m128;
/// The vector that every processor of the target has: the compiler makes what it can of the array.
#[cfg(not(target_arch = "x86_64"))]
pub type V4 = portable::Array;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Simd;
    use std::arch::x86_64::*;

    /// AVX-512.
    pub(crate) type V16 = __m512;
    /// AVX2 with FMA.
    pub(crate) type V8 = __m256;

    // SAFETY (of all three): callers have the instruction set and valid pointers.
    impl Simd for __m512 {
        const LANES: usize = 16;
        type Mask = __mmask16;

        #[inline(always)]
        unsafe fn mask(lanes: usize) -> __mmask16 {
            ((1u32 << lanes) - 1) as u16
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            unsafe { _mm512_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            unsafe { _mm512_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm512_storeu_ps(to, self) }
        }
        #[inline(always)]
        unsafe fn load_part(from: *const f32, mask: __mmask16) -> Self {
            unsafe { _mm512_maskz_loadu_ps(mask, from) }
        }
        #[inline(always)]
        unsafe fn store_part(self, to: *mut f32, mask: __mmask16) {
            unsafe { _mm512_mask_storeu_ps(to, mask, self) }
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            unsafe { _mm512_add_ps(self, other) }
        }
        #[inline(always)]
        unsafe fn fma(self, x: Self, y: Self) -> Self {
            unsafe { _mm512_fmadd_ps(x, y, self) }
        }
        #[inline(always)]
        unsafe fn relu(self) -> Self {
            // The second operand is the result where either is NaN.
            unsafe { _mm512_max_ps(_mm512_setzero_ps(), self) }
        }
        #[inline(always)]
        unsafe fn transpose(r: &mut [Self; 16]) {
            unsafe {
                let t = *r;
                for i in 0..4 {
                    let [a, b, c, d] = [t[4 * i], t[4 * i + 1], t[4 * i + 2], t[4 * i + 3]];
                    let (ab, cd) = (_mm512_unpacklo_ps(a, b), _mm512_unpacklo_ps(c, d));
                    let (ef, gh) = (_mm512_unpackhi_ps(a, b), _mm512_unpackhi_ps(c, d));
                    r[4 * i] = pd512(_mm512_unpacklo_pd, ab, cd);
                    r[4 * i + 1] = pd512(_mm512_unpackhi_pd, ab, cd);
                    r[4 * i + 2] = pd512(_mm512_unpacklo_pd, ef, gh);
                    r[4 * i + 3] = pd512(_mm512_unpackhi_pd, ef, gh);
                }
                for q in 0..4 {
                    let even_lo = _mm512_shuffle_f32x4::<0x88>(r[q], r[4 + q]);
                    let odd_lo = _mm512_shuffle_f32x4::<0xdd>(r[q], r[4 + q]);
                    let even_hi = _mm512_shuffle_f32x4::<0x88>(r[8 + q], r[12 + q]);
                    let odd_hi = _mm512_shuffle_f32x4::<0xdd>(r[8 + q], r[12 + q]);
                    r[q] = _mm512_shuffle_f32x4::<0x88>(even_lo, even_hi);
                    r[4 + q] = _mm512_shuffle_f32x4::<0x88>(odd_lo, odd_hi);
                    r[8 + q] = _mm512_shuffle_f32x4::<0xdd>(even_lo, even_hi);
                    r[12 + q] = _mm512_shuffle_f32x4::<0xdd>(odd_lo, odd_hi);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn pd512(f: unsafe fn(__m512d, __m512d) -> __m512d, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_castpd_ps(f(_mm512_castps_pd(a), _mm512_castps_pd(b))) }
    }

    impl Simd for __m256 {
        const LANES: usize = 8;
        type Mask = __m256i;

        #[inline(always)]
        unsafe fn mask(lanes: usize) -> __m256i {
            unsafe {
                _mm256_cmpgt_epi32(
                    _mm256_set1_epi32(lanes as i32),
                    _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
                )
            }
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            unsafe { _mm256_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            unsafe { _mm256_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm256_storeu_ps(to, self) }
        }
        #[inline(always)]
        unsafe fn load_part(from: *const f32, mask: __m256i) -> Self {
            unsafe { _mm256_maskload_ps(from, mask) }
        }
        #[inline(always)]
        unsafe fn store_part(self, to: *mut f32, mask: __m256i) {
            unsafe { _mm256_maskstore_ps(to, mask, self) }
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            unsafe { _mm256_add_ps(self, other) }
        }
        #[inline(always)]
        unsafe fn fma(self, x: Self, y: Self) -> Self {
            unsafe { _mm256_fmadd_ps(x, y, self) }
        }
        #[inline(always)]
        unsafe fn relu(self) -> Self {
            unsafe { _mm256_max_ps(_mm256_setzero_ps(), self) }
        }
        #[inline(always)]
        unsafe fn transpose(r: &mut [Self; 16]) {
            unsafe {
                let t = *r;
                let pd = |lo: bool, a, b| {
                    let (a, b) = (_mm256_castps_pd(a), _mm256_castps_pd(b));
                    _mm256_castpd_ps(if lo {
                        _mm256_unpacklo_pd(a, b)
                    } else {
                        _mm256_unpackhi_pd(a, b)
                    })
                };
                for i in 0..2 {
                    let [a, b, c, d] = [t[4 * i], t[4 * i + 1], t[4 * i + 2], t[4 * i + 3]];
                    let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
                    let (ef, gh) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
                    r[4 * i] = pd(true, ab, cd);
                    r[4 * i + 1] = pd(false, ab, cd);
                    r[4 * i + 2] = pd(true, ef, gh);
                    r[4 * i + 3] = pd(false, ef, gh);
                }
                for q in 0..4 {
                    let (lo, hi) = (r[q], r[4 + q]);
                    r[q] = _mm256_permute2f128_ps::<0x20>(lo, hi);
                    r[4 + q] = _mm256_permute2f128_ps::<0x31>(lo, hi);
                }
            }
        }
    }

    impl Simd for __m128 {
        const LANES: usize = 4;
        type Mask = usize;

        #[inline(always)]
        unsafe fn mask(lanes: usize) -> usize {
            lanes
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            unsafe { _mm_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            unsafe { _mm_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm_storeu_ps(to, self) }
        }
        #[inline(always)]
        unsafe fn load_part(from: *const f32, mask: usize) -> Self {
            unsafe {
                match mask {
                    4 => _mm_loadu_ps(from),
                    3 => _mm_setr_ps(*from, *from.add(1), *from.add(2), 0.0),
                    2 => _mm_setr_ps(*from, *from.add(1), 0.0, 0.0),
                    _ => _mm_set_ss(*from),
                }
            }
        }
        #[inline(always)]
        unsafe fn store_part(self, to: *mut f32, mask: usize) {
            let mut lanes = [0.0; 4];
            unsafe {
                _mm_storeu_ps(lanes.as_mut_ptr(), self);
                std::ptr::copy_nonoverlapping(lanes.as_ptr(), to, mask);
            }
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            unsafe { _mm_add_ps(self, other) }
        }
        #[inline(always)]
        unsafe fn fma(self, x: Self, y: Self) -> Self {
            unsafe { _mm_add_ps(self, _mm_mul_ps(x, y)) }
        }
        #[inline(always)]
        unsafe fn relu(self) -> Self {
            unsafe { _mm_max_ps(_mm_setzero_ps(), self) }
        }
        #[inline(always)]
        unsafe fn transpose(r: &mut [Self; 16]) {
            let [a, b, c, d, ..] = r;
            unsafe { _MM_TRANSPOSE4_PS(a, b, c, d) }
        }
    }
}

#[cfg(any(not(target_arch = "x86_64"), test))]
mod portable {
    use super::Simd;

    #[derive(Clone, Copy, Debug)]
    #[repr(C, align(16))]
    pub(super) struct Array(pub [f32; 4]);

    // SAFETY (of all): callers have valid pointers.
    impl Simd for Array {
        const LANES: usize = 4;
        type Mask = usize;

        #[inline(always)]
        unsafe fn mask(lanes: usize) -> usize {
            lanes
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            Array([x; 4])
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            unsafe { Array(from.cast::<[f32; 4]>().read_unaligned()) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { to.cast::<[f32; 4]>().write_unaligned(self.0) }
        }
        #[inline(always)]
        unsafe fn load_part(from: *const f32, mask: usize) -> Self {
            if mask == 4 {
                return unsafe { Self::load(from) };
            }
            Array(std::array::from_fn(|i| {
                if i < mask {
                    unsafe { *from.add(i) }
                } else {
                    0.0
                }
            }))
        }
        #[inline(always)]
        unsafe fn store_part(self, to: *mut f32, mask: usize) {
            unsafe { std::ptr::copy_nonoverlapping(self.0.as_ptr(), to, mask) }
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            Array(std::array::from_fn(|i| self.0[i] + other.0[i]))
        }
        #[inline(always)]
        unsafe fn fma(self, x: Self, y: Self) -> Self {
            if cfg!(target_arch = "aarch64") {
                Array(std::array::from_fn(|i| x.0[i].mul_add(y.0[i], self.0[i])))
            } else {
                Array(std::array::from_fn(|i| x.0[i] * y.0[i] + self.0[i]))
            }
        }
        #[inline(always)]
        unsafe fn relu(self) -> Self {
            Array(self.0.map(|x| if x < 0.0 { 0.0 } else { x }))
        }
        #[inline(always)]
        unsafe fn transpose(r: &mut [Self; 16]) {
            let t = *r;
            for (i, row) in r[..4].iter_mut().enumerate() {
                *row = Array(std::array::from_fn(|j| t[j].0[i]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::machine::features::{Features, Isa};

    /// Each operation of `V` against the obvious one on arrays.
    #[inline(always)]
    unsafe fn check<V: Simd>() {
        let n = V::LANES;
        let data: Vec<f32> = (0..16 * 16).map(|i| i as f32 - 40.0).collect();
        let read = |v: V| {
            let mut out = vec![0.0; n];
            unsafe { v.store(out.as_mut_ptr()) };
            out
        };
        unsafe {
            let (x, y) = (V::load(data.as_ptr()), V::load(data.as_ptr().add(100)));
            assert_eq!(read(x), data[..n]);
            assert_eq!(read(V::splat(2.5)), vec![2.5; n]);
            let each = |f: &dyn Fn(f32, f32) -> f32| {
                (0..n)
                    .map(|i| f(data[i], data[100 + i]))
                    .collect::<Vec<_>>()
            };
            assert_eq!(read(x.add(y)), each(&|a, b| a + b));
            assert_eq!(read(x.fma(y, y)), each(&|a, b| a + b * b));
            assert_eq!(read(x.relu()), each(&|a, _| a.max(0.0)));
            assert!(read(V::splat(f32::NAN).relu())[0].is_nan());
            for part in 1..=n {
                let mask = V::mask(part);
                let mut expected = vec![0.0; n];
                expected[..part].copy_from_slice(&data[..part]);
                assert_eq!(read(V::load_part(data.as_ptr(), mask)), expected);
                let mut out = vec![0.0; n];
                x.store_part(out.as_mut_ptr(), mask);
                assert_eq!(out, expected);
            }
            let mut block = [V::splat(0.0); 16];
            for (i, row) in block[..n].iter_mut().enumerate() {
                *row = V::load(data.as_ptr().add(16 * i));
            }
            V::transpose(&mut block);
            for (i, &row) in block[..n].iter().enumerate() {
                assert_eq!(
                    read(row),
                    (0..n).map(|j| data[16 * j + i]).collect::<Vec<_>>()
                );
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn operations() {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        fn wide() {
            unsafe { check::<V16>() }
        }
        #[target_feature(enable = "avx2,fma")]
        fn middle() {
            unsafe { check::<V8>() }
        }
        for features in Features::available() {
            match features.isa() {
                Isa::Baseline => unsafe { check::<V4>() },
                Isa::Avx2 => unsafe { middle() },
                Isa::Avx512 => unsafe { wide() },
            }
        }
    }

    #[test]
    fn operations_on_arrays() {
        unsafe { check::<portable::Array>() }
    }
}
