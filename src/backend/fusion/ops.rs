//! From a graph to operations over buffers: every shape primitive that strides can express is gone, axes of
//! size 1 are gone from elementwise work, and reductions remove one run of neighbouring axes each.
//!
//! ```text
//! %3 = transpose[1, 0] %w            (nothing: a view of w)
//! %4 = dot(%x, %3)            =>     dot(x, w by strides (1, 784))
//! %5 = reduce_sum[0, 2] %4    =>     reduce_sum[2], then reduce_sum[0]
//! ```

use smallvec::{SmallVec, smallvec};

use super::view::{Sizes, View};
use super::{Limits, LowerError};
use crate::ir::dim::Dim;
use crate::ir::prim::{Binary, Compare, DotDims, Prim, Reduce, Unary};
use crate::ir::{Elem, Graph, Type};

/// A value that has a place of its own in memory, or that a kernel keeps in registers. Row-major.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Val(pub u32);

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Source {
    Val(Val),
    Const(f64),
    /// The element's value is its view's position.
    Index,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Arg {
    pub source: Source,
    pub elem: Elem,
    pub view: View,
}

impl Arg {
    pub fn val(&self) -> Option<Val> {
        match self.source {
            Source::Val(v) => Some(v),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MapOp {
    Copy,
    Unary(Unary),
    Binary(Binary),
    Compare(Compare),
    Select,
    Cast(Elem),
}

#[derive(Clone, PartialEq, Debug)]
pub enum Kind {
    /// Elementwise over the arguments' common sizes, none of which is 1.
    Map(MapOp),
    /// Removes axes `from..to`.
    Reduce {
        op: Reduce,
        from: usize,
        to: usize,
    },
    /// Argument i goes to `places[i]` of the result; the rest of it is the last argument, a scalar, if `fill`.
    Place {
        places: Vec<View>,
        fill: bool,
    },
    Dot(DotDims),
    /// Any other primitive: its arguments lie whole.
    Other(Prim),
}

#[derive(Clone, Debug)]
pub struct Op {
    pub kind: Kind,
    pub args: SmallVec<[Arg; 3]>,
    pub results: SmallVec<[Val; 2]>,
}

#[derive(Clone, Debug)]
pub struct ValInfo {
    pub elem: Elem,
    pub sizes: Sizes,
    pub def: Def,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Def {
    Input(usize),
    Op(usize),
}

/// What a graph is made into before fusion.
#[derive(Clone, Debug)]
pub struct Ops {
    pub vals: Vec<ValInfo>,
    pub ops: Vec<Op>,
    /// Inputs in order, then the source of every output in order.
    pub inputs: Vec<Val>,
    pub outputs: Vec<Arg>,
    long_run: usize,
}

impl Ops {
    pub fn of(graph: &Graph, limits: &Limits) -> Result<Ops, LowerError> {
        let mut ops = Ops {
            vals: Vec::new(),
            ops: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            long_run: limits.long_run,
        };
        let mut args: Vec<Option<Arg>> = vec![None; graph.value_count()];
        for (i, input) in graph.inputs.iter().enumerate() {
            let ty = graph.ty(input.value);
            let val = ops.val(ty.elem, &sizes(ty)?, Def::Input(i));
            ops.inputs.push(val);
            args[input.value.0 as usize] = Some(ops.root(val));
        }
        for node in &graph.nodes {
            let inputs: SmallVec<[Arg; 3]> = node
                .args
                .iter()
                .map(|a| args[a.0 as usize].clone().ok_or(LowerError::Order))
                .collect::<Result<_, _>>()?;
            let types: SmallVec<[&Type; 2]> = node.values().map(|v| graph.ty(v)).collect();
            let results = ops.node(&node.prim, inputs, &types)?;
            for (value, arg) in node.values().zip(results) {
                args[value.0 as usize] = Some(arg);
            }
        }
        for output in &graph.outputs {
            let arg = args[output.value.0 as usize]
                .clone()
                .ok_or(LowerError::Order)?;
            ops.outputs.push(arg);
        }
        Ok(ops)
    }

    /// The value that an argument reads as it lies, in full.
    pub fn whole_val(&self, arg: &Arg) -> Option<Val> {
        arg.val().filter(|v| {
            let total: usize = self.info(*v).sizes.iter().product();
            arg.view.is_whole() && arg.view.elements() == total
        })
    }

    /// Drops operations that no output depends on.
    pub fn remove_dead(&mut self) {
        let mut alive = vec![false; self.ops.len()];
        let mut stack: Vec<Val> = self.outputs.iter().filter_map(Arg::val).collect();
        while let Some(val) = stack.pop() {
            if let Def::Op(op) = self.info(val).def
                && !std::mem::replace(&mut alive[op], true)
            {
                stack.extend(self.ops[op].args.iter().filter_map(Arg::val));
            }
        }
        let mut kept = alive.iter();
        self.ops.retain(|_| kept.next() == Some(&true));
        for (i, op) in self.ops.iter().enumerate() {
            for result in &op.results {
                self.vals[result.0 as usize].def = Def::Op(i);
            }
        }
    }

    pub fn info(&self, val: Val) -> &ValInfo {
        &self.vals[val.0 as usize]
    }

    pub fn val(&mut self, elem: Elem, sizes: &[usize], def: Def) -> Val {
        self.vals.push(ValInfo {
            elem,
            sizes: sizes.into(),
            def,
        });
        Val(self.vals.len() as u32 - 1)
    }

    /// All of a value.
    pub fn root(&self, val: Val) -> Arg {
        let info = self.info(val);
        Arg {
            source: Source::Val(val),
            elem: info.elem,
            view: View::contiguous(&info.sizes),
        }
    }

    fn push(&mut self, kind: Kind, args: SmallVec<[Arg; 3]>, elem: Elem, sizes: &[usize]) -> Arg {
        let val = self.val(elem, sizes, Def::Op(self.ops.len()));
        self.ops.push(Op {
            kind,
            args,
            results: smallvec![val],
        });
        self.root(val)
    }

    /// A value that lies whole.
    fn whole(&mut self, arg: Arg) -> Arg {
        match self.whole_val(&arg) {
            Some(_) => arg,
            None => self.copy(arg),
        }
    }

    fn copy(&mut self, arg: Arg) -> Arg {
        let sizes = arg.view.sizes.clone();
        let elem = arg.elem;
        self.map(MapOp::Copy, smallvec![arg], elem, &sizes)
    }

    fn map(&mut self, op: MapOp, mut args: SmallVec<[Arg; 3]>, elem: Elem, sizes: &[usize]) -> Arg {
        for arg in &mut args {
            arg.view = arg.view.squeeze();
        }
        self.push(Kind::Map(op), args, elem, sizes)
    }

    fn node(
        &mut self,
        prim: &Prim,
        mut args: SmallVec<[Arg; 3]>,
        types: &[&Type],
    ) -> Result<SmallVec<[Arg; 2]>, LowerError> {
        let elem = types.first().map_or(Elem::F32, |t| t.elem);
        let to = match types.first() {
            Some(t) => sizes(t)?,
            None => Sizes::new(),
        };
        let on_view = |mut arg: Arg, f: &dyn Fn(&View) -> View| {
            arg.view = f(&arg.view);
            arg
        };
        let result = match prim {
            Prim::Const { value, elem } => Arg {
                source: Source::Const(*value),
                elem: *elem,
                view: View::contiguous(&[]),
            },
            Prim::Size { dim, elem } => Arg {
                source: Source::Const(constant(dim)? as f64),
                elem: *elem,
                view: View::contiguous(&[]),
            },
            Prim::Iota { axis, elem, .. } => {
                let mut v = View::contiguous(&to);
                v.strides.fill(0);
                v.strides[*axis] = 1;
                Arg {
                    source: Source::Index,
                    elem: *elem,
                    view: v,
                }
            }
            Prim::StopGradient => args.remove(0),
            Prim::Cast(to_elem) if args[0].elem == *to_elem => args.remove(0),
            Prim::Cast(to_elem) => self.map(MapOp::Cast(*to_elem), args, elem, &to),
            Prim::Unary(op) => self.map(MapOp::Unary(*op), args, elem, &to),
            Prim::Binary(op) => self.map(MapOp::Binary(*op), args, elem, &to),
            Prim::Compare(op) => self.map(MapOp::Compare(*op), args, elem, &to),
            Prim::Select => self.map(MapOp::Select, args, elem, &to),
            Prim::Transpose(perm) => on_view(args.remove(0), &|v| v.transpose(perm)),
            Prim::Broadcast { axes, .. } => on_view(args.remove(0), &|v| v.broadcast(&to, axes)),
            Prim::Slice {
                starts,
                ends,
                steps,
            } => {
                let (starts, ends) = (constants(starts)?, constants(ends)?);
                on_view(args.remove(0), &|v| v.slice(&starts, &ends, steps))
            }
            Prim::Reverse { axes } => on_view(args.remove(0), &|v| v.reverse(axes)),
            Prim::Reshape(_) => {
                let arg = args.remove(0);
                match (arg.view.reshape(&to), arg.source) {
                    (Some(view), _) => Arg { view, ..arg },
                    (None, Source::Const(_)) => {
                        on_view(arg, &|_| View::contiguous(&[]).broadcast(&to, &[]))
                    }
                    (None, _) => {
                        let mut copied = self.copy(arg);
                        copied.view = View::contiguous(&to);
                        copied
                    }
                }
            }
            Prim::Reduce { op, axes } => self.reduce(*op, args.remove(0), axes, &to),
            Prim::Pad {
                low,
                high: _,
                interior,
            } => self.pad(args, &constants(low)?, interior, &to),
            Prim::Concat { axis } => self.concat(args, *axis, &to),
            Prim::Dot(dims) => self.dot(args, dims, elem, &to),
            Prim::Gradient => return Err(LowerError::Gradient),
            Prim::Random { .. }
            | Prim::ArgMax { .. }
            | Prim::ArgSort { .. }
            | Prim::Gather { .. }
            | Prim::ScatterAdd { .. }
            | Prim::Conv(_)
            | Prim::ConvInputGrad { .. }
            | Prim::ConvKernelGrad { .. }
            | Prim::Window { .. }
            | Prim::WindowGrad { .. }
            | Prim::Scan(_) => {
                for arg in &mut args {
                    *arg = self.whole(arg.clone());
                }
                let at = self.ops.len();
                let mut results = SmallVec::new();
                for ty in types {
                    results.push(self.val(ty.elem, &sizes(ty)?, Def::Op(at)));
                }
                self.ops.push(Op {
                    kind: Kind::Other(prim.clone()),
                    args,
                    results: results.clone(),
                });
                return Ok(results.iter().map(|v| self.root(*v)).collect());
            }
        };
        Ok(smallvec![result])
    }

    /// The argument with gaps goes to its place, the scalar everywhere else.
    fn pad(
        &mut self,
        args: SmallVec<[Arg; 3]>,
        low: &[usize],
        interior: &[usize],
        to: &[usize],
    ) -> Arg {
        let ends: Vec<usize> = (0..low.len())
            .map(|i| match args[0].view.sizes[i] {
                0 => low[i],
                n => low[i] + (n - 1) * (interior[i] + 1) + 1,
            })
            .collect();
        let steps: Vec<usize> = interior.iter().map(|n| n + 1).collect();
        let place = View::contiguous(to).slice(low, &ends, &steps);
        let kind = Kind::Place {
            places: vec![place],
            fill: true,
        };
        let elem = args[0].elem;
        self.push(kind, args, elem, to)
    }

    fn concat(&mut self, args: SmallVec<[Arg; 3]>, axis: usize, to: &[usize]) -> Arg {
        let mut at = 0;
        let mut places = Vec::new();
        for arg in &args {
            let mut starts = vec![0; to.len()];
            let mut ends = to.to_vec();
            starts[axis] = at;
            at += arg.view.sizes[axis];
            ends[axis] = at;
            places.push(View::contiguous(to).slice(&starts, &ends, &vec![1; to.len()]));
        }
        let kind = Kind::Place {
            places,
            fill: false,
        };
        let elem = args[0].elem;
        self.push(kind, args, elem, to)
    }

    /// Contracted in the order in which the larger operand lies, so that it needs no copy.
    fn dot(
        &mut self,
        mut args: SmallVec<[Arg; 3]>,
        dims: &DotDims,
        elem: Elem,
        to: &[usize],
    ) -> Arg {
        let mut dims = dims.clone();
        let size = |side: usize| args[side].view.elements();
        let larger = usize::from(size(1) > size(0));
        let strides = args[larger].view.strides.clone();
        dims.contract
            .sort_by_key(|&(left, right)| std::cmp::Reverse(strides[[left, right][larger]]));
        for side in 0..2 {
            let fits = dot_strides_fit(&dims, side, &args[side].view);
            if args[side].val().is_none() || !fits {
                args[side] = self.arrange(&dims, side, args[side].clone());
            }
        }
        self.push(Kind::Dot(dims), args, elem, to)
    }

    /// Removes `axes`, a run of neighbours at a time, the innermost run first. Long runs over several axes go
    /// in two steps, so that the first has lines enough for all threads and sums stay short.
    fn reduce(&mut self, op: Reduce, mut arg: Arg, axes: &[usize], to: &[usize]) -> Arg {
        let sizes = arg.view.sizes.clone();
        let mut gone: Vec<bool> = (0..sizes.len())
            .filter(|&a| sizes[a] != 1)
            .map(|a| axes.contains(&a))
            .collect();
        arg.view = arg.view.squeeze();
        if !gone.contains(&true) {
            // Only axes of size 1 differ, which strides can always say.
            arg.view = arg.view.reshape(to).unwrap_or(arg.view);
            return arg;
        }
        while let Some(last) = gone.iter().rposition(|g| *g) {
            let end = last + 1;
            let mut from = gone[..end].iter().rposition(|g| !*g).map_or(0, |p| p + 1);
            let sizes = &arg.view.sizes;
            let length: usize = sizes[from..end].iter().product();
            if end - from > 1 && length > self.long_run {
                from += 1;
            } else if end - from == 1
                && length > 16 * self.long_run
                && from == 0
                && end == sizes.len()
            {
                // One long line: as many as 64 shorter ones.
                if let Some(parts) = (2..=64).rev().find(|p| length.is_multiple_of(*p))
                    && let Some(split) = arg.view.reshape(&[parts, length / parts])
                {
                    arg.view = split;
                    gone = vec![true, true];
                    continue;
                }
            }
            if arg.view.join(from, end).is_none() {
                arg = self.copy(arg);
            }
            let sizes = arg.view.sizes.clone();
            let kept: Sizes = sizes[..from].iter().chain(&sizes[end..]).copied().collect();
            gone.drain(from..end);
            let elem = arg.elem;
            let last = !gone.contains(&true);
            let result: &[usize] = if last { to } else { &kept };
            let kind = Kind::Reduce { op, from, to: end };
            let reduced = self.push(kind, smallvec![arg], elem, result);
            arg = reduced;
            if last {
                break;
            }
        }
        arg
    }

    /// A copy of an operand of a product that lies in the order batch, free, contracted.
    fn arrange(&mut self, dims: &DotDims, side: usize, mut arg: Arg) -> Arg {
        let rank = arg.view.sizes.len();
        let perm = dot_axes(dims, side, rank).concat();
        let mut inverse = vec![0; rank];
        for (i, &p) in perm.iter().enumerate() {
            inverse[p] = i;
        }
        arg.view = arg.view.transpose(&perm);
        let mut copied = self.copy(arg);
        copied.view = copied.view.transpose(&inverse);
        copied
    }
}

/// The axes of one operand of a product: batch, free, contracted.
pub fn dot_axes(dims: &DotDims, side: usize, rank: usize) -> [Vec<usize>; 3] {
    let axis = |&(l, r): &(usize, usize)| if side == 0 { l } else { r };
    let batch: Vec<usize> = dims.batch.iter().map(axis).collect();
    let contract: Vec<usize> = dims.contract.iter().map(axis).collect();
    let free = (0..rank)
        .filter(|a| !batch.contains(a) && !contract.contains(a))
        .collect();
    [batch, free, contract]
}

fn dot_strides_fit(dims: &DotDims, side: usize, view: &View) -> bool {
    let [batch, free, contract] = dot_axes(dims, side, view.sizes.len());
    let all = [&batch[..], &free, &contract].concat();
    let ordered = view.transpose(&all);
    let (b, f) = (batch.len(), batch.len() + free.len());
    view.strides.iter().all(|s| *s >= 0)
        && ordered.join(b, f).is_some()
        && ordered.join(f, all.len()).is_some()
}

fn constant(dim: &Dim) -> Result<i64, LowerError> {
    dim.as_const().ok_or(LowerError::Symbol)
}

/// A size as a number.
pub fn constant_size(dim: &Dim) -> Result<usize, LowerError> {
    usize::try_from(constant(dim)?).map_err(|_| LowerError::Symbol)
}

fn constants(dims: &[Dim]) -> Result<Vec<usize>, LowerError> {
    dims.iter().map(constant_size).collect()
}

fn sizes(ty: &Type) -> Result<Sizes, LowerError> {
    ty.sizes().ok_or(LowerError::Symbol)
}
