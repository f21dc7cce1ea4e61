#!/bin/bash
# A job that tells on whoever runs it twice.
#
#   job.sh STEPS
#
# It works STEPS half seconds, and keeps its checkpoints where it is told to. What it sees it writes to
# $EVIDENCE/$GRIDTIDE_JOB. It holds a lock on itself and on each of its GPUs, which the kernel takes back
# at its death, whatever it dies of: so it starts no other process.
set -u
steps=$1
me=$EVIDENCE/$GRIDTIDE_JOB

say() { printf '%s %s\n' "${EPOCHREALTIME/,/.}" "$1" >>"$me"; }

exec {own}>"$me.lock"
flock --nonblock "$own" || { say twice; exit 1; }
[ -e "$me.done" ] && { say again; exit 1; }
# Node names are Slurm's; else where the checkpoints lie tells one cluster from the other.
case ${GRIDTIDE_CHECKPOINT_DIR:-} in
    */claims/*) node=kubernetes ;;
    *) node=${SLURMD_NODENAME:-local} ;;
esac
for gpu in ${CUDA_VISIBLE_DEVICES//,/ }; do
    exec {held}>"$EVIDENCE/gpu-$node-$gpu.lock"
    flock --nonblock "$held" || say "GPU $gpu is not free"
done

checkpoint=${GRIDTIDE_CHECKPOINT_DIR:-}/steps
done=0
[ "$RESUMES" = 1 ] && [ -e "$checkpoint" ] && read -r done <"$checkpoint"
trap 'say "left $done"; exit 143' TERM
say "start $done"
exec {never}<> <(:) && wait $!
while ((done < steps)); do
    read -rt 0.5 -u "$never" _
    ((done++))
    if [ "$RESUMES" = 1 ]; then
        echo "$done" >"$checkpoint.new" && mv "$checkpoint.new" "$checkpoint"
    fi
done
: >"$me.done"
say done
