// SPDX-License-Identifier: MIT OR Apache-2.0

//! QEMU as a bench: power is a process, console and agent are sockets,
//! stimulus goes by its monitor and its test channel.
//!
//! Every channel is one half of a socket pair that the emulator inherits. So there are no socket
//! files to place, to guard or to leave behind, nothing is said before somebody listens, and the
//! end of either side is seen by the other at once.
//!
//! # References
//!
//! - `qemu-system-aarch64(1)`, options `-chardev socket,fd=`, `-serial`, `-no-reboot`
//! - QEMU Machine Protocol: <https://www.qemu.org/docs/master/interop/qmp-spec.html>

mod arguments;
mod channel;
mod emulated;
mod machine;
mod monitor;
mod qtest;
mod stimulus;
mod wire;

pub use arguments::{Forward, Images};
pub use emulated::Emulated;
pub use machine::Machine;
