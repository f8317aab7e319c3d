#!/usr/bin/env bash
# Runs frozen_linear.toml on the samples, in the folder where it is called, and measures the heads on their test rows.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mtlkit train-mtl --config "$here/frozen_linear.toml" "$@"
mtlkit eval --model runs/frozen-linear
