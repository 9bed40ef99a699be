"""Spans: off by default, and where they are on, the ones that log lines and messages have named already."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent import futures
from dataclasses import replace
from datetime import timedelta

import grpc
import pytest
from google.cloud.trace_v2 import BatchWriteSpansRequest, TraceServiceClient
from google.cloud.trace_v2.services.trace_service.transports import TraceServiceGrpcTransport
from google.protobuf.empty_pb2 import Empty
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, format_span_id, format_trace_id

from emulator.functions_table import REPOSITORY, load_functions_table
from emulator.in_process import InProcessCloud, call, load_functions
from sojourn.adapters.cloud_trace import OpenTelemetrySpans, cloud_trace_spans
from sojourn.application.ingest import ingest
from sojourn.application.lifecycle import publish_journey
from sojourn.application.messages import EFFECTS_TOPIC, EVENTS_TOPIC, RUNS_TOPIC
from sojourn.application.ports import Span
from sojourn.domain.errors import SettingsInvalid
from sojourn.domain.progress import Progress
from sojourn.domain.trace import TraceContext
from sojourn.runtime.application import install, tracing
from sojourn.runtime.envelope import push_body
from sojourn.runtime.log import Fields, listening
from sojourn.runtime.settings import Settings, read_settings
from sojourn.runtime.summary import NAMES
from sojourn.runtime.tracing import Tracing, compose_tracing
from tests.builders import JOURNEY, MEMBER, START, definition, log, send

OWN = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
SPAN = Span(
    "perform", OWN, None, START, START + timedelta(milliseconds=1), failed=False, attributes={"sojourn.outcome": "done"}
)


class Traced:
    """A cloud in memory whose invocations are spans."""

    def __init__(self, cloud: InProcessCloud) -> None:
        self.cloud, self.lines, self._exporter = cloud, list[Fields](), InMemorySpanExporter()
        self.taker = OpenTelemetrySpans(self._exporter)
        install(cloud.memory.shop, traced=Tracing("shop", self.taker))

    def spans(self) -> tuple[ReadableSpan, ...]:
        self.taker.close()
        return self._exporter.get_finished_spans()


@pytest.fixture
def traced() -> Iterator[Traced]:
    with InProcessCloud(START) as cloud:
        found = Traced(cloud)
        with listening(found.lines.append):
            yield found


def ids(span: ReadableSpan) -> tuple[str, str]:
    context = span.get_span_context()
    assert context is not None
    return format_trace_id(context.trace_id), format_span_id(context.span_id)


def test_nothing_is_shown_unless_it_is_asked_for() -> None:
    assert compose_tracing(Settings()) == Tracing("sojourn-local", None)
    assert read_settings({"SOJOURN_TRACING": "google"}).tracing == "google"
    with pytest.raises(SettingsInvalid, match=r"^environment variable SOJOURN_TRACING: "):
        read_settings({"SOJOURN_TRACING": "on"})


def test_how_a_process_traces_is_composed_once_and_anew_after_another_was_put_in_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(None)
    assert tracing() is tracing() == Tracing("sojourn-local")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "shop")
    install(None)
    assert tracing().project == "shop"
    install(None)


def test_each_invocation_of_a_member_is_a_span_below_the_one_that_caused_it(traced: Traced) -> None:
    publish_journey(traced.cloud.memory.shop, definition([send()]))
    traced.cloud.publish(EVENTS_TOPIC, [log()])
    (progress,) = traced.cloud.memory.store.scan(Progress)
    spans = traced.spans()
    assert [span.name for span in spans] == ["ingest", "run_journey", "perform"]
    assert [ids(span)[0] for span in spans] == [progress.trace_id] * 3
    assert [ids(span)[1] for span in spans] == [line[NAMES.span] for line in traced.lines]
    assert [span.parent and format_span_id(span.parent.span_id) for span in spans] == [None, ids(spans[0])[1], ids(spans[1])[1]]


def test_a_span_says_outcome_and_journey_and_nothing_of_the_member(traced: Traced) -> None:
    publish_journey(traced.cloud.memory.shop, definition([send(message="Dear {{ trigger.data.text }}")]))
    traced.cloud.publish(EVENTS_TOPIC, [log(text="Canary")])
    spans = traced.spans()
    assert [dict(span.attributes or {}) for span in spans] == [
        {"sojourn.status": 204, "sojourn.outcome": "taken"},
        {"sojourn.status": 204, "sojourn.outcome": "advanced", "sojourn.journey_id": JOURNEY},
        {"sojourn.status": 204, "sojourn.outcome": "done", "sojourn.journey_id": JOURNEY},
    ]
    told = "".join(span.to_json() for span in spans)
    assert [word for word in (MEMBER, "Canary") if word in told] == []


def test_a_signal_leads_to_a_span_in_the_member_s_trace_with_a_link_to_the_other(traced: Traced) -> None:
    publish_journey(traced.cloud.memory.shop, definition([send()], exit_events=[{"event": "left"}]))
    traced.cloud.publish(EVENTS_TOPIC, [log()])
    (progress,) = traced.cloud.memory.store.scan(Progress)
    run = load_functions(load_functions_table())[RUNS_TOPIC][1]
    call(run, push_body(b'{"v":1,"progress_id":"%s"}' % progress.id.encode(), attributes={"traceparent": OWN.traceparent}))
    *_, last = traced.spans()
    assert (ids(last)[0], last.parent) == (progress.trace_id, None)
    assert [format_span_id(link.context.span_id) for link in last.links] == [OWN.span_id]


def test_an_invocation_that_fails_is_a_span_that_says_how_in_the_trace_of_its_message(traced: Traced) -> None:
    shop = traced.cloud.memory.shop
    install(replace(shop, catalog=None), traced=Tracing("shop", traced.taker))  # type: ignore[arg-type]  # a bug
    publish_journey(shop, definition([send()]))
    ingest(shop, [log()])
    (run,) = traced.cloud.memory.publisher.take_messages(RUNS_TOPIC)
    assert call(load_functions(load_functions_table())[RUNS_TOPIC][1], push_body(run.data, attributes=run.attributes))[1] == 500
    (span,) = traced.spans()
    assert (ids(span)[0], span.status.status_code) == (run.trace_id, StatusCode.ERROR)
    assert dict(span.attributes or {}) == {"sojourn.status": 500, "sojourn.outcome": "AttributeError"}


def test_what_is_about_nobody_is_no_span(traced: Traced) -> None:
    traced.cloud.publish("journey-sweeps", [b"{}"])
    call(load_functions(load_functions_table())[EFFECTS_TOPIC][1], b"?")
    assert (len(traced.lines), traced.spans()) == (2, ())


def test_spans_have_the_times_and_the_status_of_what_happened() -> None:
    exporter = InMemorySpanExporter()
    spans = OpenTelemetrySpans(exporter)
    spans.record(SPAN)
    spans.record(replace(SPAN, failed=True, parent=TraceContext(OWN.trace_id, "1" * 16)))
    spans.close()
    good, bad = exporter.get_finished_spans()
    assert (good.start_time, good.end_time) == (1_772_442_000 * 10**9, 1_772_442_000 * 10**9 + 10**6)
    assert (good.status.status_code, bad.status.status_code) == (StatusCode.UNSET, StatusCode.ERROR)


class CloudTrace(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Takes spans, as Cloud Trace does."""

    def __init__(self) -> None:
        self.requests: list[BatchWriteSpansRequest] = []

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        assert details.method == "/google.devtools.cloudtrace.v2.TraceService/BatchWriteSpans"
        return grpc.unary_unary_rpc_method_handler(
            self._write, BatchWriteSpansRequest.deserialize, lambda answer: answer.SerializeToString()
        )

    def _write(self, request: BatchWriteSpansRequest, context: grpc.ServicerContext) -> Empty:
        self.requests.append(request)
        return Empty()


@pytest.mark.filterwarnings("ignore:Deprecated since version 1.4.0:DeprecationWarning")  # the exporter's own affair
def test_cloud_trace_gets_them_by_the_project_s_names() -> None:
    service, server = CloudTrace(), grpc.server(futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_http_proxy", 0)])
    client = TraceServiceClient(transport=TraceServiceGrpcTransport(channel=channel))
    with pytest.warns(DeprecationWarning, match="CloudTraceSpanExporter"):
        spans = cloud_trace_spans("shop", client=client)
    spans.record(SPAN)
    spans.close()
    channel.close()
    server.stop(None).wait()
    (request,) = service.requests
    (sent,) = request.spans
    assert (request.name, sent.name) == ("projects/shop", f"projects/shop/traces/{OWN.trace_id}/spans/{OWN.span_id}")
    assert (sent.display_name.value, sent.attributes.attribute_map["sojourn.outcome"].string_value.value) == ("perform", "done")


def test_opentelemetry_is_not_loaded_before_it_is_used() -> None:
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from sojourn.runtime import respond
from sojourn.runtime.api import app
from sojourn.runtime.application import tracing
tracing()
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(REPOSITORY / "shared")], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
