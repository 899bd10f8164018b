// SPDX-License-Identifier: MIT OR Apache-2.0

//! Makes a stock kernel ready for Rust modules.
//!
//! The kernel's folder in the cache holds `package`, the unpacked Debian packages; `source`, the
//! kernel's source; and `build`, a build folder with the stock configuration and symbols, in
//! which the Rust metadata has been recreated.

use std::path::Path;
use std::process::Command;

use super::{Kernel, Lock, headers_folder, select, symbols};
use crate::archive;
use crate::cache::Cache;
use crate::exit::Exit;
use crate::external;
use crate::failure::{Failure, OrFail, Result};
use crate::progress::{Progress, Step};
use crate::toolbox::{self, Access, KERNEL, Toolbox};

/// About what a kernel takes while it is made ready, in bytes.
pub(super) const BYTES: u64 = 4 << 30;

/// Grows when a kernel is made ready differently from the same packages.
const RECIPE: &str = "1";

/// The name of this kernel's entry in the cache.
pub(crate) fn entry_name(lock: &Lock) -> String {
    let key = lock.stamp().text(RECIPE).text(&toolbox::key()).key();
    format!("kernel-{}-{key}", lock.release)
}

/// The arguments of `make` that every build against this kernel needs.
pub(crate) fn make_arguments(command: &mut Command, release: &str) {
    let jobs = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    command.args([
        format!("--jobs={jobs}"),
        format!("--directory={KERNEL}/source"),
        format!("O={KERNEL}/build"),
        "ARCH=arm64".to_owned(),
        "CROSS_COMPILE=aarch64-linux-gnu-".to_owned(),
        // The compiler's name is part of the stock configuration.
        "CC=aarch64-linux-gnu-gcc-14".to_owned(),
        format!("KERNELRELEASE={release}"),
    ]);
}

/// The kernel of `lock`, made ready from the fetched packages if it is not in the cache yet.
pub(crate) fn ensure(
    toolbox: &Toolbox,
    cache: &Cache,
    lock: &Lock,
    progress: &Progress,
) -> Result<Kernel> {
    let name = entry_name(lock);
    let entry = cache.entry(&name);
    if entry.is_dir() {
        return Ok(Kernel::at(entry, &lock.release));
    }
    let rustc = select::toolbox_rustc(toolbox)?;
    if rustc != lock.rustc {
        return Err(Failure::new(
            Exit::Environment,
            format!(
                "{} was built by {}, the toolbox has {rustc}",
                lock.release, lock.rustc
            ),
        )
        .help("`cargo bringup kernel update` finds a kernel that fits the toolbox"));
    }
    let entry = cache.make(&name, BYTES, |partial| {
        make_ready(toolbox, cache, lock, partial, progress)
    })?;
    Ok(Kernel::at(entry, &lock.release))
}

/// Fills `folder` with the kernel, and fails unless its metadata is the stock kernel's.
fn make_ready(
    toolbox: &Toolbox,
    cache: &Cache,
    lock: &Lock,
    folder: &Path,
    progress: &Progress,
) -> Result<()> {
    unpack(toolbox, cache, lock, folder, progress)?;
    let kernel = Kernel::at(folder.to_path_buf(), &lock.release);
    recreate_metadata(toolbox, &kernel, progress)?;
    let step = progress.step("symbols", "comparing them with the stock kernel's")?;
    let proof = symbols::prove(&kernel)?;
    step.done(&format!("{proof}: the metadata is the stock kernel's"));
    Ok(())
}

fn unpack(
    toolbox: &Toolbox,
    cache: &Cache,
    lock: &Lock,
    folder: &Path,
    progress: &Progress,
) -> Result<()> {
    let step = progress.step("unpack", "the kernel's packages and source")?;
    for sub in ["package", "source", "build"] {
        let path = folder.join(sub);
        std::fs::create_dir(&path).or_environment(|| format!("cannot make {}", path.display()))?;
    }
    for package in &lock.packages {
        archive::unpack(toolbox, cache, package, &folder.join("package"), &step)?;
    }
    let source = &lock.package("linux-source-")?.name;
    let enter = || toolbox.enter().mount(folder, KERNEL, Access::Write);
    let mut tar = enter().program("tar");
    tar.args(["--extract", "--strip-components=1", "--no-same-owner"])
        .args(["--directory", "/kernel/source", "--file"])
        .arg(format!("{KERNEL}/package/usr/src/{source}.tar.xz"));
    external::run(&mut tar, &step, Exit::Environment)?;
    let mut depmod = enter().program("depmod");
    depmod
        .args(["--basedir", "/kernel/package/usr", "--filesyms"])
        .arg(format!(
            "{KERNEL}/package/usr/lib/modules/{}/System.map",
            lock.release
        ))
        .arg(&lock.release);
    external::run(&mut depmod, &step, Exit::Environment)?;
    let archive = folder
        .join("package/usr/src")
        .join(format!("{source}.tar.xz"));
    std::fs::remove_file(&archive)
        .or_environment(|| format!("cannot remove {}", archive.display()))?;
    step.done("kernel unpacked");
    Ok(())
}

fn recreate_metadata(toolbox: &Toolbox, kernel: &Kernel, progress: &Progress) -> Result<()> {
    let step = progress.step(
        "metadata",
        "recreating the kernel's Rust metadata, about a minute",
    )?;
    let folder = kernel.folder();
    let headers = folder
        .join("package")
        .join(headers_folder(kernel.release()));
    // The stock configuration and symbols, and the stock type information for the modules' own.
    for file in [".config", "Module.symvers", "vmlinux"] {
        let (from, to) = (headers.join(file), folder.join("build").join(file));
        std::fs::copy(&from, &to).or_environment(|| format!("cannot copy {}", from.display()))?;
    }
    for target in ["olddefconfig", "modules_prepare"] {
        make(toolbox, kernel, target, &step)?;
    }
    step.done("Rust metadata recreated");
    Ok(())
}

fn make(toolbox: &Toolbox, kernel: &Kernel, target: &str, step: &Step) -> Result<()> {
    let mut command = toolbox
        .enter()
        .mount(kernel.folder(), KERNEL, Access::Write)
        .program("make");
    make_arguments(&mut command, kernel.release());
    external::run(command.arg(target), step, Exit::Environment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_debian::FakeDebian;

    /// Makes a kernel ready whose recreated metadata exports this symbol from each crate.
    fn made_ready(symbol: &str) -> Result<()> {
        let debian = FakeDebian::new();
        let lock = debian.offer_kernel("7.3.4+deb13-arm64", "7.3");
        debian.fetch(&lock.packages).unwrap();
        debian.let_make(&format!(
            "mkdir -p build/rust\n\
             for crate in core kernel helpers bindings; do\n\
             echo 'EXPORT_SYMBOL_RUST_GPL({symbol});' > build/rust/exports_${{crate}}_generated.h\n\
             done\n"
        ));
        let folder = debian.folder("kernel");
        let made = make_ready(
            &debian.toolbox,
            &debian.cache,
            &lock,
            &folder,
            &debian.progress,
        );
        // Only the proof may be what fails.
        assert!(folder.join("build/rust").is_dir());
        made
    }

    #[test]
    fn a_kernel_is_ready_only_when_its_symbols_are_proven() {
        made_ready(FakeDebian::SYMBOL).unwrap();
        let failure = made_ready("_RNvCsB_6kernel1f").unwrap_err();
        assert!(failure.summary().contains("symbols differ"), "{failure}");
    }

    #[test]
    fn another_compiler_in_the_toolbox_is_refused_before_anything_is_made() {
        let debian = FakeDebian::new();
        let mut lock = debian.offer_kernel("7.3.4+deb13-arm64", "7.3");
        lock.rustc = "rustc 1.99.0".into();
        let made = ensure(&debian.toolbox, &debian.cache, &lock, &debian.progress);
        let failure = made.unwrap_err();
        assert_eq!(failure.exit(), Exit::Environment);
        assert!(failure.summary().contains("rustc 1.99.0"), "{failure}");
    }
}
