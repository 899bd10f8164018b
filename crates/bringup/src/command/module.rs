// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup module`: builds the driver.

use std::path::Path;

use serde::Serialize;

use super::{print_json, print_line};
use crate::cli::{Build, Module};
use crate::exit::Exit;
use crate::failure::Result;
use crate::module::{self, size::Size};
use crate::progress::Progress;
use crate::setup::{Setup, ToolboxSetup};

/// The document that `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    path: &'a Path,
    size_bytes: Size,
}

pub(super) fn run(command: &Module, progress: &Progress) -> Result<Exit> {
    let Module::Build(options) = command;
    let path = build(options, progress)?;
    let size = module::size::of_file(&path)?;
    if options.json {
        print_json(&Document {
            path: &path,
            size_bytes: size,
        })?;
        return Ok(Exit::Ok);
    }
    progress.note(&size.to_string());
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
