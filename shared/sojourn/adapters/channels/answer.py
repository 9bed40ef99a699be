"""What a receiver's HTTP answer says about a delivery.

::

    2xx  delivered          207 with {"failed": [{"part", "reason", "permanent"}]}  but for those parts
    408 425 429 5xx  worth another try, not before Retry-After                      other  refused for good
    502 504  uncertain: a gateway had no answer in time, what stands behind it may have done its work
    401 to credentials of ours  a failure of the system: the secret is wrong, not the member
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from time import monotonic
from typing import Annotated, Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from sojourn.domain.effect import Delivery, Rest
from sojourn.domain.strict_json import read_json

BODY_TIMEOUT_SECONDS = 10.0
"""For the whole of the answer's body; well below the effect's lease."""
MAX_RESULT_BYTES = 16 * 1024
MAX_PARTS = 500
MAX_DELAY_DIGITS = 9

_RETRYABLE = frozenset({408, 425, 429})
_UNCERTAIN = frozenset({502, 504})


class _Failed(BaseModel):
    """A part that did not arrive; `permanent`: it never will."""

    model_config = ConfigDict(frozen=True, strict=True)

    part: Annotated[str, Field(min_length=1, max_length=200)]
    reason: Annotated[str, Field(max_length=200)] = ""
    permanent: bool = False

    @property
    def told(self) -> str:
        """The part, and why."""
        return f"{self.part} ({self.reason})" if self.reason else self.part


class _PartialAnswer(BaseModel):
    model_config = ConfigDict(frozen=True)

    failed: Annotated[list[_Failed], Field(min_length=1, max_length=MAX_PARTS)]


def read_answer(response: httpx.Response, *, of: str, with_credentials: bool) -> Delivery:
    """The delivery that the receiver `of` that address answers with. Reads little of the body, and of failures nothing."""
    if response.is_success:
        result = _body(response)
        return (_partial(result) if response.status_code == httpx.codes.MULTI_STATUS else None) or _delivered(result)
    reason = f"{response.status_code} {response.reason_phrase} from {of}"
    if response.status_code == httpx.codes.UNAUTHORIZED and with_credentials:
        return Delivery("system", reason=f"{reason}: it does not take the channel's credentials")
    if response.is_server_error or response.status_code in _RETRYABLE:
        outcome: Literal["uncertain", "retryable"] = "uncertain" if response.status_code in _UNCERTAIN else "retryable"
        return Delivery(outcome, reason=reason, retry_after=_retry_after(response.headers))
    return Delivery("permanent", reason=reason)


def _partial(result: JsonValue) -> Delivery | None:
    """None for a body that names no parts: then the status is all there is to go by."""
    try:
        failed = _PartialAnswer.model_validate(result).failed
    except ValidationError:
        return None
    again = tuple(one.part for one in failed if not one.permanent)
    lost = tuple(one.told for one in failed if one.permanent)
    reason = f"{len(failed):,} parts did not arrive: {', '.join(one.told for one in failed):.200}"
    return Delivery("partial", reason=reason, provider_id=_id_of(result), result=result, rest=Rest(again, lost))


def _delivered(result: JsonValue) -> Delivery:
    return Delivery("delivered", provider_id=_id_of(result), result=result)


def _id_of(result: JsonValue) -> str | None:
    provider_id = result.get("id") if isinstance(result, dict) else None
    return provider_id if isinstance(provider_id, str) else None


def _body(response: httpx.Response) -> JsonValue:
    """The answer's JSON; None for one that is none, too long, or too slow. The message was delivered in any case."""
    body, deadline = b"", monotonic() + BODY_TIMEOUT_SECONDS
    try:
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > MAX_RESULT_BYTES or monotonic() > deadline:
                return None
        return read_json(body)
    except (httpx.TransportError, ValueError):
        return None


def _retry_after(headers: httpx.Headers) -> timedelta | None:
    """Seconds, or a date by the receiver's own clock (RFC 9110, 10.2.3). None for anything else, and for the past."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit() and len(text) <= MAX_DELAY_DIGITS:
        return timedelta(seconds=int(text))
    moment = _date(text)
    if moment is None:
        return None
    return max(moment - (_date(headers.get("Date", "")) or datetime.now(UTC)), timedelta(0)) or None


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
