"""What becomes of each field of a request in each dialect, found by asking the encoders."""

import msgspec

from proxypal_core.dialects import DIALECTS
from proxypal_core.hub.failure import Refused
from proxypal_core.hub.messages import (
    Audio,
    Base64,
    Blob,
    CacheMark,
    File,
    FileId,
    Image,
    Output,
    PlainText,
    Reasoning,
    Refusal,
    Request,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    Url,
)
from proxypal_core.wire import jsonio
from tests.strategies import PNG

SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
TOOL = Tool("read", description="Reads.", schema=SCHEMA)
OTHER = Tool("now", description="Tells the time.", schema=SCHEMA)
MODELS = {
    "openai-chat": "gpt-4.1",
    "openai-responses": "gpt-5.1",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-2.5-pro",
}
HI = Turn("user", (Text("Hi."),))


def user(*parts):
    return {"turns": (Turn("user", (*parts, Text("Hi."))),)}


def said(*parts):
    return {"turns": (HI, Turn("assistant", parts), HI)}


def called(call, *content, is_error=False):
    result = ToolResult("call_1", content or (Text("done"),), "read", is_error)
    turns = (HI, Turn("assistant", (call,)), Turn("user", (result,)))
    return {"tools": (TOOL,), "turns": turns}


CALL = ToolCall("call_1", "read", '{"a":"b"}')
TOOLS = {"tools": (TOOL, OTHER)}

# What is asked for, and what the same request is without it.
PROBES = {
    "system text": ({"system": (Text("Be brief."),)}, {}),
    "system in the middle": ({"turns": (HI, Turn("system", (Text("Be brief."),)), HI)}, {}),
    "image, inline": (user(Image(Base64("image/png", PNG))), {}),
    "image, URL": (user(Image(Url("https://example.com/a.png"))), {}),
    "image detail": (
        user(Image(Base64("image/png", PNG), detail="low")),
        user(Image(Base64("image/png", PNG))),
    ),
    "audio": (user(Audio("audio/wav", "UklGRg==")), {}),
    "PDF": (user(File(Base64("application/pdf", "JVBERi0xLjQ="), name="a.pdf")), {}),
    "text document": (user(File(PlainText("words"), name="a.txt")), {}),
    "file stored at another vendor": (user(File(FileId("file_1", "elsewhere"))), {}),
    "assistant text": (said(Text("Yes.")), {"turns": (HI, HI)}),
    "thinking with its signature": ("signed", said(Text("Yes."))),
    "thinking without one": (said(Thinking("Hm."), Text("Yes.")), said(Text("Yes."))),
    "refusal": (said(Refusal("No.")), {"turns": (HI, HI)}),
    "tool": ({"tools": (TOOL,)}, {}),
    "tool, strict": ({"tools": (msgspec.structs.replace(TOOL, strict=True),)}, {"tools": (TOOL,)}),
    "tool in a namespace": (
        {"tools": (msgspec.structs.replace(TOOL, namespace="files"),)},
        {},
    ),
    "tool, freeform": ({"tools": (Tool("patch", freeform=True),)}, {}),
    "tool call and result": (called(CALL), {"tools": (TOOL,)}),
    "tool result with an image": (
        called(CALL, Text("done"), Image(Base64("image/png", PNG))),
        called(CALL),
    ),
    "tool result that is an error": (called(CALL, is_error=True), called(CALL)),
    "tool choice: auto": ({**TOOLS, "tool_choice": ToolChoice("auto")}, TOOLS),
    "tool choice: none": ({**TOOLS, "tool_choice": ToolChoice("none")}, TOOLS),
    "tool choice: required": ({**TOOLS, "tool_choice": ToolChoice("required")}, TOOLS),
    "tool choice: one tool": ({**TOOLS, "tool_choice": ToolChoice("required", ("read",))}, TOOLS),
    "tool choice: a few tools": (
        {"tools": (TOOL, OTHER, Tool("x")), "tool_choice": ToolChoice("auto", ("read", "now"))},
        {"tools": (TOOL, OTHER, Tool("x"))},
    ),
    "parallel tool calls: no": ({**TOOLS, "parallel_tools": False}, TOOLS),
    "max output tokens": ({"max_output_tokens": 900}, {}),
    "stop sequences": ({"stop": ("END",)}, {}),
    "temperature": ({"sampling": Sampling(temperature=0.5)}, {}),
    "top_p": ({"sampling": Sampling(top_p=0.5)}, {}),
    "top_k": ({"sampling": Sampling(top_k=5)}, {}),
    "seed": ({"sampling": Sampling(seed=7)}, {}),
    "presence penalty": ({"sampling": Sampling(presence_penalty=0.5)}, {}),
    "frequency penalty": ({"sampling": Sampling(frequency_penalty=0.5)}, {}),
    "logit bias": ({"sampling": Sampling(logit_bias={"1": 1})}, {}),
    "several answers (n)": ({"sampling": Sampling(n=2)}, {}),
    "log probabilities": ({"sampling": Sampling(logprobs=True, top_logprobs=2)}, {}),
    "JSON object": ({"output": Output("json_object")}, {}),
    "JSON schema": ({"output": Output("json_schema", name="answer", schema=SCHEMA)}, {}),
    "verbosity": ({"output": Output(verbosity="low")}, {}),
    "reasoning: effort": ({"reasoning": Reasoning("effort", effort="high")}, {}),
    "reasoning: budget": ({"reasoning": Reasoning("budget", budget=4096)}, {}),
    "reasoning: off": ({"reasoning": Reasoning("off")}, {}),
    "end user": ({"end_user": "user-1"}, {}),
    "metadata": ({"metadata": {"k": "v"}}, {}),
    "service tier": ({"service_tier": "flex"}, {}),
    "cache key": ({"cache_key": "k-1"}, {}),
    "cache mark": (user(Text("Long.", cache=CacheMark("5m"))), user(Text("Long."))),
}

SIGNED = {
    "anthropic": Blob("anthropic", "signature", "EqQBCkgIARABGAIi"),
    "openai-responses": Blob("openai", "encrypted_reasoning", "gAAAAABencF1", "rs_1"),
    "gemini": Blob("gemini", "thought_signature", "U0lHMQ=="),
}


def outcome(name, dialect):
    """``carried``, ``mapped``, ``enforced``, ``dropped`` or ``refused``; ``lost`` if nobody was told."""
    fields, without = PROBES[name]
    if fields == "signed":
        blob = SIGNED.get(dialect)
        if blob is None:
            return "remembered"  # by the proxy itself: dialects/carry.py
        fields = said(Thinking("Hm.", (blob,)), Text("Yes."))
    asked, plain = request(dialect, fields), request(dialect, without)
    target = DIALECTS[dialect]
    try:
        encoded = target.encode_request(asked)
    except Refused:
        return "refused"
    if encoded.dropped:
        return "dropped"
    if encoded.stops:
        return "enforced"
    if encoded.body == target.encode_request(plain).body:
        return "default" if name in DEFAULTS else "left out" if name in HINTS else "lost"
    back = target.decode_request(jsonio.load_object(encoded.body), model=asked.model, stream=False)
    probed = [field for field in fields if fields[field] != without.get(field)]
    same = all(getattr(back, field) == getattr(asked, field) for field in probed)
    return "carried" if same else "mapped"


DEFAULTS = {"tool choice: auto", "reasoning: off"}
"""What is the same as not saying it, at some vendors."""
HINTS = {"cache mark", "thinking without one"}
"""What changes no answer: its own vendor alone can use it, or nobody can."""


def request(dialect, fields):
    client = "anthropic" if dialect != "anthropic" else "openai-chat"
    everything = {"turns": (HI,), "max_output_tokens": 1000, **fields}
    return Request(dialect=client, model=MODELS[dialect], **everything)


def render():
    """The table as Markdown."""
    lines = [
        "# What becomes of each field",
        "",
        "Between a client and a provider of the same dialect nothing changes. Across dialects, for a",
        f"typical model of each ({', '.join(MODELS.values())}):",
        "",
        "* **carried**: it arrives as it was meant;",
        "* **mapped**: it arrives in the nearest form that the target has;",
        "* **dropped**: the target has no place for it; `x-proxypal-dropped` names it, and with",
        "  `strict: true` it is refused instead;",
        "* **enforced**: the proxy itself sees to it;",
        "* **refused**: a 400 names it, since leaving it out would lie;",
        "* **default**: it is what the target does anyhow;",
        "* **remembered**: kept by the proxy, which puts it back when the conversation comes again;",
        "* **left out**: a hint that only its own vendor can use (prompt-cache marks), or what every",
        "  vendor refuses (thoughts without a signature).",
        "",
        "This page is made from the code by `tests/dialects/test_table.py`.",
        "",
        "| field | " + " | ".join(DIALECTS) + " |",
        "|---|" + "---|" * len(DIALECTS),
    ]
    lines += [
        f"| {name} | " + " | ".join(outcome(name, dialect) for dialect in DIALECTS) + " |"
        for name in PROBES
    ]
    return "\n".join(lines) + "\n"
