"""What is measured: how each server is started, and how it is asked.

Names: ``direct`` is the upstream itself; ``aio`` and ``aio-uv`` are bench/relay.py on asyncio and on
uvloop, ``tr-coalesce`` is the same on uvloop, translating; ``nginx`` is that; ``proxypal`` is this
project as people run it (records requests, asks for a client key, keeps sessions on their accounts)
and ``litellm`` that. The latter two may be followed by the dialects of the client and of the
upstream, as in ``proxypal:anthropic-chat``; without them it is chat on both sides.
"""

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path

from bench.answers import DIALECTS
from proxypal_core.wire import jsonio

KEY = "sk-bench-client-0123456789abcdef"
ACCOUNTS = 3
"""Of each provider, so that one is chosen."""
PAIRS = tuple(f"{client}-{upstream}" for client, upstream in permutations(DIALECTS, 2))
SAME = tuple(f"{name}-{name}" for name in DIALECTS)
GROUPS = {
    "pairs": [f"proxypal:{pair}" for pair in PAIRS],
    "same": [f"proxypal:{pair}" for pair in SAME],
}
"""Names that stand for several targets."""


class Unavailable(Exception):
    """A target cannot be had on this machine; the message says why."""


@dataclass(frozen=True)
class Options:
    """``python`` runs ProxyPal, and so says which; ``litellm`` is its program."""

    python: str = sys.executable
    litellm: str = ""


@dataclass(frozen=True)
class Command:
    """How to start a server. Times are in seconds; ``settle`` is what it needs after it listens."""

    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    settle: float = 0.0


@dataclass(frozen=True)
class Target:
    """``server`` is the name of the process, which several may share; "" for the upstream."""

    name: str
    server: str
    client: str = "chat"
    model: str = "mock"
    headers: Mapping[str, str] = field(default_factory=dict)


Start = Callable[[Path, int, int, Options], Command]
"""From a folder of its own, its port and the upstream's."""


def target(name: str) -> Target:
    """The target of that name.

    Raises:
        Unavailable: there is none.
    """
    server, _, pair = name.partition(":")
    client, _, upstream = (pair or "chat-chat").partition("-")
    if server == "direct":
        return Target(name, "", client)
    if server == "tr-coalesce":
        return Target(name, server, "anthropic")
    if server not in SERVERS or client not in DIALECTS or upstream not in DIALECTS:
        raise Unavailable(f"there is no target {name}")
    if server in _ROUTED:
        return Target(name, server, client, *_ROUTED[server](client, upstream))
    return Target(name, server, client)


# ── how each is started ────────────────────────────────────────────────────────────────────────


def _relay(*options: str) -> Start:
    def start(folder: Path, port: int, upstream: int, _: Options) -> Command:
        address = f"http://127.0.0.1:{upstream}"
        return Command(
            [sys.executable, "-m", "bench.relay", str(port), address, *options],
            {"PYTHONPATH": str(Path(__file__).parents[1])},
        )

    return start


def _nginx(folder: Path, port: int, upstream: int, _: Options) -> Command:
    program = shutil.which("nginx")
    if not program:
        raise Unavailable("nginx is not installed")
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(port=port, upstream=upstream, folder=folder))
    return Command([program, "-p", str(folder), "-c", str(config)])


_NGINX = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_max_body_size 64m;
  client_body_buffer_size 2m;
  client_body_temp_path {folder}/body;
  upstream provider {{ server 127.0.0.1:{upstream}; keepalive 1024; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    keepalive_requests 1000000000;
    location / {{
      proxy_pass http://provider;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


def settings(upstream: int, **more: object) -> dict[str, object]:
    """ProxyPal's, with a provider of each dialect at the port *upstream*."""
    base = f"http://127.0.0.1:{upstream}"
    providers = [
        {
            "name": f"up-{name}",
            "dialect": dialect.name,
            "base_url": base + ("/v1" if dialect.name.startswith("openai") else ""),
        }
        for name, dialect in DIALECTS.items()
    ]
    accounts = [
        {"id": f"up-{name}:{number}", "api_key": f"sk-bench-{number}"}
        for name in DIALECTS
        for number in range(ACCOUNTS)
    ]
    return {
        "client_keys": [{"name": "bench", "key": KEY}],
        "providers": providers,
        "accounts": accounts,
        **more,
    }


def proxypal(folder: Path, port: int, python: str, given: Mapping[str, object]) -> Command:
    """ProxyPal with the settings *given* and all that it keeps in *folder*."""
    config = folder / "config.yaml"
    # JSON is YAML.
    config.write_bytes(jsonio.dumps(given))
    return Command(
        [python, "-m", "proxypal_core", "serve", "--config", str(config), "--port", str(port)],
        {"HOME": str(folder), "PROXYPAL_DATA_DIR": str(folder / "data")},
    )


def _proxypal(folder: Path, port: int, upstream: int, options: Options) -> Command:
    return proxypal(folder, port, options.python, settings(upstream))


def _proxypal_route(client: str, upstream: str) -> tuple[str, Mapping[str, str]]:
    return f"up-{upstream}/mock", {"Authorization": f"Bearer {KEY}"}


def _litellm(folder: Path, port: int, upstream: int, options: Options) -> Command:
    if not options.litellm:
        raise Unavailable("LiteLLM is measured where --litellm names its program")
    config = folder / "config.yaml"
    config.write_bytes(jsonio.dumps(_litellm_settings(upstream)))
    arguments = ["--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    return Command(
        [options.litellm, *arguments, "--num_workers", "1", "--telemetry", "False"],
        _LITELLM_ENVIRONMENT,
        settle=6.0,
    )


def _litellm_settings(upstream: int) -> dict[str, object]:
    base = f"http://127.0.0.1:{upstream}"
    routes = {
        "chat-chat": ("openai", f"{base}/v1"),
        "chat-anthropic": ("anthropic", base),
        # With openai/ it would ask the upstream in the dialect of Responses.
        "anthropic-chat": ("hosted_vllm", f"{base}/v1"),
        "anthropic-anthropic": ("anthropic", base),
    }
    return {
        "model_list": [
            {
                "model_name": name,
                "litellm_params": {"model": f"{kind}/mock", "api_base": url, "api_key": "sk-x"},
            }
            for name, (kind, url) in routes.items()
        ],
        "litellm_settings": {"drop_params": True, "request_timeout": 600, "num_retries": 0},
        "general_settings": {
            "master_key": KEY,
            "disable_spend_logs": True,
            "disable_error_logs": True,
        },
    }


_LITELLM_ENVIRONMENT = {
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "ERROR",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "NO_DOCS": "True",
    "DISABLE_ADMIN_UI": "True",
}


def _litellm_route(client: str, upstream: str) -> tuple[str, Mapping[str, str]]:
    return f"{client}-{upstream}", {"Authorization": f"Bearer {KEY}"}


SERVERS: dict[str, Start] = {
    "aio": _relay(),
    "aio-uv": _relay("--loop", "uvloop"),
    "tr-coalesce": _relay("--loop", "uvloop", "--translate"),
    "nginx": _nginx,
    "proxypal": _proxypal,
    "litellm": _litellm,
}
_ROUTED = {"proxypal": _proxypal_route, "litellm": _litellm_route}


def environment(command: Command) -> dict[str, str]:
    """That of *command*: of ours only what a program needs to be found and to speak."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "PYENV_VERSION")
    return {n: os.environ[n] for n in kept if n in os.environ} | dict(command.environment)
