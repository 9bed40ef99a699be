"""The gRPC server of google.cloud.scheduler.v1.CloudScheduler that Google's own client talks to.

The installed package has the messages but no servicer, so the handlers are made here. What is not here, such as the
methods for locations and for encryption keys, gRPC itself answers with UNIMPLEMENTED.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Self

import grpc
from google.cloud.scheduler_v1 import types
from google.protobuf.empty_pb2 import Empty

from emulator.scheduler.engine import Clock, Engine, real_time
from emulator.scheduler.errors import Refused
from emulator.scheduler.jobs import Jobs
from emulator.scheduler.targets import Publish, Targets

SERVICE = "google.cloud.scheduler.v1.CloudScheduler"
LOOPBACK = "127.0.0.1"
CALL_THREADS = 8
STOP_GRACE_SECONDS = 1.0
MAX_REFUSAL_CHARACTERS = 1000
"""A text goes in the trailers, which clients take up to 8 KB of; refusals quote what they were sent."""


class SchedulerEmulator:
    """Cloud Scheduler between `start` and `stop`, or inside a `with`; there is none after a stop.

    Without a clock it runs jobs by itself, in real time. With one it does nothing until `run_due` is called: whoever
    moves the clock says when.
    """

    def __init__(
        self, publish: Publish, *, port: int = 0, bind: str = LOOPBACK, project: str | None = None, clock: Clock | None = None
    ) -> None:
        """A free port if none is asked for; jobs of any project if none is named. Raises RuntimeError if the port is taken."""
        self._targets = Targets(publish)
        self._runs_itself = clock is None
        self._engine = Engine(Jobs(project=project), send=self._targets.send, clock=clock or real_time)
        # Two emulators on one port would each get some of the calls.
        self._server = grpc.server(ThreadPoolExecutor(CALL_THREADS), options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers([_handler(self._engine)])
        self.host = f"{bind}:{self._server.add_insecure_port(f'{bind}:{port}')}"

    def start(self) -> None:
        """Answer calls, and run jobs unless there is a clock to wait for."""
        self._server.start()
        if self._runs_itself:
            self._engine.start()

    def stop(self) -> None:
        """Give the port back; every job is gone."""
        self._engine.stop()
        self._server.stop(STOP_GRACE_SECONDS).wait()
        self._targets.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def next_due(self) -> datetime | None:
        """When the next attempt is due, UTC; None if none is to come."""
        return self._engine.next_due()

    def run_due(self) -> int:
        """Send what is due by the clock and wait for the answers; how many attempts there were.

        A retry, and a start that was due while its job was in flight, are for a later call.
        """
        return self._engine.run_due()


class _Calls:
    """One method for each of the service, from its bare request to its bare response."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create_job(self, request: Any) -> Any:
        with self._engine.changing() as jobs:
            return jobs.create(request.parent, request.job, now=self._engine.clock())

    def get_job(self, request: Any) -> Any:
        with self._engine.changing() as jobs:
            return jobs.get(request.name)

    def list_jobs(self, request: Any) -> Any:
        with self._engine.changing() as jobs:
            page, token = jobs.page(request.parent, size=request.page_size, token=request.page_token)
        return types.ListJobsResponse.pb()(jobs=page, next_page_token=token)

    def update_job(self, request: Any) -> Any:
        with self._engine.changing() as jobs:
            return jobs.update(request.job, request.update_mask, now=self._engine.clock())

    def delete_job(self, request: Any) -> Any:
        with self._engine.changing() as jobs:
            jobs.delete(request.name)
        return Empty()

    def pause_job(self, request: Any) -> Any:
        with self._engine.changing() as jobs:
            return jobs.pause(request.name)

    def resume_job(self, request: Any) -> Any:
        with self._engine.changing() as jobs:
            return jobs.resume(request.name, now=self._engine.clock())

    def run_job(self, request: Any) -> Any:
        with self._engine.changing() as jobs:
            return jobs.force(request.name, now=self._engine.clock())


def _handler(engine: Engine) -> grpc.GenericRpcHandler:
    calls = _Calls(engine)
    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            "CreateJob": _method(calls.create_job, types.CreateJobRequest),
            "GetJob": _method(calls.get_job, types.GetJobRequest),
            "ListJobs": _method(calls.list_jobs, types.ListJobsRequest),
            "UpdateJob": _method(calls.update_job, types.UpdateJobRequest),
            "DeleteJob": _method(calls.delete_job, types.DeleteJobRequest),
            "PauseJob": _method(calls.pause_job, types.PauseJobRequest),
            "ResumeJob": _method(calls.resume_job, types.ResumeJobRequest),
            "RunJob": _method(calls.run_job, types.RunJobRequest),
        },
    )


def _method(call: Callable[[Any], Any], request_type: Any) -> grpc.RpcMethodHandler:
    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return call(request)
        except Refused as refused:
            return context.abort(refused.code, str(refused)[:MAX_REFUSAL_CHARACTERS])

    return grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=request_type.pb().FromString,
        response_serializer=lambda response: response.SerializeToString(),
    )
