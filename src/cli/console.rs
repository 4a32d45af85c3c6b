//! Writing to stdout and stderr without dying of a closed pipe.

use std::io::{self, ErrorKind, Write};

/// A line for people, on stderr. Nothing is left to be done if it cannot be written.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A line on stdout. A reader that has gone away wants no more: that is not an error.
pub(super) fn line(text: &str) -> io::Result<()> {
    write(|out| writeln!(out, "{text}"))
}

/// Writes to stdout; a closed pipe is not an error.
pub(super) fn write(f: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = io::BufWriter::new(Stdout { closed: false });
    f(&mut out).and_then(|()| out.flush())
}

/// Takes everything and forgets it once nobody reads.
struct Stdout {
    closed: bool,
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.closed {
            match io::stdout().lock().write_all(bytes) {
                Err(e) if e.kind() == ErrorKind::BrokenPipe => self.closed = true,
                result => result?,
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match io::stdout().lock().flush() {
            Err(e) if e.kind() == ErrorKind::BrokenPipe => self.closed = true,
            result => result?,
        }
        Ok(())
    }
}

pub(super) use crate::plural::word;

/// Columns of the terminal that lines are laid out for.
pub(super) const WIDTH: usize = 80;

/// The items on one line if they fit, else on several, all but the first indented.
pub(super) fn wrapped(items: &[String], between: &str, indent: usize) -> String {
    let mut text = String::new();
    let mut column = 0;
    for (i, item) in items.iter().enumerate() {
        let after = if i + 1 < items.len() { between } else { "" };
        let seen = item.trim_end().chars().count() + after.trim_end().len();
        if i > 0 && column + seen > WIDTH {
            text.truncate(text.trim_end().len());
            text += "\n";
            text += &" ".repeat(indent);
            column = indent;
        }
        text += item;
        text += after;
        column += item.chars().count() + after.len();
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn long_lines_break_between_items() {
        let items = |n: usize| vec!["x".repeat(26); n];
        let fits = super::wrapped(&items(3), ",", 4);
        assert_eq!(fits, items(3).join(","));
        assert_eq!(fits.len(), super::WIDTH);
        let four = super::wrapped(&items(4), ", ", 4);
        let lines: Vec<&str> = four.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].ends_with("x,") && lines[1].starts_with("    x"));
        assert!(lines.iter().all(|l| l.len() <= super::WIDTH));
    }
}
