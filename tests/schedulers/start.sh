# shellcheck shell=bash
# A Slurm of four small nodes and a Grid Engine of one, on this machine, for the tests: Debian's packages, everything in one
# folder, ports of their own, nothing of the system's configuration is touched. Sourced, it defines
#
#   schedulers_can_start          prints what is lacking, and fails
#   start_schedulers FOLDER       starts them, and sets what the clients need: SLURM_CONF, SGE_ROOT, ...
#   stop_schedulers FOLDER        ends them, and removes the folder
#
# Needs root, as the schedulers do. Debian, Ubuntu: apt install slurmctld slurmd slurm-client munge gridengine-master
# gridengine-exec gridengine-client

PATH=$PATH:/usr/sbin

schedulers_can_start() {
  local program
  [ "$(id -u)" = 0 ] || { echo "only root can start them"; return 1; }
  for program in munged slurmctld slurmd sbatch sge_qmaster sge_execd qsub; do
    command -v $program >/dev/null || { echo "$program is not installed"; return 1; }
  done
}

start_slurm() {
  local folder=$1 node
  mkdir -p "$folder/state/env_cache"
  # The environment of a login, so that no login script of this machine, however slow, is run (GetEnvTimeout=0).
  printf '%s=%s\n' HOME "$HOME" PATH "$PATH" SHELL /bin/bash USER root LOGNAME root >"$folder/state/env_cache/root"
  (umask 077 && head -c 128 /dev/urandom >"$folder/munge.key")
  munged --force --socket="$folder/munge" --key-file="$folder/munge.key" --pid-file="$folder/munged.pid" \
    --log-file="$folder/munged.log" --seed-file="$folder/munge.seed"
  # Partitions: `cpu` for most tests; `urgent` takes its node from `patient`; the node of `frail` is for tests that lose it.
  cat >"$folder/slurm.conf" <<EOF
ClusterName=tests
SlurmctldHost=$(hostname)(127.0.0.1)
SlurmctldPort=16817
SlurmctldPidFile=$folder/slurmctld.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdPidFile=$folder/slurmd.%n.pid
SlurmdLogFile=$folder/slurmd.%n.log
SlurmdSpoolDir=$folder/spool.%n
StateSaveLocation=$folder/state
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
KillWait=2
ReturnToService=2
GetEnvTimeout=0
GresTypes=gpu
NodeName=one,two NodeHostname=$(hostname) NodeAddr=127.0.0.1 Port=17001-17002 CPUs=4 Gres=gpu:2
NodeName=shared,frail NodeHostname=$(hostname) NodeAddr=127.0.0.1 Port=17003-17004 CPUs=4
PartitionName=cpu Nodes=one,two Default=YES PreemptMode=OFF
PartitionName=patient Nodes=shared PriorityTier=1
PartitionName=urgent Nodes=shared PriorityTier=2
PartitionName=frail Nodes=frail PreemptMode=OFF
EOF
  echo "NodeName=one,two Name=gpu File=/dev/zero,/dev/full" >"$folder/gres.conf"
  export SLURM_CONF=$folder/slurm.conf
  slurmctld
  for node in one two shared frail; do slurmd -N $node; done
}

start_grid_engine() {
  local folder=$1 name cell=$1/root/default/common
  export SGE_ROOT=$folder/root SGE_CELL=default SGE_QMASTER_PORT=16444 SGE_EXECD_PORT=16445
  SGE_ARCH=$(/usr/share/gridengine/util/arch)
  export SGE_ARCH
  mkdir -p "$cell" "$folder/qmaster/job_scripts" "$folder/execd" "$folder/spool"
  ln -s /usr/share/gridengine/util "$SGE_ROOT/util"
  for name in bin lib utilbin; do mkdir "$SGE_ROOT/$name" && ln -s /usr/lib/gridengine "$SGE_ROOT/$name/$SGE_ARCH"; done
  hostname >"$cell/act_qmaster"
  echo "localhost $(hostname)" >"$cell/host_aliases"   # Debian resolves a host's own name to 127.0.0.1
  cat >"$cell/bootstrap" <<EOF
admin_user root
default_domain none
ignore_fqdn true
spooling_method berkeleydb
spooling_lib libspoolb
spooling_params $folder/spool
binary_path /usr/sbin
qmaster_spool_dir $folder/qmaster
security_mode none
listener_threads 2
worker_threads 2
scheduler_threads 1
EOF
  sed "s#^execd_spool_dir.*#execd_spool_dir $folder/execd#; s/^min_\([ug]\)id.*/min_\1id 0/
    s/^login_shells.*/login_shells none/
    s/^load_report_time.*/load_report_time 0:0:2/; s/flush_time=00:00:15/accounting_flush_time=0:0:0 flush_time=0:0:1/" \
    /usr/share/gridengine/default-configuration >"$folder/configuration"
  {
    /usr/lib/gridengine/spoolinit berkeleydb libspoolb "$folder/spool" init
    /usr/lib/gridengine/spooldefaults configuration "$folder/configuration"
    /usr/lib/gridengine/spooldefaults complexes /usr/share/gridengine/util/resources/centry
    /usr/lib/gridengine/spooldefaults usersets /usr/share/gridengine/util/resources/usersets
    /usr/lib/gridengine/spooldefaults managers root
    sge_qmaster
    # it answers slowly on a busy machine
    for _ in $(seq 60); do qconf -as "$(hostname)" && break; sleep 1; done
    sge_execd
    qconf -ssconf | sed "s/^schedule_interval.*/schedule_interval 0:0:1/; s/^flush_\(.*\)_sec.*/flush_\1_sec 1/" \
      >"$folder/scheduler"
    qconf -Msconf "$folder/scheduler"
    { qconf -sc; echo "gpu gpu INT <= YES YES 0 0"; } >"$folder/complexes"
    qconf -Mc "$folder/complexes"
    sed "s/^\(pe_name *\).*/\1smp/; s/^\(allocation_rule *\).*/\1\$pe_slots/" \
      /usr/share/gridengine/util/resources/pe/smp >"$folder/smp"
    # one node can only be several when a node may grant several slots
    sed "s/^\(pe_name *\).*/\1nodes/; s/^\(allocation_rule *\).*/\1\$fill_up/; s/^\(control_slaves *\).*/\1TRUE/" \
      /usr/share/gridengine/util/resources/pe/smp >"$folder/nodes"
    qconf -Ap "$folder/smp"
    qconf -Ap "$folder/nodes"
    qconf -sq | sed "s/^qname.*/qname all.q/; s/^hostlist.*/hostlist $(hostname)/; s/^pe_list.*/pe_list smp nodes/
      s/^slots.*/slots 8/; s/^load_thresholds.*/load_thresholds NONE/; s/^rerun.*/rerun TRUE/
      s/^complex_values.*/complex_values gpu=2/" >"$folder/queue"
    qconf -Aq "$folder/queue"
  } >"$folder/start.log" 2>&1
}

start_schedulers() {
  chmod 755 "$1"
  mkdir "$1/slurm" "$1/sge"
  start_slurm "$1/slurm"
  start_grid_engine "$1/sge" || { cat "$1/sge/start.log"; return 1; }
}

# Their state is deleted, so they need no time to save it.
stop_schedulers() {
  local pid pids
  scancel --user=root --quiet || true
  qdel -u root >/dev/null 2>&1 || true
  sleep 1
  pids=$(cat "$1"/slurm/*.pid "$1"/sge/execd/*/execd.pid "$1"/sge/qmaster/qmaster.pid 2>/dev/null || true)
  for pid in $pids; do kill "$pid" 2>/dev/null || true; done
  sleep 1
  for pid in $pids; do kill -KILL "$pid" 2>/dev/null || true; done
  rm -rf "$1"
}
