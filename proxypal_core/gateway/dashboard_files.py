"""The dashboard's own files: static, holding no secret, read once at start.

What they show comes from ``/api``, which asks for the admin key or the dashboard's cookie.
"""

import gzip
import hashlib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable

import msgspec
from aiohttp import web

_TYPES: Mapping[str, str] = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
    "json": "application/json",
}
# Trusted Types turn every assignment of text to markup into an error, whoever makes it.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS: Mapping[str, str] = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # Asked for again each time, and answered with 304: a new version shows at once.
    "cache-control": "no-cache",
    "vary": "accept-encoding",
}


class File(msgspec.Struct, frozen=True):
    content_type: str
    body: bytes
    zipped: bytes
    etag: str


@lru_cache(maxsize=1)
def page_files() -> Mapping[str, File]:
    """Every file by its path below ``/dashboard/``; the page itself is ``""``."""
    found = dict(_walk(files("proxypal_core.gateway").joinpath("dashboard"), ""))
    found[""] = found.pop("index.html")
    return found


def answer(name: str, headers: Mapping[str, str]) -> web.Response | None:
    """The file *name*, or 304 when the request's *headers* show that it is known; None where there
    is no such file.
    """
    file = page_files().get(name)
    if file is None:
        return None
    etag = {"etag": file.etag, **HEADERS}
    if file.etag in headers.get("if-none-match", ""):
        return web.Response(status=304, headers=etag)
    shown = {"content-type": file.content_type, **etag}
    if "gzip" in headers.get("accept-encoding", ""):
        return web.Response(body=file.zipped, headers={"content-encoding": "gzip", **shown})
    return web.Response(body=file.body, headers=shown)


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, File]]:
    found: list[tuple[str, File]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
        elif (kind := _TYPES.get(entry.name.rpartition(".")[2])) is not None:
            found.append((prefix + entry.name, _file(kind, entry.read_bytes())))
    return found


def _file(content_type: str, body: bytes) -> File:
    etag = hashlib.sha256(body).hexdigest()[:32]
    return File(content_type, body, gzip.compress(body, mtime=0), f'"{etag}"')
