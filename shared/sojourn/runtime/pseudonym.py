"""A member's history without the member: what could tell who it is gives way to words that mean nothing.

The same value becomes the same word everywhere, so that what is compared compares as before; words of the definition stay,
for conditions compare with them. Dates move by some days, all by the same; long numbers get other digits; short ones and truths
stay. Reasons in the trail quote values, and go. Message texts and addresses of webhooks go too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property

from pydantic import JsonValue

from sojourn.domain.event import Event, JsonObject
from sojourn.domain.ids import effect_id, member_key, progress_id
from sojourn.domain.member import Member
from sojourn.domain.progress import Progress

SHORT_NUMBER = 1_000_000
"""Numbers below decide conditions (an amount, an age) and tell nobody's telephone number."""
MASKED = "masked"
MAX_DAYS = 27
_TEXTS = {"send_message": "message", "webhook": "body"}
"""The setting of a node that holds words for people, by its kind."""
_PLACEHOLDER = re.compile(r"(\{\{.*?\}\})", re.DOTALL)
_QUOTED = re.compile(r"'((?:\\.|[^'\\])*)'|\"((?:\\.|[^\"\\])*)\"")
_OWN_WORDS = frozenset({"DONE", "SKIPPED", "FAILED", "DEAD", "transient", "permanent", "partial", "system"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")


@dataclass(frozen=True)
class Pseudonyms:
    """Words for values of one history. `salt` is thrown away: nobody can try names until one gives the same word."""

    definition: Mapping[str, JsonValue]
    salt: str

    def text(self, text: str) -> str:
        """A word that stands for the text, or the text where the definition has it."""
        if not text or text in self._kept:
            return text
        return self._moved(text) or f"x{self._digest(text)[:10]}"

    def value(self, value: JsonValue) -> JsonValue:
        """The same for JSON; names of fields stay where they look like one."""
        match value:
            case bool() | None:
                return value
            case str():
                return self.text(value)
            case int() | float():
                return (
                    value if abs(value) < SHORT_NUMBER else int(self._digest(str(value)), 16) % 10 ** len(str(int(abs(value))))
                )
            case list():
                return [self.value(child) for child in value]
            case _:
                return self.fields(value)

    def fields(self, fields: JsonObject) -> dict[str, JsonValue]:
        """The same for an object."""
        return {key if _NAME.fullmatch(key) else self.text(key): self.value(child) for key, child in fields.items()}

    def journey(self) -> dict[str, JsonValue]:
        """The definition with other message texts and addresses, of a bot without a name."""
        nodes = self.definition["nodes"]
        assert isinstance(nodes, list)
        return {**self.definition, "bot_id": self.text(_bot(self.definition)), "nodes": [self._node(node) for node in nodes]}

    def event(self, event: Event) -> Event:
        """The event of somebody else."""
        bot, member = self.text(event.bot_id), self.text(event.member_id)
        return replace(event, id=self.text(event.id), bot_id=bot, member_id=member, data=self.fields(event.data), trace=None)

    def member(self, member: Member) -> Member:
        """Somebody else, with the same zone and locale."""
        return replace(
            member,
            bot_id=self.text(member.bot_id),
            member_id=self.text(member.member_id),
            attributes=self.fields(member.attributes),
            addresses=self.fields(member.addresses),
            token=MASKED,
        )

    def progress(self, progress: Progress) -> Progress:
        """The passage of somebody else, whose ids follow from who they are as theirs did."""
        bot, member = self.text(progress.bot_id), self.text(progress.member_id)
        key = progress.entry_key if progress.entry_key == "1" else self.text(progress.entry_key)
        identifier = progress_id(bot, progress.journey_id, member, key)
        node, visits = progress.node_id or "", progress.visits.get(progress.node_id or "", 0)
        return replace(
            progress,
            id=identifier,
            bot_id=bot,
            member_id=member,
            member_key=member_key(bot, member),
            entry_key=key,
            token=MASKED,
            trigger=self.event(progress.trigger),
            context={node: self.fields(output) for node, output in progress.context.items()},
            consumed=tuple(map(self.text, progress.consumed)),
            trail=tuple(replace(step, reason=None) for step in progress.trail),
            end_reason=progress.end_reason and MASKED,
            awaits=progress.awaits and effect_id(identifier, node, visits),
            goal=progress.goal and replace(progress.goal, event_id=self.text(progress.goal.event_id)),
        )

    def _node(self, node: JsonValue) -> JsonValue:
        assert isinstance(node, dict)
        settings, wordy = node.get("settings"), _TEXTS.get(str(node.get("key")))
        if not isinstance(settings, dict) or wordy is None:
            return node
        settings = {**settings, wordy: self._words(settings.get(wordy))}
        if "url" in settings:
            settings["url"] = f"https://webhook.invalid/{self._digest(str(settings['url']))[:10]}"
        return {**node, "settings": settings}

    def _words(self, template: JsonValue) -> JsonValue:
        """Other words around the same placeholders."""
        match template:
            case str():
                pieces = _PLACEHOLDER.split(template)
                return "".join(
                    piece if index % 2 or not piece else f"x{self._digest(piece)[:10]}" for index, piece in enumerate(pieces)
                )
            case list():
                return [self._words(child) for child in template]
            case dict():
                return {key: self._words(child) for key, child in template.items()}
            case _:
                return template

    @cached_property
    def _kept(self) -> frozenset[str]:
        """What the definition says itself, message texts aside: ids, names, and the literals of expressions."""
        nodes = self.definition["nodes"]
        assert isinstance(nodes, list)
        rest = {name: value for name, value in self.definition.items() if name not in ("nodes", "bot_id")}
        said = [text for part in (rest, *map(_without_texts, nodes)) for text in _strings(part)]
        asked = [*said, *(found for text in _strings(nodes) for found in _PLACEHOLDER.findall(text))]
        quoted = [one or other for text in asked for one, other in _QUOTED.findall(text)]
        return frozenset({*said, *quoted, *_OWN_WORDS}) - {_bot(self.definition)}

    def _moved(self, text: str) -> str | None:
        """A date or a moment, some days away; None for anything else."""
        days = timedelta(days=int(self._digest("days"), 16) % MAX_DAYS + 1)
        try:
            return (
                (date.fromisoformat(text) - days).isoformat()
                if len(text) == 10
                else (datetime.fromisoformat(text) - days).isoformat()
            )
        except (ValueError, OverflowError):
            return None

    def _digest(self, text: str) -> str:
        return hashlib.sha256(f"{self.salt}\x1f{text}".encode("utf-8", "surrogatepass")).hexdigest()


def _bot(definition: Mapping[str, JsonValue]) -> str:
    return str(definition["bot_id"])


def _without_texts(node: JsonValue) -> JsonValue:
    settings, wordy = (node.get("settings"), _TEXTS.get(str(node.get("key")))) if isinstance(node, dict) else (None, None)
    if not isinstance(node, dict) or not isinstance(settings, dict) or wordy is None:
        return node
    return {**node, "settings": {name: value for name, value in settings.items() if name not in (wordy, "url")}}


def _strings(value: JsonValue) -> Iterator[str]:
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            yield item
        pending.extend(item.values() if isinstance(item, dict) else item if isinstance(item, list) else ())
