//! `[model.NAME]` as TOML.

use super::{Page, array, in_header, string};
use crate::config::place::At;
use crate::config::written::{Model, ModelUpstream};

/// Appends the table of the model called `name`.
pub(super) fn print(page: &mut Page, name: &str, written: &Model, default: &str) {
    page.header(&format!("model.{}", in_header(name)));
    match (&written.upstream, &written.upstreams) {
        (Some(At { value, place }), _) => {
            let names = value.iter().map(|at| string(&at.value.0));
            page.line("upstream", array(names), Some(place));
        }
        (None, Some(At { value, place })) => {
            page.line("upstreams", array(value.iter().map(upstream)), Some(place));
        }
        (None, None) => page.line("upstream", array([string(default)].into_iter()), None),
    }
    if let Some(At { value, place }) = &written.name {
        page.line("name", string(&value.0), Some(place));
    }
    if let Some((_, first)) = written.set.first() {
        let each = |(name, at): &(At<String>, At<_>)| {
            let value: &crate::config::model::Json = &at.value;
            format!("{} = {}", string(&name.value), value.shown())
        };
        let set: Vec<String> = written.set.iter().map(each).collect();
        page.line(
            "set",
            format!("{{ {} }}", set.join(", ")),
            Some(&first.place),
        );
    }
    if let Some(At { value, place }) = &written.drop {
        let names = value.iter().map(|at| string(&at.value.0));
        page.line("drop", array(names), Some(place));
    }
}

fn upstream(one: &ModelUpstream) -> String {
    let mut parts = Vec::new();
    if let Some(upstream) = &one.upstream {
        parts.push(format!("upstream = {}", string(&upstream.value.0)));
    }
    if let Some(name) = &one.name {
        parts.push(format!("name = {}", string(&name.value.0)));
    }
    if let Some(weight) = &one.weight {
        parts.push(format!("weight = {}", weight.value));
    }
    format!("{{ {} }}", parts.join(", "))
}
