//! Whether a client may ask for more: `[client.NAME]`'s limits, looked at before
//! anything else is done for a request.

use std::time::Duration;

use crate::config::checked::{Client, ClientLimits};
use crate::limits::{Exceeded, Limit, Refused, Standing};
use crate::proxy::{Engine, Fault, FaultKind, Wire};

/// Counts a request in; it is counted out with its record. `standing` is how its
/// client stands then, whatever becomes of it.
///
/// # Errors
/// Its client is over a limit, or nobody knows.
pub(super) async fn admit(
    client: &Client,
    held: &ClientLimits,
    engine: &Engine,
    wire: &Wire,
    standing: &mut Option<Standing>,
) -> Result<(), Fault> {
    let admitting = engine.limiter.admit(client, held, wire.came());
    match wire.waits_for(admitting).await {
        Ok((admission, told)) => {
            *standing = Some(told);
            wire.note(|record| record.admitted(admission));
            Ok(())
        }
        Err(Refused::Exceeded(exceeded)) => {
            *standing = Some(exceeded.standing);
            Err(over(client, held, &exceeded))
        }
        Err(Refused::StoreAway) => Err(Fault::new(
            FaultKind::LimitsUnknown,
            "The store of the limits is away, and this upstreamd answers no client with a limit until it is back. Send the request again later.",
        )),
    }
}

fn over(client: &Client, held: &ClientLimits, exceeded: &Exceeded) -> Fault {
    let name = &client.name;
    let wait = spelled(exceeded.wait);
    let message = match exceeded.limit {
        Limit::Requests => format!(
            "Client \"{name}\" has made the {} requests that it may make in a minute. Try again in {wait}.",
            held.requests_per_minute.map_or(0, u64::from),
        ),
        Limit::Tokens => format!(
            "Client \"{name}\" has used the {} tokens that it may use in a minute. Try again in {wait}.",
            held.tokens_per_minute.map_or(0, u64::from),
        ),
        Limit::Running => format!(
            "Client \"{name}\" runs the {} requests that it may run at the same time. Try again when one has ended.",
            held.max_running.map_or(0, u32::from),
        ),
    };
    let mut fault = Fault::new(FaultKind::OverLimit, message);
    fault.retry_after = Some(exceeded.wait);
    fault
}

/// A time for a person: `0.250s`, `12.000s`.
fn spelled(time: Duration) -> String {
    format!("{:.3}s", time.as_secs_f64())
}
