"""When a replica exchanges, and what it makes of a server that does not answer."""

import asyncio

from structlog.testing import capture_logs

from proxypal_core.shared.link import FAILURES, INTERVAL, REST, SOONEST, Link
from proxypal_core.shared.local import Local
from proxypal_core.shared.state import Report, Unreachable

NOW = 1_795_000_000.0


class Flaky(Local):
    """Answers as long as ``up``; what it hears before it is lost takes effect when ``late``."""

    def __init__(self):
        super().__init__(lambda: NOW)
        self.up, self.late, self.asked = True, False, []

    async def exchange(self, report):
        self.asked.append(report)
        if self.late:
            await super().exchange(report)
        if not self.up:
            raise Unreachable("no answer")
        return await super().exchange(report)


class Made:
    def __init__(self):
        self.shared = Flaky()
        self.heard, self.lost, self.slept, self.numbers = [], 0, [], 0
        self.link = Link(
            shared=self.shared,
            report=self._report,
            hear=lambda report, news: self.heard.append((report, news)),
            lost=self._lost,
            sleep=self._sleep,
            chance=lambda: 0.5,
        )

    def _report(self):
        self.numbers += 1
        return Report(replica="a", number=self.numbers, day="d", usage={"requests": 1})

    def _lost(self):
        self.lost += 1

    async def _sleep(self, seconds):
        self.slept.append(seconds)
        await asyncio.sleep(0)


async def test_a_report_that_was_not_answered_is_sent_again_and_counted_once():
    made = Made()
    made.shared.up, made.shared.late = False, True
    await made.link.once()
    made.shared.up, made.shared.late = True, False

    await made.link.once()
    await made.link.once()

    assert [report.number for report in made.shared.asked] == [1, 1, 2]
    assert await made.shared.usage("d") == {"requests": 2}
    assert [report.number for report, _ in made.heard] == [1, 2]


async def test_one_failure_is_not_the_end():
    made = Made()
    await made.link.once()
    made.shared.up = False

    await made.link.once()

    assert made.link.reachable
    assert made.lost == 0
    assert made.link.why_not == "no answer"


async def test_a_server_that_fails_again_is_gone_and_that_is_told_once():
    made = Made()
    await made.link.once()
    made.shared.up = False

    for _ in range(FAILURES + 3):
        await made.link.once()

    assert not made.link.reachable
    assert made.lost == 1
    assert made.link.replicas == 1


async def test_a_server_that_answers_again_is_back():
    made = Made()
    made.shared.up = False
    for _ in range(FAILURES):
        await made.link.once()
    made.shared.up = True

    await made.link.once()

    assert made.link.reachable
    assert made.link.why_not == ""


async def test_news_that_cannot_be_used_do_not_end_the_exchanges():
    made = Made()
    made.link.hear = lambda report, news: {}["missing"]

    with capture_logs() as lines:
        await made.link.once()
        await made.link.once()

    assert [report.number for report in made.shared.asked] == [1, 2]
    assert lines[0]["event"] == "what the other replicas told could not be used"


async def test_a_server_that_is_gone_is_asked_seldom_however_much_there_is_to_tell():
    made = Made()
    made.shared.up = False
    running = asyncio.ensure_future(made.link.run())
    while len(made.shared.asked) < FAILURES + 4:
        made.link.soon()
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert made.slept[FAILURES - 1 : FAILURES + 3] == [REST] * 4


async def test_who_has_something_to_tell_does_not_wait_for_the_next_second():
    made = Made()
    running = asyncio.ensure_future(made.link.run())
    async with asyncio.timeout(INTERVAL / 2):
        while len(made.shared.asked) < 3:
            made.link.soon()
            await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert made.slept[0] == SOONEST


async def test_who_is_nudged_exchanges():
    made = Made()
    running = asyncio.ensure_future(made.link.run())
    async with asyncio.timeout(INTERVAL / 2):
        while len(made.heard) < 2:
            await made.shared.exchange(Report(replica="b", number=1, urgent=True))
            await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert made.heard[1][1].replicas == 2


async def test_many_replicas_together_do_not_ask_more_than_a_thousand_times_a_second():
    made = Made()
    made.link.replicas = 1000

    assert made.link._pause() == 1.0
