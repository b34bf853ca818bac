#!/usr/bin/env bash
# tokenizer: make the tokenizer
#
# experiment  study
# kind        tokenizer
# leaves      a tokenizer folder
# config      tokenizer.yaml, beside this file: every value written out
# jobs        1: tiny/tokenizer
# resources   1 cpu
#
# Run one of them with `bash jobs/tokenizer.sh JOB-ID`. A finished job says so and exits 0.
# Its Python is $EXC_PYTHON, else the `python` of the environment that is active; exc must be installed there.
set -euo pipefail
if [ "$#" -ne 1 ]; then
  echo "usage: bash ${BASH_SOURCE[0]} JOB-ID   (the ids are in jobs/tokenizer.yaml)" >&2
  exit 2
fi

folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export EXC_PLAN="${EXC_PLAN:-$folder}"
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
export TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 HF_DATASETS_OFFLINE=1
# -P: what lies in the folder where it is run hides no library
exec "${EXC_PYTHON:-python}" -P -m exc.runtime.job "$1"
