// SPDX-License-Identifier: MIT OR Apache-2.0

//! Exit codes, which scripts and the bench rely on.

use std::process::ExitCode;

/// A room failed, or the command could not be carried out.
pub(crate) const FAILED: u8 = 1;

// 2 is clap's, for wrong usage.

/// There is no dmacopy device.
pub(crate) const NO_DEVICE: u8 = 3;

/// Prints an error with its causes, and says what to exit with.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    if matches!(error.downcast_ref(), Some(dmacopy_client::Error::NoDevice)) {
        eprintln!("help: is the module loaded? try `modprobe dmacopy`");
        return NO_DEVICE.into();
    }
    FAILED.into()
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_missing_device_has_an_exit_code_of_its_own() {
        let missing = anyhow::Error::new(dmacopy_client::Error::NoDevice);
        assert_eq!(report(&missing), ExitCode::from(NO_DEVICE));
        assert_eq!(report(&anyhow!("else")), ExitCode::from(FAILED));
    }
}
