//! packaging/examples/upstreamd.toml: an example that has every key.

use std::fs;

use crate::support::certs::Authority;
use crate::support::daemon::{Builder, Daemon};

use super::assert_same;
use super::configuration::{known, printed};
use super::page::root;

fn shipped() -> String {
    fs::read_to_string(root().join("packaging/examples/upstreamd.toml")).unwrap()
}

/// The example with every setting in use: `#key = value` is one, `# text` is not.
fn in_use() -> String {
    let shipped = shipped();
    let lines = shipped.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => {
            setting
        }
        _ => line,
    });
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_example_is_right_as_it_is_shipped() {
    let environment = |name| Daemon::builder().config(&shipped()).env(name, "x");
    let builder = environment("OPENAI_API_KEY").env("OPENAI_BASE_URL", "https://h/v1");
    let mut daemon = builder.arg("check").spawn();
    assert_eq!(daemon.wait_exit(), Some(0), "{}", daemon.stderr());
}

#[test]
fn the_example_is_right_with_every_setting_in_use() {
    let authority = Authority::new();
    let identity = authority.client("upstreamd");
    let files = [
        ("company-ca.pem", authority.ca_file()),
        ("upstreamd.pem", identity.certificate_file),
        ("upstreamd.key", identity.key_file),
    ];
    let in_use = files.iter().fold(in_use(), |text, (name, path)| {
        assert!(text.contains(name), "{name}");
        text.replace(name, &path.display().to_string())
    });
    let with_keys = |builder: Builder| {
        let builder = builder.credential("main", "sk-main");
        let builder = builder.credential("limits", "store-password");
        builder.credential("client.litellm", "sk-litellm")
    };
    // Users that every machine has.
    let in_use = in_use.replace("user = \"litellm\"", "user = \"root\"");
    let in_use = in_use.replace("group = \"ci\"", "group = \"root\"");
    let builder = with_keys(Daemon::builder().config(&in_use));
    let mut daemon = builder.arg("--print-config").spawn();
    let used = printed(&mut daemon);

    let named = |(table, key): (String, String)| {
        let own = [".main", ".litellm", ".upstreamd", ".gpt-5", ".fast"];
        let table = own
            .iter()
            .fold(table, |table, name| table.replace(name, ".NAME"));
        (table, key)
    };
    let tables = ["fields", "tls", "set"].map(String::from);
    // Other words for what is there.
    let aliases = ["uid", "gid"].map(String::from);
    let is_setting = |(table, key): &(String, String)| {
        table != "file"
            && !table.ends_with(".upstreams")
            && !tables.contains(key)
            && !aliases.contains(key)
    };
    // The flag that tests are started with stands above the file.
    let of_file = used
        .iter()
        .filter(|(_, (_, origin))| origin == "file" || origin == "--log-format");
    let shown = of_file.map(|(key, _)| named(key.clone()));
    let shown = shown.filter(|(table, key)| !table.ends_with(".fields") && !tables.contains(key));
    assert_same(
        "keys of the example",
        shown,
        known().into_iter().filter(is_setting),
    );

    let bare = "[upstream.main]\nbase_url = \"https://h\"\nkeys = []\n";
    let mut daemon = Daemon::builder().config(bare).arg("--print-config").spawn();
    for (key, (default, origin)) in printed(&mut daemon) {
        let is_default = origin == "default" && key.1 != "workers";
        assert!(
            !is_default || used[&key].0 == default,
            "{key:?} is {default}"
        );
    }
}
