//! Files in a folder for each class, as Keras' `..._dataset_from_directory` finds them.
//!
//! The folders in it, in the order of their names, are the classes from 0; those whose name
//! begins with a dot are none. Files of the known endings are taken from a class' folder and
//! the folders in it, links to folders aside, in the order of their folders and then of their
//! names. With `class_names` those folders are read, in that order, and no others.

use super::decode::Number;
use super::sink::{Refusal, Sink};
use crate::data::error::{DataError, list_of, nearest};
use crate::plural::count;
use std::path::{Path, PathBuf};

/// The files of a folder.
#[derive(Clone, PartialEq, Debug)]
pub struct Folder {
    pub path: PathBuf,
    /// Names of the classes; none for a folder without classes.
    pub classes: Vec<String>,
    pub files: Vec<Entry>,
}

/// One file.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// Below the folder, with `/` between its parts.
    pub path: String,
    /// 0 in a folder without classes.
    pub class: usize,
}

/// How deep folders are followed.
const DEEPEST: usize = 64;

impl Folder {
    /// The files of each class, with one of `endings` (in lower case, with the dot).
    pub fn of_classes(
        path: &Path,
        endings: &[&str],
        class_names: Option<&[String]>,
    ) -> Result<Folder, DataError> {
        let mut found: Vec<String> = Vec::new();
        for (name, is_folder) in items(path, path)? {
            if is_folder && !name.starts_with('.') {
                found.push(name);
            }
        }
        found.sort_unstable();
        let classes = match class_names {
            Some(names) => {
                if let Some(name) = names.iter().find(|n| !found.contains(n)) {
                    return Err(DataError::Classes {
                        path: path.to_owned(),
                        reason: match nearest(name, found.iter().map(String::as_str)) {
                            Some(near) => {
                                format!("it has no folder `{name}` (did you mean `{near}`?)")
                            }
                            None => {
                                format!("it has no folder `{name}`; it has {}", list_of(&found))
                            }
                        },
                    });
                }
                names.to_vec()
            }
            None => found,
        };
        if classes.is_empty() {
            return Err(DataError::Classes {
                path: path.to_owned(),
                reason: "it has no folders; expected one for each class".into(),
            });
        }
        let mut files = Vec::new();
        for (class, name) in classes.iter().enumerate() {
            let below = below(path, name, endings)?;
            files.extend(below.into_iter().map(|path| Entry { path, class }));
        }
        Folder::new(path, classes, files, endings)
    }

    /// All files below a folder, of no class.
    pub fn of_files(path: &Path, endings: &[&str]) -> Result<Folder, DataError> {
        let below = below(path, "", endings)?.into_iter();
        let files = below.map(|path| Entry { path, class: 0 }).collect();
        Folder::new(path, Vec::new(), files, endings)
    }

    fn new(
        path: &Path,
        classes: Vec<String>,
        files: Vec<Entry>,
        endings: &[&str],
    ) -> Result<Folder, DataError> {
        if files.is_empty() {
            return Err(DataError::Classes {
                path: path.to_owned(),
                reason: format!("it has no {} files", endings.join(" or ")),
            });
        }
        Ok(Folder {
            path: path.to_owned(),
            classes,
            files,
        })
    }

    /// Where a file is.
    pub fn at(&self, entry: &Entry) -> PathBuf {
        self.path.join(&entry.path)
    }

    /// Puts a file's class into a column: its number, or its name into a column of texts.
    pub fn label(&self, entry: &Entry, sink: &mut Sink) -> Result<(), Refusal> {
        match sink.element() {
            crate::data::ElementType::Text => sink.text(&self.classes[entry.class]),
            _ => sink.number(Number::Whole(entry.class as i64)),
        }
    }

    /// Rejects a number of classes that differs from the column's.
    pub fn expect(&self, classes: u32) -> Result<(), DataError> {
        if self.classes.len() == classes as usize {
            return Ok(());
        }
        Err(DataError::Classes {
            path: self.path.clone(),
            reason: format!(
                "it has {}, {}, but class[{classes}] takes {classes}",
                count(self.classes.len(), "class"),
                list_of(&self.classes)
            ),
        })
    }
}

/// What is in a folder: a name, and whether it is a folder.
fn items(root: &Path, folder: &Path) -> Result<Vec<(String, bool)>, DataError> {
    let io = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => DataError::NotFound {
            path: folder.to_owned(),
            tried: None,
        },
        std::io::ErrorKind::NotADirectory => DataError::NotAFolder {
            path: folder.to_owned(),
        },
        _ => DataError::io(folder, "read the file", &e),
    };
    let mut found = Vec::new();
    for item in std::fs::read_dir(folder).map_err(io)? {
        let item = item.map_err(io)?;
        let Ok(name) = item.file_name().into_string() else {
            return Err(DataError::Classes {
                path: root.to_owned(),
                reason: format!("the file name {} is not valid UTF-8", item.path().display()),
            });
        };
        // at the top a link to a folder is a class, as in Keras
        let is_folder = if root == folder {
            item.path().is_dir()
        } else {
            item.file_type().map_err(io)?.is_dir()
        };
        found.push((name, is_folder));
    }
    Ok(found)
}

/// The files below `start`, a folder of `root`: paths from `root`, in order.
fn below(root: &Path, start: &str, endings: &[&str]) -> Result<Vec<String>, DataError> {
    let mut folders = vec![(start.to_owned(), 0)];
    // folder, name
    let mut files: Vec<(String, String)> = Vec::new();
    while let Some((folder, depth)) = folders.pop() {
        for (name, is_folder) in items(root, &root.join(&folder))? {
            if is_folder && depth < DEEPEST {
                folders.push((joined(&folder, &name), depth + 1));
            } else if !is_folder {
                let lower = name.to_lowercase();
                if endings.iter().any(|e| lower.ends_with(e)) {
                    files.push((folder.clone(), name));
                }
            }
        }
    }
    files.sort_unstable();
    let paths = files.iter().map(|(folder, name)| joined(folder, name));
    Ok(paths.collect())
}

fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.into()
    } else {
        format!("{folder}/{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Code;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        folder
    }

    fn paths(folder: &Folder) -> Vec<(&str, usize)> {
        let files = folder.files.iter();
        files.map(|f| (f.path.as_str(), f.class)).collect()
    }

    #[test]
    fn folders_are_classes_in_the_order_of_their_names() {
        let of = folder(&[
            "pos/b.txt",
            "pos/B.TXT",
            "pos/deep/a.txt",
            "neg/10.txt",
            "neg/9.txt",
            "neg/notes.md",
            ".hidden/x.txt",
            "readme.txt",
        ]);
        let found = Folder::of_classes(of.path(), &[".txt"], None).unwrap();
        assert_eq!(found.classes, ["neg", "pos"]);
        let expected = [
            ("neg/10.txt", 0),
            ("neg/9.txt", 0),
            ("pos/B.TXT", 1),
            ("pos/b.txt", 1),
            ("pos/deep/a.txt", 1),
        ];
        assert_eq!(paths(&found), expected);
        let chosen = ["pos".to_owned()];
        let found = Folder::of_classes(of.path(), &[".txt"], Some(&chosen)).unwrap();
        assert_eq!(paths(&found)[0], ("pos/B.TXT", 0));
        assert!(found.expect(1).is_ok());
        assert_eq!(
            found.expect(2).unwrap_err().to_string(),
            format!(
                "{}: it has 1 class, `pos`, but class[2] takes 2",
                of.path().display()
            )
        );
        let found = Folder::of_files(of.path(), &[".md", ".txt"]).unwrap();
        assert_eq!(found.files.len(), 8);
    }

    #[test]
    fn a_folder_without_classes_or_files_is_refused() {
        let of = folder(&["a.txt", "class/a.md"]);
        let refused = |endings: &[&str], names: Option<&[String]>| {
            let error = Folder::of_classes(of.path(), endings, names).unwrap_err();
            error
                .to_string()
                .replace(&format!("{}: ", of.path().display()), "")
        };
        assert_eq!(refused(&[".txt"], None), "it has no .txt files");
        let names = ["clas".to_owned()];
        assert_eq!(
            refused(&[".md"], Some(&names)),
            "it has no folder `clas` (did you mean `class`?)"
        );
        let error = Folder::of_classes(&of.path().join("class"), &[".md"], None);
        assert_eq!(error.unwrap_err().code(), Code::E0946);
        let error = Folder::of_classes(&of.path().join("a.txt"), &[".md"], None);
        assert_eq!(error.unwrap_err().code(), Code::E0938);
    }
}
