// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup-target channel` and `tour`: one room step by step, and all of them.

use std::fs::{self, File};
use std::time::Duration;

use dmacopy_client::Device;
use dmacopy_uapi::names::{attribute, engine};
use hil::Target;
use kernel_channels::ROOMS;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use on_target::{Called, Result, Stalled, call, program};
use serde_json::Value;

/// The facts of a document, by what they are about.
fn facts(list: &Value) -> Vec<&str> {
    let facts = list.as_array().into_iter().flatten();
    facts.filter_map(|fact| fact["what"].as_str()).collect()
}

/// The visit of a room, which has to pass.
fn visit(room: &str) -> Result<Value> {
    let called = call(&format!("channel {room} --json"))?;
    assert_eq!(called.code, Some(0), "{called:?}");
    called.json()
}

#[hil::test(timeout = "60 s")]
fn each_room_is_shown_by_steps_that_say_what_crossed_the_border_and_how_that_was_checked(
    _: &mut Target,
) {
    for room in ROOMS {
        let document = visit(room).unwrap();
        assert_eq!(document["room"], room);
        assert_eq!(document["status"], "passed", "{document}");
        let steps = document["steps"].as_array().unwrap();
        assert!(steps.len() >= 2, "{document}");
        for step in steps {
            for part in ["what", "through", "answer"] {
                assert_ne!(step[part].as_str().unwrap(), "", "{room}: {step}");
            }
            let directions = ["to-kernel", "to-user", "both"];
            let direction = step["direction"].as_str().unwrap();
            assert!(directions.contains(&direction), "{room}: {step}");
        }
        let checked = |step: &&Value| !facts(&step["verified"]).is_empty();
        assert!(steps.iter().filter(checked).count() >= 2, "{document}");
    }
}

#[hil::test(timeout = "60 s")]
fn the_steps_of_a_room_have_checked_what_the_tour_shows(_: &mut Target) {
    let tour = call("tour --json").unwrap();
    assert_eq!(tour.code, Some(0), "{tour:?}");
    let tour = tour.json().unwrap();
    let rooms = tour["rooms"].as_array().unwrap();
    assert_eq!(rooms.len(), ROOMS.len());
    for room in rooms {
        let name = room["name"].as_str().unwrap();
        // Which magnitudes a histogram has is another time something else.
        if name == "bpf" {
            continue;
        }
        let document = visit(name).unwrap();
        let steps = document["steps"].as_array().unwrap();
        let checked: Vec<_> = steps.iter().flat_map(|s| facts(&s["verified"])).collect();
        assert_eq!(checked, facts(&room["evidence"]), "{name}");
    }
}

#[hil::test]
fn errors_and_signals_are_told_by_their_names(_: &mut Target) {
    for (room, what, name) in [
        ("futex", "sleep for other processes", "EFAULT"),
        ("signal", "its error number", "EINVAL"),
        ("syscall", "results", "-ESPIPE"),
    ] {
        let document = visit(room).unwrap();
        let steps = document["steps"].as_array().unwrap();
        let facts = steps.iter().filter_map(|step| step["verified"].as_array());
        let mut facts = facts.flatten();
        let fact = facts.find(|fact| fact["what"] == what).unwrap();
        let received = fact["received"].as_str().unwrap();
        assert!(received.ends_with(name), "{room}: {fact}");
    }
}

#[hil::test]
fn people_read_which_file_is_written_and_what_was_expected_of_it(_: &mut Target) {
    let device = Device::first().unwrap();
    let text = call("channel sysfs").unwrap().output;
    let path = device.attributes().directory().path();
    let path = path.join(attribute::TIMEOUT_MS);
    let expected = [
        format!("to the kernel    write(2) to {}", path.display()),
        "answer           1234".to_owned(),
        "checked          timeout_ms set".to_owned(),
        "sysfs passed".to_owned(),
    ];
    for expected in expected {
        assert!(text.contains(&expected), "no {expected:?} in {text}");
    }
}

#[hil::test]
fn a_mechanism_that_does_not_work_fails_the_visit_and_is_explained(_: &mut Target) {
    let device = Device::first().unwrap();
    assert_ne!(device.attributes().engine().unwrap(), engine::PCI);
    let stalled = Stalled::new(&device, Duration::from_secs(60)).unwrap();
    let called = call("channel debugfs --json").unwrap();
    stalled.lift().unwrap();
    assert_eq!(called.code, Some(1), "{called:?}");
    let document = called.json().unwrap();
    assert_eq!(document["status"], "failed");
    assert_eq!(document["error"], "the engine was stalled before");
}

#[hil::test(timeout = "60 s")]
fn with_few_descriptors_it_is_told_for_what_there_was_none(target: &mut Target) {
    const FEW: &str = "Too many open files";
    let folder = target.folder().unwrap();
    let (most, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let mut told = Vec::new();
    for limit in 4..24 {
        let [output, error] = ["output", "error"].map(|name| folder.join(name));
        let mut command = program("channel watch").unwrap();
        command.stdin(File::open("/dev/null").unwrap());
        command.stdout(File::create(&output).unwrap());
        command.stderr(File::create(&error).unwrap());
        // It is inherited.
        setrlimit(Resource::RLIMIT_NOFILE, limit, hard).unwrap();
        let child = command.spawn();
        setrlimit(Resource::RLIMIT_NOFILE, most, hard).unwrap();
        // This test has more files open than that.
        let Ok(mut child) = child else { continue };
        child.wait().unwrap();
        let said = [output, error].map(|path| fs::read_to_string(path).unwrap());
        let lines = said.iter().flat_map(|text| text.lines());
        let lines = lines.filter(|line| line.contains(FEW));
        told.extend(lines.map(|line| (limit, line.trim().to_owned())));
    }
    assert!(!told.is_empty());
    for (limit, line) in &told {
        let line = line.trim_start_matches("error: ");
        assert!(!line.starts_with(FEW), "{limit}: {told:?}");
    }
}

#[hil::test]
fn help_that_cannot_be_written_is_an_error(_: &mut Target) {
    for words in ["--help", "channel --help", "--version", "doctor --json"] {
        let mut command = program(words).unwrap();
        command.stdout(File::options().write(true).open("/dev/full").unwrap());
        let called = Called::of(command.output().unwrap()).unwrap();
        assert_eq!(called.code, Some(1), "{words}: {called:?}");
        let expected = "cannot write to standard output";
        assert!(called.error.contains(expected), "{words}: {called:?}");
    }
    assert_eq!(call("--help").unwrap().code, Some(0));
}

#[hil::test]
fn a_room_that_does_not_exist_is_wrong_usage_and_those_that_do_are_listed(_: &mut Target) {
    let called = call("channel cellar").unwrap();
    assert_eq!(called.code, Some(2));
    assert_eq!(called.output, "");
    assert!(called.error.contains(&ROOMS.join(", ")), "{called:?}");
}
