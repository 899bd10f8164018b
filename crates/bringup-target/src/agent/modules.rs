// SPDX-License-Identifier: MIT OR Apache-2.0

//! Loads kernel modules, as `modprobe` would, but from a given path, and unloads them.

use std::ffi::CString;
use std::fs::{self, File};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::errno::Errno;
use nix::kmod::{DeleteModuleFlags, ModuleInitFlags, delete_module, finit_module};

/// `MODULE_INIT_COMPRESSED_FILE` of `<linux/module.h>`, which nix has no name for: the kernel
/// unpacks the file itself, if it has `CONFIG_MODULE_DECOMPRESS`.
const COMPRESSED_FILE: u32 = 4;

/// How long a module may take; one whose driver probes slow hardware takes a few seconds.
const LIMIT: Duration = Duration::from_secs(30);

/// Loads a module with these parameters, or, if there are none, with those that the kernel's command
/// line has for it; unless that takes for ever, as it does when a driver hangs in its probe.
pub(super) fn load_in_time(path: &Path, parameters: &str) -> anyhow::Result<()> {
    let (path, mut parameters) = (path.to_owned(), parameters.to_owned());
    if parameters.is_empty() {
        let command_line = fs::read_to_string("/proc/cmdline").unwrap_or_default();
        parameters = parameters_for(&name(&path), &command_line);
    }
    in_time(LIMIT, move || load(&path, &parameters))
}

/// Unloads a module; unless that takes for ever, as it does when a driver hangs in its remove.
pub(super) fn unload_in_time(name: &str) -> anyhow::Result<()> {
    let name = CString::new(name)?;
    in_time(LIMIT, move || {
        let flags = DeleteModuleFlags::O_NONBLOCK;
        delete_module(&name, flags).context("delete_module failed")
    })
}

/// The names of all modules that are loaded, the latest first.
pub(super) fn loaded() -> Vec<String> {
    let text = fs::read_to_string("/proc/modules").unwrap_or_default();
    let name = |line: &str| line.split(' ').next().map(str::to_owned);
    text.lines().filter_map(name).collect()
}

/// Does something in a thread of its own, which is left behind if it takes too long: nothing ends a
/// system call that does not return.
fn in_time(
    limit: Duration,
    work: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
) -> anyhow::Result<()> {
    let (sender, receiver) = channel();
    thread::Builder::new().spawn(move || {
        // Nobody listens any more when it took too long.
        let _ = sender.send(work());
    })?;
    match receiver.recv_timeout(limit) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => bail!("did not return within {} s", limit.as_secs()),
        Err(RecvTimeoutError::Disconnected) => bail!("panicked"),
    }
}

/// Loads a module, plain or compressed. One that is loaded already is fine.
fn load(path: &Path, parameters: &str) -> anyhow::Result<()> {
    let file = File::open(path).context("cannot open the module")?;
    let flags = match path.extension() {
        Some(extension) if extension == "xz" => ModuleInitFlags::from_bits_retain(COMPRESSED_FILE),
        _ => ModuleInitFlags::empty(),
    };
    let parameters = CString::new(parameters)?;
    taken(finit_module(&file, &parameters, flags))
}

/// What the kernel's answer means for a module that is to be there.
fn taken(answer: nix::Result<()>) -> anyhow::Result<()> {
    match answer {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(errno).context("finit_module failed"),
    }
}

/// The name that a file's module has in the kernel.
pub(super) fn name(path: &Path) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = file.split('.').next().unwrap_or_default();
    stem.replace('-', "_")
}

/// The parameters `module.name=value` of the kernel's command line, as `name=value`.
///
/// The kernel itself applies those to built-in modules only.
fn parameters_for(module: &str, command_line: &str) -> String {
    let parameters: Vec<_> = words(command_line)
        .filter_map(|word| {
            let (name, parameter) = word.split_once('.')?;
            (name.replace('-', "_") == module).then_some(parameter)
        })
        .collect();
    parameters.join(" ")
}

/// Splits at white space outside of double quotes, up to the `--` after which the arguments of
/// the first program come.
fn words(command_line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    command_line
        .trim()
        .split(move |c: char| {
            quoted ^= c == '"';
            c.is_whitespace() && !quoted
        })
        .take_while(|word| *word != "--")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_has_the_name_of_its_file() {
        assert_eq!(name(Path::new("/lib/dmacopy.ko")), "dmacopy");
        assert_eq!(name(Path::new("/lib/i2c-dev.ko.xz")), "i2c_dev");
    }

    #[test]
    fn only_its_own_parameters_are_passed_to_a_module() {
        let line =
            "console=ttyAMA0 dmacopy.software=1 i2c-dev.x=2 dmacopyx.y=3 dmacopy.n=\"a b\"\n";
        assert_eq!(parameters_for("dmacopy", line), "software=1 n=\"a b\"");
        assert_eq!(parameters_for("i2c_dev", line), "x=2");
        assert_eq!(parameters_for("other", line), "");
    }

    #[test]
    fn what_follows_two_dashes_is_for_the_first_program() {
        assert_eq!(parameters_for("m", "m.a=1 -- m.b=2"), "a=1");
    }

    #[test]
    fn what_does_not_return_is_left_behind() {
        let long = Duration::from_secs(60);
        in_time(long, || Ok(())).unwrap();
        let error = in_time(long, || bail!("refused")).unwrap_err();
        assert_eq!(error.to_string(), "refused");
        let hangs = move || {
            thread::sleep(long);
            Ok(())
        };
        let error = in_time(Duration::from_millis(10), hangs).unwrap_err();
        assert_eq!(error.to_string(), "did not return within 0 s");
    }

    #[test]
    fn a_module_that_is_loaded_already_is_fine_and_a_refused_one_is_not() {
        taken(Ok(())).unwrap();
        taken(Err(Errno::EEXIST)).unwrap();
        for errno in [Errno::ENOEXEC, Errno::EPERM, Errno::ENODEV, Errno::EBUSY] {
            let error = taken(Err(errno)).unwrap_err();
            assert!(format!("{error:#}").contains(errno.desc()), "{error:#}");
        }
    }

    #[test]
    fn a_missing_module_is_an_error_that_says_so() {
        let error = load(Path::new("/no/such/module.ko"), "").unwrap_err();
        assert!(format!("{error:#}").starts_with("cannot open the module: "));
    }
}
