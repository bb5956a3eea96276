//! `upstreamd litellm-config` and `upstreamd import-env`: what they print. That
//! LiteLLM runs on it is in tests/litellm.

use std::fs;
use std::process::{Command, Output};

use crate::support::profile;
use crate::support::scratch::Scratch;

const KEY: &str = "sk-key-that-nobody-may-see";

/// Runs upstreamd with these variables alone.
fn run(words: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_upstreamd"))
        .args(words)
        .env_clear()
        .envs(profile())
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

#[track_caller]
fn prints(words: &[&str], variables: &[(&str, &str)]) -> String {
    let output = run(words, variables);
    let said = String::from_utf8(output.stdout).unwrap();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complained}");
    assert!(!said.contains(KEY), "{said}");
    said
}

#[track_caller]
fn refuses(words: &[&str], variables: &[(&str, &str)], reasons: &[&str]) {
    let output = run(words, variables);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(!said.contains(KEY), "{said}");
    for reason in reasons {
        assert!(said.contains(reason), "no {reason:?} in:\n{said}");
    }
}

/// `text` in a file, and the words that name it.
fn file(scratch: &Scratch, text: &str) -> [String; 2] {
    let path = scratch.path().join("upstreamd.toml");
    fs::write(&path, text).unwrap();
    ["--config".to_owned(), path.display().to_string()]
}

const FILE: &str = "\
[server]
listen = [\"unix:/run/x.sock\", \"0.0.0.0:4100\"]
[upstream.far]
base_url = \"https://far.example/v1\"
keys = [\"far\", \"spare\"]
[client.near]
key = \"near\"
";

#[test]
fn litellms_configuration_goes_to_the_first_tcp_address_with_a_client_key_from_its_environment() {
    let scratch = Scratch::new();
    let [flag, path] = file(&scratch, FILE);
    let said = prints(&["litellm-config", &flag, &path], &[]);
    let expected = "\
# Made by `upstreamd litellm-config`. Variables that LiteLLM needs:
#   LITELLM_MASTER_KEY    what LiteLLM's clients have to present
#   UPSTREAMD_CLIENT_KEY  a client's key of upstreamd

model_list:
  - model_name: \"*\"
    litellm_params:
      model: \"openai/*\"
      custom_llm_provider: \"openai\"
      api_base: \"http://127.0.0.1:4100/v1\"
      api_key: \"os.environ/UPSTREAMD_CLIENT_KEY\"

litellm_settings:
  drop_params: true

general_settings:
  master_key: \"os.environ/LITELLM_MASTER_KEY\"
";
    assert_eq!(said, expected);
}

#[test]
fn direct_goes_to_the_upstream_with_each_of_its_keys() {
    let scratch = Scratch::new();
    let [flag, path] = file(&scratch, FILE);
    let said = prints(&["litellm-config", "--direct", &flag, &path], &[]);
    assert!(!said.contains("127.0.0.1"), "{said}");
    assert_eq!(
        said.matches("api_base: \"https://far.example/v1\"").count(),
        2
    );
    for key in ["FAR", "SPARE"] {
        let api_key = format!("api_key: \"os.environ/UPSTREAMD_KEY_{key}\"");
        assert!(said.contains(&api_key), "{said}");
    }
    for no in ["0", "false"] {
        let switch = [("NODE_UPSTREAM_PROXY_ENABLE", no)];
        assert_eq!(prints(&["litellm-config", &flag, &path], &switch), said);
    }
    let switch = [("NODE_UPSTREAM_PROXY_ENABLE", "1")];
    let through = prints(&["litellm-config", &flag, &path], &switch);
    assert!(through.contains("127.0.0.1:4100"), "{through}");
}

const MODELS: &str = "\
[server]
default_upstream = \"far\"
[upstream.far]
base_url = \"https://far.example/v1\"
keys = [\"far\"]
[upstream.near]
base_url = \"http://near.example:8000\"
keys = []
[model.\"gpt-5\"]
upstream = [\"near\", \"far\"]
name = \"openai/gpt-5\"
set = { reasoning_effort = \"medium\", stop = [\"\\u2028\", 1.5] }
drop = [\"reasoning\"]
[model.\"glm-*\"]
upstreams = [{ upstream = \"near\", weight = 3 }, { upstream = \"far\", name = \"glm\" }]
[model.\"o?\"]
";

/// Names of the models, each with what its first `model:` says, in their order.
fn models(yaml: &str) -> Vec<(&str, &str)> {
    let value = |line: &'static str| {
        let lines = yaml
            .lines()
            .filter_map(move |l| l.trim_start().split_once(line));
        lines.map(|(_, value)| value.trim_matches('"'))
    };
    value("- model_name: ")
        .zip(value("model: \"openai/"))
        .collect()
}

#[test]
fn every_model_that_clients_may_ask_for_goes_through_upstreamd() {
    let scratch = Scratch::new();
    let [flag, path] = file(&scratch, MODELS);
    let said = prints(&["litellm-config", &flag, &path], &[]);
    let same = ["glm-*", "gpt-5", "*"].map(|name| (name, name));
    assert_eq!(models(&said), same);
    assert!(!said.contains("reasoning"), "upstreamd does that: {said}");
    assert_eq!(said.matches("api_key: \"none\"").count(), 3, "{said}");

    let strict = MODELS.replace("[server]", "[server]\nstrict_models = true");
    let [flag, path] = file(&scratch, &strict);
    let said = prints(&["litellm-config", &flag, &path], &[]);
    assert_eq!(models(&said), same[..2]);
}

#[test]
fn direct_has_each_model_at_each_of_its_upstreams_as_it_is_called_there() {
    let scratch = Scratch::new();
    let [flag, path] = file(&scratch, MODELS);
    let said = prints(&["litellm-config", "--direct", &flag, &path], &[]);
    let expected = [
        ("glm-*", "glm-*"),
        ("glm-*", "glm"),
        ("gpt-5", "openai/gpt-5"),
        ("gpt-5", "openai/gpt-5"),
        ("*", "*"),
    ];
    assert_eq!(models(&said), expected);
    let expected = "
  - model_name: \"gpt-5\"
    litellm_params:
      model: \"openai/openai/gpt-5\"
      custom_llm_provider: \"openai\"
      api_base: \"http://near.example:8000\"
      api_key: \"none\"
      order: 1
      \"reasoning_effort\": \"medium\"
      \"stop\": [\"\\U00002028\", 1.5]
      additional_drop_params: [\"reasoning\"]
";
    assert!(said.contains(expected), "{said}");
    assert!(said.contains("order: 2"), "{said}");
    assert!(
        said.contains("weight: 3") && said.contains("weight: 1"),
        "{said}"
    );
}

#[test]
fn the_environment_alone_is_enough_for_litellms_configuration_and_shows_no_key() {
    let variables = [
        ("OPENAI_BASE_URL", "https://far.example/v1"),
        ("OPENAI_API_KEY", KEY),
        ("LITELLM_MASTER_KEY", "sk-key-that-nobody-may-see-either"),
    ];
    let said = prints(&["litellm-config"], &variables);
    assert!(
        said.contains("api_base: \"http://127.0.0.1:4000/v1\""),
        "{said}"
    );
    assert!(
        said.contains("api_key: \"os.environ/LITELLM_MASTER_KEY\""),
        "{said}"
    );
    assert!(said.contains("litellm --port 4001"), "{said}");
    let said = prints(&["litellm-config", "--direct"], &variables);
    assert!(
        said.contains("api_key: \"os.environ/OPENAI_API_KEY\""),
        "{said}"
    );
}

#[test]
fn litellm_is_given_no_address_that_it_cannot_reach() {
    let scratch = Scratch::new();
    let [flag, path] = file(&scratch, &FILE.replace(", \"0.0.0.0:4100\"", ""));
    let words = ["litellm-config", &flag, &path];
    refuses(&words, &[], &["no TCP address", "--at 127.0.0.1:4000"]);
    let said = prints(&["litellm-config", &flag, &path, "--at", "[::]:5000"], &[]);
    assert!(
        said.contains("api_base: \"http://[::1]:5000/v1\""),
        "{said}"
    );
    let [flag, path] = file(&scratch, "[upstream.far]\nbase_ur = \"x\"\n");
    refuses(
        &["litellm-config", &flag, &path],
        &[],
        &["base_url", ":2:1"],
    );
}

/// Everything that the original's environment could say.
const HELPER: [(&str, &str); 12] = [
    ("PORT", "4001"),
    ("OPENAI_BASE_URL", "https://api.far.example/v1/"),
    ("OPENAI_API_KEY", "sk-key-that-nobody-may-see"),
    ("OPENAI_API_KEYS", " sk-key-that-nobody-may-see,sk-second"),
    ("NODE_USER_AGENT", "QwenCode/0.2.0 (linux; x64)"),
    ("LITELLM_MASTER_KEY", "sk-master"),
    ("MODEL_GPT_5_UPSTREAM_MODEL", "openai/gpt-5"),
    ("MODEL_GPT_5_REASONING_EFFORT", "medium"),
    ("MODEL_GLM_UPSTREAM_MODEL", "glm"),
    ("MODEL_GLM_UPSTREAM_BASE", "https://near.example/v1"),
    ("MODEL_GLM_COLOUR", "blue"),
    ("MODEL_OTHER", "x"),
];

#[test]
fn the_helpers_environment_becomes_a_configuration_without_its_keys() {
    let expected = "\
# Made by `upstreamd import-env`.
# Its keys are not in it. To store them, in the same environment:
#
#     printf %s \"$OPENAI_API_KEY\" | upstreamd key set far-1
#     printf %s \"$OPENAI_API_KEYS\" | tr ', \\t' '\\n\\n\\n' | grep . | sed -n 2p | upstreamd key set far-2
#     printf %s \"$LITELLM_MASTER_KEY\" | upstreamd key set client.litellm
# MODEL_GLM_COLOUR means nothing here.

[server]
listen = [\"127.0.0.1:4001\"]
default_upstream = \"far\"

[upstream.far]
base_url = \"https://api.far.example/v1\"
keys = [\"far-1\", \"far-2\"]
user_agent = \"QwenCode/0.2.0 (linux; x64)\"

[upstream.near]
# The environment had one set of keys for all upstreams.
base_url = \"https://near.example/v1\"
keys = [\"far-1\", \"far-2\"]
user_agent = \"QwenCode/0.2.0 (linux; x64)\"

[model.\"glm\"]
upstream = \"near\"

[model.\"gpt-5\"]
upstream = \"far\"
name = \"openai/gpt-5\"
set = { reasoning_effort = \"medium\" }
drop = [\"reasoning\"]

[client.litellm]
key = \"client.litellm\"
";
    assert_eq!(prints(&["import-env"], &HELPER), expected);
}

#[test]
fn an_imported_configuration_is_right_once_its_own_commands_have_stored_its_keys() {
    let scratch = Scratch::new();
    let [flag, path] = file(&scratch, &prints(&["import-env"], &HELPER));
    let toml = fs::read_to_string(&path).unwrap();
    let commands = toml.lines().filter_map(|line| line.strip_prefix("#     "));
    let binary = env!("CARGO_BIN_EXE_upstreamd");
    for command in commands {
        let command = command.replace("upstreamd key", &format!("{binary} key"));
        let status = Command::new("sh")
            .args(["-c", &format!("{command} {flag} {path}")])
            .env_clear()
            .envs(profile())
            .env("PATH", "/usr/bin:/bin")
            .envs(HELPER)
            .output()
            .unwrap();
        assert!(status.status.success(), "{command}: {status:?}");
    }
    for (name, key) in [
        ("far-1", KEY),
        ("far-2", "sk-second"),
        ("client.litellm", "sk-master"),
    ] {
        let stored = fs::read_to_string(scratch.path().join("keys").join(name)).unwrap();
        assert_eq!(stored, key, "{name}");
    }
    prints(&["check", &path], &[]);
}

#[test]
fn a_small_environment_becomes_a_small_configuration_that_is_right() {
    let scratch = Scratch::new();
    let variables = [
        ("OPENAI_BASE_URL", "http://10.0.0.1:8080"),
        ("OPENAI_API_KEYS", KEY),
    ];
    let said = prints(&["import-env"], &variables);
    let (_, tables) = said.split_once("\n\n").unwrap();
    let expected =
        "[upstream.10-0-0-1]\nbase_url = \"http://10.0.0.1:8080\"\nkeys = [\"10-0-0-1\"]\n";
    assert_eq!(tables, expected);
    let [_, path] = file(&scratch, &said);
    prints(&["check", &path], &[("UPSTREAMD_KEY_10_0_0_1", KEY)]);
}

#[test]
fn an_environment_that_is_wrong_becomes_no_configuration() {
    refuses(&["import-env"], &[], &["no base URL", "OPENAI_BASE_URL"]);
    let model = ("MODEL_A_UPSTREAM_MODEL", "a");
    refuses(&["import-env"], &[model], &["no base URL"]);
    let variables = [
        (
            "OPENAI_BASE_URL",
            "https://far.example/?key=sk-key-that-nobody-may-see",
        ),
        ("PORT", "0"),
        ("MODEL_A_UPSTREAM_BASE", "far"),
        ("MODEL_A_UPSTREAM_MODEL", " a"),
        ("OPENAI_API_KEY", "sk-key-that-nobody-may-see \n x"),
    ];
    let names = variables.map(|(name, _)| name);
    refuses(&["import-env"], &variables, &names);
}
