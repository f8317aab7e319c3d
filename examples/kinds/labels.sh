#!/usr/bin/env bash
# Several label columns of one file: a topic, an answer with gaps, stars of which only the order counts, and several remarks per text.
set -euo pipefail
here=$(dirname "$0")
reviews="$here/reviews.csv?labels=topic,satisfied,stars,remarks&kind.stars=ordinal&kind.remarks=multi-label&sep.remarks=pipe"
mtlkit train-mtl --task "$reviews" --freeze backbone --out runs/labels
mtlkit predict --model runs/labels "It came a day early, well packed."
