"""What a job may be, and what it is where its author said nothing.

The rules and limits are those of the comments in google/cloud/scheduler/v1/{job,target}.proto. Jobs are bare protobuf.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeAlias

import httpx
from google.cloud.scheduler_v1.types import HttpMethod

from emulator.scheduler.errors import InvalidArgument, Unimplemented
from emulator.scheduler.schedule import DEFAULT_TIME_ZONE, Schedule, parse_schedule

JobProto: TypeAlias = Any
"""A bare protobuf `google.cloud.scheduler.v1.Job`."""

MAX_JOB_BYTES = 1024 * 1024
MAX_DESCRIPTION_CHARACTERS = 500
MAX_URI_CHARACTERS = 2083
MAX_HEADERS_BYTES = 80 * 1024
MAX_RETRIES = 5
SHORTEST_DEADLINE, DEFAULT_DEADLINE, LONGEST_DEADLINE = timedelta(seconds=15), timedelta(minutes=3), timedelta(minutes=30)
DEFAULT_MIN_BACKOFF, DEFAULT_MAX_BACKOFF, DEFAULT_DOUBLINGS = timedelta(seconds=5), timedelta(hours=1), 5
LONGEST_DURATION = timedelta(days=366)
"""Ours, so that no sum of a moment and a duration leaves the calendar."""

USER_AGENT, BODY_TYPE = "Google-Cloud-Scheduler", "application/octet-stream"
METHODS_WITH_BODY = (HttpMethod.POST, HttpMethod.PUT, HttpMethod.PATCH)

_TOPIC = re.compile(r"projects/([^/]+)/topics/[A-Za-z][A-Za-z0-9._~+%-]{2,254}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t -~]*")


def complete(job: JobProto) -> Schedule:
    """Check a job that has its name, fill in the defaults in place, and answer its schedule. Raises Refused."""
    _require(len(job.description) <= MAX_DESCRIPTION_CHARACTERS, "description", "has more than 500 characters")
    schedule = _schedule(job)
    match job.WhichOneof("target"):
        case "http_target":
            _complete_http(job)
        case "pubsub_target":
            _check_pubsub(job)
        case "app_engine_http_target":
            raise Unimplemented("app_engine_http_target: the emulator has no App Engine, use http_target")
        case _:
            raise InvalidArgument("target: one of pubsub_target, http_target is required")
    _complete_retries(job.retry_config)
    _require(job.ByteSize() <= MAX_JOB_BYTES, "job", "is larger than 1 MB")
    return schedule


def _schedule(job: JobProto) -> Schedule:
    job.time_zone = job.time_zone or DEFAULT_TIME_ZONE
    try:
        return parse_schedule(job.schedule, time_zone=job.time_zone)
    except ValueError as error:
        raise InvalidArgument(f"Schedule or time zone is invalid. {error}") from error


def _check_pubsub(job: JobProto) -> None:
    target = job.pubsub_target
    topic = _TOPIC.fullmatch(target.topic_name)
    _require(topic, "pubsub_target.topic_name", "must be projects/PROJECT_ID/topics/TOPIC_ID")
    in_project = topic is not None and topic[1] == job.name.split("/")[1]
    _require(in_project, "pubsub_target.topic_name", "must be in the project of the job")
    _require(target.data or target.attributes, "pubsub_target", "needs data or at least one attribute")
    job.ClearField("attempt_deadline")


def _complete_http(job: JobProto) -> None:
    target = job.http_target
    target.http_method = target.http_method or HttpMethod.POST
    _require(target.http_method in list(HttpMethod), "http_target.http_method", "is no HTTP method")
    _require(_is_url(target.uri), "http_target.uri", "must be a URL that begins with http:// or https://")
    allowed = not target.body or target.http_method in METHODS_WITH_BODY
    _require(allowed, "http_target.body", "is allowed for POST, PUT and PATCH only")
    _check_headers(target.headers)
    named = {name.lower() for name in target.headers}
    if "user-agent" not in named:
        target.headers["User-Agent"] = USER_AGENT
    if target.body and "content-type" not in named:
        target.headers["Content-Type"] = BODY_TYPE
    if kind := target.WhichOneof("authorization_header"):
        email = getattr(target, kind).service_account_email
        _require("@" in email, f"http_target.{kind}.service_account_email", "must be the email of a service account")
    _complete_deadline(job)


def _complete_deadline(job: JobProto) -> None:
    deadline = _duration(job, "attempt_deadline", default=DEFAULT_DEADLINE)
    fits = SHORTEST_DEADLINE <= deadline <= LONGEST_DEADLINE
    _require(fits, "attempt_deadline", "must be from 15 seconds to 30 minutes for an HTTP target")


def _check_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        _require(_HEADER_NAME.fullmatch(name), "http_target.headers", f"{name!r} is no header name")
        _require(_HEADER_VALUE.fullmatch(value), "http_target.headers", f"the value of {name!r} is not plain text")
    size = sum(len(name) + len(value) for name, value in headers.items())
    _require(size < MAX_HEADERS_BYTES, "http_target.headers", "must be smaller than 80 KB")


def _complete_retries(config: Any) -> None:
    _require(0 <= config.retry_count <= MAX_RETRIES, "retry_config.retry_count", "must be from 0 to 5")
    _require(config.max_doublings >= 0, "retry_config.max_doublings", "must not be negative")
    config.max_doublings = config.max_doublings or DEFAULT_DOUBLINGS
    _duration(config, "max_retry_duration", default=timedelta())
    _duration(config, "min_backoff_duration", default=DEFAULT_MIN_BACKOFF)
    _duration(config, "max_backoff_duration", default=DEFAULT_MAX_BACKOFF)


def _duration(message: Any, field: str, *, default: timedelta) -> timedelta:
    """The duration, set to the default where it is zero."""
    duration = getattr(message, field)
    valid = 0 <= duration.seconds < LONGEST_DURATION.total_seconds() and 0 <= duration.nanos < 1_000_000_000
    _require(valid, field, "must be a duration from zero to a year")
    found = timedelta(seconds=duration.seconds, microseconds=duration.nanos // 1000) or default
    duration.FromTimedelta(found)
    return found


def _is_url(uri: str) -> bool:
    """Whether a request can be sent there, so that no attempt ever fails for what it is."""
    if len(uri) > MAX_URI_CHARACTERS or not uri.startswith(("http://", "https://")):
        return False
    try:
        url = httpx.URL(uri)
    except (httpx.InvalidURL, ValueError):
        return False
    return bool(url.host) and url.port in (None, *range(1, 65_536))


def _require(holds: object, field: str, problem: str) -> None:
    if not holds:
        raise InvalidArgument(f"{field}: {problem}")
