#!/usr/bin/env bash
# A Python of its own with gridstatus: it pins another major version of pandas than Gridtide.
# Tests drive it, and a deployment that wants prices of the United States may use the same.
# Usage: build.sh [FOLDER]; without one it goes where tests look for it, to
# $GRIDTIDE_PEERS/gridstatus-VERSION, by default below ~/.cache/gridtide/peers. It says its Python.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
version=$(sed -n 's/^gridstatus==//p' "$here/requirements.in")
into="${1:-${GRIDTIDE_PEERS:-$HOME/.cache/gridtide/peers}/gridstatus-$version}"
if [ ! -e "$into/.complete" ]; then
    rm -rf "$into"
    "${PYTHON:-python3}" -m venv "$into"
    "$into/bin/python" -m pip --disable-pip-version-check install --quiet --require-hashes \
        -r "$here/requirements.lock"
    touch "$into/.complete"
fi
echo "$into/bin/python"
