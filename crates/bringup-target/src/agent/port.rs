// SPDX-License-Identifier: MIT OR Apache-2.0

//! The port that frames go out by: a serial line or a virtio-serial port.

use std::fs::{self, File, OpenOptions};
use std::io::IsTerminal;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};

/// How long a port may take to appear after boot.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Opens a port by its name, waiting for it to appear.
pub(super) fn open(name: &str) -> anyhow::Result<File> {
    let deadline = Instant::now() + PATIENCE;
    let path = loop {
        if let Some(path) = find(
            name,
            Path::new("/dev"),
            Path::new("/sys/class/virtio-ports"),
        ) {
            break path;
        }
        if Instant::now() >= deadline {
            bail!("no port {name:?}: neither a device of that name nor a virtio-serial port");
        }
        thread::sleep(PAUSE);
    };
    let port = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY)
        .open(&path)
        .with_context(|| format!("cannot open port {}", path.display()))?;
    if port.is_terminal() {
        make_raw(&port).with_context(|| format!("cannot set up port {}", path.display()))?;
    }
    Ok(port)
}

/// The node of a port: a character device of that name, or the virtio-serial port that the bench
/// has given that name.
fn find(name: &str, dev: &Path, virtio_ports: &Path) -> Option<PathBuf> {
    let node = dev.join(name);
    if fs::metadata(&node).is_ok_and(|m| m.file_type().is_char_device()) {
        return Some(node);
    }
    for entry in fs::read_dir(virtio_ports).ok()?.flatten() {
        let label = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
        let node = dev.join(entry.file_name());
        // The node comes a moment later than the directory.
        if label.trim_end() == name && node.exists() {
            return Some(node);
        }
    }
    None
}

/// Bytes go through as they are, and what the other side sends is not echoed.
fn make_raw(port: &File) -> anyhow::Result<()> {
    let mut settings = tcgetattr(port)?;
    cfmakeraw(&mut settings);
    tcsetattr(port, SetArg::TCSANOW, &settings)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_device_is_found_by_its_name() {
        let nowhere = Path::new("/nonexistent");
        let found = find("null", Path::new("/dev"), nowhere);
        assert_eq!(found.as_deref(), Some(Path::new("/dev/null")));
        assert_eq!(find("shm", Path::new("/dev"), nowhere), None, "a directory");
    }

    #[test]
    fn a_virtio_port_is_found_by_its_label_once_its_node_exists() {
        let root = tempfile::tempdir().unwrap();
        let (dev, ports) = (root.path().join("dev"), root.path().join("ports"));
        fs::create_dir_all(&dev).unwrap();
        for (port, label) in [("vport1p1", "other\n"), ("vport1p2", "bringup.agent\n")] {
            fs::create_dir_all(ports.join(port)).unwrap();
            fs::write(ports.join(port).join("name"), label).unwrap();
        }
        assert_eq!(find("bringup.agent", &dev, &ports), None);
        fs::write(dev.join("vport1p2"), "").unwrap();
        assert_eq!(
            find("bringup.agent", &dev, &ports),
            Some(dev.join("vport1p2"))
        );
        assert_eq!(find("bringup", &dev, &ports), None);
    }
}
