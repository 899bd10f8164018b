// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the bench does to a board, seen by the board, and what the board does, seen by the bench.

use std::time::{Duration, Instant};

use hil::agent::Event;
use hil::stimulus::{Kind, Point};
use hil::{Bench, Level, State};
use on_bench::{Call, call_on_board, gpio, start_calls};

/// How long a change may take to be seen.
const SOON: Duration = Duration::from_secs(5);

/// The name of the first point of a kind that the bench has.
fn first(bench: &Bench, kind: Kind) -> hil::Result<String> {
    let mut points = bench.points()?.into_iter();
    let Point { name, .. } = points
        .find(|point| point.kind == kind)
        .ok_or("there is none")?;
    Ok(name)
}

#[hil::test(requires("stimulus-line"))]
fn a_level_that_the_bench_sets_is_read_by_the_board(bench: &mut Bench) -> hil::Result {
    let name = first(bench, Kind::Line)?;
    let agent = bench.agent()?;
    let line = gpio::Line::find(&agent, &name)?;
    for level in [Level::High, Level::Low, Level::High, Level::Low] {
        bench.set_level(&name, level)?;
        assert_eq!(line.read(&agent)?, level);
    }
    Ok(())
}

#[hil::test(requires("stimulus-line"))]
fn a_level_that_the_board_drives_is_seen_by_the_bench(bench: &mut Bench) -> hil::Result {
    let name = first(bench, Kind::Line)?;
    let agent = bench.agent()?;
    let line = gpio::Line::find(&agent, &name)?;
    for level in [Level::High, Level::Low] {
        let drives = line.drive(&agent, level)?;
        bench.expect_level(&name, level, SOON)?;
        drives.end_input()?;
        assert!(drives.output()?.success());
    }
    let never = bench.expect_level(&name, Level::High, Duration::from_millis(50));
    let told = never.err().ok_or("a low line is high")?.to_string();
    assert!(
        told.contains(&name) && told.contains("not high within"),
        "{told}"
    );
    Ok(())
}

#[hil::test(requires("stimulus-line", "gpio-edges"))]
fn edges_wake_whoever_waits_for_them_on_the_board(bench: &mut Bench) -> hil::Result {
    let name = first(bench, Kind::Line)?;
    let agent = bench.agent()?;
    let line = gpio::Line::find(&agent, &name)?;
    bench.set_level(&name, Level::Low)?;
    let expected = [Level::High, Level::Low, Level::High];
    let waits = line.watch(&agent, expected.len())?;
    for level in expected {
        bench.set_level(&name, level)?;
        // One after the other: two edges before the board looks are one interrupt.
        match waits.next(SOON)? {
            Some(Event::Output(_, event)) => assert_eq!(gpio::levels(&event), [level]),
            other => return Err(format!("no edge to {level}: {other:?}").into()),
        }
    }
    assert!(waits.output()?.success());
    bench.set_level(&name, Level::Low)?;
    Ok(())
}

#[hil::test(requires("stimulus-sensor"))]
fn a_sensor_measures_what_the_bench_has_it_measure(bench: &mut Bench) -> hil::Result {
    let name = first(bench, Kind::Sensor)?;
    let agent = bench.agent()?;
    // Thousandths of a degree, of which the sensor knows sixteenths.
    for value in [42_500, -10_000, 20_125] {
        bench.set_sensor(&name, value)?;
        let deadline = Instant::now() + SOON;
        let mut measured = None;
        // The driver may give what it has read a moment ago.
        while measured != Some(value) && Instant::now() < deadline {
            measured = measured_by(&agent);
        }
        assert_eq!(measured, Some(value));
    }
    Ok(())
}

/// What the board's only temperature sensor of its own measures.
fn measured_by(agent: &hil::Agent) -> Option<i64> {
    let values = (0..4).filter_map(|number| {
        let folder = format!("/sys/class/hwmon/hwmon{number}");
        let name = agent.read(&format!("{folder}/name")).ok()?;
        let value = agent.read(&format!("{folder}/temp1_input")).ok()?;
        let value = String::from_utf8(value).ok()?.trim().parse().ok()?;
        (name == b"tmp105\n").then_some(value)
    });
    values.into_iter().next()
}

#[hil::test(requires("power-button"))]
fn a_button_that_the_bench_presses_is_an_event_on_the_board(bench: &mut Bench) -> hil::Result {
    // struct input_event of include/uapi/linux/input.h: after the time, type, code and value.
    const EVENT: usize = 24;
    const EV_KEY: u16 = 1;
    const KEY_POWER: u16 = 116;

    let agent = bench.agent()?;
    let length = u32::try_from(EVENT)?;
    let calls = [
        Call::open("/dev/input/event0"),
        Call::write(1, "ready"),
        Call::read(3, 0, length),
        Call::write_memory(1, 0, length),
    ];
    let waits = gpio::ready(start_calls(&agent, &calls, &[0; EVENT])?)?;
    bench.press("power-button")?;
    let event = waits.output()?.stdout;
    let number = |at: usize| Some(u16::from_le_bytes(event.get(at..at + 2)?.try_into().ok()?));
    assert_eq!(
        (number(16), number(18)),
        (Some(EV_KEY), Some(KEY_POWER)),
        "{event:?}"
    );
    // Down; up comes later.
    assert_eq!(number(20), Some(1));
    Ok(())
}

#[hil::test]
fn what_cannot_be_done_is_told_and_the_board_goes_on(bench: &mut Bench) -> hil::Result {
    let agent = bench.agent()?;
    let error = bench.set_level("no-such-line", Level::High);
    let told = error.err().ok_or("there is no such line")?.to_string();
    assert!(
        told.contains("the bench has no line no-such-line"),
        "{told}"
    );
    call_on_board(&agent, &[])
}

#[hil::test(requires("stimulus-line"))]
fn a_board_that_is_off_has_no_lines(bench: &mut Bench) -> hil::Result {
    let name = first(bench, Kind::Line)?;
    bench.reach(State::Off)?;
    let error = bench.set_level(&name, Level::High);
    let told = error.err().ok_or("the board is off")?.to_string();
    assert_eq!(
        told,
        format!("cannot set the line {name} high: the board is off")
    );
    Ok(())
}

hil::main!();
