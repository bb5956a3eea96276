"""What an application asks for, it gets: each kind of answer, whole."""

import io

import pytest

HELLO = [{"role": "user", "content": "hello"}]
WORDS = "The last hop adds next to nothing."


def test_a_chat_completion(client):
    answer = client.chat.completions.create(model="gpt-5", messages=HELLO)
    assert answer.choices[0].message.content == WORDS
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "gpt-5"
    assert answer.usage.completion_tokens == 8


def test_a_response(client):
    answer = client.responses.create(model="gpt-5", input="hello")
    assert answer.output_text == WORDS
    assert answer.status == "completed"
    assert answer.usage.output_tokens == 8


def test_a_completion_of_the_old_kind(client):
    answer = client.completions.create(model="gpt-5", prompt="hello")
    assert answer.choices[0].text == WORDS


@pytest.mark.parametrize("encoding", [{}, {"encoding_format": "float"}])
def test_embeddings(client, encoding):
    answer = client.embeddings.create(model="text-embedding-3-small", input=["one", "two"], **encoding)
    assert [vector.embedding for vector in answer.data] == [[0.5, -0.25, 0.125, 1.0]] * 2
    assert answer.usage.prompt_tokens > 0


def test_a_transcription_upload(client):
    # Larger than max_body: what is not looked at has no limit.
    sound = bytes(range(256)) * 8192
    answer = client.audio.transcriptions.create(model="whisper-1", file=("a.wav", io.BytesIO(sound)))
    assert answer.text == f"{len(sound)} bytes received"


def test_a_speech_download(client, tmp_path):
    pieces = b"".join(bytes([piece]) * 16384 for piece in range(8))
    whole = client.audio.speech.create(model="tts-1", voice="alloy", input="hello")
    assert whole.read() == pieces
    file = tmp_path / "speech.mp3"
    with client.audio.speech.with_streaming_response.create(model="tts-1", voice="alloy", input="hello") as streamed:
        streamed.stream_to_file(file)
    assert file.read_bytes() == pieces


def test_a_file_comes_back_as_it_was_uploaded(client):
    content = bytes(range(256)) * 1024
    file = client.files.create(file=("data.jsonl", content), purpose="batch")
    assert (file.bytes, file.filename, file.purpose) == (len(content), "data.jsonl", "batch")
    assert client.files.retrieve(file.id) == file
    assert client.files.content(file.id).read() == content
    assert file.id in [one.id for one in client.files.list()]
    assert client.files.delete(file.id).deleted


def test_models(client):
    assert [model.id for model in client.models.list()] == ["gpt-5", "gpt-5-mini", "text-embedding-3-small"]
    assert client.models.retrieve("gpt-5").owned_by == "loopback"


def test_the_request_id_is_visible(client):
    # The SDK's own name for it, and the header beneath.
    answer = client.chat.completions.create(model="gpt-5", messages=HELLO)
    assert answer._request_id.startswith("req_")
    raw = client.chat.completions.with_raw_response.create(model="gpt-5", messages=HELLO)
    assert raw.request_id == raw.headers["x-request-id"]
    assert raw.headers["x-ratelimit-remaining-requests"] == "9999"


def test_the_upstream_sees_the_operators_identity_only(client, seen, stand):
    client.chat.completions.create(model="gpt-5", messages=HELLO, extra_headers={"OpenAI-Organization": "org-mine"})
    last = seen()["last"]
    fields = {name: value for name, value in last["fields"]}
    assert fields["authorization"] == f"Bearer {stand['upstream_key']}"
    assert fields["user-agent"] == stand["user_agent"]
    assert stand["client_key"] not in str(last)
    assert not [name for name in fields if name.startswith("x-stainless-")]
    assert "openai-organization" not in fields
    assert last["json"] == {"model": "gpt-5", "messages": HELLO}
