// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup bench update`: the newest packages for stand-ins that are reached by remote login.

use super::super::print_line;
use crate::cli::BenchUpdate;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::kernel::obtain::Obtain;
use crate::progress::Progress;
use crate::setup::{Choices, ToolboxSetup};
use crate::{login, mirror, toolbox};

pub(super) fn run(options: &BenchUpdate, progress: &Progress) -> Result<Exit> {
    let suite = options.suite.as_deref().unwrap_or(toolbox::SUITE);
    if !suite.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        let what = format!("{suite:?} is no name of a suite");
        return Err(Failure::new(Exit::Refused, what));
    }
    let choices = Choices {
        may_install: !options.no_install,
        locked: false,
    };
    let setup = ToolboxSetup::new(choices, progress)?;
    let obtain = Obtain {
        toolbox: &setup.toolbox,
        cache: &setup.cache,
        progress,
        mirror: mirror::find,
    };
    let path = setup.repository.target_lock();
    let is_new = login::update(&obtain, suite, &path)?;
    print_line(&if is_new {
        format!("{} is written", path.display())
    } else {
        "the newest packages are locked already".to_owned()
    })?;
    Ok(Exit::Ok)
}
