"""`JobScheduler` on Cloud Scheduler. Its client is made on first use: a function that starts rarely needs one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, TypeAlias

from sojourn.application.ports import Job, Outgoing
from sojourn.domain.errors import Unavailable

REQUEST_TIMEOUT_SECONDS = 8.0
RETRIES = 3
"""Times that Cloud Scheduler tries again to publish."""
CHANGED = ("schedule", "time_zone", "pubsub_target", "description", "retry_config")

_Job: TypeAlias = Any
"""`google.cloud.scheduler_v1.types.Job`."""


class CloudJobs:
    """The jobs of one location whose names begin with `prefix`. With `emulator_host`, Google is not asked."""

    def __init__(self, project: str, location: str, *, prefix: str = "", emulator_host: str | None = None) -> None:
        self._emulator_host = emulator_host
        self._parent = f"projects/{project}/locations/{location}"
        self._jobs = f"{self._parent}/jobs/{prefix}"
        self._topics = f"projects/{project}/topics/{prefix}"

    @cached_property
    def _client(self) -> Any:
        from google.cloud.scheduler_v1 import CloudSchedulerClient

        return CloudSchedulerClient(transport=_emulator(self._emulator_host)) if self._emulator_host else CloudSchedulerClient()

    def close(self) -> None:
        """End the connection, if there is one."""
        if "_client" in self.__dict__:
            self._client.transport.close()

    def put(self, job: Job) -> None:
        with _unavailable():
            found = self._update(job) or self._create(job) or self._update(job)
            if found is None:
                raise Unavailable(f"Cloud Scheduler: job {job.name!r} is being created and deleted by others")
            if (found.state == found.State.PAUSED) is not job.paused:
                change = self._client.pause_job if job.paused else self._client.resume_job
                change(name=found.name, timeout=REQUEST_TIMEOUT_SECONDS)

    def delete(self, name: str) -> None:
        from google.api_core.exceptions import NotFound

        with _unavailable():
            try:
                self._client.delete_job(name=self._name(name), timeout=REQUEST_TIMEOUT_SECONDS)
            except NotFound:
                return

    def jobs(self, prefix: str) -> list[Job]:
        with _unavailable():
            found = list(self._client.list_jobs(parent=self._parent, timeout=REQUEST_TIMEOUT_SECONDS))
        ours = [job for job in found if job.name.startswith(self._name(prefix)) and "pubsub_target" in job]
        return sorted((self._read(job) for job in ours if job.state != job.State.UPDATE_FAILED), key=lambda job: job.name)

    def _update(self, job: Job) -> _Job | None:
        """None where there is none."""
        from google.api_core.exceptions import NotFound

        request = {"job": self._written(job), "update_mask": {"paths": CHANGED}}
        try:
            return self._client.update_job(request, timeout=REQUEST_TIMEOUT_SECONDS)
        except NotFound:
            return None

    def _create(self, job: Job) -> _Job | None:
        """None where somebody else was faster."""
        from google.api_core.exceptions import AlreadyExists

        request = {"parent": self._parent, "job": self._written(job)}
        try:
            return self._client.create_job(request, timeout=REQUEST_TIMEOUT_SECONDS)
        except AlreadyExists:
            return None

    def _written(self, job: Job) -> _Job:
        from google.cloud.scheduler_v1.types import Job as Written

        return Written(
            name=self._name(job.name),
            description=job.description,
            schedule=job.schedule,
            time_zone=job.timezone,
            pubsub_target={"topic_name": self._topics + job.message.topic, "data": job.message.data},
            retry_config={"retry_count": RETRIES},
        )

    def _name(self, name: str) -> str:
        return self._jobs + name

    def _read(self, job: _Job) -> Job:
        message = Outgoing(job.pubsub_target.topic_name.removeprefix(self._topics), job.pubsub_target.data)
        name = job.name.removeprefix(self._jobs)
        return Job(name, job.schedule, job.time_zone, message, job.description, job.state == job.State.PAUSED)


def _emulator(host: str) -> Any:
    import grpc
    from google.cloud.scheduler_v1.services.cloud_scheduler.transports import CloudSchedulerGrpcTransport

    # A proxy of the environment is not for loopback.
    return CloudSchedulerGrpcTransport(channel=grpc.insecure_channel(host, options=[("grpc.enable_http_proxy", 0)]))


@contextmanager
def _unavailable() -> Iterator[None]:
    """The one place where a failure becomes ours; what is no passing failure is a bug and stays as it is."""
    from google.api_core.exceptions import Aborted, Cancelled, ResourceExhausted, RetryError, ServerError

    try:
        yield
    except (Aborted, Cancelled, ResourceExhausted, RetryError, ServerError) as error:
        raise Unavailable(f"Cloud Scheduler: {error}") from error
