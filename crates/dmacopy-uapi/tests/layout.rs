// SPDX-License-Identifier: MIT OR Apache-2.0

//! The ABI as numbers, compared with the copy that is kept in `layout.golden`.
//!
//! A difference means that programs that were built before would no longer understand the driver,
//! unless something was only added. If the change is meant, write the new copy with
//! `BLESS=1 cargo test -p dmacopy-uapi --test layout` and let its diff be reviewed.

use std::fmt::Write as _;
use std::mem::{align_of, offset_of, size_of, size_of_val};

use dmacopy_uapi::{ioctl, names, netlink, ring, ABI_VERSION, DRIVER_VERSION};

const GOLDEN: &str = include_str!("layout.golden");

const HEADER: &str = "\
# The ABI of dmacopy. Do not edit: BLESS=1 cargo test -p dmacopy-uapi --test layout
";

/// The sources of the ABI, to see that nothing is missing in the listing.
const SOURCES: [(&str, &str); 5] = [
    ("ioctl", include_str!("../src/abi/ioctl.rs")),
    ("names", include_str!("../src/abi/names.rs")),
    ("netlink", include_str!("../src/abi/netlink.rs")),
    ("ring", include_str!("../src/abi/ring.rs")),
    ("transfer", include_str!("../src/abi/transfer.rs")),
];
const ROOT: &str = include_str!("../src/abi/mod.rs");

/// Lists a structure. The pattern has no `..`, so that a new field cannot be forgotten here.
macro_rules! structure {
    ($listing:expr, $module:ident::$name:ident { $($field:ident),* $(,)? }) => {{
        let value = $module::$name::default();
        let $module::$name { $($field),* } = value;
        let (size, align) = (size_of::<$module::$name>(), align_of::<$module::$name>());
        let path = concat!(stringify!($module), "::", stringify!($name));
        writeln!($listing, "\nstruct {path}: size {size}, align {align}")?;
        $(
            let (offset, size) = (offset_of!($module::$name, $field), size_of_val(&$field));
            writeln!($listing, "  {offset:>2} {size:>2} {}", stringify!($field))?;
        )*
    }};
}

/// Lists constants, each with the format of its kind.
macro_rules! constants {
    ($listing:expr, $format:literal: $($($part:ident)::+),* $(,)?) => {
        $(
            let path = stringify!($($part)::+).replace(' ', "");
            writeln!($listing, concat!("const {}: ", $format), path, $($part)::+)?;
        )*
    };
}

fn listing() -> Result<String, std::fmt::Error> {
    let mut text = String::from(HEADER);
    writeln!(text)?;
    constants!(text, "{}": ABI_VERSION, names::coredump::VERSION);
    constants!(text, "{:?}": DRIVER_VERSION);
    constants!(text, "{:#x}": ioctl::MAGIC);
    constants!(text, "{:#010x}": ioctl::INFO, ioctl::COPY, ioctl::SUBMIT, ioctl::RESET);
    constants!(text, "{:#010x}": ioctl::EVENTFD, ioctl::COALESCE);
    constants!(text, "{:#x}": ioctl::CAP_NOTIFY);
    constants!(text, "{}": ioctl::MAX_COALESCE_COUNT, ioctl::MAX_COALESCE_MICROSECONDS);
    constants!(text, "{:#010x}": ioctl::CREATE_BUFFER, ioctl::IMPORT_BUFFER, ioctl::EXPORT_BUFFER);
    constants!(text, "{:#010x}": ioctl::FREE_BUFFER, ioctl::SYNC);
    constants!(text, "{}": ioctl::ENGINE_SOFTWARE, ioctl::ENGINE_DMAENGINE, ioctl::ENGINE_PCI);
    constants!(text, "{:#x}": ioctl::CAP_MMAP, ioctl::CAP_STREAM, ioctl::CAP_COPY, ioctl::CAP_RINGS, ioctl::CAP_RESET);
    constants!(text, "{:#x}": ioctl::CAP_BUFFERS, ioctl::CAP_DMA_BUF);
    constants!(
        text, "{}":
        ioctl::DIRECTION_TO_DEVICE,
        ioctl::DIRECTION_FROM_DEVICE,
        ioctl::DIRECTION_BIDIRECTIONAL,
        ioctl::SYNC_FOR_CPU,
        ioctl::SYNC_FOR_DEVICE,
        ioctl::MAX_BUFFERS,
    );
    constants!(text, "{}": ring::NOP, ring::COPY, ring::FILL, ring::MIN_ENTRIES, ring::MAX_ENTRIES);
    constants!(
        text, "{}":
        ring::index::SUBMISSION_TAIL,
        ring::index::COMPLETION_HEAD,
        ring::index::SUBMISSION_HEAD,
        ring::index::COMPLETION_TAIL,
        ring::index::BYTES,
    );
    structure!(
        text,
        ioctl::Info {
            abi_version,
            engine,
            capabilities,
            buffer_bytes,
            max_transfer_bytes,
            session,
            rings_offset,
            ring_entries,
            reserved0,
            reserved,
        }
    );
    structure!(
        text,
        ioctl::Copy {
            source_offset,
            destination_offset,
            length,
            flags,
            source_buffer,
            destination_buffer,
            reserved,
            sequence,
            duration_ns,
        }
    );
    structure!(
        text,
        ioctl::Submit {
            count,
            wait,
            flags,
            taken
        }
    );
    structure!(text, ioctl::Reset { flags, reserved });
    structure!(
        text,
        ioctl::CreateBuffer {
            bytes,
            flags,
            buffer
        }
    );
    structure!(
        text,
        ioctl::ImportBuffer {
            fd,
            flags,
            bytes,
            buffer,
            reserved,
        }
    );
    structure!(
        text,
        ioctl::ExportBuffer {
            buffer,
            flags,
            fd,
            reserved
        }
    );
    structure!(text, ioctl::FreeBuffer { buffer, flags });
    structure!(
        text,
        ioctl::Sync {
            offset,
            length,
            buffer,
            direction,
            side,
            flags,
        }
    );
    structure!(
        text,
        ioctl::Eventfd {
            descriptor,
            flags,
            reserved,
        }
    );
    structure!(
        text,
        ioctl::Coalesce {
            count,
            microseconds,
            flags,
            reserved,
        }
    );
    structure!(
        text,
        ring::Descriptor {
            opcode,
            flags,
            source_buffer,
            destination_buffer,
            length,
            source,
            destination,
            user_data,
        }
    );
    structure!(
        text,
        ring::Completion {
            user_data,
            result,
            flags
        }
    );
    writeln!(text)?;
    constants!(
        text, "{:?}":
        names::DRIVER,
        names::COMPATIBLE,
        names::DMAS,
        names::DMA,
        names::PARAMETER_SOFTWARE,
        names::PARAMETER_ALWAYS_SOFTWARE,
        names::CLASS,
        names::PROC_SUMMARY,
        names::attribute::ABI_VERSION,
        names::attribute::ENGINE,
        names::attribute::STATE,
        names::attribute::BUFFER_BYTES,
        names::attribute::RING_ENTRIES,
        names::attribute::TIMEOUT_MS,
        names::attribute::INTERRUPT_COUNT,
        names::attribute::INTERRUPT_MICROSECONDS,
        names::attribute::COALESCE_COUNT,
        names::attribute::COALESCE_US,
        names::attribute::SESSIONS,
        names::attribute::TRANSFERS,
        names::attribute::BYTES,
        names::attribute::CPU_BYTES,
        names::attribute::ERRORS,
        names::attribute::STALLS,
        names::attribute::RESETS,
        names::attribute::LOST_INTERRUPTS,
        names::attribute::DRIVER_VERSION,
        names::attribute::ALL,
        names::limits::GROUP,
        names::limits::SESSIONS,
        names::limits::DEVICE_BYTES,
        names::limits::SESSION_BYTES,
        names::limits::SESSION_TRANSFERS,
        names::limits::USED_BYTES,
        names::limits::ALL,
        names::upcall::GROUP,
        names::upcall::PATH,
        names::upcall::ENABLED,
        names::upcall::INTERVAL_MS,
        names::upcall::RUNS,
        names::upcall::FAILURES,
        names::upcall::SUPPRESSED,
        names::upcall::ALL,
        names::argument::UPCALL,
        names::environment::DEVICE,
        names::environment::STATE,
        names::environment::SEQUENCE,
        names::engine::SOFTWARE,
        names::engine::DMAENGINE,
        names::engine::PCI,
        names::state::RUNNING,
        names::state::STALLED,
        names::state::FAILED,
        names::uevent::STATE,
        names::uevent::SEQUENCE,
        names::uevent::RESETS,
        names::tracepoint::SYSTEM,
        names::tracepoint::SUBMIT,
        names::tracepoint::START,
        names::tracepoint::COMPLETE,
        names::tracepoint::ERROR,
        names::field::DEVICE,
        names::field::SESSION,
        names::field::SEQUENCE,
        names::field::LENGTH,
        names::field::LATENCY_NS,
        names::field::ERRNO,
        names::kfunc::TRANSFERS,
        names::kfunc::BYTES,
        names::kfunc::ERRORS,
        names::debugfs::STALL,
        names::debugfs::ENGINE,
        names::debugfs::REGISTERS,
        names::debugfs::SESSIONS,
        names::debugfs::FAIL_NEXT,
        names::debugfs::DELAY_US,
    );
    writeln!(text)?;
    constants!(text, "{:?}": netlink::FAMILY, netlink::group::EVENTS);
    constants!(
        text, "{}":
        netlink::VERSION,
        netlink::command::GET_DEVICE,
        netlink::command::DEVICE_ADDED,
        netlink::command::DEVICE_REMOVED,
        netlink::command::STATE_CHANGED,
        netlink::attribute::NUMBER,
        netlink::attribute::NAME,
        netlink::attribute::ABI_VERSION,
        netlink::attribute::ENGINE,
        netlink::attribute::STATE,
        netlink::attribute::CAPABILITIES,
        netlink::attribute::SESSIONS,
        netlink::attribute::TRANSFERS,
        netlink::attribute::BYTES,
        netlink::attribute::ERRORS,
        netlink::attribute::BUFFER_BYTES,
        netlink::attribute::MAX_TRANSFER_BYTES,
        netlink::attribute::TIMEOUT_MS,
        netlink::attribute::SEQUENCE,
        netlink::state::RUNNING,
        netlink::state::STALLED,
        netlink::state::FAILED,
    );
    Ok(text)
}

#[test]
fn the_driver_has_the_version_of_this_crate() {
    assert_eq!(DRIVER_VERSION, env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_abi_is_the_golden_one() {
    let listing = listing().unwrap();
    if std::env::var_os("BLESS").is_some_and(|bless| bless == "1") {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/layout.golden");
        std::fs::write(path, &listing).unwrap();
        return;
    }
    let changed = |from: &str, to: &str, sign: char| -> String {
        let lines = from
            .lines()
            .filter(|line| to.lines().all(|other| other != *line));
        let lines: Vec<_> = lines.map(|line| format!("{sign} {line}\n")).collect();
        lines.concat()
    };
    assert!(
        listing == GOLDEN,
        "the ABI differs from tests/layout.golden:\n{}{}\
         if that is meant: BLESS=1 cargo test -p dmacopy-uapi --test layout",
        changed(GOLDEN, &listing, '-'),
        changed(&listing, GOLDEN, '+'),
    );
}

/// The public items of a kind in a source, by their names.
fn public<'a>(source: &'a str, kind: &'a str) -> impl Iterator<Item = &'a str> {
    source.lines().filter_map(move |line| {
        let rest = line.trim().strip_prefix("pub ")?.strip_prefix(kind)?;
        let name = rest.strip_prefix(' ')?;
        let end = name.find(|c: char| !c.is_alphanumeric() && c != '_');
        Some(&name[..end.unwrap_or(name.len())]).filter(|name| *name != "fn")
    })
}

#[test]
fn nothing_public_is_missing_in_the_listing() {
    let listing = listing().unwrap();
    let modules: Vec<_> = public(ROOT, "mod").collect();
    assert_eq!(modules, SOURCES.map(|(name, _)| name));

    // Names repeat from module to module, so they are counted and not only looked for.
    for (kind, end) in [("const", ": "), ("struct", ": size")] {
        for (module, source) in SOURCES.into_iter().chain([("", ROOT)]) {
            let mut in_source: Vec<_> = public(source, kind).collect();
            let prefix = format!("{module}::");
            let mut in_listing: Vec<_> = listing
                .lines()
                .filter_map(|line| line.strip_prefix(kind)?.strip_prefix(' ')?.split_once(end))
                .map(|(path, _)| path)
                .filter(|path| match path.contains("::") {
                    true => path.starts_with(&prefix),
                    false => module.is_empty(),
                })
                .filter_map(|path| path.rsplit("::").next())
                .collect();
            in_source.sort_unstable();
            in_listing.sort_unstable();
            assert_eq!(in_listing, in_source, "each pub {kind} of {module}");
        }
    }
}
