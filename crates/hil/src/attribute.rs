// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a test program is written with.

/// Makes a function a test.
///
/// The type of its argument says where it runs; it returns nothing or [`hil::Result`](crate::Result).
///
/// ```
/// use hil::Target;
///
/// /// On the board.
/// #[hil::test]
/// fn a_board_has_memory(target: &mut Target) -> hil::Result {
///     let memory = std::fs::read_to_string("/proc/meminfo")?;
///     target.note("memory", memory.lines().next().ok_or("it is empty")?);
///     Ok(())
/// }
///
/// /// On the board or on the PC, wherever its program runs.
/// #[hil::test]
/// fn a_word_has_four_bytes() {
///     assert_eq!(size_of::<u32>(), 4);
/// }
/// # fn main() {}
/// ```
///
/// A function with `&mut Bench` runs on the PC that the board is connected to. In
/// `Cargo.toml` the test program says `harness = false`, and in its source [`main!`](crate::main).
/// Run without a board, as `cargo test` on a PC does, tests that need one are reported as ignored.
///
/// ```toml
/// [[test]]
/// name = "memory"
/// harness = false
/// ```
///
/// # Options
///
/// ```
/// # use hil::Target;
/// # fn connect(target: &mut Target) -> hil::Result { Ok(()) }
/// # fn disconnect(target: &mut Target) {}
/// #[hil::test(
///     requires("gpio-edges", "pci"),
///     timeout = "30 s",
///     setup = connect,
///     teardown = disconnect,
///     provokes("WARNING: CPU"),
/// )]
/// fn an_edge_is_told(target: &mut Target) {}
///
/// #[hil::test(ignore = "takes an hour")]
/// fn it_goes_on_for_an_hour(target: &mut Target) {}
///
/// #[hil::test(should_panic = "no such capability")]
/// fn nobody_knows_it(target: &mut Target) {
///     target.has("nonsense");
/// }
/// # fn main() {}
/// ```
///
/// - `requires`: capabilities that the board must have. Where it lacks one, the test is ignored
///   and the reason told, whatever `--ignored` says. One that nobody knows fails the test.
/// - `timeout`: for setup, test and teardown together; `"500 ms"`, `"30 s"`, `"2 min"`. Without it,
///   a minute. A test whose time is up has failed and is left to itself, without its teardown:
///   what it has for itself cannot be taken from it. The others go on.
/// - `setup`, `teardown`: functions with the argument of the test. The teardown comes however
///   setup and test end, and when it fails, so does the test.
/// - `provokes`: parts of messages in which the kernel complains, as is what the test is for. They
///   are noted in the report and do not fail the test, nor does the taint that comes with them; any
///   other complaint does. They need not come.
/// - `should_panic`: the test passes by panicking, with this text in the message if there is one.
/// - `ignore`: only run with `--ignored` or `--include-ignored`.
///
/// # What is no test
///
/// ```compile_fail
/// #[hil::test]
/// fn shared(target: &hil::Target) {} // `&mut`: a test has it for itself
/// # fn main() {}
/// ```
/// ```compile_fail
/// #[hil::test(timeout = "soon")] // no bound of time
/// fn late(target: &mut hil::Target) {}
/// # fn main() {}
/// ```
/// ```compile_fail,E0277
/// #[hil::test]
/// fn seven(target: &mut hil::Target) -> u8 { 7 } // not an outcome
/// # fn main() {}
/// ```
/// ```compile_fail,E0308
/// # struct Target;
/// #[hil::test]
/// fn another_one(target: &mut Target) {} // not `hil::Target`
/// # fn main() {}
/// ```
pub use hil_macros::test;

/// The whole `main` of a test program: lists or runs its [tests](macro@crate::test).
///
/// It takes the arguments that the built-in harness takes, and exits as that does: 0 when all is
/// well, 101 when a test has failed. Without `--test-threads`, tests run one after the other, as
/// there is one board. It reads two environment variables:
///
/// - `BRINGUP_TARGET`: the board, as [`TargetDescription`](crate::TargetDescription) in JSON.
/// - `BRINGUP_LIST=json`: `--list` prints each test as [`Listed`](crate::Listed) in JSON.
///
/// On standard error it says what fails when it fails, as the board may not live to the end.
///
/// ```
/// #[hil::test]
/// fn a_word_has_four_bytes() {
///     assert_eq!(size_of::<u32>(), 4);
/// }
///
/// hil::main!();
/// ```
#[macro_export]
macro_rules! main {
    () => {
        fn main() -> ::std::process::ExitCode {
            $crate::expansion::main(::std::env::args_os(), |name: &str| ::std::env::var_os(name))
        }
    };
}
