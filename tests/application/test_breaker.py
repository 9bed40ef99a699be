"""Circuit breakers at work: over many instances one rest and one try, no attempt burnt, nobody lost, no cost while well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from threading import Barrier

import pytest

from sojourn.application.breaker import CLOSED, OPENED, list_channels, reset_channel
from sojourn.application.breaker_memory import MAX_AGE, MAX_CHANNELS, BreakerMemory
from sojourn.application.messages import EffectMessage
from sojourn.application.outcome import Outcome
from sojourn.application.perform_effects import perform_effects
from sojourn.domain.audit import AuditEntry
from sojourn.domain.breaker import PROBE_SECONDS, Breaker, BreakerPolicy, BreakerState, breaker_id
from sojourn.domain.effect import Delivery, Effect, EffectStatus
from sojourn.domain.errors import NotFound
from tests.application.conftest import Cloud, MemoryCloud, instead
from tests.application.scripted import BROKEN, DONE, ScriptedChannel, sent_to_many, use
from tests.builders import START, after, definition, wait

POLICY = BreakerPolicy(minimum_calls=4)
REST = POLICY.rest


def a_channel(usual: Delivery = BROKEN, *, attempts: int = 9) -> ScriptedChannel:
    """Broken until somebody repairs it."""
    channel = ScriptedChannel(attempts=attempts)
    channel.breaker, channel.usual = POLICY, usual
    return channel


@dataclass
class Instance:
    """A process of its own: it shares the stores, not what it remembers."""

    cloud: Cloud
    memory: BreakerMemory

    def perform(self, *messages: EffectMessage) -> list[Outcome]:
        return perform_effects(replace(self.cloud.shop, breakers=self.memory), messages)


def another(cloud: Cloud) -> Instance:
    return Instance(cloud, BreakerMemory())


def breaker(cloud: Cloud, name: str = "mailbox") -> Breaker:
    stored = cloud.store.get_many(Breaker, [breaker_id(name)])[0]
    assert stored is not None
    return stored.value


def rest(cloud: Cloud, channel: ScriptedChannel, count: int = 20) -> list[EffectMessage]:
    """The channel rests since four messages failed; the messages that have not been tried."""
    messages = sent_to_many(cloud, count, channel)
    cloud.perform(*messages[:4])
    assert breaker(cloud).state is BreakerState.OPEN
    return messages[4:]


def all_ends_well(cloud: Cloud, *, minutes: int) -> None:
    """Minute ticks alone bring everything back, and it is delivered."""
    start = cloud.clock.now()
    for minute in range(1, minutes):
        cloud.at(start + timedelta(minutes=minute))
        cloud.sweep()
        cloud.perform()
    assert Counter(effect.status for effect in cloud.all(Effect)) == {EffectStatus.DONE: len(cloud.all(Effect))}


def test_a_channel_that_fails_is_given_a_rest_and_nobody_pays_for_it(cloud: Cloud) -> None:
    channel = a_channel()
    messages = sent_to_many(cloud, 8, channel)
    outcomes = cloud.perform(*messages)
    assert [outcome.code for outcome in outcomes] == ["pending"] * 8
    assert [OPENED in outcome.notes for outcome in outcomes] == [False] * 3 + [True] + [False] * 4
    assert len(channel.asked) == 4
    effects = {effect.id: effect for effect in cloud.all(Effect)}
    put_off = [effects[message.effect_id] for message in messages[4:]]
    until = f"{START + REST:%H:%M:%S}"
    told = f"channel 'mailbox' is resting until {until} UTC: 4 of 4 calls failed within 1m"
    assert {(effect.attempts, effect.status, effect.reason) for effect in put_off} == {(0, EffectStatus.PENDING, told)}
    assert breaker(cloud).until == START + REST


def test_what_was_put_off_comes_back_spread_out_and_is_not_lost(cloud: Cloud) -> None:
    channel = a_channel()
    cloud.perform(*rest(cloud, channel, 60))
    moments = sorted(effect.not_before for effect in cloud.all(Effect) if effect.not_before and effect.attempts == 0)
    assert len(moments) == 56 and moments[0] >= START + REST
    assert len({moment.replace(microsecond=0) for moment in moments}) > 30
    channel.usual = DONE
    all_ends_well(cloud, minutes=8)
    assert breaker(cloud).state is BreakerState.CLOSED


def test_one_tries_first_and_when_it_worked_the_others_go(cloud: Cloud) -> None:
    channel = a_channel()
    first, second, *others = rest(cloud, channel)
    one, two = another(cloud), another(cloud)
    cloud.at(START + REST)
    seen: list[Outcome] = []

    def while_it_is_tried() -> Delivery:
        seen.extend(two.perform(second))
        return DONE

    channel.instead = while_it_is_tried
    assert one.perform(first)[0] == Outcome("done", notes=(CLOSED,))
    assert [outcome.code for outcome in seen] == ["pending"]
    waits = next(effect for effect in cloud.all(Effect) if effect.id == second.effect_id)
    assert waits.not_before is not None and waits.not_before >= START + REST + timedelta(seconds=PROBE_SECONDS)
    channel.usual = DONE
    cloud.at(START + REST + MAX_AGE)
    assert {outcome.code for outcome in one.perform(*others[:5])} == {"done"}


def test_of_instances_that_would_try_at_once_one_does(cloud: Cloud) -> None:
    channel = a_channel()
    first, second, *_ = rest(cloud, channel)
    one, two = another(cloud), another(cloud)
    cloud.at(START + REST)
    asked = len(channel.asked)
    seen: list[Outcome] = []
    real = cloud.store.commit_many

    def somebody_was_faster(commits: Sequence[object]) -> object:
        seen.extend(two.perform(second))
        return real(commits)  # type: ignore[arg-type]

    instead(cloud.store, "commit_many", somebody_was_faster)
    outcome = one.perform(first)[0]
    assert (seen[0].code, outcome.code) == ("pending", "pending")
    assert len(channel.asked) == asked + 1
    assert breaker(cloud).rests == 2


def test_a_try_that_fails_makes_the_rest_longer(cloud: Cloud) -> None:
    channel = a_channel()
    messages = rest(cloud, channel)
    lengths = []
    for message in messages[:4]:
        until = breaker(cloud).until
        assert until is not None
        cloud.at(until)
        assert cloud.perform(message)[0].notes == ("transient_failure", OPENED)
        lengths.append(breaker(cloud).until)
    starts = [START + REST, *lengths[:-1]]
    assert [(end - begin) / REST for begin, end in zip(starts, lengths, strict=True) if begin and end] == [2, 4, 8, 16]
    assert breaker(cloud).reason == "4 of 4 calls failed within 1m; so did a try"


def test_a_try_that_dies_is_followed_by_another(cloud: Cloud) -> None:
    channel = a_channel()
    first, second, third, *_ = rest(cloud, channel)
    cloud.at(START + REST)

    def killed() -> Delivery:
        raise KeyboardInterrupt

    channel.instead = killed
    with pytest.raises(KeyboardInterrupt):
        cloud.perform(first)
    assert breaker(cloud).state is BreakerState.PROBING
    channel.usual = DONE
    two = another(cloud)
    assert two.perform(second)[0].code == "pending"
    cloud.at(START + REST + timedelta(seconds=PROBE_SECONDS))
    assert two.perform(third)[0] == Outcome("done", notes=(CLOSED,))
    all_ends_well(cloud, minutes=8)


def test_a_try_that_is_heard_of_too_late_changes_nothing(cloud: Cloud) -> None:
    channel = a_channel()
    first, *_ = rest(cloud, channel)
    cloud.at(START + REST)

    def meanwhile() -> Delivery:
        reset_channel(cloud.shop, "mailbox")
        return BROKEN

    channel.instead = meanwhile
    assert cloud.perform(first)[0].notes == ("transient_failure",)
    assert (breaker(cloud).state, breaker(cloud).reason) == (BreakerState.CLOSED, "reset")


def test_what_failed_before_it_was_trusted_again_does_not_open_it_in_any_instance(cloud: Cloud) -> None:
    channel = a_channel()
    messages = sent_to_many(cloud, 20, channel)
    one, two = another(cloud), another(cloud)
    two.perform(*messages[:3])
    one.perform(*messages[3:7])
    assert breaker(cloud).state is BreakerState.OPEN
    reset_channel(cloud.shop, "mailbox")
    cloud.at(START + MAX_AGE + timedelta(seconds=1))
    two.perform(*messages[7:9])
    assert breaker(cloud).state is BreakerState.CLOSED
    two.perform(*messages[9:11])
    assert breaker(cloud).state is BreakerState.OPEN


def test_two_instances_that_see_the_same_write_it_once(cloud: Cloud) -> None:
    channel = a_channel()
    messages = sent_to_many(cloud, 8, channel)
    one, two = another(cloud), another(cloud)
    notes: Counter[str] = Counter()
    for first, second in zip(messages[:4], messages[4:], strict=True):
        for outcome in (*one.perform(first), *two.perform(second)):
            notes.update(outcome.notes)
    assert notes[OPENED] == 1 and breaker(cloud).rev == 1


def test_what_a_receiver_refuses_is_no_failure_of_the_channel(cloud: Cloud) -> None:
    channel = a_channel(Delivery("permanent", "410 Gone"))
    cloud.perform(*sent_to_many(cloud, 8, channel))
    assert len(channel.asked) == 8 and cloud.all(Breaker) == []


def test_credentials_that_are_refused_rest_too(cloud: Cloud) -> None:
    channel = a_channel(Delivery("system", "401 Unauthorized"))
    cloud.perform(*sent_to_many(cloud, 8, channel))
    assert len(channel.asked) == 4


def test_authors_addresses_rest_by_host(cloud: Cloud) -> None:
    def hook(name: str, url: str) -> dict[str, object]:
        return {"id": name, "key": "webhook", "settings": {"url": url}}

    nodes = [hook("a", "https://user@down.example:8443/x?y"), hook("b", "https://up.example/"), wait()]
    channel = a_channel()
    messages = sent_to_many(cloud, 6, channel, definition(nodes))
    use(cloud, channel, "webhook")
    down = {effect.id for effect in cloud.all(Effect) if effect.node_id == "a"}
    cloud.perform(*(message for message in messages if message.effect_id in down))
    assert [one.channel for one in cloud.all(Breaker)] == ["webhook down.example:8443"]
    channel.usual = DONE
    others = cloud.perform(*(message for message in messages if message.effect_id not in down))
    assert {outcome.code for outcome in others} == {"done"}


def test_a_channel_that_is_well_costs_no_write_and_a_read_in_five_seconds(memory_cloud: MemoryCloud) -> None:
    cloud = memory_cloud
    messages = sent_to_many(cloud, 300, a_channel(DONE))
    cloud.store.forget_counts()
    for number in range(3):
        cloud.perform(*messages[number * 100 : number * 100 + 100])
        cloud.at(after(seconds=(number + 1) * (MAX_AGE.total_seconds() + 1)))
    assert cloud.store.reads["Breaker"] == 3
    assert cloud.store.writes["Breaker"] == 0
    assert cloud.store.writes["Effect"] == 600


def test_threads_of_many_instances_try_once(memory_cloud: MemoryCloud) -> None:
    cloud = memory_cloud
    messages = rest(cloud, a_channel(), 40)
    cloud.at(START + REST)
    together = Barrier(8)

    def run(message: EffectMessage) -> Outcome:
        instance = another(cloud)
        together.wait(10)
        return instance.perform(message)[0]

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(run, messages[:8]))
    assert sum(OPENED in outcome.notes for outcome in outcomes) == 1
    assert breaker(cloud).rests == 2
    assert {outcome.code for outcome in outcomes} == {"pending"}


def test_a_channel_without_a_breaker_is_tried_to_the_end(cloud: Cloud) -> None:
    channel = a_channel()
    channel.breaker = None
    cloud.perform(*sent_to_many(cloud, 8, channel))
    assert len(channel.asked) == 8 and cloud.all(Breaker) == []


class TestOperator:
    def test_sees_every_channel_those_that_rest_first(self, cloud: Cloud) -> None:
        rest(cloud, a_channel())
        listed = [(one.channel, one.state, one.until, one.reason) for one in list_channels(cloud.shop)]
        why = "4 of 4 calls failed within 1m"
        assert listed == [
            ("mailbox", BreakerState.OPEN, START + REST, why),
            ("webhook", BreakerState.CLOSED, None, None),
        ]

    @pytest.mark.parametrize("named", ["mailbox", breaker_id("mailbox")])
    def test_resets_one_by_its_name_or_id_and_the_audit_says_who(self, cloud: Cloud, named: str) -> None:
        channel = a_channel()
        message, *_ = rest(cloud, channel)
        assert reset_channel(cloud.shop.by("olga"), named).state is BreakerState.CLOSED
        channel.usual = DONE
        assert cloud.perform(message)[0].code == "done"
        (entry,) = (one for one in cloud.all(AuditEntry) if one.action == "channel.reset")
        assert (entry.principal, entry.subject) == ("olga", "channels/mailbox")

    def test_has_nothing_to_reset_where_all_is_well(self, cloud: Cloud) -> None:
        assert reset_channel(cloud.shop, "webhook").state is BreakerState.CLOSED
        assert cloud.all(Breaker) == []

    def test_is_told_of_a_channel_that_is_not_there(self, cloud: Cloud) -> None:
        with pytest.raises(NotFound, match="no channel 'pigeon'"):
            reset_channel(cloud.shop, "pigeon")


def test_memory_is_bounded(memory_cloud: MemoryCloud) -> None:
    memory = BreakerMemory()
    for number in range(MAX_CHANNELS + 10):
        memory.keep(f"host-{number}", None, now=START)
        memory.count(f"host-{number}", POLICY, failed=True, now=START)
    assert memory.record("host-9", now=START) is None
    assert memory.record("host-10", now=START) == (START, None)


def test_what_one_instance_opened_another_that_has_read_nothing_respects_at_once(cloud: Cloud) -> None:
    message, *_ = rest(cloud, a_channel())
    assert another(cloud).perform(message)[0].code == "pending"
