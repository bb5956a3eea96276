"""Chat and stream through LiteLLM and upstreamd, and past upstreamd."""

import json
import subprocess

import openai
import pytest

from conftest import CLIENT_KEY, MASTER_KEY, PROGRAMS, USER_AGENT, client_of, wait_until

HELLO = [{"role": "user", "content": "hello"}]
WORDS = "The last hop adds next to nothing."


def chat(client, model="gpt-5", **options):
    return client.chat.completions.create(model=model, messages=HELLO, **options)


def field(seen, name):
    """The one value of a field as the upstream saw it, or None."""
    values = [value for other, value in seen["fields"] if other == name]
    assert len(values) < 2, values
    return values[0] if values else None


def text_of(stream):
    chunks = list(stream)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices), chunks


@pytest.fixture
def event(upstreamd):
    """The one event of what a test did."""
    before = len(upstreamd.events())

    def read():
        wait_until(lambda: len(upstreamd.events()) > before)
        (event,) = upstreamd.events()[before:]
        return event

    return read


def test_the_configuration_is_yaml(upstreamd):
    program = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)"
    for flags, api_base in [([], upstreamd.base_url), (["--direct"], "https://localhost:")]:
        yaml = upstreamd.config(*flags)
        command = [PROGRAMS["litellms_python"], "-c", program]
        read = json.loads(subprocess.run(command, input=yaml, check=True, capture_output=True, text=True).stdout)
        assert read["general_settings"] == {"master_key": "os.environ/LITELLM_MASTER_KEY"}
        assert read["litellm_settings"] == {"drop_params": True}
        for deployment in read["model_list"]:
            parameters = deployment["litellm_params"]
            assert parameters["custom_llm_provider"] == "openai"
            assert parameters["api_base"].startswith(api_base)
            assert parameters["api_key"].startswith("os.environ/")


def test_a_chat_goes_through_both_as_upstreamds(through, seen, event):
    answer = chat(through)
    recorded = event()
    assert answer.choices[0].message.content == WORDS
    last = seen()
    assert last["target"] == "/v1/chat/completions"
    assert last["json"]["model"] == "gpt-5"
    assert field(last, "user-agent") == USER_AGENT
    assert field(last, "authorization") not in (f"Bearer {CLIENT_KEY}", f"Bearer {MASTER_KEY}")
    assert not any("litellm" in value.lower() for _, value in last["fields"])
    assert not any(name.startswith("x-stainless") for name, _ in last["fields"])
    assert (recorded["client"], recorded["status"], recorded["streaming"]) == ("litellm", 200, False)
    assert recorded["model"] == "gpt-5"
    assert recorded["prompt_tokens"] == answer.usage.prompt_tokens
    assert recorded["completion_tokens"] == answer.usage.completion_tokens


def test_a_stream_goes_through_both_with_its_usage(through, seen, event):
    text, chunks = text_of(chat(through, stream=True, stream_options={"include_usage": True}))
    recorded = event()
    assert text == WORDS
    usage = [chunk.usage for chunk in chunks if chunk.usage]
    assert len(usage) == 1
    assert field(seen(), "user-agent") == USER_AGENT
    assert (recorded["status"], recorded["streaming"]) == (200, True)
    assert recorded["completion_tokens"] == usage[0].completion_tokens
    assert not recorded["missing_usage"]


def test_a_stream_comes_as_it_is_made_and_ends_with_its_reader(through, event):
    # 100 seconds long: whoever gathered it would be silent for longer than the timeout.
    stream = chat(through, stream=True, max_completion_tokens=10_000, timeout=30)
    with stream:
        for _, chunk in zip(range(5), stream):
            assert chunk.choices
    assert event()["client_aborted"]


def test_a_name_with_a_slash_reaches_the_upstream_whole(through, seen):
    for model in ["openai/gpt-oss-120b", "anthropic/claude-x", "a/b/c"]:
        chat(through, model=model)
        assert seen()["json"]["model"] == model


@pytest.mark.parametrize("way", ["through", "direct"])
def test_a_model_has_its_name_and_parameters_at_the_upstream_either_way(way, request, seen):
    client = request.getfixturevalue(way)
    assert {"fast", "team-*"} <= {model.id for model in client.models.list()}
    chat(client, model="fast", extra_body={"reasoning": {"effort": "high"}})
    asked = seen()["json"]
    assert (asked["model"], asked["reasoning_effort"]) == ("openai/gpt-5-mini", "low")
    assert "reasoning" not in asked
    chat(client, model="team-a")
    assert seen()["json"]["model"] == "team-a"


def test_an_error_of_the_upstream_keeps_its_kind(through, event):
    with pytest.raises(openai.NotFoundError):
        chat(through, model="error-404")
    assert event()["status"] == 404


def test_a_wrong_master_key_goes_no_further_than_litellm(through, upstreamd):
    before = len(upstreamd.events())
    address = str(through.base_url).removesuffix("/v1/")
    with client_of(address, CLIENT_KEY) as other, pytest.raises(openai.APIStatusError) as refused:
        chat(other)
    assert refused.value.status_code in (400, 401)
    assert len(upstreamd.events()) == before


def test_the_upstreams_request_id_is_in_litellms_answer_and_in_the_event(through, event):
    create = through.chat.completions.with_raw_response.create
    answer = create(model="gpt-5", messages=HELLO, extra_headers={"x-request-id": "of-the-client"})
    recorded = event()
    assert answer.headers["llm_provider-x-request-id"] == recorded["upstream_request_id"]
    # LiteLLM keeps the client's to itself, as the manual says.
    assert recorded["client_request_id"] is None


def test_direct_goes_past_upstreamd(direct, upstreamd, upstream, seen):
    before = len(upstreamd.events())
    assert chat(direct).choices[0].message.content == WORDS
    assert text_of(chat(direct, stream=True))[0] == WORDS
    assert len(upstreamd.events()) == before
    last = seen()
    assert field(last, "authorization") == f"Bearer {upstream['key']}"
    assert field(last, "user-agent") != USER_AGENT
