//! upstreamd.toml(5): keys, defaults, bounds, and what a reload takes up.

use std::collections::BTreeMap;

use crate::support::daemon::Daemon;
use crate::support::scratch::Scratch;

use super::assert_same;
use super::page::{Item, Page, words};

const UPSTREAM: &str = "[upstream.NAME]\nbase_url = \"https://h\"\nkeys = []\n";

/// Tables as the page and messages call them: `server`, `upstream.NAME.tls`.
pub(super) type Key = (String, String);

/// Every entry of the page.
fn entries() -> Vec<(Key, Item)> {
    let page = Page::open("upstreamd.toml.5").section("TABLES");
    let mut entries = Vec::new();
    for title in page.subsections() {
        let table = title.trim_matches(['[', ']']).to_owned();
        for item in page.subsection(title).items() {
            let name = words(&item.head, "Ic").remove(0);
            entries.push(((table.clone(), name), item));
        }
    }
    entries
}

/// The values of an entry's last lines: a default, if it is a word, and bounds.
fn facts(item: &Item) -> Vec<String> {
    let after = item.body.after("Default:");
    let after = after.or_else(|| {
        item.body
            .after("Default: one for each CPU that the process may use, from")
    });
    after.map(|after| after.words("Cm")).unwrap_or_default()
}

/// Whether it says between which values it has to be.
fn is_bounded(item: &Item) -> bool {
    item.body.contains("\nfrom\n") || item.body.contains(", from\n")
}

/// Every key that the program knows, by what it says of one that it does not.
pub(super) fn known() -> Vec<Key> {
    let wrong = format!(
        "nonsense = 1\n[server]\nnonsense = 1\n[log]\nnonsense = 1\n[retry]\nnonsense = 1\n{UPSTREAM}nonsense = 1\n\
         [upstream.NAME.tls]\nnonsense = 1\n[model.NAME]\nnonsense = 1\n\
         [[model.NAME.upstreams]]\nnonsense = 1\n[client.NAME]\nnonsense = 1\n\
         [listener.NAME]\nnonsense = 1\n"
    );
    let mut known = Vec::new();
    for line in refusal(&wrong).lines() {
        let Some((table, keys)) = line.split_once(" knows ") else {
            continue;
        };
        let table = table.rsplit(['[', ' ']).next().unwrap_or_default();
        let table = table.trim_end_matches(']');
        let keys = keys.split(", ").map(str::to_owned);
        known.extend(keys.map(|key| (table.to_owned(), key)));
    }
    known
}

/// What a start with this configuration prints before it ends with 78.
#[track_caller]
fn refusal(config: &str) -> String {
    let mut daemon = Daemon::builder().config(config).arg("check").spawn();
    assert_eq!(daemon.wait_exit(), Some(78));
    daemon.stderr()
}

/// The settings that `--print-config` prints, each with where it comes from.
#[track_caller]
pub(super) fn printed(daemon: &mut Daemon) -> BTreeMap<Key, (String, String)> {
    assert_eq!(daemon.wait_exit(), Some(0), "{}", daemon.stderr());
    let mut table = String::new();
    let mut settings = BTreeMap::new();
    for line in daemon.stdout().lines() {
        if let Some((setting, origin)) = line.split_once(" # ") {
            let (key, value) = setting.split_once(" = ").unwrap();
            let value = value.trim().trim_matches(['[', ']']).replace('"', "");
            let key = (table.clone(), key.to_owned());
            settings.insert(key, (value, origin.to_owned()));
        } else if line.starts_with('[') {
            table = line.trim_matches(['[', ']']).to_owned();
        }
    }
    settings
}

/// Every default, by its key.
fn defaults() -> BTreeMap<Key, String> {
    let builder = Daemon::builder().config(&format!("[retry]\n{UPSTREAM}"));
    // The flag that tests are started with is no default.
    let mut daemon = builder.arg("--print-config").spawn();
    let mut settings = printed(&mut daemon);
    let format = ("log".to_owned(), "format".to_owned());
    settings.insert(format, ("auto".into(), "default".into()));
    settings.retain(|_, (_, origin)| origin == "default");
    let settings = settings.into_iter();
    settings.map(|(key, (value, _))| (key, value)).collect()
}

#[test]
fn every_key_is_described_in_its_table() {
    let (tables, keys): (Vec<_>, Vec<_>) =
        known().into_iter().partition(|(table, _)| table == "file");
    let described = entries().into_iter().map(|(key, _)| key);
    assert_same("configuration keys", described, keys);
    let page = Page::open("upstreamd.toml.5").section("TABLES");
    let titles = page.subsections().into_iter().map(|title| {
        let title = title.trim_matches(['[', ']']);
        title.split('.').next().unwrap_or_default().to_owned()
    });
    assert_same("tables", titles, tables.into_iter().map(|(_, table)| table));
}

#[test]
fn every_default_is_the_one_that_is_used() {
    let described = entries().into_iter().filter_map(|(key, item)| {
        let described = item.body.contains("Default:");
        described.then(|| match &facts(&item)[..] {
            [_, _] => (key, "one for each CPU".to_owned()),
            facts if is_bounded(&item) => (key, facts[0].clone()),
            facts => (key, facts.join(", ")),
        })
    });
    let mut defaults = defaults();
    let workers = ("server".to_owned(), "workers".to_owned());
    defaults.insert(workers, "one for each CPU".into());
    assert_same("defaults", described, defaults);
}

#[test]
fn every_bound_is_the_one_that_is_held() {
    let described =
        entries()
            .into_iter()
            .filter_map(|((table, key), item)| match &facts(&item)[..] {
                [.., least, most] if is_bounded(&item) => {
                    Some((format!("{table}.{key}"), least.clone(), most.clone()))
                }
                _ => None,
            });
    // Beyond every bound, each in its own way of writing.
    let mut tables: BTreeMap<String, String> = BTreeMap::new();
    for ((table, key), default) in defaults() {
        let beyond = match default.as_str() {
            number if number.parse::<u64>().is_ok() => "999999999",
            size if size.ends_with("iB") => "\"999GiB\"",
            time if time.starts_with(|c: char| c.is_ascii_digit())
                && !time.contains(['.', ',']) =>
            {
                "\"999h\""
            }
            _ => continue,
        };
        tables
            .entry(table)
            .or_default()
            .push_str(&format!("{key} = {beyond}\n"));
    }
    let wrong = tables.iter().map(|(table, keys)| match table.as_str() {
        "upstream.NAME" => format!("{UPSTREAM}{keys}"),
        table => format!("[{table}]\n{keys}"),
    });
    let refusal = refusal(&wrong.collect::<String>());
    let held = refusal.lines().filter_map(|line| {
        let (key, rest) = line.split_once("error: ")?.1.split_once(": found ")?;
        let (_, bounds) = rest.split_once(", expected ")?;
        let (least, most) = bounds.split_once(" to ")?;
        Some((
            key.to_owned(),
            least.replace('"', ""),
            most.replace('"', ""),
        ))
    });
    assert_same("bounds", described, held);
}

#[test]
fn what_needs_a_restart_is_described_so() {
    let page = Page::open("upstreamd.8").subsection("Signals").items();
    let mut described: Vec<_> = entries()
        .into_iter()
        .filter(|(_, item)| item.body.contains("Needs a restart."))
        .map(|((table, key), _)| format!("{table}.{key}"))
        .collect();
    let in_short = page[0].body.words("Ic");
    assert_same("upstreamd(8), SIGHUP", in_short, described.clone());

    let files = Scratch::new();
    let before = "[server]\nworkers = 1\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"json\"\n";
    let file = files.write("upstreamd.toml", format!("{before}{UPSTREAM}"));
    let daemon = Daemon::builder().env("UPSTREAMD_CONFIG", file).start();
    let mut tables: BTreeMap<String, String> = BTreeMap::new();
    for ((table, key), default) in defaults() {
        let changed = match (key.as_str(), default.as_str()) {
            ("listen", _) => "\"127.0.0.1:1\"".to_owned(),
            ("format", _) => "\"auto\"".to_owned(),
            ("level", _) => "\"debug\"".to_owned(),
            ("statuses", _) => "[500]".to_owned(),
            ("budget", _) => "1".to_owned(),
            (_, "true") | (_, "false") => continue,
            (_, size) if size.ends_with("iB") => "\"512KiB\"".to_owned(),
            (_, number) if number.parse::<u64>().is_ok() => "7".to_owned(),
            _ => "\"7s\"".to_owned(),
        };
        let setting = format!("{key} = {changed}\n");
        tables.entry(table).or_default().push_str(&setting);
    }
    // It has no default.
    let admin = "admin = \"unix:/nowhere/admin.sock\"\n";
    tables.get_mut("server").unwrap().push_str(admin);
    let after = tables.iter().map(|(table, keys)| match table.as_str() {
        "upstream.NAME" => format!("{UPSTREAM}{keys}"),
        table => format!("[{table}]\n{keys}"),
    });
    files.write("upstreamd.toml", after.collect::<String>());
    daemon.signal("HUP");
    let message = daemon.wait_event("restart_needed")["msg"].to_string();
    let (_, keys) = message.trim_matches('"').split_once(": ").unwrap();
    let needed = keys.split(", ").map(str::to_owned);
    assert_same("keys that need a restart", described.drain(..), needed);
}
