// SPDX-License-Identifier: MIT OR Apache-2.0

//! Families, as the kernel's controller tells of them.

use std::collections::BTreeMap;
use std::io::Cursor;

use neli::FromBytesWithInput;
use neli::consts::genl::{CtrlAttr, CtrlAttrMcastGrp, CtrlCmd, Index};
use neli::consts::nl::{GenlId, NlmF};
use neli::genl::Genlmsghdr;

use super::connection::exchange;
use super::socket::Socket;
use super::{Attribute, Failure};

/// The version of the controller.
const CONTROLLER_VERSION: u8 = 2;

/// A family that the kernel has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name.
    pub name: String,
    /// Its number, until the driver is unloaded.
    pub id: u16,
    /// Its version.
    pub version: u32,
    /// The numbers of its multicast groups, by their names.
    pub groups: BTreeMap<String, u32>,
}

impl Family {
    pub(super) fn find(socket: &Socket, name: &str) -> Result<Self, Failure> {
        let command = u8::from(CtrlCmd::Getfamily);
        let attribute = Attribute::text(CtrlAttr::FamilyName.into(), name);
        let (controller, version) = (GenlId::Ctrl.into(), CONTROLLER_VERSION);
        let answers = exchange(
            socket,
            (controller, version),
            (NlmF::ACK, 0),
            command,
            &[attribute],
        );
        let answer = match answers {
            Ok(answers) => answers.messages.into_iter().next(),
            Err(Failure::Refused { source, .. }) if source.raw_os_error() == Some(libc::ENOENT) => {
                None
            }
            Err(failure) => return Err(failure),
        };
        answer.map_or(Err(Failure::NoFamily), |answer| Self::read(name, answer))
    }

    fn read(name: &str, answer: Vec<u8>) -> Result<Self, Failure> {
        let malformed = |error: neli::err::DeError| Failure::Malformed(error.to_string());
        let length = answer.len();
        let answer = Genlmsghdr::<CtrlCmd, CtrlAttr>::from_bytes_with_input(
            &mut Cursor::new(answer),
            length,
        )
        .map_err(malformed)?;
        let attributes = answer.attrs().get_attr_handle();
        let mut groups = BTreeMap::new();
        // A family without groups has no such attribute.
        if attributes.get_attribute(CtrlAttr::McastGroups).is_some() {
            let list = attributes
                .get_nested_attributes::<Index>(CtrlAttr::McastGroups)
                .map_err(malformed)?;
            for group in list.iter() {
                let group = group
                    .get_attr_handle::<CtrlAttrMcastGrp>()
                    .map_err(malformed)?;
                let name = group
                    .get_attr_payload_as_with_len::<String>(CtrlAttrMcastGrp::Name)
                    .map_err(malformed)?;
                let number = group
                    .get_attr_payload_as(CtrlAttrMcastGrp::Id)
                    .map_err(malformed)?;
                groups.insert(name, number);
            }
        }
        Ok(Self {
            name: name.to_owned(),
            id: attributes
                .get_attr_payload_as(CtrlAttr::FamilyId)
                .map_err(malformed)?,
            version: attributes
                .get_attr_payload_as(CtrlAttr::Version)
                .map_err(malformed)?,
            groups,
        })
    }
}
