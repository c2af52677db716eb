"""The jobs: what is asked and answered, how fast, and by how many at once."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """``gap`` seconds lie between the events of a stream, and ``group`` of them go out in one send();
    0 sends all at once. ``prompt`` is the length of what the user says. Clients ask again and again
    for ``seconds``; they begin within ``ramp``.
    """

    about: str
    stream: bool = True
    events: int = 100
    gap: float = 0.0
    group: int = 1
    prompt: int = 10
    seconds: float = 2.0
    ramp: float = 0.0


@dataclass(frozen=True)
class Cell:
    """A job, and how many clients do it at once."""

    name: str
    kind: Kind
    connections: int
    seconds: float


KINDS = {
    "json": Kind("a small answer, no stream: what a request costs", stream=False),
    "big": Kind("the same with 100 KB of request", stream=False, prompt=100_000),
    "big1m": Kind("the same with 1 MB of request", stream=False, prompt=1_000_000),
    "burst": Kind("a stream as fast as it goes, one send() an event"),
    "blob": Kind("a stream sent whole: the work of an event alone", group=0),
    "paced": Kind("an event every 10 ms: the cost of a lone one", gap=0.01, seconds=4.0, ramp=1.0),
    "slow": Kind("an event every 40 ms", events=50, gap=0.04, seconds=4.0, ramp=2.0),
}


def cell(name: str, seconds: float | None = None) -> Cell:
    """The cell of a name such as ``json@16``; it lasts *seconds*, if those are given.

    Raises:
        ValueError: there is no such cell.
    """
    kind, _, connections = name.partition("@")
    if kind not in KINDS or not connections.isdigit() or not int(connections):
        raise ValueError(f"there is no cell {name}; there are {', '.join(KINDS)}, as in json@16")
    return Cell(name, KINDS[kind], int(connections), seconds or KINDS[kind].seconds)
