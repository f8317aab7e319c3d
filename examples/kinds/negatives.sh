#!/usr/bin/env bash
# Search: measure, mine hard negatives, train with them, measure again.
set -euo pipefail
here=$(dirname "$0")
judged="$here/queries.jsonl,$here/corpus.jsonl,$here/qrels.tsv"
mtlkit eval --model mini --retrieval "$judged"
mtlkit mine "$here/faq.csv?first=question&second=answer" --corpus "$here/corpus.jsonl?text=text" --model mini --output runs/mined.jsonl
mtlkit train-sentence --objective pairs --task faq=runs/mined.jsonl --init mini --epochs 1 --out runs/search
mtlkit eval --model runs/search --retrieval "$judged"
