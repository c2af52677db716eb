"""A Redis server of a test's own, which can be stopped, killed and flushed."""

import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import redis

PROGRAM = shutil.which("redis-server") or shutil.which("valkey-server")
MISSING = "neither redis-server nor valkey-server is installed (Debian: apt install redis-server)"
_PATIENCE = 10.0


class RedisServer:
    """It listens on a socket in a folder of its own, and keeps nothing on the disk."""

    def __init__(self, folder):
        self.path = Path(folder) / "redis.sock"
        self.url = f"unix://{self.path}"
        self.process = None
        self.start()

    def start(self):
        self.path.unlink(missing_ok=True)
        # fmt: off
        self.process = subprocess.Popen(  # noqa: S603 — a program and options of our own
            [PROGRAM, "--port", "0", "--unixsocket", str(self.path), "--save", "",
             "--appendonly", "no", "--dir", str(self.path.parent), "--logfile", "redis.log"],
            stdout=subprocess.DEVNULL,
        )
        # fmt: on
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                with self.asked() as client:
                    client.ping()
                return
            except redis.ConnectionError:
                if time.monotonic() > until or self.process.poll() is not None:
                    raise
                time.sleep(0.01)

    @contextmanager
    def asked(self):
        """A client that waits, for tests that look inside."""
        with redis.Redis(unix_socket_path=str(self.path), decode_responses=True) as client:
            yield client

    def hang(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def flush(self):
        with self.asked() as client:
            client.flushall()

    def commands(self):
        """How often each command was called since the start, and the microseconds it took."""
        with self.asked() as client:
            stats = client.info("commandstats")
        return {
            name.removeprefix("cmdstat_"): (row["calls"], row["usec"])
            for name, row in stats.items()
        }


@contextmanager
def redis_server():
    with tempfile.TemporaryDirectory(prefix="pp-redis-") as folder:
        server = RedisServer(folder)
        try:
            yield server
        finally:
            server.process.kill()
            server.process.wait()
