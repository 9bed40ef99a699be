"""The connection to Firestore, Google's or an emulator's, and the requests that go over it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import grpc
from google.api_core.exceptions import ServiceUnavailable
from google.api_core.gapic_v1.routing_header import to_grpc_metadata
from google.api_core.grpc_helpers import wrap_errors
from google.api_core.retry import Retry, if_exception_type
from google.cloud.firestore_v1 import types
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport

REQUEST_TIMEOUT_SECONDS = 8.0
"""For an attempt, and after which no other one begins; several fit into a function's 60 s."""

_RETRY = Retry(predicate=if_exception_type(ServiceUnavailable), initial=0.1, maximum=1.0, timeout=REQUEST_TIMEOUT_SECONDS)
_IN_ONE_THREAD = ("SingleThreadedUnaryStream", 1)
"""Otherwise gRPC hands each document of an answer from a thread of its own to ours, which costs about as much CPU as to decode
it (`grpc.experimental.ChannelOptions`)."""


Metadata: TypeAlias = Sequence[tuple[str, str]]


class Requests:
    """Firestore's methods, from a bare protobuf message to another or to a stream of them. They raise GoogleAPICallError.

    Transport, errors, repeats and routing are the client library's. Its methods are not used: they wrap themselves anew for
    every call and every message, which was a tenth of a pushed hop (`infra/decisions/015-batches.md`).
    """

    def __init__(self, transport: FirestoreGrpcTransport, database: str, *, metadata: Metadata = ()) -> None:
        self.close: Callable[[], None] = transport.close
        channel, parent = transport.grpc_channel, f"{database}/documents"
        by_database, by_parent = (
            (*metadata, to_grpc_metadata([named])) for named in (("database", database), ("parent", parent))
        )
        one, many = partial(_method, channel.unary_unary), partial(_method, channel.unary_stream)
        self.commit = one("Commit", types.CommitResponse, by_database)
        self.batch_write = one("BatchWrite", types.BatchWriteResponse, by_database)
        self.batch_get_documents = many("BatchGetDocuments", types.BatchGetDocumentsResponse, by_database)
        self.run_query = many("RunQuery", types.RunQueryResponse, by_parent)
        self.run_aggregation_query = many("RunAggregationQuery", types.RunAggregationQueryResponse, by_parent)


def _method(make: Callable[..., Any], name: str, answer: Any, metadata: Metadata) -> Callable[[Any], Any]:
    call = make(
        f"/google.firestore.v1.Firestore/{name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=answer.pb().FromString,
    )
    return partial(_RETRY(wrap_errors(call)), timeout=REQUEST_TIMEOUT_SECONDS, metadata=metadata)


def google_transport() -> FirestoreGrpcTransport:
    """To Google, with the credentials of the environment."""

    def channel(host: str, *, options: Sequence[tuple[str, object]], **credentials: Any) -> grpc.Channel:
        return FirestoreGrpcTransport.create_channel(host, options=[*options, _IN_ONE_THREAD], **credentials)

    return FirestoreGrpcTransport(channel=channel)


def emulator_transport(host: str) -> FirestoreGrpcTransport:
    """To an emulator. A proxy of the environment is not for loopback; answers are not bounded by gRPC's 4 MiB."""
    options = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1), _IN_ONE_THREAD]
    return FirestoreGrpcTransport(channel=grpc.insecure_channel(host, options=options))
