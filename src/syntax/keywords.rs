//! The words the grammar knows, by the place where they are words.

/// Start a declaration, at the top of a file.
pub const DECLARATIONS: &[&str] = &[
    "import",
    "const",
    "data",
    "layer",
    "fn",
    "loss",
    "metric",
    "optimizer",
    "schedule",
    "initializer",
    "regularizer",
    "constraint",
    "model",
    "train",
    "sweep",
];

/// Start a statement.
pub const STATEMENTS: &[&str] = &["param", "state", "require", "penalize"];

/// Never a name.
pub const RESERVED: &[&str] = &[
    "if", "else", "and", "or", "not", "true", "false", "none", "scan", "in", "along", "from",
];

/// Start an item of a data block.
pub const DATA_ITEMS: &[&str] = &["source", "column", "split", "fit", "input", "target"];

/// Keywords that start an item of a train or sweep block, or are in its head.
pub const TRAIN_ITEMS: &[&str] = &["draw", "step", "minimize", "on", "when", "do"];

/// Binary operators that are words, and words after which an expression must follow.
pub const JOINING_WORDS: &[&str] = &["and", "or", "not", "in"];

/// A declaration may not be called this.
pub fn is_keyword(word: &str) -> bool {
    RESERVED.contains(&word) || DECLARATIONS.contains(&word) || STATEMENTS.contains(&word)
}
