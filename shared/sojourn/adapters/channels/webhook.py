"""`Channel` as a JSON POST: the webhooks of journeys, channels that another system serves, and the local mailbox.

The address is an author's and what answers it is anybody's: no redirect is followed (it could lead to plain http), no cookie is
kept, no proxy or password of the environment is used, and little of the answer is read. Headers with credentials go to the
channel's own address alone, never to one that an effect brings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import ip_address

import httpx
from pydantic import JsonValue, SecretStr

from sojourn.adapters.channels.answer import read_answer
from sojourn.domain.breaker import BreakerPolicy
from sojourn.domain.effect import Delivery, Effect
from sojourn.domain.retry import RetryPolicy
from sojourn.domain.trace import TRACEPARENT, TraceContext, derived_span_id

TIMEOUT_SECONDS = 10.0
"""For each step of a request; well below the effect's lease."""
MAX_SHOWN_CHARACTERS = 200

_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.LocalProtocolError)
"""There was no connection, or nothing that could go over it; after any other error the request may have arrived."""
_OWN_FIELDS = ("journey_id", "progress_id", "bot_id", "member_id", "node_id")
_USER_INFO = re.compile(r"//[^/]*@")


@dataclass(frozen=True, slots=True)
class Manners:
    """How a channel takes failure and doubt, and the headers by which its receiver knows us."""

    idempotent: bool = True
    resend_when_uncertain: bool = True
    retry: RetryPolicy = RetryPolicy()  # noqa: RUF009  # frozen
    breaker: BreakerPolicy | None = BreakerPolicy()  # noqa: RUF009
    headers: Mapping[str, SecretStr] = field(default_factory=dict)


class WebhookChannel:
    """Posts to `url`, or to the address that an effect brings. A receiver tells repeats by the header `Idempotency-Key`, and
    finds the passage's trace in `traceparent`.

    A message in parts may be answered with 207 and those that failed; then only they are sent again, named in `only`.
    """

    def __init__(
        self,
        url: str | None = None,
        manners: Manners = Manners(),
        *,
        client: httpx.Client | None = None,
    ) -> None:
        self.idempotent = manners.idempotent
        self.resend_when_uncertain = manners.resend_when_uncertain
        self.retry, self.breaker = manners.retry, manners.breaker
        self._url, self._headers = url, manners.headers
        self._given_client = client

    @cached_property
    def _client(self) -> httpx.Client:
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
        return self._given_client or httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False, cookies=no_cookies)

    def deliver(self, effect: Effect, message: JsonValue, *, url: str | None = None) -> Delivery:
        address = url or self._url
        if address is None:
            return Delivery("permanent", reason="no address: neither the channel nor the effect names one")
        fault = address_fault(address)
        if fault is not None:
            return Delivery("permanent", reason=fault)
        shown = _shown(address) if url is not None else _origin(address)
        try:
            with self._post(address, effect, message, headers=self._headers if url is None else {}) as response:
                return read_answer(response, of=shown, with_credentials=bool(self._headers) and url is None)
        except httpx.TransportError as error:
            return Delivery("retryable" if isinstance(error, _UNSENT) else "uncertain", reason=_told(error, shown))
        except (httpx.InvalidURL, ValueError) as error:  # a host that no name server can be asked for
            return Delivery("permanent", reason=f"not an address: {shown}: {type(error).__name__}")

    def _post(
        self, address: str, effect: Effect, message: JsonValue, *, headers: Mapping[str, SecretStr]
    ) -> AbstractContextManager[httpx.Response]:
        body = {"effect_id": effect.id} | {name: getattr(effect, name) for name in _OWN_FIELDS} | {"message": message}
        if effect.rest is not None and effect.rest.undelivered:
            body["only"] = list(effect.rest.undelivered)
        own = {"Content-Type": "application/json", "Accept-Encoding": "identity", "Idempotency-Key": effect.delivery_key}
        if effect.trace_id is not None:
            own[TRACEPARENT] = TraceContext(effect.trace_id, derived_span_id(effect.id, effect.attempts)).traceparent
        theirs = {name: value.get_secret_value() for name, value in headers.items()}
        content = json.dumps(body).encode()
        return self._client.stream("POST", address, content=content, headers={**theirs, **own}, follow_redirects=False)


def address_fault(address: str) -> str | None:
    """What is wrong with an address; plain http stays on the machine."""
    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, ValueError) as error:
        before, _, after = address.rpartition("@")  # a password may hold a slash; the error's own words may quote it
        return f"not an address: {_shown(before.split('//')[0] + '//' + after if before else address)}: {type(error).__name__}"
    safe = bool(url.host) and (url.scheme == "https" or (url.scheme == "http" and _is_loopback(url.host)))
    return None if safe else f"not an https address: {_shown(address)}"


def _told(error: httpx.TransportError, shown: str) -> str:
    """What went wrong; errors of the protocol quote headers, which may be secret."""
    if isinstance(error, httpx.TimeoutException):
        return f"no answer in time from {shown}"
    return f"{type(error).__name__}: {shown}{f': {error}' if isinstance(error, httpx.NetworkError) else ''}"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _shown(address: str) -> str:
    """Without what may be a secret: user, password, query."""
    return repr(_USER_INFO.sub("//", re.split(r"[?#]", address)[0])[:MAX_SHOWN_CHARACTERS])


def _origin(address: str) -> str:
    """Of a channel's own address: its path may be the secret."""
    url = httpx.URL(address)
    return _shown(f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}")
