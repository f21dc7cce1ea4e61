#!/bin/bash
# Looks after one run of one job, on the first node that Slurm gave it.
#
#   job.sh FOLDER RUN GRACE_MS LOST_AFTER_S
#
# Who hears no beat for LOST_AFTER_S takes the run for lost, and may have it started elsewhere.
# FOLDER is on a file system that this node and the scheduler share; see folder.py for what is in it.
# Everything this script is told it reads there, and everything it has to say it writes there, so
# that it needs nothing of the scheduler and the scheduler nothing of this node.
set -u
umask 077

folder=$1 run=$2 grace_ms=$3 lost_after_s=$4
attempt=${SLURM_RESTART_COUNT:-0}
this=$run.$attempt
look_every_s=0.5
beat_every_s=$((lost_after_s < 40 ? lost_after_s / 4 : 10))
fence_after_s=$((lost_after_s * 3 / 4))

export PATH=${PATH:-/usr/local/bin:/usr/bin:/bin}
export HOME=${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}

# A reader sees the record whole or not at all.
put() {
    local beside="$folder/.$1.$SLURM_JOB_ID.$attempt"
    printf '%s\n' "$2" >"$beside" && sync "$beside" && mv "$beside" "$folder/$1"
}

now() { date +%s.%N; }

# Put how long this node has been up [ms] in ${up_ms}. What lasts is counted by this: the clock may be
# set, and a job would be ended for a beat that nobody missed, or before its grace was over.
look_at_uptime() {
    local up
    read -r up _ </proc/uptime
    up_ms=$((10#${up/./} * 10))
}

# What was done must not be lost to a file system that is away for a while.
ended() {
    local tries
    for ((tries = 0; tries < 120; tries++)); do
        put "end-$this" "$(now) $1" && return
        sleep 5
    done
    exit 1
}

wanted_phase() {
    local wanted_run phase
    read -r wanted_run phase <"$folder/wanted" || return
    [ "$wanted_run" = "$run" ] && echo "$phase" || echo superseded
}

# The same, but for an answer: a file may be out of sight for a moment.
wanted_phase_at_last() {
    local tries
    for ((tries = 0; tries < 120; tries++)); do
        wanted_phase && return
        sleep 1
    done
}

# Whether the run is over, whichever attempt brought it to its end.
is_over() {
    local end how
    [ -e "$folder/concluded-$run" ] && return 0
    for end in "$folder/end-$run".*; do
        read -r _ how _ <"$end"
        [ "$how" = evicted ] || return 0
    done
    return 1
}

shopt -s nullglob
unset SLURM_EXPORT_ENV # sbatch was told to pass on nothing; what the job starts by srun has all

# Only the Slurm job that owns the run goes on. A link is made by one of them, and says by whom.
ln -s -T "$SLURM_JOB_ID" "$folder/claim-$run" 2>/dev/null
[ "$(readlink "$folder/claim-$run")" = "$SLURM_JOB_ID" ] || exit 0
is_over && exit 0

# What was started before, on a node that Slurm lost, may live on. It ends itself once it sees that
# this one began; until its beat stops nothing is started.
put "begin-$this" "$(now)" || exit 1
for before in "$folder"/start-*; do
    before=${before##*/start-}
    seen=never
    until [ -e "$folder/end-$before" ]; do
        beat=$(stat -c %Y "$folder/beat-$before" 2>/dev/null)
        [ "$beat" = "$seen" ] && break
        seen=$beat
        sleep "$lost_after_s"
    done
done
is_over && exit 0

case $(wanted_phase_at_last) in
    run) ;;
    cancel) ended "cancelled 0 cancelled before it was started"; exit 0 ;;
    pause | freeze) ended "paused 0 paused before it was started"; exit 0 ;;
    *) exit 0 ;;
esac

started=("$folder"/start-*)
cap_w=$(cat "$folder/power_cap_w")
export GRIDTIDE_RESTARTS=${#started[@]}
export GRIDTIDE_IS_CONTINUATION=$((${#started[@]} > 0 ? 1 : 0))
export GRIDTIDE_CHECKPOINT_DIR=$folder/checkpoint
export GRIDTIDE_POWER_CAP_FILE=$folder/power_cap_w
if [ -n "$cap_w" ]; then export GRIDTIDE_POWER_CAP_W=$cap_w; else unset GRIDTIDE_POWER_CAP_W; fi
# Unrecorded, or without a sign of life, it might run twice.
touch "$folder/beat-$this" || exit 1
put "start-$this" "$(now) ${SLURM_JOB_NODELIST:-}" || exit 1

evicted=
trap 'evicted=1' TERM
cd "$folder/work" || exit 1
setsid bash "$folder/run-$run.sh" >>"$folder/output.log" 2>&1 </dev/null &
child=$!

lives() { kill -0 -- "-$child" 2>/dev/null || kill -0 "$child" 2>/dev/null; }
# Wait a little, or until the child ends or Slurm tells us to leave.
pause_a_little() {
    sleep "$1" &
    wait -n
}

# By the time somebody takes it for lost it must be gone, also where this node sees nothing of the
# world any more: so this reads no file, and counts only the seconds in which it runs itself.
end_when_beats_fail() {
    local silent_s=0
    trap '' TERM
    while ((silent_s < fence_after_s)); do
        read -rt 1 _
        case $? in
            0) silent_s=0 ;;
            1) return 0 ;; # the other end is gone: so is the job
            *) ((silent_s++)) ;;
        esac
    done
    kill -KILL -- "-$child"
    # Steps that it started by srun are others' children: slurmd knows those of this node.
    scontrol listpids "$SLURM_JOB_ID" 2>/dev/null | awk -v us="$$" '
        NR > 1 && $3 != "batch" && $3 != "extern" && $1 > 1 && $1 != us { print $1 }' |
        xargs -r kill -KILL 2>/dev/null
    return "$fenced"
}
fenced=99
trap '' PIPE
exec {pulse}> >(end_when_beats_fail)
fence=$!

look_at_uptime
beat_at_ms=$up_ms
beat() {
    look_at_uptime
    ((up_ms - beat_at_ms < beat_every_s * 1000)) && return
    touch "$folder/beat-$this" && echo >&"$pulse" && beat_at_ms=$up_ms
}

# Whether the fence ended it; to be asked once it is over.
was_fenced() {
    exec {pulse}>&-
    wait "$fence"
    (($? == fenced))
}

# Stop the group and say whether its leader is held; one that ended by itself first is not.
hold() {
    local state tries
    kill -STOP -- "-$child" 2>/dev/null
    for ((tries = 0; tries < 100; tries++)); do
        state=$(sed 's/.*) \(.\).*/\1/' "/proc/$child/stat" 2>/dev/null)
        case $state in
            T | t) return 0 ;;
            Z | X | '') return 1 ;;
        esac
        sleep 0.01
    done
    return 0
}

# Let the held group save and leave within its grace; kill what stays.
leave() {
    local grace how code until_ms
    grace=$(awk "BEGIN { print $grace_ms / 1000 }")
    how="left within $grace s of grace"
    kill -TERM -- "-$child" 2>/dev/null
    kill -CONT -- "-$child" 2>/dev/null
    look_at_uptime
    until_ms=$((up_ms + grace_ms))
    while lives && ((up_ms < until_ms)); do
        beat
        pause_a_little 0.05
    done
    if lives; then
        how="killed after $grace s of grace"
        while lives; do
            beat
            kill -KILL -- "-$child" 2>/dev/null
            pause_a_little 0.05
        done
    fi
    wait "$child"
    code=$?
    exec {pulse}>&-
    ended "$1 $code $2: $how, exit code $code"
    exit 0
}

is_frozen=
while kill -0 "$child" 2>/dev/null; do
    beat
    phase=$(wanted_phase)
    [ -e "$folder/begin-$run.$((attempt + 1))" ] && phase=superseded
    [ -n "$evicted" ] && phase=evict
    case $phase in
        pause | cancel | evict | superseded)
            hold || break # it ended by itself: what it did counts
            case $phase in
                pause) leave paused paused ;;
                cancel) leave cancelled cancelled ;;
                evict) leave evicted "told to leave by Slurm" ;;
                superseded) leave evicted "started again on another node" ;;
            esac
            ;;
        freeze)
            if [ -z "$is_frozen" ]; then
                hold && put "frozen-$this" "$(now)"
                is_frozen=1
            fi
            ;;
        run)
            if [ -n "$is_frozen" ]; then
                kill -CONT -- "-$child" 2>/dev/null
                rm -f "$folder/frozen-$this"
                is_frozen=
            fi
            ;;
    esac
    pause_a_little "$look_every_s"
done

wait "$child"
code=$?
kill -KILL -- "-$child" 2>/dev/null
if was_fenced; then
    ended "evicted $code its node could not reach $folder for $fence_after_s s and ended it"
    exit 0
fi
sleep 0.1 # Slurm tells all processes of a job to leave at once: it may have ended before we heard
if [ -n "$evicted" ]; then
    ended "evicted $code told to leave by Slurm: exit code $code"
else
    ended "exited $code"
fi
