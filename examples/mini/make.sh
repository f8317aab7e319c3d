#!/usr/bin/env bash
# Makes the bundled model again: examples/mini/make.sh WIKIPEDIA.parquet NOVELS.parquet TEACHER FOLDER [OPTION...]
# TEACHER is a folder with all-MiniLM-L6-v2. The results are in FOLDER: texts, the run, the compact model.
# Options are those of train-sentence, such as --epochs 1; they override distill.toml.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
wikipedia=$(realpath "$1") novels=$(realpath "$2") teacher=$(realpath "$3")
mkdir -p "$4"
cd "$4"
shift 4
ln -sfn "$teacher" teacher # so that the run names it in the same way everywhere
python "$here/prepare.py" "$wikipedia" "$novels" texts.parquet
mtlkit train-sentence --config "$here/distill.toml" "$@"
mtlkit export runs/mini mini --format compact --card "$here/card.md"
