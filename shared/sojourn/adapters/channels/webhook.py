"""`Channel` as a JSON POST: the webhooks of journeys, channels that another system serves, and the local mailbox.

The address is an author's and what answers it is anybody's: no redirect is followed (it could lead to plain http), no cookie is
kept, no proxy or password of the environment is used, and little of the answer is read.
"""

from __future__ import annotations

import json
from functools import cached_property
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import ip_address
from time import monotonic

import httpx
from pydantic import JsonValue
from pydantic_core import from_json

from sojourn.domain.effect import Delivery, Effect, RetryPolicy

TIMEOUT_SECONDS = 10.0
"""For each step of a request, and for the whole of the answer's body; well below the effect's lease."""
MAX_RESULT_BYTES = 16 * 1024
MAX_SHOWN_CHARACTERS = 200

_RETRYABLE = frozenset({408, 425, 429})
_OWN_FIELDS = ("journey_id", "progress_id", "bot_id", "member_id", "node_id")


class WebhookChannel:
    """Posts to `url`, or to the address that an effect brings. A receiver tells repeats by the header `Idempotency-Key`."""

    def __init__(
        self,
        url: str | None = None,
        *,
        idempotent: bool = True,
        resend_when_uncertain: bool = True,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008  # frozen
        client: httpx.Client | None = None,
    ) -> None:
        self.idempotent = idempotent
        self.resend_when_uncertain = resend_when_uncertain
        self.retry = retry
        self._url = url
        self._given_client = client

    @cached_property
    def _client(self) -> httpx.Client:
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
        return self._given_client or httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False, cookies=no_cookies)

    def deliver(self, effect: Effect, message: JsonValue, *, url: str | None = None) -> Delivery:
        address = url or self._url
        if address is None:
            return Delivery("permanent", reason="no address: neither the channel nor the effect names one")
        try:
            if not _is_safe(httpx.URL(address)):
                return Delivery("permanent", reason=f"not an https address: {_shown(address)}")
            return self._post(address, effect, message)
        except httpx.TimeoutException:
            return Delivery("retryable", reason=f"no answer in time from {_shown(address)}")
        except httpx.TransportError as error:
            return Delivery("retryable", reason=f"{type(error).__name__}: {_shown(address)}: {error}")
        except (httpx.InvalidURL, ValueError) as error:  # a host that no name server can be asked for
            return Delivery("permanent", reason=f"not an address: {_shown(address)}: {error}")

    def _post(self, address: str, effect: Effect, message: JsonValue) -> Delivery:
        body = {"effect_id": effect.id} | {name: getattr(effect, name) for name in _OWN_FIELDS} | {"message": message}
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", "Idempotency-Key": effect.id}
        request = self._client.stream(
            "POST", address, content=json.dumps(body).encode(), headers=headers, follow_redirects=False
        )
        with request as response:
            if response.is_success:
                return _delivered(_body(response))
            reason = f"{response.status_code} {response.reason_phrase} from {_shown(address)}"
            retryable = response.is_server_error or response.status_code in _RETRYABLE
            return Delivery("retryable" if retryable else "permanent", reason=reason)


def _is_safe(url: httpx.URL) -> bool:
    return bool(url.host) and (url.scheme == "https" or (url.scheme == "http" and _is_loopback(url.host)))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _body(response: httpx.Response) -> JsonValue:
    """The answer's JSON; None for one that is none, too long, or too slow. The message was delivered in any case."""
    body, deadline = b"", monotonic() + TIMEOUT_SECONDS
    try:
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > MAX_RESULT_BYTES or monotonic() > deadline:
                return None
        value: JsonValue = from_json(body, allow_inf_nan=False)
    except (httpx.TransportError, ValueError):
        return None
    return value


def _delivered(result: JsonValue) -> Delivery:
    provider_id = result.get("id") if isinstance(result, dict) else None
    return Delivery("delivered", provider_id=provider_id if isinstance(provider_id, str) else None, result=result)


def _shown(address: str) -> str:
    return repr(address[:MAX_SHOWN_CHARACTERS])
