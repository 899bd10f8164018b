// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup kernel`: the lock file and the metadata.

use serde::Serialize;

use super::{print_json, print_line};
use crate::cli::{Checking, Kernel, Locking};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::kernel::obtain::Obtain;
use crate::kernel::{Lock, prepare, select, symbols};
use crate::progress::Progress;
use crate::setup::{Choices, Setup, ToolboxSetup};
use crate::toolbox;

pub(super) fn run(command: &Kernel, progress: &Progress) -> Result<Exit> {
    match command {
        Kernel::Status(options) => status(options, progress),
        Kernel::Update(options) => update(options, progress),
        Kernel::Check(options) => check(options, progress),
    }
}

/// What `kernel status` finds.
#[derive(Serialize)]
struct Status {
    release: String,
    version: String,
    suite: String,
    rustc: String,
    /// Whether it is ready for modules in the cache.
    prepared: bool,
    /// Whether the archive still has every package of it.
    available: bool,
    /// The newest kernel of the suite that would do.
    newest: String,
}

fn version(lock: &Lock) -> String {
    lock.packages
        .first()
        .map(|package| package.version.clone())
        .unwrap_or_default()
}

fn status(options: &Checking, progress: &Progress) -> Result<Exit> {
    let setup = ToolboxSetup::new(options.set_up.choices(), progress)?;
    let lock = Lock::read(&setup.repository.kernel_lock())?;
    let step = progress.step("archive", "asking what it offers")?;
    let obtain = obtain(&setup, progress);
    let archive = obtain.refresh(&lock.suite, &step)?;
    let missing = crate::kernel::obtain::missing(&archive, &lock)?;
    let newest = select::newest(
        &archive,
        &setup.toolbox,
        &setup.cache,
        &lock.suite,
        None,
        &step,
    )?;
    step.done("asked");
    let status = Status {
        version: version(&lock),
        suite: lock.suite.clone(),
        rustc: lock.rustc.clone(),
        prepared: setup.cache.entry(&prepare::entry_name(&lock)).is_dir(),
        available: missing.is_none(),
        newest: newest.release.clone(),
        release: lock.release,
    };
    if options.json.json {
        print_json(&status)?;
        return Ok(Exit::Ok);
    }
    let yes = |value| if value { "yes" } else { "no" };
    print_line(&format!(
        "locked kernel    {} ({})",
        status.release, status.version
    ))?;
    print_line(&format!("suite            {}", status.suite))?;
    print_line(&format!("compiler         {}", status.rustc))?;
    print_line(&format!("in the archive   {}", yes(status.available)))?;
    print_line(&format!("ready here       {}", yes(status.prepared)))?;
    print_line(&format!(
        "newest that fits {} ({})",
        newest.release,
        version(&newest)
    ))?;
    if newest.packages != lock.packages {
        progress.note("`cargo bringup kernel update` writes the newest to the lock file");
    }
    Ok(Exit::Ok)
}

fn update(options: &Locking, progress: &Progress) -> Result<Exit> {
    let choices = Choices {
        may_install: !options.no_install,
        locked: false,
    };
    let setup = ToolboxSetup::new(choices, progress)?;
    let path = setup.repository.kernel_lock();
    let old = path.is_file().then(|| Lock::read(&path)).transpose();
    let suite = match (&options.suite, &old) {
        (Some(suite), _) => suite.clone(),
        (None, Ok(Some(lock))) => lock.suite.clone(),
        _ => format!("{}-backports", toolbox::SUITE),
    };
    if !suite.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err(Failure::new(
            Exit::Refused,
            format!("{suite:?} is no name of a suite"),
        ));
    }
    let step = progress.step(
        "archive",
        &format!("looking for the newest kernel in {suite}"),
    )?;
    let obtain = obtain(&setup, progress);
    let archive = obtain.refresh(&suite, &step)?;
    let series = options.series.as_deref();
    if let Some(series) = series {
        select::require_series(&archive, &suite, series)?;
    }
    let lock = select::newest(
        &archive,
        &setup.toolbox,
        &setup.cache,
        &suite,
        series,
        &step,
    )?;
    step.done(&format!(
        "{} is the newest that takes Rust modules",
        lock.release
    ));
    if matches!(&old, Ok(Some(old)) if *old == lock) {
        print_line(&format!("{} is locked already", lock.release))?;
        return Ok(Exit::Ok);
    }
    // Only a kernel whose symbols are proven is written.
    obtain.kernel(&lock, true)?;
    lock.write(&path)?;
    print_line(&format!(
        "locked {} ({}) in {}",
        lock.release,
        version(&lock),
        path.display()
    ))?;
    Ok(Exit::Ok)
}

fn check(options: &Checking, progress: &Progress) -> Result<Exit> {
    let setup = Setup::new(options.set_up.choices(), progress)?;
    let proof = symbols::prove(&setup.kernel)?;
    if options.json.json {
        print_json(&serde_json::json!({
            "release": setup.kernel.release(),
            "symbols": proof.crates.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
        }))?;
    } else {
        print_line(&format!("{}: {proof}", setup.kernel.release()))?;
    }
    Ok(Exit::Ok)
}

fn obtain<'a>(setup: &'a ToolboxSetup, progress: &'a Progress) -> Obtain<'a> {
    Obtain {
        toolbox: &setup.toolbox,
        cache: &setup.cache,
        progress,
        mirror: crate::mirror::find,
    }
}
