// SPDX-License-Identifier: MIT OR Apache-2.0

//! A fixture keeps its bounds and says why, whatever its board does.

mod played;

use std::thread;
use std::time::{Duration, Instant};

use agent_wire::FATAL;
use agent_wire::connection::{Incoming, start};
use agent_wire::link::{Line, Side};
use agent_wire::message::{
    Answer, Ended, Failure, ModuleRefused, PROTOCOL, Program, Reply, Request, Stream, encode,
};
use hil::{Error, Lost, State};
use played::{BOOT, answering, play, welcome};

fn lost(error: &Error) -> &Lost {
    match error {
        Error::Lost { lost, .. } => lost,
        other => panic!("not lost: {other}"),
    }
}

#[test]
fn a_board_is_brought_to_a_state_from_wherever_it_is() {
    let mut played = answering(|call, reply| {
        reply(Reply::Done);
        call.request != Request::PowerOff
    })
    .unwrap();
    let fixture = &mut played.fixture;
    assert_eq!(fixture.state(), State::Off);
    fixture.reach(State::Booting).unwrap();
    assert_eq!(fixture.state(), State::Booting);
    let about = fixture.agent().unwrap().about().clone();
    assert_eq!(fixture.state(), State::Ready);
    assert_eq!(about.kernel, "7.3.4-test");
    assert!(about.started < Instant::now());
    fixture.reach(State::Ready).unwrap();
    fixture.reach(State::Off).unwrap();
    assert_eq!(fixture.state(), State::Off);
    fixture.reach(State::Off).unwrap();
    fixture.reach(State::Ready).unwrap();
    let boots: Vec<_> = fixture
        .boots()
        .all()
        .iter()
        .map(|b| b.duration.is_some())
        .collect();
    assert_eq!(boots, [true, true]);
    assert_eq!(*played.log.lock().unwrap(), ["on", "off", "on"]);
}

#[test]
fn a_dropped_fixture_is_off() {
    let mut played = answering(|_, _| true).unwrap();
    played.fixture.reach(State::Ready).unwrap();
    drop(played.fixture);
    assert_eq!(*played.log.lock().unwrap(), ["on", "off"]);
}

#[test]
fn a_board_that_says_nothing_is_given_up_in_time_and_switched_off() {
    let mut played = play(|_, mut lines| {
        lines.print("[    0.000000] Booting Linux\r\nU-Boot stuck");
        thread::sleep(BOOT * 4);
    })
    .unwrap();
    let begun = Instant::now();
    let error = played.fixture.agent().unwrap_err();
    assert!(matches!(error, Error::BootTimeout { .. }), "{error}");
    assert!(error.is_timeout());
    assert_eq!(
        error.evidence(),
        ["[    0.000000] Booting Linux", "U-Boot stuck"]
    );
    assert!((BOOT..BOOT * 2).contains(&begun.elapsed()));
    assert_eq!(played.fixture.state(), State::Off);
}

#[test]
fn a_panic_during_boot_is_told_at_once() {
    let mut played = play(|_, mut lines| {
        lines.print("[ 1.0] Kernel panic - not syncing: VFS: no root\r\n[ 1.1] the end\n");
        thread::sleep(BOOT * 4);
    })
    .unwrap();
    let begun = Instant::now();
    let error = played.fixture.agent().unwrap_err();
    let line = "Kernel panic - not syncing: VFS: no root".to_owned();
    assert_eq!(*lost(&error), Lost::Panic { line });
    assert!(!error.evidence().is_empty());
    assert!(begun.elapsed() < BOOT);
}

#[test]
fn an_agent_that_gives_up_is_told_from_a_panic() {
    let mut played = play(|_, mut lines| {
        lines.print(&format!("{FATAL} no port \"ttyX\"\n"));
        thread::sleep(BOOT * 4);
    })
    .unwrap();
    let error = played.fixture.agent().unwrap_err();
    let line = "no port \"ttyX\"".to_owned();
    assert_eq!(*lost(&error), Lost::GaveUp { line });
}

#[test]
fn a_module_that_the_kernel_refuses_is_named_with_the_kernels_log() {
    let mut played = play(|_, lines| {
        let refused = ModuleRefused {
            module: "/lib/x.ko".into(),
            error: "ENOEXEC".into(),
            kernel_log: vec![agent_wire::Record {
                sequence: 1,
                time_us: 1_500_000,
                level: 3,
                text: "x: disagrees about version".into(),
            }],
        };
        let Ok(reader) = lines.agent.try_clone() else {
            return;
        };
        let (outbox, inbox) = start(reader, lines.agent, Line::STREAM, Side::Answerer);
        while let Some(incoming) = inbox.next() {
            if matches!(incoming, Incoming::Message(_)) {
                let reply = welcome(PROTOCOL, Some(refused.clone()));
                let bytes = encode(&Answer { number: 1, reply }).unwrap_or_default();
                let _ = outbox.send(bytes);
            }
        }
    })
    .unwrap();
    let error = played.fixture.agent().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the kernel refused module /lib/x.ko: ENOEXEC"
    );
    assert_eq!(
        error.evidence(),
        ["[    1.500000] x: disagrees about version"]
    );
}

#[test]
fn an_agent_of_another_version_is_refused_with_both_versions() {
    let mut played = play(|_, lines| drop(lines.serve(PROTOCOL + 1, |_, _| true))).unwrap();
    let error = played.fixture.agent().unwrap_err();
    assert!(matches!(error, Error::OtherVersion { .. }), "{error}");
    assert!(error.to_string().contains("0.0.7"), "{error}");
}

#[test]
fn a_panic_while_a_program_runs_ends_the_wait_and_a_ready_board_is_booted_anew() {
    let mut played = play(|boot, lines| {
        let mut lines = lines.serve(PROTOCOL, |call, reply| {
            if boot > 1 {
                reply(Reply::Pong);
                return true;
            }
            reply(Reply::Started { pid: 7 });
            let stream = Stream::Stdout;
            let bytes = b"before".to_vec();
            reply(Reply::Output { stream, bytes });
            !matches!(call.request, Request::Run(_))
        });
        // The line to the agent ends first: the panic explains that.
        drop(lines.agent.shutdown(std::net::Shutdown::Both));
        thread::sleep(Duration::from_millis(100));
        lines.print("[ 9.0] Kernel panic - not syncing: Oops\n");
        thread::sleep(BOOT * 4);
    })
    .unwrap();
    let agent = played.fixture.agent().unwrap();
    let mut heard = Vec::new();
    let program = Program::default();
    let error = agent.run(program, |_, bytes| heard.extend(bytes.to_vec()));
    let line = "Kernel panic - not syncing: Oops".to_owned();
    assert_eq!(*lost(&error.unwrap_err()), Lost::Panic { line });
    assert_eq!(heard, b"before");
    assert!(agent.ping().is_err(), "what is lost stays lost");
    assert_eq!(played.fixture.state(), State::Booting);
    played.fixture.agent().unwrap().ping().unwrap();
    assert_eq!(*played.log.lock().unwrap(), ["on", "off", "on"]);
}

#[test]
fn a_board_that_starts_anew_by_itself_is_noticed() {
    let mut played = play(|_, lines| {
        let lines = lines.serve(PROTOCOL, |_, _| false);
        drop(lines.serve(PROTOCOL, |_, _| true));
    })
    .unwrap();
    let agent = played.fixture.agent().unwrap();
    let error = agent.ping().unwrap_err();
    assert_eq!(*lost(&error), Lost::Restarted);
}

#[test]
fn power_that_is_cut_ends_every_wait() {
    let mut played = answering(|_, _| true).unwrap();
    let agent = played.fixture.agent().unwrap();
    let waits = thread::spawn(move || agent.ping());
    thread::sleep(Duration::from_millis(100));
    played.fixture.cut_power().unwrap();
    let error = waits.join().unwrap().unwrap_err();
    assert_eq!(*lost(&error), Lost::SwitchedOff);
}

#[test]
fn what_the_agent_cannot_do_is_an_error_with_its_reason() {
    let mut played = answering(|_, reply| {
        reply(Reply::Failed(Failure {
            attempt: "cannot load x.ko".into(),
            reason: "ENOEXEC".into(),
            errno: Some(8),
        }));
        true
    })
    .unwrap();
    let agent = played.fixture.agent().unwrap();
    let error = agent.load_module("/x.ko", "").unwrap_err();
    assert_eq!(error.to_string(), "cannot load x.ko: ENOEXEC");
}

#[test]
fn an_answer_to_something_else_is_refused() {
    let mut played = answering(|_, reply| {
        reply(Reply::Ended(Ended::default()));
        true
    })
    .unwrap();
    let agent = played.fixture.agent().unwrap();
    assert!(matches!(
        agent.ping().unwrap_err(),
        Error::OutOfOrder { .. }
    ));
}

#[test]
fn many_ask_at_the_same_time_and_each_gets_his_own_answer() {
    let mut played = answering(|call, reply| {
        let Request::KernelLog { from } = call.request else {
            return false;
        };
        reply(Reply::KernelLog {
            records: Vec::new(),
            next: from,
            lost: 0,
            taint: 0,
            uptime_us: 0,
        });
        true
    })
    .unwrap();
    let agent = played.fixture.agent().unwrap();
    thread::scope(|scope| {
        for thread in 0..8_u64 {
            let agent = agent.clone();
            scope.spawn(move || {
                for number in 0..50 {
                    let from = thread * 1000 + number;
                    assert_eq!(agent.kernel_log(from).unwrap().next, from);
                }
            });
        }
    });
}

#[test]
fn the_console_is_logged_with_both_clocks() {
    let mut played = play(|_, mut lines| {
        lines.print("[    1.250000] hello\n");
        drop(lines.serve(PROTOCOL, |_, _| true));
    })
    .unwrap();
    played.fixture.agent().unwrap();
    let lines = played.fixture.console().since(0);
    assert_eq!(lines[0].text, "[    1.250000] hello");
    assert_eq!(lines[0].target, Some(Duration::from_millis(1250)));
    assert!(lines[0].host.elapsed().unwrap() < Duration::from_secs(60));
}
