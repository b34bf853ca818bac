#!/usr/bin/env bash
# sft.sft: supervised fine-tuning (TRL SFTTrainer)
#
# experiment  study
# kind        sft
# reads       model (pretrain)
# reads       rows (rows)
# leaves      model/ and state/ at every kept step
# config      sft.sft.yaml, beside this file: every value written out
# jobs        2: tiny/400/sft/r0/sft ... tiny/700/sft/r0/sft
# resources   1 cpu
#
# Run one of them with `bash jobs/sft.sft.sh JOB-ID`. A finished job says so and exits 0.
# Its Python is $EXC_PYTHON, else the `python` of the environment that is active; exc must be installed there.
set -euo pipefail
if [ "$#" -ne 1 ]; then
  echo "usage: bash ${BASH_SOURCE[0]} JOB-ID   (the ids are in jobs/sft.sft.yaml)" >&2
  exit 2
fi

folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export EXC_PLAN="${EXC_PLAN:-$folder}"
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
export TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 HF_DATASETS_OFFLINE=1
# -P: what lies in the folder where it is run hides no library
exec "${EXC_PYTHON:-python}" -P -m exc.runtime.job "$1"
