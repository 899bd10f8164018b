// SPDX-License-Identifier: MIT OR Apache-2.0

//! How the board was when the agent had started, and how to make it so again.
//!
//! What a run leaves behind must not decide the next one's result: processes, mounts, modules,
//! nodes in `/dev`, files in the temporary folders. What cannot be undone is told, so that the
//! bench restarts the board.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use agent_wire::{Module, Plan};
use anyhow::bail;
use nix::mount::{MntFlags, umount2};

use super::{modules, processes};

/// Where the kit itself keeps what it has brought: it stays.
pub(super) const KIT: &str = "/run/bringup";

/// Folders that hold what programs leave for a while.
const TEMPORARY: [&str; 2] = ["/tmp", "/run"];

/// How the board was.
#[derive(Clone, Debug)]
pub(super) struct Baseline {
    plan: Plan,
    /// Whether the agent is the first program, so that all else descends from it.
    owns_board: bool,
    /// The processes of the plan's services.
    services: Vec<i32>,
    mounts: BTreeSet<PathBuf>,
    modules: BTreeSet<String>,
    nodes: BTreeSet<PathBuf>,
    files: BTreeSet<PathBuf>,
}

/// What was found and what was done about it, one sentence each.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) done: Vec<String>,
    pub(super) left: Vec<String>,
}

impl Report {
    fn take(&mut self, what: String, result: anyhow::Result<()>) {
        match result {
            Ok(()) => self.done.push(what),
            Err(error) => self.left.push(format!("{what}: {error:#}")),
        }
    }
}

impl Baseline {
    /// How the board is now.
    pub(super) fn now(plan: Plan, services: Vec<i32>) -> Self {
        Self {
            plan,
            owns_board: std::process::id() == 1,
            services,
            mounts: mounts().into_iter().collect(),
            modules: modules::loaded().into_iter().collect(),
            nodes: nodes(Path::new("/dev")).into_iter().collect(),
            files: TEMPORARY.iter().flat_map(|f| entries(f.as_ref())).collect(),
        }
    }

    /// Other modules are under test from now on: they belong to the board when it is as it was.
    pub(super) fn put_under_test(&mut self, paths: Vec<String>) {
        self.plan.modules.retain(|module| !module.is_under_test);
        for path in paths {
            self.modules.insert(modules::name(path.as_ref()));
            self.plan.modules.push(Module {
                path,
                is_under_test: true,
            });
        }
    }

    /// Loads the modules under test anew.
    pub(super) fn load_under_test(&self) -> anyhow::Result<()> {
        let mut report = Report::default();
        self.modules(true, &mut report);
        match report.left.as_slice() {
            [] => Ok(()),
            left => bail!("{}", left.join("; ")),
        }
    }

    /// Makes the board as it was, as far as it is the agent's: on a board with a system of its own
    /// that is what descends from the agent, and the modules under test.
    pub(super) fn restore(&self, reload_modules: bool) -> Report {
        let mut report = Report::default();
        self.kill(&mut report);
        if self.owns_board {
            self.unmount(&mut report);
        }
        self.modules(reload_modules, &mut report);
        if self.owns_board {
            self.remove_nodes(&mut report);
            self.remove_files(&mut report);
        }
        report
    }

    /// Ends all processes but the services.
    fn kill(&self, report: &mut Report) {
        let (killed, left) = processes::kill_all_but(&self.services);
        let named = |p: &processes::Process| format!("process {} ({})", p.pid, p.name);
        let done = killed.iter().filter(|process| !left.contains(process));
        report
            .done
            .extend(done.map(|p| format!("{} was killed", named(p))));
        let left = left.iter();
        report
            .left
            .extend(left.map(|p| format!("{} does not end", named(p))));
    }

    fn unmount(&self, report: &mut Report) {
        // The latest first: it may be mounted in an earlier one.
        for point in mounts().into_iter().rev() {
            if !self.mounts.contains(&point) {
                let result = umount2(&point, MntFlags::empty()).map_err(Into::into);
                report.take(format!("{} was mounted", point.display()), result);
            }
        }
    }

    fn modules(&self, reload: bool, report: &mut Report) {
        let under_test = |name: &String| {
            let mut modules = self.plan.modules.iter();
            modules.any(|m| m.is_under_test && modules::name(m.path.as_ref()) == *name)
        };
        // The latest first: it may use an earlier one.
        for name in modules::loaded() {
            // A system of its own loads what it wants.
            let is_new = self.owns_board && !self.modules.contains(&name);
            if is_new || (reload && under_test(&name)) {
                let result = modules::unload_in_time(&name);
                if is_new || result.is_err() {
                    report.take(format!("module {name} was loaded"), result);
                }
            }
        }
        let loaded: BTreeSet<_> = modules::loaded().into_iter().collect();
        for module in &self.plan.modules {
            let name = modules::name(module.path.as_ref());
            if self.modules.contains(&name) && !loaded.contains(&name) {
                let result = modules::load_in_time(module.path.as_ref(), "");
                if !module.is_under_test || result.is_err() {
                    report.take(format!("module {name} was not loaded"), result);
                }
            }
        }
    }

    fn remove_nodes(&self, report: &mut Report) {
        for node in nodes(Path::new("/dev")) {
            // The kernel's own come and go with their devices.
            if !self.nodes.contains(&node) && !is_of_a_device(&node) {
                let result = fs::remove_file(&node).map_err(Into::into);
                report.take(format!("{} was there", node.display()), result);
            }
        }
    }

    fn remove_files(&self, report: &mut Report) {
        for file in TEMPORARY.iter().flat_map(|f| entries(f.as_ref())) {
            if self.files.contains(&file) || file == Path::new(KIT) {
                continue;
            }
            let is_folder = fs::symlink_metadata(&file).is_ok_and(|m| m.is_dir());
            let result = if is_folder {
                fs::remove_dir_all(&file)
            } else {
                fs::remove_file(&file)
            };
            report.take(
                format!("{} was there", file.display()),
                result.map_err(Into::into),
            );
        }
    }
}

/// All mount points, in the order in which they were mounted.
fn mounts() -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let point = |line: &str| line.split(' ').nth(4).map(unescape);
    text.lines().filter_map(point).collect()
}

/// Blanks in a mount point are octal, as in `\040`.
fn unescape(field: &str) -> PathBuf {
    let mut text = String::new();
    let mut rest = field;
    while let Some((before, after)) = rest.split_once('\\') {
        text.push_str(before);
        let code = after.get(..3).and_then(|c| u8::from_str_radix(c, 8).ok());
        match code {
            Some(code) => text.push(char::from(code)),
            None => text.push('\\'),
        }
        rest = if code.is_some() { &after[3..] } else { after };
    }
    text.push_str(rest);
    text.into()
}

/// All files in `/dev` that are no folders, file systems that are mounted in it left out.
fn nodes(folder: &Path) -> Vec<PathBuf> {
    let device = fs::metadata(folder).map(|m| m.dev()).unwrap_or_default();
    let mut nodes = Vec::new();
    for entry in entries(folder) {
        match fs::symlink_metadata(&entry) {
            Ok(m) if m.dev() != device => {}
            Ok(m) if m.is_dir() => nodes.extend(self::nodes(&entry)),
            _ => nodes.push(entry),
        }
    }
    nodes
}

/// Whether a node is one that the kernel has made, because its device exists.
fn is_of_a_device(node: &Path) -> bool {
    let Ok(metadata) = fs::symlink_metadata(node) else {
        return false;
    };
    let kind = if metadata.file_type().is_char_device() {
        "char"
    } else if metadata.file_type().is_block_device() {
        "block"
    } else {
        return false;
    };
    let number = metadata.rdev();
    let (major, minor) = (libc::major(number), libc::minor(number));
    let uevent = fs::read_to_string(format!("/sys/dev/{kind}/{major}:{minor}/uevent"));
    let name = node.strip_prefix("/dev").unwrap_or(node).display();
    let line = format!("DEVNAME={name}");
    uevent.is_ok_and(|text| text.lines().any(|l| l == line))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_in_mount_points_are_found() {
        assert_eq!(unescape(r"/a\040b\134c"), Path::new(r"/a b\c"));
        assert_eq!(unescape(r"/odd\x"), Path::new(r"/odd\x"));
    }

    #[test]
    fn a_node_belongs_to_a_device_by_number_and_name() {
        assert!(is_of_a_device(Path::new("/dev/null")));
        assert!(!is_of_a_device(Path::new("/dev/no-such-node")));
        assert!(!is_of_a_device(Path::new("/etc/passwd")));
    }

    #[test]
    fn modules_put_under_test_replace_those_of_the_plan_and_stay_when_restored() {
        let module = |path: &str, is_under_test| Module {
            path: path.into(),
            is_under_test,
        };
        let plan = Plan {
            modules: vec![module("/m/bus.ko", false), module("/m/old.ko", true)],
            ..Plan::default()
        };
        let mut baseline = Baseline::now(plan, Vec::new());
        baseline.put_under_test(vec!["/m/new-one.ko".into()]);
        let expected = [module("/m/bus.ko", false), module("/m/new-one.ko", true)];
        assert_eq!(baseline.plan.modules, expected);
        assert!(baseline.modules.contains("new_one"));
    }

    #[test]
    fn a_module_under_test_that_cannot_be_loaded_is_named() {
        let mut baseline = Baseline::now(Plan::default(), Vec::new());
        assert!(baseline.load_under_test().is_ok());
        baseline.put_under_test(vec!["/no/such/bringup-module.ko".into()]);
        let error = baseline.load_under_test().unwrap_err().to_string();
        assert!(
            error.contains("module bringup_module was not loaded"),
            "{error}"
        );
    }

    #[test]
    fn the_top_folder_is_mounted() {
        assert!(mounts().contains(&PathBuf::from("/")));
    }
}
