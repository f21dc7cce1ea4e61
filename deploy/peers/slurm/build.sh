#!/usr/bin/env bash
# A current Slurm for tests, in a folder of its own: Debian 13 (trixie) with the daemons, made by
# debootstrap. Needs root. Usage: build.sh FOLDER
set -euo pipefail
root=${1:?usage: build.sh FOLDER}
packages=slurmctld,slurmd,slurm-client,slurmrestd,munge,slurm-wlm-basic-plugins,slurm-wlm-jwt-plugin

[ -e "$root/.complete" ] && exit 0
command -v debootstrap >/dev/null || apt-get install -qq -y --no-install-recommends debootstrap
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    grep -m1 '/debian/*$' || echo http://deb.debian.org/debian)
rm -rf "$root"
mkdir -p "$root"
debootstrap --variant=minbase --include="$packages,hostname" trixie "$root" "$mirror"
cp /etc/hosts "$root/etc/hosts"
touch "$root/.complete"
