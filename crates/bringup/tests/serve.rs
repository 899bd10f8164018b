// SPDX-License-Identifier: MIT OR Apache-2.0

//! The process that serves a board on a desk ends in order when it is told to by a signal.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use hil::description::BenchDescription;
use hil::{Bench, State};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PATIENCE: Duration = Duration::from_secs(20);

/// A server of a board that never becomes ready, whose switch notes what it is told.
fn serve(folder: &Path) -> Child {
    let switch = |state: &str| {
        format!(
            r#"["sh", "-c", "echo {state} >> {}/power"]"#,
            folder.display()
        )
    };
    let description = format!(
        r#"
        board = "beach"
        agent.socket = "localhost:1"
        boot_seconds = 600
        [power]
        off = {}
        on = {}
        off_seconds = 0
        "#,
        switch("off"),
        switch("on")
    );
    let description: BenchDescription = toml::from_str(&description).unwrap();
    let boards = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards");
    let boards = board_spec::Boards::find(&boards).unwrap();
    let board = boards.board(boards.default_name()).unwrap();
    let order = serde_json::json!({
        "name": "desk",
        "key": "k1",
        "idle_seconds": 600,
        "wired": { "described": {
            "board": board.folder,
            "description": description,
            "agent": "/no/such/agent",
            "console": folder.join("console.log"),
        } },
    });
    std::fs::write(folder.join("bench.json"), order.to_string()).unwrap();
    // There is nothing to claim for it.
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    ours.write_all(b"\n").unwrap();
    Command::new(env!("CARGO_BIN_EXE_bringup"))
        .args(["bench", "serve"])
        .arg(folder)
        .env("BRINGUP_CACHE", folder.join("cache"))
        .stdin(OwnedFd::from(theirs))
        .spawn()
        .unwrap()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_signal_leaves_no_board_that_is_on_and_no_socket() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let folder = tempfile::tempdir().unwrap();
        let mut server = serve(folder.path());
        let socket = folder.path().join("bench.socket");
        wait_until("it listens", || UnixStream::connect(&socket).is_ok());
        let mut bench = Bench::hold(&socket, "me", &mut |_| {}).unwrap();
        bench.reach(State::Booting).unwrap();
        let power = || std::fs::read_to_string(folder.path().join("power")).unwrap();
        assert!(power().ends_with("on\n"), "{}", power());
        kill(Pid::from_raw(i32::try_from(server.id()).unwrap()), signal).unwrap();
        assert!(server.wait().unwrap().success());
        assert!(power().ends_with("off\n"), "{}", power());
        assert!(!socket.exists());
    }
}
