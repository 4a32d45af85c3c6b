//! What is done at random to the images of a column while a model trains.

use crate::span::Span;

/// A column with its images changed differently in each epoch: a `Data` input of the training
/// graph, `F32` of the column's shape (or the crop's).
#[derive(Clone, Debug, PartialEq)]
pub struct AugmentSpec {
    /// The name of the graph's input; the random draws depend on it.
    pub name: String,
    pub column: String,
    pub ranges: Ranges,
    pub saved: Option<Saved>,
    pub span: Span,
}

/// The first images of the first epoch, written to files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// A folder below the run's.
    pub to: String,
    pub count: usize,
}

/// The arguments of Keras' `ImageDataGenerator`, and some more. What is drawn between a
/// number below zero and the same above is given as that number.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranges {
    /// Degrees.
    pub rotation: f64,
    pub width_shift: Shift,
    pub height_shift: Shift,
    /// Degrees.
    pub shear: f64,
    /// Range of the factor of each axis; below 1 things grow.
    pub zoom: [f64; 2],
    pub fill: Fill,
    /// What `Fill::Constant` fills with.
    pub cval: f64,
    /// Height and width.
    pub crop: Option<[usize; 2]>,
    pub channel_shift: f64,
    pub horizontal_flip: bool,
    pub vertical_flip: bool,
    /// Factors.
    pub brightness: Option<[f64; 2]>,
    /// Factors of the distance from each channel's mean.
    pub contrast: Option<[f64; 2]>,
    /// Standard deviation.
    pub noise: f64,
    pub erasing: Erasing,
}

/// How far an image moves along an axis.
#[derive(Clone, Debug, PartialEq)]
pub enum Shift {
    /// A fraction of the size, in each direction.
    Fraction(f64),
    /// Pixels, any number between.
    Pixels(f64),
    /// A whole number of pixels below this, in each direction.
    Below(u32),
    /// One of these, in each direction: fractions if all are below 1, pixels otherwise.
    OneOf(Vec<f64>),
}

/// What stands beyond an image's edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// aaaa|abcd|dddd
    Nearest,
    /// kkkk|abcd|kkkk
    Constant,
    /// dcba|abcd|dcba
    Reflect,
    /// abcd|abcd|abcd
    Wrap,
}

/// A rectangle painted over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Erasing {
    /// The fraction of images.
    pub share: f64,
    /// Minimum and maximum fraction of the image's area.
    pub area: [f64; 2],
    /// What it is painted with.
    pub value: f64,
}

impl Fill {
    pub const ALL: [Fill; 4] = [Fill::Nearest, Fill::Constant, Fill::Reflect, Fill::Wrap];
    /// As it is written in nn.
    pub fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

impl Shift {
    pub fn is_none(&self) -> bool {
        match self {
            Shift::Fraction(x) | Shift::Pixels(x) => *x == 0.0,
            Shift::Below(n) => *n == 0,
            Shift::OneOf(all) => all.iter().all(|x| *x == 0.0),
        }
    }
}

impl Default for Ranges {
    /// Nothing is changed.
    fn default() -> Ranges {
        Ranges {
            rotation: 0.0,
            width_shift: Shift::Fraction(0.0),
            height_shift: Shift::Fraction(0.0),
            shear: 0.0,
            zoom: [1.0, 1.0],
            fill: Fill::Nearest,
            cval: 0.0,
            crop: None,
            channel_shift: 0.0,
            horizontal_flip: false,
            vertical_flip: false,
            brightness: None,
            contrast: None,
            noise: 0.0,
            erasing: Erasing {
                share: 0.0,
                area: [0.02, 0.33],
                value: 0.0,
            },
        }
    }
}
