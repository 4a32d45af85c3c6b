//! A number that is written to JSON and read back to the same bits, NaN too.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Clone, Copy, Debug)]
pub struct Exact(f64);

impl Exact {
    pub fn get(self) -> f64 {
        self.0
    }
}

impl From<f64> for Exact {
    fn from(x: f64) -> Exact {
        Exact(x)
    }
}

/// Equal if the bits are.
impl PartialEq for Exact {
    fn eq(&self, other: &Exact) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format!("{:016x}", self.0.to_bits()))
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Exact, D::Error> {
        let text = String::deserialize(from)?;
        let bits = u64::from_str_radix(&text, 16).map_err(serde::de::Error::custom)?;
        Ok(Exact(f64::from_bits(bits)))
    }
}
