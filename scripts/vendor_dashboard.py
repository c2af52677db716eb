"""Fetch the dashboard's libraries again, at the versions below, with ``npm pack``.

    python scripts/vendor_dashboard.py

Browsers do not resolve bare imports without an import map, which a strict Content-Security-Policy
keeps out of the page; so they are rewritten to paths here, and nothing else is changed.
"""

import hashlib
import json  # noqa: TID251 — indented, and this runs without the product
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path

VENDOR = Path(__file__).parents[1] / "proxypal_core/gateway/dashboard/vendor"

# package, version, licence, file in the package, file here
LIBRARIES = (
    ("preact", "11.2.0", "MIT", "dist/preact.mjs", "preact.js"),
    ("preact", "11.2.0", "MIT", "hooks/dist/hooks.mjs", "preact-hooks.js"),
    ("htm", "3.1.1", "Apache-2.0", "dist/htm.mjs", "htm.js"),
    ("@preact/signals-core", "1.14.5", "MIT", "dist/signals-core.mjs", "signals-core.js"),
    ("@preact/signals", "2.11.4", "MIT", "dist/signals.mjs", "signals.js"),
    ("uplot", "1.6.32", "MIT", "dist/uPlot.iife.min.js", "uplot.js"),
    ("uplot", "1.6.32", "MIT", "dist/uPlot.min.css", "uplot.css"),
)
IMPORTS = {
    "preact": "./preact.js",
    "preact/hooks": "./preact-hooks.js",
    "@preact/signals-core": "./signals-core.js",
}


def main() -> None:
    VENDOR.mkdir(parents=True, exist_ok=True)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for package, version, licence, source, name in LIBRARIES:
            unpacked = _unpacked(package, version, Path(folder))
            text = _rewritten((unpacked / source).read_text("utf-8"))
            (VENDOR / name).write_text(text, "utf-8")
            licence_file = f"LICENSE-{package.replace('@', '').replace('/', '-')}.txt"
            (VENDOR / licence_file).write_text((unpacked / "LICENSE").read_text("utf-8"), "utf-8")
            rows.append(
                {
                    "file": name,
                    "package": package,
                    "version": version,
                    "source": source,
                    "licence": licence,
                    "licence_file": licence_file,
                    "sha256": hashlib.sha256(text.encode()).hexdigest(),
                }
            )
    (VENDOR / "VENDOR.json").write_text(json.dumps(rows, indent=2) + "\n", "utf-8")


def _unpacked(package: str, version: str, folder: Path) -> Path:
    target = folder / f"{package.replace('/', '-')}-{version}"
    if not target.exists():
        command = ["npm", "pack", "--silent", f"{package}@{version}"]
        packed = subprocess.run(  # noqa: S603 — the table above is all that it is given
            command, cwd=folder, check=True, capture_output=True, text=True
        )
        with tarfile.open(folder / packed.stdout.split()[-1]) as archive:
            archive.extractall(target, filter="data")
    return target / "package"


def _rewritten(text: str) -> str:
    """*text* with bare imports as paths, and without the pointer to a source map not kept here."""
    text = re.sub(r"//# sourceMappingURL=\S+\s*$", "", text)
    return re.sub(
        r'\bfrom\s*"([^"]+)"', lambda found: f'from"{IMPORTS.get(found[1], found[1])}"', text
    )


if __name__ == "__main__":
    main()
