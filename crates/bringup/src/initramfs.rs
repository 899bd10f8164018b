// SPDX-License-Identifier: MIT OR Apache-2.0

//! The initramfs: the agent, its plan, and just the modules that the board needs.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use agent_wire::{PLAN_PATH, Plan};
use cpio::newc::{Builder, trailer};

use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};
use crate::kernel::Kernel;

/// File types and permissions as `cpio(5)` wants them.
const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_000;
const PROGRAM: u32 = FILE | 0o755;
const DATA: u32 = FILE | 0o644;
const CHARACTER_DEVICE: u32 = 0o020_600;
const LINK: u32 = 0o120_777;

/// `/dev/console`, which the kernel opens for the first program.
const CONSOLE: (u32, u32) = (5, 1);

/// A file to be packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    /// Where it is on the PC.
    pub(crate) from: PathBuf,
    /// Its absolute path on the board.
    pub(crate) to: String,
}

/// A file to be packed that is not on the PC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    to: String,
    mode: u32,
    content: String,
}

impl Made {
    /// A file with these permissions.
    pub(crate) fn text(to: &str, permissions: u32, content: &str) -> Self {
        Self {
            to: to.to_owned(),
            mode: FILE | permissions,
            content: content.to_owned(),
        }
    }

    /// A symbolic link.
    pub(crate) fn link(to: &str, target: &str) -> Self {
        Self {
            to: to.to_owned(),
            mode: LINK,
            content: target.to_owned(),
        }
    }
}

/// The kernel's own modules for a board, dependencies first, and where they go.
pub(crate) fn modules(kernel: &Kernel, names: &[String]) -> Result<Vec<Packed>> {
    let folder = kernel.folder().join(kernel.modules());
    let read = |file: &str| {
        let path = folder.join(file);
        std::fs::read_to_string(&path).or_environment(|| format!("cannot read {}", path.display()))
    };
    let order = load_order(names, &read("modules.dep")?, &read("modules.builtin")?)?;
    Ok(order
        .into_iter()
        .map(|path| Packed {
            from: folder.join(&path),
            to: format!("/lib/modules/{}/{path}", kernel.release()),
        })
        .collect())
}

/// Paths of modules in the order in which they must be loaded.
fn load_order(names: &[String], dependencies: &str, builtin: &str) -> Result<Vec<String>> {
    let mut order = Vec::new();
    let mut seen = BTreeSet::new();
    for name in names {
        let line = dependencies.lines().find_map(|line| {
            let (path, needs) = line.split_once(':')?;
            (module_name(path) == module_name(name)).then_some((path, needs))
        });
        let Some((path, needs)) = line else {
            if builtin
                .lines()
                .any(|path| module_name(path) == module_name(name))
            {
                continue;
            }
            return Err(
                Failure::new(Exit::Refused, format!("the kernel has no module {name}"))
                    .help("mend kernel.modules in the board's board.toml"),
            );
        };
        // modules.dep names what is needed last first.
        for path in needs.split_whitespace().rev().chain([path]) {
            if seen.insert(path) {
                order.push(path.to_owned());
            }
        }
    }
    Ok(order)
}

/// A module's name from its path: modprobe takes dashes for underscores.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split('.').next().unwrap_or(file).replace('-', "_")
}

/// Writes the archive, whole or not at all. `agent` is the path on the board of the packed program
/// that the kernel starts.
pub(crate) fn write(
    path: &Path,
    agent: &str,
    plan: &Plan,
    files: &[Packed],
    made: &[Made],
) -> Result<()> {
    let unwritable = || format!("cannot write {}", path.display());
    let plan = serde_json::to_vec_pretty(plan).or_environment(|| "cannot write the plan")?;
    let mut archive = Archive::default();
    archive
        .device("/dev/console", CONSOLE)
        .or_environment(unwritable)?;
    // The name tells the program that it is the agent now.
    archive
        .file("/init", LINK, agent.as_bytes())
        .or_environment(unwritable)?;
    archive
        .file(PLAN_PATH, DATA, &plan)
        .or_environment(unwritable)?;
    for file in files {
        let bytes = read(&file.from)?;
        archive
            .file(&file.to, PROGRAM, &bytes)
            .or_environment(unwritable)?;
    }
    for file in made {
        archive
            .file(&file.to, file.mode, file.content.as_bytes())
            .or_environment(unwritable)?;
    }
    let bytes = archive.finish().or_environment(unwritable)?;
    let partial = path.with_extension("partial");
    let mut file = std::fs::File::create(&partial).or_environment(unwritable)?;
    file.write_all(&bytes).or_environment(unwritable)?;
    std::fs::rename(&partial, path).or_environment(unwritable)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).or_environment(|| format!("cannot read {}", path.display()))
}

/// A cpio archive that makes folders as they are needed.
#[derive(Debug, Default)]
struct Archive {
    bytes: Vec<u8>,
    folders: BTreeSet<String>,
    inode: u32,
}

impl Archive {
    fn entry(&mut self, path: &str, mode: u32) -> Builder {
        self.inode += 1;
        Builder::new(path.trim_start_matches('/'))
            .ino(self.inode)
            .nlink(1)
            .mode(mode)
    }

    fn parents(&mut self, path: &str) -> std::io::Result<()> {
        let mut folders: Vec<_> = Path::new(path).ancestors().skip(1).collect();
        folders.reverse();
        for folder in folders.iter().filter_map(|folder| folder.to_str()) {
            if folder != "/" && self.folders.insert(folder.to_owned()) {
                self.entry(folder, FOLDER)
                    .write(&mut self.bytes, 0)
                    .finish()?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> std::io::Result<()> {
        self.parents(path)?;
        let size = u32::try_from(content.len()).map_err(std::io::Error::other)?;
        let mut writer = self.entry(path, mode).write(&mut self.bytes, size);
        writer.write_all(content)?;
        writer.finish()?;
        Ok(())
    }

    fn device(&mut self, path: &str, (major, minor): (u32, u32)) -> std::io::Result<()> {
        self.parents(path)?;
        let builder = self
            .entry(path, CHARACTER_DEVICE)
            .rdev_major(major)
            .rdev_minor(minor);
        builder.write(&mut self.bytes, 0).finish()?;
        Ok(())
    }

    fn finish(self) -> std::io::Result<Vec<u8>> {
        trailer(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPENDENCIES: &str = "\
kernel/drivers/a/alpha-one.ko.xz: kernel/lib/beta.ko.xz kernel/lib/gamma.ko.xz
kernel/lib/beta.ko.xz: kernel/lib/gamma.ko.xz
kernel/lib/gamma.ko.xz:
";

    fn order(names: &[&str]) -> Result<Vec<String>> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        load_order(
            &names,
            DEPENDENCIES,
            "kernel/drivers/tty/serial/amba-pl011.ko\n",
        )
    }

    #[test]
    fn what_a_module_needs_comes_before_it_and_only_once() {
        let expected = [
            "kernel/lib/gamma.ko.xz",
            "kernel/lib/beta.ko.xz",
            "kernel/drivers/a/alpha-one.ko.xz",
        ];
        assert_eq!(order(&["alpha_one"]).unwrap(), expected);
        assert_eq!(order(&["alpha_one", "beta"]).unwrap(), expected);
    }

    #[test]
    fn a_built_in_module_needs_no_file_and_an_unknown_one_is_refused() {
        assert_eq!(order(&["amba_pl011"]).unwrap(), Vec::<String>::new());
        let failure = order(&["delta"]).unwrap_err();
        assert_eq!(failure.exit(), Exit::Refused);
        assert!(failure.summary().contains("delta"), "{failure}");
    }

    #[test]
    fn an_archive_holds_every_folder_once_and_the_files_content() {
        let folder = tempfile::tempdir().unwrap();
        let module = folder.path().join("m.ko");
        std::fs::write(&module, "module's bytes").unwrap();
        let path = folder.path().join("initramfs.cpio");
        let to = "/lib/modules/m.ko".to_owned();
        write(
            &path,
            "/bin/agent",
            &Plan::default(),
            &[Packed { from: module, to }],
            &[
                Made::text("/lib/secret", 0o600, "key"),
                Made::link("/lib/link", "secret"),
            ],
        )
        .unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let mut entries = Vec::new();
        let mut rest = std::io::Cursor::new(bytes);
        loop {
            let reader = cpio::newc::Reader::new(rest).unwrap();
            if reader.entry().is_trailer() {
                break;
            }
            let name = reader.entry().name().to_owned();
            let mode = reader.entry().mode();
            let mut content = Vec::new();
            let size = reader.entry().file_size();
            rest = reader.to_writer(&mut content).unwrap();
            assert_eq!(content.len(), size as usize);
            entries.push((name, mode, content));
        }
        let names: Vec<_> = entries.iter().map(|(name, ..)| name.as_str()).collect();
        let expected = [
            "dev",
            "dev/console",
            "init",
            "bringup",
            "bringup/plan.json",
            "lib",
            "lib/modules",
            "lib/modules/m.ko",
            "lib/secret",
            "lib/link",
        ];
        assert_eq!(names, expected);
        assert_eq!(
            (entries[2].1, entries[2].2.as_slice()),
            (LINK, b"/bin/agent".as_slice())
        );
        assert_eq!(entries[1].1, CHARACTER_DEVICE);
        let made = |at: usize| (entries[at].1, entries[at].2.as_slice());
        assert_eq!(made(8), (0o100_600, b"key".as_slice()));
        assert_eq!(made(9), (LINK, b"secret".as_slice()));
    }
}
