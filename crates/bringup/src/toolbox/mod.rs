// SPDX-License-Identifier: MIT OR Apache-2.0

//! The toolbox: a Debian root file system that holds every tool, the same on every PC.
//!
//! It is a plain folder in the cache. Programs in it run under bubblewrap, for root and for an
//! ordinary user alike: read-only, with a few folders of the PC mounted at fixed places. Because
//! the places are fixed, what is built does not depend on where the checkout or the cache lie.
//!
//! # References
//!
//! - `bwrap(1)`, `mmdebstrap(1)`

mod create;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) use create::{SUITE, at, ensure, entry, key, require_whole};

/// Where the checkout is mounted, read-only.
pub(crate) const SOURCE: &str = "/src";
/// Where this checkout's output folder is mounted.
pub(crate) const OUTPUT: &str = "/out";
/// Where the kernel's folder is mounted.
pub(crate) const KERNEL: &str = "/kernel";
/// Where cargo keeps its registry.
pub(crate) const CARGO: &str = "/cargo";
/// Where apt keeps its lists and downloads.
pub(crate) const ARCHIVE: &str = "/archive";

/// Where programs in the toolbox find others.
pub(crate) const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Settings of the PC that programs in the toolbox see too.
const PASSED: [&str; 8] = [
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "TERM",
    "NO_COLOR",
];

/// The certificates that the PC trusts, which may include a company's own.
pub(crate) const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A toolbox that has been made.
#[derive(Clone, Debug)]
pub(crate) struct Toolbox {
    root: PathBuf,
    /// The program that runs others in it, and its first arguments.
    sandbox: Vec<OsString>,
}

/// How a folder of the PC is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// A command to be run in the toolbox.
#[derive(Debug)]
pub(crate) struct ToolboxCommand {
    sandbox: Vec<OsString>,
    options: Vec<OsString>,
}

impl Toolbox {
    /// Its folder for what packages keep, among it the list of what is installed.
    pub(crate) fn state(&self) -> PathBuf {
        self.root.join("var")
    }

    /// The toolbox in this folder.
    pub(crate) fn at(root: PathBuf) -> Self {
        let sandbox = vec!["bwrap".into()];
        Self { root, sandbox }
    }

    /// A toolbox without content, whose sandbox is a shell script.
    #[cfg(test)]
    pub(crate) fn played_by(script: &Path, root: PathBuf) -> Self {
        let sandbox = vec!["sh".into(), script.into()];
        Self { root, sandbox }
    }

    /// Begins a command that sees nothing but the toolbox.
    pub(crate) fn enter(&self) -> ToolboxCommand {
        let mut command = ToolboxCommand {
            sandbox: self.sandbox.clone(),
            options: Vec::new(),
        };
        command.options([
            // Ends with this process, so nothing is left running after Ctrl-C.
            "--die-with-parent",
            "--clearenv",
        ]);
        // The top folder is an empty one, in which any mount point can be made.
        let mut command = command
            .mount(&self.root.join("usr"), "/usr", Access::Read)
            .mount(&self.root.join("etc"), "/etc", Access::Read);
        for name in ["bin", "sbin", "lib", "lib64"] {
            command.options(["--symlink", &format!("usr/{name}"), &format!("/{name}")]);
        }
        command.options(["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]);
        command.options(["--ro-bind-try", "/etc/resolv.conf", "/etc/resolv.conf"]);
        let certificates = std::env::var_os("SSL_CERT_FILE").unwrap_or(CERTIFICATES.into());
        command.options([
            OsStr::new("--ro-bind-try"),
            &certificates,
            OsStr::new(CERTIFICATES),
        ]);
        let mut command = command
            .env("PATH", PATH)
            .env("HOME", "/tmp")
            .env("LANG", "C.UTF-8")
            .env("CARGO_HTTP_CAINFO", CERTIFICATES);
        for name in PASSED {
            if let Some(value) = std::env::var_os(name) {
                command = command.env(name, value);
            }
        }
        command
    }
}

impl ToolboxCommand {
    fn options<T: Into<OsString>>(&mut self, options: impl IntoIterator<Item = T>) {
        self.options.extend(options.into_iter().map(Into::into));
    }

    /// Mounts a folder of the PC.
    pub(crate) fn mount(mut self, folder: &Path, at: &str, access: Access) -> Self {
        let option = match access {
            Access::Read => "--ro-bind",
            Access::Write => "--bind",
        };
        self.options([OsStr::new(option), folder.as_os_str(), OsStr::new(at)]);
        self
    }

    /// Mounts a folder of the PC at its own place.
    pub(crate) fn mount_where_it_is(self, folder: &Path, access: Access) -> Self {
        self.mount(folder, &folder.to_string_lossy(), access)
    }

    /// Brings a device of the PC along.
    pub(crate) fn device(mut self, device: &Path, at: &str) -> Self {
        let words = [OsStr::new("--dev-bind"), device.as_os_str(), OsStr::new(at)];
        self.options(words);
        self
    }

    /// Forgets the PC's proxies: all that it talks to is on this PC.
    pub(crate) fn local(mut self) -> Self {
        let is_proxy = |name: &OsStr| {
            let name = name.to_string_lossy();
            name.to_lowercase().ends_with("_proxy")
        };
        let mut kept = Vec::new();
        let mut options = std::mem::take(&mut self.options).into_iter();
        while let Some(option) = options.next() {
            if option != "--setenv" {
                kept.push(option);
                continue;
            }
            let setting: Vec<_> = options.by_ref().take(2).collect();
            if !setting.first().is_some_and(|name| is_proxy(name)) {
                kept.push(option);
                kept.extend(setting);
            }
        }
        self.options = kept;
        self
    }

    /// Keeps to itself: whatever it starts ends with it.
    pub(crate) fn alone(mut self) -> Self {
        self.options(["--unshare-pid"]);
        self
    }

    /// Hides a folder of the toolbox behind an empty one, in which mount points can be made.
    pub(crate) fn empty(mut self, at: &str) -> Self {
        self.options(["--tmpfs", at]);
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.options([OsStr::new("--setenv"), OsStr::new(name), value.as_ref()]);
        self
    }

    /// Starts in this folder of the toolbox.
    pub(crate) fn folder(mut self, path: &str) -> Self {
        self.options(["--chdir", path]);
        self
    }

    /// The finished command; its arguments are added by the caller.
    pub(crate) fn program(self, name: &str) -> Command {
        let mut sandbox = self.sandbox.into_iter();
        let mut command = Command::new(sandbox.next().unwrap_or_default());
        command.args(sandbox).args(self.options).arg("--").arg(name);
        command
    }
}
