//! Which instruction set the CPU back end's kernels use: the one door to architecture-specific code.
//!
//! A kernel has one portable body; on x86-64 it also has wider versions, and a [`Features`] value says which of
//! them may run. `Features::detect` reads the processor once, then lowers the answer to what the environment
//! variable `NNC_CPU` (`baseline`, `avx2` or `avx512`) asks for. It never raises it, so any value is safe. The command
//! line refuses other values.

/// The vector instruction sets for which kernels exist, narrowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// What the target guarantees: SSE2 on x86-64, NEON on aarch64.
    Baseline,
    /// AVX2 with fused multiply-add: 8 floats a register, 16 registers.
    Avx2,
    /// AVX-512 F, BW, DQ and VL: 16 floats a register, 32 registers.
    Avx512,
}

impl Isa {
    /// By its name in `NNC_CPU`.
    pub fn named(name: &str) -> Option<Isa> {
        match name {
            "baseline" => Some(Isa::Baseline),
            "avx2" => Some(Isa::Avx2),
            "avx512" => Some(Isa::Avx512),
            _ => None,
        }
    }
}

/// What may be used on this machine. Can only be made by this module, so holding an `Isa` through it proves that
/// the processor has the instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    isa: Isa,
}

impl Features {
    /// The best this processor offers, lowered by `NNC_CPU` if that is set.
    pub fn detect() -> Features {
        let found = Features { isa: native() };
        let asked = std::env::var("NNC_CPU").ok();
        match asked.and_then(|name| Isa::named(&name)) {
            Some(isa) => found.at_most(isa),
            None => found,
        }
    }

    /// Only what the target guarantees.
    pub fn baseline() -> Features {
        Features { isa: Isa::Baseline }
    }

    /// These features, without what is above `isa`.
    pub fn at_most(self, isa: Isa) -> Features {
        Features {
            isa: self.isa.min(isa),
        }
    }

    /// Every level that can run here, narrowest first: what a test of all paths iterates over.
    pub fn available() -> impl Iterator<Item = Features> {
        let top = native();
        [Isa::Baseline, Isa::Avx2, Isa::Avx512]
            .into_iter()
            .filter(move |&isa| isa <= top)
            .map(|isa| Features { isa })
    }

    /// The widest instruction set that may be used.
    pub fn isa(self) -> Isa {
        self.isa
    }
}

#[cfg(target_arch = "x86_64")]
fn native() -> Isa {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    match (avx2, avx512) {
        (true, true) => Isa::Avx512,
        (true, false) => Isa::Avx2,
        _ => Isa::Baseline,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn native() -> Isa {
    Isa::Baseline
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lowering_never_raises() {
        for features in Features::available() {
            assert!(features.at_most(Isa::Avx512) == features);
            assert_eq!(features.at_most(Isa::Baseline), Features::baseline());
        }
        assert_eq!(Features::available().next(), Some(Features::baseline()));
    }
}
