//! Starting with what people already have: the original helper's environment;
//! and the command line's exit codes.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::daemon::{Builder, Daemon};
use crate::support::scratch::Scratch;
use crate::support::upstream::Upstream;

/// No file, no flags: the variables alone, and roots from where OpenSSL looks.
fn helper(upstream: &Upstream) -> Builder {
    Daemon::builder()
        .env("OPENAI_BASE_URL", upstream.base_url())
        .env("SSL_CERT_FILE", upstream.ca_file().unwrap())
        .env("PORT", free_port().to_string())
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Ends with `code` and says all of `words`, on standard output if it is well.
#[track_caller]
fn ends(builder: Builder, code: i32, words: &[&str]) {
    let mut daemon = builder.spawn();
    assert_eq!(daemon.wait_exit(), Some(code), "{}", daemon.stderr());
    let said = match code {
        0 => daemon.stdout(),
        _ => daemon.stderr(),
    };
    for word in words {
        assert!(said.contains(word), "no {word:?} in:\n{said}");
    }
}

#[test]
fn the_original_helpers_environment_is_enough() {
    let upstream = Upstream::answering("{\"ok\":true}");
    let port = free_port();
    let daemon = helper(&upstream)
        .env("PORT", port.to_string())
        .env("OPENAI_API_KEY", "sk-from-the-environment")
        .env("NODE_USER_AGENT", "QwenCode/0.2.0 (linux; x64)")
        .env("LITELLM_MASTER_KEY", "sk-litellm")
        .start();
    assert_eq!(daemon.address(), ([127, 0, 0, 1], port).into());
    let mut client = daemon.client();
    let answer = client.post_json("/v1/chat/completions", "{\"model\":\"m\"}");
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.body.json()["error"]["code"], "invalid_api_key");
    let mut client = daemon.client();
    let fields = "Authorization: Bearer sk-litellm\r\nUser-Agent: OpenAI/Python\r\n";
    client.send("GET", "/v1/models", fields, b"").unwrap();
    assert_eq!(client.answer().body.json()["ok"], true);
    let seen = upstream.wait_requests(1).remove(0).head;
    assert_eq!(
        seen.field("authorization"),
        Some("Bearer sk-from-the-environment")
    );
    assert_eq!(
        seen.field("user-agent"),
        Some("QwenCode/0.2.0 (linux; x64)")
    );
}

#[test]
fn the_environment_stands_above_the_file_and_flags_above_both() {
    let (file, variable, flag) = (
        Upstream::answering("\"file\""),
        Upstream::answering("\"variable\""),
        Upstream::answering("\"flag\""),
    );
    let text = "[server]\nlisten = [\"127.0.0.1:0\"]\n[upstream.test]\nbase_url = \"@UPSTREAM@\"\nkeys = []\n";
    let start = || Daemon::builder().config(text).upstream(&file);
    let roots = Scratch::new();
    let pem = [&file, &variable, &flag].map(|one| std::fs::read(one.ca_file().unwrap()).unwrap());
    let roots = roots.write("roots.pem", pem.concat());
    let asked = |builder: Builder| {
        let daemon = builder.env("SSL_CERT_FILE", &roots).start();
        let answer = daemon.client().get("/v1/models");
        answer.body.text()
    };
    assert_eq!(asked(start()), "\"file\"");
    let start = || start().env("OPENAI_BASE_URL", variable.base_url());
    assert_eq!(asked(start()), "\"variable\"");
    let start = || start().arg("--base-url").arg(flag.base_url());
    assert_eq!(asked(start()), "\"flag\"");
}

#[test]
fn without_a_base_url_it_refuses_and_says_what_to_set() {
    let builder = Daemon::builder().env("OPENAI_API_KEY", "sk-1");
    ends(builder, 78, &["OPENAI_BASE_URL", "base_url"]);
}

#[test]
fn without_a_key_it_refuses_unless_the_upstream_needs_none() {
    let upstream = Upstream::answering("{}");
    ends(helper(&upstream), 78, &["OPENAI_API_KEY", "keys"]);

    let daemon = Daemon::builder()
        .config(
            "[server]\nlisten = [\"127.0.0.1:0\"]\n[upstream.local]\nbase_url = \"@UPSTREAM@\"\n\
             keys = []\n[upstream.local.tls]\nca_file = \"@CA@\"\n",
        )
        .upstream(&upstream)
        .start();
    let mut client = daemon.client();
    let field = "Authorization: Bearer sk-of-the-client\r\n";
    client.send("GET", "/v1/models", field, b"").unwrap();
    assert_eq!(client.answer().status(), 200);
    let seen = upstream.wait_requests(1).remove(0).head;
    assert_eq!(seen.field("authorization"), None);
}

#[test]
fn an_address_in_use_ends_the_start_with_69_and_is_said() {
    let upstream = Upstream::answering("{}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let builder = helper(&upstream)
        .env("OPENAI_API_KEY", "sk-1")
        .env("PORT", address.port().to_string());
    ends(builder, 69, &[&address.to_string(), "in use"]);
}

#[test]
fn usage_errors_end_with_64_and_name_the_word() {
    for words in [
        &["--nonsense"][..],
        &["serve"],
        &["--config"],
        &["--log-level", "loud"],
    ] {
        let builder = words.iter().fold(Daemon::builder(), |b, word| b.arg(word));
        ends(builder, 64, &[words.last().unwrap()]);
    }
}

#[test]
fn help_and_version_end_with_0() {
    for flag in ["--help", "-h"] {
        let words = [
            "--config",
            "--listen",
            "--print-config",
            "check",
            "OPENAI_BASE_URL",
        ];
        ends(Daemon::builder().arg(flag), 0, &words);
    }
    for flag in ["--version", "-V"] {
        ends(
            Daemon::builder().arg(flag),
            0,
            &["upstreamd", env!("CARGO_PKG_VERSION")],
        );
    }
}

#[test]
fn check_says_that_a_file_is_fine_or_all_that_is_wrong_with_78() {
    let files = Scratch::new();
    let good = "[upstream.local]\nbase_url = \"http://127.0.0.1:8000/v1\"\nkeys = []\n";
    let file = files.write("a.toml", good);
    let check = || Daemon::builder().arg("check").arg(&file);
    ends(check(), 0, &["a.toml", "fine"]);
    files.write(
        "a.toml",
        format!("{good}idel_timeout = \"5s\"\n[server]\nmax_body = 5\n"),
    );
    ends(
        check(),
        78,
        &[
            "a.toml:4:",
            "idel_timeout",
            "idle_timeout",
            "a.toml:6:",
            "max_body",
        ],
    );
    files.write("a.toml", good.replace("[]", "[\"lost\"]"));
    ends(check(), 78, &["a.toml:3:", "lost"]);
}

#[test]
fn it_starts_at_once_and_stays_small() {
    let upstream = Upstream::answering("{}");
    let begun = Instant::now();
    let daemon = Daemon::before(&upstream);
    assert_eq!(Client::tcp(daemon.address()).get("/health").status(), 200);
    // A debug build on a loaded machine; the release build is measured elsewhere.
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    assert!(daemon.process().rss() < 64 << 20);
}
