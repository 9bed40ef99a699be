"""Bodies of push requests: real ones from files, and the ones that are no envelope."""

from __future__ import annotations

from pathlib import Path

PAYLOADS = Path(__file__).parent / "payloads"

NO_ENVELOPE: dict[str, bytes] = {
    "empty": b"",
    "text": b"hello",
    "cut off": b'{"message": {"data": "',
    "bytes": b"\x00\xff\xfe",
    "null": b"null",
    "list": b'[{"message": {}}]',
    "text in quotes": b'"message"',
    "no message": b"{}",
    "message null": b'{"message": null}',
    "message list": b'{"message": []}',
    "message text": b'{"message": "aGVsbG8="}',
    "data null": b'{"message": {"data": null}}',
    "data number": b'{"message": {"data": 5}}',
    "data object": b'{"message": {"data": {"v": 1}}}',
    "data long number": b'{"message": {"data": ' + b"1" * 4_000 + b"}}",
    "data no base64": b'{"message": {"data": "%%%"}}',
    "data cut off": b'{"message": {"data": "aGVsbG8"}}',
    "data beyond ASCII": '{"message": {"data": "é"}}'.encode(),
    "data half a surrogate pair": b'{"message": {"data": "\\ud800"}}',
    "a log entry without an envelope": b'{"jsonPayload": {"metadata": {"support_journey": true}}}',
    "100,000 brackets": b"[" * 100_000,
    "100,000 brackets in a message": b'{"message": ' + b"[" * 100_000,
    "a number of 5,000 digits": b'{"message": ' + b"1" * 5_000 + b"}",
    "20 MB": b'{"message": {"data": "' + b"A" * 20_000_000 + b'"}}',
}


def payload_file(name: str) -> bytes:
    """A whole body as it was sent."""
    return (PAYLOADS / f"{name}.json").read_bytes()
