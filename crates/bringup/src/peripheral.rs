// SPDX-License-Identifier: MIT OR Apache-2.0

//! The devices that this program plays for an emulated board.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use board_spec::Board;
use dmacopy_device::faults::Command;
use dmacopy_device::model::Model;
use dmacopy_device::port::{self, Answer};
use hil::Peripheral;
use hil::qemu::Emulated;

use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};

/// What boards call the DMA copy engine.
const DMACOPY: &str = "dmacopy";

/// Gives an emulated board all peripherals that its description names.
pub(crate) fn play_all(board: &Board, mut emulated: Emulated) -> Result<Emulated> {
    let qemu = board.qemu.iter();
    for name in qemu.flat_map(|qemu| qemu.peripheral.keys()) {
        if name != DMACOPY {
            let what = format!("{} has a peripheral {name}, which nobody plays", board.name);
            return Err(Failure::new(Exit::Refused, what)
                .help(format!("there is {DMACOPY}, for [qemu.peripheral]")));
        }
        let played = Played::start().or_environment(|| format!("cannot play {name}"))?;
        emulated = emulated.with_peripheral(name.clone(), Arc::new(played));
    }
    Ok(emulated)
}

/// The DMA copy engine, as a bench's peripheral. Instructions are lines of its fault port.
#[derive(Debug)]
struct Played {
    model: Model,
    socket: OwnedFd,
}

impl Played {
    fn start() -> io::Result<Self> {
        let model = Model::start()?;
        let socket = model.socket()?;
        Ok(Self { model, socket })
    }
}

impl Peripheral for Played {
    fn socket(&self) -> io::Result<OwnedFd> {
        self.socket.try_clone()
    }

    fn instruct(&self, instruction: &str) -> std::result::Result<String, String> {
        match port::answer(&self.model, instruction) {
            Answer::Ok(state) => serde_json::to_string(&state).map_err(|error| error.to_string()),
            Answer::Error(error) => Err(error),
        }
    }

    fn restore(&self) {
        self.model.command(&Command::Clear);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_those_of_the_fault_port_until_they_are_taken_back() {
        let played = Played::start().unwrap();
        let state = played.instruct("{\"die\": true}").unwrap();
        assert!(state.contains("\"is_connected\":false"), "{state}");
        assert!(played.instruct("{\"dye\": true}").is_err());
        played.restore();
    }
}
