// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the driver's source must be besides correct: formatted, and clean under clippy.

use super::{empty, in_kernel, is_fresh, make, source_stamp, write_stamp};
use crate::exit::Exit;
use crate::external;
use crate::failure::{Failure, OrFail, Result};
use crate::progress::Progress;
use crate::setup::Setup;
use crate::toolbox::{KERNEL, SOURCE};

/// Checks the formatting with the kernel's own settings.
pub(crate) fn formatting(setup: &Setup, progress: &Progress) -> Result<()> {
    let step = progress.step("kmod-fmt", "checking the formatting of kmod")?;
    let mut rustfmt = in_kernel(setup).program("rustfmt");
    rustfmt
        .args(["--check", "--edition=2021", "--config-path"])
        .arg(format!("{KERNEL}/source/.rustfmt.toml"))
        .arg(format!("{SOURCE}/kmod/dmacopy_main.rs"));
    external::run(&mut rustfmt, &step, Exit::Build)?;
    step.done("kmod is formatted");
    Ok(())
}

/// Builds with clippy in the compiler's place; a warning is a failure.
pub(crate) fn clippy(setup: &Setup, progress: &Progress) -> Result<()> {
    let stamp = source_stamp(setup)?;
    let folder = setup.output_folder("module-lint")?;
    let stamp_file = folder.join("stamp");
    if is_fresh(&stamp_file, &stamp) {
        return Ok(());
    }
    empty(&folder)?;
    let step = progress.step("kmod-clippy", "building kmod with CLIPPY=1")?;
    let mut command = make(setup, "module-lint", &["CLIPPY=1", "modules"]);
    external::run(&mut command, &step, Exit::Build)?;
    let log = std::fs::read_to_string(step.log())
        .or_environment(|| format!("cannot read {}", step.log().display()))?;
    let warnings: Vec<_> = log
        .lines()
        .filter(|line| line.starts_with("warning:"))
        .collect();
    if !warnings.is_empty() {
        return Err(Failure::new(Exit::Build, "clippy warns about kmod")
            .evidence(warnings.into_iter().map(str::to_owned).collect::<Vec<_>>())
            .help(format!("all it printed is in {}", step.log().display())));
    }
    write_stamp(&stamp_file, &stamp)?;
    step.done("kmod is clean under clippy");
    Ok(())
}
