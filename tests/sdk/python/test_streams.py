"""Streams: event by event, left by the client, cut by the upstream."""

import httpx2
import openai
import pytest

from conftest import client_of, wait_until

HELLO = [{"role": "user", "content": "hello"}]
WORDS = "The last hop adds next to nothing."

# At the upstream's pace of 10 ms, 100 s: more than the patience of the tests, so
# who sees a part of it did not wait for its end.
ENDLESS = 10_000


def text_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def test_a_streamed_chat_completion(client):
    options = {"include_usage": True}
    stream = client.chat.completions.create(model="gpt-5", messages=HELLO, stream=True, stream_options=options)
    chunks = list(stream)
    assert text_of(chunks) == WORDS
    assert chunks[-1].usage.completion_tokens == 8
    assert stream.response.headers["x-request-id"].startswith("req_")


@pytest.fixture
def asking(stand):
    """A client of an upstreamd that asks for usage in its place."""
    with client_of(stand["asking"] + "/v1") as client:
        yield client


@pytest.mark.parametrize("kind", ["chat", "text"])
def test_a_stream_whose_usage_upstreamd_asks_for_is_the_same_as_without(client, asking, seen, kind):
    def stream(client):
        if kind == "chat":
            create, what = client.chat.completions.with_raw_response.create, {"messages": HELLO}
        else:
            create, what = client.completions.with_raw_response.create, {"prompt": "hello"}
        answer = create(model="gpt-5", stream=True, **what)
        chunks = [chunk.model_dump_json(exclude_unset=True) for chunk in answer.parse()]
        return chunks, seen()["last"]["json"]

    plain, asked_by_client = stream(client)
    filtered, asked_by_upstreamd = stream(asking)
    assert filtered == plain
    assert len(filtered) > 8
    assert "usage" not in "".join(filtered)
    assert "stream_options" not in asked_by_client
    assert asked_by_upstreamd == asked_by_client | {"stream_options": {"include_usage": True}}


def test_a_client_that_asks_for_usage_itself_gets_it_from_an_upstreamd_that_asks_too(asking):
    options = {"include_usage": True}
    stream = asking.chat.completions.create(model="gpt-5", messages=HELLO, stream=True, stream_options=options)
    chunks = list(stream)
    assert text_of(chunks) == WORDS
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 8


def test_a_streamed_response(client):
    with client.responses.stream(model="gpt-5", input="hello") as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == WORDS
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert final.usage.output_tokens == 8


def test_a_client_that_leaves_an_endless_stream_ends_it_at_the_upstream(client, seen):
    before = seen()["aborted_streams"]
    stream = client.chat.completions.create(
        model="gpt-5", messages=HELLO, stream=True, max_completion_tokens=ENDLESS
    )
    # They arrive while the upstream is still sending.
    chunks = [next(stream) for _ in range(20)]
    assert len(text_of(chunks).split()) > 10
    assert seen()["aborted_streams"] == before
    stream.close()
    wait_until(lambda: seen()["aborted_streams"] == before + 1)


def test_a_client_that_leaves_a_streamed_response_ends_it_at_the_upstream(client, seen):
    before = seen()["aborted_streams"]
    with client.responses.create(model="gpt-5", input="hello", stream=True, max_output_tokens=ENDLESS) as stream:
        for _, event in zip(range(20), stream):
            assert event.type != "response.completed"
    wait_until(lambda: seen()["aborted_streams"] == before + 1)


@pytest.mark.parametrize("events", [1, 5])
def test_a_stream_cut_by_the_upstream_is_an_error(client, events):
    stream = client.chat.completions.create(model=f"cut-{events}", messages=HELLO, stream=True)
    arrived = []
    with pytest.raises(openai.APIError) as raised:
        stream_into(arrived, stream)
    assert len(arrived) == events
    assert raised.value.code == "upstream_protocol_error"
    assert "loopback" in raised.value.message


def test_a_streamed_response_cut_by_the_upstream_is_an_error(client):
    stream = client.responses.create(model="cut-5", input="hello", stream=True)
    arrived = []
    with pytest.raises(openai.APIError) as raised:
        stream_into(arrived, stream)
    assert len(arrived) == 5
    assert raised.value.code == "upstream_protocol_error"


def test_a_download_cut_by_the_upstream_is_an_error(client):
    # No place for an error event in it: the connection breaks.
    with client.audio.speech.with_streaming_response.create(model="cut-3", voice="alloy", input="hello") as answer:
        with pytest.raises(httpx2.RemoteProtocolError):
            answer.read()


def stream_into(arrived, stream):
    for chunk in stream:
        arrived.append(chunk)
