#!/bin/bash
# Looks after one run of one job, on the first node that Slurm gave it.
#
#   job.sh FOLDER RUN GRACE_MS
#
# FOLDER is on a file system that this node and the scheduler share; see folder.py for what is in it.
# Everything this script is told it reads there, and everything it has to say it writes there, so
# that it needs nothing of the scheduler and the scheduler nothing of this node.
set -u
umask 077

folder=$1 run=$2 grace_ms=$3
attempt=${SLURM_RESTART_COUNT:-0}
this=$run.$attempt
look_every_s=0.5
beat_every_s=10
stale_after_s=30

export PATH=${PATH:-/usr/local/bin:/usr/bin:/bin}
export HOME=${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}

# A reader sees the record whole or not at all.
put() {
    local beside="$folder/.$1.$SLURM_JOB_ID.$attempt"
    printf '%s\n' "$2" >"$beside" && sync "$beside" && mv "$beside" "$folder/$1"
}

now() { date +%s.%N; }
ended() { put "end-$this" "$(now) $1"; }

wanted_phase() {
    local wanted_run phase
    read -r wanted_run phase <"$folder/wanted" || return
    [ "$wanted_run" = "$run" ] && echo "$phase" || echo superseded
}

# Only the Slurm job that owns the run goes on. A link is made by one of them, and says by whom.
ln -s -T "$SLURM_JOB_ID" "$folder/claim-$run" 2>/dev/null
[ "$(readlink "$folder/claim-$run")" = "$SLURM_JOB_ID" ] || exit 0

# An attempt before this one, on a node that Slurm lost, may live on. It ends itself once it sees
# that this one began; until its beat stops nothing is started.
if [ "$attempt" -gt 0 ]; then
    put "begin-$this" "$(now)"
    for ((before = 0; before < attempt; before++)); do
        [ -e "$folder/beat-$run.$before" ] && [ ! -e "$folder/end-$run.$before" ] || continue
        seen=
        until [ -e "$folder/end-$run.$before" ]; do
            beat=$(stat -c %Y "$folder/beat-$run.$before")
            [ "$beat" = "$seen" ] && break
            seen=$beat
            sleep "$stale_after_s"
        done
    done
fi

case $(wanted_phase) in
    run) ;;
    cancel) ended "cancelled 0 cancelled before it was started"; exit 0 ;;
    pause | freeze) ended "paused 0 paused before it was started"; exit 0 ;;
    *) exit 0 ;;
esac

shopt -s nullglob
started=("$folder"/start-*)
cap_w=$(cat "$folder/power_cap_w")
export GRIDTIDE_RESTARTS=${#started[@]}
export GRIDTIDE_IS_CONTINUATION=$((${#started[@]} > 0 ? 1 : 0))
export GRIDTIDE_CHECKPOINT_DIR=$folder/checkpoint
export GRIDTIDE_POWER_CAP_FILE=$folder/power_cap_w
if [ -n "$cap_w" ]; then export GRIDTIDE_POWER_CAP_W=$cap_w; else unset GRIDTIDE_POWER_CAP_W; fi
put "start-$this" "$(now) ${SLURM_JOB_NODELIST:-}" || exit 1 # unrecorded, it might run twice

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
    until_ms=$(($(date +%s%3N) + grace_ms))
    while lives && [ "$(date +%s%3N)" -lt "$until_ms" ]; do
        pause_a_little 0.05
    done
    if lives; then
        how="killed after $grace s of grace"
        while lives; do
            kill -KILL -- "-$child" 2>/dev/null
            pause_a_little 0.05
        done
    fi
    wait "$child"
    code=$?
    ended "$1 $code $2: $how, exit code $code"
    exit 0
}

is_frozen=
beat_at=-$beat_every_s
while kill -0 "$child" 2>/dev/null; do
    if ((SECONDS - beat_at >= beat_every_s)); then
        touch "$folder/beat-$this"
        beat_at=$SECONDS
    fi
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
sleep 0.1 # Slurm tells all processes of a job to leave at once: it may have ended before we heard
if [ -n "$evicted" ]; then
    ended "evicted $code told to leave by Slurm: exit code $code"
else
    ended "exited $code"
fi
