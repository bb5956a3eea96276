//! `upstreamd key`: keys in files beside a configuration. What it does beside
//! the system's own, with systemd, is in tests/system/test_keys.py.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use crate::support::profile;
use crate::support::scratch::Scratch;

const KEY: &str = "sk-key-that-nobody-may-see";

const CONFIGURATION: &str = "[upstream.far]\nbase_url = \"https://far.example/v1\"\nkeys = [\"far\", \"spare\"]\n\n[client.near]\nkey = \"near\"\n";

/// Runs `upstreamd key WORDS` beside a configuration in `scratch`.
fn key(scratch: &Scratch, words: &[&str], input: &str) -> Output {
    let file = scratch.path().join("upstreamd.toml");
    if !file.exists() {
        fs::write(&file, CONFIGURATION).unwrap();
    }
    let mut running = Command::new(env!("CARGO_BIN_EXE_upstreamd"))
        .arg("key")
        .args(words)
        .arg("--config")
        .arg(&file)
        .env_clear()
        .envs(profile())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have refused without reading.
    let _ = running.stdin.take().unwrap().write_all(input.as_bytes());
    running.wait_with_output().unwrap()
}

fn done(scratch: &Scratch, words: &[&str], input: &str) -> String {
    let output = key(scratch, words, input);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!said.contains(KEY), "{said}");
    said
}

fn refused(scratch: &Scratch, words: &[&str], input: &str, exit: i32) -> String {
    let output = key(scratch, words, input);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(exit), "{said}");
    assert!(!said.contains(KEY), "{said}");
    said
}

#[test]
fn a_key_from_standard_input_lies_where_only_its_owner_reads_it() {
    let scratch = Scratch::new();
    let said = done(&scratch, &["set", "far"], &format!("{KEY}\n"));
    let file = scratch.path().join("keys/far");
    assert_eq!(fs::read_to_string(&file).unwrap(), KEY);
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(file), mode(scratch.path().join("keys"))),
        (0o600, 0o700)
    );
    assert!(said.contains("keys/far is the key \"far\" now"), "{said}");
    assert!(said.contains("SIGHUP"), "{said}");
    assert!(!said.contains("Nothing names it"), "{said}");
}

#[test]
fn a_second_key_of_a_name_takes_the_place_of_the_first_in_whatever_form_that_is() {
    let scratch = Scratch::new();
    for form in ["keys.encrypted", "clients"] {
        fs::create_dir(scratch.path().join(form)).unwrap();
        fs::write(scratch.path().join(form).join("near"), "old").unwrap();
    }
    done(&scratch, &["set", "near"], "old");
    done(&scratch, &["set", "near"], KEY);
    assert_eq!(
        fs::read_to_string(scratch.path().join("keys/near")).unwrap(),
        KEY
    );
    assert!(!scratch.path().join("keys.encrypted/near").exists());
    assert!(!scratch.path().join("clients/near").exists());
    let names = fs::read_dir(scratch.path().join("keys")).unwrap();
    assert_eq!(names.count(), 1, "nothing else is left there");
}

#[test]
fn what_can_be_no_key_changes_nothing() {
    let scratch = Scratch::new();
    done(&scratch, &["set", "far"], KEY);
    for (input, why) in [
        ("", "it is empty"),
        ("two words", "a space"),
        ("two\nlines\n", "a second line"),
        (&"x".repeat(10_000), "longer than 8 KiB"),
    ] {
        let said = refused(&scratch, &["set", "far"], input, 69);
        assert!(
            said.contains(why) && said.contains("Nothing was stored"),
            "{said}"
        );
    }
    assert_eq!(
        fs::read_to_string(scratch.path().join("keys/far")).unwrap(),
        KEY
    );
}

#[test]
fn the_list_tells_what_is_stored_what_is_missing_and_who_uses_it() {
    let scratch = Scratch::new();
    done(&scratch, &["set", "far"], KEY);
    let said = done(&scratch, &["set", "unused"], KEY);
    assert!(said.contains("Nothing names it yet"), "{said}");
    let list = done(&scratch, &["list"], "");
    let lines: Vec<Vec<&str>> = list
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines,
        [
            vec!["NAME", "STORED", "AS", "USED", "BY"],
            vec!["far", "plain", "upstream.far"],
            vec!["near", "missing", "client.near"],
            vec!["spare", "missing", "upstream.far"],
            vec!["unused", "plain", "-"],
        ]
    );
}

#[test]
fn the_list_goes_without_a_configuration_that_can_be_read() {
    let scratch = Scratch::new();
    fs::write(scratch.path().join("upstreamd.toml"), "nonsense\n").unwrap();
    done(&scratch, &["set", "far"], KEY);
    let list = done(&scratch, &["list"], "");
    assert!(
        list.contains("far") && list.contains("upstreamd check"),
        "{list}"
    );
}

#[test]
fn a_removed_key_is_gone_and_who_needs_it_is_said() {
    let scratch = Scratch::new();
    done(&scratch, &["set", "far"], KEY);
    let said = done(&scratch, &["remove", "far"], "");
    assert!(said.contains("upstream.far still names it"), "{said}");
    assert!(!scratch.path().join("keys/far").exists());
    let said = refused(&scratch, &["remove", "far"], "", 69);
    assert!(said.contains("there is no key \"far\""), "{said}");
}

#[test]
fn a_key_that_is_not_there_is_answered_with_the_nearest_one() {
    let scratch = Scratch::new();
    done(&scratch, &["set", "client.near"], KEY);
    let said = refused(&scratch, &["remove", "client.nera"], "", 69);
    assert!(said.contains("did you mean \"client.near\"?"), "{said}");
}

#[test]
fn no_name_leads_out_of_the_directory() {
    let scratch = Scratch::new();
    for name in ["../far", ".far", "a/b", KEY.repeat(3).as_str()] {
        refused(&scratch, &["set", name], KEY, 64);
    }
    assert!(!scratch.path().join("far").exists());
}
