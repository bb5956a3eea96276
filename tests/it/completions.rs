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

/// What may stand behind the words of a subcommand, by those words: `""` is
/// followed by `check` and `key`, `key` by `set`.
fn followers() -> Vec<(String, Vec<Follower>)> {
    let mut followers: Vec<(String, Vec<Follower>)> = Vec::new();
    let mut add = |before: String, follower: Follower| {
        let at = match followers.iter().position(|(words, _)| *words == before) {
            Some(at) => at,
            None => {
                followers.push((before, Vec::new()));
                followers.len() - 1
            }
        };
        let known = &mut followers[at].1;
        if known.iter().all(|other| other.word != follower.word) {
            known.push(follower);
        }
    };
    for verb in Verb::ALL {
        let words = verb.words();
        for (at, word) in words.iter().enumerate() {
            let is_last = at + 1 == words.len();
            let help = if is_last {
                verb.help()
            } else {
                "more behind it"
            };
            add(words[..at].join(" "), Follower { word, help });
        }
    }
    followers
}

/// The words of subcommands that a file may follow.
fn before_files() -> Vec<String> {
    let takes_file = |verb: &Verb| {
        verb.argument()
            .is_some_and(|argument| argument.name == "FILE")
    };
    let verbs = Verb::ALL.into_iter().filter(takes_file);
    verbs.map(|verb| verb.words().join(" ")).collect()
}

struct Follower {
    word: &'static str,
    help: &'static str,
}

fn joined(followers: &[Follower]) -> String {
    let words: Vec<_> = followers.iter().map(|follower| follower.word).collect();
    words.join(" ")
}

fn bash() -> String {
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
    let mut behind = String::new();
    for files in before_files() {
        behind.push_str(&format!(
            "        *' {files} ')\n            compopt -o filenames\n            mapfile -t COMPREPLY < <(compgen -f -- \"$word\") ;;\n"
        ));
    }
    // Longer ones first; none at all is the last.
    for (before, words) in followers().iter().rev() {
        let pattern = if before.is_empty() {
            "*".into()
        } else {
            format!("*' {before} '")
        };
        behind.push_str(&format!(
            "        {pattern}) mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$word\") ;;\n",
            joined(words)
        ));
    }
    for verb in Verb::ALL.iter().filter(|verb| !verb.words().is_empty()) {
        let pattern = format!("        *' {} '*) ;;\n", verb.words().join(" "));
        let at = behind.rfind("        *)").expect("it is the last");
        behind.insert_str(at, &pattern);
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
        return
    fi
    case " ${{COMP_WORDS[*]:1:COMP_CWORD-1}} " in
{behind}    esac
}}

complete -F _upstreamd upstreamd
"#,
        words.trim_start()
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
    let list = |followers: &[Follower]| {
        let each = followers
            .iter()
            .map(|Follower { word, help }| format!("{word}\\:\"{help}\""));
        each.collect::<Vec<_>>().join(" ")
    };
    let mut behind = String::new();
    for (before, words) in followers() {
        if before.is_empty() {
            specs.push_str(&format!(
                "    '1:subcommand:(({}))' \\\n    '2: :->second'\n",
                list(&words)
            ));
        } else {
            let words = words
                .iter()
                .map(|Follower { word, help }| format!(" '{word}[{help}]'"));
            behind.push_str(&format!(
                "    {before}) _values subcommand{} ;;\n",
                words.collect::<String>()
            ));
        }
    }
    for files in before_files() {
        behind.push_str(&format!("    {files}) _files ;;\n"));
    }
    format!(
        "#compdef upstreamd\n# zsh completion of upstreamd; {HEAD}\n\nlocal line state\n_arguments -s -S : \\\n{specs}\n\
         [[ $state == second ]] || return\ncase $line[1] in\n{behind}esac\n"
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
    let mut words = String::new();
    let firsts = joined(&followers()[0].1);
    for (before, followers) in followers() {
        let when = match before.as_str() {
            "" => format!("not __fish_seen_subcommand_from {firsts}"),
            _ => format!(
                "__fish_seen_subcommand_from {before}; and not __fish_seen_subcommand_from {}",
                joined(&followers)
            ),
        };
        for Follower { word, help } in followers {
            words.push_str(&format!(
                "complete -c upstreamd -n '{when}' -a {word} -d '{help}'\n"
            ));
        }
    }
    for files in before_files() {
        words.push_str(&format!(
            "complete -c upstreamd -n '__fish_seen_subcommand_from {files}' -F\n"
        ));
    }
    format!("# fish completion of upstreamd; {HEAD}\n\ncomplete -c upstreamd -f\n{lines}{words}")
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
    let firsts = [
        "check",
        "reload",
        "health",
        "status",
        "top",
        "key",
        "litellm-config",
        "import-env",
    ];
    assert_eq!(offered(&["upstreamd", ""]), firsts);
    assert!(offered(&["upstreamd", "reload", ""]).is_empty());
    assert_eq!(offered(&["upstreamd", "-c", "f", "ke"]), ["key"]);
    assert_eq!(
        offered(&["upstreamd", "key", ""]),
        ["set", "list", "remove"]
    );
    assert!(offered(&["upstreamd", "key", "set", ""]).is_empty());
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
