//! From the raw values that the scanner kept to text and numbers.
//!
//! Read once per answer, at its end. The members are those of the OpenAI API
//! reference: `prompt_tokens` and `completion_tokens` (chat completions,
//! completions, embeddings) or `input_tokens` and `output_tokens` (responses,
//! images, transcriptions).

use serde_json::Value;

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

/// The usage in a raw JSON object; None if there is no number that is known.
pub(super) fn read(raw: &[u8]) -> Option<Usage> {
    let usage: Value = serde_json::from_slice(raw).ok()?;
    let number = |names: [&str; 2]| names.iter().find_map(|name| usage[*name].as_u64());
    let detail =
        |names: [&str; 2], of: &str| names.iter().find_map(|name| usage[*name][of].as_u64());
    let read = Usage {
        prompt_tokens: number(["prompt_tokens", "input_tokens"]),
        completion_tokens: number(["completion_tokens", "output_tokens"]),
        reasoning_tokens: detail(
            ["completion_tokens_details", "output_tokens_details"],
            "reasoning_tokens",
        ),
        cached_tokens: detail(
            ["prompt_tokens_details", "input_tokens_details"],
            "cached_tokens",
        ),
        total_tokens: usage["total_tokens"].as_u64(),
    };
    (read != Usage::default()).then_some(read)
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
