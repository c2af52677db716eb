"""The daemon, slower than it is: what the check of a slowdown is checked with.

python -m bench.slowed TURNS TURNS serve ...

So many turns of an empty loop are added to a request, and to a stream.
"""

import sys

from aiohttp import web

from proxypal_core import __main__ as program
from proxypal_core.daemon.drain import Drain


def main() -> None:
    whole, stream = int(sys.argv.pop(1)), int(sys.argv.pop(1))
    usual = Drain.__call__

    async def slower(self: Drain, request: web.BaseRequest) -> web.StreamResponse:
        streaming = b'"stream":true' in await request.read()
        for _ in range(stream if streaming else whole):
            pass
        return await usual(self, request)

    setattr(Drain, "__call__", slower)  # noqa: B010 — an assignment would be a type error
    program.main()


if __name__ == "__main__":
    main()
