// SPDX-License-Identifier: MIT OR Apache-2.0

//! Safe access to the dmacopy driver.
//!
//! A [`Device`] is one engine that copies memory. One open file of it is a [`Session`]. What most
//! programs want of that is a [`Queue`]: it takes batches of work and the memory that goes with them,
//! and gives the memory back when the work is done.
//!
//! ```no_run
//! use dmacopy_client::Device;
//!
//! let queue = Device::open("dmacopy0")?.session()?.queue()?;
//! let pool = queue.pool(64 << 10)?;
//! let mut source = pool.region(17)?;
//! source.write(0, b"across the border")?;
//! let destination = pool.region(17)?;
//!
//! let pending = queue.batch().copy(source, destination).submit()?;
//! for done in pending {
//!     let (_source, destination) = done?.ok()?.into_regions();
//!     assert_eq!(destination.unwrap().to_vec()?, b"across the border");
//! }
//! # Ok::<(), dmacopy_client::Error>(())
//! ```
//!
//! # Whose memory it is
//!
//! | what | whose it is | how one gets it |
//! |---|---|---|
//! | [`Pool`] | nobody's yet | [`Queue::pool`], cached; [`Queue::coherent_pool`] |
//! | [`Region`] | the program's: it can be read and written | [`Pool::region`]; [`Queue::import`], all of a dma-buf |
//! | [`Batch`] | the program's still: [`Batch::into_works`] gives it back | [`Queue::batch`] |
//! | [`Pending`] | the device's: there is nothing to touch it by | [`Batch::submit`] |
//! | [`Done`] | the program's again, with what has come of it | [`Pending::wait`] and the like |
//! | [`Refused`] | the program's: nothing was submitted | where it could not be |
//!
//! A region is moved from one to the next, so the compiler knows whose it is; see [`Region`] for what
//! it refuses. The caches are passed along with it, by as few requests as that takes.
//!
//! Nothing of that waits when it is dropped, and nothing is lost. Work that nobody waits for any more
//! is done, and its regions are free again when the queue has seen that. Until then they are not had
//! by anybody. When the program ends or is killed, the driver takes back what has not begun, and
//! frees no memory before the engine has let go of it.
//!
//! A device that goes gives all back, with `ENODEV`. Cached memory stays then, and can be read; the
//! memory of the rings and of a coherent pool goes with the device, and who touches it is ended by
//! `SIGBUS`. A queue asks before it looks. What is left is a driver that is unbound by hand just
//! between the two, and regions of a coherent pool.
//!
//! # Waiting
//!
//! Threads iterate over a [`Pending`], or wait with a timeout; any number of them can share a queue.
//! With the feature `tokio` a [`Pending`] is a `Future`, [`Queue`] and [`Batch`] wait for room in the
//! ring, and [`Events`] become a stream. It is made for tokio 1, wants a runtime with `enable_io`, and
//! can be cancelled at any point. The tasks of a queue are all in one runtime at a time: the one in
//! which the first of them has waited, until that ends.
//!
//! ```no_run
//! # #[cfg(feature = "tokio")]
//! # async fn example() -> Result<(), dmacopy_client::Error> {
//! # use dmacopy_client::Device;
//! let queue = Device::first()?.session()?.queue()?;
//! let pool = queue.pool(64 << 10)?;
//! let mut pending = queue.batch().fill(pool.region(4096)?, 0xff).nop().submit()?;
//! let first = pending.next_done().await?;
//! let others = pending.await?;
//! # drop((first, others));
//! # Ok(())
//! # }
//! ```
//!
//! # Without ownership
//!
//! A [`Session`] can be had without a queue, by who knows at each moment what the engine does: a
//! [`Buffer`] is a view of its memory, [`Session::copy`] waits for one copy, and further buffers are
//! named by a [`BufferNumber`]. [`Rings`] are the rings themselves: a batch of descriptors takes one
//! system call, and a completion none.
//!
//! ```no_run
//! use dmacopy_client::Device;
//!
//! let session = Device::first()?.session()?;
//! let mut buffer = session.buffer()?;
//! buffer.write(0, b"across the border")?;
//! let completion = session.copy(0, 4096, 17)?;
//! assert_eq!(buffer.copy_to_vec(4096, 17)?, b"across the border");
//! # let _ = completion.duration;
//! # Ok::<(), dmacopy_client::Error>(())
//! ```
//!
//! # What else there is
//!
//! A session copies a stream too: what is written to it comes out of [`Session::read`], moved by
//! the engine. [`Attributes`] are a device's settings and counters, [`Query`] tells of all devices
//! at once and [`Events`] of what happens to them, [`Upcall`] is a program that
//! is started when the engine stalls, and [`DebugFiles`] is what developers need to
//! look inside and to make it fail.
//!
//! Every [`Error`] says what was attempted on which device, and why it failed.

mod attributes;
mod batch;
mod buffer;
mod debug;
mod device;
mod error;
mod flight;
mod free_list;
mod memory;
mod netlink;
mod notify;
mod numbered;
mod pending;
mod pool;
mod queue;
mod region;
#[expect(
    unsafe_code,
    reason = "what the driver does with an argument is promised here"
)]
mod request;
mod rings;
mod session;
mod shared;
mod tasks;
#[cfg(feature = "tokio")]
mod tokio;
mod upcall;
mod work;

pub use attributes::{Attributes, Counters, State};
pub use batch::{Batch, Refused};
pub use buffer::Buffer;
pub use debug::{DebugFiles, Fault, Stall};
pub use device::Device;
pub use dmacopy_uapi::ioctl::Info;
pub use error::{Error, Operation};
pub use netlink::{Event, Events, Query, Status};
pub use notify::Coalescing;
pub use numbered::{BufferNumber, Direction, Place};
pub use pending::{Completions, Pending};
pub use pool::Pool;
pub use queue::Queue;
pub use region::{GRANULE, Region};
pub use rings::{Descriptor, RingCompletion, Rings};
pub use session::{Completion, Session};
#[cfg(feature = "tokio")]
pub use tokio::EventStream;
pub use upcall::{Enabled, JOURNAL, Told, Upcall, UpcallCounters};
pub use work::{Done, Misfit, Work};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_share_or_pass_on_can_be_shared_and_passed_on() {
        fn both<T: Send + Sync + Unpin + 'static>() {}
        both::<Device>();
        both::<Session>();
        both::<Queue>();
        both::<Pool>();
        both::<Region>();
        both::<Batch>();
        both::<Pending>();
        both::<Completions>();
        both::<Done>();
        both::<Refused>();
        both::<Error>();
        #[cfg(feature = "tokio")]
        both::<EventStream>();
    }
}
