#!/bin/sh
# Builds the virtual environment DIR with the project (editable), its tools and its test tools in the pinned versions.
# Needs Python >= 3.11 and nothing else; says which package is missing if it can't go on.
set -eu
venv=${1:?usage: setup.sh DIR}
cd "$(dirname "$0")/.."

recent_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        # Trying it matters: a version manager's shim may exist without the version behind it.
        if recent_enough "$name"; then echo "$name"; return; fi
    done
    echo "setup: Python 3.11 or newer is needed, and none was found on PATH." >&2
    echo "       Debian and Ubuntu: apt install python3 python3-venv     macOS: brew install python" >&2
    exit 1
}

if [ -e "$venv" ] && ! recent_enough "$venv/bin/python"; then
    echo "setup: $venv exists, but its Python does not run or is older than 3.11. Type: make clean" >&2
    exit 1
fi
if [ ! -e "$venv" ]; then
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        echo "setup: $python can't make virtual environments with pip (no ensurepip)." >&2
        echo "       Debian and Ubuntu: apt install python3-venv" >&2
        exit 1
    fi
    echo "setup: $("$python" --version) in $venv"
    "$python" -m venv "$venv" || { rm -rf "$venv"; exit 1; }
fi
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
