//! Who may enter: clients by the user behind a Unix socket, and rules for each
//! listener. What a key does alone is in `refusals`.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::Command;

use serde_json::Value;

use crate::support::client::{Answer, Client};
use crate::support::daemon::{Builder, Daemon};
use crate::support::scratch::Scratch;
use crate::support::upstream::Upstream;

const KEY: &str = "sk-client-of-the-tests";

/// On TCP and a Unix socket, with a credential `k`, and `more` of a configuration.
fn with(upstream: &Upstream, more: &str) -> Builder {
    let builder = Daemon::builder().upstream(upstream).credential("k", KEY);
    builder.more_config(&format!("\n{more}"))
}

/// The numbers of the tests' own user and group.
fn own() -> (u32, u32) {
    let process = fs::metadata("/proc/self").unwrap();
    (process.uid(), process.gid())
}

fn ask(client: &mut Client, key: &str) -> Answer {
    let field = match key {
        "" => String::new(),
        key => format!("Authorization: Bearer {key}\r\n"),
    };
    client.send("GET", "/v1/models", &field, b"").unwrap();
    client.answer()
}

/// The client that the last request was let in as; null for a stranger.
#[track_caller]
fn entered(daemon: &Daemon, mut client: Client, key: &str) -> Value {
    let answer = ask(&mut client, key);
    assert_eq!(answer.status(), 200, "{}", answer.body.text());
    let id = answer.head.field("x-request-id").unwrap();
    let event = daemon.wait_event_where(id, |event| event["request_id"] == id);
    event["client"].clone()
}

#[track_caller]
fn refused(mut client: Client, key: &str) -> String {
    let answer = ask(&mut client, key);
    assert_eq!(answer.status(), 401, "{}", answer.body.text());
    let error = &answer.body.json()["error"];
    assert_eq!(error["code"], "invalid_api_key");
    error["message"].as_str().unwrap().to_owned()
}

#[test]
fn a_client_is_known_by_its_user_on_a_unix_socket_and_there_alone() {
    let upstream = Upstream::answering("{}");
    let (uid, _) = own();
    for word in ["uid", "user"] {
        let daemon = with(&upstream, &format!("[client.me]\n{word} = {uid}\n")).start();
        assert_eq!(entered(&daemon, daemon.unix_client(), ""), "me");
        let event = &daemon.wait_events("request_completed", 1)[0];
        let remote = format!("unix:{uid}/{}", std::process::id());
        assert_eq!(event["remote"], remote.as_str());
        refused(daemon.client(), "");
    }
}

#[test]
fn a_client_is_known_by_its_primary_group() {
    let upstream = Upstream::answering("{}");
    let (_, gid) = own();
    for word in ["gid", "group"] {
        let daemon = with(&upstream, &format!("[client.us]\n{word} = {gid}\n")).start();
        assert_eq!(entered(&daemon, daemon.unix_client(), ""), "us");
    }
}

#[test]
fn another_user_is_refused_and_told_which_it_is() {
    let upstream = Upstream::answering("{}");
    let (uid, gid) = own();
    let other = format!("[client.other]\nuid = {}\n", uid + 1);
    let daemon = with(&upstream, &other).start();
    for key in ["", "sk-guessed"] {
        let message = refused(daemon.unix_client(), key);
        assert!(
            message.contains(&format!("({uid}, group {gid})")),
            "{message}"
        );
    }
    // Where there are no users, nothing is said of them.
    let message = refused(daemon.client(), "");
    assert!(!message.contains("user"), "{message}");
}

#[test]
fn a_key_counts_before_the_user_and_a_wrong_one_is_no_obstacle() {
    let upstream = Upstream::answering("{}");
    let (uid, _) = own();
    let clients = format!("[client.me]\nuid = {uid}\n[client.program]\nkey = \"k\"\n");
    let daemon = with(&upstream, &clients).start();
    assert_eq!(entered(&daemon, daemon.unix_client(), KEY), "program");
    assert_eq!(entered(&daemon, daemon.unix_client(), "sk-guessed"), "me");
    assert_eq!(entered(&daemon, daemon.unix_client(), ""), "me");
    assert_eq!(entered(&daemon, daemon.client(), KEY), "program");
}

#[test]
fn a_client_with_a_key_and_a_user_is_known_by_either() {
    let upstream = Upstream::answering("{}");
    let (uid, _) = own();
    let daemon = with(
        &upstream,
        &format!("[client.me]\nkey = \"k\"\nuid = {uid}\n"),
    )
    .start();
    assert_eq!(entered(&daemon, daemon.unix_client(), ""), "me");
    assert_eq!(entered(&daemon, daemon.client(), KEY), "me");
    refused(daemon.client(), "");
}

/// Needs root, to be somebody else.
#[test]
fn each_user_of_a_machine_is_told_from_the_others() {
    if own().0 != 0 {
        println!("not root: no other user's program was a client");
        return;
    }
    let upstream = Upstream::answering("{}");
    let daemon = with(
        &upstream,
        "[client.alice]\nuid = 70001\n[client.builders]\ngid = 70100\n",
    )
    .start();
    // As SocketMode=0666 would have it.
    for path in [daemon.directory(), &daemon.unix_path()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    for (uid, gid, client) in [
        (70001, 70001, Some("alice")),
        (70001, 70100, Some("alice")),
        (70002, 70100, Some("builders")),
        (70002, 70001, None),
        (0, 0, None),
    ] {
        let before = daemon.request_events().len();
        let status = ask_as(&daemon, uid, gid);
        let event = daemon.wait_request_events(before + 1).remove(before);
        assert_eq!(event["client"].as_str(), client, "{uid}:{gid}");
        assert_eq!(status, if client.is_some() { "200" } else { "401" });
        let remote = event["remote"].as_str().unwrap();
        assert!(remote.starts_with(&format!("unix:{uid}/")), "{remote}");
    }
}

/// The status that a program of this user gets on the Unix socket.
fn ask_as(daemon: &Daemon, uid: u32, gid: u32) -> String {
    const PROGRAM: &str = "import socket, sys\n\
        s = socket.socket(socket.AF_UNIX)\n\
        s.connect(sys.argv[1])\n\
        s.sendall(b'GET /v1/models HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n')\n\
        print(s.makefile().readline().split()[1])\n";
    let mut program = Command::new("python3");
    let program = program.args(["-c", PROGRAM]).arg(daemon.unix_path());
    let ran = program
        .uid(uid)
        .gid(gid)
        .output()
        .expect("python3 is there");
    assert!(ran.status.success(), "{ran:?}");
    String::from_utf8(ran.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_listener_lets_in_its_own_clients_alone() {
    let upstream = Upstream::answering("{}");
    let daemon = with(
        &upstream,
        "[client.one]\nkey = \"k\"\n[client.two]\nkey = \"two\"\n\
         [listener.\"unix:@DIR@/upstreamd.sock\"]\nclients = [\"two\"]\n",
    )
    .credential("two", "sk-two")
    .start();
    assert_eq!(entered(&daemon, daemon.unix_client(), "sk-two"), "two");
    refused(daemon.unix_client(), KEY);
    // Others are as they would be without.
    for (key, name) in [(KEY, "one"), ("sk-two", "two")] {
        assert_eq!(entered(&daemon, daemon.client(), key), name);
    }
}

#[test]
fn a_listener_says_whether_strangers_may_come_in() {
    let upstream = Upstream::answering("{}");
    let rules = |rule: &str| {
        with(
            &upstream,
            &format!(
                "[client.one]\nkey = \"k\"\n[listener.\"unix:@DIR@/upstreamd.sock\"]\nrequire_key = \"{rule}\"\n"
            ),
        )
    };
    let daemon = rules("always").start();
    refused(daemon.unix_client(), "");
    for rule in ["tcp", "never"] {
        let daemon = rules(rule).start();
        for (key, client) in [
            ("", Value::Null),
            ("sk-any", Value::Null),
            (KEY, "one".into()),
        ] {
            assert_eq!(entered(&daemon, daemon.unix_client(), key), client);
        }
        refused(daemon.client(), "");
    }
}

#[test]
fn one_rule_for_tcp_and_unix_sockets_of_one_name() {
    let upstream = Upstream::answering("{}");
    for (rule, over_tcp) in [("tcp", false), ("never", true)] {
        let files = Scratch::new();
        let path = files.path().join("s");
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let unix = UnixListener::bind(&path).unwrap();
        let address = tcp.local_addr().unwrap();
        let builder = with(
            &upstream,
            &format!("[client.one]\nkey = \"k\"\n[listener.upstreamd]\nrequire_key = \"{rule}\"\n"),
        );
        let builder = builder.pass("upstreamd", tcp).pass("upstreamd", unix);
        let daemon = builder.start();
        assert_eq!(entered(&daemon, Client::unix(&path), ""), Value::Null);
        match over_tcp {
            true => assert_eq!(entered(&daemon, Client::tcp(address), ""), Value::Null),
            false => drop(refused(Client::tcp(address), "")),
        }
        assert_eq!(entered(&daemon, Client::tcp(address), KEY), "one");
    }
}

#[test]
fn a_reload_counts_for_the_next_request_of_an_open_connection() {
    let upstream = Upstream::answering("{}");
    let (uid, _) = own();
    let config = |more: &str| {
        format!(
            "[server]\nlisten = [\"unix:@DIR@/s\"]\n[upstream.test]\nbase_url = \"@UPSTREAM@\"\n\
             keys = [\"test\"]\ntls = {{ ca_file = \"@CA@\", platform_roots = false }}\n{more}"
        )
    };
    let rule = |clients: &str| format!("[listener.\"unix:@DIR@/s\"]\n{clients}\n");
    let me = format!("[client.me]\nuid = {uid}\n");
    let other = format!("[client.me]\nuid = {}\n", uid + 1);
    let builder = Daemon::builder().config(&config(&me)).upstream(&upstream);
    let daemon = builder.start();
    let mut client = daemon.unix_client();
    assert_eq!(ask(&mut client, "").status(), 200);
    for (reloads, (more, status)) in [
        (other.clone(), 401),
        (other.clone() + &rule("require_key = \"tcp\""), 200),
        (other.clone() + &rule("require_key = \"always\""), 401),
        (
            format!("{me}[client.b]\nuid = 5\n") + &rule("clients = [\"b\"]"),
            401,
        ),
        (
            format!("{me}[client.b]\nuid = 5\n") + &rule("clients = [\"me\"]"),
            200,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        daemon.rewrite_config(&config(&more));
        daemon.signal("HUP");
        daemon.wait_events("reloaded", reloads + 1);
        assert_eq!(ask(&mut client, "").status(), status, "{more}");
    }
}

#[test]
fn rules_for_a_socket_that_is_not_there_are_warned_about() {
    let upstream = Upstream::answering("{}");
    let daemon = with(
        &upstream,
        "[listener.front-door]\nrequire_key = \"never\"\n",
    )
    .start();
    let warnings = daemon.wait_events("unused_listener", 1);
    assert_eq!(warnings[0]["level"], "warning");
    assert_eq!(warnings[0]["listener"], "front-door");
    let message = warnings[0]["msg"].as_str().unwrap();
    assert!(message.contains("upstreamd.sock"), "{message}");
    daemon.signal("HUP");
    daemon.wait_events("unused_listener", 2);
}

#[test]
fn a_port_that_anybody_may_use_is_warned_about_whatever_opens_it() {
    let upstream = Upstream::answering("{}");
    let config = |address: &str, more: &str| {
        format!(
            "[server]\nlisten = [\"{address}\"]\n[upstream.test]\nbase_url = \"@UPSTREAM@\"\nkeys = []\n{more}"
        )
    };
    let client = "[client.one]\nkey = \"k\"\n";
    let open =
        |rule: &str| format!("{client}[listener.\"0.0.0.0:@PORT@\"]\nrequire_key = \"{rule}\"\n");
    for (address, more, warned) in [
        ("0.0.0.0", String::new(), true),
        ("0.0.0.0", client.to_owned(), false),
        ("0.0.0.0", open("never"), true),
        ("0.0.0.0", open("tcp"), false),
        ("0.0.0.0", open("always"), false),
        ("127.0.0.1", String::new(), false),
    ] {
        let port = free_port();
        let text = config(&format!("{address}:{port}"), &more.replace("@PORT@", &port));
        let builder = Daemon::builder().config(&text).upstream(&upstream);
        let daemon = builder.credential("k", KEY).start();
        // It comes before `ready`.
        let warnings = daemon.events_named("open_listener");
        assert_eq!(!warnings.is_empty(), warned, "{text}");
    }
}

fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}
