"""Firestore's requests say what those of Google's own client say, and are repeated as long as nobody answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import grpc
import pytest
from google.api_core.exceptions import PermissionDenied
from google.cloud.firestore_v1 import types
from google.cloud.firestore_v1.services.firestore import FirestoreClient

from sojourn.adapters.firestore_channel import REQUEST_TIMEOUT_SECONDS, Requests, emulator_transport

DATABASE = "projects/a shop/databases/(default)"
BY_DATABASE, BY_PARENT = {"database": DATABASE}, {"parent": f"{DATABASE}/documents"}
METHODS: Mapping[str, tuple[str, Any, dict[str, str]]] = MappingProxyType(
    {
        "commit": ("Commit", types.CommitRequest, BY_DATABASE),
        "batch_write": ("BatchWrite", types.BatchWriteRequest, BY_DATABASE),
        "batch_get_documents": ("BatchGetDocuments", types.BatchGetDocumentsRequest, BY_DATABASE),
        "run_query": ("RunQuery", types.RunQueryRequest, BY_PARENT),
        "run_aggregation_query": ("RunAggregationQuery", types.RunAggregationQueryRequest, BY_PARENT),
    }
)


@dataclass
class Server(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Keeps the method, the message and the routing of each call, and answers nothing, or first with `refusals`."""

    calls: list[tuple[str, bytes, str]] = field(default_factory=list)
    refusals: list[grpc.StatusCode] = field(default_factory=list)
    host: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Of the last call, as is the time that it has."""
    seconds_left: float = 0.0

    def service(self, handler_call_details: Any) -> Any:
        method = handler_call_details.method
        streams = method.endswith(("BatchGetDocuments", "RunQuery", "RunAggregationQuery"))
        make = grpc.unary_stream_rpc_method_handler if streams else grpc.unary_unary_rpc_method_handler
        return make(lambda message, context: self._answer(method, message, context, [] if streams else b""))

    def _answer(self, method: str, message: bytes, context: Any, empty: Any) -> Any:
        self.metadata, self.seconds_left = dict(context.invocation_metadata()), context.time_remaining()
        self.calls.append((method, message, self.metadata.get("x-goog-request-params", "")))
        if self.refusals:
            context.abort(self.refusals.pop(0), "not now")
        return iter(empty) if isinstance(empty, list) else empty


@pytest.fixture
def server() -> Iterator[Server]:
    handler = Server()
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers([handler])
    handler.host = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield handler
    server.stop(None).wait(10)


@pytest.fixture
def requests(server: Server) -> Iterator[Requests]:
    requests = Requests(emulator_transport(server.host), DATABASE)
    yield requests
    requests.close()


def answered(call: Callable[[Any], Any], request: Any) -> None:
    """Make the call, and read what it streams."""
    answer = call(request)
    if hasattr(answer, "__iter__"):
        assert list(answer) == []


@pytest.mark.parametrize("name", METHODS)
def test_method_message_and_routing_are_those_of_googles_client(name: str, server: Server, requests: Requests) -> None:
    method, request, names = METHODS[name]
    answered(getattr(requests, name), request.pb()(**names))
    with FirestoreClient(transport=emulator_transport(server.host)) as client:
        answered(getattr(client, name), request(**names))
    ours, theirs = server.calls
    assert ours == theirs
    assert ours[0] == f"/google.firestore.v1.Firestore/{method}"
    assert "%28default%29" in ours[2]


@pytest.mark.parametrize("name", METHODS)
def test_who_is_not_there_is_asked_again_and_who_refuses_is_not(name: str, server: Server, requests: Requests) -> None:
    request = METHODS[name][1].pb()()
    server.refusals += [grpc.StatusCode.UNAVAILABLE]
    answered(getattr(requests, name), request)
    assert len(server.calls) == 2
    server.refusals += [grpc.StatusCode.PERMISSION_DENIED]
    with pytest.raises(PermissionDenied):
        answered(getattr(requests, name), request)
    assert len(server.calls) == 3


def test_a_request_has_a_deadline_and_what_goes_with_all_goes_with_it(server: Server) -> None:
    requests = Requests(emulator_transport(server.host), DATABASE, metadata=[("authorization", "Bearer owner")])
    requests.commit(types.CommitRequest.pb()())
    requests.close()
    assert 0 < server.seconds_left < REQUEST_TIMEOUT_SECONDS + 1  # it is rounded up
    assert server.metadata["authorization"] == "Bearer owner"
