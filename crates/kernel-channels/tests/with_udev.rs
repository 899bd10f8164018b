// SPDX-License-Identifier: MIT OR Apache-2.0

//! Builds the feature `udev` and runs its tests, in `udev.rs`, in a sandbox where only they send
//! events. Where that cannot be done the test is ignored, and libtest cannot say so as it runs; so
//! this one has its own harness.

use std::env::consts::ARCH;
use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// What the sandbox is made of: a network of its own, whose root the tests are, and a `/run` of
/// their own.
const SANDBOX: [&str; 20] = [
    "bwrap",
    "--unshare-user",
    "--uid",
    "0",
    "--gid",
    "0",
    "--unshare-net",
    "--cap-add",
    "CAP_NET_ADMIN",
    "--dev-bind",
    "/",
    "/",
    "--proc",
    "/proc",
    "--tmpfs",
    "/run",
    "--dev",
    "/dev",
    "--die-with-parent",
    "--",
];

fn main() -> ExitCode {
    let name = "events_of_udevd_are_read_by_the_feature_udev";
    let test = || match library() {
        None => Ok(Completion::ignored_with("this PC has no libudev.so.1")),
        Some(_) if !has_sandbox() => Ok(Completion::ignored_with(
            "bubblewrap is missing, or may not make a sandbox",
        )),
        Some(library) => run(&library).map(|()| Completion::Completed),
    };
    let trials = vec![Trial::ignorable_test(name, test)];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// libudev as it is installed without what is needed to build with it: that is a link only.
fn library() -> Option<PathBuf> {
    let multiarch = format!("/usr/lib/{ARCH}-linux-gnu");
    [
        multiarch.as_str(),
        "/usr/lib64",
        "/usr/lib",
        "/lib64",
        "/lib",
    ]
    .iter()
    .map(|folder| Path::new(folder).join("libudev.so.1"))
    .find(|path| path.exists())
}

fn has_sandbox() -> bool {
    let tried = Command::new(SANDBOX[0])
        .args(&SANDBOX[1..])
        .arg("true")
        .output();
    tried.is_ok_and(|output| output.status.success())
}

fn run(library: &Path) -> Result<(), Failed> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libudev");
    std::fs::create_dir_all(&folder)?;
    let link = folder.join("libudev.so");
    if std::fs::read_link(&link).ok().as_deref() != Some(library) {
        let _ = std::fs::remove_file(&link);
        symlink(library, &link)?;
    }
    let output = cargo(&folder)?;
    let said = String::from_utf8_lossy(&output.stdout);
    let passed = said
        .lines()
        .any(|line| line.starts_with("test result: ok. 4 passed"));
    if output.status.success() && passed {
        return Ok(());
    }
    let error = String::from_utf8_lossy(&output.stderr);
    Err(format!("{said}\n{error}").into())
}

/// Builds and runs the tests. What libudev's build script would ask pkg-config is said here (the
/// Cargo Book, "Overriding Build Scripts").
fn cargo(folder: &Path) -> Result<Output, Failed> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let script = format!("target.{ARCH}-unknown-linux-gnu.libudev");
    // A list of texts is the same in TOML and as Rust shows it.
    let configurations = [
        format!("{script}.rustc-link-lib = [\"udev\"]"),
        format!("{script}.rustc-link-search = [{folder:?}]"),
        format!("target.'cfg(all())'.runner = {SANDBOX:?}"),
    ];
    let mut command = Command::new(cargo);
    command
        .args(["test", "--locked", "--package", "kernel-channels"])
        .args(["--features", "udev", "--test", "udev"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    for configuration in configurations {
        command.args(["--config", &configuration]);
    }
    Ok(command.output()?)
}
