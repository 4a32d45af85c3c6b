//! Attributes in the text form: `key=value` in any order, and the primitives they make.

use super::attributes::AttributeMut;
use super::dim::Dim;
use super::graph::Graph;
use super::prim::Prim;
use super::text_lex::{Position, TextError};
use super::ty::Elem;

/// The value of an attribute as written; its key alone says of which kind it is.
pub(super) enum Parsed {
    Number(f64),
    Elem(Elem),
    Text(String),
    Dim(Dim),
    Dims(Vec<Dim>),
    Count(usize),
    Counts(Vec<usize>),
    Pairs(Vec<(usize, usize)>),
    Flag(bool),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ParsedKind {
    Number,
    Elem,
    Text,
    Dim,
    Dims,
    Count,
    Counts,
    Pairs,
    Flag,
}

/// What a key takes; `None` if no primitive has such an attribute.
pub(super) fn kind_of(key: &str) -> Option<ParsedKind> {
    Some(match key {
        "value" => ParsedKind::Number,
        "elem" | "to" => ParsedKind::Elem,
        "site" => ParsedKind::Text,
        "dim" | "size" | "length" => ParsedKind::Dim,
        "shape" | "starts" | "ends" | "low" | "high" | "spatial" | "kernel" => ParsedKind::Dims,
        "axis" | "groups" | "carries" | "scanned" => ParsedKind::Count,
        "perm" | "axes" | "steps" | "interior" | "strides" | "dilation" | "window" => {
            ParsedKind::Counts
        }
        "batch" | "contract" => ParsedKind::Pairs,
        "reverse" => ParsedKind::Flag,
        _ => return None,
    })
}

/// A primitive's name and what was written after it.
pub(super) struct Written {
    pub name: String,
    pub at: Position,
    pub attributes: Vec<(String, Position, Parsed)>,
    /// The region.
    pub body: Option<Graph>,
}

impl Written {
    /// The primitive; every attribute must belong to it.
    pub(super) fn prim(mut self) -> Result<Prim, TextError> {
        let prim = self.take_prim()?;
        if let Some((key, at, _)) = self.attributes.first() {
            return Err(at.error(format!("`{}` has no attribute `{key}`", self.name)));
        }
        if self.body.is_some() {
            return Err(self.at.error(format!("`{}` has no region", self.name)));
        }
        Ok(prim)
    }

    fn take_prim(&mut self) -> Result<Prim, TextError> {
        let mut all = Prim::every().into_iter();
        let Some(mut prim) = all.find(|p| p.name() == self.name) else {
            let name = &self.name;
            return Err(self.at.error(format!("there is no primitive `{name}`")));
        };
        if let Prim::Scan(scan) = &mut prim {
            let missing = || {
                self.at
                    .error("`scan` needs a region, `graph body(..) {..}`")
            };
            scan.body = self.body.take().ok_or_else(missing)?.into();
        }
        let mut result = Ok(());
        prim.each_attribute_mut(|key, to| {
            if result.is_ok() {
                result = self.fill(key, to);
            }
        });
        result.map(|()| prim)
    }

    /// Puts what was written for `key` where it belongs.
    fn fill(&mut self, key: &str, to: AttributeMut) -> Result<(), TextError> {
        match (to, self.take(key)) {
            (AttributeMut::Number(to), Some(Parsed::Number(x))) => *to = x,
            (AttributeMut::Elem(to), Some(Parsed::Elem(elem))) => *to = elem,
            (AttributeMut::Text(to), Some(Parsed::Text(text))) => *to = text.into(),
            (AttributeMut::Dim(to), Some(Parsed::Dim(dim))) => *to = dim,
            (AttributeMut::Shape(to), Some(Parsed::Dims(dims))) => *to = dims.into(),
            (AttributeMut::Dims(to), Some(Parsed::Dims(dims))) => *to = dims,
            (AttributeMut::Count(to), Some(Parsed::Count(count))) => *to = count,
            (AttributeMut::Counts(to), Some(Parsed::Counts(counts))) => *to = counts,
            (AttributeMut::Pairs(to), Some(Parsed::Pairs(pairs))) => *to = pairs,
            (AttributeMut::Flag(to), Some(Parsed::Flag(flag))) => *to = flag,
            (AttributeMut::Pairs(_) | AttributeMut::Flag(_), None) => {}
            _ => {
                let name = &self.name;
                let message = format!("`{name}` needs the attribute `{key}`");
                return Err(self.at.error(message));
            }
        }
        Ok(())
    }

    fn take(&mut self, key: &str) -> Option<Parsed> {
        let index = self.attributes.iter().position(|(k, ..)| k == key)?;
        Some(self.attributes.remove(index).2)
    }
}
