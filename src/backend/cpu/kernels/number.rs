//! The element types that reference kernels compute in.

/// Element types that are added up.
pub trait Number: Copy + PartialOrd + Send + Sync + 'static {
    const ZERO: Self;
    const LEAST: Self;
    fn plus(self, other: Self) -> Self;
    fn times_plus(self, by: Self, sum: Self) -> Self;
}

macro_rules! float {
    ($t:ty) => {
        impl Number for $t {
            const ZERO: Self = 0.0;
            const LEAST: Self = <$t>::NEG_INFINITY;
            fn plus(self, other: Self) -> Self {
                self + other
            }
            fn times_plus(self, by: Self, sum: Self) -> Self {
                self * by + sum
            }
        }
    };
}
float!(f32);
float!(f64);

impl Number for i32 {
    const ZERO: Self = 0;
    const LEAST: Self = i32::MIN;
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
    fn times_plus(self, by: Self, sum: Self) -> Self {
        self.wrapping_mul(by).wrapping_add(sum)
    }
}
