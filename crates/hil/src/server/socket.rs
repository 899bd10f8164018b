// SPDX-License-Identifier: MIT OR Apache-2.0

//! Local sockets at paths of any length: `unix(7)` takes 107 bytes.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Listens at a path, which must not exist.
///
/// # Errors
///
/// What `bind(2)` returns.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    by_short_path(path, |short| UnixListener::bind(short))
}

/// Connects to who listens at a path.
///
/// # Errors
///
/// What `connect(2)` returns.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    by_short_path(path, |short| UnixStream::connect(short))
}

/// Removes a socket that nobody listens at any more; whether there is none now.
///
/// # Errors
///
/// When it cannot be removed.
pub fn remove_if_dead(path: &Path) -> io::Result<bool> {
    match connect(path) {
        Ok(_) => Ok(false),
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map(|()| true)
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(e) => Err(e),
    }
}

/// The writing end of a connection, which ends with it: whoever reads the same socket, on either
/// side, is told.
#[derive(Debug)]
pub(crate) struct Ending(UnixStream);

/// Both ends of a connection.
pub(crate) fn split(stream: UnixStream) -> io::Result<(UnixStream, Ending)> {
    Ok((stream.try_clone()?, Ending(stream)))
}

impl Write for Ending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        // The other side may have ended it.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// Does something by the folder's file descriptor, whose path is short.
fn by_short_path<T>(path: &Path, work: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let folder = File::open(folder)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
    work(&short.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_is_no_obstacle_and_a_dead_socket_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("x".repeat(120));
        fs::create_dir(&deep).unwrap();
        let path = deep.join("bench.socket");
        assert!(remove_if_dead(&path).unwrap(), "there is none");
        let listener = listen(&path).unwrap();
        connect(&path).unwrap();
        assert!(!remove_if_dead(&path).unwrap(), "somebody listens");
        drop(listener);
        assert!(remove_if_dead(&path).unwrap());
        assert!(!path.exists());
    }
}
