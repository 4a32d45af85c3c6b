//! Fits of images: `channels`, `zca`.

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::ir::{Dim, Elem, Type};
use crate::spec::{FitKind, RowsSpec, TensorFit};
use crate::syntax::ast::{Arg, Ident};

use crate::check::data::env::DataEnv;
use crate::check::elab::Elab;
use crate::check::elab::value::Val;

/// A matrix of this many numbers a side takes 64 MB.
const MOST: i64 = 4096;

/// What a fit of images gives, by name.
pub(crate) fn learnt(row: &Type, learn: TensorFit) -> Vec<(&'static str, Type)> {
    let channels = Type::new(Elem::F32, row.shape.iter().skip(2).cloned());
    let mut all = vec![("mean", channels.clone()), ("std", channels)];
    if matches!(learn, TensorFit::Zca { .. }) {
        let sizes = row.sizes().unwrap_or_default();
        let n = Dim::from(sizes.iter().product::<usize>());
        all.push(("whitening", Type::new(Elem::F32, [n.clone(), n])));
    }
    all
}

impl Elab<'_> {
    /// `channels(train.image)`, `zca(train.image, epsilon = 1e-6)`.
    pub(super) fn of_images(
        &mut self,
        f: &Ident,
        args: &[Arg],
        env: &DataEnv,
    ) -> Option<(Option<FitKind>, Option<RowsSpec>)> {
        let whitens = &*f.text == "zca";
        let mut column = None;
        let (mut rescale, mut epsilon) = (1.0, 1e-6);
        let known: &[&str] = if whitens {
            &["rescale", "epsilon"]
        } else {
            &["rescale"]
        };
        for a in args {
            let Some(name) = &a.name else {
                if column.is_some() {
                    let what = format!("`{}` takes one column", f.text);
                    self.error(Code::E0107, a.span, what, "unexpected argument");
                    return None;
                }
                column = Some(self.training_column(&a.value, env)?);
                continue;
            };
            if !known.contains(&&*name.text) {
                let what = format!("`{}` has no argument `{}`", f.text, name.text);
                let mut d =
                    Diagnostic::error(Code::E0104, what).label(name.span, "unknown argument");
                if let Some(near) = did_you_mean(&name.text, known.iter().copied()) {
                    d = d
                        .help(format!("did you mean `{near}`?"))
                        .fix(name.span, near);
                }
                self.diagnose(d);
                return None;
            }
            let number = match self.eval(&a.value) {
                Val::Error => return None,
                Val::Int(Dim::Const(n)) => n as f64,
                Val::Float(x) => x,
                _ => f64::NAN,
            };
            let rescales = &*name.text == "rescale";
            if !(number.is_finite() && (number > 0.0 || number == 0.0 && !rescales)) {
                let from = if rescales { "above 0" } else { "from 0" };
                let what = format!("`{}` must be a number {from}", name.text);
                self.error(Code::E0301, a.value.span, what, "invalid number");
                return None;
            }
            if rescales {
                rescale = number;
            } else {
                epsilon = number;
            }
        }
        let Some(column) = column else {
            let what = format!("`{}` needs a column", f.text);
            let label = format!("for example, `{}(train.column)`", f.text);
            self.error(Code::E0106, f.span, what, label);
            return None;
        };
        let images = env
            .columns
            .get(&column.text)
            .filter(|c| !c.meaning.is_id() && matches!(c.ty.rank(), 3 | 4));
        let Some(images) = images else {
            let what = format!("`{}` needs a column of images", f.text);
            let d = Diagnostic::error(Code::E0526, what)
                .label(
                    column.span,
                    format!("`{}` does not hold images", column.text),
                )
                .help("a column of images is `[height, width]` or `[height, width, channels]`");
            self.diagnose(d);
            return None;
        };
        let numbers = images.ty.shape[1..].iter().filter_map(Dim::as_const);
        let numbers: i64 = numbers.fold(1, i64::saturating_mul);
        if whitens && numbers > MOST {
            let what = format!("the matrix of {numbers} by {numbers} numbers would be too large");
            let label = format!("the limit is {MOST} numbers per image");
            self.error(Code::E0526, column.span, what, label);
            return None;
        }
        let learn = if whitens {
            TensorFit::Zca { rescale, epsilon }
        } else {
            TensorFit::Channels { rescale }
        };
        let column = column.text.to_string();
        Some((Some(FitKind::Tensors { column, learn }), None))
    }
}
