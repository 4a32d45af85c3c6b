//! One body, compiled for each instruction set and for several widths.

/// Calls `$body` compiled for the widest instructions there are.
macro_rules! by_isa {
    ($(#[$doc:meta])* $name:ident => $body:ident($($arg:ident: $ty:ty),* $(,)?)) => {
        $(#[$doc])*
        pub(super) unsafe fn $name(features: $crate::backend::cpu::machine::features::Features, $($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            {
                use $crate::backend::cpu::machine::features::Isa;
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
                unsafe fn widest($($arg: $ty),*) {
                    // SAFETY: by the caller's contract.
                    unsafe { $body($($arg),*) }
                }
                #[target_feature(enable = "avx2,fma")]
                unsafe fn wide($($arg: $ty),*) {
                    // SAFETY: by the caller's contract.
                    unsafe { $body($($arg),*) }
                }
                // SAFETY: the processor has the instructions, by `features`.
                match features.isa() {
                    Isa::Avx512 => return unsafe { widest($($arg),*) },
                    Isa::Avx2 => return unsafe { wide($($arg),*) },
                    Isa::Baseline => {}
                }
            }
            #[cfg(not(target_arch = "x86_64"))]
            let _ = features;
            // SAFETY: by the caller's contract.
            unsafe { $body($($arg),*) }
        }
    };
}
pub(super) use by_isa;

/// Calls `$f` for all channels, first with as many at once as fit: `$f::<N>(.., from)`.
macro_rules! in_lanes {
    ($channels:expr, $f:ident($($arg:expr),*)) => {{
        let (channels, mut from) = ($channels, 0);
        while from + 64 <= channels {
            $f::<64>($($arg,)* from);
            from += 64;
        }
        while from + 16 <= channels {
            $f::<16>($($arg,)* from);
            from += 16;
        }
        while from < channels {
            $f::<1>($($arg,)* from);
            from += 1;
        }
    }};
}
pub(super) use in_lanes;
