// SPDX-License-Identifier: MIT OR Apache-2.0

//! A board at a place of a labgrid coordinator. A shell script plays labgrid's client and keeps a
//! record of what it is asked for; the places' serial port is a socket of this test.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use board_spec::{Board, Boards};
use hil::description::BenchDescription;
use hil::wiring::{AgentLine, Wiring as _};
use hil::{Console, Described, Error, Fate};
use serde_json::{Value, json};

/// Does what labgrid's client 26.0 does with these words, as far as it can be seen from outside.
const CLIENT: &str = r#"#!/bin/sh
cd "$(dirname "$0")"
all="$*"
while [ "${1#--}" != "$1" ]; do
    [ "$1" = --place ] && place=$2
    [ "$1" = --config ] && config=$2
    shift 2
done
echo "$place${place:+ }$*" | sed 's# /.*##' >> asked
[ -e die ] && kill -KILL $$
[ -e refuse ] && { cat refuse >&2; exit 1; }
case "$1" in
wait) if [ -e queue ]; then sleep 60; fi ;;
acquire)
    [ -e slow ] && sleep 2
    [ "$place" = mine ] && { echo "client: Error: You have already acquired place mine." >&2; exit 1; }
    echo "acquired place ${place#+}-7" ;;
show) printf "Place 'pi':\n  aliases: \n  acquired: %s\n" "$(cat holder 2>/dev/null || echo None)" ;;
reserve) echo "export LG_TOKEN=T0K" ;;
export)
    cp "$config" exported-for
    cp lines "$4"
    echo $$ > exporting
    while :; do sleep 0.1; done ;;
esac
"#;

/// What the client says when another user has the place.
const TAKEN: &str = "labgrid-client: Error: Place pi is already acquired by desk/bob. To work \
                     simultaneously, bob can execute 'labgrid-client -p pi allow desk/alice' on desk.";

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

struct Played {
    folder: tempfile::TempDir,
    log: Console,
    described: Described,
    port: TcpListener,
}

fn board() -> Result<Board> {
    let boards = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards");
    let boards = Boards::find(&boards)?;
    Ok(boards.board(boards.default_name())?)
}

impl Played {
    /// A board at a place that is described like this.
    fn new(place: &Value, agent: &Value) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let client = folder.path().join("labgrid-client");
        fs::write(&client, CLIENT)?;
        fs::set_permissions(&client, Permissions::from_mode(0o755))?;
        let port = TcpListener::bind("127.0.0.1:0")?;
        let mut labgrid = json!({ "client": client, "off_seconds": 0 });
        for (key, value) in place.as_object().into_iter().flatten() {
            labgrid[key] = value.clone();
        }
        let description = json!({ "board": "x", "labgrid": labgrid, "agent": agent });
        let description: BenchDescription = serde_json::from_value(description)?;
        let log = Console::new(Fate::default(), None);
        let described = Described::new(&board()?, description, "agent".into(), log.clone());
        let played = Self {
            folder,
            log,
            described,
            port,
        };
        let port = played.port.local_addr()?.port();
        played.lines_are_at(port)?;
        Ok(played)
    }

    fn lines_are_at(&self, port: u16) -> Result {
        let line = |name: &str| {
            format!(
                "\"LG__{name}_HOST\": \"127.0.0.1\", \"LG__{name}_PORT\": \"{port}\", \
                 \"LG__{name}_PROTOCOL\": \"raw\""
            )
        };
        let text = format!("{{{}, {}}}", line("CONSOLE"), line("AGENT"));
        Ok(fs::write(self.folder.path().join("lines"), text)?)
    }

    /// What the client has been asked for, in order.
    fn asked(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("asked")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn client_refuses(&self, words: &str) -> Result {
        Ok(fs::write(self.folder.path().join("refuse"), words)?)
    }

    /// Whether the client that keeps the lines goes on.
    fn is_exporting(&self) -> bool {
        let pid = fs::read_to_string(self.folder.path().join("exporting")).unwrap_or_default();
        Path::new("/proc").join(pid.trim()).join("fd").exists()
    }
}

/// A place with a console, which the agent shares.
fn with_console() -> Result<Played> {
    let place = json!({ "place": "pi", "console": "uart0" });
    Played::new(&place, &json!({ "on_console": true }))
}

#[test]
fn a_place_is_taken_switched_heard_and_given_back() -> Result {
    let mut played = with_console()?;
    assert_eq!(played.described.kind(), "labgrid");
    played.described.power_on(&Fate::default())?;
    let taken = [
        "pi acquire",
        "pi-7 power off",
        "export --format json",
        "pi-7 power on",
    ];
    assert_eq!(played.asked(), taken);
    let config = fs::read_to_string(played.folder.path().join("exported-for"))?;
    assert!(
        config.contains("uart0") && config.contains("pi-7"),
        "{config}"
    );
    let (mut board, _) = played.port.accept()?;
    board.write_all(b"Linux\n")?;
    let mut console = played.described.console()?.ok_or("no console")?;
    let mut heard = [0; 6];
    console.reader.read_exact(&mut heard)?;
    assert_eq!(&heard, b"Linux\n");
    assert!(matches!(played.described.agent()?, AgentLine::Console(_)));
    played.described.power_off()?;
    assert!(played.is_exporting());
    // The lines are known: a board that is switched on again needs nothing but power.
    played.described.power_on(&Fate::default())?;
    assert_eq!(played.asked()[4..], ["pi-7 power off", "pi-7 power on"]);
    played.described.power_off()?;
    played.described.release();
    assert_eq!(played.asked()[7..], ["pi-7 release"]);
    let deadline = Instant::now() + Duration::from_secs(10);
    while played.is_exporting() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    assert!(!played.is_exporting(), "the client goes on");
    assert!(
        played
            .log
            .last()
            .contains(&"[bench] released the place pi-7".to_owned())
    );
    // Nobody has it any more: nothing is left to be switched.
    played.described.power_off()?;
    assert_eq!(played.asked().len(), 8);
    Ok(())
}

#[test]
fn a_place_is_given_back_by_whoever_forgets_it() -> Result {
    let mut played = with_console()?;
    played.described.power_on(&Fate::default())?;
    let Played {
        folder, described, ..
    } = played;
    drop(described);
    let asked = fs::read_to_string(folder.path().join("asked"))?;
    assert_eq!(asked.lines().last(), Some("pi-7 release"));
    Ok(())
}

/// What the client was asked, once that is as long as this.
fn asked_at_last(played: &Played, length: usize) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while played.asked().len() < length && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    played.asked()
}

#[test]
fn a_place_that_is_taken_too_late_is_given_back() -> Result {
    let place = json!({ "place": "pi", "console": "uart0", "command_seconds": 1 });
    let mut played = Played::new(&place, &json!({ "on_console": true }))?;
    fs::write(played.folder.path().join("slow"), "")?;
    let error = played.described.power_on(&Fate::default()).unwrap_err();
    assert!(
        error.to_string().contains("no answer within 1 s"),
        "{error}"
    );
    assert_eq!(asked_at_last(&played, 2), ["pi acquire", "pi-7 release"]);
    Ok(())
}

#[test]
fn a_turn_that_nobody_waits_for_any_more_is_given_up() -> Result {
    let place = json!({ "reserve": { "soc": "bcm2711" }, "wait_seconds": 600 });
    let agent = json!({ "ssh": { "host": "pi.example" } });
    let mut played = Played::new(&place, &agent)?;
    fs::write(played.folder.path().join("queue"), "")?;
    let fate = Fate::default();
    let (decided, log) = (fate.clone(), played.folder.path().join("asked"));
    let gone = thread::spawn(move || {
        while !fs::read_to_string(&log).is_ok_and(|asked| asked.contains("wait")) {
            thread::sleep(Duration::from_millis(10));
        }
        decided.decide(hil::Lost::GivenUp);
    });
    let begun = Instant::now();
    played.described.power_on(&fate).unwrap_err();
    gone.join().map_err(|_| "panicked")?;
    assert!(begun.elapsed() < Duration::from_secs(20));
    let asked = played.asked();
    assert_eq!(asked[1..], ["wait T0K", "cancel-reservation T0K"]);
    Ok(())
}

#[test]
fn a_place_that_was_taken_away_is_taken_anew() -> Result {
    let mut played = with_console()?;
    played.described.power_on(&Fate::default())?;
    let words = "client: Error: place pi-7 is not acquired by your user, acquired by bob.";
    played.client_refuses(words)?;
    let error = played.described.power_off().unwrap_err().to_string();
    assert!(error.contains("acquired by bob") && error.contains("taken the place away"));
    let said = played.log.last().join("\n");
    assert!(said.contains("pi-7 was not released"), "{said}");
    fs::remove_file(played.folder.path().join("refuse"))?;
    played.described.power_on(&Fate::default())?;
    let acquired = |asked: &[String]| asked.iter().filter(|a| *a == "pi acquire").count();
    assert_eq!(acquired(&played.asked()), 2);
    Ok(())
}

#[test]
fn who_has_a_place_is_asked_without_taking_it() -> Result {
    let played = with_console()?;
    let client = played.folder.path().join("labgrid-client");
    let place = serde_json::from_value(json!({ "place": "pi", "client": client }))?;
    assert_eq!(Described::ask_labgrid(&place)?, "place pi, free");
    fs::write(played.folder.path().join("holder"), "desk/bob")?;
    let taken = Described::ask_labgrid(&place)?;
    assert_eq!(taken, "place pi, acquired by desk/bob");
    assert_eq!(played.asked(), ["pi show", "pi show"]);
    Ok(())
}

#[test]
fn a_client_that_is_killed_is_told_from_one_that_is_not_there() -> Result {
    let played = with_console()?;
    fs::write(played.folder.path().join("die"), "")?;
    let told = |name: &str| -> Result<String> {
        let client = played.folder.path().join(name);
        let place = serde_json::from_value(json!({ "place": "pi", "client": client }))?;
        Ok(Described::ask_labgrid(&place).unwrap_err().to_string())
    };
    let killed = told("labgrid-client")?;
    assert!(killed.contains("place pi: signal: 9"), "{killed}");
    let missing = told("no-client")?;
    assert!(missing.contains("cannot run"), "{missing}");
    assert!(missing.contains("labgrid.client"), "{missing}");
    Ok(())
}

#[test]
fn a_place_that_the_user_had_before_stays_his() -> Result {
    let mut played = Played::new(
        &json!({ "place": "mine", "console": "uart0", "power": "main" }),
        &json!({ "on_console": true }),
    )?;
    played.described.power_on(&Fate::default())?;
    assert_eq!(played.asked()[1], "mine power off --name main");
    played.described.release();
    assert!(!played.asked().contains(&"mine release".to_owned()));
    let said = played.log.last().join("\n");
    assert!(said.contains("mine was this user's before"), "{said}");
    Ok(())
}

#[test]
fn whoever_has_the_place_is_named() -> Result {
    let mut played = with_console()?;
    played.client_refuses(TAKEN)?;
    let error = played
        .described
        .power_on(&Fate::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("acquired by desk/bob"), "{error}");
    assert!(error.contains("labgrid.reserve"), "{error}");
    // What another user has is left alone.
    played.described.power_off()?;
    played.described.release();
    assert_eq!(played.asked(), ["pi acquire"]);
    Ok(())
}

#[test]
fn a_place_is_reserved_by_its_tags_and_the_reservation_ends_with_its_use() -> Result {
    let place = json!({ "reserve": { "soc": "bcm2711", "rack": "2" } });
    let agent = json!({ "ssh": { "host": "pi.example" } });
    let mut played = Played::new(&place, &agent)?;
    played.described.power_on(&Fate::default())?;
    let asked = [
        "reserve --shell rack=2 soc=bcm2711",
        "wait T0K",
        "+T0K acquire",
        "T0K-7 power off",
        "T0K-7 power on",
    ];
    assert_eq!(played.asked(), asked);
    played.described.release();
    assert_eq!(
        played.asked()[5..],
        ["T0K-7 release", "cancel-reservation T0K"]
    );
    Ok(())
}

#[test]
fn lines_that_have_moved_are_asked_for_anew() -> Result {
    let place = json!({ "place": "pi", "console": "uart0" });
    let mut played = Played::new(&place, &json!({ "resource": "uart1" }))?;
    let nobody = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    played.lines_are_at(nobody)?;
    let error = played.described.power_on(&Fate::default()).unwrap_err();
    assert!(matches!(error, Error::Line { .. }), "{error}");
    let port = played.port.local_addr()?.port();
    played.lines_are_at(port)?;
    played.described.power_on(&Fate::default())?;
    let exports = |asked: &[String]| asked.iter().filter(|a| a.starts_with("export")).count();
    assert_eq!(exports(&played.asked()), 3);
    assert!(matches!(played.described.agent()?, AgentLine::Own(..)));
    let config = fs::read_to_string(played.folder.path().join("exported-for"))?;
    assert!(config.contains("uart1"), "{config}");
    Ok(())
}
