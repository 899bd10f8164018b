// SPDX-License-Identifier: MIT OR Apache-2.0

//! The few packages that this PC itself must have. Everything else lives in the toolbox.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{AccessFlags, access};

use crate::exit::Exit;
use crate::external;
use crate::failure::{Failure, OrFail, Result};
use crate::progress::Progress;

/// A Debian package that is needed on the PC.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Requirement {
    /// Name of the package.
    pub(crate) package: &'static str,
    /// What it is needed for.
    pub(crate) why: &'static str,
    provides: Provides,
    /// Root can do it without.
    only_users: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Provides {
    Program(&'static str),
    File(&'static str),
}

const REQUIREMENTS: [Requirement; 4] = [
    Requirement {
        package: "mmdebstrap",
        why: "makes the toolbox from Debian packages",
        provides: Provides::Program("mmdebstrap"),
        only_users: false,
    },
    Requirement {
        package: "bubblewrap",
        why: "runs programs in the toolbox",
        provides: Provides::Program("bwrap"),
        only_users: false,
    },
    Requirement {
        package: "debian-archive-keyring",
        why: "proves that packages come from Debian",
        provides: Provides::File("/usr/share/keyrings/debian-archive-keyring.gpg"),
        only_users: false,
    },
    Requirement {
        package: "uidmap",
        why: "lets an ordinary user make the toolbox",
        provides: Provides::Program("newuidmap"),
        only_users: true,
    },
];

/// What only those need who reach a board by remote login.
const LOGIN: Requirement = Requirement {
    package: "openssh-client",
    why: "logs in on boards",
    provides: Provides::Program("ssh"),
    only_users: false,
};

/// The architecture that the toolbox is made for.
const ARCHITECTURE: &str = "x86_64";

/// Refuses to go on where the toolbox's programs could not run.
pub(crate) fn require_architecture() -> Result<()> {
    match std::env::consts::ARCH {
        ARCHITECTURE => Ok(()),
        other => Err(Failure::new(
            Exit::Environment,
            format!("the toolbox is made for {ARCHITECTURE}, and this PC is {other}"),
        )
        .help("run this on an x86-64 PC; the boards themselves are what is ARM here")),
    }
}

/// Whether this process is root's.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Whether a program is on the search path.
pub(crate) fn has_program(name: &str) -> bool {
    program(name).is_some()
}

/// Where a program is that this user can run.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // An ordinary user's path often lacks the folders of administrators' programs.
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(Into::into))
        .map(|folder| folder.join(name))
        .find(|program| access(program, AccessFlags::X_OK).is_ok())
}

/// The requirements that count for this user.
pub(crate) fn requirements() -> impl Iterator<Item = &'static Requirement> {
    REQUIREMENTS
        .iter()
        .filter(|requirement| !(requirement.only_users && is_root()))
}

impl Requirement {
    /// Whether it is there.
    pub(crate) fn is_met(&self) -> bool {
        match self.provides {
            Provides::Program(name) => has_program(name),
            Provides::File(path) => Path::new(path).is_file(),
        }
    }
}

/// The command that installs these packages, as a person would type it.
pub(crate) fn install_command(packages: &[&str]) -> String {
    let sudo = if is_root() { "" } else { "sudo " };
    format!(
        "{sudo}apt-get install --no-install-recommends {}",
        packages.join(" ")
    )
}

/// Installs what is missing: as root at once, otherwise with sudo after asking.
pub(crate) fn install_missing(progress: &Progress, may_install: bool) -> Result<()> {
    install(requirements(), progress, may_install)
}

/// Installs what remote logins need, if it is missing, in the same way.
pub(crate) fn install_for_logins(progress: &Progress, may_install: bool) -> Result<()> {
    install([&LOGIN].into_iter(), progress, may_install)
}

fn install(
    requirements: impl Iterator<Item = &'static Requirement>,
    progress: &Progress,
    may_install: bool,
) -> Result<()> {
    let missing: Vec<_> = requirements.filter(|r| !r.is_met()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing
        .iter()
        .map(|requirement| requirement.package)
        .collect();
    let needed = || {
        let lines = missing.iter().map(|r| format!("{}: {}", r.package, r.why));
        Failure::new(
            Exit::Environment,
            format!("this PC lacks {}", packages.join(", ")),
        )
        .evidence(lines)
        .help(install_command(&packages))
    };
    if !has_program("apt-get") {
        return Err(needed().help("this is no Debian system: install what corresponds to them"));
    }
    if !may_install || !(is_root() || agreed(&install_command(&packages))?) {
        return Err(needed());
    }
    let step = progress.step("packages", &format!("installing {}", packages.join(", ")))?;
    let install = || apt_get(&["install", "--yes", "--no-install-recommends"], &packages);
    if external::run(&mut install(), &step, Exit::Environment).is_err() {
        // A new machine knows no packages before its first update.
        external::run(&mut apt_get(&["update"], &[]), &step, Exit::Environment)?;
        external::run(&mut install(), &step, Exit::Environment)?;
    }
    step.done(&format!("{} installed", packages.join(", ")));
    Ok(())
}

fn apt_get(arguments: &[&str], packages: &[&str]) -> Command {
    let mut command = if is_root() {
        Command::new("apt-get")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.arg("apt-get");
        sudo
    };
    command
        .args(arguments)
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// Asks; without a terminal the answer is no.
fn agreed(command: &str) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    anstream::eprint!("Run `{command}` now? [y/N] ");
    std::io::stderr()
        .flush()
        .or_environment(|| "cannot write to the terminal")?;
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .or_environment(|| "cannot read from the terminal")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
