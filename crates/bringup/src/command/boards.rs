// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup boards`: lists the boards.

use anstyle::Style;
use board_spec::Board;
use serde::Serialize;

use super::{print_json, print_line};
use crate::cli::Json;
use crate::exit::Exit;
use crate::failure::{OrFail, Result};
use crate::repository::Repository;

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    title: &'a str,
    compatible: &'a [String],
    emulated: bool,
    default: bool,
}

pub(super) fn run(options: &Json) -> Result<Exit> {
    let boards = Repository::find()?.boards()?;
    let default = boards.default_name().to_owned();
    let boards = boards
        .all()
        .or_fail(Exit::Refused, || "cannot list the boards")?;
    let rows: Vec<Row<'_>> = boards.iter().map(|board| row(board, &default)).collect();
    if options.json {
        print_json(&rows)?;
        return Ok(Exit::Ok);
    }
    let bold = Style::new().bold();
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    for row in rows {
        let emulated = if row.emulated {
            "emulated"
        } else {
            "hardware only"
        };
        let default = if row.default { ", the default" } else { "" };
        print_line(&format!(
            "{bold}{:width$}{bold:#}  {} ({emulated}{default})",
            row.name, row.title
        ))?;
    }
    Ok(Exit::Ok)
}

fn row<'a>(board: &'a Board, default: &str) -> Row<'a> {
    Row {
        name: &board.name,
        title: &board.title,
        compatible: &board.compatible,
        emulated: board.qemu.is_some(),
        default: board.name == default,
    }
}
