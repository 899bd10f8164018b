// SPDX-License-Identifier: MIT OR Apache-2.0

//! Types and functions as the kernel describes them, see `Documentation/bpf/btf.rst`.

const MAGIC: u16 = 0xeb9f;
const KIND_STRUCT: u32 = 4;
const KIND_FUNC: u32 = 12;
/// The bytes of a type before those that its kind adds, and of each member of a structure.
const TYPE_BYTES: usize = 12;
const MEMBER_BYTES: usize = 12;

/// A description that has been looked through.
#[derive(Debug)]
pub(super) struct Btf<'a> {
    strings: &'a [u8],
    /// How many types there are.
    types: usize,
    /// The functions: where their names begin, and which of the types they are, from 0.
    functions: Vec<(usize, usize)>,
    /// The structures: where their names begin, and their members.
    structures: Vec<(usize, &'a [u8])>,
}

impl<'a> Btf<'a> {
    /// Looks through a description; `None` when it is none, or has types that came later.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let magic = u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?);
        if magic != MAGIC {
            return None;
        }
        let [header, type_start, type_bytes, string_start, string_bytes] =
            [4, 8, 12, 16, 20].map(|at| word(bytes, at).map(|word| word as usize));
        let section = |start: Option<usize>, length: Option<usize>| {
            let start = header?.checked_add(start?)?;
            bytes.get(start..start.checked_add(length?)?)
        };
        let types = section(type_start, type_bytes)?;
        let strings = section(string_start, string_bytes)?;

        let mut functions = Vec::new();
        let mut structures = Vec::new();
        let mut count = 0;
        let mut at = 0;
        while at < types.len() {
            let name = word(types, at)? as usize;
            let info = word(types, at + 4)?;
            let (kind, members) = ((info >> 24) & 0x1f, (info & 0xffff) as usize);
            if kind == KIND_FUNC {
                functions.push((name, count));
            }
            let body = at + TYPE_BYTES;
            at = body + following(kind, members)?;
            if kind == KIND_STRUCT {
                structures.push((name, types.get(body..at)?));
            }
            count += 1;
        }
        Some(Self {
            strings,
            types: count,
            functions,
            structures,
        })
    }

    /// The number of a function of a module, whose types and strings follow those of `base`; or of
    /// the kernel itself, which has no base.
    pub(super) fn function(&self, name: &str, base: Option<&Self>) -> Option<i32> {
        let (first, types) = base.map_or((0, 0), |base| (base.strings.len(), base.types));
        let is_named = |start: usize| start.checked_sub(first).is_some_and(|at| self.is(at, name));
        let found = self.functions.iter().find(|(start, _)| is_named(*start));
        // Number 0 is `void`, which is in no list.
        found.and_then(|(_, index)| i32::try_from(1 + types + index).ok())
    }

    /// Where a member of one of the kernel's structures is, in bytes, if it has a name of its own
    /// there and is no bit field.
    pub(super) fn member(&self, structure: &str, member: &str) -> Option<i16> {
        let named = |(start, _): &&(usize, &[u8])| self.is(*start, structure);
        let mut members = self.structures.iter().filter(named);
        members.find_map(|(_, members)| {
            let found = members
                .chunks_exact(MEMBER_BYTES)
                .find(|found| word(found, 0).is_some_and(|start| self.is(start as usize, member)));
            let bits = word(found?, 8)?;
            (bits % 8 == 0).then(|| i16::try_from(bits / 8).ok())?
        })
    }

    /// Whether a string begins at a place.
    fn is(&self, start: usize, name: &str) -> bool {
        let text = self.strings.get(start..);
        let rest = text.and_then(|text| text.strip_prefix(name.as_bytes()));
        rest.is_some_and(|rest| rest.first() == Some(&0))
    }
}

/// How many bytes follow a type of some kind, with so many members.
fn following(kind: u32, members: usize) -> Option<usize> {
    Some(match kind {
        // Pointers, forward declarations, names, qualifiers, functions, floats and tags of types.
        2 | 7..=12 | 16 | 18 => 0,
        // Integers, variables and tags of declarations.
        1 | 14 | 17 => 4,
        // Arrays.
        3 => 12,
        // Structures, unions, sections and enumerations of 64 bits.
        4 | 5 | 15 | 19 => 12 * members,
        // Enumerations and parameters.
        6 | 13 => 8 * members,
        _ => return None,
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A description of these types, each with its words, and these strings.
    fn description(types: &[&[u32]], strings: &str) -> Vec<u8> {
        let types: Vec<u8> = types
            .concat()
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect();
        let length = |bytes: usize| u32::try_from(bytes).unwrap();
        let mut bytes = MAGIC.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        for word in [
            24,
            0,
            length(types.len()),
            length(types.len()),
            length(strings.len()),
        ] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(types);
        bytes.extend(strings.as_bytes());
        bytes
    }

    /// The word of a type that says its kind and the number of its members.
    fn info(kind: u32, members: u32) -> u32 {
        (kind << 24) | members
    }

    #[test]
    fn a_function_of_a_module_is_numbered_after_the_kernels_types() {
        let int: &[u32] = &[1, info(1, 0), 4, 0x20];
        let structure: &[u32] = &[0, info(4, 2), 8, 0, 1, 0, 0, 1, 32];
        let base = description(&[int, structure], "\0int\0");
        let prototype: &[u32] = &[0, info(13, 1), 1, 0, 1];
        let functions: [&[u32]; 2] = [&[5, info(12, 1), 3], &[11, info(12, 1), 3]];
        let own = description(&[prototype, functions[0], functions[1]], "first\0second\0");
        let base = Btf::parse(&base).unwrap();
        let own = Btf::parse(&own).unwrap();
        assert_eq!(own.function("first", Some(&base)), Some(4));
        assert_eq!(own.function("second", Some(&base)), Some(5));
        assert_eq!(own.function("sec", Some(&base)), None, "only a part of it");
        assert_eq!(
            own.function("int", Some(&base)),
            None,
            "of the kernel, and none"
        );
    }

    #[test]
    fn a_member_of_a_structure_is_found_by_its_bytes() {
        let int: &[u32] = &[1, info(1, 0), 4, 0x20];
        let other: &[u32] = &[10, info(4, 1), 4, 0, 1, 0];
        // A bit field has its width in the upper byte.
        let file: &[u32] = &[5, info(4, 2), 16, 8, 1, 64, 10, 1, 0x0100_0020];
        let function: &[u32] = &[13, info(12, 0), 1];
        let kernel = description(&[int, other, file, function], "\0int\0file\0x\0do\0");
        let kernel = Btf::parse(&kernel).unwrap();
        assert_eq!(
            kernel.member("file", "e"),
            Some(8),
            "names may share their ends"
        );
        assert_eq!(kernel.member("file", "x"), None, "a bit field");
        assert_eq!(kernel.member("x", "e"), None);
        assert_eq!(
            kernel.function("o", None),
            Some(4),
            "names may share their ends"
        );
        assert_eq!(kernel.function("file", None), None);
    }

    #[test]
    fn what_is_no_description_or_cut_short_is_refused() {
        let whole = description(&[&[1, info(1, 0), 4, 0x20]], "\0int\0");
        assert!(Btf::parse(&whole).is_some());
        for length in 0..whole.len() {
            assert!(Btf::parse(&whole[..length]).is_none(), "{length} bytes");
        }
        let unknown = description(&[&[0, info(31, 0), 0]], "\0");
        assert!(Btf::parse(&unknown).is_none());
    }
}
