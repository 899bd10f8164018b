// SPDX-License-Identifier: MIT OR Apache-2.0

//! Copies a file through the engine: each batch of it while the one before is on its way.
//!
//! `batch FROM TO [DEVICE]`

use std::collections::VecDeque;
use std::env;
use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};

use dmacopy_client::{Device, Pending, Pool, Queue};

/// How much is moved at once, and how often in a batch.
const PIECE: usize = 16 << 10;
const PIECES: usize = 4;
/// How many batches are on their way at the same time.
const BATCHES: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let (from, to, device) = match arguments.as_slice() {
        [from, to] => (from, to, Device::first()?),
        [from, to, device] => (from, to, Device::open(device)?),
        _ => return Err("batch FROM TO [DEVICE]".into()),
    };
    let (mut from, mut to) = (File::open(from)?, File::create(to)?);
    let queue = device.session()?.queue()?;
    // A source and a destination for each piece.
    let pool = queue.pool(2 * PIECE * PIECES * BATCHES)?;
    let mut on_their_way = VecDeque::new();
    while let Some(pending) = submit_next(&mut from, &queue, &pool)? {
        on_their_way.push_back(pending);
        if on_their_way.len() == BATCHES {
            on_their_way
                .pop_front()
                .map_or(Ok(()), |first| finish(first, &mut to))?;
        }
    }
    on_their_way
        .into_iter()
        .try_for_each(|last| finish(last, &mut to))
}

/// Reads the next pieces, and submits them; none at the end of the file.
fn submit_next(
    from: &mut File,
    queue: &Queue,
    pool: &Pool,
) -> Result<Option<Pending>, Box<dyn Error>> {
    let (mut bytes, mut batch) = (vec![0; PIECE], queue.batch());
    for _ in 0..PIECES {
        let length = from.read(&mut bytes)?;
        if length == 0 {
            break;
        }
        let mut source = pool.region(length)?;
        source.write(0, &bytes[..length])?;
        batch = batch.copy(source, pool.region(length)?);
    }
    if batch.is_empty() {
        return Ok(None);
    }
    Ok(Some(batch.submit()?))
}

/// Waits for a batch, and writes what came of it.
fn finish(pending: Pending, to: &mut File) -> Result<(), Box<dyn Error>> {
    for done in pending {
        if let (_, Some(destination)) = done?.ok()?.into_regions() {
            to.write_all(&destination.to_vec()?)?;
        }
    }
    Ok(())
}
