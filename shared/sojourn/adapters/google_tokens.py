"""Google ID tokens, verified against Google's public keys, which are fetched once an hour.

Where Cloud Run itself checks who may invoke a service, it passes the token on without its signature; callers then send it in
X-Serverless-Authorization as well (https://cloud.google.com/run/docs/authenticating/service-to-service).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import httpx
from google.auth import jwt
from google.auth.exceptions import GoogleAuthError

from sojourn.domain.errors import Unauthenticated, Unavailable

CERTIFICATES_URL = "https://www.googleapis.com/oauth2/v1/certs"
ISSUERS = frozenset({"accounts.google.com", "https://accounts.google.com"})
MAX_CERTIFICATES_AGE_SECONDS = 3_600
REQUEST_TIMEOUT_SECONDS = 5.0
CLOCK_SKEW_SECONDS = 10

Certificates: TypeAlias = Mapping[str, str]


def fetch_certificates() -> Certificates:
    """Google's certificates by key id. Raises Unavailable."""
    try:
        answer = httpx.get(CERTIFICATES_URL, timeout=REQUEST_TIMEOUT_SECONDS).raise_for_status()
        return {str(key): str(certificate) for key, certificate in answer.json().items()}
    except (httpx.HTTPError, ValueError) as error:
        raise Unavailable(f"Google's certificates: {error}") from error


class GoogleTokenVerifier:
    """`TokenVerifier` for tokens issued for `audience`. Safe for threads."""

    def __init__(self, audience: str, *, fetch: Callable[[], Certificates] = fetch_certificates) -> None:
        self._audience, self._fetch = audience, fetch
        self._lock = threading.Lock()
        self._certificates: Certificates = {}
        self._fetched_at: float | None = None

    def principal(self, token: str) -> str:
        try:
            decode: Any = jwt.decode  # google-auth has no types for it
            claims = decode(token, certs=self._keys(), audience=self._audience, clock_skew_in_seconds=CLOCK_SKEW_SECONDS)
        except (GoogleAuthError, ValueError, TypeError) as error:
            raise Unauthenticated(f"the token proves nothing: {error!s:.200}") from error
        if claims.get("iss") not in ISSUERS:
            raise Unauthenticated("the token is not one of Google's")
        if not claims.get("email") or claims.get("email_verified") is not True:
            raise Unauthenticated("the token names no verified e-mail address; ask for one that includes it")
        return str(claims["email"]).lower()

    def _keys(self) -> Certificates:
        with self._lock:
            if self._fetched_at is None or time.monotonic() - self._fetched_at > MAX_CERTIFICATES_AGE_SECONDS:
                self._certificates, self._fetched_at = self._fetch(), time.monotonic()
            return self._certificates
