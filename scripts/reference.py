"""The tables of the reference pages, made from the code.

    python -m scripts.reference            # write them
    python -m scripts.reference --check    # say which are stale; exit code 1 when there is one

A page says where a table belongs, and Cog (https://cog.readthedocs.io) writes what the function of
that name returns between the two lines:

    <!-- [[[cog cog.out(reference.settings()) ]]] -->
    <!-- [[[end]]] -->
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

import click
import msgspec
import yaml
from cogapp import Cog

from proxypal_core.agents.agent import agents as agent_rows
from proxypal_core.cli.deferred import Deferred
from proxypal_core.cli.main import main as proxypal
from proxypal_core.dialects import DIALECTS
from proxypal_core.gateway import answers, api, surface
from proxypal_core.gateway.openapi import Endpoint
from proxypal_core.hub.failure import Failure, Kind
from proxypal_core.providers import backend, catalog
from proxypal_core.settings.describe import shown
from proxypal_core.settings.parse import NOT_YET
from proxypal_core.settings.schema import Document, Duration, SecretText
from proxypal_core.shared.state import WHEN_GONE
from proxypal_core.wire import jsonio

ROOT = Path(__file__).parent.parent


def table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table, with a blank line on each side."""
    head = f"| {' | '.join(titles)} |"
    rule = "|---" * (head.count("|") - 1) + "|"
    return "\n".join(["", head, rule, *(f"| {' | '.join(row)} |" for row in rows), "", ""])


def code(text: str) -> str:
    """*text* between backticks, as a table's cell may hold it."""
    return f"`{text}`".replace("|", r"\|")


# ── what works ───────────────────────────────────────────────────────────────────────────────


def what_works(dialects: str, providers: str, agents: str, backends: str) -> str:
    """What there is of each, in rows of those titles."""
    usable = (name for name, agent in agent_rows().items() if not agent.obstacle)
    named = {
        dialects: DIALECTS,
        providers: (row.name for row in catalog.builtin_rows()),
        agents: usable,
        backends: backend.builtin_rows(),
    }
    rows = (f"| {title} | {', '.join(map(code, names))} |" for title, names in named.items())
    return "\n".join(["", "| | |", "|---|---|", *rows, "", ""])


# ── settings ─────────────────────────────────────────────────────────────────────────────────


class Setting(NamedTuple):
    path: str
    kind: str
    default: str
    meaning: str


def settings() -> str:
    """Every key of ``config.yaml``: a section for each of the topmost ones."""
    return "".join(
        f"\n## {field.name}\n"
        + table(
            ("key", "type", "default", "what it is"),
            (
                (code(row.path), row.kind, row.default, row.meaning)
                for row in _settings_of(field, "")
            ),
        )
        for field in msgspec.structs.fields(Document)
    )


def _settings_of(field: msgspec.structs.FieldInfo, above: str) -> Iterator[Setting]:
    path = above + field.name
    inner, meta = _plain(field.type)
    row = inner if _is_struct(inner) else next(filter(_is_struct, get_args(inner)), None)
    meaning = meta.description or ""
    if path in NOT_YET:
        meaning += " It has no effect in this version."
    yield Setting(path, type_in_words(field.type), "" if row is inner else _default(field), meaning)
    if row is not None:
        beneath = f"{path}." if row is inner else f"{path}[]."
        for below in msgspec.structs.fields(row):
            yield from _settings_of(below, beneath)


def _plain(kind: Any) -> tuple[Any, msgspec.Meta]:
    """*kind* without its annotations, and those in one; the outer ones count."""
    if get_origin(kind) is not Annotated:
        return kind, msgspec.Meta()
    inner, *metas = get_args(kind)
    told = {
        name: value
        for meta in metas
        for name in ("ge", "le", "min_length", "description")
        if (value := getattr(meta, name)) is not None
    }
    return inner, msgspec.Meta(**told)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    made = field.default_factory
    default = field.default if made is msgspec.NODEFAULT else made()
    flow = yaml.safe_dump(shown(default), default_flow_style=True, allow_unicode=True, width=1000)
    return code(flow.removesuffix("...\n").strip().replace("''", '""'))


_WORDS: Mapping[Any, str] = {
    str: "text",
    SecretText: "text, secret",
    Duration: "duration",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Any: "anything",
}


def type_in_words(kind: Any) -> str:
    """What a value of *kind* looks like, for people."""
    inner, meta = _plain(kind)
    origin, arguments = get_origin(inner), get_args(inner)
    if origin is Literal:
        return ", ".join(code(str(word) or '""') for word in arguments)
    if origin is tuple:
        return f"list of {type_in_words(arguments[0])}"
    if origin is Mapping:
        return f"mapping of {type_in_words(arguments[0])} to {type_in_words(arguments[1])}"
    words = _WORDS.get(inner, "mapping")
    match meta.ge, meta.le:
        case None, None:
            return words
        case least, None:
            return f"{words}, {least} or more"
        case least, most:
            return f"{words}, {least} to {most}"


# ── commands ─────────────────────────────────────────────────────────────────────────────────

_WIDTH = 88


def commands() -> str:
    """``--help`` of every command."""
    return "".join(_help(proxypal, "proxypal", None))


def _help(command: click.Command, name: str, above: click.Context | None) -> Iterator[str]:
    context = click.Context(
        command, above, info_name=name, terminal_width=_WIDTH, **command.context_settings
    )
    path = context.command_path
    heading = "###" if path.count(" ") > 1 else "##"
    yield f"\n{heading} {path}\n\n```text\n{command.get_help(context)}\n```\n"
    for below, found in sorted(getattr(command, "commands", {}).items()):
        loaded = found.loaded if isinstance(found, Deferred) else found
        yield from _help(loaded, below, context)


# ── what clients ask ─────────────────────────────────────────────────────────────────────────

PATHS: tuple[tuple[str, str, str], ...] = (
    ("POST", "/v1/chat/completions", "An answer, whole or streamed."),
    ("POST", "/v1/completions", "The older form of it, with a `prompt`; any chat model serves it."),
    ("POST", "/v1/responses", "An answer, whole or streamed."),
    ("GET", "/v1/responses", "A WebSocket upgrade: answered 426, so that clients use POST."),
    ("GET", "/v1/responses/{id}", "An answer that was stored."),
    ("GET", "/v1/responses/{id}/input_items", "What a stored answer was an answer to."),
    ("DELETE", "/v1/responses/{id}", "Forget a stored answer."),
    ("POST", "/v1/responses/{id}/cancel", "End an answer that is made in the background."),
    ("POST", "/v1/responses/compact", "A conversation in fewer tokens."),
    ("POST", "/v1/responses/input_tokens", "How many tokens a request has."),
    ("POST", "/v1/messages", "An answer, whole or streamed."),
    ("POST", "/v1/messages/count_tokens", "How many tokens a request has."),
    ("POST", "/v1beta/models/{model}:generateContent", "An answer."),
    (
        "POST",
        "/v1beta/models/{model}:streamGenerateContent",
        "A streamed answer: events with `?alt=sse`, a JSON array without.",
    ),
    ("POST", "/v1beta/models/{model}:countTokens", "How many tokens a request has."),
    ("POST", "/v1beta/models/{model}:embedContent", "An embedding."),
    ("POST", "/v1beta/models/{model}:batchEmbedContents", "Several embeddings."),
    ("POST", "/v1/embeddings", "Passed on as it is."),
    ("POST", "/v1/moderations", "Passed on as it is."),
    ("POST", "/v1/rerank", "Passed on as it is."),
    ("POST", "/v1/images/…", "Passed on as it is."),
    ("POST", "/v1/audio/…", "Passed on as it is."),
    ("GET", "/v1/files", "Passed on as it is, with `POST`, `DELETE` and all paths below."),
    ("GET", "/v1/batches", "Passed on as it is, with `POST`, `DELETE` and all paths below."),
    ("GET", "/v1/models", "The models that can be asked for."),
    ("GET", "/v1/models/{model}", "One of them."),
    ("GET", "/v1beta/models", "The models that can be asked for."),
    ("GET", "/v1beta/models/{model}", "One of them."),
    (
        "GET",
        "/health",
        '`{"status": "ok", …}` as long as the daemon runs. Also `/healthz`, `HEAD`.',
    ),
    ("GET", "/", "The same."),
    ("GET", "/dashboard", "The dashboard's page; what it shows comes from `/api`."),
    ("GET", "/api/state", "The management API: this and all else below `/api`."),
    ("GET", "/metrics", "Counters and histograms for Prometheus."),
)


def paths(access: str) -> str:
    """The paths that those may ask who have *access*: ``client``, ``open`` or ``admin``. The dialect
    is what ``gateway/surface.py`` makes of the path.
    """
    shown = [(row, surface.match(*row[:2]).route) for row in PATHS]
    patterns = {route.pattern.pattern for _, route in shown}
    if missing := {route.pattern.pattern for route in surface.ROUTES} - patterns:
        raise LookupError(f"no row of PATHS shows {missing}")
    mine = [(row, route.dialect) for row, route in shown if route.access == access]
    if access == "client":
        rows = ((code(f"{row[0]} {row[1]}"), dialect, row[2]) for row, dialect in mine)
        return table(("request", "dialect", "what it is"), rows)
    return table(
        ("request", "what it is"), ((code(f"{row[0]} {row[1]}"), row[2]) for row, _ in mine)
    )


# ── the management API ───────────────────────────────────────────────────────────────────────


def endpoints() -> str:
    """Every endpoint of the management API."""
    rows = ((code(f"{row.method} {row.path}"), row.summary) for row in api.ENDPOINTS)
    return table(("Endpoint", "What it is for"), rows)


def parameters() -> str:
    """What the endpoints of the management API take, besides what stands in their paths."""
    rows = (row for endpoint in api.ENDPOINTS for row in _parameters(endpoint))
    return table(("Endpoint", "Takes", "What it is"), rows)


def _parameters(row: Endpoint) -> Iterator[tuple[str, str, str]]:
    name = code(f"{row.method} {row.path}")
    for word, meaning in row.query.items():
        yield name, f"query {code(word)}", meaning
    for field in msgspec.structs.fields(row.body) if row.body else ():
        kind, default = type_in_words(field.type), _default(field)
        yield name, f"body {code(field.encode_name)}", f"{kind}; {_told_default(default)}"


def _told_default(default: str) -> str:
    return default if default == "required" else f"{default} if left out"


# ── errors ───────────────────────────────────────────────────────────────────────────────────

_MEANINGS: Mapping[Kind, str] = {
    Kind.INVALID: "The request itself is wrong; `param` names the field where one is known.",
    Kind.CONTEXT: "The prompt is longer than the model's window.",
    Kind.UNSUPPORTED: "The target cannot do what is asked.",
    Kind.TOO_LARGE: "The body is too large.",
    Kind.CLIENT_KEY: "The client's key for this daemon is missing, wrong or expired.",
    Kind.FORBIDDEN_HERE: "A guard of the daemon says no: a foreign `Host` (421) or `Origin`.",
    Kind.NO_ROUTE: "There is no such path here.",
    Kind.METHOD: "The path is known, the method is not; `allow` names those that are.",
    Kind.MEDIA_TYPE: "The body's `content-type` is not JSON.",
    Kind.MODEL: "Nobody here serves the model.",
    Kind.CONFLICT: "It contradicts what is there already.",
    Kind.AUTH: "The provider refuses the account's credential.",
    Kind.FORBIDDEN: "The provider refuses this use of the account.",
    Kind.BILLING: "The accounts are out of credit.",
    Kind.RATE_LIMIT: "The provider's limit is reached, or the client key's own.",
    Kind.OVERLOADED: "The provider has too much to do.",
    Kind.SERVER: "The provider failed.",
    Kind.TIMEOUT: "The provider took too long.",
    Kind.UNREACHABLE: "There is no connection to the provider.",
    Kind.TRUNCATED: "The provider's answer broke off.",
    Kind.BAD_REPLY: "The provider's answer cannot be read.",
    Kind.RESTING: "Every account that could serve is resting.",
    Kind.NO_ACCOUNT: "No account could serve, however long one waits.",
    Kind.INTERNAL: "The daemon failed; its log says why.",
}


# Responses tells what Chat tells.
_TELLERS = ("openai-chat", "anthropic", "gemini")


def kinds() -> str:
    """Each kind of failure: what happened, and whether an SDK should ask again by itself."""
    rows = ((code(kind.value), _MEANINGS[kind], _retry(kind)) for kind in Kind)
    return table(("kind", "what happened", "`x-should-retry`"), rows)


def _retry(kind: Kind) -> str:
    refusal = answers.refusal(DIALECTS["anthropic"], Failure(kind, ""), "")
    return refusal.headers.get("x-should-retry", "")


def when_gone() -> str:
    """Each kind of shared state: what a replica does while the place of it cannot be reached."""
    rows = ((code(kind), gone.fails, gone.how, gone.back) for kind, gone in WHEN_GONE.items())
    return table(("what is shared", "fails", "while Redis is gone", "when it is back"), rows)


def errors() -> str:
    """Each kind of failure, as the clients of each dialect get it."""
    rows = ((code(kind.value), *(told(dialect, kind) for dialect in _TELLERS)) for kind in Kind)
    return table(("kind", "OpenAI", "Anthropic", "Gemini"), rows)


def told(dialect: str, kind: Kind) -> str:
    """The status and the words for programs in *dialect*'s answer to a failure of *kind*."""
    status, body = DIALECTS[dialect].encode_failure(Failure(kind, "…"), request_id="")
    error = jsonio.load_object(body)["error"]
    words = [error[name] for name in ("type", "code", "status") if isinstance(error.get(name), str)]
    return f"{status} {' '.join(map(code, dict.fromkeys(words)))}"


def error_bodies() -> str:
    """One failure in the words of each dialect."""
    failure = Failure(Kind.RESTING, "every account is resting", retry_after=90)
    return "".join(f"\n### {name}\n\n```json\n{_body(name, failure)}\n```\n" for name in _TELLERS)


def _body(dialect: str, failure: Failure) -> str:
    _, body = DIALECTS[dialect].encode_failure(failure, request_id="req_1")
    return msgspec.json.format(body, indent=2).decode()


# ── the command ──────────────────────────────────────────────────────────────────────────────


def pages() -> list[Path]:
    """The pages that have such a table."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return sorted(page for page in found if "[[[cog" in page.read_text("utf-8"))


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; exit code 1 when a page is stale.")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True))
def main(check: bool, files: tuple[Path, ...]) -> None:  # noqa: FBT001 — click passes flags by name
    """Write what the code says into FILES, all pages that have a table of it if none is given."""
    mode = ["--check", "--check-fail-msg=run: make reference"] if check else ["-r"]
    prologue = ["-p", "from scripts import reference"]
    names = [str(file) for file in files or pages()]
    sys.exit(Cog().main(["cog", *mode, *prologue, *names]))


if __name__ == "__main__":
    main()
