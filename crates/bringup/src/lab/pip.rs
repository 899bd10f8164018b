// SPDX-License-Identifier: MIT OR Apache-2.0

//! pip, run by the toolbox's Python. Which index it asks is for the PC's own configuration to say.
//!
//! # References
//!
//! - <https://pip.pypa.io/en/stable/topics/configuration/> (files and environment)
//! - <https://pip.pypa.io/en/stable/reference/installation-report/>

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::lock::Wheel;
use crate::exit::Exit;
use crate::external;
use crate::failure::{Failure, OrFail, Result};
use crate::progress::Step;
use crate::toolbox::{Access, CERTIFICATES, OUTPUT, Toolbox, ToolboxCommand};

/// Where Debian's package of pip has it, within a folder of unpacked packages.
const WHEELS: &str = "usr/share/python-wheels";

/// Where that folder is mounted.
const PIP: &str = "/pip";

/// The user's own configuration, as pip finds it in the sandbox, and the PC's, in the place of an
/// older form of the former, which counts less.
const OWN: &str = "/tmp/.config/pip/pip.conf";
const OF_ALL: &str = "/tmp/.pip/pip.conf";

/// Where the certificates of pip's own setting are mounted.
const PIP_CERTIFICATES: &str = "/tmp/pip-certificates.pem";

/// pip, ready to write to a folder.
#[derive(Debug)]
pub(super) struct Pip<'a> {
    toolbox: &'a Toolbox,
    wheels: PathBuf,
    name: String,
    folder: &'a Path,
}

/// What pip would install, as far as it matters.
#[derive(Debug, Deserialize)]
struct Report {
    install: Vec<Installed>,
}

#[derive(Debug, Deserialize)]
struct Installed {
    metadata: Metadata,
    download_info: Download,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    name: String,
    version: String,
}

#[derive(Debug, Deserialize)]
struct Download {
    archive_info: Archive,
}

#[derive(Debug, Deserialize)]
struct Archive {
    hashes: std::collections::BTreeMap<String, String>,
}

impl<'a> Pip<'a> {
    /// The one among unpacked packages; it works in `folder`.
    pub(super) fn find(toolbox: &'a Toolbox, packages: &Path, folder: &'a Path) -> Result<Self> {
        let wheels = packages.join(WHEELS);
        let unreadable = || format!("cannot list {}", wheels.display());
        let entries = std::fs::read_dir(&wheels).or_environment(unreadable)?;
        let names = entries.flatten().map(|entry| entry.file_name());
        let mut names = names.map(|name| name.to_string_lossy().into_owned());
        let name = names.find(|name| name.starts_with("pip-"));
        let name = name.ok_or_else(|| {
            let what = format!("there is no pip in {}", wheels.display());
            Failure::new(Exit::Environment, what)
        })?;
        Ok(Self {
            toolbox,
            wheels,
            name,
            folder,
        })
    }

    /// The newest version of a distribution and of all that it needs, for the toolbox's Python.
    pub(super) fn newest(&self, name: &str, step: &Step) -> Result<Vec<Wheel>> {
        let mut command = self.command();
        command.args(["--dry-run", "--ignore-installed", "--report"]);
        command.arg(format!("{OUTPUT}/report.json")).arg(name);
        run(&mut command, step)?;
        let unreadable = || "cannot read what pip reports";
        let text = std::fs::read_to_string(self.folder.join("report.json"));
        let report = serde_json::from_str(&text.or_environment(unreadable)?);
        let report: Report = report.or_environment(unreadable)?;
        let mut wheels = Vec::new();
        for Installed {
            metadata: Metadata { name, version },
            download_info,
        } in report.install
        {
            let hash = download_info.archive_info.hashes.get("sha256");
            let sha256 = hash.cloned().ok_or_else(|| {
                let what = format!("the index tells no sha256 of {name} {version}");
                Failure::new(Exit::Environment, what)
            })?;
            wheels.push(Wheel {
                name,
                version,
                sha256,
            });
        }
        wheels.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(wheels)
    }

    /// Installs exactly these requirements, which name hashes.
    pub(super) fn install(&self, requirements: &str, step: &Step) -> Result<()> {
        let path = self.folder.join("requirements.txt");
        std::fs::write(&path, requirements)
            .or_environment(|| format!("cannot write {}", path.display()))?;
        let mut command = self.command();
        command.args(["--require-hashes", "--no-deps", "--requirement"]);
        command.arg(format!("{OUTPUT}/requirements.txt"));
        command.args(["--target", &format!("{OUTPUT}/{}", super::SITE)]);
        run(&mut command, step)
    }

    fn command(&self) -> Command {
        let sandbox = self.toolbox.enter().mount(&self.wheels, PIP, Access::Read);
        let sandbox = sandbox.mount(self.folder, OUTPUT, Access::Write);
        let sandbox = configured(sandbox).env("PYTHONPATH", format!("{PIP}/{}", self.name));
        let mut command = sandbox.program("python3");
        // Nothing is built here: what is not there as a wheel is an error.
        command.args(["-m", "pip", "install", "--only-binary", ":all:"]);
        command.args(["--disable-pip-version-check", "--no-input"]);
        command.args(["--root-user-action", "ignore"]);
        command
    }
}

fn run(command: &mut Command, step: &Step) -> Result<()> {
    external::run(command, step, Exit::Environment).map_err(|failure| {
        failure.help(
            "the index is the one of this PC's pip configuration; PIP_INDEX_URL names another",
        )
    })
}

/// pip's configuration as this PC has it: environment and files.
fn configured(sandbox: ToolboxCommand) -> ToolboxCommand {
    let mut sandbox = sandbox.env("PIP_CERT", CERTIFICATES);
    let settings = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        name.starts_with("PIP_").then_some((name, value))
    });
    for (name, value) in settings {
        let path = Path::new(&value);
        let is_there = path.is_absolute() && path.exists();
        sandbox = match name.as_str() {
            "PIP_CERT" if is_there => {
                let sandbox = sandbox.mount(path, PIP_CERTIFICATES, Access::Read);
                sandbox.env(&name, PIP_CERTIFICATES)
            }
            "PIP_CERT" => sandbox,
            // The sandbox has a folder for that, which goes with it.
            "PIP_CACHE_DIR" => sandbox,
            "PIP_CONFIG_FILE" | "PIP_FIND_LINKS" if is_there => {
                let sandbox = sandbox.mount_where_it_is(path, Access::Read);
                sandbox.env(&name, &value)
            }
            _ => sandbox.env(&name, &value),
        };
    }
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let in_home = |name: &str| home.as_ref().map(|home| home.join(name));
    let xdg = std::env::var_os("XDG_CONFIG_HOME").map(|xdg| Path::new(&xdg).join("pip/pip.conf"));
    let own = [
        xdg,
        in_home(".config/pip/pip.conf"),
        in_home(".pip/pip.conf"),
    ];
    let of_all = ["/etc/pip.conf", "/etc/xdg/pip/pip.conf"].map(|path| Some(path.into()));
    let places = [(OWN, own.to_vec()), (OF_ALL, of_all.to_vec())];
    for (place, files) in places {
        let found: Option<PathBuf> = files.into_iter().flatten().find(|path| path.is_file());
        if let Some(file) = found {
            sandbox = sandbox.mount(&file, place, Access::Read);
        }
    }
    sandbox
}
