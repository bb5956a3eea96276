//! `[model.NAME]` of the file.

use crate::config::model::{Json, Parameter};
use crate::config::place::{At, Place};
use crate::config::section::{Section, refusal};
use crate::config::value::Text;
use crate::config::written::{Model, ModelUpstream};

/// What its table says.
pub(super) fn read(place: Place, section: &mut Section<'_, '_>) -> Model {
    let mut model = Model {
        place,
        upstream: section.take_one_or_all("upstream"),
        upstreams: None,
        name: section.take("name"),
        set: Vec::new(),
        drop: section.take_all("drop"),
    };
    section.take_table("set", |section| model.set = parameters(section));
    let mut upstreams = Vec::new();
    let place = section.take_tables("upstreams", |place, section| {
        upstreams.push(ModelUpstream {
            place,
            upstream: section.take("upstream"),
            name: section.take("name"),
            weight: section.take("weight"),
        });
    });
    model.upstreams = place.map(|place| At::new(upstreams, place));
    model
}

fn parameters(section: &mut Section<'_, '_>) -> Vec<(At<String>, At<Json>)> {
    let mut parameters = section.take_rest::<Json>();
    parameters.retain(|(name, _)| match Parameter::from_text(&name.value) {
        Ok(_) => true,
        Err(wrong) => {
            let path = section.path_of(&name.value);
            section.complain(refusal(&path, &name.place, &wrong, Parameter::EXPECTED));
            false
        }
    });
    parameters
}
