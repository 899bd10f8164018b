// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup kernel`: the lock file and the metadata.

use std::path::Path;

use serde::Serialize;

use super::{print_json, print_line};
use crate::cache::Cache;
use crate::cli::{Checking, Json, Kernel, Locking};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::host;
use crate::kernel::obtain::Obtain;
use crate::kernel::{Lock, prepare, select, series, symbols};
use crate::lock::Mode;
use crate::progress::Progress;
use crate::repository::Repository;
use crate::setup::{Choices, Setup, ToolboxSetup};
use crate::toolbox;

/// What `kernel status` says in place of what the archive would.
const NOT_ASKED: &str = "not asked, toolbox not made yet (`cargo bringup demo` makes it)";

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
    /// Whether the archive still has every package of it; unknown without a toolbox.
    available: Option<bool>,
    /// The newest kernel of the suite that would do.
    newest: Option<String>,
    /// The older kernels that the driver is for.
    older: Vec<Older>,
}

/// An older kernel that the driver is for.
#[derive(Serialize)]
struct Older {
    release: String,
    version: String,
    prepared: bool,
}

/// What the archive says about a locked kernel.
struct Offer {
    available: bool,
    newest: Lock,
}

fn version(lock: &Lock) -> String {
    lock.packages
        .first()
        .map(|package| package.version.clone())
        .unwrap_or_default()
}

/// Makes nothing and installs nothing: without a toolbox the archive is not asked.
fn status(options: &Json, progress: &Progress) -> Result<Exit> {
    let repository = Repository::find()?;
    let lock = Lock::read(&repository.kernel_lock())?;
    let cache = Cache::open()?;
    let offer = if host::has_program("bwrap") && toolbox::entry(&cache).is_dir() {
        toolbox::require_whole(&cache)?;
        let obtain = Obtain {
            toolbox: &toolbox::at(&toolbox::entry(&cache)),
            cache: &cache,
            progress,
            mirror: crate::mirror::find,
        };
        Some(offer(obtain, &lock)?)
    } else {
        None
    };
    let mut older = Vec::new();
    for path in series::older(&repository)? {
        let lock = Lock::read(&path)?;
        older.push(Older {
            version: version(&lock),
            prepared: cache.entry(&prepare::entry_name(&lock)).is_dir(),
            release: lock.release,
        });
    }
    let status = Status {
        older,
        version: version(&lock),
        suite: lock.suite.clone(),
        rustc: lock.rustc.clone(),
        prepared: cache.entry(&prepare::entry_name(&lock)).is_dir(),
        available: offer.as_ref().map(|offer| offer.available),
        newest: offer.as_ref().map(|offer| offer.newest.release.clone()),
        release: lock.release,
    };
    if options.json {
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
    let available = status.available.map_or(NOT_ASKED, yes);
    print_line(&format!("in the archive   {available}"))?;
    print_line(&format!("ready here       {}", yes(status.prepared)))?;
    for older in &status.older {
        print_line(&format!(
            "older kernel     {} ({}), ready here: {}",
            older.release,
            older.version,
            yes(older.prepared)
        ))?;
    }
    let Some(Offer { newest, .. }) = offer else {
        return Ok(Exit::Ok);
    };
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

/// Asks the archive. The cache is shared with runs that rely on it; apt's own files are not.
fn offer(obtain: Obtain<'_>, lock: &Lock) -> Result<Offer> {
    let (cache, progress) = (obtain.cache, obtain.progress);
    let _relying = crate::lock::Lock::take(&cache.lock_file(), Mode::Shared, progress)?;
    let lists = cache.folder("archive")?.join("lock");
    let _asking = crate::lock::Lock::take(&lists, Mode::Exclusive, progress)?;
    let step = progress.step("archive", "asking what it offers")?;
    let archive = obtain.refresh(&lock.suite, &step)?;
    let missing = crate::kernel::obtain::missing(&archive, &lock.packages)?;
    let newest = select::newest(&archive, obtain.toolbox, cache, &lock.suite, None, &step)?;
    step.done("asked");
    Ok(Offer {
        available: missing.is_none(),
        newest,
    })
}

fn update(options: &Locking, progress: &Progress) -> Result<Exit> {
    let choices = Choices {
        may_install: !options.no_install,
        locked: false,
        series: None,
        older_kernels: false,
    };
    let setup = ToolboxSetup::new(choices, progress)?;
    let path = setup.repository.kernel_lock();
    let old = path.is_file().then(|| Lock::read(&path)).transpose();
    lock_newest(&setup, &path, old, options, progress)?;
    // What was asked for is about the newest alone.
    if options.suite.is_none() && options.series.is_none() {
        for path in series::older(&setup.repository)? {
            let old = Lock::read(&path)?;
            let within = Locking {
                suite: Some(old.suite.clone()),
                series: Some(old.series.clone()),
                no_install: options.no_install,
            };
            lock_newest(&setup, &path, Ok(Some(old)), &within, progress)?;
        }
    }
    Ok(Exit::Ok)
}

/// Writes the newest kernel into a lock file, unless it is there already.
fn lock_newest(
    setup: &ToolboxSetup,
    path: &Path,
    old: Result<Option<Lock>>,
    options: &Locking,
    progress: &Progress,
) -> Result<()> {
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
    let obtain = obtain(setup, progress);
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
        return Ok(());
    }
    // Only a kernel whose symbols are proven is written.
    obtain.kernel(&lock, true)?;
    lock.write(path)?;
    print_line(&format!(
        "locked {} ({}) in {}",
        lock.release,
        version(&lock),
        path.display()
    ))
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;
    use crate::fake_debian::FakeDebian;

    #[test]
    fn the_archive_is_asked_while_others_rely_on_the_cache() {
        let debian = FakeDebian::new();
        let locked = debian.offer_kernel("7.3.4+deb13-arm64", "7.3");
        let newest = debian.offer_kernel("7.4.1+deb13-arm64", "7.4");
        debian.withdraw(&locked.packages[1..2]);
        let other =
            crate::lock::Lock::take(&debian.cache.lock_file(), Mode::Shared, &debian.progress);
        let _other = other.unwrap();
        let (sender, offers) = channel();
        std::thread::spawn(move || {
            let obtain = Obtain {
                toolbox: &debian.toolbox,
                cache: &debian.cache,
                progress: &debian.progress,
                mirror: || Ok("http://mirror.example/debian".to_owned()),
            };
            let _ = sender.send(offer(obtain, &locked));
        });
        let offer = offers.recv_timeout(Duration::from_secs(20));
        let offer = offer.unwrap().unwrap();
        assert!(!offer.available);
        assert_eq!(offer.newest, newest);
    }
}
