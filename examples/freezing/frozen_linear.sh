#!/usr/bin/env bash
# Runs frozen_linear.toml on the samples, in the current folder, and evaluates the heads on test rows.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mtlkit train-mtl --config "$here/frozen_linear.toml" "$@"
mtlkit eval --model runs/frozen-linear
