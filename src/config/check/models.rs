//! `[model.NAME]`, and what of `[server]` and `[client.NAME]` speaks of models.

use crate::config::checked::{Candidate, Glob, Model, Models};
use crate::config::limits;
use crate::config::model::{ModelName, UpstreamName};
use crate::config::nearest::nearest;
use crate::config::place::{At, Place};
use crate::config::problem::{Problem, Problems};
use crate::config::value::Wrong;
use crate::config::written::{self, Written};

use super::{report_missing, within};

/// The place of the default upstream among all.
pub(super) fn default_upstream(written: &Written, problems: &mut Problems) -> usize {
    const KEY: &str = "server.default_upstream";
    let names = Names::of(written);
    if let Some(named) = &written.server.default_upstream {
        return names.place(KEY, named, problems).unwrap_or_default();
    }
    if let [first, second, ..] = names.0[..] {
        let place = &written.upstreams[second].place;
        let message = format!(
            "there are {} upstreams ({}) and no default",
            names.0.len(),
            names.0.join(", ")
        );
        let help = format!(
            "write into [server]\ndefault_upstream = \"{first}\"\n\
             it gets what no [model.NAME] says where to send"
        );
        report_missing(KEY, place, &message, &help, problems);
    }
    0
}

/// Every model.
pub(super) fn check(written: &Written, default: usize, problems: &mut Problems) -> Models {
    if let Some(At { value: true, place }) = &written.server.strict_models
        && written.models.is_empty()
    {
        let message = "found true and no [model.NAME]: every model would be refused";
        let problem = Problem::new("server.strict_models", place, message);
        problems.add(problem.help("write a table for each model that clients may ask for"));
    }
    let names = Names::of(written);
    let models = written.models.iter().map(|(name, written)| {
        let mut table = Table {
            path: format!("model.{name}"),
            names: &names,
            problems,
        };
        let candidates = table.candidates(written, default);
        table.edits_are_one_a_parameter(written);
        let mut upstreams = written.upstreams.iter().flat_map(|at| &at.value);
        Model {
            name: Glob::new(name.as_str()),
            candidates,
            is_weighted: upstreams.any(|one| one.weight.is_some()),
            set: written
                .set
                .iter()
                .map(|(name, at)| (name.value.clone(), at.value.0.to_string()))
                .collect(),
            drop: written
                .drop
                .iter()
                .flat_map(|drop| &drop.value)
                .map(|at| at.value.0.clone())
                .collect(),
        }
    });
    Models::new(models.collect())
}

/// Names of upstreams, in their order.
struct Names<'w>(Vec<&'w str>);

impl<'w> Names<'w> {
    fn of(written: &'w Written) -> Names<'w> {
        Names(written.upstreams.keys().map(String::as_str).collect())
    }

    fn place(&self, path: &str, name: &At<UpstreamName>, problems: &mut Problems) -> Option<usize> {
        let wanted = name.value.0.as_str();
        let place = self.0.iter().position(|other| *other == wanted);
        if place.is_none() {
            let message = format!("there is no upstream named {}", Wrong::text(wanted).found);
            let problem = Problem::new(path, &name.place, message);
            problems.add(match nearest(wanted, self.0.iter().copied()) {
                Some(known) => problem.help(format!("did you mean \"{known}\"?")),
                None => problem.help("write a table for it: [upstream.NAME]"),
            });
        }
        place
    }
}

/// One `[model.NAME]`.
struct Table<'a> {
    path: String,
    names: &'a Names<'a>,
    problems: &'a mut Problems,
}

impl Table<'_> {
    fn candidates(&mut self, written: &written::Model, default: usize) -> Vec<Candidate> {
        if let (Some(_), Some(several)) = (&written.upstream, &written.upstreams) {
            let message = "the same thing as upstream, which is there too";
            let problem = Problem::new(format!("{}.upstreams", self.path), &several.place, message);
            self.problems.add(problem.help("keep one of them"));
        }
        if let (Some(name), Some(_)) = (&written.name, &written.upstreams) {
            let message = "found beside upstreams, each of which has a name of its own";
            let problem = Problem::new(format!("{}.name", self.path), &name.place, message);
            self.problems
                .add(problem.help("write it into each: { upstream = \"...\", name = \"...\" }"));
        }
        let candidates = match (&written.upstreams, &written.upstream) {
            (Some(several), _) => self.each_its_own(several),
            (None, Some(upstreams)) => self.one_name(upstreams, written.name.as_ref()),
            (None, None) => vec![Candidate {
                upstream: default,
                name: written.name.as_ref().map(|at| at.value.0.clone()),
                weight: 1,
            }],
        };
        if candidates.len() > Model::MOST_CANDIDATES {
            let found = format!("{} upstreams", candidates.len());
            let expected = format!("{} at most", Model::MOST_CANDIDATES);
            let problem = Problem::found(&*self.path, &written.place, &found, &expected);
            self.problems.add(problem);
        }
        candidates
    }

    fn one_name(
        &mut self,
        upstreams: &At<Vec<At<UpstreamName>>>,
        name: Option<&At<ModelName>>,
    ) -> Vec<Candidate> {
        let path = format!("{}.upstream", self.path);
        self.is_not_empty(&path, upstreams.value.is_empty(), &upstreams.place);
        let mut candidates: Vec<Candidate> = Vec::new();
        for each in &upstreams.value {
            let Some(upstream) = self.names.place(&path, each, self.problems) else {
                continue;
            };
            if candidates.iter().any(|other| other.upstream == upstream) {
                let message = format!("\"{}\" is there twice", each.value.0);
                self.problems
                    .add(Problem::new(&*path, &each.place, message));
            }
            candidates.push(Candidate {
                upstream,
                name: name.map(|at| at.value.0.clone()),
                weight: 1,
            });
        }
        candidates
    }

    fn each_its_own(&mut self, several: &At<Vec<written::ModelUpstream>>) -> Vec<Candidate> {
        let path = format!("{}.upstreams", self.path);
        self.is_not_empty(&path, several.value.is_empty(), &several.place);
        let mut candidates = Vec::new();
        for one in &several.value {
            let weight = within(
                one.weight.as_ref(),
                &limits::WEIGHT,
                &format!("{path}.weight"),
                self.problems,
            );
            let key = format!("{path}.upstream");
            let Some(name) = &one.upstream else {
                let message = "nothing says which upstream";
                let help = "write upstream = \"NAME\" into it";
                report_missing(&key, &one.place, message, help, self.problems);
                continue;
            };
            candidates.extend(self.names.place(&key, name, self.problems).map(|upstream| {
                Candidate {
                    upstream,
                    name: one.name.as_ref().map(|at| at.value.0.clone()),
                    weight: u32::try_from(weight).unwrap_or(1),
                }
            }));
        }
        candidates
    }

    fn is_not_empty(&mut self, path: &str, is_empty: bool, place: &Place) {
        if is_empty && !self.problems.has(path) {
            let problem = Problem::found(path, place, "no upstream", "one at least");
            self.problems
                .add(problem.help("leave it out for the default upstream"));
        }
    }

    fn edits_are_one_a_parameter(&mut self, written: &written::Model) {
        let mut seen: Vec<&str> = Vec::new();
        for (name, _) in &written.set {
            seen.push(&name.value);
        }
        for At { value, place } in written.drop.iter().flat_map(|drop| &drop.value) {
            if seen.contains(&value.0.as_str()) {
                let message = format!("\"{}\" is set or dropped already", value.0);
                let path = format!("{}.drop", self.path);
                self.problems
                    .add(Problem::new(path, place, message).help("keep one of the two"));
            }
            seen.push(&value.0);
        }
    }
}
