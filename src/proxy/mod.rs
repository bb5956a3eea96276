//! One request: from the client's head to the last byte of the answer.
//!
//! [`forward`] is the whole way: target, body, route, fields, upstream, answer. What
//! can go wrong on it is a [`Fault`], answered by the one table in `fault`.
//! The connection that the request came on is known here only as a [`Wire`].

mod access;
mod answer;
mod attempt;
mod attempts;
mod backoff;
mod body;
mod catalogue;
mod edit;
mod fault;
mod fields;
mod forward;
mod interim;
mod joined;
mod list;
mod listing;
mod outbound;
mod passing;
mod places;
mod random;
mod record;
mod refusal;
mod route;
mod snapshot;
mod states;
mod tapped;
mod target;
mod trace;
mod usage;
mod verdict;
mod wire;

pub use answer::AnswerBody;
pub use fault::{Fault, FaultKind, Row};
pub use fields::{WEBSOCKET_KEY_PREFIX, X_REQUEST_ID, client_request_id, request_id, say_attempts};
pub use forward::forward;
pub use record::Record;
pub use snapshot::{Engine, Snapshot};
pub use states::{KeyState, UpstreamState};
pub use trace::trace_id;
pub use wire::{Phase, Stage, Tunnel, Wire};
