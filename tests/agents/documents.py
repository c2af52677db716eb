"""Texts of each format as people write them, for hypothesis."""

from hypothesis import strategies as st

from proxypal_core.wire import jsonio

NAMES = st.sampled_from(["a", "b", "env", "model", "theme", "models", "list", "x-y", "K1"])
SCALARS = st.one_of(
    st.integers(-1000, 1000),
    st.booleans(),
    st.text("abc é{}[],:#'\"/*\\\n", max_size=8),
)
JSON_VALUES = st.recursive(
    SCALARS | st.none(),
    lambda child: st.lists(child, max_size=3) | st.dictionaries(NAMES, child, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(NAMES, JSON_VALUES, max_size=4)
SPACE = st.sampled_from(["", " ", "\n  ", "\r\n\t", " // one, {two}\n", "/* a\n * b */", "\n\n"])


@st.composite
def json5(draw, value=OBJECTS):
    """JSON5 text of an object: comments, single quotes, bare keys, trailing commas."""
    return draw(SPACE) + _spelt(draw, draw(value)) + draw(SPACE)


def _spelt(draw, value):
    space = lambda: draw(SPACE)  # noqa: E731 — short for what stands everywhere
    if isinstance(value, dict):
        members = [
            f"{space()}{_key(draw, key)}{space()}:{space()}{_spelt(draw, child)}{space()}"
            for key, child in value.items()
        ]
        return "{" + ",".join(members) + _trailing(draw, members) + space() + "}"
    if isinstance(value, list):
        members = [f"{space()}{_spelt(draw, child)}{space()}" for child in value]
        return "[" + ",".join(members) + _trailing(draw, members) + space() + "]"
    return jsonio.dumps_text(value)


def _trailing(draw, members):
    return draw(st.sampled_from(["", ","])) if members else ""


def _key(draw, key):
    if key.isidentifier() and draw(st.booleans()):
        return key
    return f"'{key}'" if draw(st.booleans()) else f'"{key}"'


@st.composite
def toml(draw):
    """TOML text: top-level keys, tables, comments."""
    scalar = st.one_of(st.integers(-99, 99), st.booleans(), st.text("abc #=[]", max_size=6))
    note = st.sampled_from(["", "  # a note", "\n# on its own", "\n"])
    lines = [
        f"{key} = {jsonio.dumps_text(value)}{draw(note)}"
        for key, value in draw(st.dictionaries(NAMES, scalar, max_size=3)).items()
    ]
    taken = {line.split(" ")[0] for line in lines}
    for table in draw(st.lists(NAMES, max_size=2, unique=True)):
        if table not in taken:
            name = draw(st.sampled_from([table, f"{table}.sub"]))
            lines.append(f"{draw(note)}\n[{name}]{draw(st.sampled_from(['', '  # table']))}")
            rows = draw(st.dictionaries(NAMES, scalar, max_size=2))
            lines += [f"{key} = {jsonio.dumps_text(value)}" for key, value in rows.items()]
    return "\n".join(lines) + draw(st.sampled_from(["", "\n", "\n\n"]))


@st.composite
def yaml(draw):
    """YAML text: keys with scalars, and a list of mappings."""
    note = st.sampled_from(["", "  # a note"])
    lines = draw(st.lists(st.sampled_from(["# on top", "", "---"]), max_size=1))
    for key, value in draw(st.dictionaries(NAMES, SCALARS, max_size=3)).items():
        lines.append(f"{key}: {jsonio.dumps_text(value)}{draw(note)}")
    indent = draw(st.sampled_from(["", "  "]))
    items = draw(st.lists(st.dictionaries(NAMES, SCALARS, min_size=1, max_size=2), max_size=3))
    if items and not any(line.startswith("models:") for line in lines):
        lines.append(f"models:{draw(note)}")
        for item in items:
            for at, (key, value) in enumerate(item.items()):
                lines.append(
                    f"{indent}{'  ' if at else '- '}{key}: {jsonio.dumps_text(value)}{draw(note)}"
                )
            lines += draw(st.lists(st.just(f"{indent}# between"), max_size=1))
    lines += draw(st.lists(st.sampled_from(["zebra: 1", "# the end", ""]), max_size=2, unique=True))
    return "\n".join(lines) + draw(st.sampled_from(["", "\n"]))


@st.composite
def env(draw):
    names = st.sampled_from(["A", "B_C", "GEMINI_API_KEY", "PATH"])
    line = st.builds(
        lambda export, name, value, note: f"{export}{name}={value}{note}",
        st.sampled_from(["", "export "]),
        names,
        st.sampled_from(["", "1", '"two words"', "'x'", "a/b:c"]),
        st.sampled_from(["", " # note"]),
    )
    lines = draw(st.lists(line | st.sampled_from(["", "# a comment"]), max_size=5))
    return "\n".join(lines) + draw(st.sampled_from(["", "\n"]))


TEXTS = {"json": json5(), "toml": toml(), "yaml": yaml(), "env": env()}
