// SPDX-License-Identifier: MIT OR Apache-2.0

//! Builds the driver.

pub(crate) mod foreign;
pub(crate) mod lint;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::exit::Exit;
use crate::external;
use crate::failure::{OrFail, Result};
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

/// Builds the driver for the stock kernel, unless nothing has changed since the last build.
pub(crate) fn build(setup: &Setup, progress: &Progress) -> Result<Built> {
    let folder = setup.output_folder("module")?;
    let built = Built {
        full: folder.join(FILE),
        stripped: folder.join(format!("stripped-{FILE}")),
    };
    let stamp = source_stamp(setup)?;
    let stamp_file = folder.join("stamp");
    let whole = |built: &Built| Ok(format!("{stamp} {}", sha256_of(&built.stripped)?));
    if built.full.is_file() && built.stripped.is_file() && is_fresh(&stamp_file, &whole(&built)?) {
        return Ok(built);
    }
    // From nothing: make goes by the files' times, which tell neither that the kernel is another
    // one nor that an older source has come back.
    empty(&folder)?;
    let step = progress.step("module", "building kmod")?;
    external::run(&mut make(setup, "module", &["modules"]), &step, Exit::Build)?;
    strip(setup, &step)?;
    write_stamp(&stamp_file, &whole(&built)?)?;
    step.done(&format!("{FILE} for {}", setup.kernel.release()));
    Ok(built)
}

/// Digest over the source and the kernel that it is built for.
fn source_stamp(setup: &Setup) -> Result<String> {
    let stamp = Stamp::default()
        .tree(&setup.tools.repository.kmod())?
        .tree(&setup.tools.repository.abi())?
        .text(&setup.kernel.folder().display().to_string());
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
fn in_kernel(setup: &Setup) -> ToolboxCommand {
    setup
        .tools
        .toolbox
        .enter()
        .mount(setup.tools.repository.root(), SOURCE, Access::Read)
        .mount(&setup.tools.repository.output(), OUTPUT, Access::Write)
        .mount(setup.kernel.folder(), KERNEL, Access::Read)
}

fn make(setup: &Setup, output: &str, targets: &[&str]) -> Command {
    let mut command = in_kernel(setup).program("make");
    make_arguments(&mut command, setup.kernel.release());
    command
        .arg(format!("M={SOURCE}/kmod"))
        .arg(format!("MO={OUTPUT}/{output}"))
        .args(targets);
    command
}

fn strip(setup: &Setup, step: &Step) -> Result<()> {
    let mut command = in_kernel(setup).program("aarch64-linux-gnu-strip");
    command
        .args(["--strip-debug", "-o"])
        .arg(format!("{OUTPUT}/module/stripped-{FILE}"))
        .arg(format!("{OUTPUT}/module/{FILE}"));
    external::run(&mut command, step, Exit::Build)
}
