// SPDX-License-Identifier: MIT OR Apache-2.0

//! Runs the DMA copy engine for an emulator that is started by hand.

#![expect(clippy::print_stderr, reason = "a program tells what it does")]

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use dmacopy_device::{model::Model, port};
use nix::sys::signal::{SigSet, Signal};

/// A PCI function that copies and fills memory, for QEMU's `vfio-user-pci`.
///
/// Serves one emulator after the other, until SIGINT or SIGTERM. The emulator needs its memory
/// shared, and the function's socket:
///
/// -object memory-backend-memfd,id=mem,size=1G,share=on -machine memory-backend=mem
/// -device '{"driver": "vfio-user-pci", "socket": {"type": "unix", "path": "PATH"}}'
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment)]
struct Options {
    /// Where the emulator connects.
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// Where faults are injected: lines of JSON, see DATASHEET.md.
    #[arg(long, value_name = "PATH")]
    faults: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dmacopy-device: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    let ends: SigSet = [Signal::SIGINT, Signal::SIGTERM].into_iter().collect();
    // Before any thread is there: they inherit it.
    ends.thread_block()?;
    let model = Arc::new(Model::start()?);
    let (_function, listener) = Bound::new(&options.socket)?;
    model.listen(listener)?;
    let faults = options.faults.as_deref().map(Bound::new).transpose()?;
    let _faults = match faults {
        Some((bound, listener)) => {
            port::listen(model.clone(), listener)?;
            Some(bound)
        }
        None => None,
    };
    eprintln!("dmacopy-device: waiting at {}", options.socket.display());
    ends.wait()?;
    Ok(())
}

/// A socket with a name, which it loses when this is dropped.
#[derive(Debug)]
struct Bound<'a>(&'a Path);

impl<'a> Bound<'a> {
    /// Takes the name. One that was left behind, by a process that was killed, is taken over.
    fn new(path: &'a Path) -> io::Result<(Self, UnixListener)> {
        let is_left = UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
        if is_left {
            std::fs::remove_file(path)?;
        }
        let failed = |error: io::Error| {
            let what = format!("cannot make the socket {}: {error}", path.display());
            io::Error::new(error.kind(), what)
        };
        let listener = UnixListener::bind(path).map_err(failed)?;
        Ok((Self(path), listener))
    }
}

impl Drop for Bound<'_> {
    fn drop(&mut self) {
        // Who has removed it was faster.
        let _ = std::fs::remove_file(self.0);
    }
}
