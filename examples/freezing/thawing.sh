#!/usr/bin/env bash
# Runs thawing.toml on the samples, in the current folder, and evaluates the heads on test rows.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mtlkit train-mtl --config "$here/thawing.toml" "$@"
mtlkit eval --model runs/thawing
