// SPDX-License-Identifier: MIT OR Apache-2.0

//! What makes an emulated board one that is reached by remote login only, as a real board on a
//! network is: an interface with an address, a server of logins, a shell, and keys.
//!
//! The keys are made for one boot and are of no use elsewhere: the board knows one user's, and the
//! PC knows the board's.

mod keys;
mod lock;
mod packages;

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use board_spec::Network;
use hil::qemu::Forward;
use hil::ssh::Settings;

use self::keys::Keys;
pub(crate) use self::lock::Lock;
pub(crate) use self::packages::update;
use crate::failure::{OrFail, Result};
use crate::host;
use crate::initramfs::{Made, Packed};
use crate::kernel::obtain::Obtain;
use crate::progress::Progress;
use crate::setup::{Choices, Setup};

/// Where the server listens on the board.
const PORT: u16 = 22;

/// The board's address in QEMU's network, and this PC's.
const ADDRESS: &str = "10.0.2.15/24";
const GATEWAY: &str = "10.0.2.2";

/// The board's key, as it is packed, and as the server reads it.
const HOST_KEY: &str = "/etc/ssh/host_key";
const CONVERTED_KEY: &str = "/run/host_key";

/// Where the user is at home.
const HOME: &str = "/var/user";

/// What of the packages goes where.
const PROGRAMS: [(&str, &str); 3] = [
    ("usr/bin/busybox", "/bin/busybox"),
    ("usr/bin/dropbearconvert", "/bin/dropbearconvert"),
    ("usr/sbin/dropbear", "/bin/dropbear"),
];

/// The libraries that the server is linked with.
const LIBRARIES: [&str; 7] = [
    "ld-linux-aarch64.so.1",
    "libc.so.6",
    "libcrypt.so.1",
    "libgmp.so.10",
    "libtomcrypt.so.1",
    "libtommath.so.1",
    "libz.so.1",
];

/// The commands that the shell finds, as a small system has them.
const COMMANDS: [&str; 24] = [
    "cat", "chmod", "cp", "dmesg", "echo", "grep", "head", "id", "ip", "kill", "ls", "lsmod",
    "mkdir", "mount", "mv", "ps", "rm", "rmmod", "sh", "sleep", "test", "umount", "uname", "wc",
];

/// The path on this PC of a shell for the board, static and all commands in one program.
pub(crate) fn shell(obtain: &Obtain<'_>, lock: &Path, locked: bool) -> Result<PathBuf> {
    let packages = packages::ensure(obtain, &Lock::read(lock)?, locked)?;
    Ok(packages.join(PROGRAMS[0].0))
}

/// A board's remote login.
#[derive(Debug)]
pub(crate) struct Login {
    packages: PathBuf,
    keys: Keys,
    /// The port of this PC that leads to the board.
    port: u16,
}

impl Login {
    /// Gets what is needed. Keys are made in `folder`.
    pub(crate) fn prepare(
        setup: &Setup,
        choices: Choices,
        folder: &Path,
        progress: &Progress,
    ) -> Result<Self> {
        host::install_for_logins(progress, choices.may_install)?;
        let obtain = Obtain {
            toolbox: &setup.tools.toolbox,
            cache: &setup.tools.cache,
            progress,
            mirror: crate::mirror::find,
        };
        let lock = Lock::read(&setup.tools.repository.target_lock())?;
        // The kernel takes what it is told to start; another run may take the port until then, and
        // QEMU says so.
        let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|socket| socket.local_addr());
        Ok(Self {
            packages: packages::ensure(&obtain, &lock, choices.locked)?,
            keys: Keys::make(folder)?,
            port: port.or_environment(|| "cannot find a free port")?.port(),
        })
    }

    /// How the board's port is reached from this PC.
    pub(crate) fn forward(&self) -> Forward {
        Forward {
            from: self.port,
            to: PORT,
        }
    }

    /// How this PC logs in, as a bench's description says it.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            port: Some(self.port),
            user: Some("root".into()),
            identity: Some(self.keys.identity()),
            // Nothing of this PC's own configuration, and no other board's key.
            options: [
                "-F".to_owned(),
                "none".to_owned(),
                format!("-oUserKnownHostsFile={}", self.keys.known_hosts().display()),
                "-oGlobalKnownHostsFile=none".to_owned(),
                format!("-oHostKeyAlias={}", keys::ALIAS),
            ]
            .into(),
            ..Settings::new("127.0.0.1")
        }
    }

    /// Programs and libraries to be packed.
    pub(crate) fn packed(&self) -> Vec<Packed> {
        let programs = PROGRAMS.map(|(from, to)| (from.to_owned(), to.to_owned()));
        let libraries = LIBRARIES.map(|name| {
            let from = format!("usr/lib/aarch64-linux-gnu/{name}");
            (from, format!("/lib/{name}"))
        });
        let files = programs.into_iter().chain(libraries);
        let packed = files.map(|(from, to)| Packed {
            from: self.packages.join(from),
            to,
        });
        packed.collect()
    }

    /// What else is packed: users, keys, the shell's commands.
    pub(crate) fn made(&self) -> Result<Vec<Made>> {
        let mut made = vec![
            Made::text(
                "/etc/passwd",
                0o644,
                &format!("root:x:0:0:root:{HOME}:/bin/sh\n"),
            ),
            Made::text("/etc/group", 0o644, "root:x:0:\n"),
            Made::text(HOST_KEY, 0o600, &self.keys.host_key()?),
            Made::text(
                &format!("{HOME}/.ssh/authorized_keys"),
                0o600,
                &self.keys.authorized()?,
            ),
        ];
        let links = COMMANDS.iter();
        made.extend(links.map(|name| Made::link(&format!("/bin/{name}"), "busybox")));
        Ok(made)
    }

    /// The command that serves logins as long as the board is on. An adapter on a bus that is
    /// looked through takes a while to appear.
    pub(crate) fn service(network: &Network) -> Vec<String> {
        let interface = &network.interface;
        let script = [
            "ip link set lo up".to_owned(),
            format!("until ip link set {interface} up 2>/dev/null; do sleep 0.1; done"),
            format!("ip addr add {ADDRESS} dev {interface}"),
            format!("ip route add default via {GATEWAY}"),
            format!("dropbearconvert openssh dropbear {HOST_KEY} {CONVERTED_KEY}"),
            // In the foreground, its log on the console, keys only, and no forwarding.
            format!("exec dropbear -F -E -s -j -k -p {PORT} -r {CONVERTED_KEY}"),
        ];
        let words = ["/bin/busybox", "sh", "-ec", &script.join("\n")];
        words.map(str::to_owned).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_of_the_service_are_packed() {
        let network = Network {
            device: "d".into(),
            interface: "eth0".into(),
            modules: Vec::new(),
        };
        let service = Login::service(&network);
        assert_eq!(service[0], PROGRAMS[0].1);
        let packed = |command: &str| {
            let is_program = PROGRAMS
                .iter()
                .any(|(_, to)| *to == format!("/bin/{command}"));
            is_program || COMMANDS.contains(&command)
        };
        for line in service[3].lines() {
            let words = line
                .trim_start_matches("until ")
                .trim_start_matches("exec ");
            let command = words.split(' ').next().unwrap();
            assert!(packed(command), "{command}");
        }
    }
}
