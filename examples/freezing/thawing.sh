#!/usr/bin/env bash
# Runs thawing.toml on the samples, in the folder where it is called, and measures the heads on their test rows.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mtlkit train-mtl --config "$here/thawing.toml" "$@"
mtlkit eval --model runs/thawing
