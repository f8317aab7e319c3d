#!/usr/bin/env bash
# Trains a model on topics unless it exists, adds sentiment with added_guarded.toml, and evaluates both on test rows.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ -e runs/topic/run.json ] || mtlkit train-mtl --init mini --task topic=sample:topic --out runs/topic
mtlkit train-mtl --config "$here/added_guarded.toml" "$@"
mtlkit eval --model runs/added-guarded
