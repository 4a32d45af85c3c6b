//! Random graphs over every primitive: well typed, otherwise arbitrary.
//!
//! Nodes are tried on values that exist already; what the type rules refuse is
//! dropped. [`primitives`] matches on every primitive, so a new one does not
//! compile without an entry.

use std::sync::Arc;

use nnc::ir::prim::{
    Binary, Compare, ConvDims, DotDims, Prim, Reduce, Scan, Unary, WindowDims, WindowOp,
};
use nnc::ir::{Bindings, Dim, Elem, Graph, Origin, OutputRole, Role, Shape, Tensor, Type, Value};

/// What may occur.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Attempts to add a node.
    pub attempts: usize,
    /// Whether sizes may be `B` and `n`, and what is made of them.
    pub symbols: bool,
    /// Whether [`Prim::Gradient`] may occur.
    pub gradients: bool,
}

/// A graph whose values are numbered in the order of its text; every value without a use is a result.
pub(crate) fn random_graph(seed: u64, limits: Limits) -> Graph {
    let mut maker = Maker {
        random: Random(seed),
        limits,
        graph: Graph::new("random"),
        values: Vec::new(),
        depth: 0,
    };
    maker.fill();
    // Inputs first, as they are printed and read.
    let graph = maker.finish();
    graph
        .specialize(&Bindings::new())
        .expect("a well typed graph")
}

/// Values for all inputs, small enough to be exact in every type.
pub(crate) fn random_inputs(graph: &Graph, seed: u64) -> Vec<Tensor> {
    let mut random = Random(seed);
    let inputs = graph.inputs.iter();
    inputs
        .map(|input| {
            let zeros = Tensor::of_type(graph.ty(input.value)).expect("no symbols");
            let values: Vec<f64> = (0..zeros.len())
                .map(|_| match zeros.elem() {
                    Elem::F32 | Elem::F64 => random.below(65) as f64 / 16.0 - 2.0,
                    Elem::I32 => random.below(9) as f64 - 2.0,
                    Elem::U8 => random.below(256) as f64,
                    Elem::Bool => random.below(2) as f64,
                })
                .collect();
            Tensor::from_values(zeros.elem(), zeros.shape(), &values)
        })
        .collect()
}

/// splitmix64
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    pub(crate) fn of<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }
}

struct Maker {
    random: Random,
    limits: Limits,
    graph: Graph,
    values: Vec<Value>,
    depth: usize,
}

impl Maker {
    fn fill(&mut self) {
        for _ in 0..self.limits.attempts {
            let kind = self.random.below(samples().len());
            let (prim, args) = self.primitive(kind);
            let path = self.random.of(&["", "dense", "a/b"]).into();
            let origin = self.graph.origin(Origin { span: None, path });
            if let Ok(results) = self.graph.push(prim, &args, origin) {
                self.values.extend(results);
            }
        }
    }

    fn finish(mut self) -> Graph {
        let used = self.graph.nodes.iter().flat_map(|n| n.args.iter().copied());
        let used: std::collections::HashSet<Value> = used.collect();
        let defined = self.graph.nodes.iter().flat_map(|n| n.values());
        let loose: Vec<Value> = defined.filter(|v| !used.contains(v)).collect();
        for v in loose {
            self.graph
                .output(&format!("y\"{}", v.0), OutputRole::Result, v);
        }
        for i in 0..self.graph.inputs.len() {
            let (name, value) = (
                self.graph.inputs[i].name.clone(),
                self.graph.inputs[i].value,
            );
            let plain = self.graph.inputs[i].role == Role::Plain;
            if self.depth == 0 && plain && self.random.below(3) == 0 {
                let same = |v: &&Value| self.graph.ty(**v) == self.graph.ty(value);
                let next = *self.values.iter().rev().find(same).unwrap_or(&value);
                self.graph.output(&name, OutputRole::Update(i), next);
            }
        }
        self.graph
    }

    fn input(&mut self, ty: Type) -> Value {
        let name = format!("in/{}", self.graph.inputs.len());
        let mut roles = vec![Role::Plain];
        if self.depth == 0 {
            roles.push(Role::State);
            if ty.elem.is_float() {
                roles.extend([Role::Param, Role::Slot, Role::Fit]);
            }
            if ty.elem == Elem::F64 {
                roles.push(Role::Metric);
            }
            if ty.rank() > 0 {
                roles.push(Role::Data);
            } else if ty.elem.is_float() {
                roles.push(Role::Hyper);
            } else if ty.elem == Elem::I32 {
                roles.push(Role::Step);
            }
        }
        let role = self.random.of(&roles);
        let value = self.graph.input(&name, role, ty);
        self.values.push(value);
        value
    }

    /// An existing value, or a new input.
    fn value(&mut self) -> Value {
        if self.values.len() < 3 || self.random.below(8) == 0 {
            let elem = self.random.of(&Elem::ALL);
            let shape = self.shape();
            return self.input(Type { elem, shape });
        }
        let values = self.values.clone();
        self.random.of(&values)
    }

    fn value_where(&mut self, accept: impl Fn(&Type) -> bool) -> Option<Value> {
        let fits = |v: &Value| accept(self.graph.ty(*v));
        let list: Vec<Value> = self.values.iter().copied().filter(fits).collect();
        (!list.is_empty()).then(|| self.random.of(&list))
    }

    fn value_of(&mut self, ty: &Type) -> Value {
        match self.value_where(|t| t == ty) {
            Some(v) => v,
            None => self.input(ty.clone()),
        }
    }

    fn float(&mut self) -> Value {
        match self.value_where(|t| t.elem.is_float() && t.rank() > 0) {
            Some(v) => v,
            None => {
                let shape = Shape::from_iter([self.dim(), Dim::Const(2)]);
                let elem = Elem::F32;
                self.input(Type { elem, shape })
            }
        }
    }

    fn dim(&mut self) -> Dim {
        let size = Dim::Const(self.random.below(5) as i64);
        if !self.limits.symbols || self.random.below(3) > 0 {
            return size;
        }
        let (b, n) = (Dim::symbol("B"), Dim::symbol("n.1"));
        let two = Dim::Const(2);
        let dim = match self.random.below(9) {
            0 => b.add(&n),
            1 => b.mul(&n).and_then(|p| p.add(&size)),
            2 => b.mul(&two).and_then(|p| p.sub(&Dim::ONE)),
            3 => b.add(&size).and_then(|p| p.div(&two)),
            4 => n.rem(&Dim::Const(3)),
            5 => Ok(b.max_with(&n)),
            6 => Ok(n.min_with(&size)),
            7 => b.neg().and_then(|p| p.add(&Dim::Const(1 << 20))),
            _ => Ok(b),
        };
        dim.expect("no overflow")
    }

    fn shape(&mut self) -> Shape {
        let rank = self.random.below(4);
        (0..rank).map(|_| self.dim()).collect()
    }

    fn axes(&mut self, rank: usize) -> Vec<usize> {
        (0..rank).filter(|_| self.random.below(2) == 0).collect()
    }

    fn axis(&mut self, of: Value) -> usize {
        let rank = self.rank(of);
        self.random.below(rank.max(1))
    }

    fn rank(&self, of: Value) -> usize {
        self.graph.ty(of).rank()
    }

    fn shape_of(&self, of: Value) -> Shape {
        self.graph.ty(of).shape.clone()
    }

    fn scalar(&mut self, elem: Elem) -> Value {
        self.value_of(&Type::scalar(elem))
    }

    /// The `kind`-th primitive with arguments that may fit.
    fn primitive(&mut self, kind: usize) -> (Prim, Vec<Value>) {
        match samples().swap_remove(kind) {
            Prim::Const { .. } => {
                let elem = self.random.of(&Elem::ALL);
                let value = match elem {
                    Elem::F32 | Elem::F64 => {
                        self.random
                            .of(&[0.5, -0.0, 1e-7, 1e30, f64::INFINITY, -3.25, 0.1])
                    }
                    Elem::I32 => self.random.of(&[-7.0, 0.0, 2e9]),
                    Elem::U8 | Elem::Bool => self.random.below(2) as f64,
                };
                (Prim::Const { value, elem }, vec![])
            }
            Prim::Size { .. } => {
                // A known size becomes a constant when the values are numbered anew.
                let dim = Dim::symbol("B");
                let known = Prim::Const {
                    value: 3.0,
                    elem: Elem::I32,
                };
                let elem = self.random.of(&[Elem::I32, Elem::F32]);
                let size = Prim::Size { dim, elem };
                (if self.limits.symbols { size } else { known }, vec![])
            }
            Prim::Iota { .. } => {
                let (shape, elem) = (self.shape(), self.random.of(&Elem::ALL));
                let axis = self.random.below(shape.len().max(1));
                (Prim::Iota { axis, shape, elem }, vec![])
            }
            Prim::Random { .. } => {
                let site: Arc<str> = self.random.of(&["a/b", "q\"\\\n\u{1}é", ""]).into();
                let (shape, counter) = (self.shape(), self.scalar(Elem::I32));
                (Prim::Random { site, shape }, vec![counter])
            }
            Prim::Unary(_) => (Prim::Unary(self.random.of(&Unary::ALL)), vec![self.value()]),
            Prim::Binary(_) => {
                let x = self.value();
                let y = self.value_of(&self.graph.ty(x).clone());
                (Prim::Binary(self.random.of(&Binary::ALL)), vec![x, y])
            }
            Prim::Compare(_) => {
                let x = self.value();
                let y = self.value_of(&self.graph.ty(x).clone());
                (Prim::Compare(self.random.of(&Compare::ALL)), vec![x, y])
            }
            Prim::Select => {
                let x = self.value();
                let y = self.value_of(&self.graph.ty(x).clone());
                let c = self.value_of(&Type {
                    elem: Elem::Bool,
                    shape: self.shape_of(x),
                });
                (Prim::Select, vec![c, x, y])
            }
            Prim::Cast(_) => (Prim::Cast(self.random.of(&Elem::ALL)), vec![self.value()]),
            Prim::StopGradient => (Prim::StopGradient, vec![self.value()]),
            Prim::Reshape(_) => {
                let x = self.value();
                let mut shape = self.shape_of(x);
                shape.reverse();
                shape.insert(self.random.below(shape.len() + 1), Dim::ONE);
                (Prim::Reshape(shape), vec![x])
            }
            Prim::Transpose(_) => {
                let x = self.value();
                let mut perm: Vec<usize> = (0..self.rank(x)).collect();
                for i in (1..perm.len()).rev() {
                    perm.swap(i, self.random.below(i + 1));
                }
                (Prim::Transpose(perm), vec![x])
            }
            Prim::Broadcast { .. } => {
                let x = self.value();
                let mut shape = self.shape_of(x);
                let mut axes: Vec<usize> = (0..shape.len()).collect();
                for size in shape.iter_mut().filter(|d| **d == Dim::ONE) {
                    *size = Dim::Const(3);
                }
                let new = self.random.below(shape.len() + 1);
                shape.insert(new, self.dim());
                axes.iter_mut().filter(|a| **a >= new).for_each(|a| *a += 1);
                (Prim::Broadcast { shape, axes }, vec![x])
            }
            Prim::Slice { .. } => {
                let x = self.value();
                let ends = self.shape_of(x).to_vec();
                let start = |random: &mut Random, end: &Dim| match end {
                    Dim::Const(c) => Dim::Const(random.below(*c as usize + 1) as i64),
                    Dim::Poly(_) => Dim::ZERO,
                };
                let starts = ends.iter().map(|e| start(&mut self.random, e)).collect();
                let steps = ends.iter().map(|_| 1 + self.random.below(3)).collect();
                let prim = Prim::Slice {
                    starts,
                    ends,
                    steps,
                };
                (prim, vec![x])
            }
            Prim::Pad { .. } => {
                let x = self.value();
                let value = self.scalar(self.graph.ty(x).elem);
                let rank = self.rank(x);
                let mut sizes = || (0..rank).map(|_| self.random.below(3)).collect::<Vec<_>>();
                let prim = Prim::Pad {
                    low: dims(&sizes()),
                    high: dims(&sizes()),
                    interior: sizes(),
                };
                (prim, vec![x, value])
            }
            Prim::Concat { .. } => {
                let x = self.value();
                let y = self.value_of(&self.graph.ty(x).clone());
                let args = self.random.of(&[vec![x], vec![x, y], vec![y, x, x]]);
                (Prim::Concat { axis: self.axis(x) }, args)
            }
            Prim::Reverse { .. } => {
                let x = self.value();
                let axes = self.axes(self.rank(x));
                (Prim::Reverse { axes }, vec![x])
            }
            Prim::Reduce { .. } => {
                let (op, x) = (self.random.of(&Reduce::ALL), self.value());
                let axes = self.axes(self.rank(x));
                (Prim::Reduce { op, axes }, vec![x])
            }
            Prim::ArgMax { .. } => {
                let x = self.value();
                (Prim::ArgMax { axis: self.axis(x) }, vec![x])
            }
            Prim::ArgSort { .. } => {
                let x = self.value();
                (Prim::ArgSort { axis: self.axis(x) }, vec![x])
            }
            Prim::Dot(_) => {
                let x = self.float();
                let mut dims = DotDims::default();
                for i in 0..self.rank(x) {
                    match self.random.below(4) {
                        0 => dims.batch.push((i, i)),
                        1 => {}
                        _ => dims.contract.push((i, i)),
                    }
                }
                let y = self.value_of(&self.graph.ty(x).clone());
                (Prim::Dot(dims), vec![x, y])
            }
            Prim::Gather { .. } => {
                let (x, shape) = (self.value(), self.shape());
                let elem = Elem::I32;
                let i = self.value_of(&Type { elem, shape });
                (Prim::Gather { axis: self.axis(x) }, vec![x, i])
            }
            Prim::ScatterAdd { .. } => {
                let x = self.value();
                let (axis, size) = (self.axis(x), self.dim());
                let end = (axis + 1 + self.random.below(2)).min(self.rank(x));
                let shape = self.shape_of(x);
                let shape = shape[axis.min(end)..end].iter().cloned();
                let i = self.value_of(&Type::new(Elem::I32, shape));
                (Prim::ScatterAdd { axis, size }, vec![i, x])
            }
            Prim::Conv(_) => {
                let (conv, x, k, _) = self.convolution();
                (Prim::Conv(conv), vec![self.value_of(&x), self.value_of(&k)])
            }
            Prim::ConvInputGrad { .. } => {
                let (conv, x, k, y) = self.convolution();
                let spatial = x.shape[1..=conv.strides.len()].to_vec();
                let args = vec![self.value_of(&y), self.value_of(&k)];
                (Prim::ConvInputGrad { conv, spatial }, args)
            }
            Prim::ConvKernelGrad { .. } => {
                let (conv, x, k, y) = self.convolution();
                let kernel = k.shape[..conv.strides.len()].to_vec();
                let args = vec![self.value_of(&x), self.value_of(&y)];
                (Prim::ConvKernelGrad { conv, kernel }, args)
            }
            Prim::Window { .. } => {
                let (op, dims, x, _) = self.window();
                (Prim::Window { op, dims }, vec![self.value_of(&x)])
            }
            Prim::WindowGrad { .. } => {
                let (op, dims, x, y) = self.window();
                let args = vec![self.value_of(&x), self.value_of(&y)];
                (Prim::WindowGrad { op, dims }, args)
            }
            Prim::Scan(_) => self.scan(),
            Prim::Gradient if self.limits.gradients => {
                let (x, y) = (self.scalar(Elem::F32), self.value());
                (Prim::Gradient, vec![x, y])
            }
            Prim::Gradient => (Prim::StopGradient, vec![self.value()]),
        }
    }

    /// Types of the input, the kernel and the result.
    fn convolution(&mut self) -> (ConvDims, Type, Type, Type) {
        let rank = 1 + self.random.below(3);
        let groups = 1 + self.random.below(3);
        let elem = self.random.of(&[Elem::F32, Elem::F64]);
        let mut sizes = |low: usize, n: usize| -> Vec<usize> {
            (0..rank).map(|_| low + self.random.below(n)).collect()
        };
        let (strides, dilation, kernel) = (sizes(1, 3), sizes(1, 2), sizes(1, 3));
        // Rarely strides that divide; three axes are kept short.
        let least = if rank == 3 { 5 } else { 6 };
        let (low, high, spatial) = (dims(&sizes(0, 2)), dims(&sizes(0, 3)), sizes(least, 3));
        let conv = ConvDims {
            strides,
            dilation,
            low,
            high,
            groups,
        };
        let batch = self.dim();
        // Depthwise (one input and one or more outputs a group) among them.
        let channels = groups * (1 + self.random.below(2));
        let filters = groups * (1 + self.random.below(3));
        let x = [&[batch], &dims(&spatial)[..], &dims(&[channels])].concat();
        let k = [&kernel[..], &[channels / groups, filters]].concat();
        let (x, k) = (Type::new(elem, x), Type::of(elem, &k));
        let y = nnc::ir::infer::infer(&Prim::Conv(conv.clone()), &[&x, &k]);
        let y = y.expect("a window that fits")[0].clone();
        (conv, x, k, y)
    }

    fn window(&mut self) -> (WindowOp, WindowDims, Type, Type) {
        let op = self.random.of(&[WindowOp::Max, WindowOp::Sum]);
        let (conv, x, k, _) = self.convolution();
        let window = k.shape[..conv.strides.len()].iter();
        let window = window.map(|d| d.as_const().expect("a constant") as usize);
        let dims = WindowDims {
            window: window.collect(),
            strides: conv.strides,
            low: conv.low,
            high: conv.high,
        };
        let prim = Prim::Window {
            op,
            dims: dims.clone(),
        };
        let y = nnc::ir::infer::infer(&prim, &[&x]).expect("a window that fits");
        (op, dims, x, y[0].clone())
    }

    fn scan(&mut self) -> (Prim, Vec<Value>) {
        if self.depth == 2 {
            return (Prim::StopGradient, vec![self.value()]);
        }
        let scanned: Vec<Value> = self.value_where(|t| t.rank() > 0).into_iter().collect();
        let length = match scanned.first() {
            Some(v) => self.shape_of(*v)[0].clone(),
            None => Dim::Const(2),
        };
        let carries: Vec<Value> = (0..self.random.below(3)).map(|_| self.value()).collect();
        let args = [carries.clone(), scanned.clone(), vec![self.value()]].concat();
        let mut body = Maker {
            random: Random(self.random.next()),
            limits: Limits {
                attempts: 6,
                ..self.limits
            },
            graph: Graph::new("the body"),
            values: Vec::new(),
            depth: self.depth + 1,
        };
        for (i, arg) in args.iter().enumerate() {
            let mut ty = self.graph.ty(*arg).clone();
            if (carries.len()..carries.len() + scanned.len()).contains(&i) {
                ty.shape.remove(0);
            }
            body.input(ty);
        }
        body.fill();
        // Inputs that were added on the way are constants of the scan.
        let mut args = args;
        for i in args.len()..body.graph.inputs.len() {
            let ty = body.graph.ty(body.graph.inputs[i].value).clone();
            args.push(self.value_of(&ty));
        }
        for carry in &carries {
            let ty = self.graph.ty(*carry).clone();
            let next = body.value_where(|t| *t == ty).expect("the carry itself");
            body.graph.output("", OutputRole::Result, next);
        }
        let stacked = body.random.of(&body.values);
        body.graph.output("stacked", OutputRole::Result, stacked);
        let (carries, scanned) = (carries.len(), scanned.len());
        let reverse = self.random.below(2) == 0;
        let scan = Scan {
            body: Arc::new(body.graph),
            carries,
            scanned,
            length,
            reverse,
        };
        (Prim::Scan(scan), args)
    }
}

fn dims(sizes: &[usize]) -> Vec<Dim> {
    sizes.iter().map(|s| Dim::from(*s)).collect()
}

/// One of each, operators aside.
fn samples() -> Vec<Prim> {
    let mut all = Prim::every();
    all.dedup_by_key(|prim| std::mem::discriminant(prim));
    all
}
