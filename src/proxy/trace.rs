//! The trace that a request belongs to (W3C Trace Context, level 1): the
//! client's, passed on as it is, or one that begins here.
//!
//! upstreamd is no span of it: an upstream's spans stand right under the
//! client's. What is here is the trace's id, in the event, and so the way from a
//! span to a log record and back.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use super::random;
use crate::telemetry::bounded::Bounded;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Lengths of version, trace-id, parent-id and trace-flags (section 3.2.2).
const PARTS: [usize; 4] = [2, 32, 16, 2];
/// Them and three dashes.
const LENGTH: usize = 2 + 32 + 16 + 2 + 3;

/// The id of the trace that `fields` name. If they name none that is valid, one
/// begins, and they say so (section 4.3: `tracestate` without a valid
/// `traceparent` is not passed on).
pub fn trace_id(fields: &mut HeaderMap) -> Bounded {
    let mut given = fields.get_all(TRACEPARENT).iter();
    if let (Some(only), None) = (given.next(), given.next())
        && let Some(id) = id_in(only.as_bytes())
    {
        return id.into();
    }
    let begun = begun();
    let id = begun[3..35].into();
    let value = HeaderValue::from_bytes(&begun).expect("hexadecimal digits and dashes");
    fields.insert(TRACEPARENT, value);
    fields.remove(TRACESTATE);
    id
}

/// The trace-id of a valid `traceparent`. A later version may say more behind
/// what is known of it.
fn id_in(traceparent: &[u8]) -> Option<&str> {
    let (known, more) = traceparent.split_at_checked(LENGTH)?;
    let mut parts = known.split(|byte| *byte == b'-');
    let [version, trace, parent, flags] = PARTS.map(|length| {
        let part = parts.next().filter(|part| part.len() == length)?;
        let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        part.iter().all(is_hex).then_some(part)
    });
    let is_id = |id: &[u8]| id.iter().any(|byte| *byte != b'0');
    let is_known = match version? {
        b"ff" => false,
        b"00" => more.is_empty(),
        _ => more.is_empty() || more[0] == b'-',
    };
    let is_whole = is_known && is_id(parent?) && flags.is_some();
    let trace = trace.filter(|trace| is_whole && is_id(trace))?;
    str::from_utf8(trace).ok()
}

/// A new trace. Its flags say `sampled`: it is recorded here, by the event, and
/// an upstream that follows its parent would record nothing of it otherwise.
fn begun() -> [u8; LENGTH] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    const EMPTY: &[u8; LENGTH] = b"00-................................-................-01";
    let mut random: [u8; 24] = random::bytes();
    // No id is all zeros (section 3.2.2); of random ones hardly any would be.
    random[15] |= 1;
    random[23] |= 1;
    let mut text = *EMPTY;
    let (trace, parent) = random.split_at(16);
    for (at, id) in [(3, trace), (36, parent)] {
        let digits = text[at..].as_chunks_mut().0;
        for (byte, [high, low]) in id.iter().zip(digits) {
            *high = DIGITS[usize::from(byte >> 4)];
            *low = DIGITS[usize::from(byte & 15)];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn given(lines: &[&str]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        fields.insert(TRACESTATE, HeaderValue::from_static("a=b"));
        for line in lines {
            let value = HeaderValue::from_str(line).expect("visible ASCII");
            fields.append(TRACEPARENT, value);
        }
        fields
    }

    #[test]
    fn a_valid_trace_is_passed_on_as_it_is() {
        for line in [
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-09",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes",
        ] {
            let mut fields = given(&[line]);
            let before = fields.clone();
            assert_eq!(&*trace_id(&mut fields), ID, "{line}");
            assert_eq!(fields, before, "{line}");
        }
    }

    #[test]
    fn one_begins_where_there_is_none_that_is_valid() {
        for lines in [
            &[][..],
            &[""],
            &["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0"],
            &["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-"],
            &["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 "],
            &["cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x"],
            &["ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
            &["00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"],
            &["00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01"],
            &["00-00000000000000000000000000000000-00f067aa0ba902b7-01"],
            &["00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"],
            &["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g"],
            &["00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01"],
            &[
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            ],
        ] {
            let mut fields = given(lines);
            let id = trace_id(&mut fields);
            let begun: Vec<_> = fields.get_all(TRACEPARENT).iter().collect();
            assert_eq!(begun.len(), 1, "{lines:?}");
            assert_eq!(id_in(begun[0].as_bytes()), Some(&*id), "{lines:?}");
            assert!(begun[0].as_bytes().ends_with(b"-01"));
            assert_ne!(&*id, ID, "{lines:?}");
            assert!(!fields.contains_key(TRACESTATE), "{lines:?}");
        }
    }

    #[test]
    fn no_two_traces_begin_alike() {
        let [one, other] = [(); 2].map(|()| trace_id(&mut HeaderMap::new()));
        assert_ne!(one, other);
    }
}
