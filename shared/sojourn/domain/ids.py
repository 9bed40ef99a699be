"""Identifiers: hashes of what they stand for, so that making the same thing twice finds the first one.

Sequential ids would also make one Firestore key range hot (Google's best practices), hashes spread.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from functools import lru_cache

ID_LENGTH = 26
"""Characters of an id: 130 bits of a sha256 in lower-case base32."""
_ID_BYTES = 20
"""The least multiple of base32's five bytes that gives as many characters."""


MAX_KEYS = 4_096
"""Members whose ids a process has at hand: that of an event is asked for again and again."""


def digest(*parts: str | int) -> bytes:
    """The sha256 of what `parts` name. Each is prefixed with its length, so that ("ab", "c") and ("a", "bc") differ."""
    encoded = [str(part).encode("utf-8", "surrogatepass") for part in parts]
    return hashlib.sha256(b"".join(b"%d:%b" % (len(part), part) for part in encoded)).digest()


def derived_id(*parts: str | int) -> str:
    """The id of what `parts` name."""
    return base64.b32encode(digest(*parts)[:_ID_BYTES]).decode("ascii")[:ID_LENGTH].lower()


@lru_cache(maxsize=MAX_KEYS)
def member_key(bot_id: str, member_id: str) -> str:
    """The id of a member: `member_id` is unique only within its bot."""
    return derived_id("member", bot_id, member_id)


def progress_id(bot_id: str, journey_id: str, member_id: str, entry_key: str) -> str:
    """The id of one passage of a member through a journey (design, section 4): entering twice is creating it twice."""
    return derived_id("progress", bot_id, journey_id, member_id, entry_key)


def effect_id(progress_id: str, node_id: str, visit: int, slot: int = 0) -> str:
    """The id of an effect, and its idempotency key. `visit` lets a loop send again; `slot` numbers the effects of one visit."""
    return derived_id("effect", progress_id, node_id, visit, slot)


def fraction(*parts: str | int) -> float:
    """A number in [0, 1) that depends on `parts` alone: the dice of splits, the same on every retry."""
    hashed = hashlib.sha256("\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(hashed[:6], "big") / (1 << 48)


def jitter(identifier: str) -> float:
    """A cheaper number in [0, 1), where only spreading matters."""
    return zlib.crc32(identifier.encode("utf-8")) / (1 << 32)


def shard_of(identifier: str, shards: int) -> int:
    """The shard in [0, shards) that sweeps `identifier`."""
    return zlib.crc32(identifier.encode("utf-8")) % shards
