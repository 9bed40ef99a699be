"""The member: what is known of a person, beside any journey."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sojourn.domain.event import JsonObject
from sojourn.domain.ids import member_key


@dataclass(frozen=True, slots=True)
class Member:
    """`members/{member_key}`: attributes for conditions and messages, the time zone (IANA), addresses by channel."""

    bot_id: str
    member_id: str
    attributes: JsonObject
    timezone: str | None
    locale: str | None
    addresses: JsonObject
    rev: int
    token: str
    updated_at: datetime

    @property
    def id(self) -> str:
        """The id of the document."""
        return member_key(self.bot_id, self.member_id)

    def variables(self) -> dict[str, object]:
        """What expressions see as `member`."""
        return {"id": self.member_id, "attributes": self.attributes, "timezone": self.timezone, "locale": self.locale}
