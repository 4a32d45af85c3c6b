//! Where the files that a program names are.

use std::path::{Path, PathBuf};

/// Where data files are looked for.
#[derive(Clone, Debug)]
pub struct Places {
    /// The folder of the program.
    pub program: PathBuf,
    /// `--data`, which replaces it.
    pub asked: Option<PathBuf>,
}

impl Places {
    /// Where a file named in the program is.
    pub fn find(&self, path: &str) -> PathBuf {
        let Some(folder) = &self.asked else {
            return self.program.join(path);
        };
        let whole = folder.join(path);
        let name = Path::new(path).file_name().unwrap_or_default();
        let gz = |p: &Path| {
            let mut name = p.as_os_str().to_owned();
            name.push(".gz");
            PathBuf::from(name)
        };
        let there = |p: &Path| p.exists() || gz(p).exists() || p.with_extension("").is_file();
        let short = folder.join(name);
        if !there(&whole) && there(&short) {
            short
        } else {
            whole
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_data_folder_is_searched_by_path_and_then_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut places = Places {
            program: folder.path().to_owned(),
            asked: None,
        };
        std::fs::write(folder.path().join("one.csv"), "").unwrap();
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        std::fs::write(folder.path().join("sub/deep.csv.gz"), "").unwrap();
        places.asked = Some(folder.path().to_owned());
        let find = |p: &str| {
            places
                .find(p)
                .strip_prefix(folder.path())
                .unwrap()
                .to_owned()
        };
        assert_eq!(find("sub/deep.csv"), Path::new("sub/deep.csv"));
        assert_eq!(find("data/one.csv"), Path::new("one.csv"));
        assert_eq!(find("data/absent.csv"), Path::new("data/absent.csv"));
    }
}
