"""A client's own limit, as the SDK takes it: it waits as long as it is told."""

import time

import openai
import pytest

from conftest import STAND, client_of

HELLO = [{"role": "user", "content": "hello"}]


def test_the_sdk_waits_as_long_as_it_is_told_and_no_longer():
    with client_of(STAND["limited"] + "/v1") as client, pytest.raises(openai.RateLimitError) as raised:
        for _ in range(1000):
            client.chat.completions.create(model="gpt-5", messages=HELLO)
    error = raised.value
    assert error.code == "rate_limit_exceeded"
    assert "30 requests" in error.message
    told = error.response.headers
    # One comes back every two seconds.
    assert told["retry-after"] in ("1", "2")
    assert told["x-ratelimit-limit-requests"] == "30"
    assert told["x-ratelimit-remaining-requests"] == "0"

    # Its own waits, 0.5 s and less, would not do for one more try.
    with client_of(STAND["limited"] + "/v1", max_retries=1) as client:
        begun = time.monotonic()
        answer = client.chat.completions.with_raw_response.create(model="gpt-5", messages=HELLO)
        waited = time.monotonic() - begun
    assert answer.retries_taken == 1
    assert waited < 20
    assert answer.headers["x-ratelimit-limit-requests"] == "30"
    assert answer.parse().choices[0].message.content
