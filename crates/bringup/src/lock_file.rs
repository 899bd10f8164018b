// SPDX-License-Identifier: MIT OR Apache-2.0

//! Files that name packages to the byte: how they are read and written.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};

/// Reads a lock file. `fault` says what is wrong with it, if anything is; `help` how a new one comes
/// about.
pub(crate) fn read<T: DeserializeOwned>(
    path: &Path,
    help: &str,
    fault: impl FnOnce(&T) -> Option<String>,
) -> Result<T> {
    let read = || {
        let text = std::fs::read_to_string(path)
            .or_fail(Exit::Refused, || format!("cannot read {}", path.display()))?;
        let lock: T = toml::from_str(&text).or_fail(Exit::Refused, || {
            format!("cannot understand {}", path.display())
        })?;
        match fault(&lock) {
            None => Ok(lock),
            Some(fault) => {
                let what = format!("{}: {fault}", path.display());
                Err(Failure::new(Exit::Refused, what))
            }
        }
    };
    read().map_err(|failure: Failure| failure.help(help))
}

/// Writes a lock file, whole or not at all.
pub(crate) fn write(path: &Path, header: &str, lock: &impl Serialize) -> Result<()> {
    let unwritable = || format!("cannot write {}", path.display());
    let text = toml::to_string(lock).or_environment(unwritable)?;
    let partial = path.with_extension("lock.partial");
    std::fs::write(&partial, format!("{header}{text}")).or_environment(unwritable)?;
    std::fs::rename(&partial, path).or_environment(unwritable)
}
