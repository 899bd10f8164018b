// SPDX-License-Identifier: MIT OR Apache-2.0

//! Eventfds and their kin: counters, timers and signals as files, for one loop that waits for all.
//!
//! A [`Counter`] is the smallest thing that can be waited for: whoever has it adds to it, be it a
//! thread, another process or a driver. A [`Timer`] expires, and a [`SignalQueue`] holds signals.
//! All are files, as are devices and sockets, and a [`Loop`] waits for any number of them at once.
//!
//! # When to choose it
//!
//! A driver that takes an eventfd tells a program without the program having to wait for the device
//! itself: one counter can stand for many devices, be given to another process, or to a virtual
//! machine. For one device alone, [`crate::poll`] does without. Threads that share memory have
//! [`crate::futex`], which is cheaper.
//!
//! # Contract
//!
//! A counter adds up until somebody takes it: many additions are one wake-up, and nothing is lost.
//! What it counts is for its users to say; it does not say what has happened, so who takes it looks.
//! A timer counts how often it has expired. A signal has to be blocked to wait in a queue.
//!
//! # Minimum kernel
//!
//! 2.6.27.
//!
//! # References
//!
//! `eventfd(2)`, `timerfd_create(2)`, `signalfd(2)`, `epoll(7)`
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//! use kernel_channels::Interest;
//! use kernel_channels::eventfd::{Counter, Loop, Timer};
//!
//! let (counter, timer) = (Counter::new()?, Timer::new()?);
//! let events = Loop::new()?;
//! events.add(&counter, 1, Interest::READABLE)?;
//! events.add(&timer, 2, Interest::READABLE)?;
//! timer.once(Duration::from_millis(5))?;
//! counter.add(3)?;
//! assert_eq!(events.wait(None)?[0].token, 1);
//! assert_eq!(counter.take()?, Some(3));
//! assert_eq!(events.wait(None)?[0].token, 2);
//! assert_eq!(timer.expirations()?, 1);
//! # Ok::<(), kernel_channels::Error>(())
//! ```

mod counter;
mod events;
#[expect(unsafe_code, reason = "signals are more than `nix` knows of")]
mod signals;
mod timer;

pub use counter::Counter;
pub use events::{Loop, Occurrence};
pub use signals::SignalQueue;
pub use timer::Timer;
