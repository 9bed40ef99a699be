"""Where attempts go: a Pub/Sub topic, by whatever publishes, or an HTTP server."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

import httpx
from google.cloud.scheduler_v1.types import HttpMethod
from grpc import StatusCode

from emulator.scheduler.errors import PublishFailed
from emulator.scheduler.job import Attempt, Outcome
from emulator.scheduler.rules import USER_AGENT

Publish: TypeAlias = Callable[[str, bytes, Mapping[str, str]], None]
"""Topic (projects/P/topics/T), data, attributes; done when it returns. Raises PublishFailed."""

TOKEN_SECONDS = 3600
ACCESS_TOKEN = "emulated-access-token"
REPLACED_HEADERS = ("host", "content-length", "user-agent")
REPLACED_PREFIXES = ("x-google-", "x-appengine-", "x-cloudscheduler")

# The HTTP mapping of google/rpc/code.proto; what is not in it is UNKNOWN.
CODES = {
    400: StatusCode.INVALID_ARGUMENT,
    401: StatusCode.UNAUTHENTICATED,
    403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.NOT_FOUND,
    409: StatusCode.ABORTED,
    416: StatusCode.OUT_OF_RANGE,
    429: StatusCode.RESOURCE_EXHAUSTED,
    499: StatusCode.CANCELLED,
    500: StatusCode.INTERNAL,
    501: StatusCode.UNIMPLEMENTED,
    503: StatusCode.UNAVAILABLE,
    504: StatusCode.DEADLINE_EXCEEDED,
}


class Targets:
    """Sends attempts, from any number of threads."""

    def __init__(self, publish: Publish, *, http: httpx.Client | None = None) -> None:
        """A client of its own asks no proxy of the environment: what is called is most often this machine."""
        self._publish = publish
        self._http = http or httpx.Client(follow_redirects=True, trust_env=False)

    def close(self) -> None:
        """Give connections back; requests in flight fail."""
        self._http.close()

    def send(self, attempt: Attempt) -> Outcome:
        """Publish or request, and wait for the answer."""
        if attempt.job.WhichOneof("target") == "pubsub_target":
            return self._send_message(attempt.job.pubsub_target)
        return self._send_request(attempt)

    def _send_message(self, target: Any) -> Outcome:
        try:
            self._publish(target.topic_name, target.data, dict(target.attributes))
        except PublishFailed as failed:
            return Outcome(failed.code, str(failed))
        return Outcome()

    def _send_request(self, attempt: Attempt) -> Outcome:
        target = attempt.job.http_target
        deadline = attempt.job.attempt_deadline.ToTimedelta().total_seconds()
        method, headers = HttpMethod(target.http_method).name, headers_of(attempt)
        try:
            # The answer counts, not its body, which is left unread.
            with self._http.stream(method, target.uri, headers=headers, content=target.body, timeout=deadline) as answer:
                return _outcome(answer)
        except httpx.TimeoutException as error:
            return Outcome(StatusCode.DEADLINE_EXCEEDED, f"no answer within {deadline:g} s: {error}")
        except httpx.HTTPError as error:
            return Outcome(StatusCode.UNAVAILABLE, f"{type(error).__name__}: {error}")


def headers_of(attempt: Attempt) -> dict[str, str]:
    """The job's own headers, those that Cloud Scheduler sets, and a token if the job asks for one."""
    target = attempt.job.http_target
    own = {name: value for name, value in target.headers.items() if not _is_replaced(name)}
    headers = own | {
        "User-Agent": USER_AGENT,
        "X-CloudScheduler": "true",
        "X-CloudScheduler-JobName": attempt.job.name.rpartition("/")[2],
    }
    if attempt.is_unix_cron:
        headers["X-CloudScheduler-ScheduleTime"] = _rfc3339(attempt.scheduled_at)
    match target.WhichOneof("authorization_header"):
        case "oidc_token":
            headers["Authorization"] = f"Bearer {_identity_token(target, at=attempt.started_at)}"
        case "oauth_token":
            headers["Authorization"] = f"Bearer {ACCESS_TOKEN}"
    return headers


def _is_replaced(name: str) -> bool:
    return name.lower() in REPLACED_HEADERS or name.lower().startswith(REPLACED_PREFIXES)


def _outcome(answer: httpx.Response) -> Outcome:
    if answer.is_success:
        return Outcome()
    code = CODES.get(answer.status_code, StatusCode.UNKNOWN)
    return Outcome(code, f"HTTP {answer.status_code} {answer.reason_phrase}".strip())


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _identity_token(target: Any, *, at: datetime) -> str:
    """A JWT that can be read and that nothing which verifies tokens accepts: it is unsigned."""
    email, issued = target.oidc_token.service_account_email, int(at.timestamp())
    claims = {
        "iss": "https://accounts.google.com",
        "aud": target.oidc_token.audience or target.uri,
        "sub": email,
        "email": email,
        "email_verified": True,
        "iat": issued,
        "exp": issued + TOKEN_SECONDS,
    }
    return f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(claims)}."


def _part(fields: Mapping[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")
