#!/usr/bin/env bash
# Pairs of texts: does the second follow from the first, and how similar are they? Heads on the vectors of both, and a cross-encoder.
set -euo pipefail
here=$(dirname "$0")
pairs="$here/pairs.csv?pair=premise,hypothesis"
mtlkit train-mtl --task "follows=$pairs&label=follows" --task "similar=$pairs&label=similarity&kind=regression" --freeze backbone --out runs/pairs
mtlkit predict --model runs/pairs --pair "A bird sings in a tree." "An animal makes a sound."
mtlkit train-mtl --task "follows=$pairs&label=follows&pair-head=joint" --epochs 2 --out runs/joint
mtlkit predict --model runs/joint --pair "A bird sings in a tree." "An animal makes a sound."
