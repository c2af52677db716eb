"""A model's name into the targets that can serve it, in the order to try them.

Pure: who is ready and whose turn it is, is the pool's business. The forms of a name::

    provider/model     model     prefix/model     a route of the settings     auto
    model@provider:profile       model(high)  model(8192)  model(none)
"""

from proxypal_core.accounts.lease import Target
from proxypal_core.routing.book import Route, RouteBook, listing, route_book
from proxypal_core.routing.names import ModelName, canonical
from proxypal_core.routing.targets import UnknownModel, read, targets_of
from proxypal_core.routing.unknown import unknown

__all__ = [
    "ModelName",
    "Route",
    "RouteBook",
    "Target",
    "UnknownModel",
    "canonical",
    "listing",
    "resolve",
    "route_book",
]

_LONGEST_NAME = 512
_MOST_REMEMBERED = 1024


def resolve(name: str, *, book: RouteBook, prefer: str = "") -> tuple[Target, ...]:
    """The targets of *name*, best first, never none. *prefer* is the provider, by any of its names,
    that a bare model name is asked of first.

    Raises:
        UnknownModel: nobody serves it, or a route leads back to itself.
    """
    if len(name) > _LONGEST_NAME:
        raise UnknownModel(f"a model's name has at most {_LONGEST_NAME} characters")
    targets = book.resolved.get((name, prefer), ())
    if not targets:
        wanted, preferred = read(name, book), book.names.get(prefer, "")
        targets = targets_of(wanted, book, preferred)
        if not targets:
            raise unknown(wanted, book, preferred)
        if len(book.resolved) == _MOST_REMEMBERED:
            book.resolved.clear()
        book.resolved[name, prefer] = targets
    return targets
