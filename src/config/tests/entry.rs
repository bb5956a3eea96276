//! Who may come in, and where: clients by user and group, listeners.

use super::house::House;
use crate::config::checked::{Config, Peer, RequireKey};

const FILE: &str = "[upstream.a]\nbase_url = \"https://h\"\nkeys = []\n";

/// A right configuration with `more`, and a key called `k`.
fn house(more: &str) -> House {
    House::with(&format!("{FILE}{more}")).file("keys/k", "abc", 0o600)
}

fn loaded(more: &str) -> Config {
    let house = house(more);
    let loaded = house.load();
    loaded.unwrap_or_else(|errors| panic!("{more}: {errors}"))
}

/// The client's name that a peer has on the listener `name`.
fn client_of(config: &Config, name: &str, uid: u32, gid: u32) -> Option<String> {
    let client = config.listeners.of(name).client_of(Peer { uid, gid });
    client.map(|client| client.name.clone())
}

#[test]
fn a_user_and_a_group_are_known_by_name_and_by_number() {
    for user in ["user = \"root\"", "uid = \"root\"", "user = 0", "uid = 0x0"] {
        let config = loaded(&format!("[client.b]\n{user}\n"));
        assert_eq!(
            client_of(&config, "x", 0, 77).as_deref(),
            Some("b"),
            "{user}"
        );
        assert_eq!(client_of(&config, "x", 77, 0), None, "{user}");
    }
    for group in ["group = \"root\"", "gid = \"root\"", "group = 0", "gid = 0"] {
        let config = loaded(&format!("[client.b]\n{group}\n"));
        assert_eq!(
            client_of(&config, "x", 77, 0).as_deref(),
            Some("b"),
            "{group}"
        );
        assert_eq!(client_of(&config, "x", 77, 78), None, "{group}");
    }
    // Users of a container have a number here, and no name.
    let config = loaded("[client.b]\nuid = 4000000000\ngid = 4000000001\n");
    assert_eq!(
        client_of(&config, "x", 4_000_000_000, 1).as_deref(),
        Some("b")
    );
    assert_eq!(
        client_of(&config, "x", 1, 4_000_000_001).as_deref(),
        Some("b")
    );
}

#[test]
fn a_name_that_nobody_has_is_refused_at_its_place() {
    assert_eq!(
        house("[client.b]\nuser = \"no-such-user\"\n").errors(),
        "\
error: client.b.user: found \"no-such-user\", and no user has this name, expected the name of a user in quotes, or its number without
 --> DIR/upstreamd.toml:5:8
  |
5 | user = \"no-such-user\"
  |        ^^^^^^^^^^^^^^
  = help: `getent passwd` shows those that there are
"
    );
    let errors = house("[client.b]\ngid = \"no-such-group\"\n").errors();
    assert!(
        errors.contains("client.b.gid: found \"no-such-group\", and no group has this name"),
        "{errors}"
    );
    let errors = house("[client.b]\nuid = \"1000000\"\n").errors();
    assert!(
        errors.contains("help: a number stands without quotes: 1000000"),
        "{errors}"
    );
}

#[test]
fn what_is_no_user_is_refused() {
    for value in ["-1", "4294967295", "\"\"", "\"a:b\"", "true", "[0]"] {
        let errors = house(&format!("[client.b]\nuser = {value}\n")).errors();
        assert!(errors.contains("error: client.b.user: found "), "{errors}");
        assert!(errors.contains("expected the name of a user"), "{errors}");
        // It was meant to say how the client is known.
        assert!(!errors.contains("nothing says"), "{errors}");
    }
}

#[test]
fn the_number_that_stands_for_everybody_is_nobodys() {
    for line in ["uid = 65534", "user = \"nobody\"", "gid = 65534"] {
        let errors = house(&format!("[client.b]\n{line}\n")).errors();
        assert!(errors.contains("that the kernel does not tell"), "{errors}");
        assert!(errors.contains("PrivateUsers="), "{errors}");
    }
}

#[test]
fn a_client_is_known_by_something() {
    assert_eq!(
        house("[client.b]\n").errors(),
        "\
error: client.b: nothing says how this client is known
 --> DIR/upstreamd.toml:4:9
  |
4 | [client.b]
  |         ^
  = help: write key = \"NAME\", the name of its key, for example \"client.b\";
          or, for programs that come by a Unix socket, user = \"NAME\" or group = \"NAME\"
"
    );
}

#[test]
fn two_clients_share_neither_a_user_nor_a_group() {
    let errors = house("[client.b]\nuser = 5\n[client.c]\nuid = 5\n").errors();
    assert!(
        errors.contains("client.c.uid: the same user as that of client.b"),
        "{errors}"
    );
    let errors = house("[client.b]\ngroup = 5\n[client.c]\ngid = 5\n").errors();
    assert!(
        errors.contains("client.c.gid: the same group as that of client.b"),
        "{errors}"
    );
    let errors = house("[client.b]\nuser = 5\nuid = 6\n").errors();
    assert!(
        errors.contains("client.b.uid: the same thing as user, which is there too"),
        "{errors}"
    );
}

#[test]
fn without_a_listeners_table_a_key_is_needed_where_there_are_clients() {
    let rule = |more| {
        let config = loaded(more);
        (
            config.listeners.of("x").require_key,
            config.listeners.of("x").clients.len(),
        )
    };
    assert_eq!(rule(""), (RequireKey::Never, 0));
    assert_eq!(rule("[client.b]\nkey = \"k\"\n"), (RequireKey::Always, 1));
    // Neither does a table that says nothing change that, nor one for another.
    assert_eq!(rule("[listener.x]\n"), (RequireKey::Never, 0));
    assert_eq!(
        rule("[client.b]\nkey = \"k\"\n[listener.x]\n"),
        (RequireKey::Always, 1)
    );
    assert_eq!(
        rule("[client.b]\nkey = \"k\"\n[listener.y]\nrequire_key = \"never\"\n"),
        (RequireKey::Always, 1)
    );
}

#[test]
fn a_listener_has_its_own_clients_and_its_own_rule() {
    let config = loaded(
        "[client.b]\nuser = 5\n[client.c]\nuser = 6\n\
         [listener.\"127.0.0.1:4000\"]\nrequire_key = \"tcp\"\n\
         [listener.team]\nclients = [\"c\"]\nrequire_key = \"never\"\n",
    );
    let team = config.listeners.of("team");
    assert_eq!(team.require_key, RequireKey::Never);
    assert_eq!(client_of(&config, "team", 5, 1), None);
    assert_eq!(client_of(&config, "team", 6, 1).as_deref(), Some("c"));
    let own = config.listeners.of("127.0.0.1:4000");
    assert_eq!((own.require_key, own.clients.len()), (RequireKey::Tcp, 2));
    assert!(own.is_guarded(true) && !own.is_guarded(false));
}

#[test]
fn a_client_that_a_listener_names_has_to_exist() {
    assert_eq!(
        house("[client.builders]\nkey = \"k\"\n[listener.x]\nclients = [\"bilders\"]\n").errors(),
        "\
error: listener.x.clients: there is no client named \"bilders\"
 --> DIR/upstreamd.toml:7:12
  |
7 | clients = [\"bilders\"]
  |            ^^^^^^^^^
  = help: did you mean \"builders\"?
"
    );
    let errors =
        house("[client.b]\nkey = \"k\"\n[listener.x]\nclients = [\"b\", \"b\"]\n").errors();
    assert!(
        errors.contains("listener.x.clients: \"b\" is there twice"),
        "{errors}"
    );
    let errors = house("[client.b]\nkey = \"k\"\n[listener.x]\nclients = []\n").errors();
    assert!(
        errors.contains("found no client, expected one at least"),
        "{errors}"
    );
    // A client with something wrong is there all the same.
    let errors = house("[client.b]\nkey = \"lost\"\n[listener.x]\nclients = [\"b\"]\n").errors();
    assert!(
        errors.contains("client.b.key") && !errors.contains("listener"),
        "{errors}"
    );
    let errors = house("[listener.x]\nclients = [\"sk-0123456789abcdef\"]\n").errors();
    assert!(!errors.contains("0123456789"), "{errors}");
}

#[test]
fn a_rule_that_lets_nobody_in_is_refused() {
    for word in ["always", "tcp"] {
        let errors = house(&format!("[listener.x]\nrequire_key = \"{word}\"\n")).errors();
        let message = "listener.x.require_key: a key is required, and there is no client";
        assert!(errors.contains(message), "{errors}");
    }
    loaded("[listener.x]\nrequire_key = \"never\"\n");
    let errors = house("[listener.x]\nrequire_key = true\n").errors();
    assert!(
        errors.contains("found a boolean, expected \"always\", \"tcp\" or \"never\""),
        "{errors}"
    );
    let errors = house("[listener.\"a:b\"]\n").errors();
    assert!(
        errors.contains("listener: found the name \"a:b\", expected a name"),
        "{errors}"
    );
}

#[test]
fn the_environments_client_keeps_what_the_file_says_of_it() {
    let house = house("[client.litellm]\nuser = 5\n").set("LITELLM_MASTER_KEY", "m");
    let config = house.load().unwrap();
    assert!(config.clients[0].key_sha256.is_some());
    assert_eq!(config.clients[0].user, Some(5));
}
