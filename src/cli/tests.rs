//! What command lines ask for.

use super::*;
use crate::config::checked::{LogFormat, LogLevel};

fn asked(line: &str) -> Result<Command, UsageError> {
    parse(line.split_whitespace().map(OsString::from))
}

fn refused(line: &str) -> String {
    asked(line).unwrap_err().to_string()
}

#[test]
fn no_word_runs_it() {
    assert_eq!(asked(""), Ok(Command::Run(Overrides::default())));
}

#[test]
fn every_flag_reaches_the_overrides() {
    let line = "-c a.toml --listen=127.0.0.1:1 -lunix:/b --base-url http://h --log-format json --log-level debug";
    let Ok(Command::Run(overrides)) = asked(line) else {
        panic!()
    };
    assert_eq!(overrides.file, Some("a.toml".into()));
    let listen: Vec<_> = overrides.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["127.0.0.1:1", "unix:/b"]);
    assert_eq!(overrides.base_url.unwrap().to_string(), "http://h");
    assert_eq!(overrides.log_format, Some(LogFormat::Json));
    assert_eq!(overrides.log_level, Some(LogLevel::Debug));
}

#[test]
fn check_takes_its_file_either_way() {
    let file = Overrides {
        file: Some("f".into()),
        ..Overrides::default()
    };
    assert_eq!(asked("check f"), Ok(Command::Check(file.clone())));
    assert_eq!(asked("check --config f"), Ok(Command::Check(file.clone())));
    assert_eq!(asked("--config f check"), Ok(Command::Check(file)));
    assert_eq!(asked("check"), Ok(Command::Check(Overrides::default())));
    assert!(refused("check f g").contains("\"g\" is one word too many"));
    assert!(refused("check f --config g").contains("two files to check"));
}

#[test]
fn keys_are_set_listed_and_removed() {
    let Ok(Command::Key(command)) = asked("key set client.a --plain -c /e/f") else {
        panic!()
    };
    assert!(command.restart && command.overrides.file == Some("/e/f".into()));
    assert!(
        matches!(command.verb, KeyVerb::Set { name, plain: true } if name.as_str() == "client.a")
    );
    let Ok(Command::Key(command)) = asked("key --no-restart remove a") else {
        panic!()
    };
    assert!(!command.restart && matches!(command.verb, KeyVerb::Remove { .. }));
    assert!(matches!(
        asked("key list"),
        Ok(Command::Key(KeyCommand {
            verb: KeyVerb::List,
            ..
        }))
    ));
}

#[test]
fn a_key_that_is_given_in_place_of_its_name_is_not_shown() {
    for line in [
        "key set sk-proj/hunter2",
        "key set a sk-hunter2hunter2",
        "key list sk-hunter2hunter2",
    ] {
        let said = refused(line);
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn half_a_subcommand_is_answered_with_the_whole_ones() {
    assert!(
        refused("key").contains(
            "there are `upstreamd key set`, `upstreamd key list`, `upstreamd key remove`"
        )
    );
    assert!(refused("key get a").contains("did you mean `upstreamd key set`?"));
    assert!(refused("key lits").contains("did you mean `upstreamd key list`?"));
    assert!(refused("key set").contains("`upstreamd key set` needs a NAME"));
    assert!(
        refused("key set a --listen 127.0.0.1:1")
            .contains("--listen does not go with `upstreamd key set`")
    );
    assert!(refused("--plain").contains("it goes with `upstreamd key set`"));
}

#[test]
fn what_a_running_daemon_is_asked_says_where_it_is() {
    assert_eq!(asked("reload"), Ok(Command::Reload(None)));
    for line in ["reload --admin /a.sock", "reload --admin=unix:/a.sock"] {
        assert_eq!(asked(line), Ok(Command::Reload(Some("/a.sock".into()))));
    }
    let none = Overrides::default();
    assert_eq!(asked("health"), Ok(Command::Health(none.clone(), None)));
    let unix = ListenAddress::Unix("/a.sock".into());
    let at = Ok(Command::Health(none, Some(unix)));
    assert_eq!(asked("health --at unix:/a.sock"), at);
    assert_eq!(asked("--at unix:/a.sock health"), at);
    assert!(refused("health --at 4000").contains("127.0.0.1:4000"));
    assert!(refused("reload now").contains("\"now\" is one word too many"));
}

#[test]
fn a_flag_of_another_subcommand_is_refused_with_its_own() {
    assert!(refused("--at 127.0.0.1:1").contains("it goes with `upstreamd health`"));
    assert!(refused("reload -c f").contains("--config does not go with `upstreamd reload`"));
    assert!(refused("check --print-config").contains("it goes with `upstreamd` alone"));
}

#[test]
fn help_has_every_subcommand() {
    let help = help();
    for verb in Verb::ALL {
        let line = help
            .lines()
            .find(|line| line.contains(&verb.shown()) && line.contains(verb.help()));
        assert!(line.is_some(), "{verb:?}");
    }
}

#[test]
fn every_word_that_a_flag_offers_is_taken() {
    for flag in flags() {
        let verb = flag.verbs[0].shown();
        for word in flag.choices() {
            assert!(
                asked(&format!("{verb} --{} {word}", flag.long)).is_ok(),
                "{word}"
            );
        }
    }
}

#[test]
fn help_and_version_win() {
    assert_eq!(asked("check --help --nonsense"), Ok(Command::Help));
    assert_eq!(asked("-h"), Ok(Command::Help));
    assert_eq!(asked("-V"), Ok(Command::Version));
    assert_eq!(
        asked("--print-config"),
        Ok(Command::PrintConfig(Overrides::default()))
    );
}

#[test]
fn a_typo_is_answered_with_the_nearest_flag() {
    assert_eq!(
        refused("--lisen 127.0.0.1:1"),
        "error: there is no flag --lisen\n  = help: did you mean --listen?\n  \
         = `upstreamd --help` shows what there is\n"
    );
    assert_eq!(
        refused("--temperature 1"),
        "error: there is no flag --temperature\n  = `upstreamd --help` shows what there is\n"
    );
    assert!(refused("chekc").contains("did you mean `upstreamd check`?"));
    assert!(refused("run").contains("`upstreamd` alone runs it"));
    assert!(refused("-x").contains("there is no flag -x"));
}

#[test]
fn a_bad_value_is_refused_with_what_was_expected() {
    assert!(refused("--log-level loud").contains(
        "--log-level: found \"loud\", expected \"error\", \"warning\", \"info\" or \"debug\""
    ));
    assert!(refused("--listen").contains("--listen needs a value"));
    assert!(refused("--print-config=yes").contains("takes no value"));
    assert!(refused("check --print-config").contains("does not go with"));
    let secret = refused("--base-url https://me:hunter2@host");
    assert!(!secret.contains("hunter2"), "{secret}");
}

#[test]
fn help_has_every_flag_and_fits_a_terminal() {
    let help = help();
    for flag in flags() {
        assert!(help.contains(&format!("--{}", flag.long)), "{}", flag.long);
    }
    for line in help.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn exit_codes_are_those_of_sysexits() {
    let numbers = ExitCode::ALL.map(|(code, _)| code.number());
    assert_eq!(numbers, [0, 64, 69, 70, 78]);
}
