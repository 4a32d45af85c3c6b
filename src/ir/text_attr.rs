//! Attributes in the text form: `key=value` in any order, and the primitives they make.

use super::dim::Dim;
use super::graph::Graph;
use super::prim::*;
use super::text_lex::{Position, TextError};
use super::ty::{Elem, Shape};

/// A value; its key alone says of which kind it is.
pub(super) enum Attribute {
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
pub(super) enum Kind {
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
pub(super) fn kind_of(key: &str) -> Option<Kind> {
    Some(match key {
        "value" => Kind::Number,
        "elem" | "to" => Kind::Elem,
        "site" => Kind::Text,
        "dim" | "size" | "length" => Kind::Dim,
        "shape" | "starts" | "ends" | "low" | "high" | "spatial" | "kernel" => Kind::Dims,
        "axis" | "groups" | "carries" | "scanned" => Kind::Count,
        "perm" | "axes" | "steps" | "interior" | "strides" | "dilation" | "window" => Kind::Counts,
        "batch" | "contract" => Kind::Pairs,
        "reverse" => Kind::Flag,
        _ => return None,
    })
}

/// A primitive's name and what was written after it.
pub(super) struct Written {
    pub name: String,
    pub at: Position,
    pub attributes: Vec<(String, Position, Attribute)>,
    /// The region.
    pub body: Option<Graph>,
}

impl Written {
    /// The primitive; every attribute must belong to it.
    pub fn prim(mut self) -> Result<Prim, TextError> {
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
        let name = self.name.clone();
        if let Some(op) = Unary::ALL.into_iter().find(|op| op.name() == name) {
            return Ok(Prim::Unary(op));
        }
        if let Some(op) = Binary::ALL.into_iter().find(|op| op.name() == name) {
            return Ok(Prim::Binary(op));
        }
        if let Some(op) = Compare::ALL.into_iter().find(|op| op.name() == name) {
            return Ok(Prim::Compare(op));
        }
        if let Some(op) = Reduce::ALL.into_iter().find(|op| op.reduce_name() == name) {
            let axes = self.counts("axes")?;
            return Ok(Prim::Reduce { op, axes });
        }
        Ok(match name.as_str() {
            "const" => Prim::Const {
                value: self.number("value")?,
                elem: self.elem("elem")?,
            },
            "size" => Prim::Size {
                dim: self.dim("dim")?,
                elem: self.elem("elem")?,
            },
            "iota" => Prim::Iota {
                axis: self.count("axis")?,
                shape: self.shape("shape")?,
                elem: self.elem("elem")?,
            },
            "random" => Prim::Random {
                site: self.text("site")?.into(),
                shape: self.shape("shape")?,
            },
            "select" => Prim::Select,
            "cast" => Prim::Cast(self.elem("to")?),
            "stop_gradient" => Prim::StopGradient,
            "reshape" => Prim::Reshape(self.shape("shape")?),
            "transpose" => Prim::Transpose(self.counts("perm")?),
            "broadcast" => Prim::Broadcast {
                shape: self.shape("shape")?,
                axes: self.counts("axes")?,
            },
            "slice" => Prim::Slice {
                starts: self.dims("starts")?,
                ends: self.dims("ends")?,
                steps: self.counts("steps")?,
            },
            "pad" => Prim::Pad {
                low: self.dims("low")?,
                high: self.dims("high")?,
                interior: self.counts("interior")?,
            },
            "concat" => Prim::Concat {
                axis: self.count("axis")?,
            },
            "reverse" => Prim::Reverse {
                axes: self.counts("axes")?,
            },
            "arg_max" => Prim::ArgMax {
                axis: self.count("axis")?,
            },
            "arg_sort" => Prim::ArgSort {
                axis: self.count("axis")?,
            },
            "dot" => Prim::Dot(DotDims {
                batch: self.pairs("batch"),
                contract: self.pairs("contract"),
            }),
            "gather" => Prim::Gather {
                axis: self.count("axis")?,
            },
            "scatter_add" => Prim::ScatterAdd {
                axis: self.count("axis")?,
                size: self.dim("size")?,
            },
            "conv" => Prim::Conv(self.conv()?),
            "conv_input_grad" => Prim::ConvInputGrad {
                conv: self.conv()?,
                spatial: self.dims("spatial")?,
            },
            "conv_kernel_grad" => Prim::ConvKernelGrad {
                conv: self.conv()?,
                kernel: self.dims("kernel")?,
            },
            "window_max" | "window_sum" => Prim::Window {
                op: window_op(&name),
                dims: self.window()?,
            },
            "window_max_grad" | "window_sum_grad" => Prim::WindowGrad {
                op: window_op(&name),
                dims: self.window()?,
            },
            "scan" => Prim::Scan(Scan {
                body: match self.body.take() {
                    Some(body) => body.into(),
                    None => {
                        return Err(self
                            .at
                            .error("`scan` needs a region, `graph body(..) {..}`"));
                    }
                },
                carries: self.count("carries")?,
                scanned: self.count("scanned")?,
                length: self.dim("length")?,
                reverse: matches!(self.take("reverse"), Some(Attribute::Flag(true))),
            }),
            "gradient" => Prim::Gradient,
            _ => return Err(self.at.error(format!("there is no primitive `{name}`"))),
        })
    }

    fn conv(&mut self) -> Result<ConvDims, TextError> {
        Ok(ConvDims {
            strides: self.counts("strides")?,
            dilation: self.counts("dilation")?,
            low: self.dims("low")?,
            high: self.dims("high")?,
            groups: self.count("groups")?,
        })
    }

    fn window(&mut self) -> Result<WindowDims, TextError> {
        Ok(WindowDims {
            window: self.counts("window")?,
            strides: self.counts("strides")?,
            low: self.dims("low")?,
            high: self.dims("high")?,
        })
    }

    fn take(&mut self, key: &str) -> Option<Attribute> {
        let index = self.attributes.iter().position(|(k, ..)| k == key)?;
        Some(self.attributes.remove(index).2)
    }

    fn missing(&self, key: &str) -> TextError {
        let name = &self.name;
        self.at
            .error(format!("`{name}` needs the attribute `{key}`"))
    }

    fn number(&mut self, key: &str) -> Result<f64, TextError> {
        match self.take(key) {
            Some(Attribute::Number(v)) => Ok(v),
            _ => Err(self.missing(key)),
        }
    }
    fn elem(&mut self, key: &str) -> Result<Elem, TextError> {
        match self.take(key) {
            Some(Attribute::Elem(v)) => Ok(v),
            _ => Err(self.missing(key)),
        }
    }
    fn text(&mut self, key: &str) -> Result<String, TextError> {
        match self.take(key) {
            Some(Attribute::Text(v)) => Ok(v),
            _ => Err(self.missing(key)),
        }
    }
    fn dim(&mut self, key: &str) -> Result<Dim, TextError> {
        match self.take(key) {
            Some(Attribute::Dim(v)) => Ok(v),
            _ => Err(self.missing(key)),
        }
    }
    fn dims(&mut self, key: &str) -> Result<Vec<Dim>, TextError> {
        match self.take(key) {
            Some(Attribute::Dims(v)) => Ok(v),
            _ => Err(self.missing(key)),
        }
    }
    fn shape(&mut self, key: &str) -> Result<Shape, TextError> {
        Ok(self.dims(key)?.into_iter().collect())
    }
    fn count(&mut self, key: &str) -> Result<usize, TextError> {
        match self.take(key) {
            Some(Attribute::Count(v)) => Ok(v),
            _ => Err(self.missing(key)),
        }
    }
    fn counts(&mut self, key: &str) -> Result<Vec<usize>, TextError> {
        match self.take(key) {
            Some(Attribute::Counts(v)) => Ok(v),
            _ => Err(self.missing(key)),
        }
    }
    /// None where the key is left out.
    fn pairs(&mut self, key: &str) -> Vec<(usize, usize)> {
        match self.take(key) {
            Some(Attribute::Pairs(v)) => v,
            _ => Vec::new(),
        }
    }
}

fn window_op(name: &str) -> WindowOp {
    if name.starts_with("window_max") {
        WindowOp::Max
    } else {
        WindowOp::Sum
    }
}
