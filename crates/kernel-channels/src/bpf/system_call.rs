// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bpf(2)`: one function per command, with its attributes as `linux/bpf.h` has them.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::Instruction;

const MAP_CREATE: u32 = 0;
const MAP_LOOKUP_ELEM: u32 = 1;
const PROG_LOAD: u32 = 5;
const PROG_TEST_RUN: u32 = 10;
const OBJ_GET_INFO_BY_FD: u32 = 15;
const RAW_TRACEPOINT_OPEN: u32 = 17;
const BTF_GET_FD_BY_ID: u32 = 19;
const BTF_GET_NEXT_ID: u32 = 23;

/// The longest name of an object, with the NUL at its end.
const NAME_BYTES: usize = 16;

/// Carries out a command.
///
/// # Safety
///
/// `T` has no padding and is laid out like the part of `union bpf_attr` that the command uses.
/// What it holds the addresses of is valid as long and as writable as the command asks for.
unsafe fn bpf<T>(command: u32, attribute: &mut T) -> io::Result<i32> {
    // SAFETY: the attribute is borrowed mutably and as long as its size says; the rest is the
    // caller's promise.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attribute),
            size_of::<T>(),
        )
    };
    match i32::try_from(result) {
        Ok(result) if result >= 0 => Ok(result),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Takes a descriptor over that a command has returned.
fn owned(descriptor: RawFd) -> OwnedFd {
    // SAFETY: the kernel has just opened it, and nobody else knows of it.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

/// The address of a value, as attributes hold it.
fn address<T: ?Sized>(value: &T) -> u64 {
    std::ptr::from_ref(value).cast::<u8>().addr() as u64
}

/// A name as C has it, cut to the longest that there can be.
fn named(name: &str) -> [u8; NAME_BYTES] {
    let mut bytes = [0; NAME_BYTES];
    for (to, from) in bytes[..NAME_BYTES - 1].iter_mut().zip(name.bytes()) {
        let is_allowed = from.is_ascii_alphanumeric() || from == b'_' || from == b'.';
        *to = if is_allowed { from } else { b'_' };
    }
    bytes
}

/// Creates a map; sizes in bytes.
pub(super) fn create_map(
    kind: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    name: &str,
) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attribute {
        map_type: u32,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
        map_flags: u32,
        inner_map_fd: u32,
        numa_node: u32,
        map_name: [u8; NAME_BYTES],
    }
    let mut attribute = Attribute {
        map_type: kind,
        key_size,
        value_size,
        max_entries,
        map_flags: 0,
        inner_map_fd: 0,
        numa_node: 0,
        map_name: named(name),
    };
    // SAFETY: this is the command's attribute, which holds no address.
    unsafe { bpf(MAP_CREATE, &mut attribute) }.map(owned)
}

/// Reads an entry of a map whose keys are numbers and whose values have eight bytes.
pub(super) fn look_up(map: BorrowedFd<'_>, key: u32) -> io::Result<u64> {
    #[repr(C)]
    struct Attribute {
        map_fd: i32,
        padding: u32,
        key: u64,
        value: u64,
        flags: u64,
    }
    // Written by the kernel.
    let mut value = [0_u64];
    let mut attribute = Attribute {
        map_fd: map.as_raw_fd(),
        padding: 0,
        key: address(&key),
        value: value.as_mut_ptr().addr() as u64,
        flags: 0,
    };
    // SAFETY: this is the command's attribute. The key has as many bytes as those of the map, and
    // the value, which is written, too: that is what this function is for.
    unsafe { bpf(MAP_LOOKUP_ELEM, &mut attribute) }?;
    Ok(value[0])
}

/// What there is to know of a program before it is loaded.
pub(super) struct Load<'a> {
    pub(super) kind: u32,
    pub(super) flags: u32,
    /// What a program of its kind is for, and the function of the kernel's that it is for, if any.
    pub(super) attach_type: u32,
    pub(super) attach_function: u32,
    pub(super) name: &'a str,
    pub(super) instructions: &'a [Instruction],
    /// Descriptors of the BTF of modules, from the second on.
    pub(super) descriptors: &'a [RawFd],
}

/// Has the verifier look at a program, write what it thinks to `log` unless that is empty, and
/// loads the program.
pub(super) fn load(load: &Load<'_>, log: &mut [u8]) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attribute {
        prog_type: u32,
        insn_cnt: u32,
        insns: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log_buf: u64,
        kern_version: u32,
        prog_flags: u32,
        prog_name: [u8; NAME_BYTES],
        prog_ifindex: u32,
        expected_attach_type: u32,
        prog_btf_fd: u32,
        func_info_rec_size: u32,
        func_info: u64,
        func_info_cnt: u32,
        line_info_rec_size: u32,
        line_info: u64,
        line_info_cnt: u32,
        attach_btf_id: u32,
        attach_btf_obj_fd: u32,
        core_relo_cnt: u32,
        fd_array: u64,
    }
    let too_long = |_| io::Error::from_raw_os_error(libc::E2BIG);
    let mut attribute = Attribute {
        prog_type: load.kind,
        insn_cnt: u32::try_from(load.instructions.len()).map_err(too_long)?,
        insns: address(load.instructions),
        // The functions of modules are for programs under this licence only.
        license: address(c"Dual MIT/GPL".to_bytes_with_nul()),
        log_level: u32::from(!log.is_empty()),
        log_size: u32::try_from(log.len()).map_err(too_long)?,
        log_buf: if log.is_empty() {
            0
        } else {
            log.as_mut_ptr().addr() as u64
        },
        kern_version: 0,
        prog_flags: load.flags,
        prog_name: named(load.name),
        prog_ifindex: 0,
        expected_attach_type: load.attach_type,
        prog_btf_fd: 0,
        func_info_rec_size: 0,
        func_info: 0,
        func_info_cnt: 0,
        line_info_rec_size: 0,
        line_info: 0,
        line_info_cnt: 0,
        attach_btf_id: load.attach_function,
        attach_btf_obj_fd: 0,
        core_relo_cnt: 0,
        fd_array: address(load.descriptors),
    };
    // SAFETY: this is the command's attribute, as far as it goes. The instructions, the licence and
    // the descriptors are only read, and the log is borrowed mutably and as long as `log_size`. The
    // kernel refuses a number of a descriptor that it does not know, and reads the array up to the
    // numbers that the instructions have only.
    unsafe { bpf(PROG_LOAD, &mut attribute) }.map(owned)
}

/// Runs a program once, on memory that it may read and change, and returns what it returns.
pub(super) fn run(program: BorrowedFd<'_>, context: &mut [u8]) -> io::Result<u32> {
    #[repr(C)]
    struct Attribute {
        prog_fd: i32,
        retval: u32,
        data_size_in: u32,
        data_size_out: u32,
        data_in: u64,
        data_out: u64,
        repeat: u32,
        duration: u32,
        ctx_size_in: u32,
        ctx_size_out: u32,
        ctx_in: u64,
        ctx_out: u64,
    }
    let mut attribute = Attribute {
        prog_fd: program.as_raw_fd(),
        retval: 0,
        data_size_in: 0,
        data_size_out: 0,
        data_in: 0,
        data_out: 0,
        repeat: 0,
        duration: 0,
        ctx_size_in: u32::try_from(context.len())
            .map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?,
        ctx_size_out: 0,
        ctx_in: context.as_mut_ptr().addr() as u64,
        ctx_out: 0,
    };
    // SAFETY: this is the command's attribute. The context, which is written, is borrowed mutably
    // and as long as `ctx_size_in`.
    unsafe { bpf(PROG_TEST_RUN, &mut attribute) }?;
    Ok(attribute.retval)
}

/// Attaches a program to the function that it is for, until what is returned is closed.
pub(super) fn attach(program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attribute {
        name: u64,
        prog_fd: i32,
        padding: u32,
    }
    let mut attribute = Attribute {
        name: 0,
        prog_fd: program.as_raw_fd(),
        padding: 0,
    };
    // SAFETY: this is the command's attribute, which holds no address: the name is that of a
    // tracepoint, and not for other programs.
    unsafe { bpf(RAW_TRACEPOINT_OPEN, &mut attribute) }.map(owned)
}

/// The number of the next BTF object.
pub(super) fn next_btf(after: u32) -> io::Result<u32> {
    #[repr(C)]
    struct Attribute {
        start_id: u32,
        next_id: u32,
        open_flags: u32,
    }
    let mut attribute = Attribute {
        start_id: after,
        next_id: 0,
        open_flags: 0,
    };
    // SAFETY: this is the command's attribute, which holds no address.
    unsafe { bpf(BTF_GET_NEXT_ID, &mut attribute) }?;
    Ok(attribute.next_id)
}

/// A BTF object by its number.
pub(super) fn open_btf(id: u32) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attribute {
        btf_id: u32,
        next_id: u32,
        open_flags: u32,
    }
    let mut attribute = Attribute {
        btf_id: id,
        next_id: 0,
        open_flags: 0,
    };
    // SAFETY: this is the command's attribute, which holds no address.
    unsafe { bpf(BTF_GET_FD_BY_ID, &mut attribute) }.map(owned)
}

/// The name of a BTF object: that of its module, `vmlinux`, or empty.
pub(super) fn btf_name(btf: BorrowedFd<'_>) -> io::Result<String> {
    #[repr(C)]
    struct Info {
        btf: u64,
        btf_size: u32,
        id: u32,
        name: u64,
        name_len: u32,
        kernel_btf: u32,
    }
    #[repr(C)]
    struct Attribute {
        bpf_fd: i32,
        info_len: u32,
        info: u64,
    }
    // A module's name is shorter.
    let mut name = [0_u8; 64];
    let mut info = Info {
        btf: 0,
        btf_size: 0,
        id: 0,
        name: name.as_mut_ptr().addr() as u64,
        name_len: 64,
        kernel_btf: 0,
    };
    let mut attribute = Attribute {
        bpf_fd: btf.as_raw_fd(),
        info_len: 32,
        info: (&raw mut info).addr() as u64,
    };
    // SAFETY: this is the command's attribute, and `info` what it fills in for BTF, of 32 bytes. The
    // name is as long as `name_len`. Both are ours, and nobody refers to them meanwhile.
    unsafe { bpf(OBJ_GET_INFO_BY_FD, &mut attribute) }?;
    let length = name
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(name.len());
    Ok(String::from_utf8_lossy(&name[..length]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_and_cleaned() {
        assert_eq!(&named("latency"), b"latency\0\0\0\0\0\0\0\0\0");
        assert_eq!(&named("a-name that is too long"), b"a_name_that_is_\0");
    }
}
