//! Files that appear whole or not at all: written beside their final name, then renamed.

use super::error::DataError;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// As [`replace`], and on the disk when it returns: a machine that stops then has the new file.
pub fn replace_durably(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> Result<(), DataError> {
    replace(path, |out| {
        write(out)?;
        out.flush()?;
        out.get_ref().sync_all()
    })?;
    #[cfg(unix)]
    {
        // the new name is in the folder's own data
        let synced = File::open(folder_of(path)).and_then(|f| f.sync_all());
        synced.map_err(|e| DataError::io(path, "write the file", &e))?;
    }
    Ok(())
}

/// Has `write` fill a temporary file in `path`'s folder, which then takes `path`'s place
/// with the permissions of the file that was there.
pub fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> Result<(), DataError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".nnc-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // as any new file; a temporary one would be its owner's alone
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let temporary = builder
        .tempfile_in(folder_of(path))
        .map_err(|e| DataError::io(path, "create a file beside it", &e))?;
    if let Some(old) = path.symlink_metadata().ok().filter(|m| m.is_file()) {
        let kept = temporary.as_file().set_permissions(old.permissions());
        kept.map_err(|e| DataError::io(path, "keep the permissions of", &e))?;
    }
    filled(path, temporary.as_file(), write)?;
    temporary
        .persist(path)
        .map_err(|e| DataError::io(path, "write the file", &e.error))?;
    Ok(())
}

/// As [`replace`], for a path that people gave: of a link the file that it leads to is replaced,
/// and a pipe or a device is written to.
pub fn write_to(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> Result<(), DataError> {
    let device = path.metadata().is_ok_and(|m| !m.is_file() && !m.is_dir());
    match target(path)? {
        Some(file) if !device => replace(&file, write),
        _ => {
            let file = File::options().write(true).open(path);
            let file = file.map_err(|e| DataError::io(path, "open the file", &e))?;
            filled(path, &file, write)
        }
    }
}

fn filled(
    path: &Path,
    file: &File,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> Result<(), DataError> {
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let written = write(&mut out).and_then(|()| out.flush());
    written.map_err(|e| DataError::io(path, "write the file", &e))
}

/// Where a link leads, be there a file or not; any other path itself. None where only the system
/// can follow it, as `/dev/stdout`.
fn target(path: &Path) -> Result<Option<PathBuf>, DataError> {
    /// As many as the system follows.
    const MOST: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MOST {
        if !path.is_symlink() {
            return Ok(Some(path));
        }
        let next = path.read_link();
        let next = next.map_err(|e| DataError::io(&path, "read the link", &e))?;
        path = folder_of(&path).join(next);
        if path.starts_with("/proc") {
            return Ok(None);
        }
    }
    Ok(None)
}

fn folder_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileTypeExt, symlink};

    #[test]
    fn devices_stay_and_links_lead_to_what_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "old").unwrap();
        symlink("file", at("link")).unwrap();
        write_to(&at("link"), |out| out.write_all(b"new")).unwrap();
        assert!(at("link").is_symlink());
        assert_eq!(std::fs::read(at("file")).unwrap(), b"new");
        // the names of a run's folder are its own
        replace(&at("link"), |out| out.write_all(b"own")).unwrap();
        assert!(!at("link").is_symlink());
        assert_eq!(std::fs::read(at("file")).unwrap(), b"new");
        // a device by a name of ours: were it replaced, the machine would keep its own
        symlink("/dev/null", at("null")).unwrap();
        write_to(&at("null"), |out| out.write_all(b"gone")).unwrap();
        assert!(at("null").is_symlink());
        let kind = at("null").metadata().unwrap().file_type();
        assert!(kind.is_char_device());
    }

    #[test]
    fn a_pipe_is_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::read(pipe).unwrap()
        });
        write_to(&pipe, |out| out.write_all(b"rows")).unwrap();
        assert_eq!(reader.join().unwrap(), b"rows");
        assert!(pipe.metadata().unwrap().file_type().is_fifo());
    }
}
