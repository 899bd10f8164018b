// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is told of devices, by the driver and by the kernel, in one form.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use dmacopy_client::{Event, Events, State};
use dmacopy_uapi::names::{CLASS, DRIVER, state};
use kernel_channels::Error;
use kernel_channels::netlink::Failure;
use kernel_channels::uevent::{self, Monitor};
use nix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// No wait: something is there.
const NOW: Option<Duration> = Some(Duration::ZERO);

/// Something that was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "source", rename_all = "kebab-case")]
pub(super) enum News {
    /// By the driver, to its multicast group.
    Netlink {
        event: &'static str,
        device: String,
        /// What the engine is doing now.
        #[serde(skip_serializing_if = "Option::is_none")]
        state: Option<&'static str>,
        /// Since which transfer.
        #[serde(skip_serializing_if = "Option::is_none")]
        sequence: Option<u64>,
    },
    /// By the kernel, to whoever listens.
    Uevent {
        event: &'static str,
        device: String,
        /// The event's number, system-wide.
        seqnum: u64,
        /// All that is not said above.
        variables: BTreeMap<String, String>,
    },
    /// By nobody: more has come than was read.
    Lost {
        /// Who had told it.
        of: &'static str,
    },
    /// Something that is no event, as who may write to an `uevent` file of any device can have it.
    Malformed {
        /// Who had told it.
        of: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// One line of output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    /// When it was read, in microseconds since the board was started, as in the kernel's log.
    time_us: u64,
    #[serde(flatten)]
    news: News,
}

impl News {
    /// All that the driver has told. One message of the socket may hold several events, and the
    /// socket is not readable for what was read with another one.
    pub(super) fn of_driver(events: &mut Events, all: &mut Vec<Self>) -> anyhow::Result<()> {
        loop {
            match events.next(NOW) {
                Ok(None) => return Ok(()),
                Ok(Some(event)) => all.extend(Self::from_driver(&event)),
                Err(dmacopy_client::Error::Events(error)) if is_loss(&error) => {
                    all.push(Self::Lost { of: "netlink" });
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn from_driver(event: &Event) -> Option<Self> {
        let news = |event, device, state, sequence| Self::Netlink {
            event,
            device,
            state,
            sequence,
        };
        Some(match event {
            Event::Added { name, .. } => news("added", name.clone(), None, None),
            Event::Removed { name, .. } => news("removed", name.clone(), None, None),
            Event::StateChanged {
                number,
                state,
                sequence,
            } => {
                let state = match state {
                    State::Running => state::RUNNING,
                    State::Stalled => state::STALLED,
                    State::Failed => state::FAILED,
                    _ => "unknown",
                };
                let name = format!("{DRIVER}{number}");
                news("state-changed", name, Some(state), Some(*sequence))
            }
            _ => return None,
        })
    }

    /// All that the kernel has told about devices of the driver.
    pub(super) fn of_kernel(monitor: &Monitor, all: &mut Vec<Self>) -> anyhow::Result<()> {
        loop {
            match monitor.next(NOW) {
                Ok(None) => return Ok(()),
                Ok(Some(event)) => all.extend(Self::from_kernel(event)),
                Err(Error::UeventsLost) => all.push(Self::Lost { of: "uevent" }),
                Err(Error::Uevent(malformed)) => all.push(Self::Malformed {
                    of: "uevent",
                    why: malformed.to_string(),
                }),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn from_kernel(event: uevent::Event) -> Option<Self> {
        let name = event.devpath.rsplit('/').next()?;
        let is_ours = event.subsystem.as_deref() == Some(CLASS) && name.starts_with(DRIVER);
        let said = ["ACTION", "DEVPATH", "SUBSYSTEM", "SEQNUM"];
        let mut variables = event.variables;
        variables.retain(|key, _| !said.contains(&key.as_str()));
        is_ours.then(|| Self::Uevent {
            event: event.action.word(),
            device: name.to_owned(),
            seqnum: event.seqnum,
            variables,
        })
    }

    /// Whether it is about this device, or may be.
    pub(super) fn is_about(&self, wanted: Option<&str>) -> bool {
        match self {
            Self::Netlink { device, .. } | Self::Uevent { device, .. } => {
                wanted.is_none_or(|wanted| wanted == device)
            }
            Self::Lost { .. } | Self::Malformed { .. } => true,
        }
    }

    /// Whether it is an event, and not the lack of some, or none at all.
    pub(super) fn is_event(&self) -> bool {
        !matches!(self, Self::Lost { .. } | Self::Malformed { .. })
    }
}

/// Whether the driver's events have come faster than they were read.
fn is_loss(error: &Error) -> bool {
    matches!(error, Error::Netlink { source, .. } if matches!(**source, Failure::Lost))
}

impl Line {
    /// A line about what has come now.
    pub(super) fn now(news: News) -> anyhow::Result<Self> {
        let now = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?);
        let time_us = u64::try_from(now.as_micros())?;
        Ok(Self { time_us, news })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, rest) = (self.time_us / 1_000_000, self.time_us % 1_000_000);
        write!(f, "[{seconds:5}.{rest:06}] ")?;
        match &self.news {
            News::Netlink {
                event,
                device,
                state,
                sequence,
            } => {
                write!(f, "netlink  {device}  {event}")?;
                if let (Some(state), Some(sequence)) = (state, sequence) {
                    write!(f, ": {state} with transfer {sequence}")?;
                }
                Ok(())
            }
            News::Uevent {
                event,
                device,
                seqnum,
                variables,
            } => {
                write!(f, "uevent   {device}  {event}, SEQNUM={seqnum}")?;
                variables
                    .iter()
                    .try_for_each(|(key, value)| write!(f, " {key}={value}"))
            }
            News::Lost { of } => write!(f, "{of:<7}  events were lost"),
            News::Malformed { of, why } => write!(f, "{of:<7}  no event: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(news: News) -> Line {
        let time_us = 1_234_000_056;
        Line { time_us, news }
    }

    fn stalled() -> News {
        let event = Event::StateChanged {
            number: 1,
            state: State::Stalled,
            sequence: 17,
        };
        News::from_driver(&event).unwrap()
    }

    fn kernel(message: &str) -> Option<News> {
        News::from_kernel(uevent::Event::parse(message.as_bytes()).unwrap())
    }

    const CHANGE: &str = "change@/devices/virtual/misc/dmacopy1\0ACTION=change\0\
        DEVPATH=/devices/virtual/misc/dmacopy1\0SUBSYSTEM=misc\0DEVNAME=dmacopy1\0\
        DMACOPY_STATE=stalled\0SEQNUM=99\0";

    #[test]
    fn people_read_one_line_of_each_event() {
        assert_eq!(
            line(stalled()).to_string(),
            "[ 1234.000056] netlink  dmacopy1  state-changed: stalled with transfer 17"
        );
        assert_eq!(
            line(kernel(CHANGE).unwrap()).to_string(),
            "[ 1234.000056] uevent   dmacopy1  change, SEQNUM=99 DEVNAME=dmacopy1 \
             DMACOPY_STATE=stalled"
        );
        let lost = line(News::Lost { of: "uevent" });
        assert_eq!(lost.to_string(), "[ 1234.000056] uevent   events were lost");
    }

    #[test]
    fn programs_get_one_object_of_each_event() {
        let json = |news| serde_json::to_string(&line(news)).unwrap();
        assert_eq!(
            json(stalled()),
            r#"{"time_us":1234000056,"source":"netlink","event":"state-changed","device":"dmacopy1","state":"stalled","sequence":17}"#
        );
        assert_eq!(
            json(kernel(CHANGE).unwrap()),
            r#"{"time_us":1234000056,"source":"uevent","event":"change","device":"dmacopy1","seqnum":99,"variables":{"DEVNAME":"dmacopy1","DMACOPY_STATE":"stalled"}}"#
        );
        let added = Event::Added {
            number: 0,
            name: "dmacopy0".into(),
        };
        assert_eq!(
            json(News::from_driver(&added).unwrap()),
            r#"{"time_us":1234000056,"source":"netlink","event":"added","device":"dmacopy0"}"#
        );
    }

    #[test]
    fn each_state_has_a_name_of_its_own() {
        let expected = [
            (State::Running, "running"),
            (State::Stalled, "stalled"),
            (State::Failed, "failed"),
        ];
        for (state, name) in expected {
            let event = Event::StateChanged {
                number: 0,
                state,
                sequence: 1,
            };
            let News::Netlink { state, .. } = News::from_driver(&event).unwrap() else {
                panic!("{name} is no news of the driver's");
            };
            assert_eq!(state, Some(name));
        }
    }

    #[test]
    fn the_time_is_that_of_the_kernels_log() {
        let now = || {
            let now = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap());
            u64::try_from(now.as_micros()).unwrap()
        };
        let before = now();
        let line = Line::now(stalled()).unwrap();
        assert!((before..=now()).contains(&line.time_us), "{line:?}");
    }

    #[test]
    fn events_of_other_devices_are_passed_over() {
        assert_eq!(kernel(&CHANGE.replace("dmacopy1", "kvm")), None);
        assert_eq!(kernel(&CHANGE.replace("=misc", "=block")), None);
        assert!(stalled().is_about(None));
        assert!(stalled().is_about(Some("dmacopy1")));
        assert!(!stalled().is_about(Some("dmacopy11")));
    }

    #[test]
    fn what_is_no_event_is_told_to_all_and_counts_for_none() {
        let news = News::Malformed {
            of: "uevent",
            why: "A twice".into(),
        };
        assert!(news.is_about(Some("dmacopy7")));
        assert!(!news.is_event());
        let text = line(news).to_string();
        assert_eq!(text, "[ 1234.000056] uevent   no event: A twice");
    }

    #[test]
    fn a_loss_is_told_to_all_and_counts_for_no_event() {
        let lost = News::Lost { of: "netlink" };
        assert!(lost.is_about(Some("dmacopy7")));
        assert!(!lost.is_event());
        assert!(stalled().is_event());
    }
}
