//! From the raw values that the scanner kept to text and numbers.
//!
//! Read once per answer, at its end. The members are those of the OpenAI API
//! reference: `prompt_tokens` and `completion_tokens` (chat completions,
//! completions, embeddings) or `input_tokens` and `output_tokens` (responses,
//! images, transcriptions).

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Tokens of one answer, as the upstream counted them. Absent is None; nothing is computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the request (`prompt_tokens`, `input_tokens`), cached ones included.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the answer (`completion_tokens`, `output_tokens`), reasoning included.
    pub completion_tokens: Option<u64>,
    /// Tokens of the answer that were spent on reasoning.
    pub reasoning_tokens: Option<u64>,
    /// Tokens of the request that came from the upstream's cache.
    pub cached_tokens: Option<u64>,
    /// All tokens (`total_tokens`).
    pub total_tokens: Option<u64>,
}

impl Usage {
    /// All tokens: as the upstream summed them up, else those of request and answer.
    #[must_use]
    pub fn all(&self) -> u64 {
        let counted = [self.prompt_tokens, self.completion_tokens];
        let sum = counted.into_iter().flatten().fold(0, u64::saturating_add);
        self.total_tokens.unwrap_or(sum)
    }
}

/// The usage in a raw JSON object; None if there is no number that is known.
pub(super) fn read(raw: &[u8]) -> Option<Usage> {
    match serde_json::from_slice(raw).ok()? {
        Member::Object(usage) if usage != Usage::default() => Some(usage),
        _ => None,
    }
}

/// A member of a usage object: whatever is no number and no object counts for
/// nothing, and spoils nothing else. Read without building the value, which
/// would cost more than all else that the tap does.
enum Member {
    Number(u64),
    Object(Usage),
    Other,
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

/// The names are the same at both levels, so one reader serves for both.
struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a usage object")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Member, E> {
        Ok(Member::Number(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_unit<E>(self) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Member, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Member::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Member, A::Error> {
        let mut usage = Usage::default();
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            let place = match &*name {
                "prompt_tokens" | "input_tokens" => &mut usage.prompt_tokens,
                "completion_tokens" | "output_tokens" => &mut usage.completion_tokens,
                "total_tokens" => &mut usage.total_tokens,
                "cached_tokens" => &mut usage.cached_tokens,
                "reasoning_tokens" => &mut usage.reasoning_tokens,
                "prompt_tokens_details" | "input_tokens_details" => {
                    if let Member::Object(details) = map.next_value()? {
                        usage.cached_tokens = details.cached_tokens.or(usage.cached_tokens);
                    }
                    continue;
                }
                "completion_tokens_details" | "output_tokens_details" => {
                    if let Member::Object(details) = map.next_value()? {
                        usage.reasoning_tokens =
                            details.reasoning_tokens.or(usage.reasoning_tokens);
                    }
                    continue;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if let Member::Number(number) = map.next_value()? {
                place.get_or_insert(number);
            }
        }
        Ok(Member::Object(usage))
    }
}

/// The text of a raw JSON string; None if it is none, or empty.
pub(super) fn text(raw: &[u8]) -> Option<String> {
    let text: String = serde_json::from_slice(raw).ok()?;
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_of_chat_completions_is_read() {
        let raw = br#"{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30,
            "prompt_tokens_details":{"cached_tokens":4,"audio_tokens":0},
            "completion_tokens_details":{"reasoning_tokens":5}}"#;
        let usage = read(raw).expect("it has numbers");
        assert_eq!(usage.prompt_tokens, Some(10));
        assert_eq!(usage.completion_tokens, Some(20));
        assert_eq!(usage.reasoning_tokens, Some(5));
        assert_eq!(usage.cached_tokens, Some(4));
        assert_eq!(usage.total_tokens, Some(30));
    }

    #[test]
    fn usage_of_responses_is_read() {
        let raw = br#"{"input_tokens":1,"input_tokens_details":{"cached_tokens":2},
            "output_tokens":3,"output_tokens_details":{"reasoning_tokens":4},"total_tokens":5}"#;
        let usage = read(raw).expect("it has numbers");
        assert_eq!(usage.prompt_tokens, Some(1));
        assert_eq!(usage.cached_tokens, Some(2));
        assert_eq!(usage.completion_tokens, Some(3));
        assert_eq!(usage.reasoning_tokens, Some(4));
        assert_eq!(usage.total_tokens, Some(5));
    }

    #[test]
    fn what_is_absent_or_odd_stays_absent_and_spoils_nothing_else() {
        let raw = br#"{"prompt_tokens":8,"completion_tokens":"9","total_tokens":-1,
            "prompt_tokens_details":null,"completion_tokens_details":[]}"#;
        let expected = Usage {
            prompt_tokens: Some(8),
            ..Usage::default()
        };
        assert_eq!(read(raw), Some(expected));
        for none in ["", "{}", "null", "[1]", "{\"prompt_tokens\":", "{\"x\":1}"] {
            assert_eq!(read(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn a_raw_string_is_decoded() {
        assert_eq!(text(br#""gpt-\u0035\n""#).as_deref(), Some("gpt-5\n"));
        for none in ["", "\"\"", "5", "\"x", "\"\\ud800\""] {
            assert_eq!(text(none.as_bytes()), None, "{none}");
        }
    }
}
