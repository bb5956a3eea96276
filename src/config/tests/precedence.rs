//! Flags stand above environment, file and defaults, in this order.

use std::time::Duration;

use super::house::House;
use crate::config::checked::{Config, LogFormat, LogLevel};
use crate::config::{Overrides, Text};

const FILE: &str = "\
[server]
listen = \"127.0.0.1:1\"
drain_timeout = \"1s\"
[log]
level = \"debug\"
[upstream.a]
base_url = \"https://file/v1\"
keys = [\"k\"]
user_agent = \"file\"
";

fn house() -> House {
    House::with(FILE).file("keys/k", "from-file\n", 0o600)
}

fn listen(config: &Config) -> Vec<String> {
    config
        .server
        .listen
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn the_environment_of_the_original_helper_works_alone() {
    let house = House::empty()
        .set("OPENAI_BASE_URL", "https://agentrouter.org/v1/")
        .set("OPENAI_API_KEY", "k1")
        .set("OPENAI_API_KEYS", "k2, k1\n k3")
        .set("NODE_USER_AGENT", "QwenCode/0.2.0 (linux; x64)")
        .set("LITELLM_MASTER_KEY", "m")
        .set("PORT", "3000");
    let config = house.load().unwrap();
    assert_eq!(config.upstream().name, "default");
    assert_eq!(
        config.upstream().base_url.to_string(),
        "https://agentrouter.org/v1"
    );
    let keys: Vec<_> = config
        .upstream()
        .keys
        .iter()
        .map(|key| key.name.as_str())
        .collect();
    assert_eq!(
        keys,
        ["OPENAI_API_KEY", "OPENAI_API_KEYS.1", "OPENAI_API_KEYS.3"]
    );
    assert_eq!(config.upstream().keys[1].authorization, "Bearer k2");
    assert_eq!(
        config.upstream().user_agent.as_ref().unwrap(),
        "QwenCode/0.2.0 (linux; x64)"
    );
    assert_eq!(config.clients[0].name, "litellm");
    assert_eq!(listen(&config), ["127.0.0.1:3000"]);
}

#[test]
fn nothing_but_an_upstream_gets_the_defaults() {
    let house = House::empty()
        .set("OPENAI_BASE_URL", "http://h")
        .set("OPENAI_API_KEY", "k");
    let config = house.load().unwrap();
    let server = &config.server;
    assert_eq!(listen(&config), ["127.0.0.1:4000"]);
    assert_eq!(
        Ok(server.workers),
        std::thread::available_parallelism().map_err(|_| ())
    );
    assert_eq!(server.max_connections.get(), 10_000);
    assert_eq!((server.max_body, server.max_header), (64 << 20, 64 << 10));
    let seconds = [
        server.drain_timeout,
        server.header_timeout,
        server.body_timeout,
        server.keepalive_timeout,
        server.write_timeout,
        config.upstream().connect_timeout,
        config.upstream().response_timeout,
        config.upstream().idle_timeout,
        config.upstream().pool_idle_timeout,
    ];
    assert_eq!(
        seconds.map(|each| each.as_secs()),
        [15, 10, 60, 75, 300, 10, 600, 300, 55]
    );
    assert_eq!(config.upstream().pool_max_idle, 256);
    assert!(!config.upstream().http2);
    assert!(!config.upstream().include_usage);
    assert_eq!(
        (config.log.format, config.log.level),
        (LogFormat::Auto, LogLevel::Info)
    );
    assert!(config.clients.is_empty());
}

#[test]
fn the_file_stands_above_the_defaults() {
    let config = house().load().unwrap();
    assert_eq!(listen(&config), ["127.0.0.1:1"]);
    assert_eq!(config.server.drain_timeout, Duration::from_secs(1));
    assert_eq!(config.log.level, LogLevel::Debug);
    assert_eq!(config.upstream().base_url.to_string(), "https://file/v1");
    assert_eq!(config.upstream().keys[0].name, "k");
    assert_eq!(config.upstream().keys[0].authorization, "Bearer from-file");
}

#[test]
fn an_upstream_that_needs_no_key_gets_none_from_the_environment() {
    let toml = "[upstream.local]\nbase_url = \"http://localhost:8000/v1\"\nkeys = []\n";
    let house = House::with(toml).set("OPENAI_API_KEY", "sk-stray");
    assert!(house.load().unwrap().upstream().keys.is_empty());
}

#[test]
fn the_environment_stands_above_the_file() {
    let house = house()
        .set("PORT", "2")
        .set("OPENAI_BASE_URL", "https://environment")
        .set("OPENAI_API_KEY", "from-environment")
        .set("NODE_USER_AGENT", "environment");
    let config = house.load().unwrap();
    assert_eq!(listen(&config), ["127.0.0.1:2"]);
    assert_eq!(config.upstream().name, "a");
    assert_eq!(
        config.upstream().base_url.to_string(),
        "https://environment"
    );
    assert_eq!(
        config.upstream().keys[0].authorization,
        "Bearer from-environment"
    );
    assert_eq!(
        config.upstream().user_agent.as_ref().unwrap(),
        "environment"
    );
}

#[test]
fn flags_stand_above_the_environment() {
    let mut house = house()
        .set("PORT", "2")
        .set("OPENAI_BASE_URL", "https://environment");
    house.overrides = Overrides {
        listen: vec![
            Text::from_text("[::1]:3").unwrap(),
            Text::from_text("unix:/s").unwrap(),
        ],
        base_url: Some(Text::from_text("https://flag").unwrap()),
        log_format: Some(LogFormat::Json),
        log_level: Some(LogLevel::Error),
        ..house.overrides.clone()
    };
    let config = house.load().unwrap();
    assert_eq!(listen(&config), ["[::1]:3", "unix:/s"]);
    assert_eq!(config.upstream().base_url.to_string(), "https://flag");
    assert_eq!(
        (config.log.format, config.log.level),
        (LogFormat::Json, LogLevel::Error)
    );
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let house = house()
        .set("PORT", "")
        .set("OPENAI_BASE_URL", "")
        .set("OPENAI_API_KEY", "")
        .set("OPENAI_API_KEYS", "")
        .set("LITELLM_MASTER_KEY", "")
        .set("UPSTREAMD_CONFIG", "");
    let config = house.load().unwrap();
    assert_eq!(listen(&config), ["127.0.0.1:1"]);
    assert_eq!(config.upstream().keys[0].name, "k");
    assert!(config.clients.is_empty());
}

#[test]
fn the_file_is_the_flags_then_the_environments_then_the_default_one() {
    let file = |level: &str| format!("{FILE}[client.{level}]\nkey = \"k\"\n");
    let house = House::empty()
        .file("keys/k", "k", 0o600)
        .file("default.toml", &file("default"), 0o644)
        .file("environment.toml", &file("environment"), 0o644)
        .file("flag.toml", &file("flag"), 0o644);
    let client = |house: &House| house.load().unwrap().clients[0].name.clone();
    assert_eq!(client(&house), "default");
    let named = house.path("environment.toml").display().to_string();
    let mut house = house.set("UPSTREAMD_CONFIG", &named);
    assert_eq!(client(&house), "environment");
    house.overrides.file = Some(house.path("flag.toml"));
    assert_eq!(client(&house), "flag");
}
