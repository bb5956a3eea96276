"""The clients that the tests use, and the upstream's view of what they sent."""

import json
import os
import time

import httpx2
import openai
import pytest

STAND = json.loads(os.environ["STAND"])

# For a condition that holds at once if all is well; the machine may be busy.
PATIENCE = 30


@pytest.fixture(scope="session")
def stand():
    return STAND


def client_of(base_url, **options):
    """An SDK client that shows each failure: it sends nothing a second time."""
    options = {"api_key": STAND["client_key"], "max_retries": 0, "timeout": PATIENCE} | options
    return openai.OpenAI(base_url=base_url, **options)


@pytest.fixture
def client():
    with client_of(STAND["proxy"] + "/v1") as client:
        yield client


@pytest.fixture(params=["dead", "silent"])
def upstream_gone(request):
    """A client of an upstreamd whose upstream is not to be reached, and how."""
    with client_of(STAND[request.param] + "/v1") as client:
        yield request.param, client


@pytest.fixture
def seen(client):
    """What the upstream saw last: its own account of it, past the SDK's types."""

    def ask():
        return client.get("/__seen", cast_to=httpx2.Response).json()

    return ask


def wait_until(holds):
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.005)
