//! What a client may do, once it is in: the endpoints and models that it is
//! held to.

use http::Method;
use http::request::Parts;

use super::fault::{Fault, FaultKind};
use super::fields;
use super::route::shortened;
use super::target::Target;
use crate::config::checked::{Client, Glob};

/// Whether `client` may use this endpoint; looked at before the body is.
///
/// # Errors
/// It may not.
pub(super) fn to_endpoint(client: Option<&Client>, target: &Target) -> Result<(), Fault> {
    match client.and_then(|client| Some((client, client.endpoints.as_ref()?))) {
        Some((client, allowed)) if !matches(allowed, &target.endpoint) => Err(Fault::new(
            FaultKind::EndpointNotAllowed,
            format!(
                "Client \"{}\" may not use {:?}. The operator can allow it with endpoints in [client.{}].",
                client.name,
                shortened(&target.endpoint),
                client.name
            ),
        )),
        _ => Ok(()),
    }
}

/// Whether `client` may ask for this model, or ask without a model that can be
/// seen.
///
/// # Errors
/// It may not.
pub(super) fn to_model(
    client: Option<&Client>,
    model: Option<&str>,
    target: &Target,
    head: &Parts,
) -> Result<(), Fault> {
    let Some((client, allowed)) = client.and_then(|client| Some((client, client.models.as_ref()?)))
    else {
        return Ok(());
    };
    let refused = |message: String| Err(Fault::new(FaultKind::ModelNotAllowed, message));
    match model {
        Some(model) if matches(allowed, model) => Ok(()),
        Some(model) => refused(format!(
            "Client \"{}\" may not use the model {:?}. GET /v1/models lists those that it may use; the operator can allow it with models in [client.{}].",
            client.name,
            shortened(model),
            client.name
        )),
        None if names_no_model(client, target, head) => Ok(()),
        None => refused(format!(
            "Client \"{}\" is held to certain models, and this request's model can't be seen. Name it in a JSON body with Content-Type: application/json and without Content-Encoding; other endpoints need to be named in endpoints of [client.{}].",
            client.name, client.name
        )),
    }
}

/// Whether `client` may use the model called `name`.
pub(super) fn sees(client: Option<&Client>, name: &str) -> bool {
    let allowed = client.and_then(|client| client.models.as_ref());
    allowed.is_none_or(|allowed| matches(allowed, name))
}

/// Whether a request that shows no model can do without: it only reads or
/// deletes, or the operator named its endpoint. An upstream may read a model
/// out of whatever is sent to it (a form, a batch, a body of another type).
fn names_no_model(client: &Client, target: &Target, head: &Parts) -> bool {
    let only_reads = matches!(head.method, Method::GET | Method::HEAD | Method::DELETE)
        && !fields::wants_websocket(&head.headers);
    only_reads || client.endpoints.is_some() && !target.names_model()
}

fn matches(allowed: &[Glob], name: &str) -> bool {
    allowed.iter().any(|pattern| pattern.matches(name))
}
