use nnc::check::{Files, check_file};
use nnc::diag::render::{Style, render};
struct Disk;
impl Files for Disk {
    fn read(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|e| e.to_string())
    }
}
fn main() {
    let mut quiet = false;
    for path in std::env::args().skip(1) {
        if path == "-q" {
            quiet = true;
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let expected: Vec<&str> = text
            .lines()
            .next()
            .unwrap_or("")
            .trim_start_matches('#')
            .split_whitespace()
            .collect();
        let start = std::time::Instant::now();
        let r = check_file(&Disk, &path, &[]);
        let took = start.elapsed();
        let codes: Vec<&str> = r.diagnostics.iter().map(|d| d.code).collect();
        let ok = if codes == expected { "ok  " } else { "DIFF" };
        println!("#### {ok} {path} expected {expected:?} got {codes:?} {took:?}");
        if !quiet || codes != expected {
            println!("{}", render(&r.diagnostics, &r.map, Style::plain()));
        }
    }
}
