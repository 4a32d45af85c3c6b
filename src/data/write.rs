//! Files that appear whole or not at all: written beside their final name, then renamed.

use super::error::DataError;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Has `write` fill a temporary file in `path`'s folder, which then takes `path`'s place.
pub fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> Result<(), DataError> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
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
    written.map_err(|e| DataError::io(path, "write it", &e))?;
    temporary
        .persist(path)
        .map_err(|e| DataError::io(path, "write it", &e.error))?;
    Ok(())
}
