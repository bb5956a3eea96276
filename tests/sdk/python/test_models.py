"""Models that have another name at the upstream, and parameters of the operator's."""

import openai
import pytest

from conftest import STAND, client_of

HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture
def client():
    with client_of(STAND["models"] + "/v1") as client:
        yield client


def test_an_alias_is_answered_by_the_upstreams_model(client, seen):
    answer = client.chat.completions.create(
        model="house", messages=HELLO, reasoning_effort="high", extra_body={"reasoning": {"max_tokens": 5}}
    )
    assert answer.model == "gpt-5-mini"
    assert seen()["last"]["json"] == {"model": "gpt-5-mini", "messages": HELLO, "reasoning_effort": "low"}
    answer = client.responses.create(model="house", input="hello", reasoning={"effort": "high"})
    assert answer.model == "gpt-5-mini"
    assert seen()["last"]["json"] == {"model": "gpt-5-mini", "input": "hello", "reasoning_effort": "low"}


def test_an_alias_streams(client):
    stream = client.chat.completions.create(model="house", messages=HELLO, stream=True)
    assert {event.model for event in stream} == {"gpt-5-mini"}


def test_the_list_has_what_can_be_asked_for(client):
    models = list(client.models.list())
    assert [model.id for model in models] == ["house"]
    assert models[0].owned_by == "loopback"
    assert models[0].created > 0
    assert client.models.retrieve("house") == models[0]


@pytest.mark.parametrize("ask", [
    lambda client: client.chat.completions.create(model="gpt-5", messages=HELLO),
    lambda client: client.models.retrieve("gpt-5"),
])
def test_an_unknown_model_is_not_found(client, ask):
    with pytest.raises(openai.NotFoundError) as caught:
        ask(client)
    assert caught.value.code == "model_not_found"
    assert "gpt-5" in caught.value.message
