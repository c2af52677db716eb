"""What is noted when a request ends, and when an account's standing changes."""

from collections.abc import Callable, Iterable

import msgspec

from proxypal_core.accounts.client_keys import ClientKey, Ledger
from proxypal_core.accounts.health import WELL
from proxypal_core.accounts.standing import Bookkeeping
from proxypal_core.gateway.explain import LastRequests
from proxypal_core.gateway.feed import Feed
from proxypal_core.metering import Record, prices, used
from proxypal_core.store.bodies_db import BodiesDB
from proxypal_core.store.usage_db import UsageDB
from proxypal_core.telemetry.metrics import Metrics


class Recorder(msgspec.Struct, frozen=True):
    usage: UsageDB
    metrics: Metrics
    feed: Feed
    last_requests: LastRequests
    ledger: Ledger
    bodies: BodiesDB
    trace: Callable[[Record], None] | None = None
    """Told of every record, to make spans of it."""
    count: Callable[[Record], None] | None = None
    """Told of every record, to add it to what other replicas counted."""

    def note(self, record: Record, client: ClientKey | None) -> None:
        """Price *record*, and have it counted, kept and told. *client* is whose key it came with."""
        record.cost = prices.cost(record)
        if client is not None:
            # As vendors do, without what was read from a cache: an agent sends its whole
            # conversation with every request.
            fresh, output, _, written, _ = used(record.usage)
            self.ledger.used(client, fresh + output + written, record.cost or 0.0)
        self.metrics.note(record)
        self.usage.put(record)
        self.last_requests.note(record)
        self.feed.publish("exchange", record)
        if self.trace is not None:
            self.trace(record)
        if self.count is not None:
            self.count(record)


class Standings:
    """Told of an account's bookkeeping, has *keep* keep it, and *feed* say when what is held against
    an account, or one of its models, is something else than before; *tell* is told of that, too.
    *known* is what was kept.
    """

    def __init__(
        self,
        keep: Callable[[Bookkeeping], None],
        feed: Feed,
        known: Iterable[Bookkeeping] = (),
        *,
        tell: Callable[[Bookkeeping], None] | None = None,
    ) -> None:
        self._keep = keep
        self._tell = tell
        self._feed = feed
        self._held = {(row.account, row.model): row.health for row in known if row.health != WELL}

    def note(self, row: Bookkeeping) -> None:
        self._keep(row)
        if row.health is WELL and not self._held:
            return
        key = (row.account, row.model)
        held = self._held.get(key, WELL)
        if held is row.health or held == row.health:
            return
        if row.health == WELL:
            del self._held[key]
        else:
            self._held[key] = row.health
        if self._tell is not None:
            self._tell(row)
        self._feed.hint("accounts")
