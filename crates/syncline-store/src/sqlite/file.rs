//! The state file: there whole or not at all, and for its owner's eyes only, for it holds images of parked rows and values of conflicts.

use std::io::ErrorKind;
use std::path::Path;

use rusqlite::Connection;

use super::fault::Fault;

/// Makes the file, with the directories above it, where it is missing. It gets its name when its tables are in it: a file without
/// content was cut by somebody, and must not pass for a state in which nothing has happened yet.
pub(super) fn ensure(path: &Path) -> Result<(), Fault> {
    match std::fs::metadata(path) {
        Ok(found) if found.len() == 0 => {
            Err(Fault::Damaged("the file is empty: it was cut, or something else was put in its place".to_owned()))
        }
        Ok(_) => Ok(()),
        Err(e) if e.kind() == ErrorKind::NotFound => make(path),
        Err(e) => Err(e.into()),
    }
}

fn make(path: &Path) -> Result<(), Fault> {
    let directory = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_private(directory)?;
    let fresh = tempfile::Builder::new().prefix(".state-").suffix(".new").tempfile_in(directory)?;
    let connection = Connection::open(fresh.path())?;
    super::bring_up_to_date(&connection)?;
    // The log goes back into the file, which is then all there is.
    connection.close().map_err(|(_, e)| e)?;
    match fresh.persist_noclobber(path) {
        Err(e) if e.error.kind() != ErrorKind::AlreadyExists => Err(e.error.into()),
        // Another process was first; its file is as good.
        _ => Ok(()),
    }
}

fn make_private(directory: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}
