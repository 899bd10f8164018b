// SPDX-License-Identifier: MIT OR Apache-2.0

//! A board that is served: one user after the other, warm in between, off when something is amiss.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod played;

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use agent_wire::message::{Call, Ended, PROTOCOL, Program, Reply, Request, Stream};
use hil::server::{Settings, TroubleKind, serve, socket};
use hil::{Bench, Error, State, bench};
use played::{BOOT, Played, answering, play, play_within};

const PATIENCE: Duration = Duration::from_secs(20);

/// A server in a thread, and where it is.
struct Served {
    path: PathBuf,
    power: Arc<Mutex<Vec<&'static str>>>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<std::io::Result<()>>,
    _folder: tempfile::TempDir,
}

fn served(played: Played, idle: Duration) -> played::Result<Served> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("bench.socket");
    let listener = socket::listen(&path)?;
    let settings = Settings {
        name: "desk".into(),
        key: "k1".into(),
        idle,
    };
    let power = played.log.clone();
    let stop = Arc::new(AtomicBool::new(false));
    let ends = stop.clone();
    let thread = thread::spawn(move || serve(played.fixture, &listener, settings, ends));
    Ok(Served {
        path,
        power,
        stop,
        thread,
        _folder: folder,
    })
}

impl Served {
    fn hold(&self, who: &str) -> Result<Bench, Error> {
        Bench::hold(&self.path, who, &mut |_| {})
    }

    fn power(&self) -> Vec<&'static str> {
        self.power.lock().map(|log| log.clone()).unwrap_or_default()
    }

    fn wait_for_end(self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.thread.is_finished() {
            assert!(Instant::now() < deadline, "the server goes on");
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(self.power().last(), Some(&"off"));
    }
}

/// An agent that runs programs which echo their name, and restores without complaint.
fn obliging(call: &Call, reply: &dyn Fn(Reply)) -> bool {
    match &call.request {
        Request::Ping => reply(Reply::Pong),
        Request::Run(program) => {
            reply(Reply::Started { pid: 7 });
            reply(Reply::Output {
                stream: Stream::Stdout,
                bytes: program.command.join(" ").into_bytes(),
            });
            reply(Reply::Ended(Ended {
                code: Some(0),
                ..Ended::default()
            }));
        }
        Request::Restore { .. } => reply(Reply::Restored {
            done: Vec::new(),
            left: Vec::new(),
        }),
        _ => reply(Reply::Done),
    }
    true
}

#[test]
fn users_come_one_after_the_other_and_find_the_board_warm() {
    let served = served(answering(obliging).unwrap(), PATIENCE).unwrap();
    for _ in 0..3 {
        let mut bench = served.hold("me").unwrap();
        bench.reach(State::Ready).unwrap();
        let output = bench.agent().unwrap().output(&["/bin/x", "y"]).unwrap();
        assert_eq!(output.stdout, b"/bin/x y");
        assert!(output.success());
        bench.release(true).unwrap();
    }
    assert_eq!(served.power(), ["on"]);
    let about = bench::about(&served.path).unwrap();
    assert_eq!((about.name.as_str(), about.key.as_str()), ("desk", "k1"));
    assert_eq!((about.boots.len(), about.holder), (1, None));
    bench::stop(&served.path).unwrap();
    served.wait_for_end();
}

#[test]
fn between_users_the_board_is_restored_and_if_that_fails_switched_off() {
    let restored = Arc::new(Mutex::new(0_usize));
    let count = restored.clone();
    let agent = move |call: &Call, reply: &dyn Fn(Reply)| {
        if let Request::Restore { reload_modules } = call.request {
            let mut count = count.lock().unwrap();
            *count += usize::from(reload_modules);
            reply(Reply::Restored {
                done: Vec::new(),
                left: vec!["process 9 does not end".into(); count.saturating_sub(1)],
            });
            return true;
        }
        obliging(call, reply)
    };
    let served = served(answering(agent).unwrap(), PATIENCE).unwrap();
    for expected in [["on"].as_slice(), &["on", "off"]] {
        let mut bench = served.hold("me").unwrap();
        bench.agent().unwrap().ping().unwrap();
        bench.release(true).unwrap();
        // Held once it has been done.
        served.hold("next").unwrap().release(false).unwrap();
        assert_eq!(served.power(), expected);
    }
    assert_eq!(*restored.lock().unwrap(), 2);
}

#[test]
fn one_who_has_ended_is_not_named_to_who_waits_for_the_board_to_be_restored() {
    let agent = |call: &Call, reply: &dyn Fn(Reply)| {
        if let Request::Restore { .. } = call.request {
            // Longer than it takes until who waits is told for whom.
            thread::sleep(Duration::from_millis(300));
        }
        obliging(call, reply)
    };
    let served = served(answering(agent).unwrap(), PATIENCE).unwrap();
    let mut bench = served.hold("me").unwrap();
    bench.agent().unwrap().ping().unwrap();
    bench.release(false).unwrap();
    let holder = bench::about(&served.path).unwrap().holder.unwrap();
    assert!(holder.starts_with("its bench"), "{holder}");
    let mut told = Vec::new();
    let mut waiting = |holder: &str| told.push(holder.to_owned());
    let next = Bench::hold(&served.path, "next", &mut waiting).unwrap();
    assert_eq!(next.about().unwrap().holder.as_deref(), Some("next"));
    next.release(false).unwrap();
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn one_who_goes_without_a_word_leaves_no_board_that_is_on() {
    let served = served(answering(obliging).unwrap(), PATIENCE).unwrap();
    let mut bench = served.hold("me").unwrap();
    bench.agent().unwrap();
    drop(bench);
    served.wait_for_end();
}

#[test]
fn one_who_has_borrowed_it_leaves_a_board_that_is_off_to_who_has_lent_it() {
    let served = served(answering(obliging).unwrap(), PATIENCE).unwrap();
    let lender = served.hold("lender").unwrap();
    let borrow = || Bench::borrow(&served.path, lender.loan(), "me", &mut |_| {});
    let mut orderly = borrow().unwrap();
    orderly.agent().unwrap().ping().unwrap();
    orderly.release(true).unwrap();
    let mut hasty = borrow().unwrap();
    hasty.agent().unwrap().ping().unwrap();
    assert_eq!(served.power(), ["on"]);
    drop(hasty);
    // Comes after what the one before has left.
    let mut next = borrow().unwrap();
    assert_eq!(next.state().unwrap(), State::Off);
    next.agent().unwrap().ping().unwrap();
    assert_eq!(served.power(), ["on", "off", "on"]);
    next.release(true).unwrap();
    // Nobody else could come in between, and the lender knows of all of it.
    assert_eq!(lender.about().unwrap().boots.len(), 2);
    let holder = bench::about(&served.path).unwrap().holder;
    assert_eq!(holder.as_deref(), Some("lender"));
    lender.release(false).unwrap();
    bench::stop(&served.path).unwrap();
    served.wait_for_end();
}

#[test]
fn a_loan_ends_with_the_hold_that_it_is_within() {
    let served = served(answering(obliging).unwrap(), PATIENCE).unwrap();
    let lender = served.hold("lender").unwrap();
    let loan = lender.loan();
    let mut borrower = Bench::borrow(&served.path, loan, "me", &mut |_| {}).unwrap();
    borrower.reach(State::Ready).unwrap();
    lender.release(false).unwrap();
    let mut next = served.hold("next").unwrap();
    let error = borrower.reach(State::Off).unwrap_err();
    assert!(error.to_string().contains("must hold the board"), "{error}");
    let error = Bench::borrow(&served.path, loan, "late", &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("must hold the board"), "{error}");
    // The board is the next holder's, whatever the borrower does.
    next.reach(State::Ready).unwrap();
    drop(borrower);
    thread::sleep(Duration::from_millis(200));
    assert_eq!(next.state().unwrap(), State::Ready);
    next.release(false).unwrap();
}

#[test]
fn without_users_it_ends_after_a_while() {
    let served = served(answering(obliging).unwrap(), Duration::from_millis(300)).unwrap();
    let mut bench = served.hold("me").unwrap();
    bench.agent().unwrap();
    thread::sleep(Duration::from_millis(600));
    assert!(!served.thread.is_finished(), "it is held");
    bench.release(true).unwrap();
    served.wait_for_end();
}

#[test]
fn who_waits_is_told_for_whom() {
    let served = served(answering(obliging).unwrap(), PATIENCE).unwrap();
    let first = served.hold("pid 1: first").unwrap();
    thread::scope(|scope| {
        let waits = scope.spawn(|| {
            let mut told = Vec::new();
            let bench = Bench::hold(&served.path, "second", &mut |who| told.push(who.to_owned()));
            (bench.unwrap(), told)
        });
        thread::sleep(Duration::from_millis(300));
        assert!(!waits.is_finished());
        let holder = bench::about(&served.path).unwrap().holder;
        assert_eq!(holder.as_deref(), Some("pid 1: first"));
        first.release(true).unwrap();
        let (second, told) = waits.join().unwrap();
        assert_eq!(told, ["pid 1: first"]);
        second.release(true).unwrap();
    });
}

#[test]
fn many_requests_at_once_get_their_own_answers_through_the_server() {
    let served = served(answering(obliging).unwrap(), PATIENCE).unwrap();
    let mut bench = served.hold("me").unwrap();
    let agent = bench.agent().unwrap();
    thread::scope(|scope| {
        for thread in 0..6 {
            let agent = agent.clone();
            scope.spawn(move || {
                for number in 0..20 {
                    let name = format!("/bin/{thread}.{number}");
                    let output = agent.output(&[&name]).unwrap();
                    assert_eq!(output.stdout, name.as_bytes());
                }
            });
        }
    });
    bench.release(true).unwrap();
}

#[test]
fn what_a_user_has_started_ends_with_him() {
    let signals = Arc::new(Mutex::new(Vec::new()));
    let seen = signals.clone();
    let agent = move |call: &Call, reply: &dyn Fn(Reply)| match &call.request {
        Request::Run(_) => {
            reply(Reply::Started { pid: 7 });
            true
        }
        Request::Signal { signal } => {
            seen.lock().unwrap().push(*signal);
            true
        }
        _ => obliging(call, reply),
    };
    let served = served(answering(agent).unwrap(), PATIENCE).unwrap();
    let mut bench = served.hold("me").unwrap();
    let process = bench.agent().unwrap().start(Program::default()).unwrap();
    drop(process);
    bench.release(true).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while signals.lock().unwrap().is_empty() {
        assert!(Instant::now() < deadline, "it was not ended");
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(*signals.lock().unwrap(), [9]);
}

#[test]
fn a_panic_reaches_the_user_with_the_consoles_last_lines() {
    let played = play(|_, lines| {
        let mut lines = lines.serve(PROTOCOL, |_, _| false);
        lines.print("[ 9.0] BUG: unable to handle\n[ 9.1] Kernel panic - not syncing: Oops\n");
        thread::sleep(BOOT * 2);
    })
    .unwrap();
    let served = served(played, PATIENCE).unwrap();
    let mut bench = served.hold("me").unwrap();
    let error = bench.agent().unwrap().ping().unwrap_err();
    let Error::Trouble(trouble) = bench.explain(error) else {
        panic!("no explanation");
    };
    assert_eq!(trouble.kind, TroubleKind::Target);
    assert!(trouble.what.contains("Oops"), "{}", trouble.what);
    assert_eq!(trouble.evidence[0], "[ 9.0] BUG: unable to handle");
    // The next one gets a board that was booted anew.
    bench.reach(State::Ready).unwrap();
    assert_eq!(bench.about().unwrap().boots.len(), 2);
}

#[test]
fn a_board_that_does_not_boot_is_told_as_such() {
    let played = play(|_, mut lines| {
        lines.print("stuck");
        thread::sleep(BOOT * 4);
    })
    .unwrap();
    let served = served(played, PATIENCE).unwrap();
    let mut bench = served.hold("me").unwrap();
    let error = bench.agent().unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert_eq!(error.evidence(), ["stuck"]);
    assert_eq!(bench.state().unwrap(), State::Off);
}

#[test]
fn the_console_is_read_by_mark_and_watched_by_others() {
    let played = play(|_, mut lines| {
        lines.print("[    0.500000] before\n");
        let _ = lines.serve(PROTOCOL, |call, reply| {
            reply(Reply::Pong);
            call.request == Request::Ping
        });
    })
    .unwrap();
    let served = served(played, PATIENCE).unwrap();
    let mut watcher = bench::watch(&served.path).unwrap();
    let mut bench = served.hold("me").unwrap();
    bench.agent().unwrap();
    let lines = bench.console(0).unwrap();
    assert_eq!(lines[0].text, "[    0.500000] before");
    assert_eq!(lines[0].target, Some(Duration::from_millis(500)));
    let mark = bench.mark().unwrap();
    assert!(bench.console(mark).unwrap().is_empty());
    let mut heard = [0; 8];
    watcher.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"[    0.5");
}

#[test]
fn without_a_server_the_path_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nobody");
    let error = Bench::hold(&path, "me", &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("nobody"), "{error}");
}

/// A board that never becomes ready, with all the time in the world.
fn stuck() -> Played {
    play_within(PATIENCE * 10, |_, mut lines| {
        lines.print("stuck");
        // Until the power is cut.
        let _ = lines.console.read(&mut [0]);
    })
    .unwrap()
}

/// A user who speaks the server's dialect by heart, and can go whenever he likes.
struct ByHeart(UnixStream);

impl ByHeart {
    fn connect(served: &Served) -> Self {
        let mut stream = socket::connect(&served.path).unwrap();
        let mut greeting = [0; 20];
        stream.read_exact(&mut greeting).unwrap();
        assert_eq!(greeting[..8], *b"bringup\n");
        stream.write_all(&greeting[8..16]).unwrap();
        Self(stream)
    }

    fn say(&mut self, message: &[u8]) {
        let length = u32::try_from(message.len()).unwrap();
        self.0.write_all(&length.to_le_bytes()).unwrap();
        self.0.write_all(message).unwrap();
    }

    /// Asks to hold the board: the first request there is.
    fn hold(&mut self) {
        self.say(b"\0\x02me");
    }

    /// Asks for a board that is ready: the fifth request, the third state.
    fn reach_ready(&mut self) {
        self.say(&[4, 2]);
    }

    /// Whether the server has closed its end.
    fn is_dismissed(&mut self) -> bool {
        self.0.set_read_timeout(Some(PATIENCE)).unwrap();
        self.0.read_to_end(&mut Vec::new()).is_ok()
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn while_a_board_boots_everybody_is_told_so_and_it_can_be_ended() {
    let served = served(stuck(), PATIENCE).unwrap();
    thread::scope(|scope| {
        let boots = scope.spawn(|| served.hold("me").unwrap().reach(State::Ready).unwrap_err());
        wait_until("it boots", || !served.power().is_empty());
        let begun = Instant::now();
        let about = bench::about(&served.path).unwrap();
        assert_eq!((about.state, about.boots.len()), (State::Booting, 1));
        assert_eq!(about.holder.as_deref(), Some("me"));
        bench::stop(&served.path).unwrap();
        let error = boots.join().unwrap();
        assert!(error.to_string().contains("given up"), "{error}");
        assert!(begun.elapsed() < PATIENCE);
    });
    served.wait_for_end();
}

#[test]
fn who_goes_while_his_board_boots_does_not_leave_it_on() {
    let served = served(stuck(), PATIENCE).unwrap();
    let mut user = ByHeart::connect(&served);
    user.hold();
    user.reach_ready();
    wait_until("it boots", || !served.power().is_empty());
    drop(user);
    served.wait_for_end();
}

#[test]
fn the_boot_of_one_who_has_borrowed_the_board_is_given_up_with_him_or_with_who_has_lent_it() {
    let served = served(stuck(), PATIENCE).unwrap();
    let lender = served.hold("lender").unwrap();
    let mut borrower = ByHeart::connect(&served);
    // The second request there is, with a token that is one byte still.
    borrower.say(&[1, u8::try_from(lender.loan()).unwrap(), 2, b'm', b'e']);
    borrower.reach_ready();
    wait_until("it boots", || served.power() == ["on"]);
    drop(borrower);
    wait_until("it is off", || served.power() == ["on", "off"]);
    // Who has lent it goes on, and whoever borrows it next.
    let mut next = Bench::borrow(&served.path, lender.loan(), "next", &mut |_| {}).unwrap();
    thread::scope(|scope| {
        let boots = scope.spawn(|| next.reach(State::Ready).unwrap_err());
        wait_until("it boots anew", || served.power() == ["on", "off", "on"]);
        drop(lender);
        boots.join().unwrap();
    });
    served.wait_for_end();
}

#[test]
fn a_signal_ends_the_server_in_order() {
    let served = served(stuck(), PATIENCE).unwrap();
    thread::scope(|scope| {
        let boots = scope.spawn(|| served.hold("me").unwrap().reach(State::Ready).unwrap_err());
        wait_until("it boots", || !served.power().is_empty());
        served.stop.store(true, Ordering::Relaxed);
        boots.join().unwrap();
    });
    served.wait_for_end();
}

#[test]
fn a_server_that_has_ended_has_a_board_that_is_off_whoever_is_still_connected() {
    let served = served(answering(obliging).unwrap(), PATIENCE).unwrap();
    let mut bench = served.hold("me").unwrap();
    bench.reach(State::Ready).unwrap();
    bench.release(true).unwrap();
    let idle = ByHeart::connect(&served);
    bench::stop(&served.path).unwrap();
    served.wait_for_end();
    drop(idle);
}

#[test]
fn a_line_to_the_agent_is_of_no_use_after_the_board_was_given_back() {
    let served = served(answering(obliging).unwrap(), PATIENCE).unwrap();
    let lender = served.hold("lender").unwrap();
    let mut borrower = Bench::borrow(&served.path, lender.loan(), "me", &mut |_| {}).unwrap();
    let line = borrower.agent().unwrap();
    line.ping().unwrap();
    borrower.release(false).unwrap();
    let mut next = Bench::borrow(&served.path, lender.loan(), "next", &mut |_| {}).unwrap();
    line.ping().unwrap_err();
    // Nor does one get another.
    lender.release(false).unwrap();
    let error = next.agent().unwrap_err();
    assert!(error.to_string().contains("must hold the board"), "{error}");
    assert_eq!(served.power(), ["on"]);
}

#[test]
fn who_has_borrowed_the_board_does_not_wait_for_himself() {
    let served = served(answering(obliging).unwrap(), PATIENCE).unwrap();
    let lender = served.hold("lender").unwrap();
    let mut borrower = Bench::borrow(&served.path, lender.loan(), "me", &mut |_| {}).unwrap();
    let error = borrower.settle().unwrap_err();
    assert!(error.to_string().contains("only who lends"), "{error}");
}

#[test]
fn one_who_has_waited_and_gone_does_not_hold_up_the_next() {
    let served = served(answering(obliging).unwrap(), PATIENCE).unwrap();
    let first = served.hold("first").unwrap();
    let mut gone = ByHeart::connect(&served);
    gone.hold();
    // He is told for whom he waits.
    gone.0.read_exact(&mut [0; 4]).unwrap();
    drop(gone);
    thread::scope(|scope| {
        let last = scope.spawn(|| served.hold("last"));
        first.release(false).unwrap();
        last.join().unwrap().unwrap().release(false).unwrap();
    });
    assert!(!served.thread.is_finished());
}

#[test]
fn a_server_ends_for_another_build_only_when_nobody_holds_its_board() {
    let served = served(answering(obliging).unwrap(), PATIENCE).unwrap();
    let mut bench = served.hold("me").unwrap();
    bench.reach(State::Ready).unwrap();
    assert!(!bench::stop_if_free(&served.path).unwrap());
    assert_eq!(bench.state().unwrap(), State::Ready);
    bench.release(false).unwrap();
    wait_until("it ends", || bench::stop_if_free(&served.path).unwrap());
    served.wait_for_end();
}

#[test]
fn who_speaks_another_dialect_is_dismissed() {
    let served = served(answering(obliging).unwrap(), PATIENCE).unwrap();
    let mut stream = socket::connect(&served.path).unwrap();
    stream.write_all(&7_u64.to_le_bytes()).unwrap();
    let mut user = ByHeart(stream);
    assert!(user.is_dismissed());
}

#[test]
fn a_server_of_another_build_is_told_with_its_process_and_can_be_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bench.socket");
    let listener = socket::listen(&path).unwrap();
    let other = thread::spawn(move || {
        let mut wishes = Vec::new();
        for _ in 0..2 {
            let (mut user, _) = listener.accept().unwrap();
            user.write_all(b"bringup\n\x01\x02\x03\x04\x05\x06\x07\0\x4d\0\0\0")
                .unwrap();
            let mut wish = [0; 8];
            match user.read_exact(&mut wish) {
                Ok(()) => wishes.push(wish),
                Err(error) => assert_eq!(error.kind(), ErrorKind::UnexpectedEof),
            }
            let _ = user.write_all(&[1]);
        }
        wishes
    });
    let error = Bench::hold(&path, "me", &mut |_| {}).unwrap_err();
    assert!(
        matches!(error, Error::OtherServer { pid: 77, .. }),
        "{error}"
    );
    bench::stop(&path).unwrap();
    assert_eq!(other.join().unwrap(), [[0xff; 8]]);
}
