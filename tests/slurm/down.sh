#!/usr/bin/env bash
# down.sh DIR: stops what up.sh DIR started, and the jobs that run there; nothing else. DIR stays as it is.
set -uo pipefail
DIR=$(cd "${1:?usage: down.sh DIR}" 2>/dev/null && pwd -P) || exit 0
. "$(dirname "${BASH_SOURCE[0]}")/daemons.sh"
export SLURM_CONF=$DIR/etc/slurm.conf

no_jobs() { [ -z "$(squeue -h -t R,CG -o %i)" ]; }
daemons() { find "$DIR/run" -type f -name "$1" -printf '%f\n' 2>/dev/null; }

if pid_of slurmctld >/dev/null; then
  timeout 10 scancel --user=root 2>/dev/null
  (until_true 10 no_jobs) 2>/dev/null
fi
for name in $(daemons 'slurmd-*'); do pid=$(pid_of "$name") && kill -TERM "$pid"; done # all at once, then one by one
for name in $(daemons 'slurmd-*') slurmctld slurmdbd mariadbd munged; do stop "$name" 20; done
# A step's daemon outlives its slurmd. It is ours if it was started with our configuration.
for process in /proc/[0-9]*; do
  { read -r -d '' title <"$process/cmdline"; } 2>/dev/null || true
  if [[ ${title:-} == slurmstepd:* ]] && grep -qsz "^SLURM_CONF=$SLURM_CONF\$" "$process/environ"; then
    kill -KILL "${process#/proc/}" 2>/dev/null
  fi
  title=
done
exit 0
