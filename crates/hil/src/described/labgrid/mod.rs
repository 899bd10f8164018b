// SPDX-License-Identifier: MIT OR Apache-2.0

//! A place of a labgrid coordinator: taken, switched and given back by labgrid's own client.
//!
//! labgrid knows who has a place, and how it is switched and reached; all that is asked by
//! `labgrid-client`, so any transport, proxy and driver of its is used as its administrators have
//! set it up. A place that this user had before is used and left to him.
//!
//! # References
//!
//! - `labgrid-client(1)`; <https://labgrid.readthedocs.io/en/latest/usage.html#remote-access>

mod client;
mod guardian;
mod lines;
mod refusal;

use std::time::Duration;

use self::client::Client;
use self::guardian::{ACQUIRED, Guardian, NotTaken};
use self::lines::Lines;
use super::line::Address;
use crate::description::Labgrid;
use crate::{Console, Error, Fate};

/// What it says of a place that this user has already, on this computer.
const ACQUIRED_BEFORE: &str = "You have already acquired place ";

/// What it says of a place that this user has no longer.
const NOT_ACQUIRED: &str = "is not acquired";

/// How it tells the token of a reservation.
const TOKEN: &str = "export LG_TOKEN=";

/// A place, whether it has been taken or not.
#[derive(Debug)]
pub(super) struct Place {
    settings: Labgrid,
    client: Client,
    /// The resource of the agent's line, if it has one of its own.
    agent: Option<String>,
    log: Console,
    held: Option<Held>,
}

/// A place that has been taken.
#[derive(Debug)]
struct Held {
    name: String,
    lines: Option<Lines>,
    /// Gives it back, unless it was this user's before.
    guardian: Option<Guardian>,
}

/// Where the serial resources of a place are reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Addresses {
    pub(super) console: Option<Address>,
    pub(super) agent: Option<Address>,
}

impl Place {
    /// A place that is not taken yet. What happens to it is told in `log`.
    pub(super) fn new(settings: Labgrid, agent: Option<String>, log: Console) -> Self {
        Self {
            client: Client::new(&settings),
            settings,
            agent,
            log,
            held: None,
        }
    }

    /// Takes it, unless that has been done. Its turn is not waited for any more once `fate` is
    /// decided.
    pub(super) fn acquire(&mut self, fate: &Fate) -> Result<(), Error> {
        if self.held.is_some() {
            return Ok(());
        }
        let held = match self.settings.place.clone() {
            Some(place) => self.acquire_named(&place)?,
            None => self.acquire_reserved(fate)?,
        };
        self.held = Some(held);
        Ok(())
    }

    /// Switches it `on` or `off`. One that is not taken stays as it is, and one that somebody has
    /// taken away is to be taken anew.
    pub(super) fn power(&mut self, state: &str) -> Result<(), Error> {
        let Some(held) = &self.held else {
            return Ok(());
        };
        let mut words = vec!["power", state];
        if let Some(name) = &self.settings.power {
            words.extend(["--name", name]);
        }
        let what = format!("switch {state} the place {}", held.name);
        let config = self.settings.config.as_deref();
        let asked = self.client.ask(&what, config, Some(&held.name), &words);
        if matches!(&asked, Err(Error::Labgrid { said, .. }) if said.contains(NOT_ACQUIRED)) {
            self.release();
        }
        asked.map(drop)
    }

    /// How long the board stays without power.
    pub(super) fn off(&self) -> Duration {
        Duration::from_secs(self.settings.off_seconds)
    }

    /// Where its lines end.
    pub(super) fn addresses(&mut self) -> Result<Addresses, Error> {
        let Some(held) = &mut self.held else {
            return Ok(Addresses::default());
        };
        let are_kept = held.lines.as_mut().is_some_and(Lines::are_kept);
        if let (true, Some(lines)) = (are_kept, &held.lines) {
            return Ok(lines.addresses());
        }
        let names = [&self.settings.console, &self.agent].map(Option::as_deref);
        if names == [None, None] {
            return Ok(Addresses::default());
        }
        let lines = Lines::open(&self.client, &held.name, names)?;
        Ok(held.lines.insert(lines).addresses())
    }

    /// Asks anew where its lines end when that is wanted next: an exporter that was started again
    /// has them elsewhere.
    pub(super) fn forget_addresses(&mut self) {
        if let Some(held) = &mut self.held {
            held.lines = None;
        }
    }

    /// Gives it back, if it has been taken here.
    pub(super) fn release(&mut self) {
        let Some(Held {
            name,
            lines,
            guardian,
        }) = self.held.take()
        else {
            return;
        };
        drop(lines);
        if let Some(guardian) = guardian {
            match guardian.release(self.client.limit()) {
                Ok(()) => self.tell(&format!("released the place {name}")),
                Err(said) => self.tell(&format!("the place {name} was not released: {said}")),
            }
        }
    }

    fn acquire_named(&self, place: &str) -> Result<Held, Error> {
        let what = format!("hand out the place {place}");
        self.take(&what, place, None).or_else(|error| {
            let name = held_before(&error).ok_or(error)?;
            self.tell(&format!(
                "the place {name} was this user's before: it is used, and stays so"
            ));
            Ok(Held {
                name,
                lines: None,
                guardian: None,
            })
        })
    }

    /// Reserves any place with the tags, and takes it when it is its turn.
    fn acquire_reserved(&self, fate: &Fate) -> Result<Held, Error> {
        let tags = self.settings.reserve.iter();
        let tags: Vec<_> = tags.map(|(key, value)| format!("{key}={value}")).collect();
        let mut words = vec!["reserve", "--shell"];
        words.extend(tags.iter().map(String::as_str));
        let what = format!("reserve a place with {}", tags.join(" "));
        let said = self.client.ask(&what, None, None, &words)?;
        let token = said.lines().find_map(|line| line.strip_prefix(TOKEN));
        let token = token.ok_or_else(|| out_of_order(&what, &said))?.trim();
        let acquired = self.acquire_in_turn(&what, token, fate);
        if acquired.is_err() {
            // Otherwise the next in line would wait for nobody. What failed before is told.
            let _ = self
                .client
                .ask(&what, None, None, &["cancel-reservation", token]);
        }
        acquired
    }

    fn acquire_in_turn(&self, what: &str, token: &str, fate: &Fate) -> Result<Held, Error> {
        let limit = Duration::from_secs(self.settings.wait_seconds);
        let wait = self.client.command(None, None, &["wait", token]);
        let is_unwanted = || fate.decided().is_some();
        self.client.finish(what, wait, limit, &is_unwanted)?;
        let place = format!("+{token}");
        self.take(what, &place, Some(token))
    }

    /// Takes a place. What is asked for may be an alias or a part of its name.
    fn take(&self, what: &str, place: &str, token: Option<&str>) -> Result<Held, Error> {
        let taken = Guardian::acquire(&self.client, place, token);
        let (guardian, said) = taken.map_err(|why| match why {
            NotTaken::Untried(error) => refusal::explain(what, &format!("cannot run sh: {error}")),
            NotTaken::Refused(said) => refusal::explain(what, &said),
        })?;
        let mut lines = said.lines();
        let name = lines.find_map(|line| line.strip_prefix(ACQUIRED));
        let name = name.ok_or_else(|| out_of_order(what, &said))?.trim();
        self.tell(&format!("acquired the place {name}"));
        Ok(Held {
            name: name.to_owned(),
            lines: None,
            guardian: Some(guardian),
        })
    }

    fn tell(&self, what: &str) {
        self.log.push(format!("\n[bench] {what}\n").as_bytes());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.release();
    }
}

/// How things stand with a place: who has it.
pub(super) fn standing(settings: &Labgrid) -> Result<String, Error> {
    let client = Client::new(settings);
    let Some(place) = &settings.place else {
        let tags = settings.reserve.iter();
        let tags: Vec<_> = tags.map(|(key, value)| format!("{key}={value}")).collect();
        let what = "list its reservations";
        client.ask(what, None, None, &["reservations"])?;
        return Ok(format!("any place with {}", tags.join(" ")));
    };
    let what = format!("show the place {place}");
    let said = client.ask(&what, None, Some(place), &["show"])?;
    let mut lines = said.lines().map(str::trim);
    let acquired = lines.find_map(|line| line.strip_prefix("acquired: "));
    match acquired.ok_or_else(|| out_of_order(&what, &said))? {
        "None" => Ok(format!("place {place}, free")),
        who => Ok(format!("place {place}, acquired by {who}")),
    }
}

/// The name of the place, if this is how the client says that this user has it already.
fn held_before(error: &Error) -> Option<String> {
    let Error::Labgrid { said, .. } = error else {
        return None;
    };
    let (_, rest) = said.split_once(ACQUIRED_BEFORE)?;
    let name = rest.split(';').next()?.strip_suffix('.')?;
    // On another computer he has it for something else.
    (!name.contains(' ')).then(|| name.to_owned())
}

fn out_of_order(what: &str, said: &str) -> Error {
    Error::Labgrid {
        what: what.to_owned(),
        said: format!("its client answered out of order: {}", said.trim()),
        hint: None,
    }
}
