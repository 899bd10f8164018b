// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the program makes of `bench.toml`. Nothing here needs a board, the toolbox or the network.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod checkout;

use std::io::Write as _;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use checkout::{Checkout, assert_fails, stderr};
use hil::{Bench, State};
use serde_json::{Value, json};

/// A checkout with a second board, and a bench with the first.
fn with_a_desk() -> Checkout {
    let checkout = Checkout::new();
    let boards = checkout.root().join("boards");
    std::fs::create_dir(boards.join("other-board")).unwrap();
    let board = std::fs::read_to_string(boards.join("some-board/board.toml")).unwrap();
    let board = board.replace("some,board", "other,board");
    std::fs::write(boards.join("other-board/board.toml"), board).unwrap();
    let desk = "[bench.desk]\nboard = \"some-board\"\nconsole.serial = \"/dev/a\"\n\
                agent.on_console = true\n";
    std::fs::write(checkout.root().join("bench.toml"), desk).unwrap();
    checkout
}

#[test]
fn a_board_and_a_bench_that_contradict_each_other_are_refused() {
    let checkout = with_a_desk();
    let stop = |options: &[&str], board: &str, bench: &str| {
        let mut command = checkout.command(&[&["bench", "stop"], options].concat());
        let variables = [("BRINGUP_BOARD", board), ("BRINGUP_BENCH", bench)];
        command.envs(variables).output().unwrap()
    };
    let both = ["--bench", "desk", "--board", "other-board"];
    let told = "--board says other-board, and --bench says desk, which is a bench with some-board";
    assert_fails(&stop(&both, "", ""), 2, told);
    let told = "BRINGUP_BOARD says other-board, and BRINGUP_BENCH says desk";
    assert_fails(&stop(&[], "other-board", "desk"), 2, told);
    // The bench's own board may be named too.
    let both = ["--bench", "desk", "--board", "some-board"];
    assert_fails(&stop(&both, "", ""), 2, "desk is not on");
    assert_fails(&stop(&[], "some-board", "desk"), 2, "desk is not on");
    // An option makes the variable of the other kind void.
    let board = stop(&["--board", "other-board"], "", "desk");
    assert_fails(&board, 2, "other-board is not on");
    let bench = stop(&["--bench", "desk"], "other-board", "rack");
    assert_fails(&bench, 2, "desk is not on");
}

#[test]
fn a_mistake_in_the_description_is_told_with_file_and_bench() {
    let checkout = with_a_desk();
    let path = checkout.root().join("bench.toml");
    let desk = std::fs::read_to_string(&path).unwrap();
    let list = |text: &str| {
        std::fs::write(&path, text).unwrap();
        checkout.run(&["bench", "list"])
    };
    let file = path.display();
    let unknown = list(&desk.replace("some-board", "some-bord"));
    assert_fails(&unknown, 2, &format!("{file}: bench desk: "));
    assert_fails(&unknown, 2, "did you mean some-board");
    let power = "[bench.desk.power]\non = \"uhubctl -a on\"\noff = [\"true\"]\n";
    let shell = list(&format!("{desk}{power}"));
    assert_fails(&shell, 2, &format!("{file} does not describe benches"));
    assert_fails(&shell, 2, "a list of words, such as [\"uhubctl\"");
}

#[test]
fn a_file_that_describes_no_bench_is_told() {
    let checkout = with_a_desk();
    let path = checkout.root().join("bench.toml");
    let about_it = format!("{} describes no bench", path.display());
    std::fs::write(&path, "# Nothing yet.\n").unwrap();
    let output = checkout.run(&["bench", "list"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains(&about_it), "{}", stderr(&output));
    let check = checkout.run(&["bench", "check"]);
    assert_fails(&check, 2, &about_it);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(stderr(&checkout.run(&["bench", "list"])), "");
}

/// The program that serves the desk, as a run starts it, with this console; it ends by itself if no
/// test ends it.
fn serve_the_desk(checkout: &Checkout, console: &Value) -> (Child, PathBuf) {
    let folder = checkout.root().join("target/bringup/bench/described/desk");
    std::fs::create_dir_all(&folder).unwrap();
    let description = json!({
        "board": "some-board",
        "console": console,
        "agent": {"on_console": true},
    });
    let on_desk = json!({
        "board": checkout.root().join("boards/some-board"),
        "description": description,
        "agent": "/agent",
        "console": folder.join("console.log"),
    });
    let order = json!({
        "name": "desk",
        "key": "k",
        "idle_seconds": 60,
        "wired": {"described": on_desk},
    });
    std::fs::write(folder.join("bench.json"), order.to_string()).unwrap();
    let words = ["bench", "serve", &folder.to_string_lossy()];
    // There is nothing to claim for it.
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    ours.write_all(b"\n").unwrap();
    let mut server = checkout.command(&words);
    let child = server.stdin(OwnedFd::from(theirs)).spawn().unwrap();
    let socket = folder.join("bench.socket");
    let deadline = Instant::now() + Duration::from_secs(20);
    while hil::bench::about(&socket).is_err() {
        assert!(Instant::now() < deadline, "nobody serves the desk");
        std::thread::sleep(Duration::from_millis(10));
    }
    (child, socket)
}

#[test]
fn who_stops_a_bench_learns_whose_run_that_ends() {
    let checkout = with_a_desk();
    let stop = || checkout.run(&["bench", "stop", "--bench", "desk"]);
    for holder in [None, Some("pid 7, bringup test x")] {
        let (mut server, socket) = serve_the_desk(&checkout, &json!({"serial": "/dev/a"}));
        let held = holder.map(|who| Bench::hold(&socket, who, &mut |_| {}).unwrap());
        let output = stop();
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert!(told.contains("desk is off"), "{told}");
        let names = told.contains("is held by pid 7, bringup test x; this ends")
            && told.contains("desk is off, and was held by pid 7, bringup test x");
        assert_eq!(names, holder.is_some(), "{told}");
        assert!(server.wait().unwrap().success());
        drop(held);
    }
    assert_fails(&stop(), 2, "desk is not on");
}

#[test]
fn a_bench_is_listed_as_its_board_is_and_not_as_it_is_held() {
    let checkout = with_a_desk();
    let listed = || -> Value {
        let output = checkout.run(&["bench", "list", "--json"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let all: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        let desk = all.into_iter().find(|bench| bench["name"] == "desk");
        let desk = desk.unwrap();
        json!([desk["state"], desk["holder"], desk["on_seconds"]])
    };
    assert_eq!(listed(), json!(["off", null, null]));
    // It takes a connection, and says nothing.
    let console = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = console.local_addr().unwrap().to_string();
    let (mut server, socket) = serve_the_desk(&checkout, &json!({"socket": address}));
    assert_eq!(listed(), json!(["off", null, null]));
    let mut bench = Bench::hold(&socket, "me", &mut |_| {}).unwrap();
    assert_eq!(listed(), json!(["off", "me", null]));
    bench.reach(State::Booting).unwrap();
    assert_eq!(listed(), json!(["booting", "me", null]));
    let output = checkout.run(&["bench", "list"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("booting me\n"), "{text}");
    bench.cut_power().unwrap();
    assert_eq!(listed(), json!(["off", "me", null]));
    bench.release(false).unwrap();
    hil::bench::stop(&socket).unwrap();
    assert!(server.wait().unwrap().success());
}

#[test]
fn a_port_that_is_not_there_is_4_unless_the_board_may_bring_it() {
    let checkout = with_a_desk();
    let [there, missing] = ["there", "missing"].map(|name| checkout.guard.path().join(name));
    std::fs::write(&there, "").unwrap();
    let power = "power.on = [\"/bin/true\"]\npower.off = [\"/bin/true\"]\n";
    let check = |console: &Path, agent: &Path, power: &str| {
        let (console, agent) = (console.display(), agent.display());
        let desk = format!(
            "[bench.desk]\nboard = \"some-board\"\nconsole.serial = \"{console}\"\n\
             agent.serial = \"{agent}\"\n{power}"
        );
        std::fs::write(checkout.root().join("bench.toml"), desk).unwrap();
        let output = checkout.run(&["bench", "check", "--json"]);
        let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        let wrong = findings.iter().filter(|finding| finding["ok"] == false);
        let wrong: Vec<_> = wrong.map(|finding| finding["what"].clone()).collect();
        (output.status.code(), Value::from(wrong))
    };
    assert_eq!(check(&there, &there, ""), (Some(0), json!([])));
    assert_eq!(check(&there, &there, power), (Some(0), json!([])));
    let console = json!(["console"]);
    assert_eq!(check(&missing, &there, ""), (Some(4), console.clone()));
    assert_eq!(check(&missing, &there, power), (Some(4), console));
    // A board without a switch is on, and has brought what it brings.
    assert_eq!(check(&there, &missing, ""), (Some(4), json!(["agent"])));
    assert_eq!(check(&there, &missing, power), (Some(0), json!([])));
    // A folder can be opened as a port by nobody, and is there.
    let folder = checkout.root();
    assert_eq!(check(&there, &folder, power), (Some(4), json!(["agent"])));
}
