#!/usr/bin/env bash
# Write go.mod and go.sum for a version of Kubernetes: `repin.sh 1.37.2`. Run it to move to another.
#
# The published module k8s.io/kubernetes names its parts (k8s.io/api and the like) by folders beside
# it, which are published as modules of their own: 1.N.P as v0.N.P. Everything else stays at the
# versions Kubernetes itself was tested with.
set -euo pipefail
cd "$(dirname "$0")"

version=${1:?which version of Kubernetes, as 1.37.2}
parts_version="v0.${version#1.}"
theirs=$(GOWORK=off go mod download -json "k8s.io/kubernetes@v$version" |
    sed -n 's/^\t"GoMod": "\(.*\)",$/\1/p')

{
    printf 'module gridtide.dev/peers/kubernetes\n\n'
    sed -n '/^go /p; /^godebug /p' "$theirs"
    printf '\nrequire k8s.io/kubernetes v%s\n\n' "$version"
    sed -n '/^require (/,/^)/p' "$theirs" | sed "s/ v0\.0\.0$/ $parts_version/; s/ v0\.0\.0 / $parts_version /"
    printf '\nreplace (\n'
    sed -n "s,^\t\(.*\) => \./staging/.*,\t\1 => \1 $parts_version,p" "$theirs"
    printf ')\n'
} >go.mod
rm -f go.sum
GOFLAGS=-mod=mod go mod tidy
