// SPDX-License-Identifier: MIT OR Apache-2.0

//! Where the fields are in a record.

/// What the file `format` of a tracepoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// The tracepoint's number.
    pub id: u64,
    /// All fields, in the order of the file; first those that all tracepoints have.
    pub fields: Vec<Field>,
}

/// One field of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, without the brackets of an array.
    pub name: String,
    /// Its type in C, for example `u64`, `char[16]` or `__data_loc char[]`.
    pub kind: String,
    /// Where it begins, in bytes.
    pub offset: usize,
    /// How long it is, in bytes.
    pub size: usize,
    /// Whether it is a number that may be negative.
    pub signed: bool,
}

impl Format {
    /// Reads the text of the file. The error is the line that is not as it should be, or an empty
    /// one when one is missing.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut id = None;
        let mut fields = Vec::new();
        for line in text.lines().map(str::trim) {
            if let Some(number) = line.strip_prefix("ID:") {
                id = Some(number.trim().parse().map_err(|_| line.to_owned())?);
            } else if line.starts_with("field:") {
                fields.push(Field::parse(line).ok_or(line)?);
            }
        }
        let id = id.ok_or_else(String::new)?;
        Ok(Self { id, fields })
    }

    /// A field by its name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

impl Field {
    /// Reads `field:u64 length; offset:8; size:8; signed:0;`.
    fn parse(line: &str) -> Option<Self> {
        let mut parts = line.split(';').map(str::trim);
        let declaration = parts.next()?.strip_prefix("field:")?;
        let mut value = |key: &str| parts.next()?.strip_prefix(key)?.strip_prefix(':');
        let offset = value("offset")?.parse().ok()?;
        let size = value("size")?.parse().ok()?;
        let signed = match value("signed")? {
            "0" => false,
            "1" => true,
            _ => return None,
        };
        let (kind, name) = declaration.rsplit_once(' ')?;
        let (name, brackets) = name.split_at(name.find('[').unwrap_or(name.len()));
        (!name.is_empty()).then(|| Self {
            name: name.to_owned(),
            kind: format!("{kind}{brackets}"),
            offset,
            size,
            signed,
        })
    }

    /// The number in a record; `None` when the field is an array or a text, or the record is too
    /// short.
    pub(super) fn number(&self, record: &[u8]) -> Option<i128> {
        let bytes = record.get(self.offset..self.offset.checked_add(self.size)?)?;
        if self.kind.ends_with(']') {
            return None;
        }
        let (signed, unsigned): (i128, u128) = match self.size {
            1 => (i8::from_ne_bytes([bytes[0]]).into(), bytes[0].into()),
            2 => {
                let bytes = bytes.try_into().ok()?;
                (
                    i16::from_ne_bytes(bytes).into(),
                    u16::from_ne_bytes(bytes).into(),
                )
            }
            4 => {
                let bytes = bytes.try_into().ok()?;
                (
                    i32::from_ne_bytes(bytes).into(),
                    u32::from_ne_bytes(bytes).into(),
                )
            }
            8 => {
                let bytes = bytes.try_into().ok()?;
                (
                    i64::from_ne_bytes(bytes).into(),
                    u64::from_ne_bytes(bytes).into(),
                )
            }
            _ => return None,
        };
        if self.signed {
            Some(signed)
        } else {
            i128::try_from(unsigned).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "name: sample\nID: 1234\nformat:\n\
        \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
        \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\
        \n\
        \tfield:u64 length;\toffset:8;\tsize:8;\tsigned:0;\n\
        \tfield:char comm[4];\toffset:16;\tsize:4;\tsigned:0;\n\
        \tfield:__data_loc char[] file;\toffset:20;\tsize:4;\tsigned:0;\n\
        \n\
        print fmt: \"length=%llu\", REC->length\n";

    #[test]
    fn a_format_is_read_whole() {
        let format = Format::parse(TEXT).unwrap();
        assert_eq!(format.id, 1234);
        let names: Vec<_> = format.fields.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(
            names,
            ["common_type", "common_pid", "length", "comm", "file"]
        );
        let length = format.field("length").unwrap();
        assert_eq!(
            (length.offset, length.size, length.signed),
            (8, 8, false),
            "{length:?}"
        );
        assert_eq!(format.field("comm").unwrap().kind, "char[4]");
        assert_eq!(format.field("file").unwrap().kind, "__data_loc char[]");
        assert_eq!(format.field("absent"), None);
    }

    #[test]
    fn a_number_is_decoded_by_its_size_and_sign() {
        let format = Format::parse(TEXT).unwrap();
        let mut record = vec![0xff; 24];
        record[8..16].copy_from_slice(&u64::MAX.to_ne_bytes());
        let number = |field: &str, record: &[u8]| format.field(field).unwrap().number(record);
        assert_eq!(number("common_type", &record), Some(65535));
        assert_eq!(number("common_pid", &record), Some(-1));
        assert_eq!(number("length", &record), Some(i128::from(u64::MAX)));
        assert_eq!(number("comm", &record), None, "an array");
        assert_eq!(number("file", &record), None, "a text");
        assert_eq!(number("length", &record[..15]), None, "cut short");
    }

    #[test]
    fn what_is_no_format_is_refused_with_its_line() {
        for (from, to) in [
            ("offset:8;", "offset:x;"),
            ("size:8;", "length:8;"),
            ("signed:1;", "signed:2;"),
            ("field:u64 length;", "field:length;"),
            ("ID: 1234", "ID: many"),
        ] {
            let line = Format::parse(&TEXT.replace(from, to)).unwrap_err();
            assert!(line.contains(to), "{line}");
        }
        assert_eq!(Format::parse(""), Err(String::new()));
    }
}
