//! Convolutions and windows over the middle axes of `[B, spatial.., channels]`, and how they are padded.

use crate::diag::Code;
use crate::ir::dim::DimError;
use crate::ir::prim::{ConvDims, WindowDims, WindowOp};
use crate::ir::{Dim, Prim};

use crate::check::elab::Elab;
use crate::check::elab::builtin::Args;
use crate::check::elab::value::{ArgVal, Meaning, Tensor, Val};

/// What every convolution is given beside its padding.
struct Given {
    x: Tensor,
    kernel: Tensor,
    strides: Vec<usize>,
    dilation: Vec<usize>,
    /// Reach of the dilated kernel along each axis.
    window: Vec<Dim>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Padding {
    Valid,
    Same,
    Causal,
}

impl Elab<'_> {
    pub(super) fn conv(&mut self, a: &Args) -> Val {
        let Some(g) = self.convolution_at(a) else {
            return Val::Error;
        };
        let Some(groups) = self.counts_at(a, "groups", 1).map(|g| g[0]) else {
            return Val::Error;
        };
        let spatial = &g.x.ty.shape[1..=g.strides.len()];
        let Some((low, high)) = self.padding_at(a, spatial, &g.window, &g.strides, true) else {
            return Val::Error;
        };
        let dims = ConvDims {
            strides: g.strides,
            dilation: g.dilation,
            low,
            high,
            groups,
        };
        self.emit(Prim::Conv(dims), &[&g.x, &g.kernel], Meaning::Real, a.span)
    }

    /// The gradient of a convolution by its input, of the sizes that Keras gives a transposed one.
    pub(super) fn conv_transpose(&mut self, a: &Args) -> Val {
        let Some(g) = self.convolution_at(a) else {
            return Val::Error;
        };
        let n = g.strides.len();
        let added = match self.arg(a, "output_padding").map(|x| x.val.clone()) {
            None | Some(Val::None) => None,
            Some(Val::Error | Val::Unknown(_)) => return Val::Error,
            Some(v) => match self.output_padding(a, v, &g.strides) {
                Some(added) => Some(added),
                None => return Val::Error,
            },
        };
        let Some(padding) = self.padding_word(a, false) else {
            return Val::Error;
        };
        let (mut low, mut high, mut spatial) = (Vec::new(), Vec::new(), Vec::new());
        for i in 0..n {
            let Some(reach) = g.window[i].as_const() else {
                return match self.mode.generic {
                    true => Val::Error,
                    false => self.wrong(a, "kernel", "of known sizes", &Val::Tensor(g.kernel)),
                };
            };
            let stride = g.strides[i] as i64;
            let (left, right) = transposed(reach, stride, padding, added.as_ref().map(|p| p[i]));
            let size = || -> Result<Dim, DimError> {
                let moved = g.x.ty.shape[i + 1]
                    .sub(&Dim::ONE)?
                    .mul(&Dim::Const(stride))?;
                moved.add(&Dim::Const(left + right + 2 - reach))
            };
            match size() {
                Ok(s) => spatial.push(s),
                Err(e) => return self.type_error(e.into(), a.span),
            }
            low.push(Dim::Const(reach - 1 - left));
            high.push(Dim::Const((reach - 1 - right).max(0)));
        }
        if let Some(axis) = spatial
            .iter()
            .position(|s| s.sign().is_some_and(|s| s.is_le()))
        {
            let message = format!("axis {} of {} would be empty", axis + 1, g.x);
            return self.error(
                Code::E0209,
                a.span,
                message,
                "after this transposed convolution",
            );
        }
        let conv = ConvDims {
            strides: g.strides,
            dilation: g.dilation,
            low,
            high,
            groups: 1,
        };
        let prim = Prim::ConvInputGrad { conv, spatial };
        self.emit(prim, &[&g.x, &g.kernel], Meaning::Real, a.span)
    }

    fn output_padding(&mut self, a: &Args, v: Val, strides: &[usize]) -> Option<Vec<i64>> {
        let items = match &v {
            Val::List(l) if l.len() == strides.len() => l.to_vec(),
            Val::Int(_) => vec![v.clone(); strides.len()],
            _ => Vec::new(),
        };
        if items.iter().any(|v| self.is_open(v)) {
            return None;
        }
        let fits = |(v, &stride): (&Val, &usize)| match v {
            Val::Int(Dim::Const(c)) if (0..stride as i64).contains(c) => Some(*c),
            _ => None,
        };
        let added: Option<Vec<i64>> = items.iter().zip(strides).map(fits).collect();
        match added {
            Some(added) if added.len() == strides.len() => Some(added),
            _ => {
                let s: Vec<String> = strides.iter().map(usize::to_string).collect();
                let wanted = format!("from 0 to below the stride ({})", s.join(", "));
                self.wrong(a, "output_padding", &wanted, &v);
                None
            }
        }
    }

    fn convolution_at(&mut self, a: &Args) -> Option<Given> {
        let (x, kernel) = (self.tensor_at(a, "x")?, self.tensor_at(a, "kernel")?);
        let n = x.ty.rank().saturating_sub(2);
        let strides = self.counts_at(a, "strides", n)?;
        let dilation = self.counts_at(a, "dilation", n)?;
        if kernel.ty.rank() != n + 2 {
            let axes = format!("of {} axes", n + 2);
            self.wrong(a, "kernel", &axes, &Val::Tensor(kernel));
            return None;
        }
        let mut window = Vec::new();
        for (i, d) in dilation.iter().enumerate() {
            let reach = kernel.ty.shape[i]
                .sub(&Dim::ONE)
                .and_then(|w| w.mul(&Dim::from(*d)))
                .and_then(|w| w.add(&Dim::ONE));
            match reach {
                Ok(w) => window.push(w),
                Err(e) => {
                    self.type_error(e.into(), a.span);
                    return None;
                }
            }
        }
        Some(Given {
            x,
            kernel,
            strides,
            dilation,
            window,
        })
    }

    pub(super) fn window(&mut self, a: &Args, op: WindowOp) -> Val {
        let Some(x) = self.tensor_at(a, "x") else {
            return Val::Error;
        };
        let n = x.ty.rank().saturating_sub(2);
        let (Some(window), Some(strides)) = (
            self.counts_at(a, "window", n),
            self.counts_at(a, "strides", n),
        ) else {
            return Val::Error;
        };
        let sizes: Vec<Dim> = window.iter().map(|w| Dim::from(*w)).collect();
        let spatial = &x.ty.shape[1..=n];
        let Some((low, high)) = self.padding_at(a, spatial, &sizes, &strides, false) else {
            return Val::Error;
        };
        let mut dims = WindowDims {
            window,
            strides,
            low,
            high,
        };
        for (axis, size) in spatial.iter().enumerate() {
            shorten(&mut dims, axis, size);
        }
        self.emit(Prim::Window { op, dims }, &[&x], Meaning::Real, a.span)
    }

    fn padding_word(&mut self, a: &Args, causal: bool) -> Option<Padding> {
        let arg = self.arg(a, "padding").cloned();
        let word = match &arg {
            None => return Some(Padding::Valid),
            Some(ArgVal {
                val: Val::Symbol(s),
                ..
            }) => &**s,
            Some(ArgVal {
                symbol: Some(s), ..
            }) => &*s.text,
            Some(ArgVal {
                val: Val::Error, ..
            }) => return None,
            Some(_) => "",
        };
        match word {
            "valid" => Some(Padding::Valid),
            "same" => Some(Padding::Same),
            "causal" if causal => Some(Padding::Causal),
            _ => {
                let v = arg.expect("this is a word").val;
                self.wrong(a, "padding", "`valid` or `same`", &v);
                None
            }
        }
    }

    /// `valid` pads nothing; `same` so that the result has `ceil(size / stride)`, the odd one at the end;
    /// `causal` before the first place, so that no result sees what comes after it.
    fn padding_at(
        &mut self,
        a: &Args,
        sizes: &[Dim],
        window: &[Dim],
        strides: &[usize],
        causal: bool,
    ) -> Option<(Vec<Dim>, Vec<Dim>)> {
        let padding = self.padding_word(a, causal)?;
        let (mut low, mut high) = (Vec::new(), Vec::new());
        for ((size, window), &stride) in sizes.iter().zip(window).zip(strides) {
            let pair = || -> Result<(Dim, Dim), DimError> {
                match padding {
                    Padding::Valid => Ok((Dim::ZERO, Dim::ZERO)),
                    Padding::Causal => Ok((window.sub(&Dim::ONE)?, Dim::ZERO)),
                    Padding::Same => {
                        let stride = Dim::from(stride);
                        let out = size.add(&stride)?.sub(&Dim::ONE)?.div(&stride)?;
                        let reached = out.sub(&Dim::ONE)?.mul(&stride)?.add(window)?;
                        let total = reached.sub(size)?.max_with(&Dim::ZERO);
                        let half = total.div(&Dim::Const(2))?;
                        Ok((half.clone(), total.sub(&half)?))
                    }
                }
            };
            match pair() {
                Ok((l, h)) => {
                    low.push(l);
                    high.push(h);
                }
                Err(e) => {
                    self.type_error(e.into(), a.span);
                    return None;
                }
            }
        }
        Some((low, high))
    }
}

/// Zeros before and after the input (spread by `stride`) over which a window of `reach` slides: Keras'
/// transposed convolution as an ordinary one, after keras/src/backend/common/backend_utils.py.
fn transposed(reach: i64, stride: i64, padding: Padding, added: Option<i64>) -> (i64, i64) {
    match (padding, added) {
        (Padding::Same, _) => {
            let total = match added {
                None => stride + reach - 2,
                Some(added) => reach + reach % 2 - 2 + added,
            };
            let left = (total / 2 + total % 2).min(reach - 1);
            (left, total - left)
        }
        (Padding::Valid | Padding::Causal, added) => {
            let added = added.unwrap_or(stride.max(reach) - reach);
            (reach - 1, reach - 1 + added)
        }
    }
}

/// Where each window holds a whole axis and padding beside it, as much of the padding as all of
/// them share is left out: a window of 10^9 elements over 8 is one over 8.
fn shorten(dims: &mut WindowDims, axis: usize, size: &Dim) {
    let (Some(size), Some(low), Some(high)) = (
        size.as_const(),
        dims.low[axis].as_const(),
        dims.high[axis].as_const(),
    ) else {
        return;
    };
    let (window, stride) = (dims.window[axis] as i64, dims.strides[axis] as i64);
    // from the first element of the first window to that of the last
    let run = (size + low + high - window) / stride * stride;
    let spare_low = low - run;
    let spare_high = window - low - size;
    if size + low + high < window || spare_low < 0 || spare_high < 0 {
        return;
    }
    dims.low[axis] = Dim::Const(run);
    dims.high[axis] = Dim::Const(run);
    dims.window[axis] = (size + run) as usize;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The elements that each window holds.
    fn held(dims: &WindowDims, size: i64) -> Vec<Vec<i64>> {
        let at = |d: &[Dim]| d[0].as_const().unwrap();
        let (low, window) = (at(&dims.low), dims.window[0] as i64);
        let places = (size + low + at(&dims.high) - window) / dims.strides[0] as i64 + 1;
        let first = |i: i64| i * dims.strides[0] as i64 - low;
        let of = |i: i64| (first(i).max(0)..(first(i) + window).min(size)).collect();
        (0..places).map(of).collect()
    }

    #[test]
    fn shorter_windows_hold_the_same() {
        for size in 1..7 {
            for window in 1..20 {
                for stride in 1..5 {
                    for (low, high) in [(0, 0), (0, 3), (4, 1), (7, 7), (15, 15)] {
                        let dims = WindowDims {
                            window: vec![window],
                            strides: vec![stride],
                            low: vec![Dim::Const(low)],
                            high: vec![Dim::Const(high)],
                        };
                        if size + low + high < window as i64 {
                            continue;
                        }
                        let mut short = dims.clone();
                        shorten(&mut short, 0, &Dim::Const(size));
                        assert_eq!(held(&dims, size), held(&short, size), "{dims:?} {short:?}");
                        assert!(short.window[0] <= window);
                    }
                }
            }
        }
    }

    #[test]
    fn a_window_of_a_billion_over_8_is_one_over_8() {
        let half = Dim::Const(499_999_996);
        let mut dims = WindowDims {
            window: vec![1_000_000_000],
            strides: vec![1_000_000_000],
            low: vec![half.clone()],
            high: vec![half],
        };
        shorten(&mut dims, 0, &Dim::Const(8));
        assert_eq!((dims.window[0], &dims.low[0]), (8, &Dim::ZERO));
    }
}
