//! Files that hold a secret: they are read only if nobody else can read them.

use std::{
    fs::{File, Metadata},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use crate::base::secret::Secret;

const OPEN_TO_OTHERS: &str = "others can read it or write to it: `chmod 600` it, or mount it readable \
    by its owner alone (by its group too, where the owner is root)";

/// Reads a file that holds a secret. One that others can read, or could have written, is refused as
/// [`io::ErrorKind::PermissionDenied`]; a file of root's may be readable by its group, as mounted
/// secrets are. A pipe has no rights that would say anything, and is read as it is.
pub fn read(path: &Path) -> io::Result<Secret<String>> {
    // The rights of what was opened, not of what has the name a moment later.
    let mut file = File::open(path)?;
    if is_open(&file.metadata()?) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, OPEN_TO_OTHERS));
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(Secret::new(text))
}

fn is_open(file: &Metadata) -> bool {
    file.is_file() && are_open(file.mode(), file.uid())
}

/// Whether these rights let somebody else in.
const fn are_open(mode: u32, owner: u32) -> bool {
    let not_for = if owner == 0 { 0o037 } else { 0o077 };
    mode & not_for != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_reads_a_secret_and_roots_group() {
        for (mode, owner, open) in [
            (0o100_600, 1_000, false),
            (0o100_400, 1_000, false),
            (0o100_700, 1_000, false),
            (0o100_640, 1_000, true),
            (0o100_604, 1_000, true),
            (0o100_620, 1_000, true),
            (0o100_602, 1_000, true),
            (0o100_640, 0, false),
            (0o100_440, 0, false),
            (0o100_644, 0, true),
            (0o100_660, 0, true),
        ] {
            assert_eq!(are_open(mode, owner), open, "{mode:o} of {owner}");
        }
    }
}
