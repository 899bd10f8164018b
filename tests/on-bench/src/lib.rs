// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the tests of a bench have in common: programs for the board that need no compiler.

mod calls;
pub mod copier;
pub mod gpio;

use std::time::Duration;

use agent_wire::message::Program;
use hil::agent::Process;
use hil::{Agent, Bench, Error, State};

pub use calls::{Argument, Call};

/// How long the loss of a board may take to be told: the agent's silence is the slowest sign.
pub const LOSS: Duration = Duration::from_secs(20);

/// How long a program of a few system calls may run.
const PROGRAM: Duration = Duration::from_secs(10);

/// Where such a program is put.
const PATH: &str = "/tmp/calls";

/// Does these system calls in a process on the board, and says how that ended.
///
/// # Errors
///
/// When the board is lost meanwhile, or one of the calls failed.
pub fn call_on_board(agent: &Agent, calls: &[Call<'_>]) -> hil::Result {
    call_with_memory(agent, calls, &[]).map(drop)
}

/// Does these system calls in a process on the board that has this memory, and returns what it has
/// written to standard output.
///
/// # Errors
///
/// When the board is lost meanwhile, or one of the calls failed.
pub fn call_with_memory(agent: &Agent, calls: &[Call<'_>], memory: &[u8]) -> hil::Result<Vec<u8>> {
    let output = start_calls(agent, calls, memory)?.output()?;
    if !output.success() {
        return Err(format!("the calls {calls:?} ended with {:?}", output.ended).into());
    }
    Ok(output.stdout)
}

/// Starts a process on the board that does these system calls with this memory.
///
/// # Errors
///
/// When the board is lost, or the process cannot be started.
pub fn start_calls(agent: &Agent, calls: &[Call<'_>], memory: &[u8]) -> hil::Result<Process> {
    let folder = tempfile::tempdir()?;
    let local = folder.path().join("calls");
    std::fs::write(&local, calls::program(calls, memory))?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&local, mode)?;
    agent.put(&local, PATH, &mut |_, _| {})?;
    let program = Program {
        // It may wait for what never comes.
        has_input: true,
        ..program(&[PATH])
    };
    Ok(agent.start(program)?)
}

/// Has the kernel do what a key of `Documentation/admin-guide/sysrq.rst` stands for, and returns
/// what was seen of it here.
pub fn press_sysrq(bench: &mut Bench, key: &str) -> hil::Result<Error> {
    let agent = bench.agent()?;
    let result = call_on_board(
        &agent,
        &[
            Call::open_to_write("/proc/sysrq-trigger"),
            Call::write(3, key),
        ],
    );
    match result.map_err(|error| error.downcast::<Error>()) {
        Err(Ok(error)) => Ok(bench.explain(*error)),
        Err(Err(other)) => Err(other),
        Ok(()) => Err(format!("the board has survived the key {key}").into()),
    }
}

/// A program on the board.
pub fn program(command: &[&str]) -> Program {
    Program {
        command: command.iter().map(|&word| word.to_owned()).collect(),
        limit_ms: u64::try_from(PROGRAM.as_millis()).ok(),
        ..Program::default()
    }
}

/// Boots the board of a bench again, and says which boot this is.
///
/// # Errors
///
/// When it does not become ready.
pub fn boots_again(bench: &mut Bench, before: &str) -> hil::Result {
    let now = bench.agent()?.about().boot.clone();
    if now == before {
        return Err(format!("the board still is in the boot {before}").into());
    }
    match bench.state()? {
        State::Ready => Ok(()),
        other => Err(format!("a board whose agent answers is {other:?}").into()),
    }
}
