// SPDX-License-Identifier: GPL-2.0

//! Names of the ABI as C strings.

/// Turns a constant `&str` of the ABI into a `&'static CStr`, at compile time.
macro_rules! c_name {
    ($name:expr) => {{
        const NAME: &str = $name;
        const BYTES: [u8; NAME.len() + 1] = $crate::name::nul_terminated(NAME);
        const C_NAME: &::kernel::str::CStr = match ::kernel::str::CStr::from_bytes_with_nul(&BYTES)
        {
            Ok(name) => name,
            Err(_) => panic!("a name contains NUL"),
        };
        C_NAME
    }};
}

/// The bytes of `name`, followed by zeros; `N` is at least one more than its length.
pub(crate) const fn nul_terminated<const N: usize>(name: &str) -> [u8; N] {
    let name = name.as_bytes();
    let mut bytes = [0; N];
    let mut i = 0;
    while i < name.len() {
        bytes[i] = name[i];
        i += 1;
    }
    bytes
}

/// Compares two names at compile time.
pub(crate) const fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut i = 0;
    while i < one.len() {
        if one[i] != other[i] {
            return false;
        }
        i += 1;
    }
    true
}
