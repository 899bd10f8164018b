// SPDX-License-Identifier: MIT OR Apache-2.0

//! The agent: carries out the bench's plan on the board and reports in frames.
//!
//! In an emulated board the agent is the first program. It mounts what programs expect, loads the
//! plan's modules, runs the plan's programs one after the other, and powers the board off. Nothing
//! that hangs keeps it from that: modules and programs have their time. What cannot be said by a
//! frame is said on the console, in lines that begin with `bringup-agent:`, and when no more frames
//! will come, with [`agent_wire::FATAL`].

mod kernel_log;
mod modules;
mod mounts;
mod port;
mod power;
mod program;
mod sender;

use std::fs;
use std::io::Write;
use std::panic::catch_unwind;
use std::path::Path;
use std::process::ExitCode;

use agent_wire::{FATAL, Message, Plan};
use anyhow::Context as _;

use self::kernel_log::KernelLog;
use self::sender::Sender;
use crate::exit;

/// What is left to do when the plan has been carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Afterwards {
    PowerOff,
    KeepRunning,
}

/// The agent as PID 1, which must not end: the kernel would panic.
pub(crate) fn init(plan: &Path) -> ExitCode {
    let afterwards = catch_unwind(|| {
        mounts::mount_all();
        run(plan)
    });
    match afterwards {
        Ok(Ok(Afterwards::KeepRunning)) => power::idle(),
        Ok(Ok(Afterwards::PowerOff)) => {}
        Ok(Err(error)) => give_up(&format!("{error:#}")),
        // What it was about, the panic has said itself.
        Err(_) => give_up("the agent panicked"),
    }
    power::off()
}

/// The agent as a program that somebody else has started.
pub(crate) fn once(plan: &Path) -> ExitCode {
    match run(plan) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            give_up(&format!("{error:#}"));
            exit::FAILED.into()
        }
    }
}

/// Carries out a plan.
fn run(plan: &Path) -> anyhow::Result<Afterwards> {
    let plan = read_plan(plan)?;
    let port = port::open(&plan.port)?;
    let sender = Sender::new(port);
    sender.send(Message::Ready {
        kernel: nix::sys::utsname::uname()?
            .release()
            .to_string_lossy()
            .into_owned(),
        uptime_ms: uptime_ms(&fs::read_to_string("/proc/uptime")?).unwrap_or(0),
    });
    if load_modules(&plan, KernelLog::from_now(), &sender) {
        for (index, program) in plan.programs.iter().enumerate() {
            program::run(index, program, KernelLog::from_now(), &sender);
        }
    }
    sender.send(Message::Finished { taint: taint() });
    Ok(if plan.keep_running {
        Afterwards::KeepRunning
    } else {
        Afterwards::PowerOff
    })
}

fn read_plan(path: &Path) -> anyhow::Result<Plan> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no plan", path.display()))
}

/// Whether all modules of the plan are loaded. The first that is not is reported.
fn load_modules<W: Write>(plan: &Plan, mut log: KernelLog, sender: &Sender<W>) -> bool {
    let command_line = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    for module in &plan.modules {
        if let Err(error) = modules::load_in_time(Path::new(module), &command_line) {
            sender.send(Message::ModuleRefused {
                module: module.clone(),
                error: format!("{error:#}"),
                kernel_log: log.drain(),
            });
            return false;
        }
    }
    true
}

/// The first number of `/proc/uptime`, in milliseconds.
fn uptime_ms(text: &str) -> Option<u64> {
    let (seconds, fraction) = text.split(' ').next()?.split_once('.')?;
    // Two digits, as the kernel prints them.
    let hundredths: u64 = fraction.parse().ok()?;
    let seconds: u64 = seconds.parse().ok()?;
    Some(seconds * 1000 + hundredths * 10)
}

fn taint() -> u64 {
    let text = fs::read_to_string("/proc/sys/kernel/tainted").unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// Says on the console why no more frames will come.
fn give_up(why: &str) {
    eprintln!("{FATAL} {why}");
}

/// Says on the console what cannot be said by a frame.
fn complain(what: &str) {
    eprintln!("bringup-agent: {what}");
}

#[cfg(test)]
mod tests {
    use agent_wire::{Reader, Received};

    use super::*;

    #[test]
    fn the_uptime_is_read_in_milliseconds() {
        assert_eq!(uptime_ms("4.56 12.30\n"), Some(4560));
        assert_eq!(uptime_ms("350735.07 234388.90\n"), Some(350_735_070));
        assert_eq!(uptime_ms(""), None);
    }

    #[test]
    fn a_plan_that_cannot_be_read_is_named() {
        let error = run(Path::new("/no/such/plan.json")).unwrap_err();
        assert!(
            format!("{error:#}").contains("/no/such/plan.json"),
            "{error:#}"
        );
    }

    #[test]
    fn a_refused_module_comes_with_what_the_kernel_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("log"), "").unwrap();
        let log = KernelLog::from_end_of(&path("log"));
        fs::write(path("log"), "3,1,1000000,-;x: bad magic\n").unwrap();
        // No kernel takes an empty file for a module.
        fs::write(path("x.ko"), "").unwrap();
        let module = path("x.ko").to_str().unwrap().to_owned();
        let plan = Plan {
            modules: vec![module.clone()],
            ..Plan::default()
        };
        let sender = Sender::new(Vec::new());
        assert!(!load_modules(&plan, log, &sender));
        let received = Reader::new().push(&sender.into_port());
        let [Received::Frame(frame)] = &received[..] else {
            panic!("not one frame: {received:?}");
        };
        let Message::ModuleRefused {
            module: refused,
            error,
            kernel_log,
        } = &frame.message
        else {
            panic!("not refused: {frame:?}");
        };
        assert_eq!(*refused, module);
        assert!(error.starts_with("finit_module failed: "), "{error}");
        assert_eq!(kernel_log, "[    1.000000] x: bad magic\n");
    }

    #[test]
    fn an_unknown_field_of_a_plan_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), r#"{"port": "x", "surprise": 1}"#).unwrap();
        let error = read_plan(file.path()).unwrap_err();
        assert!(format!("{error:#}").contains("surprise"), "{error:#}");
    }
}
