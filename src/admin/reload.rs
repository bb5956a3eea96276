//! `POST /reload`: answered when it is known what came of it.

use http::{Response, StatusCode};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::endpoints::{self, json};
use crate::proxy::AnswerBody;

/// A reload that is asked for; the outcome goes to whoever asks.
pub type Reload = oneshot::Sender<Reloaded>;

/// What came of a reload: the keys that were changed but wait for a restart, or
/// all that is wrong with the new configuration, each with its position.
pub type Reloaded = Result<Vec<&'static str>, Vec<String>>;

pub(super) async fn reload(reloads: &mpsc::Sender<Reload>) -> Response<AnswerBody> {
    let (asked, outcome) = oneshot::channel();
    let outcome = match reloads.send(asked).await {
        Ok(()) => outcome.await.ok(),
        Err(_) => None,
    };
    match outcome {
        Some(Ok(waiting)) if waiting.is_empty() => said(StatusCode::OK, json!({"reloaded": true})),
        Some(Ok(waiting)) => said(
            StatusCode::OK,
            json!({"reloaded": true, "restart_needed": waiting}),
        ),
        Some(Err(errors)) => said(
            StatusCode::INTERNAL_SERVER_ERROR,
            json!({"reloaded": false, "errors": errors}),
        ),
        None => endpoints::refuse(StatusCode::SERVICE_UNAVAILABLE, "it is stopping"),
    }
}

fn said(status: StatusCode, body: serde_json::Value) -> Response<AnswerBody> {
    json(status, format!("{body}\n"))
}
