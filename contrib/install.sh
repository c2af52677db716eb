#!/bin/sh
# Install ProxyPal for the user who runs this: an environment of its own in ~/.local/share/proxypal-app,
# and the command in ~/.local/bin. Nothing needs root, and nothing else is touched.
#
#   sh contrib/install.sh               from the clone that this file is in
#   sh contrib/install.sh --service     and have it started at login
#   sh contrib/install.sh --uninstall   settings, accounts and records stay
set -eu

app="${XDG_DATA_HOME:-$HOME/.local/share}/proxypal-app"
bin="$HOME/.local/bin"
source=$(cd "$(dirname "$0")/.." && pwd)

fail() {
    echo "$1" >&2
    exit 1
}

python_of() {
    for name in ${PYTHON:-} python3.14 python3.13 python3.12 python3.11 python3 python; do
        if "$name" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    return 1
}

service=no
for argument in "$@"; do
    case "$argument" in
    --service) service=yes ;;
    --uninstall)
        if [ -x "$bin/proxypal" ]; then "$bin/proxypal" service uninstall || true; fi
        rm -rf "$app" "$bin/proxypal"
        echo "Removed $app and $bin/proxypal."
        exit 0
        ;;
    *) fail "usage: $0 [--service | --uninstall]" ;;
    esac
done

[ -f "$source/pyproject.toml" ] || fail "$source is no clone of ProxyPal."
python=$(python_of) || fail "Python 3.11 or newer with its venv module is needed; name it: PYTHON=python3.12 $0"

echo "Installing into $app ..."
"$python" -m venv --clear "$app"
"$app/bin/python" -m pip --quiet --disable-pip-version-check install \
    --constraint "$source/constraints.txt" "$source"
mkdir -p "$bin"
ln -sf "$app/bin/proxypal" "$bin/proxypal"
echo "Installed $("$bin/proxypal" --version)."

case ":$PATH:" in
*":$bin:"*) ;;
*) echo "Add $bin to your PATH to call it proxypal." ;;
esac
if [ "$service" = yes ]; then
    "$bin/proxypal" service install
else
    echo "Start it with: $bin/proxypal serve, or at every login: $bin/proxypal service install"
fi
