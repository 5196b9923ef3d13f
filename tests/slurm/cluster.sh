# SPDX-License-Identifier: Apache-2.0
# cluster.sh -- a SLURM cluster of two nodes, n1 and n2, on this machine.  After e2e/lib.sh:
#
#     . "$(dirname "$0")/cluster.sh"
#     cluster_start       two nodes of 4 CPUs each, whatever the machine has; from now on sbatch,
#                         srun, scontrol ... of this shell speak to them
#                         partition main, and urgent, whose jobs pre-empt those of main (20 s to
#                         save) and of hard (none)
#     cluster_kill n2     a node fails: its daemon and everything it runs is gone at once
#     cluster_join n2     it is back
#     cluster_stop        also when the test ends in any other way
#
# Everything is in $WORK/cluster: configuration, key, sockets, state, temporary files; ports are
# ones that nobody has.  Where it can't work the test ends with a line that says why, and counts
# as passed: it needs root, and the Debian packages slurm-wlm and munge.
CLUSTER=$WORK/cluster
CLUSTER_TOOLS="munged mungekey slurmctld slurmd sbatch srun scontrol squeue scancel"

cluster_skip() { echo "ok $TEST: skipped, $1"; finish; }

cluster_needs() {
    PATH=$PATH:/usr/sbin:/sbin
    [ "$(id -u)" = 0 ] || cluster_skip "a SLURM cluster of our own needs root"
    for tool in $CLUSTER_TOOLS; do
        command -v "$tool" >/dev/null 2>&1 || cluster_skip "$tool is not installed (make deps)"
    done
}

# cluster_ports N: ports that nobody listens on, from a place that depends on our process.
cluster_ports() {
    port=$((20000 + $$ * 7 % 12000)); found=0
    while [ $found -lt "$1" ]; do
        port=$((port + 1))
        cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -q ":$(printf %04X $port) 0*:0000 0A" ||
            { echo $port; found=$((found + 1)); }
    done
}

cluster_conf() {
    # shellcheck disable=SC2046
    set -- $(cluster_ports 3)
    host=$(hostname -s)
    cat <<END
ClusterName=ttt
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$1
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$CLUSTER/munge/socket,cred_expire=6
CredType=cred/munge
StateSaveLocation=$CLUSTER/state
SlurmctldPidFile=$CLUSTER/slurmctld.pid
SlurmctldLogFile=$CLUSTER/slurmctld.log
SlurmdSpoolDir=$CLUSTER/%n/spool
SlurmdPidFile=$CLUSTER/%n/slurmd.pid
SlurmdLogFile=$CLUSTER/%n/slurmd.log
TmpFS=$CLUSTER/%n/tmp
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=2,sched_min_interval=100000,batch_sched_delay=1
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=pmix
JobRequeue=1
ReturnToService=2
KillWait=20
SlurmdTimeout=6
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$2 CPUs=4
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$3 CPUs=4
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=20
PartitionName=hard Nodes=n1,n2 MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=n1,n2 MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
END
}

# cluster_wait SECONDS COMMAND ...: until the command succeeds.
cluster_wait() {
    end=$(($(date +%s) + $1)); shift
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -lt $end ] || return 1
        sleep 0.2
    done
}

cluster_idle() { [ "$(sinfo -h -N -t idle -p main -o %N | wc -l)" = 2 ]; }
cluster_up() { [ "$(sinfo -h -N -t idle,mixed,allocated -o %N | sort -u | wc -l)" = "$1" ]; }

cluster_munge() {
    mkdir -m 755 "$CLUSTER/munge" && mungekey --create --keyfile "$CLUSTER/munge/key" || return 1
    munged --foreground --force --key-file="$CLUSTER/munge/key" --socket="$CLUSTER/munge/socket" \
        --pid-file="$CLUSTER/munge/pid" --log-file="$CLUSTER/munge/log" \
        --seed-file="$CLUSTER/munge/seed" >/dev/null 2>&1 &
    cluster_wait 10 test -S "$CLUSTER/munge/socket"
}

# cluster_join NODE.  What a killed node left behind would stop it: a new folder.
cluster_join() {
    rm -rf "${CLUSTER:?}/$1" && mkdir -p "$CLUSTER/$1/spool" "$CLUSTER/$1/tmp" || return 1
    slurmd -D -N "$1" -f "$SLURM_CONF" >/dev/null 2>&1 &
}

cluster_start() {
    cluster_needs
    mkdir -p "$CLUSTER/state" || exit 1
    chmod 755 "$WORK"  # munge refuses a socket that others can't reach
    SLURM_CONF=$CLUSTER/slurm.conf
    # Both nodes have one host name and one /dev/shm: no shared memory between them.
    OMPI_MCA_btl=self,tcp OMPI_MCA_btl_tcp_if_include=lo TMPDIR=$CLUSTER
    export SLURM_CONF OMPI_MCA_btl OMPI_MCA_btl_tcp_if_include TMPDIR
    cluster_conf >"$SLURM_CONF"
    trap 'code=$?; cluster_stop; (exit $code); at_end' EXIT
    cluster_munge
    slurmctld -D -f "$SLURM_CONF" >/dev/null 2>&1 &
    if ! { cluster_wait 20 sinfo && cluster_join n1 && cluster_join n2 &&
           cluster_wait 30 cluster_up 2; }; then
        failed "SLURM cluster" "did not start"
        tail -n 20 "$CLUSTER"/*.log "$CLUSTER"/*/*.log >&2
        exit 1
    fi
}

# Processes of /proc whose FILE (environ, cmdline) has the text.
cluster_having() {
    grep -l -a -s -F -e "$2" /proc/[0-9]*/"$1" | cut -d/ -f3
}

# Processes of a node: what SLURM started there says so in its environment, and its daemons
# keep their log open.
cluster_of_node() {
    cluster_having environ "SLURM_CONF=$SLURM_CONF" | while read -r pid; do
        grep -q -a -s "SLURMD_NODENAME=$1" "/proc/$pid/environ" && echo "$pid" && continue
        find "/proc/$pid/fd" -lname "$CLUSTER/$1/*" 2>/dev/null | grep -q . && echo "$pid"
    done
}

cluster_kill() {
    # shellcheck disable=SC2046
    kill -KILL $(cluster_of_node "$1") 2>/dev/null
}

# All that has our configuration or lies in our folder, but not this shell.
cluster_pids() {
    { cluster_having environ "SLURM_CONF=$CLUSTER/"; cluster_having cmdline "$CLUSTER/"; } |
        sort -u | grep -v -x "$$"
}

cluster_stop() {
    # Twice: a process may have started another one meanwhile.
    for round in 1 2; do
        # shellcheck disable=SC2046
        kill -KILL $(cluster_pids) 2>/dev/null
        sleep 0.$round
    done
}
