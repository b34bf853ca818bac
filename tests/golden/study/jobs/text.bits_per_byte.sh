#!/usr/bin/env bash
# text.bits_per_byte: bits per byte of held-out text
#
# experiment  study
# kind        bits_per_byte
# reads       model (pretrain, grpo, sft, merge, command)
# leaves      documents.jsonl and metrics
# config      text.bits_per_byte.yaml, beside this file: every value written out
# jobs        16: tiny/pretrain/400.text.bits_per_byte ... tiny/700/scaled/r0/scale.text.bits_per_byte
# resources   1 cpu
#
# Run one of them with `bash jobs/text.bits_per_byte.sh JOB-ID`. A finished job says so and exits 0.
# Its Python is $EXC_PYTHON, else the `python` of the environment that is active; exc must be installed there.
set -euo pipefail
if [ "$#" -ne 1 ]; then
  echo "usage: bash ${BASH_SOURCE[0]} JOB-ID   (the ids are in jobs/text.bits_per_byte.yaml)" >&2
  exit 2
fi

folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export EXC_PLAN="${EXC_PLAN:-$folder}"
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
export TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 HF_DATASETS_OFFLINE=1
# -P: what lies in the folder where it is run hides no library
exec "${EXC_PYTHON:-python}" -P -m exc.runtime.job "$1"
