"""``python -m tests.vault_kills``: kill, look, and say what was seen."""

import argparse
import tempfile
import time
from pathlib import Path

from tests.vault_kills import kill_writers


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.vault_kills")
    parser.add_argument("--count", type=int, default=1000, help="kills")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tally = kill_writers(Path(folder), options.count, options.seed)
    print(
        f"{tally.kills} kills, {tally.acknowledged} acknowledged writes, {tally.rotations} changes of"
        f" the key, {tally.leftovers} files left half-written, {time.monotonic() - begun:.0f} s:"
        " none lost, none corrupt"
    )


if __name__ == "__main__":
    main()
