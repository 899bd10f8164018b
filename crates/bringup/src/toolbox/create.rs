// SPDX-License-Identifier: MIT OR Apache-2.0

//! Makes the toolbox with mmdebstrap.

use std::path::{Path, PathBuf};
use std::process::Command;

use command_fds::{CommandFdExt as _, FdMapping};

use super::Toolbox;
use crate::cache::Cache;
use crate::exit::Exit;
use crate::external;
use crate::failure::{OrFail, Result};
use crate::lock::Lock;
use crate::progress::{Progress, Step};
use crate::stamp::Stamp;
use crate::{host, mirror};

/// The list of packages, with comments.
const PACKAGES: &str = include_str!("packages.txt");

/// The release that the toolbox is.
pub(crate) const SUITE: &str = "trixie";

/// About what a toolbox takes while it is made, in bytes.
const BYTES: u64 = 4 << 30;

/// Where mmdebstrap has the lock open, out of the way of what shells use.
const LOCK_FD: i32 = 100;

/// The root file system, within the entry.
const ROOT: &str = "root";

/// Grows when a toolbox is made differently from the same list.
const RECIPE: &str = "1";

/// What distinguishes this toolbox from others.
pub(crate) fn key() -> String {
    Stamp::default()
        .text(RECIPE)
        .text(SUITE)
        .text(&packages().join(" "))
        .key()
}

fn packages() -> Vec<&'static str> {
    let lines = PACKAGES.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

/// The toolbox, made if it is not in the cache yet.
pub(crate) fn ensure(cache: &Cache, lock: &Lock, progress: &Progress) -> Result<Toolbox> {
    let name = name();
    let entry = cache.entry(&name);
    if entry.is_dir() {
        return Ok(at(&entry));
    }
    let mirror = mirror::find()?;
    let step = progress.step("toolbox", "making it from Debian packages, about a minute")?;
    let entry = cache.make(&name, BYTES, |partial| {
        let root = partial.join(ROOT);
        bootstrap(partial, &root, &mirror, lock, &step)?;
        // A file to mount the PC's own over.
        let resolv = root.join("etc/resolv.conf");
        if !resolv.exists() {
            std::fs::write(&resolv, "").or_environment(|| "cannot write etc/resolv.conf")?;
        }
        external::output(at(partial).enter().program("rustc").arg("--version")).map(drop)
    })?;
    step.done("made");
    Ok(at(&entry))
}

/// The name of the toolbox's entry in the cache.
fn name() -> String {
    format!("toolbox-{}", key())
}

/// The toolbox's entry in the cache, whether it exists or not.
pub(crate) fn entry(cache: &Cache) -> PathBuf {
    cache.entry(&name())
}

/// Refuses to go on with a toolbox of which something is gone.
pub(crate) fn require_whole(cache: &Cache) -> Result<()> {
    let programs = ["cargo", "make", "rustc", "qemu-system-aarch64"];
    let files: Vec<_> = programs
        .iter()
        .map(|program| Path::new(ROOT).join("usr/bin").join(program))
        .collect();
    let files: Vec<_> = files.iter().map(PathBuf::as_path).collect();
    Cache::require_whole(&entry(cache), &files)
}

/// The toolbox of this entry of the cache.
pub(crate) fn at(entry: &Path) -> Toolbox {
    Toolbox::at(entry.join(ROOT))
}

fn bootstrap(partial: &Path, root: &Path, mirror: &str, lock: &Lock, step: &Step) -> Result<()> {
    let made = if host::is_root() {
        let mut command = mmdebstrap_as_root();
        command
            .env("TMPDIR", partial)
            .arg("--format=directory")
            .arg(root)
            .args(sources(mirror));
        external::run(&mut command, step, Exit::Environment)
    } else {
        bootstrap_as_user(root, mirror, lock, step)
    };
    made.map_err(|failure| {
        failure.help(format!(
            "the Debian mirror is {mirror}; BRINGUP_DEBIAN_MIRROR chooses another"
        ))
    })
}

/// An ordinary user's files cannot have other owners, so the root file system comes as a tar
/// archive from a user namespace and is unpacked as this user's own.
fn bootstrap_as_user(root: &Path, mirror: &str, lock: &Lock, step: &Step) -> Result<()> {
    std::fs::create_dir(root).or_environment(|| format!("cannot make {}", root.display()))?;
    let mut make = mmdebstrap_as_user(lock)?;
    make.arg("--format=tar").arg("-").args(sources(mirror));
    let mut unpack = Command::new("tar");
    // Device nodes can only be made by root; bubblewrap brings its own.
    unpack
        .args([
            "--extract",
            "--exclude=./dev/*",
            "--no-same-owner",
            "--directory",
        ])
        .arg(root);
    external::run_pipeline(&mut make, &mut unpack, step, Exit::Environment).map_err(|failure| {
        failure.help("`cargo bringup doctor` checks what an ordinary user needs for this")
    })
}

/// Begins root's command. mmdebstrap mounts file systems: in a sandbox that is otherwise the PC
/// itself, they and all its programs are gone when this process is, however it ends.
fn mmdebstrap_as_root() -> Command {
    let mut command = Command::new("bwrap");
    command.args(["--die-with-parent", "--unshare-pid", "--dev-bind", "/", "/"]);
    command.args(["--proc", "/proc", "--cap-add", "ALL", "--", "mmdebstrap"]);
    command.args(arguments("root"));
    command
}

/// Begins an ordinary user's command. It makes namespaces of its own, but does not end with this
/// process, so it keeps the lock as long as it runs.
fn mmdebstrap_as_user(lock: &Lock) -> Result<Command> {
    let mut command = Command::new("mmdebstrap");
    let inherited = FdMapping {
        parent_fd: lock.inheritable()?,
        child_fd: LOCK_FD,
    };
    command
        .args(arguments("unshare"))
        .fd_mappings(vec![inherited])
        .or_environment(|| "cannot hand on the cache's lock")?;
    Ok(command)
}

fn arguments(mode: &str) -> Vec<String> {
    vec![
        format!("--mode={mode}"),
        "--variant=apt".to_owned(),
        "--architectures=amd64,arm64".to_owned(),
        format!("--include={}", packages().join(",")),
        // Nobody reads manuals here; a third of the unpacking is saved.
        "--dpkgopt=path-exclude=/usr/share/doc/*".to_owned(),
        "--dpkgopt=path-exclude=/usr/share/man/*".to_owned(),
        "--dpkgopt=path-exclude=/usr/share/locale/*".to_owned(),
        "--aptopt=Acquire::Retries \"3\"".to_owned(),
        SUITE.to_owned(),
    ]
}

/// The lines of `sources.list`.
fn sources(mirror: &str) -> Vec<String> {
    ["", "-updates", "-backports"]
        .map(|suffix| format!("deb {mirror} {SUITE}{suffix} main"))
        .to_vec()
}
