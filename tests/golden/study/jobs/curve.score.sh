#!/usr/bin/env bash
# curve.score: verify the samples and count
#
# experiment  study
# kind        score
# reads       rows (rows)
# reads       samples (sample)
# leaves      scores.jsonl, problems.jsonl and metrics
# config      curve.score.yaml, beside this file: every value written out
# jobs        1: tiny/700/rl/r1/rl@20.curve.score
# resources   1 cpu
#
# Run one of them with `bash jobs/curve.score.sh JOB-ID`. A finished job says so and exits 0.
# Its Python is $EXC_PYTHON, else the `python` of the environment that is active; exc must be installed there.
set -euo pipefail
if [ "$#" -ne 1 ]; then
  echo "usage: bash ${BASH_SOURCE[0]} JOB-ID   (the ids are in jobs/curve.score.yaml)" >&2
  exit 2
fi

folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export EXC_PLAN="${EXC_PLAN:-$folder}"
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
export TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 HF_DATASETS_OFFLINE=1
# -P: what lies in the folder where it is run hides no library
exec "${EXC_PYTHON:-python}" -P -m exc.runtime.job "$1"
