"""Google's own client, connected to an emulator: it knows no environment variable for one."""

from __future__ import annotations

import grpc
from google.cloud.scheduler_v1 import CloudSchedulerClient
from google.cloud.scheduler_v1.services.cloud_scheduler.transports import CloudSchedulerGrpcTransport


def connect(host: str) -> CloudSchedulerClient:
    """A client for the emulator at host:port, without credentials. A context manager, which closes the channel."""
    # A proxy of the environment is not for loopback.
    channel = grpc.insecure_channel(host, options=[("grpc.enable_http_proxy", 0)])
    return CloudSchedulerClient(transport=CloudSchedulerGrpcTransport(channel=channel))
