// SPDX-License-Identifier: MIT OR Apache-2.0

//! Many tasks that use one session, and news about the device meanwhile.
//!
//! `tasks [DEVICE]`

use std::env;
use std::error::Error;
use std::time::Duration;

use dmacopy_client::{Device, Events, Pool, Queue};
use tokio::runtime::Builder;
use tokio::time::timeout;

const TASKS: u8 = 8;
const LENGTH: usize = 4096;

fn main() -> Result<(), Box<dyn Error>> {
    Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let device = match env::args().nth(1) {
        Some(name) => Device::open(name)?,
        None => Device::first()?,
    };
    let mut events = Events::listen()?.into_stream()?;
    let queue = device.session()?.queue()?;
    let pool = queue.pool(2 * LENGTH * usize::from(TASKS))?;
    let before = device.attributes().counters()?;
    let tasks: Vec<_> = (1..=TASKS)
        .map(|byte| tokio::spawn(move_bytes(queue.clone(), pool.clone(), byte)))
        .collect();
    for task in tasks {
        task.await?.map_err(|error| error.to_string())?;
    }
    let counters = device.attributes().counters()?;
    let done = counters.since(&before).ok_or("the device is another one")?;
    if done.transfers < u64::from(TASKS) {
        return Err(format!("{done:?} is too little").into());
    }
    // What has happened by the way, if anything has.
    match timeout(Duration::from_millis(10), events.next()).await {
        Ok(event) => Err(format!("not a quiet device: {:?}", event?).into()),
        Err(_) => Ok(()),
    }
}

/// Fills a region, has it copied, and looks what has come.
async fn move_bytes(
    queue: Queue,
    pool: Pool,
    byte: u8,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut source = pool.region(LENGTH)?;
    source.fill(0, LENGTH, byte)?;
    let batch = queue.batch().copy(source, pool.region(LENGTH)?);
    let pending = batch.submit_when_there_is_room().await?;
    for done in pending.await? {
        let (_, destination) = done.ok()?.into_regions();
        let copied = destination.ok_or("nothing was copied")?.to_vec()?;
        if copied != [byte; LENGTH] {
            return Err("other bytes were copied".into());
        }
    }
    Ok(())
}
