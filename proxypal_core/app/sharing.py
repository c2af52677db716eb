"""What settings say about other replicas."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from proxypal_core.app.clock import Clock
from proxypal_core.settings.schema import Settings
from proxypal_core.store.usage_db import UsageDB
from proxypal_core.store.vault import Vault

if TYPE_CHECKING:
    from proxypal_core.app.replica import Replica
    from proxypal_core.shared.redis import Redis


def cannot_share(settings: Settings) -> str:
    """Why *settings* cannot be followed on this machine; empty if they can."""
    if settings.state.backend == "redis" and find_spec("redis") is None:
        return (
            "state.backend is redis, which needs a package that is not installed:"
            " pip install 'proxypal-core[redis]', or use local"
        )
    return ""


async def unreachable(settings: Settings) -> str:
    """Why the shared state of *settings* does not answer; empty if it does."""
    from proxypal_core.shared.state import Unreachable  # noqa: PLC0415 — as below

    shared = _redis(settings, "doctor")
    try:
        await shared.usage("")
    except Unreachable as error:
        return str(error)
    finally:
        await shared.close()
    return ""


@asynccontextmanager
async def replica_of(
    settings: Settings, clock: Clock, usage: UsageDB, vault: Vault | None
) -> AsyncIterator["Replica | None"]:
    """The part of this daemon that knows of others; None where *settings* say that there are none."""
    if settings.state.backend == "local":
        yield None
        return
    # Not at the top: who shares nothing is to load nothing of it.
    from proxypal_core.app.replica import Replica  # noqa: PLC0415
    from proxypal_core.app.shared_vault import SharedVault  # noqa: PLC0415

    name = clock.new_id()
    shared = _redis(settings, name)
    replica = Replica(
        shared,
        name,
        clock=clock,
        spending=usage,
        affinity_ttl=settings.routing.affinity_ttl if settings.routing.session_affinity else 0.0,
        vault=SharedVault(shared, vault, tenant=settings.state.tenant, new_id=clock.new_id)
        if vault
        else None,
    )
    try:
        yield replica
    finally:
        await replica.close()


def _redis(settings: Settings, name: str) -> "Redis":
    from proxypal_core.shared.redis import Redis  # noqa: PLC0415 — an extra

    return Redis(settings.state.url, settings.state.tenant, name)
