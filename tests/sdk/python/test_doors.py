"""However an application is set up: base URL with and without /v1, Unix socket, async."""

import asyncio
import io

import httpx2
import openai
import pytest

from conftest import PATIENCE, STAND, client_of, wait_until

HELLO = [{"role": "user", "content": "hello"}]
WORDS = "The last hop adds next to nothing."


@pytest.mark.parametrize("path", ["/v1", "/v1/", "", "/"])
def test_a_base_url_with_and_without_v1(path, seen):
    with client_of(STAND["proxy"] + path) as client:
        answer = client.chat.completions.create(model="gpt-5", messages=HELLO)
    assert answer.choices[0].message.content == WORDS
    assert seen()["last"]["target"] == "/v1/chat/completions"


def test_over_a_unix_socket():
    transport = httpx2.HTTPTransport(uds=STAND["socket"])
    with httpx2.Client(transport=transport) as http, client_of("http://upstreamd/v1", http_client=http) as client:
        answer = client.chat.completions.create(model="gpt-5", messages=HELLO)
        assert answer.choices[0].message.content == WORDS
        stream = client.chat.completions.create(model="gpt-5", messages=HELLO, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == WORDS
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("no-such-model")


@pytest.fixture
def connected():
    """Runs `test(client)` with an AsyncOpenAI."""

    def run(test):
        async def with_client():
            key = STAND["client_key"]
            async with openai.AsyncOpenAI(
                base_url=STAND["proxy"] + "/v1", api_key=key, max_retries=0, timeout=PATIENCE
            ) as client:
                await test(client)

        asyncio.run(with_client())

    return run


def test_async_chat_and_upload(connected):
    async def test(client):
        answer = await client.chat.completions.create(model="gpt-5", messages=HELLO)
        assert answer.choices[0].message.content == WORDS
        heard = await client.audio.transcriptions.create(model="whisper-1", file=("a.wav", io.BytesIO(b"sound")))
        assert heard.text == "5 bytes received"

    connected(test)


def test_async_many_at_once(connected):
    async def test(client):
        async def streamed(words):
            stream = await client.chat.completions.create(
                model="gpt-5", messages=HELLO, stream=True, max_completion_tokens=words
            )
            return sum([bool(chunk.choices[0].delta.content) async for chunk in stream])

        lengths = range(1, 33)
        assert await asyncio.gather(*map(streamed, lengths)) == list(lengths)

    connected(test)


def test_async_errors(connected):
    async def test(client):
        with pytest.raises(openai.RateLimitError):
            await client.chat.completions.create(model="error-429", messages=HELLO)
        stream = await client.chat.completions.create(model="cut-3", messages=HELLO, stream=True)
        with pytest.raises(openai.APIError):
            async for _ in stream:
                pass

    connected(test)


def test_an_async_task_that_is_cancelled_ends_its_stream_at_the_upstream(connected, seen):
    before = seen()["aborted_streams"]

    async def test(client):
        begun = asyncio.Event()

        async def read():
            stream = await client.chat.completions.create(
                model="gpt-5", messages=HELLO, stream=True, max_completion_tokens=10_000
            )
            async for _ in stream:
                begun.set()

        reading = asyncio.create_task(read())
        await asyncio.wait_for(begun.wait(), PATIENCE)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    connected(test)
    wait_until(lambda: seen()["aborted_streams"] == before + 1)
