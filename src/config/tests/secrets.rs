//! Where secrets are found, and that nobody prints one.

use super::house::House;
use crate::config::Occasion::{self, Check, Print, Reload, Start};

const FILE: &str = "[upstream.a]\nbase_url = \"https://h\"\nkeys = [\"my.key\"]\n";

/// What must be in no output.
const SECRET: &str = "hunter2";

fn key(house: &House) -> String {
    let config = house.load().unwrap();
    config.upstream().keys[0]
        .authorization
        .to_str()
        .unwrap()
        .to_owned()
}

#[test]
fn a_key_is_looked_for_in_the_promised_order() {
    let house = House::with(FILE).set("UPSTREAMD_KEY_MY_KEY", "variable");
    let credentials = house.path("credentials").display().to_string();
    let house = house.set("CREDENTIALS_DIRECTORY", &credentials);
    assert_eq!(key(&house), "Bearer variable");
    let house = house.file("keys/my.key", "own\n", 0o600);
    assert_eq!(key(&house), "Bearer own");
    let house = house.file("credentials/enc_my.key", "enc", 0o440);
    assert_eq!(key(&house), "Bearer enc");
    let house = house.file("credentials/key_my.key", "key", 0o440);
    assert_eq!(key(&house), "Bearer key");
    let house = house.file("credentials/my.key", "plain", 0o440);
    assert_eq!(key(&house), "Bearer plain");
}

#[test]
fn a_missing_key_is_answered_with_every_place_looked_at() {
    let house = House::with(FILE).set("CREDENTIALS_DIRECTORY", "/run/c");
    assert_eq!(
        house.errors(),
        "\
error: upstream.a.keys: there is no key named \"my.key\"
 --> DIR/upstreamd.toml:3:9
  |
3 | keys = [\"my.key\"]
  |         ^^^^^^^^
  = help: run `upstreamd key set my.key`, or put it into one of
          /run/c/my.key
          /run/c/key_my.key
          /run/c/enc_my.key
          DIR/keys/my.key
          the environment variable UPSTREAMD_KEY_MY_KEY
"
    );
}

#[test]
fn a_key_file_that_others_may_read_is_refused() {
    let errors = House::with(FILE)
        .file("keys/my.key", SECRET, 0o640)
        .errors();
    assert!(
        errors.contains("DIR/keys/my.key is open to other users (mode 0640)"),
        "{errors}"
    );
    assert!(
        errors.contains("help: chmod 600 DIR/keys/my.key"),
        "{errors}"
    );
}

#[test]
fn a_clients_key_may_lie_where_its_group_can_read_it() {
    let file = format!("{FILE}[client.b]\nkey = \"b\"\n");
    let with = |mode| {
        let house = House::with(&file).set("OPENAI_API_KEY", "k");
        house.file("clients/b", "abc", mode)
    };
    let hash = with(0o640).load().unwrap().clients[0].key_sha256;
    for mode in [0o600, 0o440] {
        assert_eq!(with(mode).load().unwrap().clients[0].key_sha256, hash);
    }
    for mode in [0o644, 0o660, 0o650] {
        let errors = with(mode).errors();
        let message = format!("DIR/clients/b is open to other users (mode {mode:04o})");
        assert!(errors.contains(&message), "{errors}");
        assert!(errors.contains("help: chmod 640 DIR/clients/b"), "{errors}");
    }
    // It is the last of the files, and before the environment.
    let house = with(0o640).set("UPSTREAMD_KEY_B", "variable");
    assert_eq!(house.load().unwrap().clients[0].key_sha256, hash);
    let house = house.file("keys/b", "other", 0o600);
    assert_ne!(house.load().unwrap().clients[0].key_sha256, hash);
}

#[test]
fn an_upstreams_key_never_lies_where_a_group_can_read_it() {
    let errors = House::with(FILE)
        .file("clients/my.key", "abc", 0o640)
        .errors();
    assert!(errors.contains("there is no key named"), "{errors}");
    assert!(!errors.contains("clients/my.key"), "{errors}");
}

#[test]
fn at_a_start_a_missing_key_is_no_error_and_its_name_is_kept() {
    let config = House::with(FILE).load_for(Start).unwrap();
    assert_eq!(config.upstream().lacks_key(), Some("my.key"));
    let two = FILE.replace("\"my.key\"", "\"my.key\", \"other\"");
    let config = House::with(&two).file("keys/other", "o", 0o600);
    let config = config.load_for(Start).unwrap();
    assert_eq!(config.upstream().missing_keys, ["my.key"]);
    // The one that is there is used.
    assert_eq!(config.upstream().lacks_key(), None);
    assert_eq!(config.upstream().keys[0].name, "other");
}

#[test]
fn at_a_start_any_other_mistake_is_an_error_still() {
    let missing = House::with(&format!("{FILE}[client.b]\nkey = \"b\"\n"));
    let insecure = House::with(FILE).file("keys/my.key", "abc", 0o644);
    let empty = House::with(FILE).file("keys/my.key", "", 0o600);
    let pasted = House::with(&FILE.replace("my.key", "sk-0123456789abcdef"));
    for (house, message) in [
        (missing, "client.b.key: there is no key named \"b\""),
        (insecure, "is open to other users"),
        (empty, "it is empty"),
        (pasted, "looks like a key itself (hidden)"),
    ] {
        let errors = house.load_for(Start).expect_err(message).to_string();
        assert!(errors.contains(message), "{errors}");
    }
}

#[test]
fn a_key_that_only_systemd_can_read_is_there_for_whoever_looks_and_not_for_whoever_runs() {
    let both = format!("{FILE}[client.b]\nkey = \"b\"\n");
    let house = House::with(&both)
        .file("keys.encrypted/my.key", "sealed", 0o600)
        .file("keys.encrypted/b", "sealed", 0o600);
    for occasion in [Check, Print] {
        let config = house.load_for(occasion).unwrap();
        assert_eq!(config.unread_keys, ["my.key", "b"]);
    }
    for occasion in [Start, Reload] {
        let errors = house.load_for(occasion).unwrap_err().to_string();
        for name in ["my.key", "b"] {
            let message = format!("keys.encrypted/{name} is encrypted, and only systemd");
            assert!(errors.contains(&message), "{errors}");
        }
    }
    // Whom systemd gave what it has, looks no further.
    let credentials = house.path("credentials").display().to_string();
    let house = house.set("CREDENTIALS_DIRECTORY", &credentials);
    let errors = house.load_for(Occasion::Check).unwrap_err().to_string();
    assert!(
        errors.contains("there is no key named \"my.key\""),
        "{errors}"
    );
}

#[test]
fn what_no_field_can_carry_is_no_key() {
    for (content, reason) in [
        ("", "it is empty"),
        (" \n", "it holds nothing but white space"),
        ("hunter2 hunter2", "it has a space, a second line"),
    ] {
        let errors = House::with(FILE)
            .file("keys/my.key", content, 0o600)
            .errors();
        let message = format!("DIR/keys/my.key can't be a key: {reason}");
        assert!(errors.contains(&message), "{errors}");
        assert!(!errors.contains(SECRET), "{errors}");
    }
}

#[test]
fn a_client_key_is_plain_or_hashed() {
    let house = House::with(&format!("{FILE}[client.b]\nkey = \"b\"\n"))
        .set("OPENAI_API_KEY", "k")
        .file(
            "keys/b",
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            0o600,
        );
    let hashed = house.load().unwrap().clients[0].key_sha256;
    let house = house.file("keys/b", "abc\n", 0o600);
    assert_eq!(house.load().unwrap().clients[0].key_sha256, hashed);
    let errors = house.file("keys/b", "sha256:hunter2", 0o600).errors();
    assert!(errors.contains("has not 64 hexadecimal digits"), "{errors}");
    assert!(!errors.contains(SECRET), "{errors}");
}

#[test]
fn two_clients_with_one_key_are_refused() {
    let house = House::with(&format!(
        "{FILE}[client.b]\nkey = \"b\"\n[client.c]\nkey = \"b\"\n"
    ))
    .set("OPENAI_API_KEY", "k")
    .file("keys/b", "abc", 0o600);
    assert!(
        house
            .errors()
            .contains("client.c.key: the same key as that of client.b")
    );
}

#[test]
fn no_secret_is_in_any_error() {
    let mistakes = [
        "api_key = \"hunter2\"",
        "key = \"hunter2\"",
        "key = 'hunter2'",
        "keys = \"hunter2!\"",
        "keys = [\"hunter2 \"]",
        "keys = { hunter = \"hunter2\" }",
        "base_url = \"https://me:hunter2@host/\"",
        "base_url = \"https://host/?key=hunter2\"",
        "base_ul = \"https://me:hunter2@host/\"",
        "base_url = \"me:hunter2@host\"",
        "fields = { \"x-api-key\" = \"hunter2\", Host = \"hunter2\" }",
        "fields = { \"x-api-key\" = \"hunter2\\u0000\" }",
        "fields = \"hunter2\"",
        "password = [\"hunter2\", { a = \"hunter2\" }]",
        "password = \"\"\"\nhunter2\nhunter2\"\"\"\nnonsense = 1",
        "keys = [\"hunter2",
        "keys = [\n\"hunter2\"\n",
        "api_key = hunter2",
        "api_key = \"a\" hunter2",
        "api_key: hunter2",
        "hunter = \"hunter2\"\nhunter = \"hunter2\"",
    ];
    for mistake in mistakes {
        let house = House::with(&format!("[upstream.a]\n{mistake}\n"));
        let errors = house.load().unwrap_err();
        let all = format!(
            "{errors}{errors:?}{}{:?}",
            errors.summary(),
            errors.lines().collect::<Vec<_>>()
        );
        assert!(!all.contains(SECRET), "{mistake}\n{errors}");
    }
    for variable in [
        "OPENAI_API_KEY",
        "LITELLM_MASTER_KEY",
        "UPSTREAMD_KEY_MY_KEY",
        "PORT",
    ] {
        let errors = House::with(FILE)
            .set(variable, "sk-hunter2 sk-hunter2")
            .errors();
        assert!(!errors.contains(SECRET), "{errors}");
    }
}

#[test]
fn a_key_pasted_in_place_of_its_name_is_hidden() {
    let errors =
        House::with("[upstream.a]\nbase_url = \"https://h\"\nkeys = [\"sk-hunter2-hunter2\"]\n")
            .errors();
    assert_eq!(
        errors,
        "\
error: upstream.a.keys: found what looks like a key itself (hidden), expected a key's name
 --> DIR/upstreamd.toml:3:9
  |
3 | keys = [\"***\"]
  |         ^^^^^
  = help: put the key into a file and write that file's name here;
          if this file was readable by others, take the key for known and replace it
"
    );
}

#[test]
fn no_secret_is_in_debug_or_printed_output() {
    let house = House::with(&format!(
        "{FILE}fields = {{ \"X-Session-Token\" = \"hunter2\", accept = \"a/b\" }}\n[client.b]\nkey = \"b\"\n"
    ))
    .set("OPENAI_API_KEY", SECRET)
    .set("OPENAI_API_KEYS", "hunter2a,hunter2b")
    .set("LITELLM_MASTER_KEY", "hunter2c")
    .file("keys/b", "hunter2d", 0o600);
    let (config, printed) = (house.load().unwrap(), house.print());
    for text in [
        format!("{config:?}"),
        format!("{:?}", house.environment()),
        printed.clone(),
    ] {
        assert!(!text.contains(SECRET), "{text}");
    }
    assert!(
        printed.contains("\"x-session-token\" = \"***\""),
        "{printed}"
    );
    assert!(printed.contains("\"accept\" = \"a/b\""), "{printed}");
    let (written, _) = house.resolve(&house.overrides, Reload).unwrap();
    assert!(!format!("{written:?}").contains(SECRET), "{written:?}");
}
