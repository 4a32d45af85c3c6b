//! The pipeline order of ARCHITECTURE.md: a module uses only those above it. Within the checker,
//! whose files share one type, the rooms have an order too, and calls of methods keep to it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// From the first to the last of the pipeline.
const ORDER: [&str; 15] = [
    "span", "bytes", "plural", "random", "diag", "syntax", "library", "ir", "spec", "check",
    "passes", "backend", "data", "train", "cli",
];

/// The rooms of the checker, the lowest first: folders and files under `src/check`. A file
/// belongs to the longest that it begins with.
const ROOMS: [&str; 17] = [
    "allow.rs",
    "elab/",
    "types/",
    "builtins/",
    "eval/",
    "data/",
    "data/fit/",
    "data/mod.rs",
    "train/",
    "sweep/",
    "unused.rs",
    "generic.rs",
    "trained.rs",
    "program.rs",
    "probe.rs",
    "fixes.rs",
    "mod.rs",
];

#[test]
fn modules_use_only_those_above_them() {
    let rank = |name: &str| ORDER.iter().position(|m| *m == name);
    let mut wrong = Vec::new();
    let mut files = 0;
    for (row, module) in ORDER.iter().enumerate() {
        for source in sources(module).iter().map(|p| Source::read(p)) {
            for (line, path) in source.paths() {
                let used = path.first().and_then(|name| rank(name));
                if used.is_some_and(|used| used > row) {
                    wrong.push(format!("{}:{line}: {}", source.file, path.join("::")));
                }
            }
            files += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(files > 50);
}

#[test]
fn rooms_of_the_checker_use_only_those_below_them() {
    let files: Vec<Source> = sources("check").iter().map(|p| Source::read(p)).collect();
    let wrong = upward(&files);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let methods: usize = files.iter().map(|f| f.methods().len()).sum();
    assert!(files.len() > 60 && methods > 400, "{methods} methods");
}

#[test]
fn every_way_to_use_a_room_above_is_found() {
    let source = |file: &str, text: &str| Source {
        file: file.into(),
        text: text.into(),
    };
    let above = "impl Elab<'_> {\n    pub fn feed(&mut self) {}\n}\n";
    let uses = [
        "use crate::{ir::Dim, check::data::feed::Feed};",
        "use super::super::{data::feed, elab::Elab};",
        "fn f() {\n    crate::check::data::feed::f();\n}",
        "impl Elab<'_> {\n    fn f(&mut self) {\n        self.feed();\n    }\n}",
        "impl Elab<'_> {\n    fn f(&mut self) {\n        self\n            .feed();\n    }\n}",
        "const T: &[B] = &[b(|el, a| el.feed(a))];",
    ];
    for text in uses {
        let files = [
            source("src/check/data/feed.rs", above),
            source("src/check/eval/call.rs", text),
        ];
        assert_eq!(upward(&files).len(), 1, "{text}");
        let files = [
            source("src/check/data/feed.rs", above),
            source("src/check/train/mod.rs", text),
        ];
        assert_eq!(upward(&files), [""; 0], "{text}");
    }
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

/// What of a room above the files of the checker use, by path or by calling a method of `Elab`.
fn upward(files: &[Source]) -> Vec<String> {
    let modules: Vec<(Vec<String>, &Source)> = files.iter().map(|f| (f.module(), f)).collect();
    // The file of the longest module that a path begins with.
    let target = |path: &[String]| {
        let begins = modules.iter().filter(|(m, _)| path.starts_with(m));
        begins.max_by_key(|(m, _)| m.len()).map(|(_, file)| *file)
    };
    let mut lowest: HashMap<String, &Source> = HashMap::new();
    for file in files {
        for method in file.methods() {
            let known = lowest.entry(method).or_insert(file);
            if file.room() < known.room() {
                *known = file;
            }
        }
    }
    let mut wrong = Vec::new();
    for file in files {
        for (line, path) in file.paths() {
            if let Some(used) = target(&path)
                && used.room() > file.room()
            {
                wrong.push(format!("{}:{line}: {}", file.file, path.join("::")));
            }
        }
        for (line, method) in file.calls() {
            let used = lowest.get(&method);
            if let Some(used) = used.filter(|used| used.room() > file.room()) {
                let place = format!("{}:{line}", file.file);
                wrong.push(format!("{place}: `{method}` of {}", used.file));
            }
        }
    }
    wrong
}

/// A source file of the crate.
struct Source {
    /// From the repository's root, with `/`.
    file: String,
    /// Without comments and tests: as many lines as the file has before them.
    text: String,
}

impl Source {
    fn read(path: &Path) -> Source {
        let text = std::fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let lines = code.lines().map(|l| match l.trim_start() {
            comment if comment.starts_with("//") => "",
            _ => l,
        });
        Source {
            file: path.to_string_lossy().replace('\\', "/"),
            text: lines.collect::<Vec<_>>().join("\n"),
        }
    }

    /// `["check", "data", "feed"]` of `src/check/data/feed.rs`.
    fn module(&self) -> Vec<String> {
        let path = self.file.trim_start_matches("src/").trim_end_matches(".rs");
        let parts = path.split('/').filter(|p| *p != "mod");
        parts.map(String::from).collect()
    }

    fn room(&self) -> usize {
        let path = self.file.trim_start_matches("src/check/");
        let fits = ROOMS.iter().enumerate();
        let fits = fits.filter(|(_, room)| path.starts_with(**room));
        let longest = fits.max_by_key(|(_, room)| room.len());
        longest.unwrap_or_else(|| panic!("{path} is in no room")).0
    }

    /// The paths that begin at the crate or at a parent, from the crate on, each with its line.
    fn paths(&self) -> Vec<(usize, Vec<String>)> {
        let mut found = Vec::new();
        for start in ["crate::", "super::"] {
            for (at, _) in self.text.match_indices(start) {
                let before = self.text[..at].chars().next_back();
                if before.is_some_and(|c| is_word(c) || c == ':') {
                    continue;
                }
                let line = self.text[..at].matches('\n').count() + 1;
                let mut all = Vec::new();
                expand(&mut self.text[at..].chars().peekable(), &[], &mut all);
                found.extend(all.into_iter().map(|p| (line, self.in_the_crate(p))));
            }
        }
        found
    }

    fn in_the_crate(&self, path: Vec<String>) -> Vec<String> {
        if path[0] == "crate" {
            return path[1..].to_vec();
        }
        let up = path.iter().take_while(|p| *p == "super").count();
        let mut whole = self.module();
        whole.truncate(whole.len().saturating_sub(up));
        whole.extend_from_slice(&path[up..]);
        whole
    }

    /// The methods that it defines on `Elab`.
    fn methods(&self) -> Vec<String> {
        let mut inside = false;
        let mut found = Vec::new();
        for line in self.text.lines() {
            match line {
                "}" => inside = false,
                l if l.starts_with("impl") => inside = l.contains(" Elab<"),
                _ => {}
            }
            let method = line.strip_prefix("    ").filter(|l| !l.starts_with(' '));
            let signature = method.and_then(|l| l.split_once("fn "));
            if let Some((_, rest)) = signature.filter(|_| inside) {
                found.push(rest.chars().take_while(|c| is_word(*c)).collect());
            }
        }
        found
    }

    /// The methods that it calls on an elaborator, each with its line.
    fn calls(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let mut inside = false;
        let mut at = 0;
        for (number, line) in self.text.lines().enumerate() {
            match line {
                "}" => inside = false,
                l if l.starts_with("impl") => inside = l.contains(" Elab<"),
                _ => {}
            }
            for receiver in ["self", "el", "own"] {
                for (column, _) in line.match_indices(receiver) {
                    let before = line[..column].chars().next_back();
                    let of_elab = receiver != "self" || inside;
                    if !of_elab || before.is_some_and(|c| is_word(c) || c == '.') {
                        continue;
                    }
                    let after = self.text[at + column + receiver.len()..].trim_start();
                    let Some(rest) = after.strip_prefix('.') else {
                        continue;
                    };
                    let name: String = rest.chars().take_while(|c| is_word(*c)).collect();
                    if rest[name.len()..].starts_with('(') {
                        found.push((number + 1, name));
                    }
                }
            }
            at += line.len() + 1;
        }
        found
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Reads `a::b`, `a::{b, c::d}` or `a as b`: every path that it stands for, after `prefix`.
fn expand(
    text: &mut std::iter::Peekable<std::str::Chars<'_>>,
    prefix: &[String],
    found: &mut Vec<Vec<String>>,
) {
    let mut path = prefix.to_vec();
    loop {
        let mut word = String::new();
        while let Some(c) = text.next_if(|c| is_word(*c) || *c == '*') {
            word.push(c);
        }
        if word.is_empty() {
            break;
        }
        path.push(word);
        if text.next_if_eq(&':').is_none() || text.next_if_eq(&':').is_none() {
            break;
        }
        if text.next_if_eq(&'{').is_some() {
            loop {
                while text.next_if(|c| c.is_whitespace() || *c == ',').is_some() {}
                if text.next_if_eq(&'}').is_some() || text.peek().is_none() {
                    return;
                }
                expand(text, &path, found);
                // ` as name`
                while text.next_if(|c| !matches!(c, ',' | '}')).is_some() {}
            }
        }
    }
    if path.len() > prefix.len() {
        found.push(path);
    }
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
const BACKEND_ROOMS: [(&str, &[&str]); 6] = [
    ("fusion", &[]),
    ("cpu::machine", &[]),
    ("cpu::kernels", &["fusion", "cpu::machine"]),
    ("cpu::codegen", &["fusion", "cpu::machine"]),
    ("schedule", &["fusion", "schedule"]),
    ("cuda", &["fusion", "schedule"]),
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
