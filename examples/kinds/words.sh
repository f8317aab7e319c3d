#!/usr/bin/env bash
# Labels of words: names of people, places and companies, from a file in CoNLL's format.
set -euo pipefail
here=$(dirname "$0")
mtlkit train-mtl --task "names=$here/people.conll" --freeze backbone --out runs/words
mtlkit predict --model runs/words "Angela works for Siemens in Paris."
