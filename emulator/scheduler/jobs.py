"""All jobs by name: what CloudScheduler's methods do to them, and which are due.

Not for several threads at once; the engine sees to that. Whatever is answered is a copy. The texts of refusals that the
real service is known to give are given here word for word.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from datetime import datetime
from typing import Any

from emulator.scheduler.errors import AlreadyExists, InvalidArgument, NotFound, PermissionDenied
from emulator.scheduler.job import Attempt, ScheduledJob
from emulator.scheduler.rules import JobProto

MAX_PAGE_JOBS = 500
OUTPUT_ONLY = {"name", "user_update_time", "state", "status", "schedule_time", "last_attempt_time"}

_LOCATION = r"projects/([A-Za-z0-9.:-]+)/locations/[A-Za-z0-9-]+"
_PARENT = re.compile(_LOCATION)
_NAME = re.compile(rf"{_LOCATION}/jobs/[A-Za-z0-9_-]{{1,500}}")


class Jobs:
    """The jobs of one project, or of any. Every method raises Refused."""

    def __init__(self, *, project: str | None = None) -> None:
        self._project = project
        self._by_name: dict[str, ScheduledJob] = {}

    def create(self, parent: str, job: JobProto, *, now: datetime) -> JobProto:
        """Add a job; one without a name gets one."""
        self._check_parent(parent)
        job.name = job.name or f"{parent}/jobs/{secrets.token_hex(8)}"
        if not _NAME.fullmatch(job.name) or not job.name.startswith(f"{parent}/jobs/"):
            raise InvalidArgument(f'Job name must be formatted: "{parent}/jobs/<JOB_ID>". job.name: {job.name!r}')
        if job.name in self._by_name:
            raise AlreadyExists(f"Job {job.name} already exists.")
        created = ScheduledJob(_without_output(job), now=now)
        self._by_name[job.name] = created
        return created.described()

    def get(self, name: str) -> JobProto:
        """The job as it is."""
        return self._find(name).described()

    def page(self, parent: str, *, size: int, token: str) -> tuple[list[JobProto], str]:
        """The jobs of a location by name, from where the token says, and the token of what is left, or none."""
        self._check_parent(parent)
        if size < 0:
            raise InvalidArgument("page_size: must not be negative")
        after = _last_name(token) if token else ""
        names = sorted(name for name in self._by_name if name.startswith(f"{parent}/jobs/") and name > after)
        shown = names[: min(size or MAX_PAGE_JOBS, MAX_PAGE_JOBS)]
        return [self.get(name) for name in shown], _token(shown[-1]) if len(names) > len(shown) else ""

    def update(self, job: JobProto, mask: Any, *, now: datetime) -> JobProto:
        """Replace the fields of the mask; without one, those that are set, and for `*` all."""
        found = self._find(job.name)
        merged = found.described()
        source = _without_output(job)
        paths = list(mask.paths) or [field.name for field, _ in job.ListFields()]
        if "*" in paths:
            paths = [field.name for field in job.DESCRIPTOR.fields]
        if not mask.IsValidForDescriptor(job.DESCRIPTOR) and "*" not in mask.paths:
            raise InvalidArgument(f"update_mask: {', '.join(map(repr, mask.paths))} are not all fields of a job")
        _mask(mask, paths).MergeMessage(source, merged, True, True)
        found.replace(_without_output(merged), now=now)
        return found.described()

    def delete(self, name: str) -> None:
        """Forget the job; an attempt in flight goes on unheard."""
        self._find(name)
        del self._by_name[name]

    def pause(self, name: str) -> JobProto:
        """See ScheduledJob."""
        found = self._find(name)
        found.pause()
        return found.described()

    def resume(self, name: str, *, now: datetime) -> JobProto:
        """See ScheduledJob."""
        found = self._find(name)
        found.resume(now=now)
        return found.described()

    def force(self, name: str, *, now: datetime) -> JobProto:
        """See ScheduledJob."""
        found = self._find(name)
        found.force(now=now)
        return found.described()

    def next_due(self) -> datetime | None:
        """When the next attempt is due; None if there is none to come."""
        return min((due for job in self._by_name.values() if (due := job.due_at())), default=None)

    def begin_due(self, now: datetime) -> list[Attempt]:
        """Begin every attempt that is due, longest due first; each is to be finished."""
        due = [(at, name) for name, job in self._by_name.items() if (at := job.due_at()) and at <= now]
        return [self._by_name[name].begin(now=now) for _, name in sorted(due)]

    def _find(self, name: str) -> ScheduledJob:
        matched = _NAME.fullmatch(name)
        if matched is None:
            raise InvalidArgument(f'name: must be formatted "projects/<ID>/locations/<ID>/jobs/<ID>", not {name!r}')
        self._check_project(matched[1])
        if name not in self._by_name:
            raise NotFound("Job not found.")
        return self._by_name[name]

    def _check_parent(self, parent: str) -> None:
        matched = _PARENT.fullmatch(parent)
        if matched is None:
            raise InvalidArgument(f'parent: must be formatted "projects/<ID>/locations/<ID>", not {parent!r}')
        self._check_project(matched[1])

    def _check_project(self, project: str) -> None:
        if self._project not in (None, project):
            raise PermissionDenied(f"The emulator was started for the project {self._project}, not for {project}.")


def _without_output(job: JobProto) -> JobProto:
    """A copy without what only the service sets; the name stays."""
    copy = type(job)()
    copy.CopyFrom(job)
    for field in OUTPUT_ONLY - {"name"}:
        copy.ClearField(field)
    return copy


def _mask(mask: Any, paths: list[str]) -> Any:
    return type(mask)(paths=[path for path in paths if path.split(".")[0] not in OUTPUT_ONLY])


def _token(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _last_name(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidArgument("page_token: is not one of ours") from error
