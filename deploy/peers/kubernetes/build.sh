#!/usr/bin/env bash
# Build the Kubernetes that tests drive, from its published Go modules, unless it is there already.
#
# It goes to $GRIDTIDE_PEERS/kubernetes-VERSION, by default below ~/.cache/gridtide/peers. What is
# fetched is checked against go.sum. Takes minutes, 3 GB of Go's caches and 130 MB for what is made.
# GOMAXPROCS bounds how many compilers run at once.
set -euo pipefail
cd "$(dirname "$0")"

version=$(sed -n 's,^require k8s.io/kubernetes v,,p' go.mod)
into="${GRIDTIDE_PEERS:-$HOME/.cache/gridtide/peers}/kubernetes-$version"
programs=(etcd kube-apiserver kube-controller-manager kube-scheduler pod-resources)

made_of="$into/made-of"
sources() { sha256sum main.go pod_resources.go go.mod go.sum build.sh; }
if [ -f "$made_of" ] && [ "$(sources)" = "$(cat "$made_of")" ]; then
    echo "$into is up to date"
    exit 0
fi
command -v go >/dev/null || {
    echo "building Kubernetes needs Go 1.21 or newer, which fetches the version it wants" >&2
    exit 1
}

mkdir -p "$into"
say="-X k8s.io/component-base/version"
GOTOOLCHAIN=auto GOWORK=off CGO_ENABLED=0 go build -mod=readonly -trimpath -buildvcs=false \
    -p "${GOMAXPROCS:-$(nproc)}" \
    -ldflags "-s -w $say.gitVersion=v$version $say.gitMajor=1 $say.gitMinor=$(cut -d. -f2 <<<"$version")" \
    -o "$into/control-plane.new" .
mv "$into/control-plane.new" "$into/control-plane"
for program in "${programs[@]}"; do
    ln -sf control-plane "$into/$program"
done
sources >"$made_of"
echo "$into is ready: $(du -h "$into/control-plane" | cut -f1)"
