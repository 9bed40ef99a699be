"""Commits as requests to Firestore: writes with their preconditions, as many in one request as it takes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from google.cloud.firestore_v1 import types

from sojourn.adapters.firestore_codec import encode, encode_changes
from sojourn.application.records import Create, Delete, Update, Write

MAX_WRITES = 100
MAX_REQUEST_BYTES = 3_500_000
"""Firestore takes 10 MiB in a request, its emulator 4; a document is at most 1 MiB (https://cloud.google.com/firestore/quotas)."""

_log = logging.getLogger(__name__)

Message: TypeAlias = Any
"""A bare protobuf message; `types` holds the library's slower wrappers of them."""
Batch: TypeAlias = list[tuple[int, list[Message]]]
"""Commits of one request, each with its place in the answer."""


def message_of(write: Write, name: str) -> Message:
    """A write of the document of that full name. An update with `before` says what changed, and no more."""
    if isinstance(write, Delete):
        message = types.Write.pb()(delete=name)
    else:
        message = types.Write.pb()(update={"name": name})
        if isinstance(write, Update) and write.before is not None:
            changed = encode_changes(write.record, write.before, message.update.fields)
            message.update_mask.field_paths.extend(changed)
        else:
            encode(write.record, message.update.fields)
    if isinstance(write, Create):
        message.current_document.exists = False
    else:
        message.current_document.update_time.FromNanoseconds(write.version)
    return message


def batches(commits: Sequence[list[Message]]) -> Iterator[Batch]:
    """Single writes together, as many as a request takes; every other commit alone; none that no request takes."""
    batch: Batch = []
    size = 0
    for index, writes in enumerate(commits):
        own_size = sum(write.ByteSize() for write in writes)
        if own_size > MAX_REQUEST_BYTES:
            _log.warning("%s: %d bytes", writes[0].update.name, own_size)
        elif len(writes) > 1:
            yield [(index, writes)]
        else:
            if len(batch) == MAX_WRITES or size + own_size > MAX_REQUEST_BYTES:
                yield batch
                batch, size = [], 0
            batch.append((index, writes))
            size += own_size
    if batch:
        yield batch
