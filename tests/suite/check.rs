//! The checker over the models that ship and over the library.

use nnc::check::{Files, check_file};

struct Disk;

impl Files for Disk {
    fn read(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|e| e.to_string())
    }
}

#[test]
fn every_model_checks_without_a_word() {
    let mut count = 0;
    for entry in std::fs::read_dir("models").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "nn") {
            let report = check_file(&Disk, path.to_str().unwrap(), &[]);
            for d in &report.diagnostics {
                println!("{}: {d:#?}", path.display());
            }
            assert!(report.checked.is_some(), "{}", path.display());
            assert!(report.diagnostics.is_empty(), "{}", path.display());
            count += 1;
        }
    }
    assert!(count >= 3);
}
