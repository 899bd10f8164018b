// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup doctor`: what this PC has and lacks. It fetches nothing but what tells that the mirror
//! has the suites, and makes nothing but the cache's folder.

use std::process::Command;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::{print_json, print_line};
use crate::cache::{Cache, gibibytes};
use crate::cli::Json;
use crate::exit::Exit;
use crate::external;
use crate::failure::Result;
use crate::kernel::{Kernel, Lock, prepare};
use crate::repository::Repository;
use crate::toolbox::{self, Toolbox};
use crate::{archive, host, mirror};

/// What an empty cache grows to, with room for what is made on the way, in bytes.
const SPACE: u64 = 8 << 30;

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    /// What was looked at.
    what: String,
    state: State,
    /// What was found, or why it is a problem.
    why: String,
    /// The command that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// As it should be.
    Ok,
    /// The next command that needs it makes it.
    Later,
    /// Something must be done first.
    Problem,
}

#[derive(Serialize)]
struct Document {
    ok: bool,
    findings: Vec<Finding>,
}

impl Finding {
    fn new(what: impl Into<String>, state: State, why: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            state,
            why: why.into(),
            mend: None,
        }
    }

    fn mend(mut self, command: impl Into<String>) -> Self {
        self.mend = Some(command.into());
        self
    }
}

pub(super) fn run(options: &Json) -> Result<Exit> {
    let repository = Repository::find()?;
    let mut findings = vec![architecture()];
    findings.extend(host_packages());
    findings.push(sandbox());
    findings.extend(subordinate_ids());
    findings.push(debian_mirror(&repository)?);
    findings.extend(cache_and_contents(&repository)?);
    let ok = findings
        .iter()
        .all(|finding| finding.state != State::Problem);
    let exit = if ok { Exit::Ok } else { Exit::Environment };
    if options.json {
        print_json(&Document { ok, findings })?;
        return Ok(exit);
    }
    for finding in &findings {
        show(finding)?;
    }
    Ok(exit)
}

fn show(finding: &Finding) -> Result<()> {
    let (mark, colour) = match finding.state {
        State::Ok => ("ok", AnsiColor::Green),
        State::Later => ("later", AnsiColor::Yellow),
        State::Problem => ("PROBLEM", AnsiColor::Red),
    };
    let style = Style::new().fg_color(Some(colour.into()));
    print_line(&format!(
        "{style}{mark:7}{style:#} {}: {}",
        finding.what, finding.why
    ))?;
    if let Some(command) = &finding.mend {
        print_line(&format!("        {command}"))?;
    }
    Ok(())
}

fn architecture() -> Finding {
    match host::require_architecture() {
        Ok(()) => Finding::new("architecture", State::Ok, std::env::consts::ARCH),
        Err(failure) => Finding::new("architecture", State::Problem, failure.summary()),
    }
}

fn host_packages() -> Vec<Finding> {
    host::requirements()
        .map(|requirement| {
            let what = format!("package {}", requirement.package);
            if requirement.is_met() {
                Finding::new(what, State::Ok, requirement.why)
            } else {
                Finding::new(
                    what,
                    State::Problem,
                    format!("missing; it {}", requirement.why),
                )
                .mend(host::install_command(&[requirement.package]))
            }
        })
        .collect()
}

/// Some systems forbid what bubblewrap needs.
fn sandbox() -> Finding {
    let what = "sandbox";
    if !host::has_program("bwrap") {
        return Finding::new(what, State::Problem, "bubblewrap is missing")
            .mend(host::install_command(&["bubblewrap"]));
    }
    let mut trial = Command::new("bwrap");
    trial.args([
        "--ro-bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
        "true",
    ]);
    match external::output(&mut trial) {
        Ok(_) => Finding::new(what, State::Ok, "bubblewrap can run programs"),
        Err(failure) => {
            let finding = Finding::new(what, State::Problem, failure.summary());
            // Which of them forbids it depends on the distribution.
            let settings = [
                ("kernel/unprivileged_userns_clone", 1),
                ("kernel/apparmor_restrict_unprivileged_userns", 0),
            ];
            let known = settings
                .iter()
                .filter(|(name, _)| std::path::Path::new("/proc/sys").join(name).exists());
            let words: Vec<_> = known
                .map(|(name, value)| format!("{}={value}", name.replace('/', ".")))
                .collect();
            if words.is_empty() {
                finding
            } else {
                finding.mend(format!("sudo sysctl {}", words.join(" ")))
            }
        }
    }
}

/// An ordinary user makes the toolbox with a range of subordinate ids.
fn subordinate_ids() -> Option<Finding> {
    if host::is_root() {
        return None;
    }
    let what = "subordinate ids";
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid())
        .ok()
        .flatten()?;
    let (name, id) = (user.name, user.uid.to_string());
    let has_range = |file: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines().any(|line| {
            let mut fields = line.split(':');
            fields
                .next()
                .is_some_and(|owner| owner == name || owner == id)
                && fields
                    .nth(1)
                    .and_then(|count| count.parse().ok())
                    .is_some_and(|n: u32| n >= 65536)
        })
    };
    if has_range("/etc/subuid") && has_range("/etc/subgid") {
        return Some(Finding::new(what, State::Ok, format!("{name} has a range")));
    }
    Some(
        Finding::new(
            what,
            State::Problem,
            format!("{name} has no range of 65536 in /etc/subuid and /etc/subgid"),
        )
        .mend(format!(
            "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}"
        )),
    )
}

fn debian_mirror(repository: &Repository) -> Result<Finding> {
    let mirror = match mirror::find() {
        Ok(mirror) => mirror,
        Err(failure) => {
            let finding = Finding::new("mirror", State::Problem, failure.summary());
            let helps = failure.help_lines().first().into_iter();
            return Ok(helps.fold(finding, |f, help| f.mend(help.clone())));
        }
    };
    if !mirror::can_fetch() {
        let why = format!("{mirror}, which was not asked, because this PC has no apt");
        return Ok(Finding::new("mirror", State::Ok, why));
    }
    let mut suites = vec![toolbox::SUITE.to_owned()];
    // What is wrong with the lock file is a finding of its own.
    suites.extend(Lock::read(&repository.kernel_lock()).map(|lock| lock.suite));
    suites.dedup();
    mirror_finding(&mirror, &suites, |suite| {
        mirror::ask(&mirror, suite, mirror::fetch)
    })
}

fn mirror_finding(
    mirror: &str,
    suites: &[String],
    ask: impl Fn(&str) -> Result<std::result::Result<(), String>>,
) -> Result<Finding> {
    for suite in suites {
        if let Err(why) = ask(suite)? {
            let why = format!("{mirror} does not offer {suite}: {why}");
            // Which of the two it is, only a person can tell.
            let mend = "check the network and http_proxy, or \
                        export BRINGUP_DEBIAN_MIRROR=http://another.example/debian";
            return Ok(Finding::new("mirror", State::Problem, why).mend(mend));
        }
    }
    let why = format!("{mirror} offers {}", suites.join(" and "));
    Ok(Finding::new("mirror", State::Ok, why))
}

fn cache_and_contents(repository: &Repository) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let cache = match Cache::open() {
        Ok(cache) => cache,
        Err(failure) => {
            return Ok(vec![
                Finding::new("cache", State::Problem, failure.summary())
                    .mend("export BRINGUP_CACHE=/a/folder/of/yours"),
            ]);
        }
    };
    let place = cache.root().display().to_string();
    findings.push(Finding::new("cache", State::Ok, place.clone()));
    let toolbox_folder = toolbox::entry(&cache);
    let lock = Lock::read(&repository.kernel_lock());
    let kernel = lock
        .as_ref()
        .ok()
        .map(|lock| cache.entry(&prepare::entry_name(lock)));
    let is_full = toolbox_folder.is_dir() && kernel.as_ref().is_some_and(|path| path.is_dir());
    let free = cache.free_bytes()?;
    let needed = if is_full { SPACE / 8 } else { SPACE };
    let disk = format!("{} free in {place}", gibibytes(free));
    findings.push(if free >= needed {
        Finding::new("disk space", State::Ok, disk)
    } else {
        let why = format!("{disk}, {} are needed", gibibytes(needed));
        Finding::new("disk space", State::Problem, why)
            .mend("export BRINGUP_CACHE=/a/folder/on/a/larger/disk")
    });
    if host::has_program("bwrap") {
        findings.extend(toolbox_findings(
            &toolbox::at(&toolbox_folder),
            toolbox_folder.is_dir(),
        ));
    }
    match lock {
        Err(failure) => findings.push(
            Finding::new("kernel lock", State::Problem, failure.summary())
                .mend("cargo bringup kernel update"),
        ),
        Ok(lock) => {
            findings.push(Finding::new("kernel lock", State::Ok, lock.release.clone()));
            findings.push(kernel_finding(&cache, &lock));
        }
    }
    Ok(findings)
}

fn toolbox_findings(toolbox: &Toolbox, exists: bool) -> Vec<Finding> {
    if !exists {
        return vec![
            Finding::new(
                "toolbox",
                State::Later,
                "the first demo makes it, about a minute",
            ),
            Finding::new("QEMU", State::Later, "comes with the toolbox"),
        ];
    }
    [("toolbox", "rustc"), ("QEMU", "qemu-system-aarch64")]
        .map(|(what, program)| {
            match external::output(toolbox.enter().program(program).arg("--version")) {
                Ok(version) => {
                    let line = version.lines().next().unwrap_or_default().to_owned();
                    Finding::new(what, State::Ok, line)
                }
                Err(failure) => Finding::new(what, State::Problem, failure.summary())
                    .mend("cargo bringup clean --cache"),
            }
        })
        .into()
}

fn kernel_finding(cache: &Cache, lock: &Lock) -> Finding {
    let entry = cache.entry(&prepare::entry_name(lock));
    if entry.is_dir() {
        return match Kernel::at(entry, &lock.release).require_whole() {
            Ok(()) => Finding::new("kernel", State::Ok, "ready for modules"),
            Err(failure) => Finding::new("kernel", State::Problem, failure.summary())
                .mend("cargo bringup clean --cache"),
        };
    }
    match archive::all_cached(cache, &lock.packages) {
        Ok(true) => Finding::new(
            "kernel",
            State::Later,
            "fetched; the first demo makes it ready",
        ),
        Ok(false) => Finding::new("kernel", State::Later, "the first demo fetches it"),
        Err(failure) => {
            let finding = Finding::new("kernel", State::Problem, failure.summary());
            finding.mend("cargo bringup clean --cache")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_must_offer_every_suite() {
        let suites = ["trixie", "trixie-backports"].map(str::to_owned);
        let finding = |missing: &str| {
            let ask = |suite: &str| {
                let answer = if suite == missing {
                    Err("404  Not Found".into())
                } else {
                    Ok(())
                };
                Ok(answer)
            };
            mirror_finding("http://mirror.example/debian", &suites, ask).unwrap()
        };
        let good = finding("none");
        assert_eq!((good.state, good.mend), (State::Ok, None));
        assert!(
            good.why.contains("trixie and trixie-backports"),
            "{}",
            good.why
        );
        for suite in &suites {
            let bad = finding(suite);
            assert_eq!(bad.state, State::Problem);
            assert!(
                bad.why.contains(&format!("does not offer {suite}: 404")),
                "{}",
                bad.why
            );
            assert!(bad.mend.unwrap().contains("BRINGUP_DEBIAN_MIRROR"));
        }
    }
}
