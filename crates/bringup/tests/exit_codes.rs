// SPDX-License-Identifier: MIT OR Apache-2.0

//! The program's exit codes and where it prints what, as a script sees them. Nothing here needs the
//! toolbox, the network or more than an empty cache.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod checkout;

use std::path::Path;
use std::process::Command;

use checkout::{Checkout, assert_fails, stderr};

#[test]
fn a_result_goes_to_standard_output_and_the_exit_code_is_0() {
    let output = Checkout::new().run(&["boards", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let boards: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(boards[0]["name"], "some-board");
    assert_eq!(boards[0]["emulated"], false);
}

#[test]
fn a_result_that_cannot_be_printed_is_an_error() {
    let checkout = Checkout::new();
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = checkout.command(&["boards"]).stdout(full).output().unwrap();
    assert_fails(&output, 3, "cannot write to standard output");
}

#[test]
fn wrong_usage_is_2() {
    let checkout = Checkout::new();
    assert_fails(&checkout.run(&["demo", "--nonsense"]), 2, "--nonsense");
    assert_fails(&checkout.run(&["kernel"]), 2, "Usage");
}

#[test]
fn a_refused_request_is_2_and_spends_no_time() {
    let checkout = Checkout::new();
    for command in ["demo", "test"] {
        let output = checkout.run(&[command, "--board", "some-bord"]);
        assert_fails(&output, 2, "did you mean some-board");
    }
    let output = checkout.run(&["module", "build", "--kernel", "/dev"]);
    assert_fails(&output, 2, "/dev is no kernel build folder");
    assert!(!checkout.cache().exists(), "the cache was made");
    let mut outside = checkout.command(&["boards"]);
    outside.current_dir(checkout.guard.path());
    let wrong = outside.env("BRINGUP_KIT", checkout.guard.path());
    assert_fails(&wrong.output().unwrap(), 2, "names no checkout");
    let mut relative = checkout.command(&["clean", "--cache"]);
    let relative = relative.env("BRINGUP_CACHE", "cache").output().unwrap();
    assert_eq!(relative.status.code(), Some(2), "{}", stderr(&relative));
}

#[test]
fn with_json_an_error_is_a_json_object_too() {
    let checkout = Checkout::new();
    for (words, reason) in [
        (&["demo", "--json", "--board", "some-bord"], "some-bord"),
        (&["demo", "--json", "--board", ""], "no board"),
        (&["demo", "--json", "--nonsense", "x"], "--nonsense"),
    ] {
        let output = checkout.run(words);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
        let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!(error["exit_code"], 2);
        let told = error["error"].as_str().unwrap();
        assert!(told.contains(reason), "{told}");
    }
    // What follows a program is the program's.
    let output = checkout.run(&["run", "/nonexistent", "--json"]);
    assert_fails(&output, 2, "error: there is no program /nonexistent");
}

#[test]
fn help_names_the_board_that_is_meant_when_none_is_named() {
    let checkout = Checkout::new();
    for command in [
        "demo",
        "run",
        "cargo",
        "with",
        "console",
        "bench stop",
        "bench stand-in",
    ] {
        let words: Vec<_> = command.split(' ').chain(["--help"]).collect();
        let mut asked = checkout.command(&words);
        let output = asked.env("COLUMNS", "200").output().unwrap();
        let help = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines = help.lines();
        let board = lines.find(|line| line.contains("--board")).unwrap();
        let told = format!("{board}{}", lines.next().unwrap());
        assert!(told.contains("some-board]"), "{command}: {told}");
    }
}

#[test]
fn outside_a_checkout_a_variable_names_it() {
    let checkout = Checkout::new();
    let mut outside = checkout.command(&["boards", "--json"]);
    outside.current_dir(checkout.guard.path());
    let output = outside
        .env("BRINGUP_KIT", checkout.root())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let boards: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(boards[0]["name"], "some-board");
}

#[test]
fn a_board_file_that_is_wrong_is_2_and_named() {
    let checkout = Checkout::new();
    let file = checkout.root().join("boards/some-board/board.toml");
    std::fs::write(file, "title = 1\n").unwrap();
    assert_fails(&checkout.run(&["boards"]), 2, "board.toml");
}

#[test]
fn what_this_pc_lacks_is_3() {
    let checkout = Checkout::new();
    let output = checkout.run(&["doctor", "--json"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["ok"], false);
}

#[test]
fn a_run_of_tests_that_ends_early_has_its_reports() {
    let checkout = Checkout::new();
    let lock = checkout.root().join("kmod/kernel.lock");
    std::fs::write(lock, "no lock file").unwrap();
    let path = |name: &str| checkout.guard.path().join(name).display().to_string();
    let [junit, html, events] = ["junit", "html", "events"].map(path);
    let output = checkout.run(&[
        "test",
        "--board",
        "some-board",
        "--junit",
        &junit,
        "--html",
        &html,
        "--events",
        &events,
    ]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    let junit = read(&junit);
    assert!(junit.contains("errors=\"1\" failures=\"0\""), "{junit}");
    assert!(junit.contains("type=\"infrastructure\""), "{junit}");
    assert!(junit.contains("kernel.lock"), "{junit}");
    let html = read(&html);
    assert!(html.contains("<h1>The run could not go on</h1>"), "{html}");
    let events = read(&events);
    let last = events.lines().last().unwrap();
    assert!(last.contains("\"event\":\"run-finished\""), "{last}");
    assert!(events.contains("\"event\":\"trouble\""), "{events}");
    // Wrong usage is no run.
    let unknown = checkout.run(&["test", "--board", "nobody", "--junit", &path("none")]);
    assert_eq!(unknown.status.code(), Some(2), "{}", stderr(&unknown));
    assert!(!checkout.guard.path().join("none").exists());
}

/// A lock file that names a kernel without packages.
fn lock_a_kernel(checkout: &Checkout) {
    let lock = "suite = \"trixie-backports\"\nseries = \"7.3\"\nrelease = \"7.3.4-arm64\"\n\
                rustc = \"rustc 1.85.1\"\npackage = []\n";
    std::fs::write(checkout.root().join("kmod/kernel.lock"), lock).unwrap();
}

#[test]
fn a_mirror_that_is_no_address_is_refused_before_anything_is_run() {
    let checkout = Checkout::new();
    lock_a_kernel(&checkout);
    let mut build = checkout.command(&["module", "build"]);
    let output = build
        .env("BRINGUP_DEBIAN_MIRROR", "mirror.example")
        .output()
        .unwrap();
    assert_fails(
        &output,
        2,
        "error: BRINGUP_DEBIAN_MIRROR is \"mirror.example\"",
    );
    assert_eq!(stderr(&output).lines().count(), 2, "{}", stderr(&output));
}

#[test]
fn what_a_killed_run_has_left_is_removed_once_nobody_uses_the_cache() {
    let checkout = Checkout::new();
    lock_a_kernel(&checkout);
    assert!(checkout.run(&["clean", "--cache"]).status.success());
    let left = checkout.cache().join("toolbox-a97fa7f77fe4.partial");
    std::fs::create_dir_all(left.join("root/usr")).unwrap();
    let file = std::fs::File::create(checkout.cache().join("lock")).unwrap();
    let held = nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockShared).unwrap();
    // This PC lacks what it would be made with; the lock is not come to.
    assert_fails(&checkout.run(&["module", "build"]), 3, "this PC lacks");
    assert!(left.exists(), "its maker may be at work");
    drop(held);
    assert_fails(
        &checkout.run(&["module", "build"]),
        3,
        "toolbox-a97fa7f77fe4.partial",
    );
    assert!(!left.exists());
}

#[test]
fn the_kernels_status_makes_nothing_and_waits_for_nobody() {
    let checkout = Checkout::new();
    lock_a_kernel(&checkout);
    assert!(checkout.run(&["clean", "--cache"]).status.success());
    let file = std::fs::File::create(checkout.cache().join("lock")).unwrap();
    let held = nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusive).unwrap();
    let mut command = Command::new("/usr/bin/timeout");
    let bringup = checkout.command(&["kernel", "status", "--json"]);
    let output = command
        .args(["20".as_ref(), bringup.get_program()])
        .args(bringup.get_args())
        .current_dir(checkout.root())
        .env("BRINGUP_CACHE", checkout.cache())
        .env("PATH", checkout.guard.path())
        .output()
        .unwrap();
    drop(held);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status["release"], "7.3.4-arm64");
    assert_eq!(status["prepared"], false);
    assert_eq!(status["available"], serde_json::Value::Null);
    assert_eq!(status["newest"], serde_json::Value::Null);
    let output = checkout.run(&["kernel", "status"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("toolbox not made yet"), "{text}");
    let made = std::fs::read_dir(checkout.cache()).unwrap().count();
    assert_eq!(made, 2, "more than the tag and the lock");
}

#[test]
fn a_cache_is_emptied_of_what_is_the_kits_and_of_nothing_else() {
    let checkout = Checkout::new();
    let entry = |name: &str| checkout.cache().join(name);
    // The first run makes the folder a cache.
    assert!(checkout.run(&["clean", "--cache"]).status.success());
    for folder in ["archive/packages", "photos", ".bringup-x"] {
        std::fs::create_dir_all(entry(folder)).unwrap();
    }
    std::fs::create_dir_all(checkout.root().join("target/bringup/log")).unwrap();
    std::fs::create_dir_all(checkout.root().join("target/debug")).unwrap();
    assert!(checkout.run(&["clean"]).status.success());
    assert!(!checkout.root().join("target/bringup").exists());
    assert!(checkout.root().join("target/debug").exists());
    assert!(entry("archive").exists(), "only --cache removes it");
    assert!(checkout.run(&["clean", "--cache"]).status.success());
    assert!(!entry("archive").exists() && !entry(".bringup-x").exists());
    assert!(entry("photos").exists());
    assert!(Path::new(&entry("CACHEDIR.TAG")).exists());
}
