// SPDX-License-Identifier: MIT OR Apache-2.0

//! A running function: one thread executes, one serves emulators, one after the other.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use libc::O_PATH;
use vfio_user::Server;

use crate::backend::{Backend, interrupts, regions};
use crate::device::{Device, State};
use crate::engine::Next;
use crate::faults::Command;

/// The function, and the thread that waits for a change of it.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    device: Mutex<Device>,
    changed: Condvar,
    /// Changed and read with the function locked.
    has_ended: AtomicBool,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Device> {
        // A panic elsewhere leaves each register whole.
        self.device.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something that the engine may be waiting for.
    pub(crate) fn change<T>(&self, how: impl FnOnce(&mut Device) -> T) -> T {
        let result = how(&mut self.lock());
        self.changed.notify_one();
        result
    }

    /// Executes until the end.
    fn execute(&self) {
        let mut device = self.lock();
        while !self.has_ended.load(Ordering::Relaxed) {
            let now = Instant::now();
            device = match device.step(now) {
                Next::Step => {
                    // Whoever accesses a register comes between two steps.
                    drop(device);
                    thread::yield_now();
                    self.lock()
                }
                Next::At(time) => {
                    let timeout = time.saturating_duration_since(now);
                    let waited = self.changed.wait_timeout(device, timeout);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                Next::Write => {
                    let waited = self.changed.wait(device);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    /// Serves emulators, one after the other, until the listener is shut down.
    fn serve(&self, server: &Server) {
        loop {
            let result = server.run(&mut Backend::new(self));
            let is_over = matches!(result, Err(vfio_user::Error::SocketAccept(_)));
            self.change(|device| {
                device.set_connected(false);
                if let Err(error) = result {
                    device.trouble(&error);
                }
            });
            if is_over {
                break;
            }
        }
    }
}

/// A running function, to which an emulator can connect. An emulator that is connected when this is
/// dropped finds a function that does not move any more.
#[derive(Debug)]
pub struct Model {
    shared: Arc<Shared>,
    engine: Option<JoinHandle<()>>,
    listeners: Mutex<Vec<UnixListener>>,
}

impl Model {
    /// Starts a function that nothing is connected with.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let model = shared.clone();
        let engine = thread::Builder::new().name("engine".to_owned());
        let engine = engine.spawn(move || model.execute())?;
        Ok(Self {
            shared,
            engine: Some(engine),
            listeners: Mutex::default(),
        })
    }

    /// Serves the emulators that connect with a socket, one after the other.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub fn listen(&self, listener: UnixListener) -> io::Result<()> {
        let ours = listener.try_clone()?;
        let is_resettable = true;
        let server = Server::from_owned_fd(listener.into(), is_resettable, interrupts(), regions());
        let shared = self.shared.clone();
        let bus = thread::Builder::new().name("bus".to_owned());
        bus.spawn(move || shared.serve(&server))?;
        let listeners = self.listeners.lock();
        let mut listeners = listeners.unwrap_or_else(PoisonError::into_inner);
        listeners.push(ours);
        Ok(())
    }

    /// A socket that emulators can connect with, which has no name any more. A process that
    /// inherits it as descriptor N connects with `/proc/self/fd/N`, as often as it likes.
    ///
    /// # Errors
    ///
    /// When none can be made.
    ///
    /// # References
    ///
    /// - `open(2)`, `O_PATH`
    pub fn socket(&self) -> io::Result<OwnedFd> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("function");
        self.listen(UnixListener::bind(&path)?)?;
        let mut options = File::options();
        let socket = options.read(true).custom_flags(O_PATH).open(&path)?;
        folder.close()?;
        Ok(socket.into())
    }

    /// Obeys the fault port, and tells the state.
    pub fn command(&self, command: &Command) -> State {
        self.shared.change(|device| device.command(command))
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        let listeners = self.listeners.get_mut();
        for listener in listeners.unwrap_or_else(PoisonError::into_inner) {
            // Who waits for a connection is told that there will be none.
            let _ = rustix::net::shutdown(listener, rustix::net::Shutdown::Both);
        }
        self.shared.change(|_| {
            self.shared.has_ended.store(true, Ordering::Relaxed);
        });
        // A thread that has panicked has ended, too.
        let _ = self.engine.take().map(JoinHandle::join);
    }
}
