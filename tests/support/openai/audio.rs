//! `/v1/audio`: an upload and a download.

use bytes::Bytes;
use serde_json::json;

use super::answer::{self, Answer};
use super::route::{Asked, State};
use super::{error, multipart};

/// Of a spoken answer.
const PIECES: u8 = 8;
const PIECE_BYTES: usize = 16 * 1024;

/// 128 KiB of no music at all, in chunks; piece N is made of the byte N.
pub fn speech(state: &State) -> Answer {
    let pieces = (0..PIECES).map(|piece| Bytes::from(vec![piece; PIECE_BYTES]));
    answer::paced(state, "audio/mpeg", pieces)
}

/// Says how much was heard.
pub fn transcription(asked: &Asked) -> Answer {
    let Some(parts) = multipart::parts(asked) else {
        return error::answer(400, "The body is no multipart form.");
    };
    let Some(file) = multipart::named(&parts, "file") else {
        return error::answer(400, "The form has no file.");
    };
    let model = multipart::named(&parts, "model").map_or(&b""[..], |part| part.data);
    let request = json!({ "model": String::from_utf8_lossy(model) });
    if let Some(error) = error::asked_for(&request) {
        return error;
    }
    let text = format!("{} bytes received", file.data.len());
    answer::json(&json!({ "text": text, "usage": { "type": "duration", "seconds": 1 } }))
}
