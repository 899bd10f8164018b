// SPDX-License-Identifier: MIT OR Apache-2.0

//! BPF: programs that run in the kernel, at its tracepoints or when they are called.
//!
//! A program is a list of [`Instruction`]s. The kernel's verifier proves that it ends and accesses
//! nothing that it must not, then compiles it. It leaves what it finds in maps: an [`Array`] of
//! numbers, or a [`RingBuffer`] of records. It can call functions that a driver offers
//! ([`Function`], kfuncs).
//!
//! At a [`Hook`] a program decides: it is one of the kernel's security modules, and refuses what an
//! administrator does not want, whoever asks. [`Refusal`] does that to a request.
//!
//! The programs that are needed most are in [`programs`], for any tracepoint and any function. They
//! are put together while this runs, with the places of the fields as the running kernel has them:
//! that needs no compiler, and no program that was compiled for another kernel.
//!
//! # When to choose it
//!
//! To sum up, in the kernel, what happens too often to be told one by one: histograms, counts per
//! key, only the records that matter. To see each record take [`crate::tracepoint`]; for a number
//! that the driver counts anyway [`crate::sysfs`].
//!
//! # Contract
//!
//! The driver's fields and functions stay as it has described them. A program is there as long as
//! its [`Program`], at a tracepoint as long as the [`Attached`], and as long the driver cannot be
//! unloaded.
//!
//! # Minimum kernel
//!
//! 5.8, and 5.18 for functions of drivers, 6.4 on arm64 for hooks with `CONFIG_BPF_LSM` and `bpf` in
//! `CONFIG_LSM`, with `CONFIG_BPF_SYSCALL`, `CONFIG_BPF_EVENTS`, the
//! just-in-time compiler and `CONFIG_DEBUG_INFO_BTF_MODULES`. For root only, or for who has
//! `CAP_BPF` and `CAP_PERFMON`.
//!
//! # References
//!
//! `bpf(2)`, `Documentation/bpf/`, `Documentation/bpf/prog_lsm.rst`, RFC 9669 for the instructions
//!
//! # Example
//!
//! ```no_run
//! use kernel_channels::bpf::{Array, Kind, Program, programs};
//! use kernel_channels::tracepoint::Event;
//!
//! let exec = Event::find("sched", "sched_stat_runtime")?;
//! let histogram = Array::new("runtime", 64)?;
//! let code = programs::histogram(&exec, "runtime", &histogram)?;
//! let program = Program::load("runtime", Kind::Tracepoint, &code)?;
//! let attached = program.attach(&exec)?;
//! assert_eq!(histogram.read()?.len(), 64);
//! # drop(attached);
//! # Ok::<(), kernel_channels::Error>(())
//! ```

mod btf;
mod code;
mod function;
mod hook;
mod map;
mod program;
pub mod programs;
mod refusal;
#[expect(
    unsafe_code,
    reason = "the kernel writes where a ring buffer is mapped"
)]
mod ring;
#[expect(unsafe_code, reason = "bpf(2) hands the kernel bare pointers")]
mod system_call;

pub use self::code::{Code, Condition, Instruction, Label, Register, Size};
pub use self::function::Function;
pub use self::hook::{FileLayout, Hook};
pub use self::map::Array;
pub use self::program::{Answering, Attached, Kind, Program};
pub use self::refusal::Refusal;
pub use self::ring::RingBuffer;
