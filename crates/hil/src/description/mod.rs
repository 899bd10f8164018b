// SPDX-License-Identifier: MIT OR Apache-2.0

//! What stands in `bench.toml`: the benches of a PC.
//!
//! A board's type is the kit's business; what connects one board of that type with this PC is
//! its user's: which serial adapter, which socket of which power strip, which address.
//!
//! ```toml
//! [bench.desk]
//! board = "some-board"
//!
//! [bench.desk.power]
//! on = ["uhubctl", "--location", "1-1", "--ports", "2", "--action", "on"]
//! off = ["uhubctl", "--location", "1-1", "--ports", "2", "--action", "off"]
//!
//! [bench.desk.console]
//! serial = "/dev/serial/by-id/usb-FTDI_TTL232R-3V3_FT0001-if00-port0"
//!
//! [bench.desk.agent]
//! on_console = true
//!
//! [bench.desk.stimulus.GPIO17.line]
//! high = ["gpioset", "--toggle", "0", "button=1"]
//! low = ["gpioset", "--toggle", "0", "button=0"]
//! level = ["gpioget", "--numeric", "led"]
//! ```

mod bench;
mod file;
mod labgrid;
mod port;
mod stimulus;
mod words;

pub use bench::{AgentPath, BenchDescription, Power, Storage};
pub use file::{Benches, Trouble};
pub use labgrid::Labgrid;
pub use port::Port;
pub(crate) use stimulus::VALUE;
pub use stimulus::{Button, Commands, Line, Sensor};
pub(crate) use words::words;
