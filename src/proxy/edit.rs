//! Editing a JSON body by its spans: members of its object are replaced, added
//! or left out, and every other byte stays as the client sent it, key order,
//! white space and the spelling of numbers included.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What becomes of one member of the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit {
    /// The member's name.
    pub(super) name: String,
    /// The JSON that it shall have, whether it is there or not; None: it is left out.
    pub(super) value: Option<String>,
}

/// `object` with `edits`; None if it is no JSON object in UTF-8.
///
/// A member that stands there twice is set at its first place and left out at
/// the others, so that no reader can take the wrong one. Of two edits of one
/// member the last counts.
pub(super) fn edited(object: &[u8], edits: &[Edit]) -> Option<Vec<u8>> {
    let members = members(object)?;
    let mut new = Vec::with_capacity(object.len() + room(edits));
    let first = members
        .first()
        .map_or(object.len(), |member| member.whole.start);
    // All up to the first member: the brace, and what white space there is.
    let (head, tail) = match (members.first(), members.last()) {
        (Some(_), Some(last)) => (&object[..first], &object[last.whole.end..]),
        _ => object.split_at(object.iter().position(|byte| *byte == b'}')?),
    };
    new.extend_from_slice(head);
    let mut written = Written { new, any: false };
    let mut set: Vec<&str> = Vec::new();
    for (at, member) in members.iter().enumerate() {
        let between = match at {
            0 => &b""[..],
            _ => &object[members[at - 1].whole.end..member.whole.start],
        };
        let edit = edits.iter().rev().find(|edit| edit.name == member.name);
        match edit {
            None => written.member(between, &object[member.whole.clone()], b""),
            Some(Edit { value: None, .. }) => {}
            Some(Edit { name, .. }) if set.contains(&name.as_str()) => {}
            Some(Edit {
                name,
                value: Some(value),
            }) => {
                let up_to_value = member.whole.start..member.value.start;
                written.member(between, &object[up_to_value], value.as_bytes());
                set.push(name);
            }
        }
    }
    for (at, edit) in edits.iter().enumerate() {
        let is_last = edits[at + 1..].iter().all(|later| later.name != edit.name);
        if let Some(value) = edit.value.as_ref().filter(|_| is_last)
            && !set.contains(&edit.name.as_str())
        {
            let mut name = serde_json::to_vec(&edit.name).ok()?;
            name.push(b':');
            written.member(b",", &name, value.as_bytes());
        }
    }
    let mut new = written.new;
    new.extend_from_slice(tail);
    Some(new)
}

/// The members of a JSON object, as they are written.
pub(super) struct Object<'a> {
    text: &'a [u8],
    members: Vec<Member>,
}

impl<'a> Object<'a> {
    /// None if `text` is no JSON object in UTF-8.
    pub(super) fn read(text: &'a [u8]) -> Option<Self> {
        let members = members(text)?;
        Some(Object { text, members })
    }

    /// The JSON of the last member of this name, which is the one that counts.
    pub(super) fn last(&self, name: &str) -> Option<&'a [u8]> {
        let mut members = self.members.iter();
        let member = members.rfind(|member| member.name == name)?;
        Some(&self.text[member.value.clone()])
    }
}

struct Written {
    new: Vec<u8>,
    /// A member is there, so the next needs a comma.
    any: bool,
}

impl Written {
    fn member(&mut self, between: &[u8], one: &[u8], other: &[u8]) {
        if self.any {
            self.new.extend_from_slice(between);
        }
        self.new.extend_from_slice(one);
        self.new.extend_from_slice(other);
        self.any = true;
    }
}

/// Bytes that edits add at most.
fn room(edits: &[Edit]) -> usize {
    let each = |edit: &Edit| {
        edit.value
            .as_ref()
            .map_or(0, |value| edit.name.len() + value.len() + 4)
    };
    edits.iter().map(each).sum()
}

/// Where a member stands.
struct Member {
    name: String,
    /// From its name's first quote to its value's end.
    whole: Range<usize>,
    value: Range<usize>,
}

fn members(object: &[u8]) -> Option<Vec<Member>> {
    let mut reader = serde_json::Deserializer::from_slice(object);
    let members = reader.deserialize_map(Spans { within: object }).ok()?;
    reader.end().ok()?;
    Some(members)
}

/// Collects members as parts of the text that they are read from.
struct Spans<'a> {
    within: &'a [u8],
}

impl<'de> Visitor<'de> for Spans<'de> {
    type Value = Vec<Member>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            let (from, value) = (self.span(name.get()).start, self.span(value.get()));
            let name = serde_json::from_str(name.get()).map_err(serde::de::Error::custom)?;
            members.push(Member {
                name,
                whole: from..value.end,
                value,
            });
        }
        Ok(members)
    }
}

impl Spans<'_> {
    /// Where `part`, which was borrowed from the text, stands in it.
    fn span(&self, part: &str) -> Range<usize> {
        let start = part.as_ptr().addr() - self.within.as_ptr().addr();
        start..start + part.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    fn set(name: &str, value: &str) -> Edit {
        Edit {
            name: name.into(),
            value: Some(value.into()),
        }
    }

    fn drop(name: &str) -> Edit {
        Edit {
            name: name.into(),
            value: None,
        }
    }

    fn text(object: &str, edits: &[Edit]) -> Option<String> {
        edited(object.as_bytes(), edits).map(|new| String::from_utf8(new).unwrap())
    }

    #[test]
    fn what_is_not_edited_stays_byte_for_byte() {
        let object =
            "\n{ \"model\" : \"a\",\t\"temperature\":1.0e+0 , \"x\" : {\"model\":\"b\"} }\r\n";
        assert_eq!(text(object, &[]).unwrap(), object);
        assert_eq!(
            text(object, &[set("model", "\"far/a\"")]).unwrap(),
            "\n{ \"model\" : \"far/a\",\t\"temperature\":1.0e+0 , \"x\" : {\"model\":\"b\"} }\r\n"
        );
    }

    #[test]
    fn a_dropped_member_takes_one_comma_with_it() {
        let object = r#"{"a":1, "b":2 ,"c":3}"#;
        assert_eq!(text(object, &[drop("a")]).unwrap(), r#"{"b":2 ,"c":3}"#);
        assert_eq!(text(object, &[drop("b")]).unwrap(), r#"{"a":1 ,"c":3}"#);
        assert_eq!(text(object, &[drop("c")]).unwrap(), r#"{"a":1, "b":2}"#);
        let all = [drop("a"), drop("b"), drop("c"), drop("d")];
        assert_eq!(text(object, &all).unwrap(), "{}");
    }

    #[test]
    fn a_member_that_is_missing_is_added_at_the_end() {
        assert_eq!(text("{}", &[set("a", "1")]).unwrap(), r#"{"a":1}"#);
        assert_eq!(
            text("{ }", &[set("a", "1"), set("b", "2")]).unwrap(),
            r#"{ "a":1,"b":2}"#
        );
        let both = [drop("reasoning"), set("reasoning_effort", "\"low\"")];
        assert_eq!(
            text(r#"{"reasoning":{"effort":"high"}}"#, &both).unwrap(),
            r#"{"reasoning_effort":"low"}"#
        );
    }

    #[test]
    fn a_name_is_known_however_it_is_spelled() {
        assert_eq!(
            text(r#"{"mod\u0065l":1}"#, &[set("model", "2")]).unwrap(),
            r#"{"mod\u0065l":2}"#
        );
        assert_eq!(text(r#"{"a\"b":1}"#, &[drop("a\"b")]).unwrap(), "{}");
        assert_eq!(text("{}", &[set("a\"b", "1")]).unwrap(), r#"{"a\"b":1}"#);
    }

    #[test]
    fn of_a_member_that_stands_there_twice_one_is_left() {
        assert_eq!(
            text(r#"{"a":1,"a":2}"#, &[set("a", "3")]).unwrap(),
            r#"{"a":3}"#
        );
        assert_eq!(
            text(r#"{"a":1,"b":0,"a":2}"#, &[drop("a")]).unwrap(),
            r#"{"b":0}"#
        );
        assert_eq!(
            text("{}", &[set("a", "1"), set("a", "2")]).unwrap(),
            r#"{"a":2}"#
        );
        assert_eq!(text("{}", &[set("a", "1"), drop("a")]).unwrap(), "{}");
    }

    #[test]
    fn what_is_no_object_is_not_edited() {
        for object in ["", "[]", "1", "{", "{}{}", "{\"a\":}", "{\"a\":1,}"] {
            assert_eq!(text(object, &[set("a", "1")]), None, "{object}");
        }
        assert_eq!(edited(b"{\"a\":\"\xff\"}", &[drop("b")]), None);
    }

    fn json(depth: u32) -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<i32>().prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(depth, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((".{0,3}", inner), 0..4)
                    .prop_map(|members| { Value::Object(members.into_iter().collect()) }),
            ]
        })
    }

    fn name() -> impl Strategy<Value = String> {
        prop_oneof!["[a-d]", ".{0,3}"]
    }

    fn edits() -> impl Strategy<Value = Vec<(String, Option<Value>)>> {
        prop::collection::vec((name(), prop::option::of(json(2))), 0..4)
    }

    proptest! {
        /// Against serde_json: the value is the one that its own map gets by the
        /// same edits.
        #[test]
        fn the_value_is_that_of_an_edited_map(
            members in prop::collection::vec((name(), json(3)), 0..6),
            edits in edits(),
            pretty in any::<bool>(),
        ) {
            let mut map: Map<String, Value> = members.into_iter().collect();
            let object = Value::Object(map.clone());
            let object = if pretty { serde_json::to_vec_pretty(&object) } else { serde_json::to_vec(&object) }.unwrap();
            let as_edits: Vec<Edit> = edits.iter().map(|(name, value)| Edit {
                name: name.clone(),
                value: value.as_ref().map(|value| value.to_string()),
            }).collect();
            for (name, value) in edits {
                match value {
                    Some(value) => drop_and(map.insert(name, value)),
                    None => drop_and(map.remove(&name)),
                }
            }
            let new = edited(&object, &as_edits).unwrap();
            let read: Value = serde_json::from_slice(&new).unwrap();
            prop_assert_eq!(read, Value::Object(map));
        }

        /// All other bytes are the same: each member that no edit names is there
        /// with its own spelling, in the same order.
        #[test]
        fn every_member_that_is_not_edited_keeps_its_bytes_and_its_place(
            members in prop::collection::vec((name(), json(3)), 1..6),
            edits in edits(),
        ) {
            let spelled: Vec<(String, String)> = members
                .into_iter()
                .enumerate()
                .map(|(at, (name, value))| {
                    let quoted = serde_json::to_string(&name).unwrap();
                    (name, format!("{quoted}{}:\t{value}", " ".repeat(at)))
                })
                .collect();
            let all: Vec<&str> = spelled.iter().map(|(_, text)| text.as_str()).collect();
            let object = format!("{{\n{}\r}}", all.join(" ,"));
            let as_edits: Vec<Edit> = edits.iter().map(|(name, value)| Edit {
                name: name.clone(),
                value: value.as_ref().map(|value| value.to_string()),
            }).collect();
            let new = text(&object, &as_edits).unwrap();
            let mut rest = new.as_str();
            for (name, member) in &spelled {
                if edits.iter().all(|(edited, _)| edited != name) {
                    let at = rest.find(member.as_str());
                    prop_assert!(at.is_some(), "{member} is not in {rest}");
                    rest = &rest[at.unwrap_or_default() + member.len()..];
                }
            }
            prop_assert!(new.starts_with("{\n") && new.ends_with("\r}"), "{}", new);
        }

        #[test]
        fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = edited(&bytes, &[set("a", "1"), drop("b")]);
        }
    }

    fn drop_and<T>(_: T) {}
}
