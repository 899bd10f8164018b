// SPDX-License-Identifier: MIT OR Apache-2.0

//! The agent: does on the board what the bench asks for.
//!
//! In an emulated board the agent is the first program: it mounts what programs expect, loads the
//! plan's modules, starts its services, and then serves whoever calls at its port, until it is told
//! to switch the board off. On a board with a system of its own it is a program that serves its
//! standard input and output, as a remote login gives them. What cannot be said by a reply is said
//! on the console, in lines that begin with `bringup-agent:`, and when no replies will come any more,
//! with [`agent_wire::FATAL`].

mod files;
mod kernel_log;
mod modules;
mod mounts;
mod port;
mod power;
mod processes;
mod program;
mod replies;
mod restore;
mod serve;

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::panic::catch_unwind;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use agent_wire::connection::start;
use agent_wire::link::{Line, Side};
use agent_wire::message::ModuleRefused;
use agent_wire::{FATAL, Plan, Port};
use anyhow::Context as _;

use self::kernel_log::KernelLog;
use self::restore::Baseline;
use self::serve::{End, Server, finish};
use crate::exit;

/// How long to wait before a port that has failed is opened again.
const PAUSE: Duration = Duration::from_secs(1);

/// The agent as PID 1, which must not end: the kernel would panic.
pub(crate) fn init(plan: &Path) -> ExitCode {
    let served = catch_unwind(|| {
        mounts::mount_all();
        log_crashes();
        run(plan)
    });
    match served {
        Ok(Ok(end)) => finish(end),
        Ok(Err(error)) => {
            give_up(&format!("{error:#}"));
            power::off();
        }
        // What it was about, the panic has said itself.
        Err(_) => {
            give_up("the agent panicked");
            power::off();
        }
    }
    power::idle()
}

/// Has the kernel say in its log where and why a program crashed.
fn log_crashes() {
    // As in kernel/sysctl.c; not every kernel is built with it.
    let _ = fs::write("/proc/sys/debug/exception-trace", "1");
}

/// The agent on the port of a plan, as a program that somebody else has started.
pub(crate) fn serve_port(plan: &Path) -> ExitCode {
    match run(plan) {
        Ok(end) => {
            finish(end);
            ExitCode::SUCCESS
        }
        Err(error) => {
            give_up(&format!("{error:#}"));
            exit::Exit::Failed.into()
        }
    }
}

/// The agent on its standard input and output.
pub(crate) fn serve_stdio() -> ExitCode {
    let mut server = server(Plan::default());
    let (outbox, inbox) = start(io::stdin(), io::stdout(), Line::STREAM, Side::Answerer);
    finish(server.serve(&outbox, &inbox));
    ExitCode::SUCCESS
}

/// Prepares the board as the plan says and serves its port for ever.
fn run(plan: &Path) -> anyhow::Result<End> {
    let plan = read_plan(plan)?;
    let port = plan.port.clone();
    let mut server = server(plan);
    let Some(port) = port else {
        // Whoever comes by a remote login brings an agent of his own.
        power::idle();
    };
    loop {
        match serve_once(&port, &mut server)? {
            // A serial line does not end, but a device of which it is one may.
            End::Closed => thread::sleep(PAUSE),
            end => return Ok(end),
        }
    }
}

fn serve_once(port: &Port, server: &mut Server) -> anyhow::Result<End> {
    let file = port::open(&port.name)?;
    let reader = file.try_clone().context("cannot share the port")?;
    let (outbox, inbox) = start(reader, file, port.kind.line(), Side::Answerer);
    Ok(server.serve(&outbox, &inbox))
}

fn server(plan: Plan) -> Server {
    let is_init = std::process::id() == 1;
    if !is_init {
        // What a program leaves behind becomes a child of the agent, which can end it.
        if let Err(errno) = nix::sys::prctl::set_child_subreaper(true) {
            complain(&format!("cannot become a subreaper: {errno}"));
        }
    }
    let mut kernel_log = KernelLog::open();
    let refused = load_modules(&plan, &mut kernel_log);
    let services = plan.services.iter().filter_map(|c| start_service(c));
    let services = services.collect();
    Server {
        baseline: Arc::new(Baseline::now(plan, services)),
        refused,
        kernel_log,
        is_init,
    }
}

fn read_plan(path: &Path) -> anyhow::Result<Plan> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no plan", path.display()))
}

/// Loads the modules of the plan up to the first that is refused, and says which that was.
fn load_modules(plan: &Plan, log: &mut KernelLog) -> Option<ModuleRefused> {
    let before = log.part(u64::MAX).next;
    for module in &plan.modules {
        if let Err(error) = modules::load_in_time(module.path.as_ref(), "") {
            return Some(ModuleRefused {
                module: module.path.clone(),
                error: format!("{error:#}"),
                kernel_log: log.part(before).records,
            });
        }
    }
    None
}

/// Starts a service, and returns its process.
fn start_service(command: &[String]) -> Option<i32> {
    let (path, arguments) = command.split_first()?;
    let mut service = Command::new(path);
    service.args(arguments).stdin(Stdio::null());
    // Its output goes to the console, where the bench sees it.
    let started = service.process_group(0).spawn();
    match started {
        Ok(child) => i32::try_from(child.id()).ok(),
        Err(error) => {
            complain(&format!("cannot start the service {path}: {error}"));
            None
        }
    }
}

/// Says on the console why no more replies will come.
fn give_up(why: &str) {
    eprintln!("{FATAL} {why}");
}

/// Says on the console what cannot be said by a reply.
fn complain(what: &str) {
    eprintln!("bringup-agent: {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_cannot_be_read_is_named() {
        let error = run(Path::new("/no/such/plan.json")).unwrap_err();
        assert!(
            format!("{error:#}").contains("/no/such/plan.json"),
            "{error:#}"
        );
    }

    #[test]
    fn an_unknown_field_of_a_plan_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), r#"{"port": null, "surprise": 1}"#).unwrap();
        let error = read_plan(file.path()).unwrap_err();
        assert!(format!("{error:#}").contains("surprise"), "{error:#}");
    }
}
