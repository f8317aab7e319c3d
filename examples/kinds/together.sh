#!/usr/bin/env bash
# A topic per text, pairs and labels of words on one backbone, in one training; then each of them alone for comparison.
set -euo pipefail
here=$(dirname "$0")
mtlkit train-mtl --task "topic=$here/reviews.csv?text=text&label=topic" --task "follows=$here/pairs.csv?pair=premise,hypothesis&label=follows" \
  --task "names=$here/people.conll" --epochs 3 --baselines --out runs/together
mtlkit predict --model runs/together "Angela works for Siemens in Paris."
