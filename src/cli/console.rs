//! Writing to stdout and stderr without dying of a closed pipe.

use std::io::{self, ErrorKind, Write};

/// A line for people, on stderr. Nothing is left to be done if it cannot be written.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A line on stdout. A reader that has gone away wants no more: that is not an error.
pub fn line(text: &str) -> io::Result<()> {
    write(|out| writeln!(out, "{text}"))
}

/// Writes to stdout; a closed pipe is not an error.
pub fn write(f: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
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
