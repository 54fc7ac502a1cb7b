//! Files that are replaced whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Zones of a manager are nobody else's business before they are served.
pub const MODE: u32 = 0o600;

/// Where `path`'s next content is written first; a crash leaves it behind, the next write
/// overwrites it.
pub fn draft_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(".new");
    path.with_file_name(name)
}

/// Write a file anew: drafted, fsynced, renamed over `path`, its directory fsynced. When
/// anything fails `path` is as it was.
pub fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<()> {
    let draft = draft_of(path);
    let written = (|| {
        let file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(&draft)?;
        let mut buffered = BufWriter::with_capacity(1 << 18, file);
        write(&mut buffered)?;
        buffered.flush()?;
        buffered.get_ref().sync_all()?;
        fs::rename(&draft, path)?;
        sync_directory(path)
    })();
    written.map_err(|error| {
        // The draft may not even exist; the first error is the one to tell.
        drop(fs::remove_file(&draft));
        Error::io(path, &error)
    })
}

/// Make a rename or a removal in `path`'s directory last.
pub fn sync_directory(path: &Path) -> std::io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

/// A file's content; None when there is no such file.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(path, &error)),
    }
}
