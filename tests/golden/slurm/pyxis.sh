#!/usr/bin/env bash
#SBATCH --job-name=study.rl.rl
#SBATCH --partition=gpu
#SBATCH --account=lab
#SBATCH --nodes=8
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32
#SBATCH --gres=gpu:4
#SBATCH --mem=228882M
#SBATCH --time=2-00:00:00
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
# resources   32 cpus, 240GB of memory, at most 2d, 4 gpus, vLLM in 30% of each GPU, on each of 8 nodes
#
# Queue one of them with `sbatch jobs/rl.rl.sh JOB-ID`. A finished job says so and exits 0.
# Its Python is the `python` of the container; exc must be installed there.
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
export EXC_ROOT="$PWD" EXC_STORE="${EXC_STORE:-$PWD/store}"
mkdir -p "$EXC_STORE"
export OMP_NUM_THREADS=8 MKL_NUM_THREADS=8 OPENBLAS_NUM_THREADS=8
export TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 HF_DATASETS_OFFLINE=1
# Nothing of another launch, and none of a user's settings for accelerate.
unset "${!ACCELERATE_@}" "${!FSDP_@}" MASTER_ADDR MASTER_PORT RANK LOCAL_RANK WORLD_SIZE LOCAL_WORLD_SIZE
set +u  # lines of setup may read what is not set
module load cuda
source venv/bin/activate
set -u
# What lies in the folder where it is run hides no library, in the processes that accelerate starts, too.
export PYTHONSAFEPATH=1
: "${SLURM_JOB_ID:?these jobs take 8 nodes: queue them with sbatch}"
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 1p)
address=$(scontrol --oneliner show node "$first" | grep -o 'NodeAddr=[^ ]*' || true)  # by which SLURM reaches it
address=${address#NodeAddr=}
export MAIN_ADDRESS="${address:-$first}" MAIN_PORT=$((20000 + SLURM_JOB_ID % 12000))
# What each node runs: 4 processes of 32. `relay` passes signals on to them.
node() {
  exec python -P -m exc.runtime.relay -m accelerate.commands.launch \
    --config_file "$EXC_PLAN/jobs/rl.rl.accelerate.yaml" \
    --multi_gpu \
    --num_machines 8 --num_processes 32 \
    --machine_rank "$SLURM_NODEID" --main_process_ip "$MAIN_ADDRESS" --main_process_port "$MAIN_PORT" \
    --rdzv_backend static --max_restarts 0 \
    --mixed_precision no --dynamo_backend no --num_cpu_threads_per_process 8 \
    -m exc.runtime.job "$1"
}
# One task a node; `$SLURM_NODEID` is read in the task, for here it is 0.
srun --nodes 8 --ntasks 8 --ntasks-per-node 1 --cpus-per-task 32 \
  --export ALL --mpi none --kill-on-bad-exit=0 --wait 60 --container-image='registry#lab/exc:1' --container-mounts="$EXC_ROOT:$EXC_ROOT,$EXC_STORE:$EXC_STORE,/scratch:/scratch" \
  bash -c "$(declare -f node); node \"\$1\"" node "$1" &
child=$!
# The signals that ask a job to save and stop come to this shell. srun passes on USR2; at TERM it kills its tasks.
trap 'kill -s USR2 "$child" || true' USR2 TERM INT
until code=0; wait "$child" || code=$?; ! kill -0 "$child" 2>/dev/null; do :; done
exit "$code"
