"""``make faults``: the whole matrix, its table, and what it comes to."""

import sys

from tests.faults.matrix import measure
from tests.figures import main

if __name__ == "__main__":
    sys.exit(main("tests.faults", {"matrix": measure}))
