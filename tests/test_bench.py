"""The instruments of the benchmark: a load generator that lets nothing wrong pass, and the verdicts."""

import asyncio
import json
import shutil

import pytest

from bench import answers
from bench.answers import DIALECTS
from bench.promises import Promise, Run, judged
from bench.rig import compiled

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="needs a C compiler")
EVENTS = 3


def event(number):
    return f"data: @{number:04x}000000000000.\n\n".encode()


STREAM = [*(event(number) for number in range(EVENTS)), b"data: [DONE]\n\n"]


def chunked(parts):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def lengthy(content):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content)


async def loaded(folder, writes, *flags):
    """What the load generator says of one answer, which comes in *writes*."""

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        for data in writes:
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    asked = folder / "request"
    asked.write_bytes(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        options = ["-n", "1", "-e", EVENTS, "-m", "[DONE]", "-t", "5", *flags, port, asked]
        process = await asyncio.create_subprocess_exec(
            compiled("loadgen"), *map(str, options), stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
    return json.loads(out)


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("framed", [chunked, lambda parts: lengthy(b"".join(parts))])
async def test_a_whole_stream_is_served_however_it_is_cut_into_writes(tmp_path, framed, size):
    data = framed(STREAM)

    told = await loaded(tmp_path, [data[at : at + size] for at in range(0, len(data), size)])

    assert (told["served"], told["failed"], told["events"]) == (1, 0, EVENTS)


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        ([event(0), event(2), STREAM[-1]], "lost_or_doubled"),
        ([event(0), event(1), event(1), STREAM[-1]], "lost_or_doubled"),
        ([event(0), event(1), event(1), event(2), STREAM[-1]], "lost_or_doubled"),
        ([event(1), event(0), event(2), STREAM[-1]], "lost_or_doubled"),
        ([*STREAM[:-1], *STREAM], "lost_or_doubled"),
        ([event(0), event(1)[:15] + b"\n\n", event(2), STREAM[-1]], "cut"),
        (STREAM[:-1], "no_end"),
        ([STREAM[-1], *STREAM[:-1]], "no_end"),
    ],
)
async def test_what_is_wrong_with_a_stream_is_told(tmp_path, parts, error):
    told = await loaded(tmp_path, [chunked(parts)])

    assert (told["served"], told["failed"], told["errors"][error]) == (0, 1, 1)


async def test_a_stream_that_is_broken_off_is_not_served(tmp_path):
    told = await loaded(tmp_path, [chunked(STREAM)[:-20]])

    assert told["errors"]["closed"] == 1


@pytest.mark.parametrize(("again", "served"), [(EVENTS, 1), (EVENTS - 1, 0)])
async def test_a_text_may_be_said_again_where_that_is_usual_but_whole(tmp_path, again, served):
    text = b"".join(event(number) for number in range(again))

    told = await loaded(tmp_path, [chunked([*STREAM[:-1], text, STREAM[-1]])], "-w")

    assert told["served"] == served


async def test_an_answer_that_is_not_200_is_told(tmp_path):
    told = await loaded(tmp_path, [lengthy(b"busy").replace(b"200 OK", b"429 Slow down")])

    assert told["errors"]["status"] == 1
    assert "429" in told["sample"]
    assert "busy" in told["sample"]


def test_every_dialect_has_one_mark_an_event_and_its_end_in_the_tail_alone(tmp_path):
    answers.write(tmp_path)

    for dialect in DIALECTS.values():
        parts = {
            part: (tmp_path / f"{dialect.name}.{part}").read_text()
            for part in ("head", "event", "tail", "json")
        }
        assert [parts[part].count("@") for part in ("head", "event", "tail", "json")] == [
            0,
            1,
            0,
            1,
        ]
        assert dialect.end in parts["tail"]
        assert dialect.end not in parts["head"] + parts["event"]


def run(target, cpu, *, failed=0):
    return Run(target, "json@16", 10, failed, 10, 1.0, cpu, 40, 50)


def ratio(ours, base):
    return ours.request_us / base.request_us


@pytest.mark.parametrize(
    ("cpus", "word"), [([1, 1, 9], "goal"), ([1, 3, 9], "must"), ([1, 5, 9], "MISSED")]
)
def test_the_median_of_the_rounds_counts_to_the_yardstick_of_the_same_round(cpus, word):
    promise = Promise("a request", "json@16", "proxypal", "aio-uv", ratio, 4, 2)
    runs = [each for cpu in cpus for each in (run("aio-uv", 10), run("proxypal", 10 * cpu))]

    (verdict,) = judged([promise], runs)

    assert verdict.word == word
    assert verdict.spread == (min(cpus), max(cpus))
