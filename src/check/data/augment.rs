//! `augment`: images of a column changed at random while a model trains.
//!
//! In the walk of a training step it is a `Data` input of its own, which batches fill; in
//! every other walk it is the column, as real numbers (the middle of it, where it crops).

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::ir::{Dim, Elem, Prim, Role, Type};
use crate::spec::augment::{AugmentSpec, Erasing, Fill, Ranges, Saved, Shift};

use crate::check::elab::Elab;
use crate::check::elab::builtin::Args;
use crate::check::elab::pattern::per_sample_text;
use crate::check::elab::value::{Home, Meaning, Tensor, Val};

/// What `augment` takes, in Keras' order, and then what Keras has in other places.
pub(crate) const PARAMS: &[&str] = &[
    "images",
    "rotation_range?",
    "width_shift_range?",
    "height_shift_range?",
    "brightness_range?",
    "shear_range?",
    "zoom_range?",
    "channel_shift_range?",
    "fill_mode?",
    "cval?",
    "horizontal_flip?",
    "vertical_flip?",
    "contrast_range?",
    "crop_size?",
    "noise_stddev?",
    "erasing?",
    "erasing_area?",
    "erasing_value?",
    "save_to?",
    "save_count?",
];

/// Arguments of Keras' `ImageDataGenerator` that stand elsewhere here; those that are
/// functions of the library stand behind it.
const STAGES: &[(&str, &str)] = &[
    ("rescale", "|> scale(1 / 255)"),
    (
        "samplewise_center",
        "|> samplewise(std_normalization = false)",
    ),
    ("samplewise_std_normalization", "|> samplewise"),
    (
        "featurewise_center",
        "|> featurewise(fitted, std_normalization = false)",
    ),
    ("featurewise_std_normalization", "|> featurewise(fitted)"),
    (
        "zca_epsilon",
        "fit white = zca(train.image, epsilon = 1e-6)",
    ),
    ("preprocessing_function", "|> f"),
    ("data_format", "|> transpose([0, 2, 3, 1])"),
    ("validation_split", "split { train 80%, val 20% }"),
    ("save_to_dir", "save_to = \"augmented\""),
];

/// What to write in place of an argument that stands elsewhere.
pub(crate) fn other_place(argument: &str) -> Option<String> {
    let stage = STAGES.iter().find(|(name, _)| *name == argument);
    let behind = || crate::library::names().any(|n| n == argument);
    match stage {
        Some((_, stage)) => Some(format!("write `{stage}`")),
        None if behind() => Some(format!(
            "write it after the augmentation, as a stage: `|> {argument}`"
        )),
        None => None,
    }
}

impl Elab<'_> {
    pub(super) fn augment(&mut self, a: &Args) -> Val {
        let before = self.diags.len();
        let Some(t) = self.tensor_at(a, "images") else {
            return Val::Error;
        };
        let ranges = self.ranges(a);
        let saved = self.saved(a);
        let (Some(ranges), Some(saved), true) = (ranges, saved, self.diags.len() == before) else {
            return Val::Error;
        };
        if self.mode.generic {
            let ty = Type::new(Elem::F32, self.augmented_shape(&t, &ranges));
            let plain = self.cast(t, Elem::F32, a.span);
            return plain.map_or(Val::Error, |t| Val::Tensor(Tensor { ty, ..t }));
        }
        let Some(column) = self.image_column(a, &t) else {
            return Val::Error;
        };
        if !self.fits(a, &t, &ranges, &column) {
            return Val::Error;
        }
        self.asked_training = true;
        if !self.mode.training {
            return self.middle(a, t, &ranges);
        }
        let ty = Type::new(Elem::F32, self.augmented_shape(&t, &ranges));
        let known = self.data.augmented.iter();
        let same = |s: &&AugmentSpec| s.column == column && s.ranges == ranges;
        let feed = self.data.feed_name.clone();
        let of_this = |s: &&AugmentSpec| s.name.split(':').next() == Some(&*feed);
        let name = match known.clone().filter(of_this).find(same) {
            Some(spec) => spec.name.clone(),
            None => {
                let count = known.filter(of_this).count();
                let number = if count == 0 {
                    String::new()
                } else {
                    format!(" {}", count + 1)
                };
                let name = format!("{feed}: {column} augmented{number}");
                self.data.augmented.push(AugmentSpec {
                    name: name.clone(),
                    column,
                    ranges,
                    saved,
                    span: a.span,
                });
                name
            }
        };
        let mut inputs = self.step.inputs.iter();
        let found = inputs.find(|i| i.role == Role::Data && *i.name == *name);
        let value = match found.map(|i| i.value) {
            Some(value) => value,
            None => self.step.input(&name, Role::Data, ty.clone()),
        };
        Val::Tensor(Tensor {
            value,
            home: Home::Step,
            ty,
            meaning: Meaning::Real,
            mask: None,
        })
    }

    /// The column of an input that a tensor is.
    fn image_column(&mut self, a: &Args, t: &Tensor) -> Option<String> {
        let at = self.arg(a, "images").map_or(a.span, |x| x.span);
        let refuse = |el: &mut Self, what: &str, label: String, help: &str| {
            let d = Diagnostic::error(Code::E0526, what)
                .label(at, label)
                .help(help);
            el.diagnose(d);
            None
        };
        let usage = "for example, `input x : [28, 28] = image |> augment(rotation_range = 10)`";
        if self.data.feed_is_target {
            let what = "a target cannot be augmented";
            let label = "the target of a changed image is that of the original";
            return refuse(self, what, label.into(), usage);
        }
        if let Some(stream) = self.data.feed_stream {
            let d = Diagnostic::error(Code::E0530, "streamed images cannot be augmented")
                .label(at, "these rows are streamed")
                .label(stream, "here")
                .help("read the file without `stream`");
            self.diagnose(d);
            return None;
        }
        let mut inputs = self.step.inputs.iter();
        let input = inputs.find(|i| i.role == Role::Data && i.value == t.value);
        let column = input.filter(|i| self.data.columns.contains(&i.name));
        let (Some(column), Home::Step) = (column, t.home) else {
            let what = "`augment` must come first, directly after a column of images";
            return refuse(self, what, format!("this is {t}, not a column"), usage);
        };
        let column = column.name.to_string();
        let held = matches!(t.ty.elem, Elem::U8 | Elem::F32) && t.meaning == Meaning::Real;
        if !held {
            let what = "images must be bytes or real numbers";
            return refuse(self, what, format!("this is {t}"), usage);
        }
        if !matches!(t.ty.shape.len(), 3 | 4) {
            let what = "an image must be [height, width] or [height, width, channels]";
            let label = format!("a row of `{column}` is {}", per_sample_text(t));
            let help = "for example, `column image : u8[28, 28]`";
            return refuse(self, what, label, help);
        }
        Some(column)
    }

    /// Whether the ranges can be had of these images.
    fn fits(&mut self, a: &Args, t: &Tensor, ranges: &Ranges, column: &str) -> bool {
        let size = |i: usize| t.ty.shape[i].as_const().unwrap_or(i64::MAX);
        let within = |n: usize, i: usize| i64::try_from(n).is_ok_and(|n| n <= size(i));
        if let Some([height, width]) = ranges.crop
            && !(within(height, 1) && within(width, 2))
        {
            let at = self.arg(a, "crop_size").map_or(a.span, |x| x.span);
            let text = per_sample_text(t);
            let what = format!("a crop of {height} by {width} is larger than the image");
            let d = Diagnostic::error(Code::E0526, what)
                .label(at, format!("a row of `{column}` is {text}"));
            self.diagnose(d);
            return false;
        }
        let byte = 0.0..=255.0;
        if t.ty.elem == Elem::U8 {
            for (param, value) in [
                ("cval", ranges.cval),
                ("erasing_value", ranges.erasing.value),
            ] {
                if !byte.contains(&value) {
                    let found = Val::Float(value);
                    self.wrong(a, param, "a number from 0 to 255, as in bytes", &found);
                    return false;
                }
            }
        } else if ranges.brightness.is_some() {
            let at = self.arg(a, "brightness_range").map_or(a.span, |x| x.span);
            let d = Diagnostic::error(Code::E0526, "`brightness_range` needs images of bytes")
                .label(at, format!("`{column}` holds real numbers"))
                .note("as in Keras, brightness produces integers from 0 to 255, so an image with values from 0 to 1 would turn black")
                .help("declare the column as bytes: `u8[28, 28]`");
            self.diagnose(d);
            return false;
        }
        true
    }

    fn augmented_shape(&self, t: &Tensor, ranges: &Ranges) -> Vec<Dim> {
        let mut shape = t.ty.shape.to_vec();
        if let (Some([height, width]), 3..) = (ranges.crop, shape.len()) {
            shape[1] = Dim::from(height);
            shape[2] = Dim::from(width);
        }
        shape
    }

    /// The image as it is, but for its edges.
    fn middle(&mut self, a: &Args, t: Tensor, ranges: &Ranges) -> Val {
        let cut = match ranges.crop {
            None => Some(t),
            Some(crop) => {
                let mut starts = vec![Dim::ZERO; t.ty.rank()];
                let mut ends = t.ty.shape.to_vec();
                for (axis, size) in (1..).zip(crop) {
                    let whole = ends[axis].as_const().unwrap_or_default();
                    let start = (whole - size as i64) / 2;
                    starts[axis] = Dim::Const(start);
                    ends[axis] = Dim::Const(start + size as i64);
                }
                let slice = Prim::Slice {
                    starts,
                    ends,
                    steps: vec![1; t.ty.rank()],
                };
                match self.emit(slice, &[&t], Meaning::Real, a.span) {
                    Val::Tensor(t) => Some(t),
                    _ => None,
                }
            }
        };
        let real = cut.and_then(|t| self.cast(t, Elem::F32, a.span));
        real.map_or(Val::Error, Val::Tensor)
    }

    fn ranges(&mut self, a: &Args) -> Option<Ranges> {
        let not_below = |x: f64| x >= 0.0;
        let degrees = "a number of degrees from 0";
        let rotation = self.amount(a, "rotation_range", degrees, 0.0, not_below);
        let shear = self.amount(a, "shear_range", degrees, 0.0, |x| (0.0..90.0).contains(&x));
        let width_shift = self.shift(a, "width_shift_range");
        let height_shift = self.shift(a, "height_shift_range");
        let brightness = self.factors(a, "brightness_range", not_below);
        let contrast = self.factors(a, "contrast_range", not_below);
        let zoom = self.zoom(a);
        let channel_shift =
            self.amount(a, "channel_shift_range", "a number from 0", 0.0, not_below);
        let fill = self.fill_mode(a);
        let any = |_: f64| true;
        let cval = self.amount(a, "cval", "a number", 0.0, any);
        let noise = self.amount(a, "noise_stddev", "a number from 0", 0.0, not_below);
        let share = |x: f64| (0.0..=1.0).contains(&x);
        let erased = self.amount(
            a,
            "erasing",
            "a fraction of the images, from 0 to 1",
            0.0,
            share,
        );
        let area = self.factors(a, "erasing_area", share);
        let value = self.amount(a, "erasing_value", "a number", 0.0, any);
        let crop = match self.arg(a, "crop_size").is_some() {
            false => Some(None),
            true => match self.counts_at(a, "crop_size", 2).as_deref() {
                Some([height, width]) => Some(Some([*height, *width])),
                _ => None,
            },
        };
        let usual = Ranges::default();
        Some(Ranges {
            rotation: rotation?,
            width_shift: width_shift?,
            height_shift: height_shift?,
            shear: shear?,
            zoom: zoom?,
            fill: fill?,
            cval: cval?,
            crop: crop?,
            channel_shift: channel_shift?,
            horizontal_flip: self.flag_at(a, "horizontal_flip", false),
            vertical_flip: self.flag_at(a, "vertical_flip", false),
            brightness: brightness?,
            contrast: contrast?,
            noise: noise?,
            erasing: Erasing {
                share: erased?,
                area: area?.unwrap_or(usual.erasing.area),
                value: value?,
            },
        })
    }

    /// A number, or `default`; none where it is none that is fit.
    fn amount(
        &mut self,
        a: &Args,
        param: &str,
        expected: &str,
        default: f64,
        fit: impl Fn(f64) -> bool,
    ) -> Option<f64> {
        let found = match self.arg(a, param) {
            None => return Some(default),
            Some(x) => x.val.clone(),
        };
        match found {
            Val::Error => None,
            Val::Unknown(_) => Some(default),
            other => match number(&other).filter(|x| fit(*x)) {
                Some(x) => Some(x),
                None => {
                    self.wrong(a, param, expected, &other);
                    None
                }
            },
        }
    }

    /// The least and the greatest factor, if they are given.
    fn factors(
        &mut self,
        a: &Args,
        param: &str,
        fit: impl Fn(f64) -> bool,
    ) -> Option<Option<[f64; 2]>> {
        let found = match self.arg(a, param) {
            None => return Some(None),
            Some(x) => x.val.clone(),
        };
        match (&found, pair(&found)) {
            (Val::Error, _) => None,
            (Val::None, _) => Some(None),
            (_, Some([low, high])) if low <= high && fit(low) && fit(high) => {
                Some(Some([low, high]))
            }
            _ => {
                let expected = "a list of the minimum and the maximum, such as [0.2, 0.8]";
                self.wrong(a, param, expected, &found);
                None
            }
        }
    }

    /// Keras' `zoom_range`: a share below 1, or the least and the greatest factor.
    fn zoom(&mut self, a: &Args) -> Option<[f64; 2]> {
        let found = match self.arg(a, "zoom_range") {
            None => return Some([1.0, 1.0]),
            Some(x) => x.val.clone(),
        };
        match (number(&found), pair(&found)) {
            (Some(x), _) if (0.0..1.0).contains(&x) => Some([1.0 - x, 1.0 + x]),
            (_, Some([low, high])) if 0.0 < low && low <= high => Some([low, high]),
            _ if found.is_error() => None,
            _ => {
                let expected = "a number of at least 0 and below 1, or a list of the minimum and the maximum factor";
                self.wrong(a, "zoom_range", expected, &found);
                None
            }
        }
    }

    /// Keras' reading of a shift: a whole number is of pixels, a fraction of the size, a list
    /// says which there are.
    fn shift(&mut self, a: &Args, param: &str) -> Option<Shift> {
        let found = match self.arg(a, param) {
            None => return Some(Shift::Fraction(0.0)),
            Some(x) => x.val.clone(),
        };
        let listed = match &found {
            Val::List(items) => items.iter().map(number).collect::<Option<Vec<f64>>>(),
            _ => None,
        };
        match (&found, listed) {
            (Val::Error, _) => None,
            (Val::Unknown(_), _) => Some(Shift::Fraction(0.0)),
            (Val::Int(Dim::Const(n)), _) if (0..1 << 20).contains(n) => {
                Some(Shift::Below(u32::try_from(*n).unwrap_or_default()))
            }
            (Val::Float(x), _) if (0.0..1.0).contains(x) => Some(Shift::Fraction(*x)),
            (Val::Float(x), _) if *x >= 1.0 => Some(Shift::Pixels(*x)),
            (_, Some(all)) if !all.is_empty() => Some(Shift::OneOf(all)),
            _ => {
                let expected = "a fraction of the size, a number of pixels, or a list of either";
                self.wrong(a, param, expected, &found);
                None
            }
        }
    }

    fn fill_mode(&mut self, a: &Args) -> Option<Fill> {
        let Some(arg) = self.arg(a, "fill_mode").cloned() else {
            return Some(Fill::Nearest);
        };
        let word = match (&arg.val, &arg.symbol) {
            (Val::Symbol(s), _) => s.to_string(),
            (_, Some(s)) => s.text.to_string(),
            (Val::Error, None) => return None,
            _ => String::new(),
        };
        let found = Fill::ALL.into_iter().find(|f| f.name() == word);
        if found.is_none() {
            let names = Fill::ALL.map(Fill::name);
            let message = format!("`fill_mode` must be one of {}", names.join(", "));
            let mut d =
                Diagnostic::error(Code::E0307, message).label(arg.span, "unknown fill mode");
            if let Some(near) = did_you_mean(&word, names.iter().map(String::as_str)) {
                d = d
                    .help(format!("did you mean `{near}`?"))
                    .fix(arg.span, near.to_owned());
            }
            self.diagnose(d);
        }
        found
    }

    fn saved(&mut self, a: &Args) -> Option<Option<Saved>> {
        let to = match self.arg(a, "save_to").map(|x| (x.val.clone(), x.span)) {
            None => {
                if let Some(count) = self.arg(a, "save_count").map(|x| x.span) {
                    let d = Diagnostic::error(Code::E0106, "`save_count` needs `save_to`")
                        .label(count, "there is no `save_to`")
                        .help("add `save_to = \"augmented\"`");
                    self.diagnose(d);
                    return None;
                }
                return Some(None);
            }
            Some((Val::Error, _)) => return None,
            Some((Val::Str(s), at)) => self.below_the_run(&s, at)?,
            Some((other, _)) => {
                self.wrong(a, "save_to", "the name of a folder, in quotes", &other);
                return None;
            }
        };
        let whole = |x: f64| x.fract() == 0.0 && (1.0..=10_000.0).contains(&x);
        let expected = "a number of images, 1 to 10,000";
        let count = self.amount(a, "save_count", expected, 20.0, whole)? as usize;
        Some(Some(Saved { to, count }))
    }

    /// Columns that only batches need, now that their images are changed: no input of the
    /// graph. Before inputs are counted.
    pub fn drop_plain_images(&mut self) {
        let mut needed: Vec<bool> = vec![false; self.step.value_count()];
        for node in &self.step.nodes {
            node.args.iter().for_each(|a| needed[a.0 as usize] = true);
        }
        for output in &self.step.outputs {
            needed[output.value.0 as usize] = true;
        }
        let augmented = &self.data.augmented;
        self.step.inputs.retain(|i| {
            let of_this = |s: &AugmentSpec| *s.column == *i.name;
            let only = i.role == Role::Data && augmented.iter().any(of_this);
            !only || needed[i.value.0 as usize]
        });
    }
}

fn number(v: &Val) -> Option<f64> {
    match v {
        Val::Int(Dim::Const(n)) => Some(*n as f64),
        Val::Float(x) if x.is_finite() => Some(*x),
        _ => None,
    }
}

fn pair(v: &Val) -> Option<[f64; 2]> {
    match v {
        Val::List(items) => match items.as_slice() {
            [low, high] => Some([number(low)?, number(high)?]),
            _ => None,
        },
        _ => None,
    }
}
