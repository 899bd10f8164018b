// SPDX-License-Identifier: MIT OR Apache-2.0

//! The agent from the plan to the last frame, with a pseudo-terminal for a serial line.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::time::Duration;

use agent_wire::{FATAL, Message, Plan, Program, Reader, Received, Stream};
use kernel_channels::{Interest, poll};

fn program(command: &[&str]) -> Program {
    Program {
        command: command.iter().map(ToString::to_string).collect(),
        environment: BTreeMap::new(),
        limit_seconds: 60,
    }
}

/// Takes a frame for its message; anything else is a damaged line.
fn message(received: Received) -> Message {
    match received {
        Received::Frame(frame) => frame.message,
        other => panic!("the line damaged a frame: {other:?}"),
    }
}

/// Carries a plan out, on a terminal that is not raw at first, and returns what was sent.
macro_rules! carry_out {
    ($plan:expr) => {{
        let terminal = nix::pty::openpty(None, None).unwrap();
        let link = format!("/proc/self/fd/{}", terminal.slave.as_raw_fd());
        let port = fs::read_link(link).unwrap();
        let plan = Plan {
            port: port.strip_prefix("/dev").unwrap().to_str().unwrap().into(),
            ..$plan
        };
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), serde_json::to_vec(&plan).unwrap()).unwrap();
        let mut agent = Command::new(env!("CARGO_BIN_EXE_bringup-target"))
            .args(["agent", "--plan"])
            .arg(file.path())
            .spawn()
            .unwrap();
        let mut line = File::from(terminal.master);
        let (mut reader, mut messages) = (Reader::new(), Vec::new());
        while !matches!(messages.last(), Some(Message::Finished { .. })) {
            let timeout = Some(Duration::from_secs(20));
            assert!(poll(&line, Interest::READABLE, timeout).unwrap().readable);
            let mut bytes = [0; 4096];
            let length = line.read(&mut bytes).unwrap();
            assert!(!bytes[..length].contains(&b'\r'), "the terminal is not raw");
            messages.extend(reader.push(&bytes[..length]).into_iter().map(message));
        }
        assert!(agent.wait().unwrap().success());
        messages
    }};
}

#[test]
fn a_plan_is_carried_out_and_reported_in_order() {
    let messages = carry_out!(Plan {
        programs: vec![
            program(&["/bin/sh", "-c", "printf 'one\\ntwo\\n'; exit 5"]),
            program(&["/no/such/program"]),
            program(&["/bin/sh", "-c", "kill -11 $$"]),
        ],
        ..Plan::default()
    });
    let [
        Message::Ready { kernel, uptime_ms },
        Message::Started { program: 0 },
        Message::Output {
            program: 0,
            stream: Stream::Stdout,
            bytes,
        },
        Message::Ended {
            program: 0,
            code: Some(5),
            signal: None,
            error: None,
            ..
        },
        Message::Ended {
            program: 1,
            code: None,
            signal: None,
            error: Some(error),
            ..
        },
        Message::Started { program: 2 },
        Message::Ended {
            program: 2,
            code: None,
            signal: Some(11),
            error: None,
            ..
        },
        Message::Finished { .. },
    ] = &messages[..]
    else {
        panic!("other messages: {messages:#?}");
    };
    assert_eq!(bytes, b"one\ntwo\n");
    assert!(error.contains("/no/such/program"), "{error}");
    assert!(!kernel.is_empty() && *uptime_ms > 0);
}

#[test]
fn a_module_that_is_refused_keeps_all_programs_from_running() {
    let messages = carry_out!(Plan {
        modules: vec!["/no/such/module.ko".to_owned()],
        programs: vec![program(&["/bin/true"])],
        ..Plan::default()
    });
    let [
        Message::Ready { .. },
        Message::ModuleRefused { module, error, .. },
        Message::Finished { .. },
    ] = &messages[..]
    else {
        panic!("other messages: {messages:#?}");
    };
    assert_eq!(module, "/no/such/module.ko");
    assert!(error.contains("No such file"), "{error}");
}

#[test]
fn a_plan_that_is_missing_ends_the_agent_with_an_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_bringup-target"))
        .args(["agent", "--plan", "/no/such/plan.json"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.starts_with(&format!("{FATAL} cannot read /no/such/plan.json")),
        "{errors}"
    );
}

#[test]
fn wrong_usage_has_an_exit_code_of_its_own() {
    let code = |arguments: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_bringup-target"));
        program.args(arguments).output().unwrap().status.code()
    };
    assert_eq!(code(&["tour", "--nonsense"]), Some(2));
    assert_eq!(code(&["channel", "cellar"]), Some(2));
}
