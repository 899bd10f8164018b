// SPDX-License-Identifier: MIT OR Apache-2.0

//! A session ends within its bounds and says why, whatever the board does.
//!
//! The board here is a shell script in the emulator's place: it inherits the same channels, so
//! every misbehaviour of a board can be played to the session.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::Command;
use std::time::{Duration, Instant};

use agent_wire::{Damage, FATAL, Frame, Message, Stream};
use board_spec::Board;
use hil::qemu::{Images, Machine};
use hil::{Error, Limits, Observer, Outcome, Session};

const LIMITS: Limits = Limits {
    boot: Duration::from_millis(1500),
    run: Duration::from_millis(1500),
};

#[derive(Default)]
struct Heard {
    console: Vec<String>,
    messages: Vec<Message>,
}

impl Observer for Heard {
    fn console(&mut self, line: &str) {
        self.console.push(line.to_owned());
    }

    fn message(&mut self, message: &Message) {
        self.messages.push(message.clone());
    }
}

fn board() -> Board {
    let boards = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards");
    let boards = board_spec::Boards::find(&boards).unwrap();
    boards.board(boards.default_name()).unwrap()
}

/// Runs `script` as the emulator. File descriptor 10 is the console, 11 the agent's port, 12 the
/// monitor; `obey` waits until the monitor is told to quit.
fn start(script: &str) -> Session {
    let script = &format!("obey() {{ read -ru 12 _; read -ru 12 _; }}; {script}");
    let images = Images {
        kernel: "kernel".into(),
        initramfs: "initramfs".into(),
        device_tree: None,
        kernel_arguments: Vec::new(),
    };
    // dash knows no file descriptors beyond 9 in redirections.
    let mut program = Command::new("bash");
    program.args(["-c", script, "emulator"]);
    Session::new(Machine::start(program, &board(), &images).unwrap())
}

fn follow(script: &str) -> (Result<Outcome, Error>, Heard) {
    let mut heard = Heard::default();
    let result = start(script).follow(LIMITS, &mut heard);
    (result, heard)
}

/// A shell command that sends this frame.
fn send(sequence: u64, message: Message) -> String {
    let frame = Frame { sequence, message }.encode().unwrap();
    format!("printf '%s\\n' '{}' >&11;", frame.trim_end())
}

fn ready() -> String {
    let kernel = "7.3.4-test".to_owned();
    send(
        0,
        Message::Ready {
            kernel,
            uptime_ms: 1,
        },
    )
}

fn finished(sequence: u64) -> String {
    send(sequence, Message::Finished { taint: 12288 })
}

#[test]
fn a_board_that_does_its_work_is_followed_to_the_end() {
    let output = Message::Output {
        program: 0,
        stream: Stream::Stdout,
        bytes: b"hello\n".to_vec(),
    };
    let script = format!(
        "echo 'Booting Linux' >&10; {}{}{} obey",
        ready(),
        send(1, output.clone()),
        finished(2)
    );
    let (result, heard) = follow(&script);
    let outcome = result.unwrap();
    assert_eq!(outcome.kernel, "7.3.4-test");
    assert_eq!(outcome.taint, 12288);
    assert!(heard.messages.contains(&output));
}

#[test]
fn an_emulator_that_ends_right_after_the_last_frame_has_done_its_work() {
    for _ in 0..20 {
        let (result, _) = follow(&format!("exec 10>&-; {}{}", ready(), finished(1)));
        assert_eq!(result.unwrap().taint, 12288);
    }
}

#[test]
fn a_board_that_never_answers_ends_at_the_bound() {
    let begin = Instant::now();
    let (result, _) = follow("echo 'last words' >&10; obey");
    let error = result.unwrap_err();
    assert!(matches!(error, Error::BootTimeout { .. }), "{error:?}");
    assert!(error.is_timeout());
    assert_eq!(error.evidence(), ["last words"]);
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_board_that_never_falls_silent_ends_at_the_bound_too() {
    let (result, _) = follow("exec yes chatter >&10");
    assert!(
        matches!(result, Err(Error::BootTimeout { .. })),
        "{result:?}"
    );
}

#[test]
fn programs_that_never_end_are_told_from_a_boot_that_hangs() {
    let (result, _) = follow(&format!("{} obey", ready()));
    assert!(
        matches!(result, Err(Error::RunTimeout { .. })),
        "{result:?}"
    );
}

#[test]
fn a_panic_is_reported_with_the_lines_around_it() {
    let script = "echo 'before' >&10; echo '[ 1.0] Kernel panic - not syncing: no init' >&10; \
                  echo '---[ end' >&10; obey";
    let (result, _) = follow(script);
    let Err(Error::Panic {
        line,
        booted,
        console,
    }) = result
    else {
        panic!("{result:?}");
    };
    assert!(!booted);
    assert_eq!(line, "Kernel panic - not syncing: no init");
    assert_eq!(console.first().map(String::as_str), Some("before"));
    assert_eq!(console.last().map(String::as_str), Some("---[ end"));
}

#[test]
fn a_panic_after_boot_is_told_from_one_during_boot() {
    let script = format!(
        "{} echo 'Kernel panic - not syncing: Oops' >&10; obey",
        ready()
    );
    let (result, _) = follow(&script);
    assert!(
        matches!(result, Err(Error::Panic { booted: true, .. })),
        "{result:?}"
    );
}

#[test]
fn an_agent_that_cannot_speak_is_heard_on_the_console() {
    let (result, _) = follow(&format!("echo '{FATAL} no port ttyX' >&10; obey"));
    let Err(Error::Agent { line, .. }) = result else {
        panic!("{result:?}");
    };
    assert_eq!(line, "no port ttyX");
}

#[test]
fn an_emulator_that_refuses_its_arguments_is_quoted() {
    let (result, _) = follow("echo 'no such machine' >&2; exit 1");
    let Err(Error::Ended { status, stderr, .. }) = result else {
        panic!("{result:?}");
    };
    assert!(status.contains('1'), "{status}");
    assert_eq!(stderr, "no such machine\n");
}

#[test]
fn an_emulator_that_dies_in_the_middle_is_no_success() {
    let (result, _) = follow(&format!("{} kill -9 $$", ready()));
    let Err(Error::Ended { status, .. }) = result else {
        panic!("{result:?}");
    };
    assert!(status.contains("signal: 9"), "{status}");
}

#[test]
fn a_module_that_is_refused_comes_with_the_kernels_reason() {
    let refused = Message::ModuleRefused {
        module: "/lib/modules/x.ko".into(),
        error: "ENOEXEC".into(),
        kernel_log: "x: version magic\n".into(),
    };
    let (result, _) = follow(&format!("{}{} obey", ready(), send(1, refused)));
    let error = result.unwrap_err();
    assert!(matches!(error, Error::ModuleRefused { .. }), "{error:?}");
    assert_eq!(error.evidence(), ["x: version magic"]);
}

#[test]
fn a_damaged_frame_is_an_error_not_a_silent_gap() {
    let line = format!("{}{}", ready(), finished(1).replace("12288", "12289"));
    let (result, _) = follow(&format!("{line} obey"));
    assert!(
        matches!(result, Err(Error::Damaged(Damage::Checksum { .. }))),
        "{result:?}"
    );
}

#[test]
fn a_lost_frame_is_an_error() {
    let (result, _) = follow(&format!("{}{} obey", ready(), finished(2)));
    assert!(
        matches!(
            result,
            Err(Error::Lost {
                expected: 1,
                found: 2
            })
        ),
        "{result:?}"
    );
}

#[test]
fn an_agent_that_finishes_without_having_been_ready_is_no_success() {
    let (result, _) = follow(&format!("{} obey", finished(0)));
    assert!(matches!(result, Err(Error::NeverReady)), "{result:?}");
}

#[test]
fn an_emulator_that_ignores_its_monitor_is_ended_all_the_same() {
    let mut session = start(&format!(
        "trap '' TERM INT; {}{} exec sleep 600",
        ready(),
        finished(1)
    ));
    let pid = session.pid();
    session.follow(LIMITS, &mut Heard::default()).unwrap();
    let begin = Instant::now();
    session.power_off(&mut Heard::default());
    assert!(begin.elapsed() < Duration::from_secs(20));
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn a_session_that_is_dropped_leaves_no_emulator() {
    let session = start("exec sleep 600");
    let pid = session.pid();
    drop(session);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}
