//! From the raw values that the scanner kept to text and numbers.
//!
//! Read once per answer, at its end. The members are those of the OpenAI API
//! reference: `prompt_tokens` and `completion_tokens` (chat completions,
//! completions, embeddings) or `input_tokens` and `output_tokens` (responses,
//! images, transcriptions). Anthropic's Messages API has the latter too, but its
//! `input_tokens` are those that went past its cache: `cache_read_input_tokens` and
//! `cache_creation_input_tokens` beside them are tokens of the request as well. A
//! stream of it begins with some of the numbers and ends with others, which go on
//! from the first.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::telemetry::bounded::Bounded;

/// Tokens of one answer, as the upstream counted them. Absent is None.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the request (`prompt_tokens`, `input_tokens`), cached ones included;
    /// of Anthropic's Messages API the sum of its three kinds.
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

/// The usage in raw JSON objects, of which the later one goes on from the first;
/// None if there is no number that is known.
pub(super) fn read(first: &[u8], later: &[u8]) -> Option<Usage> {
    // Looked at once as a whole, instead of name by name.
    let parse = |raw| serde_json::from_str(str::from_utf8(raw).ok()?).ok();
    let read = |raw| match parse(raw) {
        Some(Member::Object(counts)) => counts,
        _ => Counts::default(),
    };
    // Most answers have one.
    let usage = match first {
        b"" => read(later),
        _ => read(later).or(read(first)),
    }
    .usage();
    (usage != Usage::default()).then_some(usage)
}

/// A usage object as it stands there.
#[derive(Default)]
struct Counts {
    usage: Usage,
    /// `cache_read_input_tokens` and `cache_creation_input_tokens`, which
    /// `input_tokens` beside them do not include.
    cache_read: Option<u64>,
    cache_creation: Option<u64>,
}

impl Counts {
    fn or(self, first: Counts) -> Counts {
        let (usage, before) = (self.usage, first.usage);
        Counts {
            usage: Usage {
                prompt_tokens: usage.prompt_tokens.or(before.prompt_tokens),
                completion_tokens: usage.completion_tokens.or(before.completion_tokens),
                reasoning_tokens: usage.reasoning_tokens.or(before.reasoning_tokens),
                cached_tokens: usage.cached_tokens.or(before.cached_tokens),
                total_tokens: usage.total_tokens.or(before.total_tokens),
            },
            cache_read: self.cache_read.or(first.cache_read),
            cache_creation: self.cache_creation.or(first.cache_creation),
        }
    }

    fn usage(self) -> Usage {
        let beside = [self.cache_read, self.cache_creation];
        let beside = beside.into_iter().flatten().fold(0, u64::saturating_add);
        let prompt = self.usage.prompt_tokens;
        Usage {
            prompt_tokens: prompt.map(|tokens| tokens.saturating_add(beside)),
            cached_tokens: self.usage.cached_tokens.or(self.cache_read),
            ..self.usage
        }
    }
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

/// A member of a usage object: whatever is no number and no object counts for
/// nothing, and spoils nothing else. Read without building the value, which
/// would cost more than all else that the tap does.
enum Member {
    Number(u64),
    Object(Counts),
    Other,
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

/// The name of a member. The names are the same at both levels, so one reader
/// serves for both.
#[derive(Deserialize)]
#[serde(field_identifier)]
enum Name {
    #[serde(rename = "prompt_tokens", alias = "input_tokens")]
    Prompt,
    #[serde(rename = "completion_tokens", alias = "output_tokens")]
    Completion,
    #[serde(rename = "total_tokens")]
    Total,
    #[serde(rename = "cached_tokens")]
    Cached,
    #[serde(rename = "reasoning_tokens")]
    Reasoning,
    #[serde(rename = "cache_read_input_tokens")]
    CacheRead,
    #[serde(rename = "cache_creation_input_tokens")]
    CacheCreation,
    #[serde(rename = "prompt_tokens_details", alias = "input_tokens_details")]
    PromptDetails,
    #[serde(rename = "completion_tokens_details", alias = "output_tokens_details")]
    CompletionDetails,
    #[serde(other)]
    Other,
}

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
        let mut counts = Counts::default();
        let usage = &mut counts.usage;
        while let Some(name) = map.next_key()? {
            let place = match name {
                Name::Prompt => &mut usage.prompt_tokens,
                Name::Completion => &mut usage.completion_tokens,
                Name::Total => &mut usage.total_tokens,
                Name::Cached => &mut usage.cached_tokens,
                Name::Reasoning => &mut usage.reasoning_tokens,
                Name::CacheRead => &mut counts.cache_read,
                Name::CacheCreation => &mut counts.cache_creation,
                Name::PromptDetails => {
                    if let Member::Object(details) = map.next_value()? {
                        let cached = details.usage.cached_tokens;
                        usage.cached_tokens = cached.or(usage.cached_tokens);
                    }
                    continue;
                }
                Name::CompletionDetails => {
                    if let Member::Object(details) = map.next_value()? {
                        let reasoning = details.usage.reasoning_tokens;
                        usage.reasoning_tokens = reasoning.or(usage.reasoning_tokens);
                    }
                    continue;
                }
                Name::Other => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if let Member::Number(number) = map.next_value()? {
                place.get_or_insert(number);
            }
        }
        Ok(Member::Object(counts))
    }
}

/// The text of a raw JSON string; None if it is none, or empty.
pub(super) fn text(raw: &[u8]) -> Option<Bounded> {
    /// Alone, a `Cow` would be a copy.
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    let Text(text) = serde_json::from_slice(raw).ok()?;
    (!text.is_empty()).then(|| Bounded::from(&*text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_of_chat_completions_is_read() {
        let raw = br#"{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30,
            "prompt_tokens_details":{"cached_tokens":4,"audio_tokens":0},
            "completion_tokens_details":{"reasoning_tokens":5}}"#;
        let usage = read(b"", raw).expect("it has numbers");
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
        let usage = read(b"", raw).expect("it has numbers");
        assert_eq!(usage.prompt_tokens, Some(1));
        assert_eq!(usage.cached_tokens, Some(2));
        assert_eq!(usage.completion_tokens, Some(3));
        assert_eq!(usage.reasoning_tokens, Some(4));
        assert_eq!(usage.total_tokens, Some(5));
    }

    #[test]
    fn usage_of_anthropics_messages_is_read_with_its_cached_tokens_among_the_prompts() {
        let raw = br#"{"input_tokens":3,"cache_creation_input_tokens":100,
            "cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":0},
            "cache_read_input_tokens":40,"output_tokens":7,"service_tier":"standard"}"#;
        let expected = Usage {
            prompt_tokens: Some(143),
            completion_tokens: Some(7),
            cached_tokens: Some(40),
            ..Usage::default()
        };
        assert_eq!(read(b"", raw), Some(expected));
        // Without a cache they are null or not there.
        let raw = br#"{"input_tokens":3,"cache_read_input_tokens":null,"output_tokens":7}"#;
        let expected = Usage {
            prompt_tokens: Some(3),
            completion_tokens: Some(7),
            ..Usage::default()
        };
        assert_eq!(read(b"", raw), Some(expected));
    }

    #[test]
    fn a_later_usage_goes_on_from_the_first() {
        let first = br#"{"input_tokens":3,"cache_creation_input_tokens":0,
            "cache_read_input_tokens":40,"output_tokens":1}"#;
        let expected = Usage {
            prompt_tokens: Some(43),
            completion_tokens: Some(15),
            cached_tokens: Some(40),
            ..Usage::default()
        };
        assert_eq!(read(first, br#"{"output_tokens":15}"#), Some(expected));
        // All numbers are cumulative: those that come again are not added.
        let later = br#"{"input_tokens":3,"cache_creation_input_tokens":0,
            "cache_read_input_tokens":40,"output_tokens":15}"#;
        assert_eq!(read(first, later), Some(expected));
        let cut = Usage {
            completion_tokens: Some(1),
            ..expected
        };
        assert_eq!(read(first, b""), Some(cut));
        assert_eq!(read(first, br#"{"output_tokens":"#), Some(cut));
    }

    #[test]
    fn what_is_absent_or_odd_stays_absent_and_spoils_nothing_else() {
        let raw = br#"{"prompt_tokens":8,"completion_tokens":"9","total_tokens":-1,
            "prompt_tokens_details":null,"completion_tokens_details":[]}"#;
        let expected = Usage {
            prompt_tokens: Some(8),
            ..Usage::default()
        };
        assert_eq!(read(b"", raw), Some(expected));
        for none in ["", "{}", "null", "[1]", "{\"prompt_tokens\":", "{\"x\":1}"] {
            assert_eq!(read(b"", none.as_bytes()), None, "{none}");
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
