# shellcheck shell=bash
# Shared by the jobs of this folder, which source it: where the program is, how ranks are started.
# Settings by environment: FCMNIST_MPI (the program), FCMNIST_BENCH (the benchmarks), LAUNCHER (mpirun, the
# default; or srun inside a Slurm job).

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) # the repository, or share/fcmnist_mpi where it is installed

fail() {
  printf '%s: error: %s\nHINT: %s\n' "${0##*/}" "$1" "$2" >&2
  exit 2
}

# find_program NAME: fcmnist_mpi or fcmnist_bench. The variable of that name in capitals wins.
find_program() {
  local name=$1 variable=${1^^} candidate
  if [[ -n ${!variable:-} ]]; then
    [[ -f ${!variable} && -x ${!variable} ]] || fail "$variable=${!variable}: not a program" "name the file $name itself"
    echo "${!variable}"
    return
  fi
  for candidate in "$root"/build/{release/,}"$name" "$root/../../bin/$name" "$(command -v "$name")"; do
    [[ -f $candidate && -x $candidate ]] && realpath "$candidate" && return
  done
  fail "$name is not built: not in $root/build, not on PATH" \
    "cmake --preset release && cmake --build --preset release, or set $variable to the program"
}

# Physical cores that this process may use. (nproc alone counts hyper-threads, and believes OMP_NUM_THREADS.)
usable_cores() {
  local usable physical
  usable=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)
  physical=$(lscpu -p=CORE,SOCKET | grep -v '^#' | sort -u | wc -l)
  echo $((physical < usable ? physical : usable))
}

# read_arguments DEFAULT_SUBJECT [SUBJECT] [RANKS] [more...] sets: subject, what the job works on, a configuration or a
# model_dir; ranks, by default the tasks of the Slurm job or one per core; more, arguments for the program.
# shellcheck disable=SC2034  # used by the jobs
read_arguments() {
  local setting='^(train_input|eval_input|model|optimizer|runconfig)\.' number='^[1-9][0-9]*$'
  subject=$1 ranks=${SLURM_NTASKS:-$(usable_cores)}
  shift
  if [[ -n ${1:-} && $1 != -* && ! $1 =~ $setting && ! $1 =~ $number ]]; then subject=$1 && shift; fi
  if [[ ${1:-} =~ $number ]]; then ranks=$1 && shift; fi
  more=("$@")
}

# read_training_arguments [CONFIG] [RANKS] [more...]: read_arguments of jobs/train.sh; sets model_dir too.
# shellcheck disable=SC2034  # used by the jobs
read_training_arguments() {
  read_arguments "$root/configs/fcmnist_500_300.yaml" "$@"
  if [[ ! -e $subject && -e $root/$subject ]]; then subject=$root/$subject; fi
  model_dir=$(find_model_dir "model_dir/$(basename "$subject" .yaml)" "${more[@]}")
}

# find_model_dir DEFAULT [ARGUMENT...]: the last model_dir that these arguments of fcmnist_mpi name.
find_model_dir() {
  local found=$1 argument before=
  for argument in "${@:2}"; do
    case $before in -o | --model_dir | runconfig.model_dir) found=$argument ;; esac
    case $argument in
      --model_dir=* | runconfig.model_dir=*) found=${argument#*=} ;;
      -o?*) found=${argument#-o} ;;
    esac
    before=$argument
  done
  echo "$found"
}

# launch RANKS ARGUMENT...: runs fcmnist_mpi on so many ranks, in the place of this shell's process.
launch() {
  launch_program fcmnist_mpi "$@"
}

# launch_program NAME RANKS ARGUMENT...
launch_program() {
  local program count=$2 ranks_here mpirun_options=()
  program=$(find_program "$1") || exit
  shift 2
  export OPENBLAS_NUM_THREADS=${OPENBLAS_NUM_THREADS:-1} # ranks are the parallelism: see runconfig.blas_threads
  # Else mpirun loads the machine's OpenCL libraries, of which one (pocl) takes SIGUSR1 from it.
  export HWLOC_COMPONENTS=${HWLOC_COMPONENTS:--opencl}
  if [[ $EUID == 0 ]]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
  ranks_here=${SLURM_TASKS_PER_NODE:-$count} # of the job, which may be more than are started here; Slurm writes "4(x2),3"
  ranks_here=${ranks_here%%[^0-9]*}
  if (((ranks_here < count ? ranks_here : count) > $(usable_cores))); then # waiting ranks must give way; Open MPI does not always notice
    export OMPI_MCA_mpi_yield_when_idle=1
    mpirun_options=(--oversubscribe --bind-to none)
  fi
  case ${LAUNCHER:-mpirun} in
    mpirun) exec mpirun -n "$count" "${mpirun_options[@]}" "$program" "$@" ;;
    # A rank that has died ends the step; by itself srun waits for the others. Not at once (--kill-on-bad-exit): when
    # all end with the same error, the slowest would be killed, and srun would return 143 in the place of their code.
    srun) exec srun --ntasks="$count" --mpi=pmix --kill-on-bad-exit=0 --wait=5 "$program" "$@" ;;
    *) fail "LAUNCHER=$LAUNCHER: unknown launcher" "mpirun or srun" ;;
  esac
}
