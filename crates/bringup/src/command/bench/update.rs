// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup bench update`: the newest of what stand-ins are made of that are reached by remote login
//! or are a place of a lab.

use std::path::Path;

use super::super::print_line;
use crate::cli::BenchUpdate;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::kernel::obtain::Obtain;
use crate::progress::Progress;
use crate::setup::{Choices, ToolboxSetup};
use crate::{lab, login, mirror, toolbox};

pub(super) fn run(options: &BenchUpdate, progress: &Progress) -> Result<Exit> {
    let suite = options.suite.as_deref().unwrap_or(toolbox::SUITE);
    if !suite.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        let what = format!("{suite:?} is no name of a suite");
        return Err(Failure::new(Exit::Refused, what));
    }
    let choices = Choices {
        may_install: !options.no_install,
        locked: false,
        series: None,
        older_kernels: false,
    };
    let setup = ToolboxSetup::new(choices, progress)?;
    let obtain = Obtain {
        toolbox: &setup.toolbox,
        cache: &setup.cache,
        progress,
        mirror: mirror::find,
    };
    let (target, lab) = (
        setup.repository.target_lock(),
        setup.repository.labgrid_lock(),
    );
    tell(&target, login::update(&obtain, suite, &target)?)?;
    tell(&lab, lab::update(&obtain, suite, &lab)?)?;
    Ok(Exit::Ok)
}

fn tell(path: &Path, is_new: bool) -> Result<()> {
    let path = path.display();
    print_line(&if is_new {
        format!("{path} is written")
    } else {
        format!("{path} names the newest already")
    })
}
