// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a test leaves behind.

use hil_report::{Attempt, TestId};

use super::clock::Clock;

/// Gives an attempt output, console, kernel log, complaints and notes.
pub(crate) fn evidence(attempt: &mut Attempt, id: &TestId, clock: &Clock) {
    let TestId { suite, name, .. } = id;
    attempt.output = format!("running 1 test of {suite}\n");
    if !attempt.passed() {
        let reason = attempt.reason().unwrap_or_default();
        attempt.output += &format!(
            "thread '{name}' panicked at tests/{suite}.rs:71:5:\n{reason}\n\
             note: run with `RUST_BACKTRACE=1` for a backtrace\n"
        );
    }
    attempt.console = clock.lines(
        attempt,
        &[
            &format!("bringup-target[214]: {suite}::{name}"),
            "\u{1b}[32mdmacopy0\u{1b}[0m: 4 descriptors, 5003 bytes",
            "random: crng reseeded",
        ],
    );
    attempt.kernel_log = clock.lines(
        attempt,
        &["dmacopy dmacopy0: software engine", "dmacopy0: done"],
    );
    if name == "the_mapping_outlives_the_descriptor" && !attempt.passed() {
        let warning = "WARNING: CPU: 2 PID: 219 at mm/memory.c:1412 unmap_page_range+0x3c/0x5f0";
        attempt.complaints = vec![
            warning.to_owned(),
            "the kernel is tainted by 0x200".to_owned(),
        ];
        attempt.kernel_log = clock.lines(
            attempt,
            &[
                "dmacopy dmacopy0: released while mapped",
                "------------[ cut here ]------------",
                warning,
                "Modules linked in: dmacopy(O)",
                "CPU: 2 UID: 0 PID: 219 Comm: mmap-5e1 Tainted: G O 7.3.4+deb13-arm64",
                "Call trace:",
                " unmap_page_range+0x3c/0x5f0 (P)",
                " exit_mmap+0xd8/0x3a0",
                "---[ end trace 0000000000000000 ]---",
            ],
        );
    }
    attempt.notes.push(("transfers".to_owned(), "4".to_owned()));
}
