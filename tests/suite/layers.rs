//! The pipeline order of ARCHITECTURE.md: a module uses only those above it.

use std::path::{Path, PathBuf};

/// From the first to the last of the pipeline.
const ORDER: [&str; 14] = [
    "span", "bytes", "random", "diag", "syntax", "library", "ir", "spec", "check", "passes",
    "backend", "data", "train", "cli",
];

#[test]
fn modules_use_only_those_above_them() {
    let mut wrong = Vec::new();
    let mut files = 0;
    for (row, module) in ORDER.iter().enumerate() {
        for path in sources(module) {
            let text = std::fs::read_to_string(&path).unwrap();
            for (number, line) in text.lines().enumerate() {
                if line.trim_start().starts_with("//") {
                    continue;
                }
                for used in line.split("crate::").skip(1) {
                    let name: String = used
                        .chars()
                        .take_while(|c| c.is_alphanumeric() || *c == '_')
                        .collect();
                    let at = ORDER.iter().position(|m| *m == name);
                    if at.is_some_and(|at| at > row) {
                        wrong.push(format!("{}:{}: {line}", path.display(), number + 1));
                    }
                }
            }
            files += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(files > 50);
}

#[test]
fn the_compiler_proper_touches_no_file_clock_or_device() {
    let forbidden = [
        "std::fs",
        "std::time",
        "std::env",
        "std::net",
        "std::process",
    ];
    let mut wrong = Vec::new();
    for module in ["syntax", "ir", "spec", "check", "passes"] {
        for path in sources(module) {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            for word in forbidden {
                if code.contains(word) {
                    wrong.push(format!("{}: {word}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_has_its_place_in_the_order() {
    let text = std::fs::read_to_string("src/lib.rs").unwrap();
    let declared: Vec<&str> = text
        .lines()
        .filter_map(|l| l.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    let mut expected = ORDER.to_vec();
    expected.sort_unstable();
    assert_eq!(declared, expected);
}

fn sources(module: &str) -> Vec<PathBuf> {
    let file = PathBuf::from(format!("src/{module}.rs"));
    if file.exists() {
        return vec![file];
    }
    let mut found = Vec::new();
    let mut folders = vec![Path::new("src").join(module)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found
}

/// What each room of the compiling back ends may use of the others.
const BACKEND_ROOMS: [(&str, &[&str]); 5] = [
    ("fusion", &[]),
    ("cpu::machine", &[]),
    ("cpu::kernels", &["fusion", "cpu::machine"]),
    ("cpu::codegen", &["fusion", "cpu::machine"]),
    ("cpu::schedule", &["fusion", "cpu::machine", "cpu::kernels"]),
];

#[test]
fn rooms_of_the_back_end_use_only_those_below_them() {
    let mut wrong = Vec::new();
    let mut uses = 0;
    for (room, allowed) in BACKEND_ROOMS {
        for path in sources(&format!("backend/{}", room.replace("::", "/"))) {
            let text = std::fs::read_to_string(&path).unwrap();
            for line in text.lines().filter(|l| !l.trim_start().starts_with("//")) {
                for used in line.split("crate::backend::").skip(1) {
                    uses += 1;
                    let within = |room: &str| {
                        let rest = used.strip_prefix(room);
                        rest.is_some_and(|rest| rest.starts_with("::"))
                    };
                    if !within(room) && !allowed.iter().any(|room| within(room)) {
                        wrong.push(format!("{}: {line}", path.display()));
                    }
                }
                if line.contains("super::super") {
                    wrong.push(format!("{}: {line}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(uses > 50, "{uses}");
}
