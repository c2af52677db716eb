"""The load balancers' examples, each by the real program: streams pass event by event, what was not
sent goes to the next replica, and what must stay in one place does.
"""

import asyncio
import shutil
import subprocess
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
import yaml
from aiohttp import web

from proxypal_core.gateway import surface
from proxypal_core.settings.parse import parse
from tests.running import PATIENCE, free_port

CONTRIB = Path(__file__).parents[2] / "contrib"
REPLICAS = ("replica-1", "replica-2", "replica-3")
NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr;
events {{}}
http {{
    access_log off;
    {temporary}
    include {file};
}}
"""
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def nginx(file, folder):
    main = folder / "nginx.conf"
    kept = "".join(f"{name}_temp_path {folder}/{name};" for name in TEMPORARY)
    main.write_text(NGINX.format(folder=folder, file=file, temporary=kept))
    command = ["nginx", "-e", "stderr", "-p", str(folder), "-c", str(main)]
    return [*command, "-t"], command


def haproxy(file, folder):
    return ["haproxy", "-c", "-f", str(file)], ["haproxy", "-db", "-f", str(file)]


def caddy(file, folder):
    text = file.read_text()  # it would listen for orders, too
    file.write_text(text.replace("{\n\tservers", "{\n\tadmin off\n\tservers", 1))
    options = ["--config", str(file), "--adapter", "caddyfile"]
    return ["caddy", "validate", *options], ["caddy", "run", *options]


BALANCERS = {
    "nginx": (nginx, CONTRIB / "nginx" / "proxypal.conf"),
    "haproxy": (haproxy, CONTRIB / "haproxy" / "haproxy.cfg"),
    "caddy": (caddy, CONTRIB / "caddy" / "Caddyfile"),
}
each_balancer = pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=pytest.mark.skipif(not shutil.which(name), reason=f"{name} is not here")
        )
        for name in BALANCERS
    ],
)


class Replica:
    """Stands for a daemon: streams one event when the client has the one before, and cuts what it
    is asked to at ``/cut``.
    """

    def __init__(self):
        self.asked = []
        self.heard = asyncio.Queue()
        self.port = free_port()

    async def __aenter__(self):
        self._runner = web.ServerRunner(
            web.Server(self._answer, access_log=None), shutdown_timeout=0.1
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        return self

    async def __aexit__(self, *_):
        await self._runner.cleanup()

    async def _answer(self, request):
        if request.path == "/health":
            return web.Response(status=200 if request.host == "localhost" else 421)
        self.asked.append((request.path, request.host, len(await request.read())))
        if request.path == "/v1/cut":
            request.transport.abort()
        if request.path != "/v1/messages":
            return web.Response(text="one")
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for number in range(5):
            await response.write(b"data: %d\n\n" % number)
            async with asyncio.timeout(PATIENCE):
                assert await self.heard.get() == number
        return response


@asynccontextmanager
async def balancer(name, folder, replicas):
    """*name* with its example, before *replicas*; the URL."""
    commands, example = BALANCERS[name]
    port = free_port()
    text = example.read_text()
    for host, replica in zip(REPLICAS, replicas, strict=True):
        text = text.replace(f"{host}:8317", f"127.0.0.1:{replica.port}")
    file = folder / example.name
    file.write_text(text.replace(":8317", f":{port}").replace("listen 8317", f"listen {port}"))
    check, command = commands(file, folder)
    checked = await asyncio.to_thread(subprocess.run, check, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    quiet = {"stdout": asyncio.subprocess.DEVNULL, "stderr": asyncio.subprocess.DEVNULL}
    process = await asyncio.create_subprocess_exec(*command, **quiet)
    try:
        async with asyncio.timeout(PATIENCE):
            while not await answers(port):  # noqa: ASYNC110 — it tells nobody
                await asyncio.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def answers(port):
    """Whether the balancer listens, and has found somebody behind it."""
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/v1/models") as answer,
        ):
            return answer.status == 200
    except aiohttp.ClientError:
        return False


@each_balancer
async def test_streams_pass_event_by_event_and_nothing_is_sent_twice(name, tmp_path):
    async with AsyncExitStack() as stack:
        replicas = [await stack.enter_async_context(Replica()) for _ in REPLICAS]
        url = await stack.enter_async_context(balancer(name, tmp_path, replicas))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        for replica in replicas:
            replica.asked.clear()

        # Each event is answered before the next is sent: a buffer would hold them up for ever.
        async with (
            asyncio.timeout(PATIENCE),
            session.post(url + "/v1/messages", data=b"x" * 900_000) as answer,
        ):
            seen = []
            async for line in answer.content:
                if line.startswith(b"data: "):
                    seen.append(int(line[6:]))
                    for replica in replicas:
                        if replica.asked:
                            replica.heard.put_nowait(seen[-1])
        streamed = [one for replica in replicas for one in replica.asked]
        assert (answer.status, seen) == (200, [0, 1, 2, 3, 4])
        assert streamed == [("/v1/messages", url.removeprefix("http://"), 900_000)]

        # What a replica took and did not answer may have been paid for: it is not sent again.
        # HAProxy says so by a closed connection, where that has served before.
        with suppress(aiohttp.ServerDisconnectedError):
            async with session.post(url + "/v1/cut", data=b"x") as answer:
                assert answer.status == 502
        assert sum(path == "/v1/cut" for one in replicas for path, *_ in one.asked) == 1


@each_balancer
async def test_a_replica_that_is_gone_is_passed_over_and_what_is_one_s_stays_its(name, tmp_path):
    async with AsyncExitStack() as stack:
        there = [await stack.enter_async_context(Replica()) for _ in REPLICAS[:2]]
        url = await stack.enter_async_context(balancer(name, tmp_path, [*there, Replica()]))
        session = await stack.enter_async_context(aiohttp.ClientSession())

        async def status(method, path, key="k"):
            headers = {"authorization": f"Bearer {key}"}
            async with session.request(method, url + path, headers=headers) as answer:
                return answer.status

        def who_was_asked(path):
            return [sum(one == path for one, *_ in replica.asked) for replica in there]

        chats = [await status("POST", "/v1/chat/completions") for _ in range(9)]
        kept = [await status("POST", "/openai/v1/responses", key="a") for _ in range(4)]
        kept += [await status("GET", "/openai/v1/responses", key="a") for _ in range(4)]
        managed = [await status("GET", "/api/state") for _ in range(4)]
        managed += [await status("GET", "/dashboard") for _ in range(4)]

        assert (set(chats), set(kept), set(managed)) == ({200}, {200}, {200})
        assert min(who_was_asked("/v1/chat/completions")) > 0
        assert sorted(who_was_asked("/openai/v1/responses")) == [0, 8]
        assert (who_was_asked("/api/state"), who_was_asked("/dashboard")) == ([4, 0], [4, 0])
        assert await status("GET", "/metrics") == 404


def test_compose_has_what_the_balancer_names_and_keys_that_all_replicas_share():
    services = yaml.safe_load((CONTRIB / "compose" / "compose.yaml").read_text())["services"]
    settings = (CONTRIB / "compose" / "config.yaml").read_text()
    names = {"CLIENT_KEY": "a-long-client-key", "REDIS_PASSWORD": "p"}

    assert {*REPLICAS, "redis", "nginx"} == services.keys()
    needed = {"PROXYPAL_ADMIN_KEY", "PROXYPAL_VAULT_KEY", *names}
    for replica in REPLICAS:
        assert needed <= services[replica]["environment"].keys()
        assert len({services[one]["volumes"][1] for one in REPLICAS}) == len(REPLICAS)
    assert services["nginx"]["ports"] == ["127.0.0.1:8317:8317"]
    state = parse(settings, names).state
    assert (state.backend, str(state.url)) == ("redis", "redis://:p@redis:6379/0")


def test_kubernetes_asks_a_path_that_is_open_and_waits_for_streams():
    documents = list(yaml.safe_load_all((CONTRIB / "kubernetes" / "proxypal.yaml").read_text()))
    by_kind = {(one["kind"], one["metadata"]["name"]): one for one in documents}
    settings = by_kind["ConfigMap", "proxypal"]["data"]["config.yaml"]
    pod = by_kind["Deployment", "proxypal"]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")]
    metric = by_kind["HorizontalPodAutoscaler", "proxypal"]["spec"]["metrics"][0]["pods"]["metric"]
    adapter = yaml.safe_load((CONTRIB / "kubernetes" / "prometheus-adapter.yaml").read_text())
    rule = adapter["rules"]["custom"][0]

    assert parse(settings, {"CLIENT_KEY": "a-long-client-key", "REDIS_PASSWORD": "p"})
    for probe in probes:
        assert surface.match("GET", probe["path"]).route.access is surface.Access.OPEN
        assert probe["httpHeaders"] == [{"name": "Host", "value": "localhost"}]
    assert pod["terminationGracePeriodSeconds"] > 5 + 30 + 10
    assert rule["name"]["as"] == metric["name"]
