# shellcheck shell=bash
# Shared by the batch scripts of this folder, which source it: your site, and how a job stops, starts again, gives up.

# ---- Your site: load here the modules that the program was built with, for example
# module load gcc openmpi openblas hdf5
# ----

trap : USR1 # until there are ranks, there is nothing to stop; without a trap it would end this shell
source "$root/jobs/launch.sh"

# Slurm's name of this job. Each task of an array has a job id, but that of one task is the id of the whole array.
job=$SLURM_JOB_ID
if [[ -n ${SLURM_ARRAY_JOB_ID:-} ]]; then job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID; fi

if [[ -z ${LAUNCHER:-} ]]; then
  if srun --mpi=list 2>&1 | grep -q pmix; then LAUNCHER=srun; else LAUNCHER=mpirun; fi
fi
export LAUNCHER SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1} # srun does not inherit --cpus-per-task by itself

say() {
  echo "slurm job $job: $*"
}

# train_to_the_end [CONFIG] [more...]: trains as jobs/train.sh does. A training that stops early, because its time is
# nearly over or a rank died, is queued again and goes on from its newest checkpoint; see after_training.
train_to_the_end() {
  read_training_arguments "$@"
  local arguments=() argument code
  for argument in "$@"; do # only the first start of a job may start the run over
    if [[ $argument != --restart || ${SLURM_RESTART_COUNT:-0} == 0 ]]; then arguments+=("$argument"); fi
  done
  gives_max_time || arguments+=(runconfig.max_time=auto) # also where Slurm's signal comes late
  before_training
  run_until_signalled "$root/jobs/train.sh" "${arguments[@]}" || code=$?
  after_training "${code:-0}"
}

gives_max_time() {
  [[ " ${more[*]}" == *" runconfig.max_time"* ]] || grep -qs '^ *max_time:' "$subject"
}

# run_until_signalled COMMAND...: returns its exit code. USR1 (Slurm's --signal, scancel --batch --signal=USR1) and
# TERM (scancel, the end of the job) reach the ranks as USR1, which both launchers pass on: they save and end with 75.
# CONT is not trapped: Slurm sends it before TERM.
run_until_signalled() {
  local launcher code signalled
  terminated=no
  "$@" &
  launcher=$!
  trap 'signalled=yes; kill -USR1 "$launcher" 2>/dev/null || true' USR1
  trap 'signalled=yes terminated=yes; kill -USR1 "$launcher" 2>/dev/null || true' TERM
  while # a trap ends wait, with a code that says nothing
    signalled=no code=0
    wait "$launcher" || code=$?
    [[ $signalled == yes ]]
  do :; done
  return "$code"
}

# What sweep.sh has another form of: how far the training is, what that number is called, and where it is remembered.
progress="newest checkpoint"
restarts_file() {
  echo "$model_dir/slurm_restarts"
}
newest_step() {
  local file step newest=none
  for file in "$model_dir"/checkpoint_*.h5; do
    step=${file##*/checkpoint_} step=${step%.h5}
    if [[ $step =~ ^[0-9]+$ ]] && { [[ $newest == none ]] || ((step > newest)); }; then newest=$step; fi
  done
  echo "$newest"
}

# Finds out whether the start before this one has got anywhere, whoever has started the job again: this script, or
# Slurm after the failure of a node. A job that dies before its next checkpoint each time must not be started for ever;
# once may be bad luck.
before_training() {
  local memory of_job step
  memory=$(restarts_file)
  mkdir -p "$model_dir" || exit 4
  start_step=$(newest_step) wasted=0 # starts of this job in a row that brought no checkpoint
  if ((${SLURM_RESTART_COUNT:-0} > 0)) && read -r of_job step wasted 2>/dev/null <"$memory"; then
    if [[ $of_job == "$job" && $step == "$start_step" ]]; then ((++wasted)); else wasted=0; fi
  fi
  echo "$job $start_step $wasted" >"$memory"
  if ((${SLURM_RESTART_COUNT:-0} > 0)); then say "restart $SLURM_RESTART_COUNT, $progress: $start_step"; fi
  ((wasted < 2)) || give_up 75
}

# give_up CODE
give_up() {
  say "error: two starts in a row brought no checkpoint after step $start_step: not queued again"
  echo "HINT: the output above says why they ended; more time (--time) or a shorter runconfig.checkpoint_interval_s"
  exit "$1"
}

# after_training CODE: ends the job, or queues it again.
after_training() {
  local code=$1 state newest
  newest=$(newest_step)
  case $code in 2 | 3 | 4 | 6 | 7) say "exit code $code: not queued again" && exit "$code" ;; esac
  # What the program has written counts more than the code: after TERM mpirun ends with 1, and srun with 143 where a
  # rank was late; and srun may end with 0 where it could start no task.
  if [[ -e $model_dir/STOPPED ]]; then
    code=75
  elif [[ $code == 0 && $newest != none ]]; then
    say "done after ${SLURM_RESTART_COUNT:-0} restart(s)"
    exit 0
  elif [[ $code == 0 ]]; then
    code=1
  fi
  # A job that is cancelled or out of time is COMPLETING. One whose ranks were told to make room for another job, with
  # time to do so (GraceTime), is RUNNING and would fail with our exit code: it must queue itself again.
  state=$(squeue --noheader --jobs="$job" --format=%T 2>/dev/null) || state=unknown
  if [[ $terminated == yes || $state == COMPLETING ]]; then
    say "ended by Slurm or by you, $progress: $newest; where Slurm does not start it again, sbatch does"
    exit 75
  fi
  if ((wasted > 0)) && [[ $newest == "$start_step" ]]; then give_up "$code"; fi
  if scontrol requeue "$job"; then
    say "exit code $code, $progress: $newest; queued again"
    exit "$code"
  fi
  say "cannot be queued again here, $progress: $newest; sbatch with the same arguments goes on"
  exit 75
}
