// SPDX-License-Identifier: MIT OR Apache-2.0

//! Builds the driver.

pub(crate) mod foreign;
pub(crate) mod lint;
pub(crate) mod size;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::exit::Exit;
use crate::external;
use crate::failure::{OrFail, Result};
use crate::kernel::Kernel;
use crate::kernel::prepare::make_arguments;
use crate::progress::{Progress, Step};
use crate::setup::Setup;
use crate::stamp::{Stamp, sha256_of};
use crate::toolbox::{Access, KERNEL, OUTPUT, SOURCE, ToolboxCommand};

/// Name of the module's file.
pub(crate) const FILE: &str = "dmacopy.ko";

/// A module that has been built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Built {
    /// With debug information.
    pub(crate) full: PathBuf,
    /// Without, as it is loaded.
    pub(crate) stripped: PathBuf,
}

impl Built {
    /// Whether it is what was built from the source of this stamp.
    fn is_fresh(&self, stamp_file: &Path, source: &str) -> Result<bool> {
        let is_there = self.full.is_file() && self.stripped.is_file();
        Ok(is_there && is_fresh(stamp_file, &self.stamp(source)?))
    }

    fn stamp(&self, source: &str) -> Result<String> {
        Ok(format!("{source} {}", sha256_of(&self.stripped)?))
    }
}

/// Builds the driver for the kernel to boot, unless nothing has changed since the last build.
pub(crate) fn build(setup: &Setup, progress: &Progress) -> Result<Built> {
    build_for(setup, &setup.kernel, "module", progress)
}

/// Builds the driver for a kernel into a folder of the output folder.
pub(crate) fn build_for(
    setup: &Setup,
    kernel: &Kernel,
    name: &str,
    progress: &Progress,
) -> Result<Built> {
    let folder = setup.output_folder(name)?;
    let built = Built {
        full: folder.join(FILE),
        stripped: folder.join(format!("stripped-{FILE}")),
    };
    let stamp = source_stamp(setup, kernel)?;
    let stamp_file = folder.join("stamp");
    if built.is_fresh(&stamp_file, &stamp)? {
        return Ok(built);
    }
    // From nothing: make goes by the files' times, which tell neither that the kernel is another
    // one nor that an older source has come back.
    empty(&folder)?;
    let step = progress.step("module", "building kmod")?;
    let mut command = make(setup, kernel, name, &["modules"]);
    external::run(&mut command, &step, Exit::Build)?;
    strip(setup, kernel, name, &step)?;
    write_stamp(&stamp_file, &built.stamp(&stamp)?)?;
    step.done(&format!("{FILE} for {}", kernel.release()));
    Ok(built)
}

/// Digest over the source and the kernel that it is built for.
fn source_stamp(setup: &Setup, kernel: &Kernel) -> Result<String> {
    let repository = &setup.tools.repository;
    let (kmod, abi, registers) = (repository.kmod(), repository.abi(), repository.registers());
    stamp_of(&kmod, &abi, &registers, kernel.folder())
}

fn stamp_of(kmod: &Path, abi: &Path, registers: &Path, kernel: &Path) -> Result<String> {
    let stamp = Stamp::default()
        .tree(kmod)?
        .tree(abi)?
        .text(&sha256_of(registers)?)
        .text(&kernel.display().to_string());
    Ok(stamp.hex())
}

fn is_fresh(stamp_file: &Path, stamp: &str) -> bool {
    std::fs::read_to_string(stamp_file).is_ok_and(|written| written == stamp)
}

fn write_stamp(stamp_file: &Path, stamp: &str) -> Result<()> {
    std::fs::write(stamp_file, stamp)
        .or_environment(|| format!("cannot write {}", stamp_file.display()))
}

/// Removes what an earlier build left in a folder.
fn empty(folder: &Path) -> Result<()> {
    crate::cache::remove(folder)?;
    std::fs::create_dir_all(folder)
        .or_environment(|| format!("cannot make the folder {}", folder.display()))
}

/// A command that sees the checkout, the output folder and the kernel.
fn in_kernel(setup: &Setup, kernel: &Kernel) -> ToolboxCommand {
    setup
        .tools
        .toolbox
        .enter()
        .mount(setup.tools.repository.root(), SOURCE, Access::Read)
        .mount(&setup.tools.repository.output(), OUTPUT, Access::Write)
        .mount(kernel.folder(), KERNEL, Access::Read)
}

fn make(setup: &Setup, kernel: &Kernel, output: &str, targets: &[&str]) -> Command {
    let mut command = in_kernel(setup, kernel).program("make");
    make_arguments(&mut command, kernel.release());
    command
        .arg(format!("M={SOURCE}/kmod"))
        .arg(format!("MO={OUTPUT}/{output}"))
        .args(targets);
    command
}

fn strip(setup: &Setup, kernel: &Kernel, output: &str, step: &Step) -> Result<()> {
    let mut command = in_kernel(setup, kernel).program("aarch64-linux-gnu-strip");
    command
        .args(["--strip-debug", "-o"])
        .arg(format!("{OUTPUT}/{output}/stripped-{FILE}"))
        .arg(format!("{OUTPUT}/{output}/{FILE}"));
    external::run(&mut command, step, Exit::Build)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_fresh_only_for_the_same_driver_abi_and_kernel() {
        let guard = tempfile::tempdir().unwrap();
        let (kmod, abi) = (guard.path().join("kmod"), guard.path().join("abi"));
        for folder in [&kmod, &abi] {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join("a.rs"), "one").unwrap();
        }
        let registers = guard.path().join("registers.rs");
        std::fs::write(&registers, "one").unwrap();
        let stamp = |kernel: &str| stamp_of(&kmod, &abi, &registers, Path::new(kernel)).unwrap();
        let first = stamp("/cache/kernel-1");
        assert_eq!(stamp("/cache/kernel-1"), first);
        assert_ne!(stamp("/cache/kernel-2"), first, "another kernel");
        for folder in [&kmod, &abi] {
            std::fs::write(folder.join("a.rs"), "two").unwrap();
            assert_ne!(stamp("/cache/kernel-1"), first, "{}", folder.display());
            std::fs::write(folder.join("a.rs"), "one").unwrap();
        }
        std::fs::write(&registers, "two").unwrap();
        assert_ne!(stamp("/cache/kernel-1"), first, "the register map");
        std::fs::write(&registers, "one").unwrap();
        assert_eq!(stamp("/cache/kernel-1"), first);
    }

    #[test]
    fn a_module_that_is_missing_changed_or_of_another_source_is_built_anew() {
        let guard = tempfile::tempdir().unwrap();
        let path = |name: &str| guard.path().join(name);
        let built = Built {
            full: path(FILE),
            stripped: path("stripped"),
        };
        let stamp_file = path("stamp");
        let is_fresh = |source: &str| built.is_fresh(&stamp_file, source).unwrap();
        assert!(!is_fresh("source"), "nothing is there");
        std::fs::write(&built.full, "full").unwrap();
        std::fs::write(&built.stripped, "stripped").unwrap();
        assert!(!is_fresh("source"), "no stamp");
        write_stamp(&stamp_file, &built.stamp("source").unwrap()).unwrap();
        assert!(is_fresh("source"));
        assert!(!is_fresh("another source"));
        std::fs::write(&built.stripped, "damaged").unwrap();
        assert!(!is_fresh("source"), "changed after it was built");
        std::fs::write(&built.stripped, "stripped").unwrap();
        std::fs::remove_file(&built.full).unwrap();
        assert!(!is_fresh("source"), "half of it is gone");
    }
}
