//! upstreamd(8): flags, subcommands, environment variables, exit codes.

use upstreamd::cli::{self, ExitCode, Verb};

use super::page::{Page, words};
use super::{assert_same, source};

/// Variables that libraries read for us, and who reads them.
const OF_LIBRARIES: [&str; 7] = [
    "LISTEN_PID",     // sd-notify, listenfd
    "LISTEN_FDNAMES", // sd-notify
    "WATCHDOG_USEC",  // sd-notify
    "WATCHDOG_PID",   // sd-notify
    "JOURNAL_STREAM", // systemd-journal-logger
    "SSL_CERT_FILE",  // rustls-native-certs
    "SSL_CERT_DIR",   // rustls-native-certs
];

/// Literals that look like variables and are none.
const NO_VARIABLES: [&str; 8] = [
    "CARGO_PKG_VERSION", // read when it is compiled
    "NAME",              // in help texts
    "MESSAGE_ID",        // a field of the journal
    "UPSTREAMD_",        // before such fields of our own
    "SCRIPT",            // commands of Redis, a word of one, and an error
    "LOAD",
    "EVALSHA",
    "NOSCRIPT",
];

#[test]
fn every_flag_is_described_as_the_table_has_it() {
    let page = Page::open("upstreamd.8");
    let described = page.subsection("Flags").items();
    let described = described.iter().map(|item| {
        let flags = words(&item.head, "Fl");
        let values = words(&item.head, "Ar");
        let repeatable = item.body.contains("May be given several times");
        (flags, values, repeatable)
    });
    let table = cli::flags().iter().map(|flag| {
        let short = flag.short.map(String::from);
        let names: Vec<_> = short
            .into_iter()
            .chain([format!("-{}", flag.long)])
            .collect();
        let values = flag.value_name().map(String::from);
        let values = vec![values; names.len()].into_iter().flatten().collect();
        (names, values, flag.is_repeatable())
    });
    assert_same("flags", described, table);
}

#[test]
fn every_word_that_a_flag_takes_is_described() {
    let page = Page::open("upstreamd.8");
    for item in page.subsection("Flags").items() {
        let long = words(&item.head, "Fl").pop().unwrap_or_default();
        let mut flags = cli::flags().iter();
        let flag = flags.find(|flag| Some(flag.long) == long.strip_prefix('-'));
        let choices = flag.map(|flag| flag.choices()).unwrap_or_default();
        if !choices.is_empty() {
            assert_eq!(item.body.words("Cm"), choices, "{long}");
        }
    }
}

#[test]
fn the_synopsis_has_every_flag() {
    let synopsis = Page::open("upstreamd.8").section("SYNOPSIS");
    let named = synopsis.words("Fl").into_iter();
    let table = cli::flags().iter().map(|flag| match flag.short {
        Some(letter) => letter.to_string(),
        None => format!("-{}", flag.long),
    });
    assert_same("flags in the synopsis", named, table);
}

#[test]
fn every_subcommand_is_described() {
    let items = Page::open("upstreamd.8").subsection("Subcommands").items();
    let described = items.iter().map(|item| words(&item.head, "Cm").join(" "));
    let known = Verb::ALL.map(|verb| verb.words().join(" "));
    let known = known.into_iter().filter(|words| !words.is_empty());
    assert_same("subcommands", described, known);
}

#[test]
fn every_environment_variable_that_is_read_is_described() {
    let page = Page::open("upstreamd.8");
    let items = page.section("ENVIRONMENT").items();
    let described: Vec<_> = items
        .iter()
        .flat_map(|item| words(&item.head, "Ev"))
        .collect();
    let mut read = source::variables();
    read.retain(|name| !NO_VARIABLES.contains(&name.as_str()));
    read.extend(OF_LIBRARIES.map(String::from));
    assert_same("environment variables", described.clone(), read);

    let help = cli::help();
    let (_, help) = help.split_once("\nEnvironment").unwrap();
    let (help, _) = help.split_once("\n\n").unwrap();
    for line in help.lines().skip(1) {
        let name = line.split_whitespace().next().unwrap_or_default();
        let known = described.iter().any(|described| {
            name == described || described.ends_with('_') && name.starts_with(described.as_str())
        });
        assert!(known, "--help has {name}, the manual has not");
    }
}

#[test]
fn every_exit_code_is_described() {
    let items = Page::open("upstreamd.8").section("EXIT STATUS").items();
    let described = items.into_iter().map(|item| item.head);
    let known = ExitCode::ALL.map(|(code, _)| code.number().to_string());
    assert_same("exit codes", described, known);
}

#[test]
fn every_name_that_a_passed_socket_may_have_is_described() {
    let page = Page::open("upstreamd.8").subsection("Sockets");
    let files = source::files();
    let mut files = files.iter();
    let (_, text) = files
        .find(|(path, _)| path.ends_with("systemd/sockets.rs"))
        .unwrap();
    let lists = text.split("_SOCKETS: [&str;").skip(1);
    let names = lists.flat_map(|list| {
        let names = list.split_once("= [").map(|(_, names)| names);
        let names = names.and_then(|names| names.split_once(']'));
        let (names, _) = names.expect("a list of names");
        names.split(',')
    });
    let names = names.map(|name| name.trim().trim_matches('"').to_owned());
    assert_same("names of sockets", page.words("Cm"), names);
}
