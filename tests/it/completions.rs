//! `completions/`: what shells offer, made from the table of flags.
//!
//! `UPSTREAMD_BLESS=1 cargo test --test it completions` writes the files anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use upstreamd::cli::{Flag, Verb, flags};

const HEAD: &str = "made from the table of flags by tests/it/completions.rs";

/// Each file of `completions/`, by its shell's own name for one.
fn files() -> [(&'static str, String); 3] {
    [
        ("upstreamd.bash", bash()),
        ("_upstreamd", zsh()),
        ("upstreamd.fish", fish()),
    ]
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("completions")
        .join(name)
}

/// Every way to write a flag.
fn names(flag: &Flag) -> Vec<String> {
    let short = flag.short.map(|letter| format!("-{letter}"));
    short
        .into_iter()
        .chain([format!("--{}", flag.long)])
        .collect()
}

/// Every subcommand, with what it does.
fn verbs() -> impl Iterator<Item = (&'static str, &'static str)> {
    let verbs = Verb::ALL.into_iter();
    verbs.filter_map(|verb| verb.word().map(|word| (word, verb.help())))
}

/// Whether a value is the name of a file.
fn is_path(value: &str) -> bool {
    ["FILE", "PATH"].contains(&value)
}

/// The help in one line, without what ends a shell's string.
fn help(flag: &Flag) -> String {
    let help = flag.help.replace('\n', " ");
    assert!(!help.contains(['\'', '\\']), "{help}");
    help
}

fn bash() -> String {
    let verbs: Vec<_> = verbs().map(|(word, _)| word).collect();
    let mut words = String::new();
    let mut values = String::new();
    for flag in flags() {
        words.push_str(&format!(" --{}", flag.long));
        let Some(value) = flag.value_name() else {
            continue;
        };
        let offered = match flag.choices() {
            [] if is_path(value) => {
                "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$word\")".into()
            }
            [] => ":".to_owned(),
            choices => format!(
                "mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$word\")",
                choices.join(" ")
            ),
        };
        values.push_str(&format!(
            "        {}) {offered}; return ;;\n",
            names(flag).join("|")
        ));
    }
    format!(
        r#"# bash completion of upstreamd; {HEAD}

_upstreamd() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
    COMPREPLY=()
    # bash takes --flag=value for three words.
    if [[ $before == '=' ]]; then
        before=${{COMP_WORDS[COMP_CWORD-2]}}
    elif [[ $word == '=' ]]; then
        before=${{COMP_WORDS[COMP_CWORD-1]}} word=
    fi
    case $before in
{values}    esac
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W '{}' -- "$word")
    elif [[ " ${{COMP_WORDS[*]:0:COMP_CWORD}} " == *' check '* ]]; then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    elif [[ ! " ${{COMP_WORDS[*]:0:COMP_CWORD}} " =~ ' '({})' ' ]]; then
        mapfile -t COMPREPLY < <(compgen -W '{}' -- "$word")
    fi
}}

complete -F _upstreamd upstreamd
"#,
        words.trim_start(),
        verbs.join("|"),
        verbs.join(" ")
    )
}

fn zsh() -> String {
    let mut specs = String::new();
    for flag in flags() {
        let help = help(flag).replace('[', "\\[").replace(']', "\\]");
        let value = match (flag.value_name(), flag.choices()) {
            (None, _) => String::new(),
            (Some(name), _) if is_path(name) => format!(":{name}:_files"),
            (Some(name), []) => format!(":{name}: "),
            (Some(name), choices) => format!(":{name}:({})", choices.join(" ")),
        };
        let star = if flag.is_repeatable() { "*" } else { "" };
        let exclusive = match &names(flag)[..] {
            [_, _] if !flag.is_repeatable() => format!("({})", names(flag).join(" ")),
            _ => String::new(),
        };
        for name in names(flag) {
            let equals = match (flag.value_name(), name.starts_with("--")) {
                (Some(_), true) => "=",
                (Some(_), false) => "+",
                (None, _) => "",
            };
            specs.push_str(&format!(
                "    '{exclusive}{star}{name}{equals}[{help}]{value}' \\\n"
            ));
        }
    }
    let verbs: Vec<_> = verbs()
        .map(|(word, help)| format!("{word}\\:\"{help}\""))
        .collect();
    format!(
        "#compdef upstreamd\n# zsh completion of upstreamd; {HEAD}\n\n_arguments -s -S : \\\n{specs}    \
         '1:subcommand:(({}))' \\\n    '2:FILE:_files'\n",
        verbs.join(" ")
    )
}

fn fish() -> String {
    let mut lines = String::new();
    for flag in flags() {
        let short = flag.short.map(|letter| format!(" -s {letter}"));
        let value = match (flag.value_name(), flag.choices()) {
            (None, _) => String::new(),
            (Some(name), _) if is_path(name) => " -r -F".to_owned(),
            (Some(_), []) => " -x".to_owned(),
            (Some(_), choices) => format!(" -x -a '{}'", choices.join(" ")),
        };
        lines.push_str(&format!(
            "complete -c upstreamd{} -l {}{value} -d '{}'\n",
            short.unwrap_or_default(),
            flag.long,
            help(flag)
        ));
    }
    let words: Vec<_> = verbs().map(|(word, _)| word).collect();
    let words = words.join(" ");
    for (word, help) in verbs() {
        lines.push_str(&format!(
            "complete -c upstreamd -n 'not __fish_seen_subcommand_from {words}' -a {word} -d '{help}'\n"
        ));
    }
    format!(
        "# fish completion of upstreamd; {HEAD}\n\ncomplete -c upstreamd -f\n{lines}\
         complete -c upstreamd -n '__fish_seen_subcommand_from check' -F\n"
    )
}

/// What bash offers behind `line`, its last word being completed.
fn offered(line: &[&str]) -> Vec<String> {
    let words = line.iter().map(|word| format!("'{word}'"));
    let script = format!(
        "compopt() {{ :; }}; source '{}' && COMP_WORDS=({}) COMP_CWORD={} && _upstreamd && printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        path("upstreamd.bash").display(),
        words.collect::<Vec<_>>().join(" "),
        line.len() - 1
    );
    let ran = Command::new("bash")
        .args(["--norc", "-c", &script])
        .output();
    let Output {
        status,
        stdout,
        stderr,
    } = ran.expect("bash is there");
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    let stdout = String::from_utf8(stdout).unwrap();
    let lines = stdout.lines().filter(|line| !line.is_empty());
    lines.map(str::to_owned).collect()
}

#[test]
fn the_committed_completions_are_those_of_the_flag_table() {
    for (name, made) in files() {
        if std::env::var_os("UPSTREAMD_BLESS").is_some() {
            fs::write(path(name), &made).unwrap();
        }
        let committed = fs::read_to_string(path(name)).unwrap_or_default();
        assert_eq!(
            committed, made,
            "completions/{name} is stale: UPSTREAMD_BLESS=1 cargo test --test it completions"
        );
    }
}

#[test]
fn bash_completes_flags_their_words_and_the_subcommand() {
    assert_eq!(
        offered(&["upstreamd", "--lo"]),
        ["--log-format", "--log-level"]
    );
    assert_eq!(offered(&["upstreamd", "-"]).len(), flags().len());
    let levels = ["error", "warning", "info", "debug"];
    assert_eq!(offered(&["upstreamd", "--log-level", ""]), levels);
    assert_eq!(offered(&["upstreamd", "--log-level", "="]), levels);
    assert_eq!(
        offered(&["upstreamd", "--log-level", "=", "w"]),
        ["warning"]
    );
    assert_eq!(offered(&["upstreamd", "ch"]), ["check"]);
    assert_eq!(offered(&["upstreamd", ""]), ["check", "reload", "health"]);
    assert!(offered(&["upstreamd", "reload", ""]).is_empty());
    let file = path("upstreamd.bash").display().to_string();
    let begun = &file[..file.len() - 2];
    for line in [
        &["upstreamd", "check", begun][..],
        &["upstreamd", "-c", begun],
        &["upstreamd", "check", "--config", begun],
    ] {
        assert_eq!(offered(line).join("\n"), file, "{line:?}");
    }
    assert!(offered(&["upstreamd", "--listen", ""]).is_empty());
}

#[test]
fn the_shells_that_are_here_take_their_file() {
    for (shell, name) in [
        ("bash", "upstreamd.bash"),
        ("zsh", "_upstreamd"),
        ("fish", "upstreamd.fish"),
    ] {
        match Command::new(shell).arg("-n").arg(path(name)).output() {
            Ok(checked) => assert!(checked.status.success(), "{shell}: {checked:?}"),
            Err(_) => println!("{shell} is not installed: completions/{name} was not checked"),
        }
    }
}
