#!/usr/bin/env bash
# up.sh DIR: a real SLURM on this machine alone: munge, MariaDB, slurmdbd, slurmctld and several slurmd, all on
# loopback, as root, without systemd. Configuration, database, state and logs are in DIR; what runs already is left
# as it is. DIR/etc/slurm.conf is the SLURM_CONF to use it with, down.sh DIR stops it.
#
#   NODES=4 CPUS=16 MEM=32000 GPUS=4   nodes n1..., and what each claims to have, whatever the machine has
#   DBD=1                              0: no accounting, sacct says that it is disabled
#   ENFORCE=                           e.g. limits,qos: AccountingStorageEnforce
#   BASEPORT=16800                     the first of NODES + 3 free ports
#   EXTRA_CONF=                        more lines of slurm.conf
#
# They are read when DIR is new. Packages that lack are installed with apt-get.
set -euo pipefail
DIR=$(mkdir -p "${1:?usage: up.sh DIR}" && cd "$1" && pwd -P)
. "$(dirname "${BASH_SOURCE[0]}")/daemons.sh"
NODES=${NODES:-4} CPUS=${CPUS:-16} MEM=${MEM:-32000} GPUS=${GPUS:-4}
DBD=${DBD:-1} ENFORCE=${ENFORCE:-} BASEPORT=${BASEPORT:-16800} EXTRA_CONF=${EXTRA_CONF:-}

install_packages() {
  local program packages=()
  for program in munged:munge slurmctld:slurmctld slurmd:slurmd sbatch:slurm-client slurmdbd:slurmdbd \
    mariadbd:mariadb-server-core mariadb:mariadb-client-core; do
    command -v "${program%:*}" >/dev/null || packages+=("${program#*:}")
  done
  [ ${#packages[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || { echo "not root, and there is no ${packages[*]}" >&2; exit 1; }
  command -v apt-get >/dev/null || { echo "no apt-get, and there is no ${packages[*]}" >&2; exit 1; }
  # RUNLEVEL=1: their own services are not started.
  local apt=(env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -y -q)
  local install=("${apt[@]}" install --no-install-recommends "${packages[@]}")
  "${install[@]}" || { "${apt[@]}" update && "${install[@]}"; }
}

configure() {
  local number devices=
  mkdir -p "$DIR"/{etc,log,run,spool,state,munge,gpu}
  (umask 077 && head -c 1024 /dev/urandom >"$DIR/munge/munge.key")
  for ((number = 0; number < GPUS; number++)); do # GPUs are copies of /dev/null, or files where none may be made
    mknod "$DIR/gpu/gpu$number" c 1 3 2>/dev/null || : >"$DIR/gpu/gpu$number"
    devices+="Name=gpu File=$DIR/gpu/gpu$number"$'\n'
  done
  printf '%s' "$devices" >"$DIR/etc/gres.conf"
  echo "CgroupAutomount=no" >"$DIR/etc/cgroup.conf"
  [ "$DBD" = 0 ] || (umask 077 && slurmdbd_conf >"$DIR/etc/slurmdbd.conf")
  slurm_conf >"$DIR/etc/slurm.conf"
}

slurm_conf() {
  local host
  host=$(hostname -s)
  cat <<CONF
ClusterName=loop
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$BASEPORT
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# cred_expire is also how long a job that was requeued waits before it may start again.
AuthInfo=socket=$DIR/munge/munge.sock,cred_expire=5
StateSaveLocation=$DIR/state
SlurmdSpoolDir=$DIR/spool/%n
SlurmctldPidFile=$DIR/state/slurmctld.pid
SlurmdPidFile=$DIR/state/slurmd-%n.pid
SlurmctldLogFile=$DIR/log/slurmctld.log
SlurmdLogFile=$DIR/log/slurmd-%n.log
MailProg=/bin/true
# Neither cgroups nor pinning: resources are booked, not enforced.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
SwitchType=switch/none
MpiDefault=none
PropagateResourceLimits=NONE
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=100
GresTypes=gpu
# A decision follows an event at once.
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1,default_queue_depth=5000,partition_job_depth=0,nohold_on_prolog_fail
CompleteWait=0
KillWait=5
SlurmdTimeout=10
MessageTimeout=20
# A node that was down is taken back when its slurmd speaks again.
ReturnToService=2
JobRequeue=1
# urgent takes nodes from main, whose jobs have GraceTime after the signal that they asked for.
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
$(accounting_conf)
NodeName=n[1-$NODES] NodeHostname=$host NodeAddr=127.0.0.1 Port=[$((BASEPORT + 3))-$((BASEPORT + 2 + NODES))] CPUs=$CPUS Boards=1 SocketsPerBoard=1 CoresPerSocket=$CPUS ThreadsPerCore=1 RealMemory=$MEM Gres=gpu:$GPUS State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=10 PriorityTier=1 GraceTime=10
PartitionName=urgent Nodes=ALL MaxTime=INFINITE DefaultTime=10 PriorityTier=10 PreemptMode=OFF
$EXTRA_CONF
CONF
}

accounting_conf() {
  [ "$DBD" = 1 ] || { echo "AccountingStorageType=accounting_storage/none"; return; }
  cat <<CONF
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$((BASEPORT + 1))
AccountingStoragePass=$DIR/munge/munge.sock
AccountingStorageTRES=gres/gpu
${ENFORCE:+AccountingStorageEnforce=$ENFORCE}
CONF
}

slurmdbd_conf() {
  cat <<CONF
AuthType=auth/munge
AuthInfo=socket=$DIR/munge/munge.sock
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$((BASEPORT + 1))
SlurmUser=root
LogFile=$DIR/log/slurmdbd.log
PidFile=$DIR/state/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$((BASEPORT + 2))
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
CONF
}

start_accounting() {
  local port sql=(mariadb --no-defaults --socket="$DIR/run/mysql.sock" --user=root)
  port=$(sed -n 's/^StoragePort=//p' "$DIR/etc/slurmdbd.conf")
  [ -d "$DIR/mysql/mysql" ] || mariadb-install-db --no-defaults --user=root --datadir="$DIR/mysql" --skip-test-db \
    --auth-root-authentication-method=normal >"$DIR/log/mariadb-install.out" 2>&1
  start mariadbd mariadbd --no-defaults --user=root --datadir="$DIR/mysql" --socket="$DIR/run/mysql.sock" \
    --port="$port" --bind-address=127.0.0.1 --pid-file="$DIR/state/mariadbd.pid" --skip-name-resolve \
    --innodb-lock-wait-timeout=900 --innodb-flush-log-at-trx-commit=0
  until_true 60 "${sql[@]}" -e 'select 1'
  "${sql[@]}" -e "create database if not exists slurm;
    create user if not exists slurm@'127.0.0.1' identified by 'slurm'; grant all on slurm.* to slurm@'127.0.0.1'"
  start slurmdbd slurmdbd -D # it looks for slurmdbd.conf beside what SLURM_CONF names
  until_true 60 sacctmgr -n list cluster
  sacctmgr -n list cluster format=cluster | grep -qw loop || sacctmgr -i -Q add cluster loop
}

# A node that was drained is resumed, which is refused where it came back by itself in the meantime.
all_nodes_up() {
  local node
  for node in $(sinfo -h -N -p main -o '%N %T' | sed -n 's/ drain.*//p'); do
    scontrol update nodename="$node" state=resume || :
  done
  [ "$(sinfo -h -N -p main -o %T | grep -cE '^(idle|mixed|allocated|completing)$')" = "$(nodes | wc -l)" ]
}
nodes() { scontrol show hostnames "$(sed -n 's/^NodeName=\([^ ]*\).*/\1/p' "$SLURM_CONF")"; }

install_packages
export SLURM_CONF=$DIR/etc/slurm.conf
[ -s "$SLURM_CONF" ] || configure
start munged munged --foreground --force --key-file="$DIR/munge/munge.key" --socket="$DIR/munge/munge.sock" \
  --pid-file="$DIR/munge/munged.pid" --log-file="$DIR/log/munged.log" --seed-file="$DIR/munge/munge.seed"
until_true 20 munge -n -S "$DIR/munge/munge.sock"
if [ -e "$DIR/etc/slurmdbd.conf" ]; then start_accounting; fi
start slurmctld slurmctld -D
until_true 60 scontrol ping
for node in $(nodes); do
  mkdir -p "$DIR/spool/$node"
  start "slurmd-$node" slurmd -D -N "$node"
done
until_true 60 all_nodes_up
echo "export SLURM_CONF=$SLURM_CONF"
