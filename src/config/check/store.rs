//! `[limits]`

use crate::config::checked::{Store, WhenAway};
use crate::config::credentials::Bearer;
use crate::config::limits;
use crate::config::problem::{Problem, Problems};
use crate::config::written;

use super::key::{self, Unloaded};
use super::{Surroundings, within};

/// The store, if one is named. The password is loaded as an upstream's key is,
/// for upstreamd presents it.
pub(super) fn check(
    written: &written::Limits,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<Store> {
    let timeout = within(
        written.timeout.as_ref(),
        &limits::STORE_TIMEOUT,
        "limits.timeout",
        problems,
    );
    let when_away = written.when_away.as_ref();
    let when_away = when_away.map_or(WhenAway::Open, |at| at.value);
    if let (None, Some(key)) = (&written.store, &written.key)
        && !problems.has("limits.store")
    {
        let message = "a password, and nothing says where the store is";
        let problem = Problem::new("limits.key", &key.place, message);
        problems.add(problem.help("write store = \"redis://HOST:6379/0\" too, or leave both out"));
    }
    let address = written.store.as_ref()?.value.clone();
    let mut password = None;
    if let Some(source) = &written.key {
        match key::load(source, Bearer::Upstream, &surroundings.credentials) {
            Ok(secret) => password = Some(secret),
            // To show it needs no password.
            Err(Unloaded::Missing(_))
                if surroundings.occasion == crate::config::Occasion::Print => {}
            Err(Unloaded::Sealed(_)) if surroundings.occasion.tolerates_sealed_keys() => {
                problems.could_not_read(source.value.name());
            }
            Err(unloaded) => problems.add(unloaded.problem("limits.key", source)),
        }
    }
    Some(Store {
        address,
        password,
        timeout,
        when_away,
    })
}
