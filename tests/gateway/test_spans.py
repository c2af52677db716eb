"""Spans reach a collector by HTTP, and what is behind them is imported by nobody else."""

import asyncio
import sys
from contextlib import asynccontextmanager

import pytest
import structlog
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from proxypal_core import telemetry
from proxypal_core.settings.parse import parse
from proxypal_core.settings.reading import SettingsError
from tests.fault_server import Status
from tests.gateway.asking import ask, upstream
from tests.proxy import proxy
from tests.running import free_port


class Collector:
    def __init__(self):
        self.url = ""
        self.asked = []

    async def __call__(self, request):
        message = ExportTraceServiceRequest()
        message.ParseFromString(await request.read())
        self.asked.append((request.method, request.path, message))
        return web.Response(content_type="application/x-protobuf")

    @property
    def spans(self):
        return [
            span
            for _, _, message in self.asked
            for resource in message.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@asynccontextmanager
async def collecting():
    collector = Collector()
    runner = web.ServerRunner(web.Server(collector), shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield collector
    finally:
        await runner.cleanup()


def sending_to(url):
    return f"telemetry: {{otlp_endpoint: '{url}'}}\n"


def value(span, name):
    found = next(each.value for each in span.attributes if each.key == name)
    return getattr(found, found.WhichOneof("value"))


async def test_a_request_and_its_attempts_reach_a_collector(fault_server):
    fault_server.script(Status(429), key="k1")
    async with collecting() as collector:
        extra = sending_to(collector.url + "/")
        config = upstream(fault_server, "anthropic", accounts=("k1", "k2"), extra=extra)
        async with proxy(config) as running:
            status, *_ = await ask(running, "openai-chat", text="A secret question")

    whole = next(span for span in collector.spans if not span.parent_span_id)
    attempts = [span for span in collector.spans if span.parent_span_id == whole.span_id]
    assert status == 200
    assert {asked[:2] for asked in collector.asked} == {("POST", "/v1/traces")}
    assert value(whole, "gen_ai.usage.output_tokens") > 0
    assert [value(span, "server.address") for span in attempts] == ["127.0.0.1"] * 2
    assert [value(span, "gen_ai.provider.name") for span in attempts] == ["up"] * 2
    assert value(attempts[0], "error.type") == "rate_limit"
    assert "secret question" not in str(collector.asked)


async def test_without_a_collector_requests_are_answered_and_the_end_does_not_wait():
    async with asyncio.timeout(10):
        async with proxy(sending_to(f"http://127.0.0.1:{free_port()}")) as running:
            status, *_ = await ask(running, "anthropic", "demo/echo")

    assert status == 200


async def test_without_the_extra_that_is_said_and_nothing_else_changes(monkeypatch):
    monkeypatch.delitem(sys.modules, "proxypal_core.telemetry.spans", raising=False)
    monkeypatch.delattr(telemetry, "spans", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.context", None)
    with structlog.testing.capture_logs() as logs:
        async with proxy(sending_to("http://127.0.0.1:4318")) as running:
            status, *_ = await ask(running, "anthropic", "demo/echo")

    assert status == 200
    assert any("proxypal-core[otel]" in line["event"] for line in logs)


async def test_without_the_setting_nothing_of_it_is_imported():
    code = (
        "import asyncio, sys\n"
        "from tests.proxy import proxy\n"
        "from tests.gateway.asking import ask\n"
        "async def main():\n"
        "    async with proxy() as running:\n"
        "        await ask(running, 'anthropic', 'demo/echo')\n"
        "asyncio.run(main())\n"
        "print(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()

    assert out.decode().splitlines()[-1] == "False"


def test_an_endpoint_is_an_address():
    with pytest.raises(SettingsError, match=r"telemetry\.otlp_endpoint"):
        parse(sending_to("localhost:4318"), {})
