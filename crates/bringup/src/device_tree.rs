// SPDX-License-Identifier: MIT OR Apache-2.0

//! The device tree a board boots with: the kernel package's, with the kit's overlay merged in.

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
    if board.overlay.is_none() {
        return Ok(Some(PathBuf::from(stock)));
    }
    setup.output_folder(&format!("board/{}", board.name))?;
    let folder = format!("{OUTPUT}/board/{}", board.name);
    let (overlay, merged) = (
        format!("{folder}/overlay.dtbo"),
        format!("{folder}/board.dtb"),
    );
    let source = format!("{SOURCE}/boards/{}/overlay.dtso", board.name);
    let compile = ["-@", "-I", "dts", "-O", "dtb", "-o", &overlay, &source];
    let merge = ["-i", &stock, "-o", &merged, &overlay];
    for (program, arguments) in [("dtc", compile.as_slice()), ("fdtoverlay", &merge)] {
        let mut command = setup
            .tools
            .toolbox
            .enter()
            .mount(setup.tools.repository.root(), SOURCE, Access::Read)
            .mount(&setup.tools.repository.output(), OUTPUT, Access::Write)
            .mount(setup.kernel.folder(), KERNEL, Access::Read)
            .program(program);
        external::run(command.args(arguments), step, Exit::Build)?;
    }
    Ok(Some(PathBuf::from(merged)))
}
