//! `[upstream.NAME]`

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use crate::config::checked::{Key, Upstream};
use crate::config::credentials::Bearer;
use crate::config::limits::{self, Limit};
use crate::config::place::{At, Place};
use crate::config::problem::{Problem, Problems};
use crate::config::written::{self, Written};

use super::key::{self, Unloaded};
use super::{Surroundings, report_missing, tls, within};

/// Every upstream with which nothing is wrong, in the order of their names.
pub(super) fn check(
    written: &Written,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Vec<Arc<Upstream>> {
    if written.upstreams.is_empty()
        && !problems.has("upstream.base_url")
        && !problems.has("upstream")
    {
        let problem = Problem::new(
            "",
            &Place::Nowhere,
            "no base URL: nobody said where requests go",
        );
        problems.add(problem.help(base_url_help("NAME")));
    }
    let upstreams = written.upstreams.iter();
    upstreams
        .filter_map(|(name, upstream)| one(name, upstream, surroundings, problems))
        .map(Arc::new)
        .collect()
}

fn one(
    name: &str,
    written: &written::Upstream,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<Upstream> {
    let path = |key: &str| format!("upstream.{name}.{key}");
    if written.base_url.is_none() && !problems.has("upstream.base_url") {
        let help = base_url_help(name);
        report_missing(
            &path("base_url"),
            &written.place,
            "this upstream has no base URL",
            &help,
            problems,
        );
    }
    let (keys, missing_keys) = keys(name, written, surroundings, problems);
    let tls = tls::check(name, &written.tls, surroundings, problems);
    let mut duration = |written: &Option<At<Duration>>, limit: &Limit<Duration>, key: &str| {
        within(written.as_ref(), limit, &path(key), problems)
    };
    let connect_timeout = duration(
        &written.connect_timeout,
        &limits::CONNECT_TIMEOUT,
        "connect_timeout",
    );
    let response_timeout = duration(
        &written.response_timeout,
        &limits::RESPONSE_TIMEOUT,
        "response_timeout",
    );
    let idle_timeout = duration(&written.idle_timeout, &limits::IDLE_TIMEOUT, "idle_timeout");
    let pool_idle_timeout = duration(
        &written.pool_idle_timeout,
        &limits::POOL_IDLE_TIMEOUT,
        "pool_idle_timeout",
    );
    let queue_timeout = duration(
        &written.queue_timeout,
        &limits::QUEUE_TIMEOUT,
        "queue_timeout",
    );
    let max_running = at_most(written.max_running.as_ref(), &path("max_running"), problems);
    let pool_max_idle = within(
        written.pool_max_idle.as_ref(),
        &limits::POOL_MAX_IDLE,
        &path("pool_max_idle"),
        problems,
    );
    let fields = written
        .fields
        .iter()
        .map(|(name, at)| (name.clone(), at.value.clone()));
    Some(Upstream {
        name: name.to_owned(),
        base_url: written.base_url.as_ref()?.value.clone(),
        keys,
        missing_keys,
        user_agent: written.user_agent.as_ref().map(|at| at.value.clone()),
        fields: fields.collect::<HeaderMap>(),
        connect_timeout,
        response_timeout,
        idle_timeout,
        pool_idle_timeout,
        pool_max_idle,
        http2: written.http2.as_ref().is_some_and(|at| at.value),
        include_usage: written.include_usage.as_ref().is_some_and(|at| at.value),
        max_running,
        queue_timeout,
        tls: tls?,
    })
}

/// `max_running`, where it is written.
pub(super) fn at_most(
    written: Option<&At<usize>>,
    path: &str,
    problems: &mut Problems,
) -> Option<NonZeroU32> {
    let most = within(Some(written?), &limits::MAX_RUNNING, path, problems);
    // What is out of bounds was complained about.
    u32::try_from(most).ok().and_then(NonZeroU32::new)
}

/// Its keys, and the names of those that are nowhere.
fn keys(
    name: &str,
    written: &written::Upstream,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> (Vec<Key>, Vec<String>) {
    let path = format!("upstream.{name}.keys");
    let Some(sources) = &written.keys else {
        // A refused OPENAI_API_KEY was meant to be here.
        if !problems.has("upstream.keys") {
            let help = "set OPENAI_API_KEY, or write keys = [\"NAME\"], the name of a credential;\n\
                        an upstream that needs no key says so: keys = []";
            report_missing(
                &path,
                &written.place,
                "this upstream has no key",
                help,
                problems,
            );
        }
        return (Vec::new(), Vec::new());
    };
    let (mut keys, mut missing): (Vec<Key>, Vec<String>) = (Vec::new(), Vec::new());
    let occasion = surroundings.occasion;
    for source in &sources.value {
        let key = source.value.name();
        let found = keys.iter().map(|key| &key.name);
        if found.chain(&missing).any(|other| other == key) {
            problems.add(Problem::new(
                &path,
                &source.place,
                format!("\"{key}\" is there twice"),
            ));
            continue;
        }
        match key::load(source, Bearer::Upstream, &surroundings.credentials) {
            Ok(secret) => keys.push(Key {
                name: key.to_owned(),
                authorization: secret.authorization(),
            }),
            Err(Unloaded::Missing(_)) if occasion.tolerates_missing_keys() => {
                missing.push(key.to_owned());
            }
            Err(Unloaded::Sealed(_)) if occasion.tolerates_sealed_keys() => {
                problems.could_not_read(key);
            }
            Err(unloaded) => problems.add(unloaded.problem(&path, source)),
        }
    }
    (keys, missing)
}

fn base_url_help(name: &str) -> String {
    format!(
        "set OPENAI_BASE_URL=https://HOST/v1, or write into the configuration file\n\
         [upstream.{name}]\n\
         base_url = \"https://HOST/v1\""
    )
}
