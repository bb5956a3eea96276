"""Each error raises the exception that the SDK has for it, with a message that helps."""

import openai
import pytest

from conftest import client_of

HELLO = [{"role": "user", "content": "hello"}]

TYPED = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    409: openai.ConflictError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    502: openai.InternalServerError,
    503: openai.InternalServerError,
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", TYPED)
def test_the_upstreams_errors_pass_untouched(client, status, stream):
    with pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(model=f"error-{status}", messages=HELLO, stream=stream)
    error = raised.value
    assert type(error) is TYPED[status]
    assert error.status_code == status
    assert error.body["message"] == f"The loopback upstream was asked for {status}."
    assert error.request_id.startswith("req_")
    assert "proxy-status" not in error.response.headers
    assert error.response.headers.get("retry-after") == ("1" if status == 429 else None)


@pytest.mark.parametrize("key", ["sk-somebody-elses", ""])
def test_a_client_without_a_right_key(stand, key):
    with client_of(stand["proxy"] + "/v1", api_key=key or "none") as client:
        headers = {} if key else {"Authorization": openai.Omit()}
        with pytest.raises(openai.AuthenticationError) as raised:
            client.models.list(extra_headers=headers)
    assert_ours(raised.value, 401, "invalid_api_key")


def test_a_body_over_the_limit(client):
    with pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "x" * (2 << 20)}])
    assert_ours(raised.value, 413, "request_too_large")
    assert "max_body" in raised.value.message


def test_a_path_that_climbs(client):
    with pytest.raises(openai.BadRequestError) as raised:
        client.get("/files/%2e%2e/secrets", cast_to=object)
    assert_ours(raised.value, 400, "invalid_path")


def test_an_unknown_endpoint_is_the_upstreams_to_refuse(client):
    with pytest.raises(openai.NotFoundError) as raised:
        client.post("/no/such/endpoint", cast_to=object, body={"a": 1})
    assert "Invalid URL" in raised.value.message


@pytest.mark.parametrize("stream", [False, True])
def test_an_upstream_that_is_not_to_be_reached(upstream_gone, stream):
    how, client = upstream_gone
    with pytest.raises(openai.InternalServerError) as raised:
        client.chat.completions.create(model="gpt-5", messages=HELLO, stream=stream)
    if how == "dead":
        assert_ours(raised.value, 502, "upstream_unreachable", "connection_refused")
    else:
        assert_ours(raised.value, 504, "upstream_timeout", "connection_timeout")


def test_the_sdk_tries_again_by_itself(stand):
    # As applications run it, with the SDK's retries: still the typed error in the end.
    with client_of(stand["dead"] + "/v1", max_retries=1) as client:
        with pytest.raises(openai.InternalServerError) as raised:
            client.models.list()
    assert_ours(raised.value, 502, "upstream_unreachable")
    assert raised.value.response.request.headers["x-stainless-retry-count"] == "1"


def assert_ours(error, status, code, proxy_error=None):
    assert (error.status_code, error.code) == (status, code)
    assert error.message and error.type
    assert error.request_id
    proxy_status = error.response.headers["proxy-status"]
    assert proxy_status.startswith("upstreamd; error=")
    assert proxy_error is None or f"error={proxy_error}" in proxy_status
