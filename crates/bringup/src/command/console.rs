// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup console`: what a board says, and what is said to it.

use std::io::{Read as _, Write as _};

use hil::bench;

use crate::benches;
use crate::cli::OneBench;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::repository::Repository;
use crate::warm;

pub(super) fn run(options: &OneBench) -> Result<Exit> {
    let repository = Repository::find()?;
    let chosen = benches::choose(&repository, &options.choice)?;
    let path = warm::socket_of(&repository, &chosen);
    let mut console = bench::watch(&path).map_err(|_| {
        Failure::new(Exit::Refused, format!("{} is not on", chosen.name))
            .help("`cargo bringup run` switches a board on, and it stays on for a while")
    })?;
    anstream::eprintln!(
        "the console of {}; Ctrl-C leaves it, the board stays on",
        chosen.name
    );
    std::thread::spawn(move || {
        let mut buffer = [0; 1024];
        while let Ok(length) = std::io::stdin().read(&mut buffer) {
            if length == 0 || bench::type_text(&path, &buffer[..length]).is_err() {
                return;
            }
        }
    });
    let mut buffer = [0; 4096];
    loop {
        match console.read(&mut buffer) {
            Ok(0) | Err(_) => return Ok(Exit::Ok),
            Ok(length) => {
                let mut stdout = std::io::stdout().lock();
                let shown = stdout.write_all(&buffer[..length]);
                if shown.and_then(|()| stdout.flush()).is_err() {
                    return Ok(Exit::Ok);
                }
            }
        }
    }
}
