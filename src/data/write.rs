//! Files that appear whole or not at all: written beside their final name, then renamed.

use super::error::DataError;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

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

/// Has `write` fill a temporary file in `path`'s folder, which then takes `path`'s place.
pub fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> Result<(), DataError> {
    let folder = folder_of(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".nnc-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // as any new file; a temporary one would be its owner's alone
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let temporary = builder
        .tempfile_in(folder)
        .map_err(|e| DataError::io(path, "create a file beside it", &e))?;
    let mut out = BufWriter::with_capacity(1 << 20, temporary.as_file());
    let written = write(&mut out).and_then(|()| out.flush());
    drop(out);
    written.map_err(|e| DataError::io(path, "write the file", &e))?;
    temporary
        .persist(path)
        .map_err(|e| DataError::io(path, "write the file", &e.error))?;
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}
