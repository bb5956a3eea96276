//! Several upstreams, and models that lead to them.

use super::house::House;
use crate::config::checked::{Candidate, Config, Model};

const TWO: &str = "\
[server]
default_upstream = \"b\"
[upstream.a]
base_url = \"https://a\"
keys = []
[upstream.b]
base_url = \"https://b\"
keys = []
";

fn two(more: &str) -> House {
    House::with(&format!("{TWO}{more}"))
}

fn model<'a>(config: &'a Config, asked: &str) -> &'a Model {
    &config.models.all()[config.models.find(asked).unwrap()]
}

fn to(upstream: usize, name: Option<&str>, weight: u32) -> Candidate {
    Candidate {
        upstream,
        name: name.map(str::to_owned),
        weight,
    }
}

#[test]
fn a_model_leads_to_its_upstreams_in_order_and_else_to_the_default() {
    let house = two("[model.one]\nupstream = \"a\"\nname = \"x/one\"\n\
         [model.both]\nupstream = [\"b\", \"a\"]\n[model.plain]\n");
    let config = house.load().unwrap();
    assert_eq!(config.upstream().name, "b");
    let candidates = |asked: &str| &model(&config, asked).candidates[..];
    assert_eq!(candidates("one"), [to(0, Some("x/one"), 1)]);
    assert_eq!(candidates("both"), [to(1, None, 1), to(0, None, 1)]);
    assert_eq!(candidates("plain"), [to(1, None, 1)]);
    assert!(!model(&config, "both").is_weighted);
}

#[test]
fn weights_and_names_stand_beside_each_upstream() {
    let house = two(
        "[model.one]\nupstreams = [{ upstream = \"a\", name = \"x\", weight = 3 }, { upstream = \"b\" }]\n",
    );
    let config = house.load().unwrap();
    let one = model(&config, "one");
    assert!(one.is_weighted);
    assert_eq!(one.candidates, [to(0, Some("x"), 3), to(1, None, 1)]);
}

#[test]
fn parameters_are_set_as_json_and_dropped() {
    let house = two(
        "[model.one]\nset = { reasoning_effort = \"medium\", metadata = { a = [1, true] } }\n\
         drop = [\"reasoning\"]\n",
    );
    let config = house.load().unwrap();
    let one = model(&config, "one");
    let mut set = one.set.clone();
    set.sort();
    let expected = [
        ("metadata", "{\"a\":[1,true]}"),
        ("reasoning_effort", "\"medium\""),
    ];
    assert_eq!(
        set,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    assert_eq!(one.drop, ["reasoning"]);
}

#[test]
fn several_upstreams_need_a_default() {
    let errors = House::with(&TWO.replace("default_upstream = \"b\"\n", "")).errors();
    assert_eq!(
        errors,
        "\
error: server.default_upstream: there are 2 upstreams (a, b) and no default
 --> DIR/upstreamd.toml:5:11
  |
5 | [upstream.b]
  |           ^
  = help: write into [server]
          default_upstream = \"a\"
          it gets what no [model.NAME] says where to send
"
    );
}

#[test]
fn an_unknown_upstream_is_refused_with_the_nearest_one() {
    let errors = House::with(
        "[upstream.openrouter]\nbase_url = \"https://a\"\nkeys = []\n\
         [model.one]\nupstream = [\"openruoter\"]\n",
    )
    .errors();
    assert_eq!(
        errors,
        "\
error: model.one.upstream: there is no upstream named \"openruoter\"
 --> DIR/upstreamd.toml:5:13
  |
5 | upstream = [\"openruoter\"]
  |             ^^^^^^^^^^^^
  = help: did you mean \"openrouter\"?
"
    );
    let errors = two("[model.one]\nupstreams = [{ upstream = \"zebra\" }]\n").errors();
    assert!(
        errors
            .contains("error: model.one.upstreams.upstream: there is no upstream named \"zebra\""),
        "{errors}"
    );
    let errors = House::with(&TWO.replace("\"b\"\n", "\"c\"\n")).errors();
    assert!(
        errors.contains("error: server.default_upstream: there is no upstream named \"c\""),
        "{errors}"
    );
}

#[test]
fn what_says_two_things_at_once_is_refused() {
    for (wrong, said) in [
        (
            "upstream = \"a\"\nupstreams = [{ upstream = \"b\" }]",
            "model.m.upstreams: the same thing as upstream",
        ),
        (
            "name = \"x\"\nupstreams = [{ upstream = \"b\" }]",
            "model.m.name: found beside upstreams",
        ),
        (
            "upstream = [\"a\", \"a\"]",
            "model.m.upstream: \"a\" is there twice",
        ),
        (
            "upstream = []",
            "model.m.upstream: found no upstream, expected one at least",
        ),
        (
            "upstreams = []",
            "model.m.upstreams: found no upstream, expected one at least",
        ),
        (
            "upstreams = [{ weight = 1 }]",
            "model.m.upstreams.upstream: nothing says which upstream",
        ),
        (
            "upstreams = [{ upstream = \"a\", weight = 0 }]",
            "model.m.upstreams.weight: found 0, expected 1 to 1000",
        ),
        (
            "upstreams = { upstream = \"a\" }",
            "model.m.upstreams: found a table, expected an array of tables",
        ),
        (
            "upstreams = [{ upstream = \"a\", wieght = 1 }]",
            "no such key, did you mean `weight`?",
        ),
        (
            "set = { a = 1 }\ndrop = [\"a\"]",
            "model.m.drop: \"a\" is set or dropped already",
        ),
        (
            "drop = [\"a\", \"a\"]",
            "model.m.drop: \"a\" is set or dropped already",
        ),
        (
            "set = { model = \"x\" }",
            "model.m.set.model: found \"model\", expected the name of a parameter",
        ),
        (
            "set = { a = inf }",
            "model.m.set.a: found inf, expected a string, a number",
        ),
        (
            "name = \"\"",
            "model.m.name: found \"\", expected the name of a model",
        ),
        (
            "[client.x]\nuid = 1\nmodels = []",
            "client.x.models: found an empty list, expected one at least",
        ),
        (
            "[client.x]\nuid = 1\nendpoints = [\"/v1/models\"]",
            "help: write \"/models\"; it holds for both",
        ),
        (
            "[client.x]\nuid = 1\nendpoints = [\"models\"]",
            "client.x.endpoints: found \"models\", expected the path of an endpoint",
        ),
    ] {
        let errors = two(&format!("[model.m]\n{wrong}\n")).errors();
        assert!(errors.contains(said), "{wrong}\n{errors}");
    }
    let strict = TWO.replace("[server]\n", "[server]\nstrict_models = true\n");
    let strict = House::with(&strict).errors();
    assert!(
        strict.contains("server.strict_models: found true and no [model.NAME]"),
        "{strict}"
    );
}

#[test]
fn the_environment_speaks_of_no_upstream_where_there_are_several() {
    for (name, key) in [
        ("OPENAI_BASE_URL", "base_url"),
        ("OPENAI_API_KEY", "keys"),
        ("NODE_USER_AGENT", "user_agent"),
    ] {
        let errors = two("").set(name, "https://elsewhere").errors();
        let said = format!(
            "error: upstream.{key}: speaks of the only upstream, and there are 2 (a, b)\n --> environment variable {name}\n"
        );
        assert!(errors.contains(&said), "{errors}");
    }
}
