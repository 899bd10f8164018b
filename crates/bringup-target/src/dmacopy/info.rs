// SPDX-License-Identifier: MIT OR Apache-2.0

//! `dmacopy info`: what the driver says about a device.

use dmacopy_client::Device;
use dmacopy_uapi::ioctl;
use serde::Serialize;

use crate::output;

/// What is shown.
#[derive(Debug, Serialize)]
struct Description {
    device: String,
    engine: String,
    state: String,
    abi_version: u32,
    capabilities: Vec<&'static str>,
    buffer_bytes: u64,
    max_transfer_bytes: u64,
    timeout_ms: u128,
}

/// Shows what a device is and what it can do.
pub(super) fn run(device: &Device, json: bool) -> anyhow::Result<()> {
    let description = describe(device)?;
    output::print(json, &description, || description.text())
}

fn describe(device: &Device) -> anyhow::Result<Description> {
    let attributes = device.attributes();
    let info = device.session()?.info()?;
    Ok(Description {
        device: device.name().to_owned(),
        engine: attributes.engine()?,
        state: format!("{:?}", attributes.state()?).to_lowercase(),
        abi_version: info.abi_version,
        capabilities: capabilities(info.capabilities),
        buffer_bytes: info.buffer_bytes,
        max_transfer_bytes: info.max_transfer_bytes,
        timeout_ms: attributes.timeout()?.as_millis(),
    })
}

/// The names of the capability bits that are set, of those this program knows.
fn capabilities(bits: u64) -> Vec<&'static str> {
    let known = [
        (ioctl::CAP_MMAP, "mmap"),
        (ioctl::CAP_STREAM, "stream"),
        (ioctl::CAP_COPY, "copy"),
        (ioctl::CAP_RINGS, "rings"),
        (ioctl::CAP_NOTIFY, "notify"),
        (ioctl::CAP_BUFFERS, "buffers"),
        (ioctl::CAP_DMA_BUF, "dma-buf"),
        (ioctl::CAP_RESET, "reset"),
    ];
    let set = known.iter().filter(|(bit, _)| bits & bit != 0);
    set.map(|(_, name)| *name).collect()
}

impl Description {
    /// The same for people.
    fn text(&self) -> String {
        let lines = [
            format!("device              {}", self.device),
            format!("engine              {}", self.engine),
            format!("state               {}", self.state),
            format!("ABI version         {}", self.abi_version),
            format!("capabilities        {}", self.capabilities.join(", ")),
            format!("buffer              {} bytes", self.buffer_bytes),
            format!("longest transfer    {} bytes", self.max_transfer_bytes),
            format!("timeout             {} ms", self.timeout_ms),
        ];
        lines.join("\n") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_shown_by_name_and_unknown_bits_are_passed_over() {
        let bits = ioctl::CAP_MMAP | ioctl::CAP_COPY | (1 << 63);
        assert_eq!(capabilities(bits), ["mmap", "copy"]);
        assert_eq!(capabilities(0), [""; 0]);
        let all = "mmap stream copy rings notify buffers dma-buf reset";
        assert_eq!(capabilities(u64::MAX).join(" "), all);
        assert_eq!(capabilities(ioctl::CAP_RESET), ["reset"]);
    }
}
