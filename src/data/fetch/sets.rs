//! The data sets that there are, with Keras' parts.
//!
//! | set | files from | checksums |
//! |---|---|---|
//! | `mnist` | the copy that TensorFlow Datasets takes | TensorFlow Datasets' and other projects', all the same; uncompressed, the images and labels in this project's `shared/data/mnist` have the checksums published for these files |
//! | `fashion_mnist` | Keras' | TensorFlow Datasets', Chainer's and others', all the same |
//! | `cifar10` | its authors', the binary form: the bytes of Keras' pickles | MLDatasets' (Julia), torchvision for Ruby and others', all the same |
//! | `imdb` | its authors' | Hugging Face's `datasets`, CorpusLoaders (Julia) and others', all the same |

use std::path::Path;

use super::archive;
use crate::data::error::nearest;
use crate::data::formats::csv::{ColumnSpec, Select};
use crate::data::formats::idx;
use crate::data::{DataError, Table};
use crate::spec::{DataSetEntry, Field};

/// A data set.
#[derive(Clone, Copy, Debug)]
pub struct Set {
    /// As the checker sees it; its fields are in the order of its columns.
    pub entry: DataSetEntry,
    pub files: &'static [Remote],
    pub layout: Layout,
}

/// A file of a set.
#[derive(Clone, Copy, Debug)]
pub struct Remote {
    pub name: &'static str,
    pub url: &'static str,
    pub bytes: u64,
    /// In hexadecimal digits.
    pub sha256: &'static str,
}

/// How its files hold its columns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layout {
    /// Images and labels of training, then of testing, as IDX: `image` u8[28, 28], `label`.
    Idx,
    /// `data_batch_1.bin` .. and `test_batch.bin` in an archive: `image` u8[32, 32, 3], `label`.
    Cifar,
    /// `train/neg/0_3.txt` and so on in an archive: `text`, `sentiment` (1: positive).
    AclImdb,
}

const DIGITS: &[(&str, Field)] = &[
    ("image", Field::Pixels(&[28, 28])),
    ("label", Field::Class(10)),
];

/// All of them.
pub const SETS: [Set; 4] = [
    Set {
        entry: DataSetEntry {
            name: "mnist",
            fields: DIGITS,
        },
        layout: Layout::Idx,
        files: &[
            Remote {
                name: "train-images-idx3-ubyte.gz",
                url: "https://storage.googleapis.com/cvdf-datasets/mnist/train-images-idx3-ubyte.gz",
                bytes: 9_912_422,
                sha256: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            },
            Remote {
                name: "train-labels-idx1-ubyte.gz",
                url: "https://storage.googleapis.com/cvdf-datasets/mnist/train-labels-idx1-ubyte.gz",
                bytes: 28_881,
                sha256: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            },
            Remote {
                name: "t10k-images-idx3-ubyte.gz",
                url: "https://storage.googleapis.com/cvdf-datasets/mnist/t10k-images-idx3-ubyte.gz",
                bytes: 1_648_877,
                sha256: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            },
            Remote {
                name: "t10k-labels-idx1-ubyte.gz",
                url: "https://storage.googleapis.com/cvdf-datasets/mnist/t10k-labels-idx1-ubyte.gz",
                bytes: 4_542,
                sha256: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            },
        ],
    },
    Set {
        entry: DataSetEntry {
            name: "fashion_mnist",
            fields: DIGITS,
        },
        layout: Layout::Idx,
        files: &[
            Remote {
                name: "train-images-idx3-ubyte.gz",
                url: "https://storage.googleapis.com/tensorflow/tf-keras-datasets/train-images-idx3-ubyte.gz",
                bytes: 26_421_880,
                sha256: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            },
            Remote {
                name: "train-labels-idx1-ubyte.gz",
                url: "https://storage.googleapis.com/tensorflow/tf-keras-datasets/train-labels-idx1-ubyte.gz",
                bytes: 29_515,
                sha256: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            },
            Remote {
                name: "t10k-images-idx3-ubyte.gz",
                url: "https://storage.googleapis.com/tensorflow/tf-keras-datasets/t10k-images-idx3-ubyte.gz",
                bytes: 4_422_102,
                sha256: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            },
            Remote {
                name: "t10k-labels-idx1-ubyte.gz",
                url: "https://storage.googleapis.com/tensorflow/tf-keras-datasets/t10k-labels-idx1-ubyte.gz",
                bytes: 5_148,
                sha256: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            },
        ],
    },
    Set {
        entry: DataSetEntry {
            name: "cifar10",
            fields: &[
                ("image", Field::Pixels(&[32, 32, 3])),
                ("label", Field::Class(10)),
            ],
        },
        layout: Layout::Cifar,
        files: &[Remote {
            name: "cifar-10-binary.tar.gz",
            url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            bytes: 170_052_171,
            sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        }],
    },
    Set {
        entry: DataSetEntry {
            name: "imdb",
            fields: &[("text", Field::Text), ("sentiment", Field::Class(2))],
        },
        layout: Layout::AclImdb,
        files: &[Remote {
            name: "aclImdb_v1.tar.gz",
            url: "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
            bytes: 84_125_825,
            sha256: "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe",
        }],
    },
];

/// The table as the checker sees it.
pub const ENTRIES: &[DataSetEntry] = &entries(&SETS);

const fn entries<const N: usize>(sets: &[Set; N]) -> [DataSetEntry; N] {
    let mut all = [sets[0].entry; N];
    let mut i = 0;
    while i < N {
        all[i] = sets[i].entry;
        i += 1;
    }
    all
}

/// The set of this name.
pub fn find(name: &str) -> Option<&'static Set> {
    const ALL: &[Set] = &SETS;
    ALL.iter().find(|s| s.entry.name == name)
}

impl Set {
    /// The columns asked for of the training rows, or of those for testing; `folder` holds the
    /// set's files.
    pub fn read(
        &self,
        folder: &Path,
        testing: bool,
        specs: &[ColumnSpec],
    ) -> Result<Table, DataError> {
        let known = || self.entry.fields.iter().map(|(name, _)| *name);
        let mut wanted = Vec::new();
        for spec in specs {
            let name = match &spec.select {
                Select::Name(name) => name.as_str(),
                _ => spec.name.as_str(),
            };
            match known().position(|k| k == name) {
                Some(at) => wanted.push((at, spec)),
                None => {
                    return Err(DataError::UnknownColumn {
                        path: folder.to_owned(),
                        name: name.into(),
                        names: known().map(str::to_owned).collect(),
                        suggestion: nearest(name, known()),
                    });
                }
            }
        }
        let file = |i: usize| folder.join(self.files[i].name);
        match self.layout {
            Layout::Idx => {
                let first = if testing { 2 } else { 0 };
                let columns = (wanted.iter()).map(|(at, spec)| {
                    idx::read_idx(&file(first + at), &spec.name, Some(spec.element))
                });
                Table::new(columns.collect::<Result<_, _>>()?)
            }
            Layout::Cifar => archive::cifar(&file(0), testing, &wanted),
            Layout::AclImdb => archive::acl_imdb(&file(0), testing, &wanted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_is_whole() {
        for set in SETS {
            let files = match set.layout {
                Layout::Idx => 4,
                Layout::Cifar | Layout::AclImdb => 1,
            };
            assert_eq!(set.files.len(), files, "{}", set.entry.name);
            for file in set.files {
                let digits = file.sha256.bytes().filter(u8::is_ascii_hexdigit).count();
                assert_eq!((digits, file.sha256.len()), (64, 64), "{}", file.name);
                assert!(file.url.starts_with("https://") && file.url.ends_with(file.name));
                assert!(file.bytes > 0);
            }
        }
    }
}
