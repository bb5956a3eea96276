//! The models that can be asked for here: those that are configured, joined with
//! what the upstreams list.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::json;
use serde_json::value::RawValue;

use super::access;
use super::edit::{Edit, edited};
use super::list::Entry;
use super::route::Candidate;
use super::snapshot::Engine;
use crate::config::checked::Client;

/// What is known of the models.
pub(super) struct Known<'a> {
    pub(super) engine: &'a Engine,
    /// By the place of the upstream.
    pub(super) lists: Vec<(usize, Vec<Entry<'a>>)>,
}

impl Known<'_> {
    /// The entries that `client` sees: each name once, the configured first.
    pub(super) fn all(&self, client: Option<&Client>) -> Vec<Cow<'_, str>> {
        let routes = &self.engine.snapshot.routes;
        let mut seen: HashSet<&str> = HashSet::new();
        let mut all = Vec::new();
        for name in routes.names().filter(|name| access::sees(client, name)) {
            if let Ok(route) = routes.find(Some(name)) {
                seen.insert(name);
                all.push(self.entry(name, route.all()).into());
            }
        }
        for (upstream, entries) in &self.lists {
            // Where a request with this name would go.
            let leads_here = |id: &str| {
                let here = |one: &Candidate| one.upstream == *upstream && one.name.is_none();
                routes
                    .find(Some(id))
                    .is_ok_and(|route| route.all().iter().any(here))
            };
            for Entry { id, whole } in entries {
                if access::sees(client, id) && leads_here(id) && seen.insert(id) {
                    all.push(whole.get().into());
                }
            }
        }
        all
    }

    /// The entry of a configured name: what an upstream says of the model, under
    /// the name that is asked for here; or the least that an SDK wants.
    pub(super) fn entry(&self, name: &str, candidates: &[Candidate]) -> String {
        let said = candidates.iter().find_map(|candidate| {
            let there = candidate.name.as_deref().unwrap_or(name);
            self.said(candidate.upstream, there)
        });
        let renamed = said.and_then(|whole| {
            let id = Edit {
                name: "id".to_owned(),
                value: Some(json!(name).to_string()),
            };
            String::from_utf8(edited(whole.get().as_bytes(), &[id])?).ok()
        });
        renamed.unwrap_or_else(|| {
            let owner = candidates
                .first()
                .map(|one| self.engine.way(one.upstream).name());
            json!({
                "id": name,
                "object": "model",
                // Nobody said; SDKs want a number.
                "created": 0,
                "owned_by": owner.as_deref().unwrap_or_default(),
            })
            .to_string()
        })
    }

    fn said(&self, upstream: usize, id: &str) -> Option<&RawValue> {
        let (_, entries) = self.lists.iter().find(|(place, _)| *place == upstream)?;
        let entry = entries.iter().find(|entry| entry.id == id)?;
        Some(entry.whole)
    }
}
