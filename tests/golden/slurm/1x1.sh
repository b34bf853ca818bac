#!/usr/bin/env bash
#SBATCH --job-name=study.rl.rl
#SBATCH --partition=gpu
#SBATCH --account=lab
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --gres=gpu:1
#SBATCH --mem=57221M
#SBATCH --time=08:00:00
#SBATCH --signal=B:USR2@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --export=HOME,PATH,USER,LANG,EXC_PLAN,EXC_STORE,EXC_PYTHON,HF_HOME,WANDB_API_KEY
#SBATCH --output=%x-%j.log
# rl.rl: reinforcement learning (TRL GRPOTrainer)
#
# experiment  study
# kind        grpo
# reads       model (pretrain)
# reads       rows (rows)
# leaves      model/ and state/ at every kept rollout
# config      rl.rl.yaml, beside this file: every value written out
# jobs        3: tiny/400/rl/r0/rl ... tiny/1000/rl/r0/rl
# resources   8 cpus, 60GB of memory, at most 8h, 1 gpu
#
# Queue one of them with `sbatch jobs/rl.rl.sh JOB-ID`, or run it here with `bash`. A finished job says so and exits 0.
# Its Python is $EXC_PYTHON, else the `python` of the environment that is active; exc must be installed there.
set -euo pipefail
if [ "$#" -ne 1 ]; then
  echo "usage: sbatch jobs/rl.rl.sh JOB-ID   (the ids are in jobs/rl.rl.yaml)" >&2
  exit 2
fi

if [ -z "${EXC_PLAN:-}" ]; then
  # SLURM runs a copy that stands elsewhere, so the folder that it was submitted from counts, too.
  for folder in "$(dirname "${BASH_SOURCE[0]}")/.." "${SLURM_SUBMIT_DIR:-.}" "${SLURM_SUBMIT_DIR:-.}/plan"; do
    if [ -f "$folder/plan.json" ]; then
      EXC_PLAN=$(cd "$folder" && pwd)
      break
    fi
  done
fi
EXC_PLAN=$(cd "${EXC_PLAN:?no plan is here: submit from the plan folder, or name it by EXC_PLAN}" && pwd)
export EXC_PLAN
if [ -n "${EXC_STORE:-}" ]; then
  EXC_STORE=$(realpath -m "$EXC_STORE")
fi
cd "$EXC_PLAN/.."  # paths below count from the spec's folder
export OMP_NUM_THREADS=8 MKL_NUM_THREADS=8 OPENBLAS_NUM_THREADS=8
export TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 HF_DATASETS_OFFLINE=1
# Nothing of another launch, and none of a user's settings for accelerate.
unset "${!ACCELERATE_@}" "${!FSDP_@}" MASTER_ADDR MASTER_PORT RANK LOCAL_RANK WORLD_SIZE LOCAL_WORLD_SIZE
set +u  # lines of setup may read what is not set
module load cuda
source venv/bin/activate
set -u
# -P: what lies in the folder where it is run hides no library
exec "${EXC_PYTHON:-python}" -P -m exc.runtime.job "$1"
