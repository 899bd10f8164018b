// SPDX-License-Identifier: MIT OR Apache-2.0

//! A board on a desk: switched by commands, heard and talked to over the lines that `bench.toml`
//! names.

mod command;
mod hands;
mod labgrid;
mod line;
mod reconnect;
mod telnet;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use agent_wire::link;
use board_spec::Board;

use self::command::run;
use self::hands::Hands;
use self::labgrid::Place;
use self::line::Address;
use self::reconnect::Reconnecting;
use crate::description::{AgentPath, BenchDescription, Labgrid, Power, VALUE};
use crate::ssh::Login;
use crate::stimulus::Stimulus;
use crate::wiring::{AgentLine, Duplex, Wiring};
use crate::{Console, Error, Fate};

/// How long it may take until nobody listens to a board any more that was switched off.
const LET_GO: Duration = Duration::from_secs(3);

/// How often a line is tried in that time.
const LOOK: Duration = Duration::from_millis(20);

/// A board that is connected as a description says.
#[derive(Debug)]
pub struct Described {
    description: BenchDescription,
    /// The place of a labgrid coordinator that the board is at.
    place: Option<Place>,
    console_address: Option<Address>,
    agent: Agent,
    log: Console,
    /// Opened before the board is switched on, so that its first words are heard.
    console: Option<Reconnecting>,
    is_known_to_be_off: bool,
    has_told: bool,
}

/// How the agent is reached.
#[derive(Debug)]
enum Agent {
    Console,
    Port(Address),
    /// By a resource of the place, once it is known where that is.
    Resource(Option<Address>),
    Login(Box<Login>),
}

impl Described {
    /// The board, in a state that nobody knows. `agent_program` is the path of the board's program
    /// on this PC, static: what a remote login brings along. What happens to the lines is told in
    /// `log`.
    pub fn new(
        board: &Board,
        description: BenchDescription,
        agent_program: PathBuf,
        log: Console,
    ) -> Self {
        let address = |port| Address::new(port, board.console.baud);
        let agent = match &description.agent {
            AgentPath::Console => Agent::Console,
            AgentPath::Port(port) => Agent::Port(address(port)),
            AgentPath::Resource(_) => Agent::Resource(None),
            AgentPath::Ssh(settings) => Agent::Login(Box::new(Login::new(
                settings.clone(),
                agent_program,
                log.clone(),
            ))),
        };
        let resource = match &description.agent {
            AgentPath::Resource(name) => Some(name.clone()),
            _ => None,
        };
        let place = description.labgrid.clone();
        Self {
            place: place.map(|place| Place::new(place, resource, log.clone())),
            console_address: description.console.as_ref().map(address),
            agent,
            description,
            log,
            console: None,
            is_known_to_be_off: false,
            has_told: false,
        }
    }

    /// Asks labgrid how things stand with a place, which changes nothing.
    ///
    /// # Errors
    ///
    /// When the client or the coordinator does not answer, or there is no such place.
    pub fn ask_labgrid(place: &Labgrid) -> Result<String, Error> {
        labgrid::standing(place)
    }

    /// Presses the switch: the one that is described, or the place's.
    fn switch(&mut self, state: &str, words: impl Fn(&Power) -> &Vec<String>) -> Result<(), Error> {
        match (&self.description.power, &mut self.place) {
            (Some(power), _) => {
                let limit = Duration::from_secs(power.command_seconds);
                run(words(power), limit).map(drop)
            }
            (None, Some(place)) => place.power(state),
            (None, None) => Ok(()),
        }
    }

    /// How long the board stays without power.
    fn off(&self) -> Option<Duration> {
        let described = self.description.power.as_ref();
        let described = described.map(|power| Duration::from_secs(power.off_seconds));
        described.or_else(|| self.place.as_ref().map(Place::off))
    }

    /// Opens the console of a board that is off.
    fn open_console(&mut self) -> Result<Option<Reconnecting>, Error> {
        if let Some(address) = &self.console_address {
            return open_when_free(address).map(Some);
        }
        let Some(place) = &mut self.place else {
            return Ok(None);
        };
        let mut addresses = place.addresses()?;
        let mut console = addresses.console.as_ref().map(open_when_free);
        if matches!(console, Some(Err(_))) {
            place.forget_addresses();
            addresses = place.addresses()?;
            console = addresses.console.as_ref().map(open_when_free);
        }
        if let Agent::Resource(address) = &mut self.agent {
            *address = addresses.agent;
        }
        console.transpose()
    }
}

/// Opens a line that whoever listened to the last boot may not have let go of yet.
fn open_when_free(address: &Address) -> Result<Reconnecting, Error> {
    let deadline = Instant::now() + LET_GO;
    loop {
        match Reconnecting::open(address.clone()) {
            Err(_) if Instant::now() < deadline => thread::sleep(LOOK),
            result => return result,
        }
    }
}

impl Wiring for Described {
    fn kind(&self) -> &'static str {
        self.description.kind()
    }

    fn power_on(&mut self, fate: &Fate) -> Result<(), Error> {
        if let Some(place) = &mut self.place {
            place.acquire(fate)?;
        }
        if !self.is_known_to_be_off {
            self.power_off()?;
        }
        self.console = self.open_console()?;
        if let Some(off) = self.off() {
            thread::sleep(off);
        }
        self.is_known_to_be_off = false;
        self.has_told = false;
        self.switch("on", |power| &power.on)
    }

    fn power_off(&mut self) -> Result<(), Error> {
        self.console = None;
        if let Agent::Login(login) = &mut self.agent {
            login.close();
        }
        self.switch("off", |power| &power.off)?;
        self.is_known_to_be_off = true;
        Ok(())
    }

    fn console(&mut self) -> Result<Option<Duplex>, Error> {
        Ok(self.console.take().map(Reconnecting::duplex))
    }

    fn agent(&mut self) -> Result<AgentLine, Error> {
        let address = match &mut self.agent {
            Agent::Console => return Ok(AgentLine::Console(link::Line::SERIAL)),
            Agent::Login(login) => return login.agent(),
            Agent::Port(address) | Agent::Resource(Some(address)) => address,
            Agent::Resource(None) => return Err(Error::Unconnected),
        };
        match Reconnecting::open(address.clone()) {
            Ok(line) => Ok(AgentLine::Own(line.duplex(), address.line())),
            Err(error) => {
                // A port that the board itself brings comes when it has booted.
                if !self.has_told {
                    self.log.push(format!("\n[bench] {error:#}\n").as_bytes());
                }
                self.has_told = true;
                Ok(AgentLine::NotYet)
            }
        }
    }

    fn write_storage(&mut self, image: &Path) -> Result<(), Error> {
        let storage = self.description.storage.as_ref().ok_or(Error::NoStorage)?;
        let limit = Duration::from_secs(storage.write_seconds);
        let path = image.to_string_lossy();
        let words = storage.write.iter();
        let write: Vec<_> = words.map(|word| word.replace(VALUE, &path)).collect();
        // One that could not be written stays with the PC.
        let steps = [&storage.to_pc, &write, &storage.to_board];
        for words in steps.into_iter().filter(|words| !words.is_empty()) {
            run(words, limit)?;
        }
        Ok(())
    }

    fn stimulus(&self) -> Option<Arc<dyn Stimulus>> {
        Some(Arc::new(Hands(self.description.stimulus.clone())))
    }

    fn release(&mut self) {
        if let Some(place) = &mut self.place {
            place.release();
        }
    }

    fn ended(&mut self) -> Option<Error> {
        match &mut self.agent {
            Agent::Login(login) => login.ended(),
            Agent::Console | Agent::Port(_) | Agent::Resource(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bench whose card is a file, and whose multiplexer notes where it is.
    fn bench(folder: &Path, write: &str) -> Described {
        let text = format!(
            r#"
            board = "beach"
            agent.socket = "localhost:1"
            [storage]
            to_pc = ["sh", "-c", "echo pc >> {0}/mux"]
            write = {write}
            to_board = ["sh", "-c", "echo board >> {0}/mux"]
            "#,
            folder.display()
        );
        let boards = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards");
        let board = board_spec::Boards::find(&boards).unwrap().all().unwrap();
        let log = Console::new(Fate::default(), None);
        let description = toml::from_str(&text).unwrap();
        Described::new(&board[0], description, PathBuf::new(), log)
    }

    #[test]
    fn a_card_goes_to_the_pc_is_written_and_goes_to_the_board() {
        let folder = tempfile::tempdir().unwrap();
        let card = folder.path().join("card");
        let image = folder.path().join("an image");
        std::fs::write(&image, "bytes").unwrap();
        let write = format!("[\"cp\", \"{{}}\", {card:?}]");
        bench(folder.path(), &write).write_storage(&image).unwrap();
        assert_eq!(std::fs::read_to_string(&card).unwrap(), "bytes");
        let mux = std::fs::read_to_string(folder.path().join("mux")).unwrap();
        assert_eq!(mux, "pc\nboard\n");
    }

    #[test]
    fn a_card_that_could_not_be_written_stays_with_the_pc() {
        let folder = tempfile::tempdir().unwrap();
        let write = r#"["sh", "-c", "echo the card is {} >&2; exit 1"]"#;
        let error = bench(folder.path(), write).write_storage(Path::new("full"));
        let told = error.unwrap_err().to_string();
        assert!(told.contains("the card is full"), "{told}");
        let mux = std::fs::read_to_string(folder.path().join("mux")).unwrap();
        assert_eq!(mux, "pc\n");
    }

    #[test]
    fn a_board_in_an_unknown_state_is_off_for_a_while_and_heard_from_its_first_word() {
        let folder = tempfile::tempdir().unwrap();
        let console = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = console.local_addr().unwrap();
        let heard = folder.path().join("heard");
        let listener = heard.clone();
        let pc = thread::spawn(move || {
            let line = console.accept().unwrap();
            std::fs::write(listener, "").unwrap();
            line
        });
        // Whether somebody listens by now is seen a moment later.
        let text = format!(
            r#"
            board = "beach"
            console.socket = "{address}"
            agent.on_console = true
            [power]
            off = ["sh", "-c", "echo off $(date +%s%N) >> {0}/power"]
            on = ["sh", "-c", "echo on $(date +%s%N) >> {0}/power; sleep 0.3; test -e {0}/heard"]
            off_seconds = 1
            "#,
            folder.path().display()
        );
        let boards = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards");
        let board = board_spec::Boards::find(&boards).unwrap().all().unwrap();
        let log = Console::new(Fate::default(), None);
        let description = toml::from_str(&text).unwrap();
        let mut bench = Described::new(&board[0], description, PathBuf::new(), log);
        bench.power_on(&Fate::default()).unwrap();
        drop(pc.join().unwrap());
        let power = std::fs::read_to_string(folder.path().join("power")).unwrap();
        let words: Vec<_> = power.split_whitespace().collect();
        assert_eq!(
            (words.len(), words[0], words[2]),
            (4, "off", "on"),
            "{power}"
        );
        let [off, on] = [words[1], words[3]].map(|time| time.parse::<u64>().unwrap());
        assert!(on - off >= 1_000_000_000, "{power}");
    }
}
