// SPDX-License-Identifier: MIT OR Apache-2.0

//! Descriptors, and what comes of them.

use dmacopy_client::{Descriptor, RingCompletion, Rings, Session};
use dmacopy_uapi::ring::{COPY, NOP};

use crate::Result;

/// A descriptor that does nothing.
pub fn nop(user_data: u64) -> Descriptor {
    Descriptor {
        opcode: NOP,
        user_data,
        ..Descriptor::default()
    }
}

/// A descriptor that copies 64 bytes from the start of the buffer to offset 1024.
pub fn small_copy(user_data: u64) -> Descriptor {
    Descriptor {
        opcode: COPY,
        destination: 1024,
        length: 64,
        user_data,
        ..Descriptor::default()
    }
}

/// A descriptor that is refused.
pub fn nonsense(user_data: u64) -> Descriptor {
    Descriptor {
        opcode: u8::MAX,
        user_data,
        ..Descriptor::default()
    }
}

/// Puts descriptors into the ring and has the driver take them.
///
/// # Errors
///
/// When they are not all taken.
pub fn submit(
    rings: &mut Rings,
    session: &Session,
    descriptors: &[Descriptor],
    wait: u32,
) -> Result<()> {
    for descriptor in descriptors {
        if !rings.push(descriptor)? {
            return Err("the ring is full".into());
        }
    }
    let taken = rings.submit(session, wait)?;
    if usize::try_from(taken)? != descriptors.len() {
        return Err(format!("{taken} descriptors were taken").into());
    }
    Ok(())
}

/// What is in the ring of completions, by its `user_data` and error number.
///
/// # Errors
///
/// When the rings are not what the driver said.
pub fn pop_all(rings: &mut Rings) -> Result<Vec<(u64, Option<i32>)>> {
    let mut all = Vec::new();
    while let Some(RingCompletion { user_data, errno }) = rings.pop()? {
        all.push((user_data, errno));
    }
    Ok(all)
}
