#!/usr/bin/env bash
# Type-checks the rooms under the names they are installed by.
set -euo pipefail
cd "$(dirname "$0")/.."
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir "$tree/picaption"
ln -s "$PWD/device" "$PWD/models" "$PWD/convert" "$tree/picaption/"
MYPYPATH=$tree "${PYTHON:-python3}" -m mypy --config-file pyproject.toml --cache-dir "$tree/cache" \
    -p picaption.device -p picaption.models -p picaption.convert
