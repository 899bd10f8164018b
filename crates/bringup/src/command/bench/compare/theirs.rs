// SPDX-License-Identifier: MIT OR Apache-2.0

//! What labgrid takes for the same: its `QEMUDriver` boots the same board with the same kernel, and
//! its `ShellDriver` types the command at a shell on the console.

use std::path::Path;
use std::time::Duration;

use agent_wire::Plan;
use board_spec::{Board, SerialUse};
use serde::Deserialize;
use serde_json::json;

use super::series::Series;
use super::{COUNT, WORDS};
use crate::device_tree;
use crate::exit::Exit;
use crate::external;
use crate::failure::{Failure, OrFail, Result};
use crate::initramfs::{self, Made, Packed};
use crate::lab::Labgrid;
use crate::progress::Step;
use crate::setup::Setup;
use crate::toolbox::{Access, KERNEL, OUTPUT};

/// The program that measures.
const SCRIPT: &str = include_str!("shell.py");

/// Where the board's shell is, and what the kernel starts.
const SHELL: &str = "/bin/busybox";
const START: &str = "/sbin/start";

/// What the kernel starts: a shell at the console, as long as the board is on.
fn started(board: &Board) -> String {
    let console = format!("/dev/{}", board.console.device);
    format!(
        "#!{SHELL} sh\n{SHELL} mount -t devtmpfs dev /dev\n\
         export PS1='{PROMPT}'\nwhile :; do {SHELL} setsid {SHELL} sh <{console} >{console} 2>&1; done\n"
    )
}

/// What such a shell asks with.
const PROMPT: &str = "board# ";

/// The folder of all this, below the output folder.
const FOLDER: &str = "compare";

/// What the script prints.
#[derive(Debug, Deserialize)]
struct Measured {
    /// From power-on to the prompt, seconds.
    boot: f64,
    /// Each command, seconds.
    seconds: Vec<f64>,
}

/// Measures it. `shell` is the shell's program on this PC.
pub(super) fn measure(
    setup: &Setup,
    labgrid: &Labgrid,
    board: &Board,
    shell: &Path,
    step: &Step,
) -> Result<Vec<Series>> {
    let folder = setup.output_folder(FOLDER)?;
    let packed = [Packed {
        from: shell.to_owned(),
        to: SHELL.to_owned(),
    }];
    let made = [
        Made::text(START, 0o755, &started(board)),
        // What labgrid types calls it by its name.
        Made::link("/bin/sh", "busybox"),
    ];
    let initramfs = folder.join("initramfs.cpio");
    initramfs::write(&initramfs, START, &Plan::default(), &packed, &made)?;
    let config = environment(setup, board, step)?;
    for (name, text) in [("place.yaml", config.as_str()), ("shell.py", SCRIPT)] {
        let path = folder.join(name);
        std::fs::write(&path, text)
            .or_environment(|| format!("cannot write {}", path.display()))?;
    }
    let command = std::iter::once(SHELL).chain(WORDS).collect::<Vec<_>>();
    let within = |name: &str| format!("{OUTPUT}/{FOLDER}/{name}");
    let sandbox = labgrid
        .enter()
        .alone()
        .mount(&setup.tools.repository.output(), OUTPUT, Access::Read)
        .mount(setup.kernel.folder(), KERNEL, Access::Read);
    let mut measure = sandbox.program("python3");
    measure
        .arg(within("shell.py"))
        .arg(within("place.yaml"))
        .args([command.join(" "), COUNT.to_string()]);
    let mut printed = String::new();
    external::run_each_line(&mut measure, step, Exit::Infrastructure, &mut |line| {
        line.clone_into(&mut printed);
    })?;
    let measured: Measured = serde_json::from_str(&printed).or_fail(
        Exit::Infrastructure,
        || "labgrid does not say how long it took",
    )?;
    let what = format!(
        "labgrid {}: `busybox {}`",
        labgrid.version(),
        WORDS.join(" ")
    );
    let seconds = measured.seconds.into_iter().map(Duration::from_secs_f64);
    let boot = vec![Duration::from_secs_f64(measured.boot)];
    Ok(vec![
        Series::new(&what, seconds.collect()),
        Series::new("labgrid: from power-on to the prompt", boot),
    ])
}

/// Whether the board's console is QEMU's first serial port, the only one that labgrid connects.
pub(super) fn has_first_console(board: &Board) -> bool {
    let qemu = board.qemu.as_ref();
    qemu.is_some_and(|qemu| qemu.serial.first() == Some(&SerialUse::Console))
}

/// labgrid's description of the board as QEMU plays it.
fn environment(setup: &Setup, board: &Board, step: &Step) -> Result<String> {
    let not_emulated = || {
        let what = format!("{} cannot be emulated", board.name);
        Failure::new(Exit::Refused, what)
    };
    let qemu = board.qemu.as_ref().ok_or_else(not_emulated)?;
    if !has_first_console(board) {
        let what = format!("the console of {} is not QEMU's first port", board.name);
        return Err(Failure::new(Exit::Refused, what).help("labgrid's QEMUDriver knows no other"));
    }
    let tree = device_tree::build(setup, board, step)?;
    let tree = tree.map_or_else(String::new, |tree| format!(" -dtb {}", tree.display()));
    let console = format!("console={},{}", board.console.device, board.console.baud);
    let extra = format!(
        "-accel tcg -smp {} -monitor none -no-reboot -initrd {OUTPUT}/{FOLDER}/initramfs.cpio{tree}",
        qemu.cpus
    );
    let driver = json!({
        "qemu_bin": "qemu",
        "machine": qemu.machine,
        "cpu": qemu.cpu.as_deref().unwrap_or("max"),
        "memory": qemu.memory,
        "kernel": "kernel",
        "nic": "none",
        "extra_args": extra,
        "boot_args": format!("{console} panic=-1 quiet oops=panic cryptomgr.notests"),
    });
    let shell = json!({ "prompt": PROMPT, "login_prompt": "login: ", "username": "root" });
    let kernel = Path::new(KERNEL).join(setup.kernel.image());
    let document = json!({
        "targets": { "main": { "drivers": { "QEMUDriver": driver, "ShellDriver": shell } } },
        "tools": { "qemu": "/usr/bin/qemu-system-aarch64" },
        "images": { "kernel": kernel },
    });
    Ok(document.to_string())
}
