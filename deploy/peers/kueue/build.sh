#!/usr/bin/env bash
# Build the Kueue that tests drive, from its published Go module, unless it is there already.
#
# It goes to $GRIDTIDE_PEERS/kueue-VERSION, by default below ~/.cache/gridtide/peers, with the
# definitions of its objects. What is fetched is checked against go.sum. Takes minutes and 90 MB.
# Its main program is taken as it is, but for where it looks for the certificate of its metrics,
# which is a folder of the machine.
set -euo pipefail
cd "$(dirname "$0")"

version=$(sed -n 's,^\(require \|\t\)sigs.k8s.io/kueue v,,p' go.mod)
into="${GRIDTIDE_PEERS:-$HOME/.cache/gridtide/peers}/kueue-$version"

made_of="$into/made-of"
sources() { sha256sum go.mod go.sum build.sh; }
if [ -f "$made_of" ] && [ "$(sources)" = "$(cat "$made_of")" ]; then
    echo "$into is up to date"
    exit 0
fi
command -v go >/dev/null || {
    echo "building Kueue needs Go 1.21 or newer, which fetches the version it wants" >&2
    exit 1
}

export GOTOOLCHAIN=auto GOWORK=off CGO_ENABLED=0
go mod download sigs.k8s.io/kueue
theirs=$(go list -mod=readonly -m -f '{{.Dir}}' sigs.k8s.io/kueue)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp go.mod go.sum "$work"
sed 's,"/etc/kueue/metrics/certs",os.Getenv("KUEUE_METRICS_CERTS"),' \
    "$theirs/cmd/kueue/main.go" >"$work/main.go"

mkdir -p "$into/definitions"
cp --no-preserve=mode "$theirs"/config/components/crd/bases/*.yaml "$into/definitions/"
(cd "$work" && go build -mod=readonly -trimpath -buildvcs=false -p "${GOMAXPROCS:-$(nproc)}" \
    -ldflags "-s -w" -o "$into/kueue.new" .)
mv "$into/kueue.new" "$into/kueue"
sources >"$made_of"
echo "$into is ready: $(du -h "$into/kueue" | cut -f1)"
