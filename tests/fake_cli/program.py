"""Run as a program of its own, with the standard library alone."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

FLOOD = 40 * 1024 * 1024


def say(line):
    print(line if isinstance(line, str) else json.dumps(line), flush=True)


def given(option):
    """The value behind ``option`` or after its ``=``."""
    for at, word in enumerate(sys.argv):
        if word == option:
            return sys.argv[at + 1]
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return ""


def dump(stdin):
    files = {}
    for word in [*sys.argv[1:], *stdin.split(), *os.environ.values()]:
        path = Path(word.partition("=")[2] if word.startswith("--") else word.lstrip("@"))
        if "run-" in str(path) and path.is_file():
            modes = [oct(at.stat().st_mode & 0o777) for at in (path, path.parent)]
            files[str(path)] = [*modes, path.read_bytes().hex()]
    seen = {
        "argv": sys.argv[1:],
        "env": dict(os.environ),
        "cwd": str(Path.cwd()),
        "stdin": stdin,
        "files": files,
        "pid": os.getpid(),
    }
    with Path(os.environ["FAKE_DUMP"]).open("a") as file:
        file.write(json.dumps(seen) + "\n")


def claude(stdin, *, cut=False, pause=0.0):
    session = given("--resume") or given("--session-id")
    say({"type": "system", "subtype": "init", "session_id": session})
    try:
        content = json.loads(stdin)["message"]["content"]
        text = "".join(part.get("text", "") for part in content)
    except ValueError:
        text = stdin
    for word in text.split(" "):
        time.sleep(pause)
        delta = {"type": "text_delta", "text": f"{word} "}
        say({"type": "stream_event", "event": {"type": "content_block_delta", "delta": delta}})
    if cut:
        sys.exit(3)
    usage = {"input_tokens": 7, "cache_read_input_tokens": 5, "output_tokens": 3}
    say({"type": "assistant", "message": {"content": [{"type": "text", "text": text}]}})
    say({"type": "result", "subtype": "success", "is_error": False, "result": text,
         "session_id": session, "usage": usage})  # fmt: skip


def codex(stdin):
    say({"type": "thread.started", "thread_id": given("--thread") or "thread-1"})
    say({"type": "item.completed", "item": {"type": "reasoning", "text": "hm"}})
    say({"type": "item.completed", "item": {"type": "agent_message", "text": stdin}})
    say({"type": "turn.completed", "usage": {"input_tokens": 9, "cached_input_tokens": 4}})


def fail(message, code=1):
    print(message, file=sys.stderr, flush=True)
    sys.exit(code)


def result_error(text, status):
    say({"type": "result", "subtype": "success", "is_error": True, "result": text,
         "api_error_status": status, "session_id": "s"})  # fmt: skip


def tree():
    """A child with a child, in groups of their own; each says its pid."""
    level = int(os.environ.get("FAKE_LEVEL", "0"))
    if os.environ.get("FAKE_DEAF"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with Path(os.environ["FAKE_PIDS"]).open("a") as file:
        file.write(f"{os.getpid()}\n")
    if level < 2:
        subprocess.Popen(  # noqa: S603 — itself
            [sys.executable, __file__, "--play=tree"],
            env={**os.environ, "FAKE_LEVEL": str(level + 1)},
            stdin=subprocess.DEVNULL,
            start_new_session=level == 1,
        )
    if level == 0:
        say({"type": "stream_event", "event": {"delta": {"type": "text_delta", "text": "begun"}}})
    time.sleep(600)


def main():
    play = given("--play")
    if play == "tree":
        tree()
    stdin = "" if play == "deaf" else sys.stdin.read()
    dump(stdin)
    text = stdin or sys.argv[-1]
    match play:
        case "text":
            say(text)
        case "json":
            say("Welcome to the program!")
            answer = {"result": text, "session_id": "s-1"}
            say({**answer, "usage": {"input_tokens": 2, "output_tokens": 1}})
        case "json-error":
            say({"type": "result", "is_error": True, "result": "Credit balance is too low"})
        case "claude":
            claude(stdin)
        case "slow":
            claude(stdin, pause=0.2)
        case "codex":
            codex(stdin)
        case "gone":  # its sessions are never there
            if given("--resume"):
                fail("No conversation found with session ID: 1")
            claude(stdin)
        case "half":
            claude(stdin, cut=True)
        case "unfinished":
            say({"type": "system", "session_id": "s"})
        case "flood":
            for _ in range(FLOOD // 65536):
                sys.stdout.write("x" * 65536)
        case "hang" | "deaf":
            time.sleep(600)
        case "chatty":
            while True:
                say({"type": "system", "subtype": "status"})
                time.sleep(0.02)
        case "tty":
            Path("/dev/tty").open().close()
        case "logged-out":
            result_error("Not logged in · Please run /login", None)
            sys.exit(1)
        case "limited":
            result_error("API Error: Request rejected (429) · you are rate limited", 429)
        case "bad-model":
            result_error("There's an issue with the selected model (x). It may not exist", 404)
        case "noisy":
            key = os.environ.get("FAKE_KEY", "key-0123456789abcdef")
            fail("trace " * 2000 + f"{key} is wrong, the end")


main()
