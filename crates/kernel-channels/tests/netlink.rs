// SPDX-License-Identifier: MIT OR Apache-2.0

//! The room `netlink` with the family that every kernel has: the one that knows all families.

use std::time::Duration;

use kernel_channels::Error;
use kernel_channels::netlink::{Attribute, Connection, Failure, Listener};

/// The controller's name, its commands and its attributes, of `linux/genetlink.h`.
const CONTROLLER: &str = "nlctrl";
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;
const FAMILY_VERSION: u16 = 3;

fn failure<T: std::fmt::Debug>(result: Result<T, Error>) -> Failure {
    match result {
        Err(Error::Netlink { source, .. }) => *source,
        other => panic!("no failure of the family: {other:?}"),
    }
}

#[test]
fn a_family_is_found_by_its_name() {
    let connection = Connection::open(CONTROLLER).unwrap();
    let family = connection.family();
    assert_eq!((family.name.as_str(), family.id), (CONTROLLER, 16));
    assert_eq!(family.version, 2);
    assert_eq!(family.groups.get("notify"), Some(&16));
}

#[test]
fn a_family_or_a_group_that_is_not_there_is_named() {
    let error = Connection::open("no such family").unwrap_err();
    assert_eq!(error.to_string(), "generic netlink family no such family");
    assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    assert!(matches!(
        failure(Connection::open("no such family")),
        Failure::NoFamily
    ));
    let missing = failure(Listener::join(CONTROLLER, "no such group"));
    assert!(matches!(missing, Failure::NoGroup(name) if name == "no such group"));
}

#[test]
fn a_dump_lists_what_single_requests_tell() {
    let mut connection = Connection::open(CONTROLLER).unwrap();
    let families = connection.dump(GET_FAMILY, &[]).unwrap();
    assert!(!families.is_empty());
    for family in &families {
        let name = family.text(FAMILY_NAME).unwrap();
        let request = [Attribute::text(FAMILY_NAME, name)];
        let answers = connection.request(GET_FAMILY, &request).unwrap();
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0].text(FAMILY_NAME).unwrap(), name);
    }
}

#[test]
fn a_refusal_has_the_error_and_leaves_the_connection_usable() {
    let mut connection = Connection::open(CONTROLLER).unwrap();
    let refused = failure(connection.request(200, &[]));
    let Failure::Refused {
        command, source, ..
    } = refused
    else {
        panic!("{refused}");
    };
    assert_eq!(command, 200);
    assert_eq!(source.raw_os_error(), Some(libc::EOPNOTSUPP));
    let request = [Attribute::text(FAMILY_NAME, CONTROLLER)];
    let answers = connection.request(GET_FAMILY, &request).unwrap();

    // The controller's number has two bytes.
    let missing = failure(answers[0].u32(999));
    assert!(matches!(missing, Failure::Missing { attribute: 999, .. }));
    for wrong in [
        failure(answers[0].u32(FAMILY_ID)),
        failure(answers[0].uint(FAMILY_ID)),
    ] {
        assert!(
            matches!(wrong, Failure::Attribute { length: 2, .. }),
            "{wrong}"
        );
    }
    let wrong = failure(answers[0].text(FAMILY_VERSION));
    assert!(
        matches!(wrong, Failure::Attribute { length: 4, .. }),
        "{wrong}"
    );
}

#[test]
fn who_hears_nothing_is_told_that_the_time_ran_out() {
    let mut listener = Listener::join(CONTROLLER, "notify").unwrap();
    let heard = listener.next(Some(Duration::ZERO));
    assert_eq!(heard.unwrap(), None);
}
