// SPDX-License-Identifier: MIT OR Apache-2.0

//! A request that is refused, whichever way it comes.

use super::program::{Answering, Kind, Program};
use super::programs::{Refused, refuse};
use super::{Array, FileLayout, Hook};
use crate::Error;

/// What the kernel asks before a request.
const HOOK: &str = "file_ioctl";
/// What it asks instead when the request is one of a program of 32 bits on a kernel of 64.
const HOOK_OF_32_BITS: &str = "file_ioctl_compat";

/// The programs that refuse a request to a device: [`refuse`] at each hook that a request may pass.
#[derive(Debug)]
pub struct Refusal {
    programs: Vec<Program>,
}

impl Refusal {
    /// Loads them. The first entry of the array is what they count in.
    ///
    /// # Errors
    ///
    /// As [`Hook::find`] and [`FileLayout::find`], and as [`Program::load`].
    pub fn load(name: &str, refused: &Refused, array: &Array) -> Result<Self, Error> {
        let layout = FileLayout::find()?;
        let code = refuse(refused, &layout, array);
        let hooks = [Some(Hook::find(HOOK)?), of_32_bits()?];
        let load = |hook| Program::load(name, Kind::Hook(hook), &code);
        let programs = hooks
            .into_iter()
            .flatten()
            .map(load)
            .collect::<Result<_, _>>()?;
        Ok(Self { programs })
    }

    /// Has them answer from now on, until the result is dropped.
    ///
    /// # Errors
    ///
    /// As [`Program::answer`]; then none of them does.
    pub fn answer(&self) -> Result<Answering, Error> {
        Answering::of(&self.programs)
    }
}

/// The hook for programs of 32 bits; none before 6.8, where they pass the same as the others.
fn of_32_bits() -> Result<Option<Hook>, Error> {
    match Hook::find(HOOK_OF_32_BITS) {
        Ok(hook) => Ok(Some(hook)),
        Err(Error::Function { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
