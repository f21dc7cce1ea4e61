#!/usr/bin/env bash
# A current Slurm for tests, in a folder of its own: Debian 13 (trixie) with the daemons, slurmdbd
# and its database, made by debootstrap. Needs root. Usage: build.sh FOLDER
# What an earlier version of this script made is completed.
set -euo pipefail
root=${1:?usage: build.sh FOLDER}
slurm=slurmctld,slurmd,slurm-client,slurmrestd,munge,slurm-wlm-basic-plugins,slurm-wlm-jwt-plugin
accounting=(slurmdbd slurm-wlm-mysql-plugin mariadb-server)

command -v debootstrap >/dev/null || apt-get install -qq -y --no-install-recommends debootstrap
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    grep -m1 '/debian/*$' || echo http://deb.debian.org/debian)
if [ ! -e "$root/.complete" ]; then
    rm -rf "$root"
    mkdir -p "$root"
    debootstrap --variant=minbase --include="$slurm,hostname" trixie "$root" "$mirror"
    cp /etc/hosts "$root/etc/hosts"
    touch "$root/.complete"
fi
if [ ! -e "$root/.accounting" ]; then
    # No daemon is to be started in there, least of all a database.
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    chroot "$root" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive chroot "$root" \
        apt-get install -qq -y --no-install-recommends "${accounting[@]}" >/dev/null
    chroot "$root" apt-get clean
    touch "$root/.accounting"
fi
