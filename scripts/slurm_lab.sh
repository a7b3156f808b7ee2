#!/usr/bin/env bash
# A real Slurm on this one machine, for tests: munged, slurmctld and 2 slurmd with 4 CPUs each, without systemd.
#   slurm_lab.sh check          says which programs are missing; installs nothing
#   slurm_lab.sh up     [DIR]   starts it and waits until the nodes are idle; prints what `env` prints
#   slurm_lab.sh env    [DIR]   the line that lets sbatch, srun and mpirun use it:  eval "$(scripts/slurm_lab.sh env)"
#   slurm_lab.sh status [DIR]   daemons, nodes, jobs; exit code 0 only if all daemons live
#   slurm_lab.sh down   [DIR]   cancels the jobs and ends the processes that `up` started, no others
# DIR: default ${TMPDIR:-/tmp}/fcmnist_slurm_lab. Two labs at once need two DIRs and two SLURM_LAB_PORTs (default 17200).
set -euo pipefail

command=${1:-}
dir=$(realpath -m "${2:-${TMPDIR:-/tmp}/fcmnist_slurm_lab}")
port=${SLURM_LAB_PORT:-17200}
nodes=2 cpus_per_node=4
conf=$dir/slurm.conf socket=$dir/munge/socket

say() { printf 'slurm_lab.sh: %s\n' "$*" >&2; }
fail() {
  say "error: $1"
  printf 'HINT: %s\n' "$2" >&2
  exit 1
}

check() {
  local tool missing=()
  [[ $EUID == 0 ]] || fail "not root" "slurmd starts the tasks of jobs, which only root may do"
  for tool in munged mungekey slurmctld slurmd sbatch srun sinfo unshare; do
    command -v $tool >/dev/null || missing+=("$tool")
  done
  ((${#missing[@]} == 0)) || fail "not installed: ${missing[*]}" "scripts/install_packages.sh slurm"
}

# ---- Processes: each pid is kept with its start time, so that a pid that was given away again is never touched.
start_time() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  stat=${stat##*) } # behind the name, which may hold blanks
  cut -d' ' -f20 <<<"$stat"
}
alive() { # alive NAME
  local pid started
  read -r pid started 2>/dev/null <"$dir/pid/$1" && [[ $(start_time "$pid") == "$started" ]]
}
start() { # start NAME COMMAND...
  local name=$1
  shift
  setsid "$@" </dev/null >>"$dir/log/$name.out" 2>&1 &
  echo "$! $(start_time $!)" >"$dir/pid/$name"
}
signal() { # signal SIGNAL NAME
  local pid
  if alive "$2"; then read -r pid _ <"$dir/pid/$2" && kill "-$1" "$pid" 2>/dev/null; fi
}
daemons() { find "$dir/pid" -type f -printf '%f\n' 2>/dev/null | sort; }
wait_until() { # wait_until SECONDS COMMAND...: tries every 0.1 s
  local tries=$(($1 * 10))
  shift
  while ! "$@"; do
    ((tries-- > 0)) || return 1
    sleep 0.1
  done
}

# ---- Settings that were needed, and why
write_settings() {
  cat >"$conf" <<CONF
ClusterName=fcmnist_lab
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A requeued job starts again when its old credentials have expired: in 5 s, the least that is allowed, and not in 120.
AuthInfo=socket=$socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool.%n
# A PMIx directory per node: in a shared one the second slurmstepd fails with 'File exists'.
TmpFS=$dir/tmp.%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.%n.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.%n.log
# No cgroups and no binding: the nodes share the cores of this machine, and claim more than there are.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
MpiDefault=pmix
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
# Decide at once and wait briefly, so that tests are short.
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0,sched_min_interval=0
KillWait=3
ReturnToService=2
AccountingStorageType=accounting_storage/none
NodeName=n[1-$nodes] NodeHostname=n[1-$nodes] NodeAddr=127.0.0.1 Port=[$((port + 1))-$((port + nodes))] CPUs=$cpus_per_node RealMemory=1000 State=UNKNOWN
# Jobs of the partition urgent take the place of those in lab, which have 10 s to end.
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=lab Nodes=n[1-$nodes] Default=YES MaxTime=60 DefaultTime=10 State=UP PriorityTier=1 GraceTime=10
PartitionName=urgent Nodes=n[1-$nodes] MaxTime=60 DefaultTime=10 State=UP PriorityTier=2
CONF
  # slurmd loads a cgroup plugin even if nothing uses it; naming one skips a detection that fails without /sys/fs/cgroup.
  echo "CgroupPlugin=cgroup/v1" >"$dir/cgroup.conf"
}

print_environment() {
  local variable variables=(
    "SLURM_CONF=$conf" OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    # The nodes are one machine: nothing is bound, waiting ranks give way (750 times slower without), loopback only.
    OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_rmaps_base_oversubscribe=1
    OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_oob_tcp_if_include=lo)
  for variable in "${variables[@]}"; do printf 'export %q\n' "$variable"; done
}

give_up() {
  tail -n 5 "$dir"/log/* >&2
  down
  fail "$1" "the end of the logs is above; is port $port free? (SLURM_LAB_PORT)"
}
nodes_idle() { [[ $(SLURM_CONF=$conf sinfo -h -p lab -o '%T %D' 2>/dev/null) == "idle $nodes" ]]; }

up() {
  local node
  check
  [[ -z $(daemons) ]] || fail "$dir is in use" "scripts/slurm_lab.sh down $dir"
  umask 022
  mkdir -p "$dir"/{log,pid,munge,state}
  write_settings
  mungekey --create --force --keyfile="$dir/munge/key" 2>>"$dir/log/mungekey.out"
  # --force: without, it insists on a directory that all users can reach.
  start munged munged --foreground --force --key-file="$dir/munge/key" --socket="$socket" --seed-file="$dir/munge/seed" \
    --pid-file="$dir/munge/pid" --log-file="$dir/log/munged.log"
  wait_until 10 test -S "$socket" || give_up "munged does not start"
  start slurmctld slurmctld -D -f "$conf"
  for ((node = 1; node <= nodes; ++node)); do
    mkdir -p "$dir/spool.n$node" "$dir/tmp.n$node"
    # A host name of its own: MPI takes ranks with one host name for ranks of one node, which share memory.
    # shellcheck disable=SC2016
    start "slurmd.n$node" unshare --uts sh -c 'hostname "$1" && exec slurmd -D -N "$1" -f "$2"' sh "n$node" "$conf"
  done
  wait_until 30 nodes_idle || give_up "the nodes are not idle after 30 s"
  say "up: $nodes nodes with $cpus_per_node CPUs each, in $dir"
  print_environment
}

no_jobs() { [[ -z $(SLURM_CONF=$conf timeout 5 squeue -h 2>/dev/null) ]]; }
none_alive() {
  local name
  for name in $(daemons); do ! alive "$name" || return 1; done
}
down() {
  local name
  if alive slurmctld; then
    SLURM_CONF=$conf timeout 10 scancel --user=root 2>/dev/null || true
    wait_until 10 no_jobs || say "jobs do not end"
  fi
  for name in $(daemons); do signal TERM "$name" || true; done
  wait_until 10 none_alive || for name in $(daemons); do signal KILL "$name" || true; done
  rm -rf "$dir/pid"
  say "down"
}

status() {
  local name code=0
  [[ -n $(daemons) ]] || fail "not running in $dir" "scripts/slurm_lab.sh up $dir"
  for name in $(daemons); do
    if alive "$name"; then echo "$name: running"; else echo "$name: dead" && code=1; fi
  done
  export SLURM_CONF=$conf
  timeout 10 sinfo -N -l && timeout 10 squeue || code=1
  return $code
}

case $command in
  check | up | down | status) "$command" ;;
  env) print_environment ;;
  *)
    sed -n '2,8s/^# \{0,1\}//p' "$0"
    [[ $command == -h || $command == --help ]] || exit 2 ;;
esac
