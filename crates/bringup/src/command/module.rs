// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup module`: builds the driver.

use std::path::Path;

use super::print_line;
use crate::cli::{Build, Module};
use crate::exit::Exit;
use crate::failure::Result;
use crate::module;
use crate::progress::Progress;
use crate::setup::{Setup, ToolboxSetup};

pub(super) fn run(command: &Module, progress: &Progress) -> Result<Exit> {
    let Module::Build(options) = command;
    let path = build(options, progress)?;
    // The path is the result: a script copies what it names.
    print_line(&format!("{}", path.display()))?;
    Ok(Exit::Ok)
}

fn build(options: &Build, progress: &Progress) -> Result<std::path::PathBuf> {
    let choices = options.set_up.choices();
    if options.kernel == Path::new("stock") {
        let setup = Setup::new(choices, progress)?;
        return module::build(&setup, progress).map(|built| built.full);
    }
    module::foreign::require_prepared(&options.kernel)?;
    let setup = ToolboxSetup::new(choices, progress)?;
    module::foreign::build(&setup, &options.kernel, progress)
}
