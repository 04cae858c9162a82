#!/usr/bin/env bash
# The scheduler's figures, one JSON line each, and Slurm's beside them where it installs.
#   ./dev bench scheduler [--no-slurm]
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
bin=$(realpath "${LLMCTL_BIN:-build/bin}")
work=$(mktemp -d)
pids=()

# Ends only what this script started.
cleanup() {
  ((${#pids[@]})) && kill "${pids[@]}" 2>/dev/null && wait "${pids[@]}" 2>/dev/null
  [[ -z ${slurm_conf:-} ]] || stop_slurm
  rm -rf "$work"
}
trap cleanup EXIT

now_ms() { echo $(($(date +%s%N) / 1000000)); }
line() { # line SYSTEM FIGURE VALUE UNIT
  printf '{"figure":"%s","system":"%s","unit":"%s","value":%s}\n' "$2" "$1" "$4" "$3"
}
per_second() { awk -v n="$1" -v ms="$2" 'BEGIN { printf "%.2f", n * 1000 / ms }'; }

# start_scheduler NAME: sets scheduler (pid) and address.
start_scheduler() {
  local dir=$work/$1
  rm -f "$dir/scheduler.json"
  "$bin/llmctl-scheduler" --data-dir "$dir" 2>>"$work/$1.log" &
  scheduler=$!
  pids+=("$scheduler")
  until [[ -s $dir/scheduler.json ]]; do
    kill -0 "$scheduler" 2>/dev/null || { cat "$work/$1.log" >&2; exit 1; }
    sleep 0.01
  done
  address=$(sed -E 's/.*"address":"([^"]*)".*/\1/' "$dir/scheduler.json")
}

start_worker() { # start_worker ADDRESS: a CPU worker whose trainer does nothing
  mkdir -p "$work/jobs"
  "$bin/llmctl-worker" --scheduler "$1" --name bench --work-dir "$work/worker" \
    --jobs-dir "$work/jobs" --no-cuda --cpu-memory 4GiB --slots 8 \
    --trainer "$bin/noop_trainer" --metrics-listen "" 2>"$work/worker.log" &
  pids+=($!)
}

bench_llmctl() {
  start_scheduler submit
  "$bin/scheduler_bench" submit "$address"
  kill "$scheduler"
  start_scheduler restart
  "$bin/scheduler_bench" fill "$address" 10000
  kill -9 "$scheduler"
  wait "$scheduler" 2>/dev/null || true # bash would say "Killed"
  local begin
  begin=$(now_ms)
  start_scheduler restart
  line llmctl restart_with_10000_jobs "$(($(now_ms) - begin))" ms
  kill "$scheduler"
  start_scheduler run
  start_worker "$address"
  "$bin/scheduler_bench" latency "$address" "$work/jobs"
  "$bin/scheduler_bench" tasks "$address"
}

install_slurm() {
  command -v slurmctld >/dev/null && command -v slurmd >/dev/null && command -v munged >/dev/null &&
    return
  ((EUID == 0)) || return 1
  apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
      slurmctld slurmd slurm-client munge >/dev/null
}

# One node, everything local, accounting off: the fastest Slurm gets without a cluster around it.
write_slurm_conf() {
  slurm_conf=$work/slurm/slurm.conf
  mkdir -p "$work/slurm/state" "$work/slurm/spool"
  cat >"$slurm_conf" <<CONF
ClusterName=bench
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=17817
SlurmdPort=17818
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=$work/slurm/state
SlurmdSpoolDir=$work/slurm/spool
SlurmctldPidFile=$work/slurm/slurmctld.pid
SlurmdPidFile=$work/slurm/slurmd.pid
SlurmctldLogFile=$work/slurm/slurmctld.log
SlurmdLogFile=$work/slurm/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
ReturnToService=2
MaxArraySize=2001
SchedulerParameters=defer,batch_sched_delay=0,sched_min_interval=0,bf_interval=1
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES OverSubscribe=FORCE:8 State=UP
CONF
  export SLURM_CONF=$slurm_conf
}

start_slurm() {
  if ! pgrep -x munged >/dev/null; then
    [[ -s /etc/munge/munge.key ]] || {
      head -c 1024 /dev/urandom >/etc/munge/munge.key
      chown munge: /etc/munge/munge.key
      chmod 400 /etc/munge/munge.key
    }
    mkdir -p /run/munge && chown munge: /run/munge
    runuser -u munge -- munged --pid-file /run/munge/munged.pid
    started_munge=yes
  fi
  write_slurm_conf
  slurmctld -c
  slurmd
  for _ in $(seq 100); do
    [[ $(sinfo -h -o %T 2>/dev/null) == idle ]] && return
    sleep 0.2
  done
  return 1
}

stop_slurm() {
  scancel --user=root 2>/dev/null || true
  for name in slurmd slurmctld; do
    [[ ! -s $work/slurm/$name.pid ]] || kill "$(cat "$work/slurm/$name.pid")" 2>/dev/null || true
  done
  [[ -z ${started_munge:-} ]] || kill "$(cat /run/munge/munged.pid)" 2>/dev/null || true
  sleep 1
}

bench_slurm() {
  local begin n=200
  begin=$(now_ms)
  for _ in $(seq "$n"); do
    sbatch --hold --output=/dev/null --wrap true >/dev/null
  done
  line slurm durable_submissions_1_client "$(per_second "$n" $(($(now_ms) - begin)))" 1/s
  scancel --user=root
  srun -Q true
  for _ in $(seq 10); do
    begin=$(now_ms)
    srun -Q true
    echo $(($(now_ms) - begin))
  done | sort -n >"$work/srun"
  line slurm srun_true_p50 "$(sed -n 5p "$work/srun")" ms
  n=100
  begin=$(now_ms)
  sbatch --wait --array=1-$n --output=/dev/null --wrap true >/dev/null
  line slurm noop_tasks "$(per_second "$n" $(($(now_ms) - begin)))" 1/s
}

bench_llmctl
[[ ! -x $bin/decide_bench ]] || "$bin/decide_bench"
if [[ ${1:-} == --no-slurm ]]; then
  :
elif install_slurm && start_slurm; then
  bench_slurm
else
  echo "bench: Slurm is not available here; its figures are left out" >&2
fi
