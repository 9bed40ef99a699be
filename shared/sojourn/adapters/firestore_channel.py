"""The connection to Firestore, Google's or an emulator's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport

_IN_ONE_THREAD = ("SingleThreadedUnaryStream", 1)
"""Otherwise gRPC hands each document of an answer from a thread of its own to ours, which costs about as much CPU as to decode
it (`grpc.experimental.ChannelOptions`)."""


def google_transport() -> FirestoreGrpcTransport:
    """To Google, with the credentials of the environment."""

    def channel(host: str, *, options: Sequence[tuple[str, object]], **credentials: Any) -> grpc.Channel:
        return FirestoreGrpcTransport.create_channel(host, options=[*options, _IN_ONE_THREAD], **credentials)

    return FirestoreGrpcTransport(channel=channel)


def emulator_transport(host: str) -> FirestoreGrpcTransport:
    """To an emulator. A proxy of the environment is not for loopback; answers are not bounded by gRPC's 4 MiB."""
    options = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1), _IN_ONE_THREAD]
    return FirestoreGrpcTransport(channel=grpc.insecure_channel(host, options=options))
