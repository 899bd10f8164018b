// SPDX-License-Identifier: MIT OR Apache-2.0

//! A coordinator, an exporter and a place, as long as they are wanted.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use super::server::Server;
use super::{Labgrid, MOUNTED, SITE};
use crate::cache;
use crate::exit::Exit;
use crate::external;
use crate::failure::{Failure, OrFail, Result};
use crate::toolbox::Access;

/// The exporter's name, and the group of its resources.
const EXPORTER: &str = "lab";
const GROUP: &str = "board";

/// Where the coordinator listens: at a port that is free.
const ANY_PORT: &str = "127.0.0.1:0";

/// Where the folder of a server's state is mounted.
const STATE: &str = "/state";

/// How long a resource may take to get from the exporter to the coordinator.
const PROPAGATION: Duration = Duration::from_secs(10);

/// A serial port to be exported.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    /// What the resource is called.
    pub(crate) name: &'static str,
    /// Its character device on this PC.
    pub(crate) device: PathBuf,
    /// Bits per second.
    pub(crate) baud: u32,
}

/// A lab with one place.
#[derive(Debug)]
pub(crate) struct Lab {
    // Fields are dropped in this order.
    _exporter: Server,
    _coordinator: Server,
    place: String,
    coordinator: String,
    client: PathBuf,
    power: PathBuf,
}

impl Lab {
    /// Starts one in `folder`, with a place for a board that has these ports and is switched by
    /// these commands.
    pub(crate) fn start(
        labgrid: &Labgrid,
        folder: &Path,
        place: &str,
        ports: &[Port],
        [on, off]: [Vec<PathBuf>; 2],
    ) -> Result<Self> {
        let state = folder.join("lab");
        // A coordinator knows the places of the last time.
        cache::remove(&state)?;
        std::fs::create_dir_all(&state)
            .or_environment(|| format!("cannot make {}", state.display()))?;
        let coordinator = labgrid
            .enter()
            .alone()
            .mount(&state, STATE, Access::Write)
            .folder(STATE);
        let (coordinator, address) = Server::start(
            coordinator.program("python3").args([
                "-m",
                "labgrid.remote.coordinator",
                "--listen",
                ANY_PORT,
            ]),
            &state.join("coordinator.log"),
            "listening on ",
        )?;
        let exporter = export(labgrid, &state, &address, ports)?;
        let power = state.join("power.yaml");
        write(&power, &switched(place, &on, &off))?;
        let client = folder.join("labgrid-client");
        write(&client, &wrapper(labgrid, folder, &address))?;
        std::fs::set_permissions(&client, Permissions::from_mode(0o755))
            .or_environment(|| format!("cannot make {} a program", client.display()))?;
        let lab = Self {
            _exporter: exporter,
            _coordinator: coordinator,
            place: place.to_owned(),
            coordinator: address,
            client,
            power,
        };
        lab.make_place(ports)?;
        Ok(lab)
    }

    /// How a bench's description names the place.
    pub(crate) fn description(&self) -> String {
        format!(
            "place = {:?}\ncoordinator = {:?}\nclient = {:?}\nconfig = {:?}\n",
            self.place, self.coordinator, self.client, self.power,
        )
    }

    /// labgrid's client, for one command.
    pub(crate) fn client(&self) -> Command {
        Command::new(&self.client)
    }

    /// Makes the place once the coordinator knows all that it is to have.
    fn make_place(&self, ports: &[Port]) -> Result<()> {
        let pattern = format!("{EXPORTER}/{GROUP}/*");
        let deadline = Instant::now() + PROPAGATION;
        while external::output(self.client().args(["resources", &pattern]))?
            .lines()
            .count()
            < ports.len()
        {
            if Instant::now() >= deadline {
                let what = "the exporter's resources do not get to the coordinator";
                return Err(Failure::new(Exit::Infrastructure, what));
            }
        }
        let place = ["--place", &self.place];
        external::output(self.client().args(place).arg("create"))?;
        external::output(self.client().args(place).args(["add-match", &pattern]))?;
        Ok(())
    }
}

/// Starts the exporter of these ports.
fn export(labgrid: &Labgrid, state: &Path, coordinator: &str, ports: &[Port]) -> Result<Server> {
    let mut resources = serde_json::Map::new();
    let mut sandbox = labgrid.enter().alone();
    for port in ports {
        // An exporter takes no device that is elsewhere.
        let at = format!("/dev/port-{}", port.name);
        let device = port.device.canonicalize();
        let device = device.or_environment(|| format!("there is no {}", port.device.display()))?;
        sandbox = sandbox.device(&device, &at);
        let resource = json!({ "cls": "RawSerialPort", "port": at, "speed": port.baud });
        resources.insert(port.name.to_owned(), resource);
    }
    // JSON is YAML too.
    let text = json!({ GROUP: resources }).to_string();
    write(&state.join("exporter.yaml"), &text)?;
    let sandbox = sandbox.mount(state, STATE, Access::Write).folder(STATE);
    let mut command = sandbox.program("python3");
    command
        .args(["-m", "labgrid.remote.exporter"])
        .args(["--coordinator", coordinator, "--name", EXPORTER])
        .args(["--hostname", "127.0.0.1", "exporter.yaml"]);
    let log = state.join("exporter.log");
    Server::start(&mut command, &log, "Exporter ready").map(|(server, _)| server)
}

/// labgrid's environment file for a board that is switched by commands.
fn switched(place: &str, on: &[PathBuf], off: &[PathBuf]) -> String {
    let driver = json!({ "cmd_on": shell_words(on), "cmd_off": shell_words(off) });
    json!({ "targets": { "main": {
        "resources": { "RemotePlace": { "name": place } },
        "drivers": { "ExternalPowerDriver": driver },
    } } })
    .to_string()
}

fn shell_words(words: &[PathBuf]) -> String {
    let words: Vec<_> = words
        .iter()
        .map(|word| quoted(&word.to_string_lossy()))
        .collect();
    words.join(" ")
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The client as a program of this PC. It sees the stand-in's folder, temporary files, and who its
/// user is.
fn wrapper(labgrid: &Labgrid, folder: &Path, coordinator: &str) -> String {
    let temporary = std::env::temp_dir();
    let command = labgrid
        .enter()
        .mount_where_it_is(&temporary, Access::Write)
        .mount_where_it_is(folder, Access::Write)
        .env("HOME", folder)
        .program("env");
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| quoted(&word.to_string_lossy())).collect();
    format!(
        "#!/bin/sh\n# labgrid's client, in the toolbox, for this lab.\nexec {} \\\n    \
         LG_COORDINATOR=\"${{LG_COORDINATOR:-{coordinator}}}\" \\\n    \
         LG_USERNAME=\"${{LG_USERNAME:-$(id -un)}}\" LG_HOSTNAME=\"${{LG_HOSTNAME:-$(uname -n)}}\" \
         \\\n    python3 {MOUNTED}/{SITE}/bin/labgrid-client \"$@\"\n",
        words.join(" ")
    )
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).or_environment(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_any_name_is_one_word_for_labgrid() {
        let words = ["cp", "/a b/on", "/it's/power"].map(PathBuf::from);
        let text = switched("x", &words, &words);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let driver = &value["targets"]["main"]["drivers"]["ExternalPowerDriver"];
        assert_eq!(driver["cmd_on"], r"'cp' '/a b/on' '/it'\''s/power'");
    }
}
