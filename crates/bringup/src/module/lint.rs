// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the driver's source must be besides correct: formatted, and clean under clippy.

use super::{empty, in_kernel, is_fresh, make, source_stamp, write_stamp};
use crate::exit::Exit;
use crate::external;
use crate::failure::{Failure, OrFail, Result};
use crate::kernel::Kernel;
use crate::progress::Progress;
use crate::setup::Setup;
use crate::toolbox::{KERNEL, SOURCE};

/// Checks the formatting with the kernel's own settings.
pub(crate) fn formatting(setup: &Setup, progress: &Progress) -> Result<()> {
    let step = progress.step("kmod-fmt", "checking the formatting of kmod")?;
    let mut rustfmt = in_kernel(setup, &setup.kernel).program("rustfmt");
    rustfmt
        .args(["--check", "--edition=2021", "--config-path"])
        .arg(format!("{KERNEL}/source/.rustfmt.toml"))
        .arg(format!("{SOURCE}/kmod/dmacopy_main.rs"));
    external::run(&mut rustfmt, &step, Exit::Build)?;
    step.done("kmod is formatted");
    Ok(())
}

/// Builds with clippy in the compiler's place; a warning is a failure.
pub(crate) fn clippy(setup: &Setup, kernel: &Kernel, progress: &Progress) -> Result<()> {
    let stamp = source_stamp(setup, kernel)?;
    let name = format!("module-lint-{}", kernel.release());
    let folder = setup.output_folder(&name)?;
    let stamp_file = folder.join("stamp");
    if is_fresh(&stamp_file, &stamp) {
        return Ok(());
    }
    empty(&folder)?;
    let doing = format!("building kmod with CLIPPY=1 for {}", kernel.release());
    let step = progress.step("kmod-clippy", &doing)?;
    let mut command = make(setup, kernel, &name, &["CLIPPY=1", "modules"]);
    external::run(&mut command, &step, Exit::Build)?;
    let log = std::fs::read_to_string(step.log())
        .or_environment(|| format!("cannot read {}", step.log().display()))?;
    // Of rustc and clippy; C compilers have the place in front.
    let warnings: Vec<_> = log
        .lines()
        .filter(|line| line.starts_with("warning:") || line.contains(": warning: "))
        .collect();
    if !warnings.is_empty() {
        return Err(Failure::new(Exit::Build, "clippy warns about kmod")
            .evidence(warnings.into_iter().map(str::to_owned).collect::<Vec<_>>())
            .help(format!("all it printed is in {}", step.log().display())));
    }
    write_stamp(&stamp_file, &stamp)?;
    step.done(&format!(
        "kmod is clean under clippy for {}",
        kernel.release()
    ));
    Ok(())
}
