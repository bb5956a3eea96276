//! What an operator sees when something is wrong.

use super::house::House;

/// A configuration that is right but for `more`.
fn wrong(more: &str) -> String {
    House::with(&format!(
        "[upstream.a]\nbase_url = \"https://h\"\nkeys = []\n{more}"
    ))
    .errors()
}

#[test]
fn a_bare_number_is_no_duration() {
    assert_eq!(
        wrong("[server]\ndrain_timeout = 30\n"),
        "\
error: server.drain_timeout: found the integer 30, expected a duration such as \"30s\", \"500ms\", \"5m\" or \"1h30m\"
 --> DIR/upstreamd.toml:5:17
  |
5 | drain_timeout = 30
  |                 ^^
  = help: write \"30s\" for seconds, in quotes
"
    );
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_one() {
    assert_eq!(
        wrong("conect_timeout = \"1s\"\n"),
        "\
error: upstream.a.conect_timeout: no such key, did you mean `connect_timeout`?
 --> DIR/upstreamd.toml:4:1
  |
4 | conect_timeout = \"1s\"
  | ^^^^^^^^^^^^^^
  = help: [upstream.a] knows base_url, keys, user_agent, connect_timeout, response_timeout, idle_timeout, pool_idle_timeout, pool_max_idle, http2, include_usage, max_running, queue_timeout, fields, tls
"
    );
    assert!(wrong("[sever]\n").contains("error: sever: no such key, did you mean `server`?"));
    assert!(wrong("[log]\ncolour = true\n").contains("help: [log] knows format, level\n"));
    assert!(wrong("[server]\nlisetn = []\n").contains("did you mean `listen`?"));
}

#[test]
fn a_number_out_of_bounds_is_refused_with_the_bounds() {
    assert_eq!(
        wrong("[server]\nmax_header = \"4KiB\"\n"),
        "\
error: server.max_header: found \"4KiB\", expected \"8KiB\" to \"1MiB\"
 --> DIR/upstreamd.toml:5:14
  |
5 | max_header = \"4KiB\"
  |              ^^^^^^
"
    );
    assert!(wrong("[server]\nworkers = 0\n").contains("found 0, expected 1 to 1024"));
    assert!(
        wrong("idle_timeout = \"0s\"\n").contains("found \"0s\", expected \"10ms\" to \"24h\"")
    );
    assert!(wrong("pool_max_idle = -1\n").contains("found -1, expected a whole number"));
}

#[test]
fn a_file_that_is_not_toml_is_refused_at_its_place() {
    let errors = House::with("[server]\nlisten = 127.0.0.1:4000\nmax_body = true false\n").errors();
    assert_eq!(
        errors,
        "\
error: not TOML: invalid float, expected nothing
 --> DIR/upstreamd.toml:2:15
  |
2 | listen = 127.0.0.1:4000
  |               ^^^^^^^^^
  = help: words, durations, sizes and addresses stand in quotes

error: not TOML: string values must be quoted, expected literal string
 --> DIR/upstreamd.toml:3:12
  |
3 | max_body = true false
  |            ^^^^^^^^^^
  = help: words, durations, sizes and addresses stand in quotes
"
    );
    let torn = House::with("[upstream.a]\nkeys = [\n[log]\nlevel = \"info\"\n[server]\n");
    assert!(torn.load().unwrap_err().count() <= 3);
    let twice = House::with("[log]\nlevel = \"info\"\nlevel = \"debug\"\n").errors();
    assert_eq!(
        twice,
        "\
error: not TOML: duplicate key
 --> DIR/upstreamd.toml:3:1
  |
3 | level = \"debug\"
  | ^^^^^
"
    );
}

#[test]
fn all_errors_are_said_at_once_and_in_order() {
    let house = House::with(
        "[server]\nlisten = [\"4000\", \"localhost:1\"]\nmax_body = 5\n\
         [upstream.a]\nbase_url = \"host\"\nkeys = [\"nowhere\"]\n[client.b]\n",
    )
    .set("PORT", "http");
    let errors = house.load().unwrap_err();
    let lines: Vec<_> = errors.lines().collect();
    let keys: Vec<_> = lines
        .iter()
        .map(|line| {
            line.split_once("upstreamd.toml:")
                .or(line.split_once("variable "))
                .unwrap()
                .1
                .split(": ")
                .take(2)
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    assert_eq!(
        keys,
        [
            "2:11 server.listen",
            "2:19 server.listen",
            "3:12 server.max_body",
            "5:12 upstream.a.base_url",
            "6:9 upstream.a.keys",
            "7:9 client.b",
            "PORT server.listen",
        ]
    );
    assert_eq!(errors.count(), 7);
    assert!(
        errors.summary().ends_with(" (and 6 more)"),
        "{}",
        errors.summary()
    );
}

#[test]
fn nothing_said_means_being_told_what_to_set() {
    assert_eq!(
        House::empty().errors(),
        "\
error: no base URL: nobody said where requests go
  = help: set OPENAI_BASE_URL=https://HOST/v1, or write into the configuration file
          [upstream.NAME]
          base_url = \"https://HOST/v1\"
"
    );
    let errors = House::with("[upstream.a]\nkeys = []\n").errors();
    assert!(
        errors.contains(
            "upstream.a.base_url: this upstream has no base URL\n --> DIR/upstreamd.toml:1:11"
        ),
        "{errors}"
    );
}

#[test]
fn an_upstream_without_a_key_has_to_say_so() {
    let errors = House::empty().set("OPENAI_BASE_URL", "https://h").errors();
    assert_eq!(
        errors,
        "\
error: upstream.default.keys: this upstream has no key
 --> environment variable OPENAI_BASE_URL
  = help: set OPENAI_API_KEY, or write keys = [\"NAME\"], the name of a credential;
          an upstream that needs no key says so: keys = []
"
    );
    let house = House::with("[upstream.a]\nbase_url = \"http://h\"\nkeys = []\n");
    assert!(house.load().unwrap().upstream().keys.is_empty());
}

#[test]
fn an_upstream_needs_a_name() {
    let errors = House::with("[upstream]\nbase_url = \"https://h\"\n").errors();
    assert!(
        errors.contains(
            "upstream.base_url: found a string, expected a table with a name: [upstream.NAME]"
        ),
        "{errors}"
    );
    assert!(!errors.contains("no base URL"), "{errors}");
    let errors = wrong("[client.\"../x\"]\nkey = \"k\"\n");
    assert!(
        errors.contains("client: found the name \"../x\", expected a name of up to 64"),
        "{errors}"
    );
}

#[test]
fn fields_that_are_not_the_operators_are_refused_with_a_reason() {
    let errors = wrong(
        "[upstream.a.fields]\nHost = \"x\"\nConnection = \"x\"\ncontent-length = \"1\"\n\
         Authorization = \"hunter2\"\n\"a b\" = \"x\"\nX-A = \"1\"\nx-a = \"2\"\n",
    );
    for (key, reason) in [
        ("Host", "can't be set"),
        ("Connection", "a hop-by-hop field can't be set"),
        ("content-length", "can't be set"),
        (
            "Authorization",
            "can't be set, a secret doesn't belong in the file",
        ),
        ("a b", "not the name of a field"),
    ] {
        let message = format!("error: upstream.a.fields.{key}: {reason}");
        assert!(errors.contains(&message), "{message} in {errors}");
    }
    assert!(errors.contains(": set twice"), "{errors}");
    assert!(!errors.contains("hunter2"), "{errors}");
}

#[test]
fn a_list_that_is_none_is_explained() {
    let errors = House::with("[upstream.a]\nbase_url = \"https://h\"\nkeys = \"b\"\n").errors();
    assert!(
        errors.contains("found a string, expected an array of which each element is a name"),
        "{errors}"
    );
    assert!(errors.contains("put it in brackets"), "{errors}");
    assert!(wrong("[server]\nlisten = []\n").contains("found no address, expected one at least"));
    assert!(
        wrong("http2 = \"true\"\n")
            .contains("found \"true\", expected true or false, without quotes")
    );
}

#[test]
fn a_file_without_an_end_is_not_read_to_it() {
    let mut house = House::empty();
    house.overrides.file = Some("/dev/zero".into());
    let errors = house.errors();
    assert!(errors.contains("larger than 1 MiB"), "{errors}");
}

#[test]
fn a_named_file_has_to_exist_and_the_default_one_does_not() {
    let mut house = House::empty()
        .set("OPENAI_BASE_URL", "http://h")
        .set("OPENAI_API_KEY", "k");
    assert_eq!(house.load().unwrap().file, None);
    house.overrides.file = Some(house.path("missing.toml"));
    assert_eq!(
        house.errors(),
        "\
error: can't read the configuration file: No such file or directory (os error 2)
 --> DIR/missing.toml
  = help: the command line names this file; it has to exist and be readable
"
    );
}

#[test]
fn limits_are_numbers_within_bounds_and_a_store_is_an_address() {
    let client = |limit: &str| wrong(&format!("[client.c]\nuser = \"root\"\n{limit}\n"));
    for (limit, expected) in [
        (
            "requests_per_minute = 0",
            "client.c.requests_per_minute: found 0, expected 1 to 10000000",
        ),
        (
            "tokens_per_minute = \"1k\"",
            "client.c.tokens_per_minute: found \"1k\", expected a whole number, without quotes",
        ),
        (
            "max_running = 1000001",
            "client.c.max_running: found 1000001, expected 1 to 1000000",
        ),
        (
            "requests_per_minut = 1",
            "did you mean `requests_per_minute`?",
        ),
    ] {
        let errors = client(limit);
        assert!(errors.contains(expected), "{errors}");
    }
    for (limits, expected) in [
        (
            "store = \"127.0.0.1:6379\"",
            "limits.store: found \"127.0.0.1:6379\", expected an address such as",
        ),
        (
            "store = \"127.0.0.1:6379\"",
            "the scheme too: \"redis://127.0.0.1:6379\"",
        ),
        ("when_away = \"opened\"", "expected \"open\" or \"closed\""),
        (
            "timeout = \"1m\"",
            "found \"1m\", expected \"1ms\" to \"10s\"",
        ),
        (
            "key = \"k\"",
            "limits.key: a password, and nothing says where the store is",
        ),
        (
            "store = \"redis://h\"\nkey = \"nowhere\"",
            "limits.key: there is no key named \"nowhere\"",
        ),
    ] {
        let errors = wrong(&format!("[limits]\n{limits}\n"));
        assert!(errors.contains(expected), "{errors}");
    }
    let errors = wrong("[limits]\nstore = \"redis://me:hunter2@h\"\n");
    assert!(
        errors.contains("secrets don't belong in a URL") && !errors.contains("hunter2"),
        "{errors}"
    );
}
