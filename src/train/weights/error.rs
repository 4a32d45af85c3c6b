//! Errors of weights files.

use std::path::PathBuf;

use super::TensorSpec;
use crate::data::DataError;
use crate::data::error::shape as shown_shape;
use crate::diag::Code;
use crate::plural::count;

/// What is wrong with a weights file.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum WeightsError {
    #[error(transparent)]
    Io(DataError),

    #[error("{}: not a safetensors file: {reason}", path.display())]
    Format { path: PathBuf, reason: String },

    #[error("{}: tensor `{name}` has type {found}; weights must be f32, f64, i32, u8 or bool", path.display())]
    ElementType {
        path: PathBuf,
        name: String,
        found: String,
    },

    #[error("{}: the weights do not match the model{}", path.display(), differences(mismatches))]
    Mismatch {
        path: PathBuf,
        mismatches: Vec<Mismatch>,
    },

    #[error(
        "tensor `{name}` {}: {} do not match its shape",
        shown_shape(shape),
        count(*bytes, "byte")
    )]
    Size {
        name: String,
        shape: Vec<usize>,
        bytes: usize,
    },

    #[error("two tensors are named `{name}`")]
    DuplicateName { name: String },
}

/// One disagreement between a file and what the model needs.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Mismatch {
    #[error("`{name}` is missing{}", similar(suggestion))]
    Missing {
        name: String,
        suggestion: Option<String>,
    },
    #[error("`{name}` is in the file, but not in the model")]
    Unexpected { name: String },
    #[error("`{name}` is {} {} in the file, {} {} in the model", found.elem.name(), shown_shape(&found.shape),
        expected.elem.name(), shown_shape(&expected.shape))]
    Differs {
        name: String,
        found: TensorSpec,
        expected: TensorSpec,
    },
}

impl WeightsError {
    /// Stable code, as `nnc explain` takes it.
    pub fn code(&self) -> Code {
        match self {
            WeightsError::Io(error) => error.code(),
            WeightsError::Format { .. } => Code::E0941,
            WeightsError::ElementType { .. } => Code::E0942,
            WeightsError::Mismatch { .. } => Code::E0943,
            WeightsError::Size { .. } => Code::E0944,
            WeightsError::DuplicateName { .. } => Code::E0945,
        }
    }
}

/// One per line, at most twenty.
fn differences(mismatches: &[Mismatch]) -> String {
    let mut text = String::new();
    for mismatch in mismatches.iter().take(20) {
        text += &format!("\n  {mismatch}");
    }
    if mismatches.len() > 20 {
        text += &format!("\n  and {} more", mismatches.len() - 20);
    }
    text
}

fn similar(suggestion: &Option<String>) -> String {
    suggestion
        .as_ref()
        .map_or(String::new(), |s| format!(" (the file has `{s}`)"))
}
