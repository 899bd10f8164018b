// SPDX-License-Identifier: MIT OR Apache-2.0

//! The device tree a board boots with: the kernel package's, with what its emulator changes, and the
//! kit's overlay merged in.

use std::path::PathBuf;

use board_spec::Board;

use crate::exit::Exit;
use crate::external;
use crate::failure::{Failure, Result};
use crate::progress::Step;
use crate::setup::Setup;
use crate::toolbox::{Access, KERNEL, OUTPUT, SOURCE};

/// Builds the board's device tree and returns its path as the toolbox sees it.
pub(crate) fn build(setup: &Setup, board: &Board, step: &Step) -> Result<Option<PathBuf>> {
    let Some(tree) = &board.kernel.device_tree else {
        return Ok(None);
    };
    let stock = setup.kernel.device_tree(tree);
    if !setup.kernel.folder().join(&stock).is_file() {
        return Err(Failure::new(
            Exit::Refused,
            format!(
                "kernel {} has no device tree {}",
                setup.kernel.release(),
                tree.display()
            ),
        )
        .help(format!(
            "mend kernel.device_tree in boards/{}/board.toml",
            board.name
        )));
    }
    let stock = format!("{KERNEL}/{}", stock.display());
    if board.overlay.is_none() && board.emulator_tree.is_none() {
        return Ok(Some(PathBuf::from(stock)));
    }
    setup.output_folder(&format!("board/{}", board.name))?;
    let run = |program: &str, arguments: &[&str]| {
        let mut command = setup
            .tools
            .toolbox
            .enter()
            .mount(setup.tools.repository.root(), SOURCE, Access::Read)
            .mount(&setup.tools.repository.output(), OUTPUT, Access::Write)
            .mount(setup.kernel.folder(), KERNEL, Access::Read)
            .program(program);
        external::run(command.args(arguments), step, Exit::Build)
    };
    let output = format!("{OUTPUT}/board/{}", board.name);
    let source = format!("{SOURCE}/boards/{}", board.name);
    let mut tree = stock;
    if board.emulator_tree.is_some() {
        let (included, own) = (
            format!("{output}/stock.dts"),
            format!("{source}/emulator.dts"),
        );
        let emulated = format!("{output}/emulator.dtb");
        // What is odd in the stock tree is no news.
        run(
            "dtc",
            &["-q", "-I", "dtb", "-O", "dts", "-o", &included, &tree],
        )?;
        run(
            "dtc",
            &["-q", "-i", &output, "-O", "dtb", "-o", &emulated, &own],
        )?;
        tree = emulated;
    }
    if board.overlay.is_some() {
        let (overlay, own) = (
            format!("{output}/overlay.dtbo"),
            format!("{source}/overlay.dtso"),
        );
        let merged = format!("{output}/board.dtb");
        run(
            "dtc",
            &["-@", "-I", "dts", "-O", "dtb", "-o", &overlay, &own],
        )?;
        run("fdtoverlay", &["-i", &tree, "-o", &merged, &overlay])?;
        tree = merged;
    }
    Ok(Some(PathBuf::from(tree)))
}
