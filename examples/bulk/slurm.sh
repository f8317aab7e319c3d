#!/bin/bash
# An array of 64 tasks, each of which embeds one share of the files. Submit it again to make what is missing:
#   sbatch examples/bulk/slurm.sh
#SBATCH --job-name=embed
#SBATCH --array=0-63
#SBATCH --cpus-per-task=4
#SBATCH --mem=4G
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@60
set -euo pipefail
export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK
exec srun mtlkit embed --model "${MODEL:-mini}" --input "${INPUT:-articles/*.parquet}" --column "${COLUMN:-text}" --keep "${KEEP:-id}" \
    --output "${OUTPUT:-vectors}" --dtype float16 --shard auto --resume
