//! The usage of streams: asked for where the client did not, and taken out of the
//! answer again (`include_usage` of an upstream).
//!
//! A streamed completion tells what it used only if its request has
//! `"stream_options": {"include_usage": true}` (OpenAI's API reference). Then one
//! event more comes before `[DONE]`, with no `choices` and the `usage`, and every
//! other event gets a `"usage": null`. [`edited`] puts the question into the body,
//! [`Filter`] takes both out of the answer, so that the client's bytes are as if
//! nothing had been asked; the tap has read them before.

mod chunk;
mod filter;
mod held;
#[cfg(test)]
mod properties;

use super::body::Ready;
use super::edit::{self, Edit};
use super::fault::Fault;
use super::route::Candidate;
use super::target::Target;
use crate::upstream::RequestBody;

pub(super) use self::filter::Filter;

const OPTIONS: &str = "stream_options";
const INCLUDE_USAGE: &str = "include_usage";

/// The body as `candidate` wants it, and whether its stream was asked for its
/// usage in the client's place. `streams`: the client wants an event stream.
///
/// # Errors
/// As those of [`Ready::edited`].
pub(super) fn edited(
    body: Ready,
    streams: bool,
    candidate: &Candidate,
    target: &Target,
) -> Result<(RequestBody, bool), Fault> {
    let question = match &body {
        Ready::Whole(whole)
            if candidate.asks_for_usage && streams && target.counts_when_asked() =>
        {
            question(whole)
        }
        _ => None,
    };
    match question {
        None => Ok((body.edited(&candidate.edits)?, false)),
        Some(question) => {
            let edits = [&candidate.edits[..], &[question]].concat();
            Ok((body.edited(&edits)?, true))
        }
    }
}

/// The edit that puts the question into `body`. None: the client asks itself; or
/// what it says there is something else than the API knows, and the upstream's to
/// refuse.
fn question(body: &[u8]) -> Option<Edit> {
    let include = [Edit {
        name: INCLUDE_USAGE.to_owned(),
        value: Some("true".to_owned()),
    }];
    let options = edit::Object::read(body)?.last(OPTIONS);
    let options = options.filter(|options| *options != b"null");
    let options = options.unwrap_or(b"{}");
    match edit::Object::read(options)?.last(INCLUDE_USAGE) {
        None | Some(b"null" | b"false") => {}
        Some(_) => return None,
    }
    let options = edit::edited(options, &include)?;
    Some(Edit {
        name: OPTIONS.to_owned(),
        value: Some(String::from_utf8(options).ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(body: &str) -> Option<String> {
        let question = question(body.as_bytes())?;
        let edited = edit::edited(body.as_bytes(), &[question]);
        Some(String::from_utf8(edited.unwrap()).unwrap())
    }

    #[test]
    fn the_question_is_put_in_and_every_other_byte_stays() {
        for (body, edited) in [
            (
                "{ \"stream\" : true }\n",
                "{ \"stream\" : true,\"stream_options\":{\"include_usage\":true} }\n",
            ),
            (
                "{\"stream_options\": null,\"stream\":true}",
                "{\"stream_options\": {\"include_usage\":true},\"stream\":true}",
            ),
            (
                "{\"stream_options\":{ },\"n\":1.0}",
                "{\"stream_options\":{ \"include_usage\":true},\"n\":1.0}",
            ),
            (
                "{\"a\":1,\"stream_options\": { \"include_obfuscation\" : false }}",
                "{\"a\":1,\"stream_options\": { \"include_obfuscation\" : false,\"include_usage\":true }}",
            ),
            (
                "{\"stream_options\":{\"include_usage\": false ,\"x\":[1.50]}}",
                "{\"stream_options\":{\"include_usage\": true ,\"x\":[1.50]}}",
            ),
            (
                "{\"stream_options\":{\"include\\u005fusage\":null}}",
                "{\"stream_options\":{\"include\\u005fusage\":true}}",
            ),
            (
                "{\"stream_options\":{\"include_usage\":true},\"stream_options\":{}}",
                "{\"stream_options\":{\"include_usage\":true}}",
            ),
        ] {
            assert_eq!(asked(body).as_deref(), Some(edited), "{body}");
        }
    }

    #[test]
    fn a_client_that_asks_itself_or_asks_nonsense_is_left_alone() {
        for body in [
            "{\"stream_options\":{\"include_usage\":true}}",
            "{\"stream_options\":{\"include_usage\":false,\"include_usage\":true}}",
            "{\"stream_options\":{\"include_usage\":1}}",
            "{\"stream_options\":{\"include_usage\":\"no\"}}",
            "{\"stream_options\":[]}",
            "{\"stream_options\":true}",
            "{\"stream_options\":{",
            "[]",
            "",
        ] {
            assert_eq!(asked(body), None, "{body}");
        }
    }
}
