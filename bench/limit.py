"""A hop against the limit: a worker's hops a second beside bare loops that do only the calls that cannot be avoided.

::

    pull 100 ─▶ get 100 documents ─▶ BatchWrite of 100, each with the precondition of its update time ─▶ acknowledge 100

Same emulators, same documents, one process and one thread. *client*: documents become dictionaries and back, as the client
library reads and writes them. *protobuf*: nothing is decoded; whoever does less than that reads no document. The hop is the
reference journey's first, from the entry over a branch into the wait: one read, one write, nothing to publish.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from time import perf_counter
from typing import Any

import grpc
from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore import Client
from google.cloud.firestore_v1 import _helpers, types
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import AcknowledgeRequest, PubsubMessage, PullRequest, PullResponse
from google.rpc import code_pb2

from bench.figure import Figure, figure
from bench.local import Bench, only, running
from bench.reference import log_line
from sojourn.adapters.memory import MemoryPublisher
from sojourn.adapters.pubsub_subscription import emulator_channel
from sojourn.application.ingest import ingest
from sojourn.application.messages import RUNS_TOPIC, RunMessage

HOPS, QUICK_HOPS, WARM_HOPS = 4_000, 400, 1_000
BATCH = 100
TARGET_RATIO, TARGET_PER_SECOND = 0.7, 1_400
OWNER = (("authorization", "Bearer owner"),)


def measure(runs: int, quick: bool) -> Iterable[Figure]:
    """Raises EmulatorsMissing."""
    hops, ours, client, protobuf = QUICK_HOPS if quick else HOPS, list[float](), list[float](), list[float]()
    used = defaultdict[str, list[float]](list)
    for run in range(runs):
        with running(only("run_journey").pulled("run_journey")) as bench, _bare(bench) as bare:
            for warm, count in ((True, WARM_HOPS), (False, hops)):
                first = run * 10_000_000 + (0 if warm else 1_000_000)
                by_client = bare.by_client(entered(bench, count, first=first))
                data = entered(bench, count, first=first + 100_000)
                before = bench.cpu_seconds()
                by_worker = count / bench.seconds(RUNS_TOPIC, data)
                after = bench.cpu_seconds()
                by_protobuf = bare.by_protobuf(entered(bench, count, first=first + 200_000))
                if not warm:
                    for samples, rate in ((client, by_client), (ours, by_worker), (protobuf, by_protobuf)):
                        samples.append(rate)
                    for name, seconds in after.items():
                        used[name].append((seconds - before[name]) / count * 1e6)
    yield figure("limit", "worker, hops", ours, "/s", least=TARGET_PER_SECOND)
    yield figure("limit", "bare loop, client library's dictionaries", client, "/s")
    yield figure("limit", "bare loop, protobuf not decoded", protobuf, "/s")
    for words, samples in (("of dictionaries", client), ("that decodes nothing", protobuf)):
        ratios = [own / other for own, other in zip(ours, samples, strict=True)]
        yield figure("limit", f"worker to the bare loop {words}", ratios, "", least=TARGET_RATIO)
    for name, microseconds in used.items():
        yield figure("limit", f"CPU a hop of {name}", microseconds, "µs")


def entered(bench: Bench, count: int, *, first: int) -> list[bytes]:
    """The run messages of so many members who just entered."""
    caught = MemoryPublisher()
    shop = replace(bench.shop, publisher=caught)
    for start in range(first, first + count, BATCH):
        ingest(shop, [log_line(number) for number in range(start, min(start + BATCH, first + count))])
    return caught.take(RUNS_TOPIC)


class _Bare:
    """The loops, over clients of their own."""

    def __init__(self, project: str, firestore: Client, pubsub: grpc.Channel) -> None:
        self._client, self._api = firestore, firestore._firestore_api
        self._database, self._documents = firestore._database_string, f"{firestore._database_string}/documents"
        self._publisher = PublisherClient(transport=PublisherGrpcTransport(channel=pubsub))
        self._subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=pubsub))
        self._topic, self._subscription = f"projects/{project}/topics/bare", f"projects/{project}/subscriptions/bare"
        self._publisher.create_topic(name=self._topic)
        self._subscriber.create_subscription(name=self._subscription, topic=self._topic)

    def by_client(self, data: Sequence[bytes]) -> float:
        """Hops a second, by dictionaries."""
        return self._loop(data, self._hop_by_client)

    def by_protobuf(self, data: Sequence[bytes]) -> float:
        """Hops a second, with documents as they come."""
        return self._loop(data, self._hop_by_protobuf)

    def _loop(self, data: Sequence[bytes], hop: Any) -> float:
        for start in range(0, len(data), BATCH):
            messages = [PubsubMessage(data=each) for each in data[start : start + BATCH]]
            self._publisher.publish(topic=self._topic, messages=messages)
        done, begin = 0, perf_counter()
        while done < len(data):
            request = PullRequest(subscription=self._subscription, max_messages=BATCH)
            received = PullResponse.pb(self._subscriber.pull(request)).received_messages
            ids = [RunMessage.model_validate_json(each.message.data).progress_id for each in received]
            if ids:
                hop(ids)
                ack_ids = [each.ack_id for each in received]
                self._subscriber.acknowledge(AcknowledgeRequest(subscription=self._subscription, ack_ids=ack_ids))
            done += len(ids)
        return done / (perf_counter() - begin)

    def _hop_by_client(self, ids: Sequence[str]) -> None:
        writes = []
        for snapshot in self._client.get_all([self._client.collection("progress").document(each) for each in ids]):
            fields = snapshot.to_dict() | {"rev": 2, "token": "another"}
            document = types.Document(name=f"{self._documents}/progress/{snapshot.id}", fields=_helpers.encode_dict(fields))
            writes.append(types.Write(update=document, current_document={"update_time": snapshot.update_time}))
        self._write(types.BatchWriteRequest(database=self._database, writes=writes), len(ids))

    def _hop_by_protobuf(self, ids: Sequence[str]) -> None:
        names = [f"{self._documents}/progress/{each}" for each in ids]
        request = types.BatchGetDocumentsRequest(database=self._database, documents=names)
        batch = types.BatchWriteRequest.pb()(database=self._database)
        for answer in self._api.batch_get_documents(request, metadata=OWNER):
            write = batch.writes.add()
            write.update.CopyFrom(answer._pb.found)
            write.current_document.update_time.CopyFrom(write.update.update_time)
            write.update.fields["token"].string_value = "another"
        self._write(types.BatchWriteRequest.wrap(batch), len(ids))

    def _write(self, request: types.BatchWriteRequest, count: int) -> None:
        answer = self._api.batch_write(request, metadata=OWNER)
        assert [status.code for status in answer._pb.status] == [code_pb2.OK] * count


@contextmanager
def _bare(bench: Bench) -> Iterator[_Bare]:
    addresses = bench.cloud.addresses
    firestore = Client(project=addresses.project, credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]
    transport = FirestoreGrpcTransport(channel=emulator_channel(addresses.firestore_emulator_host))
    firestore._firestore_api_internal = FirestoreClient(transport=transport)  # or it looks for the host in the environment
    with emulator_channel(addresses.pubsub_emulator_host) as channel:
        yield _Bare(addresses.project, firestore, channel)
    firestore.close()
