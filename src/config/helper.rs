//! What the environment of the helper that upstreamd replaces says, with the
//! models that its launcher gave to LiteLLM.
//!
//! Only `upstreamd import-env` reads the models: a file says more of them than
//! variables can, and one place for them is enough.

use std::collections::BTreeMap;

use http::HeaderValue;

use super::Errors;
use super::checked::{BaseUrl, ListenAddress};
use super::environment::Environment;
use super::listen::Port;
use super::place::{At, Place};
use super::problem::{Problem, Problems};
use super::value::{Text, Wrong};

/// How the variables of a model begin.
const MODEL: &str = "MODEL_";
/// Its name at the upstream.
const NAME: &str = "_UPSTREAM_MODEL";
/// The base URL of its upstream.
const BASE: &str = "_UPSTREAM_BASE";
/// The effort that is asked for in place of the client's.
const EFFORT: &str = "_REASONING_EFFORT";

/// The helper's environment. Holds no secret.
#[derive(Debug, Default)]
pub struct Helper {
    /// Where it listened.
    pub listen: Option<ListenAddress>,
    /// Where requests went that no model's own base URL was for.
    pub base_url: Option<BaseUrl>,
    /// What it called itself there.
    pub user_agent: Option<HeaderValue>,
    /// What the upstream's keys are called: `OPENAI_API_KEY`, or
    /// `OPENAI_API_KEYS.2` for the second one in there.
    pub keys: Vec<String>,
    /// Whether clients had to present a key.
    pub has_client_key: bool,
    /// The models, by the `KEY` of their variables.
    pub models: BTreeMap<String, HelperModel>,
    /// Variables of these models that mean nothing here.
    pub unknown: Vec<String>,
}

/// What `MODEL_KEY_...` says.
#[derive(Debug, Default)]
pub struct HelperModel {
    /// Its name at the upstream.
    pub name: Option<String>,
    /// Its upstream, if that is another one.
    pub base_url: Option<BaseUrl>,
    /// The effort.
    pub reasoning_effort: Option<String>,
}

impl Helper {
    /// Reads it.
    ///
    /// # Errors
    /// All variables that can't be what they should be, or none says where
    /// requests go.
    pub fn read(environment: &Environment) -> Result<Helper, Errors> {
        let mut problems = Problems::default();
        let port = environment.value::<Port>("PORT", "server.listen", &mut problems);
        let keys = environment.keys(&mut problems);
        let keys = keys.iter().flat_map(|keys| &keys.value);
        let key = environment.key("LITELLM_MASTER_KEY", "client.litellm.key", &mut problems);
        let base_url = environment.value("OPENAI_BASE_URL", "upstream.base_url", &mut problems);
        let user_agent = environment.value("NODE_USER_AGENT", "upstream.user_agent", &mut problems);
        let mut helper = Helper {
            listen: port.map(|at| at.value.into()),
            base_url: base_url.map(|at| at.value),
            user_agent: user_agent.map(|at| at.value),
            keys: keys.map(|key| key.value.name().to_owned()).collect(),
            has_client_key: key.is_some(),
            ..Helper::default()
        };
        helper.read_models(environment, &mut problems);
        let goes_nowhere = |model: &HelperModel| model.base_url.is_none();
        if helper.base_url.is_none()
            && (helper.models.is_empty() || helper.models.values().any(goes_nowhere))
            && problems.is_empty()
        {
            let message = "no base URL: no variable says where requests go";
            let help = "set OPENAI_BASE_URL, or MODEL_KEY_UPSTREAM_BASE of every model";
            problems.add(Problem::new("", &Place::Nowhere, message).help(help));
        }
        match problems.is_empty() {
            true => Ok(helper),
            false => Err(Errors::new(problems, None)),
        }
    }

    fn read_models(&mut self, environment: &Environment, problems: &mut Problems) {
        for variable in environment.names() {
            let ends = |end| key_of(variable, end);
            if let Some(key) = ends(NAME) {
                let name = environment.value::<Word>(variable, "model.name", problems);
                self.model(key).name = word(name);
            } else if let Some(key) = ends(BASE) {
                let base_url = environment.value(variable, "upstream.base_url", problems);
                self.model(key).base_url = base_url.map(|at| at.value);
            } else if let Some(key) = ends(EFFORT) {
                let effort = environment.value::<Word>(variable, "model.set", problems);
                self.model(key).reasoning_effort = word(effort);
            }
        }
        let is_of_a_model = |variable: &&str| {
            let mut keys = self.models.keys();
            let rest = variable.strip_prefix(MODEL).unwrap_or_default();
            let known = [NAME, BASE, EFFORT].iter().any(|end| rest.ends_with(end));
            !known && keys.any(|key| rest.strip_prefix(key).is_some_and(|r| r.starts_with('_')))
        };
        let unknown = environment.names().filter(is_of_a_model);
        self.unknown = unknown.map(str::to_owned).collect();
    }

    fn model(&mut self, key: &str) -> &mut HelperModel {
        self.models.entry(key.to_owned()).or_default()
    }
}

/// The `KEY` of `MODEL_KEY` and `end`.
fn key_of<'v>(variable: &'v str, end: &str) -> Option<&'v str> {
    let key = variable.strip_prefix(MODEL)?.strip_suffix(end)?;
    Some(key).filter(|key| !key.is_empty())
}

fn word(at: Option<At<Word>>) -> Option<String> {
    at.map(|at| at.value.0)
}

/// A model's name or an effort: whatever the upstream understands.
#[derive(Debug)]
struct Word(String);

impl Text for Word {
    const EXPECTED: &'static str = "a word without blanks around it";

    fn from_text(text: &str) -> Result<Word, Wrong> {
        let tidy = text.trim() == text && !text.contains(|c: char| c.is_control());
        match tidy {
            true => Ok(Word(text.to_owned())),
            false => Err(Wrong::text(text)),
        }
    }
}
