//! The attributes of every primitive, listed once.
//!
//! From this list the text form prints and reads them, [`specialize`](super::specialize) replaces the sizes in them, the
//! verifier looks for symbols, and equal operations are found by their hash. A region is not an attribute.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::dim::Dim;
use super::graph::Graph;
use super::prim::{
    Binary, Compare, ConvDims, DotDims, Prim, Reduce, Scan, Unary, WindowDims, WindowOp,
};
use super::ty::{Elem, Shape};

macro_rules! attribute {
    ($(#[$doc:meta])* $name:ident $(, $mut:tt)?) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name<'a> {
            Number(&'a $($mut)? f64),
            Elem(&'a $($mut)? Elem),
            Text(&'a $($mut)? Arc<str>),
            Dim(&'a $($mut)? Dim),
            Shape(&'a $($mut)? Shape),
            Dims(&'a $($mut)? Vec<Dim>),
            Count(&'a $($mut)? usize),
            Counts(&'a $($mut)? Vec<usize>),
            /// The text form leaves it out where it is empty.
            Pairs(&'a $($mut)? Vec<(usize, usize)>),
            /// The text form leaves it out where it is false.
            Flag(&'a $($mut)? bool),
        }
    };
}

attribute!(
    /// The value of an attribute.
    Attribute
);
attribute!(
    /// The value of an attribute, to be replaced.
    AttributeMut,
    mut
);

/// Calls `$f` with the key and the value of every attribute, in the order of the text form.
macro_rules! visit {
    ($prim:expr, $f:ident, $Of:ident) => {
        match $prim {
            Prim::Const { value, elem } => {
                $f("value", $Of::Number(value));
                $f("elem", $Of::Elem(elem));
            }
            Prim::Size { dim, elem } => {
                $f("dim", $Of::Dim(dim));
                $f("elem", $Of::Elem(elem));
            }
            Prim::Iota { axis, shape, elem } => {
                $f("axis", $Of::Count(axis));
                $f("shape", $Of::Shape(shape));
                $f("elem", $Of::Elem(elem));
            }
            Prim::Random { site, shape } => {
                $f("site", $Of::Text(site));
                $f("shape", $Of::Shape(shape));
            }
            Prim::Cast(elem) => $f("to", $Of::Elem(elem)),
            Prim::Reshape(shape) => $f("shape", $Of::Shape(shape)),
            Prim::Transpose(perm) => $f("perm", $Of::Counts(perm)),
            Prim::Broadcast { shape, axes } => {
                $f("shape", $Of::Shape(shape));
                $f("axes", $Of::Counts(axes));
            }
            Prim::Slice {
                starts,
                ends,
                steps,
            } => {
                $f("starts", $Of::Dims(starts));
                $f("ends", $Of::Dims(ends));
                $f("steps", $Of::Counts(steps));
            }
            Prim::Pad {
                low,
                high,
                interior,
            } => {
                $f("low", $Of::Dims(low));
                $f("high", $Of::Dims(high));
                $f("interior", $Of::Counts(interior));
            }
            Prim::Concat { axis }
            | Prim::ArgMax { axis }
            | Prim::ArgSort { axis }
            | Prim::Gather { axis } => $f("axis", $Of::Count(axis)),
            Prim::Reverse { axes } | Prim::Reduce { op: _, axes } => $f("axes", $Of::Counts(axes)),
            Prim::Dot(DotDims { batch, contract }) => {
                $f("batch", $Of::Pairs(batch));
                $f("contract", $Of::Pairs(contract));
            }
            Prim::ScatterAdd { axis, size } => {
                $f("axis", $Of::Count(axis));
                $f("size", $Of::Dim(size));
            }
            Prim::Conv(conv) => visit!(conv conv, $f, $Of),
            Prim::ConvInputGrad { conv, spatial } => {
                visit!(conv conv, $f, $Of);
                $f("spatial", $Of::Dims(spatial));
            }
            Prim::ConvKernelGrad { conv, kernel } => {
                visit!(conv conv, $f, $Of);
                $f("kernel", $Of::Dims(kernel));
            }
            Prim::Window { op: _, dims } | Prim::WindowGrad { op: _, dims } => {
                let WindowDims {
                    window,
                    strides,
                    low,
                    high,
                } = dims;
                $f("window", $Of::Counts(window));
                $f("strides", $Of::Counts(strides));
                $f("low", $Of::Dims(low));
                $f("high", $Of::Dims(high));
            }
            Prim::Scan(Scan {
                body: _,
                carries,
                scanned,
                length,
                reverse,
            }) => {
                $f("carries", $Of::Count(carries));
                $f("scanned", $Of::Count(scanned));
                $f("length", $Of::Dim(length));
                $f("reverse", $Of::Flag(reverse));
            }
            Prim::Unary(_)
            | Prim::Binary(_)
            | Prim::Compare(_)
            | Prim::Select
            | Prim::StopGradient
            | Prim::Gradient => {}
        }
    };
    (conv $conv:ident, $f:ident, $Of:ident) => {{
        let ConvDims {
            strides,
            dilation,
            low,
            high,
            groups,
        } = $conv;
        $f("strides", $Of::Counts(strides));
        $f("dilation", $Of::Counts(dilation));
        $f("low", $Of::Dims(low));
        $f("high", $Of::Dims(high));
        $f("groups", $Of::Count(groups));
    }};
}

impl Prim {
    /// Calls `f` with the key and the value of every attribute, in the order of the text form.
    pub fn each_attribute(&self, mut f: impl FnMut(&'static str, Attribute)) {
        visit!(self, f, Attribute);
    }

    /// As [`Prim::each_attribute`], to replace values.
    pub fn each_attribute_mut(&mut self, mut f: impl FnMut(&'static str, AttributeMut)) {
        visit!(self, f, AttributeMut);
    }

    /// Calls `f` with every size among the attributes, those inside a region left out.
    pub fn each_dim(&self, mut f: impl FnMut(&Dim)) {
        self.each_attribute(|_, attribute| match attribute {
            Attribute::Dim(dim) => f(dim),
            Attribute::Shape(dims) => dims.iter().for_each(&mut f),
            Attribute::Dims(dims) => dims.iter().for_each(&mut f),
            Attribute::Number(_)
            | Attribute::Elem(_)
            | Attribute::Text(_)
            | Attribute::Count(_)
            | Attribute::Counts(_)
            | Attribute::Pairs(_)
            | Attribute::Flag(_) => {}
        });
    }

    /// The primitive with every size among the attributes replaced by what `f` makes of it, those inside a region left
    /// as they are.
    ///
    /// # Errors
    /// The first that `f` returns.
    pub fn map_dims<E>(&self, mut f: impl FnMut(&Dim) -> Result<Dim, E>) -> Result<Prim, E> {
        let mut failure = None;
        let mut replace = |dim: &mut Dim| {
            if failure.is_none() {
                match f(dim) {
                    Ok(new) => *dim = new,
                    Err(error) => failure = Some(error),
                }
            }
        };
        let mut prim = self.clone();
        prim.each_attribute_mut(|_, attribute| match attribute {
            AttributeMut::Dim(dim) => replace(dim),
            AttributeMut::Shape(dims) => dims.iter_mut().for_each(&mut replace),
            AttributeMut::Dims(dims) => dims.iter_mut().for_each(&mut replace),
            AttributeMut::Number(_)
            | AttributeMut::Elem(_)
            | AttributeMut::Text(_)
            | AttributeMut::Count(_)
            | AttributeMut::Counts(_)
            | AttributeMut::Pairs(_)
            | AttributeMut::Flag(_) => {}
        });
        match failure {
            None => Ok(prim),
            Some(error) => Err(error),
        }
    }

    /// One primitive of each name, in the order of the enum. Attributes are empty, to be filled in.
    pub fn every() -> Vec<Prim> {
        let (elem, dim, axis) = (Elem::F32, Dim::ZERO, 0);
        let (value, site, scan) = (0.0, "".into(), Scan::default());
        let conv = ConvDims::default;
        let mut all = vec![
            Prim::Const { value, elem },
            Prim::Size {
                dim: dim.clone(),
                elem,
            },
            Prim::Iota {
                axis,
                shape: Shape::new(),
                elem,
            },
            Prim::Random {
                site,
                shape: Shape::new(),
            },
        ];
        all.extend(Unary::ALL.map(Prim::Unary));
        all.extend(Binary::ALL.map(Prim::Binary));
        all.extend(Compare::ALL.map(Prim::Compare));
        all.extend([
            Prim::Select,
            Prim::Cast(elem),
            Prim::StopGradient,
            Prim::Reshape(Shape::new()),
            Prim::Transpose(vec![]),
            Prim::Broadcast {
                shape: Shape::new(),
                axes: vec![],
            },
            Prim::Slice {
                starts: vec![],
                ends: vec![],
                steps: vec![],
            },
            Prim::Pad {
                low: vec![],
                high: vec![],
                interior: vec![],
            },
            Prim::Concat { axis },
            Prim::Reverse { axes: vec![] },
        ]);
        all.extend(Reduce::ALL.map(|op| Prim::Reduce { op, axes: vec![] }));
        all.extend([
            Prim::ArgMax { axis },
            Prim::ArgSort { axis },
            Prim::Dot(DotDims::default()),
            Prim::Gather { axis },
            Prim::ScatterAdd { axis, size: dim },
            Prim::Conv(conv()),
            Prim::ConvInputGrad {
                conv: conv(),
                spatial: vec![],
            },
            Prim::ConvKernelGrad {
                conv: conv(),
                kernel: vec![],
            },
        ]);
        let dims = WindowDims::default;
        all.extend(WindowOp::ALL.map(|op| Prim::Window { op, dims: dims() }));
        all.extend(WindowOp::ALL.map(|op| Prim::WindowGrad { op, dims: dims() }));
        all.extend([Prim::Scan(scan), Prim::Gradient]);
        all
    }
}

impl Default for Scan {
    /// A loop over nothing, of an empty body.
    fn default() -> Scan {
        Scan {
            body: Arc::new(Graph::default()),
            carries: 0,
            scanned: 0,
            length: Dim::ZERO,
            reverse: false,
        }
    }
}

/// A number is hashed by its bits.
impl Hash for Attribute<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Attribute::Number(x) => x.to_bits().hash(state),
            Attribute::Elem(x) => x.hash(state),
            Attribute::Text(x) => x.hash(state),
            Attribute::Dim(x) => x.hash(state),
            Attribute::Shape(x) => x.hash(state),
            Attribute::Dims(x) => x.hash(state),
            Attribute::Count(x) => x.hash(state),
            Attribute::Counts(x) => x.hash(state),
            Attribute::Pairs(x) => x.hash(state),
            Attribute::Flag(x) => x.hash(state),
        }
    }
}
