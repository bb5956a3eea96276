//! The printed configuration can be loaded again.

use proptest::prelude::*;

use super::house::House;
use crate::config::checked::Config;

const FULL: &str = "\
[server]
listen = [\"127.0.0.1:1\", \"unix:/run/a b.sock\"]
workers = 3
default_upstream = \"a.b\"
strict_models = true
max_body = \"1MB\"
drain_timeout = \"1m1s500ms\"
[log]
format = \"json\"
[retry]
statuses = [429, 0x1f4]
max_retry_after = \"0s\"
budget = 0.5
[upstream.\"a.b\"]
base_url = \"https://h:8443/v1\"
keys = [\"k\"]
user_agent = 'a \"quoted\" \\ agent'
fields = { accept-encoding = \"identity\" }
http2 = true
[upstream.\"a.b\".tls]
platform_roots = true
[upstream.second]
base_url = \"http://[::1]:8000\"
keys = []
[model.gpt-5]
upstream = [\"second\", \"a.b\"]
name = \"openai/gpt-5\"
set = { reasoning_effort = \"medium\", \"a b\" = [1, 0.5, { c = true, d = [] }] }
drop = [\"reasoning\"]
[model.\"o*\"]
[model.\"o3\"]
[[model.\"o3\".upstreams]]
upstream = \"second\"
name = \"x\"
weight = 3
[[model.\"o3\".upstreams]]
upstream = \"a.b\"
[client.\"c.d\"]
models = [\"gpt-5*\"]
endpoints = [\"/chat/completions\", \"/files*\"]
key = \"k\"
user = \"root\"
gid = 7
[client.e]
uid = 8
[listener.\"127.0.0.1:1\"]
clients = [\"e\"]
[listener.upstreamd]
require_key = \"tcp\"
";

/// All that can be compared; keys and clients by what they are checked against.
fn facts(config: &Config) -> String {
    let upstream = config.upstream();
    let keys: Vec<_> = upstream
        .keys
        .iter()
        .map(|key| (&key.name, key.authorization.as_bytes()))
        .collect();
    let clients: Vec<_> = config
        .clients
        .iter()
        .map(|client| {
            let identity = (client.key_sha256, client.user, &client.group);
            (&client.name, identity, &client.models, &client.endpoints)
        })
        .collect();
    let tls = upstream
        .tls
        .identity
        .as_ref()
        .map(|identity| &identity.chain);
    format!(
        "{:?} {:?} {:?} {:?} {} {keys:?} {clients:?} {tls:?} {:?} {:?}",
        config.server,
        config.log,
        config.retry,
        config.upstreams,
        config.default_upstream,
        config.listeners,
        config.models.all()
    )
}

/// Puts the printed configuration in place of the file and compares.
fn assert_same_again(house: House) {
    let before = house.load().unwrap();
    let printed = house.print();
    let house = house.file("printed.toml", &printed, 0o644);
    let mut overrides = house.overrides.clone();
    overrides.file = Some(house.path("printed.toml"));
    let after = house
        .load_with(&overrides)
        .unwrap_or_else(|errors| panic!("{errors}\n{printed}"));
    assert_eq!(facts(&before), facts(&after), "{printed}");
}

#[test]
fn what_is_printed_means_the_same() {
    assert_same_again(House::with(FULL).file("keys/k", "abc", 0o600));
}

#[test]
fn what_the_environment_said_means_the_same() {
    let house = House::empty()
        .set("OPENAI_BASE_URL", "http://[::1]:8000/v1")
        .set("OPENAI_API_KEYS", "a,b")
        .set("LITELLM_MASTER_KEY", "m");
    assert_same_again(house);
}

#[test]
fn every_value_says_where_it_comes_from() {
    let house = House::with(FULL).file("keys/k", "abc", 0o600);
    let printed = house.print();
    let one = House::with("[upstream.a]\nbase_url = \"https://h\"\n").set("OPENAI_API_KEY", "x");
    let printed = format!("{printed}{}", one.print());
    for line in [
        "workers = 3                             # file",
        "max_header = \"64KiB\"                    # default",
        "keys = [\"OPENAI_API_KEY\"]               # $OPENAI_API_KEY",
        "[model.gpt-5]",
        "set = { \"a b\" = [1, 0.5, { c = true, d = [] }], \"reasoning_effort\" = \"medium\" } # file",
        "upstream = [\"a.b\"]                      # default",
        "upstreams = [{ upstream = \"second\", name = \"x\", weight = 3 }, { upstream = \"a.b\" }] # file",
        "strict_models = true                    # file",
        "[listener.\"127.0.0.1:1\"]",
        "require_key = \"always\"                  # default",
        "require_key = \"tcp\"                     # file",
    ] {
        assert!(
            printed.lines().any(|printed| printed == line),
            "{line}\n{printed}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_numbers_are_printed_as_they_are(
        workers in 1..1024usize,
        body in 1024..1usize << 30,
        drain in 0..86_400_000u64,
        idle in 10..86_400_000u64,
        agent in "[!-~]([ -~]{0,20}[!-~])?",
        name in "[A-Za-z0-9_-][A-Za-z0-9._-]{0,20}",
    ) {
        let agent = toml::Value::from(agent).to_string();
        assert_same_again(House::with(&format!(
            "[server]\nworkers = {workers}\nmax_body = \"{body}B\"\ndrain_timeout = \"{drain}ms\"\n\
             [upstream.\"{name}\"]\nbase_url = \"https://h\"\nkeys = []\n\
             idle_timeout = \"{idle}ms\"\nuser_agent = {agent}\n"
        )));
    }
}
