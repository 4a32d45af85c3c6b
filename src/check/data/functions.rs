//! Functions that stand in data blocks, by name; what they do with rows and columns is in
//! `rows.rs`, `series.rs` and `augment.rs`.

use crate::check::elab::builtin::{Builtin, builtin};

use super::augment::{PARAMS, other_place};

/// By name, in order.
pub(crate) const TABLE: &[Builtin] = &[
    builtin(
        "BPE",
        &["column", "vocab_size", "min_frequency?", "lower?"],
        "byte-pair encoding of a text column, fitted to the training rows, as GPT-2's: `fit vocab = BPE(train.text, vocab_size = 8000)`",
        |el, a| el.of_rows_only(a),
    ),
    builtin(
        "Hashing",
        &[
            "column",
            "num_words",
            "filters?",
            "lower?",
            "split?",
            "char_level?",
            "ngrams?",
        ],
        "vocabulary of a text column, with words numbered by their hash: `fit vocab = Hashing(train.text, num_words = 5000)`",
        |el, a| el.of_rows_only(a),
    ),
    builtin(
        "Tokenizer",
        &[
            "column",
            "num_words?",
            "filters?",
            "lower?",
            "split?",
            "char_level?",
            "oov_token?",
            "ngrams?",
        ],
        "vocabulary of a text column, fitted to the training rows, most frequent words first: `fit vocab = Tokenizer(train.text)`",
        |el, a| el.of_rows_only(a),
    ),
    builtin(
        "ahead",
        &["column", "k"],
        "value of a column `k` rows later, in a data block; rows without one are dropped",
        |el, a| el.of_rows_only(a),
    ),
    builtin(
        "augment",
        PARAMS,
        "images of a column, changed at random during training only: `input x : [28, 28] = image |> augment(rotation_range = 10)`",
        |el, a| el.augment(a),
    )
    .elsewhere(other_place),
    builtin(
        "bag",
        &["rows", "vocab", "mode?"],
        "bag of words: one number per word of a vocabulary, in a data block: `binary`, `count`, `freq` or `tfidf`",
        |el, a| el.of_rows_only(a),
    ),
    builtin(
        "index",
        &["text", "labels", "unseen?"],
        "index of a text among fitted labels, in a data block; `unseen` is `error` or `other`",
        |el, a| el.of_rows_only(a),
    ),
    builtin(
        "lag",
        &["column", "k"],
        "value of a column `k` rows earlier, in a data block; rows without one are dropped",
        |el, a| el.of_rows_only(a),
    ),
    builtin(
        "missing",
        &["column"],
        "where a column of a data block has no value in the file; the column must declare `missing`, such as `missing = mean`",
        |el, a| el.of_rows_only(a),
    ),
    builtin(
        "percentile",
        &["lengths", "q"],
        "length that `q` percent of the rows do not exceed, in a fit",
        |el, a| el.of_rows_only(a),
    ),
    builtin(
        "tokens",
        &["text", "vocab"],
        "ids of the words of a text column, in a data block",
        |el, a| el.of_rows_only(a),
    ),
    builtin(
        "windows",
        &[
            "column",
            "sequence_length",
            "sampling_rate?",
            "sequence_stride?",
        ],
        "values of a column at this row and the rows before it, in a data block, like Keras' `timeseries_dataset_from_array`",
        |el, a| el.of_rows_only(a),
    ),
    builtin(
        "word_vectors",
        &["file", "vocab"],
        "vectors for the words of a vocabulary, read from a file in the text format of GloVe or word2vec: `fit vectors = word_vectors(\"glove.txt\", vocab)`",
        |el, a| el.of_rows_only(a),
    ),
];
