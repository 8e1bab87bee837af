#!/bin/sh
# metallb/build.sh OUTDIR: upstream's MetalLB of the version that go.mod names, and its manifests.
set -eu
cd "$(dirname "$0")"
mkdir -p "$1"; out=$(cd "$1" && pwd)
# A module has no directory to list before it is downloaded.
go mod download github.com/metallb/frr-k8s go.universe.tf/metallb
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
# It wants the types of a frr-k8s that is no longer to be had, with one field more than go.mod's. Only its frr-k8s mode uses it.
cp -r "$(go list -m -f '{{.Dir}}' github.com/metallb/frr-k8s)" "$t/frr-k8s"
chmod -R u+w "$t/frr-k8s"
types=$t/frr-k8s/api/v1beta1/frrconfiguration_types.go
field='PrefixesWithAsPathPrepend []AsPathPrependPrefixes `json:"withAsPathPrepend,omitempty"`'
sed -i "/^type Advertise struct {/a $field" "$types"
cat >>"$types" <<'END'
type AsPathPrependPrefixes struct {
	Prefixes      []string `json:"prefixes,omitempty"`
	AsPathPrepend uint8    `json:"asPathPrepend,omitempty"`
}
END
cp go.mod go.sum "$t"
go mod edit -replace "github.com/metallb/frr-k8s=$t/frr-k8s" "$t/go.mod"
export CGO_ENABLED=0
build() {
	go build -mod=readonly -modfile "$t/go.mod" -trimpath -buildvcs=false -ldflags '-s -w' -o "$out/upstream-$1" \
		"go.universe.tf/metallb/$2"
}
build controller controller
build speaker speaker
# Of the FRR mode: what its containers beside the speaker run.
build cp-tool frr-tools/cp-tool
build frr-metrics frr-tools/metrics
source=$(go list -m -f '{{.Dir}}' go.universe.tf/metallb)
cp "$source/frr-tools/reloader/frr-reloader.sh" "$out/upstream-frr-reloader.sh"
chmod 755 "$out/upstream-frr-reloader.sh"
for mode in native frr frr-k8s; do
	cp "$source/config/manifests/metallb-$mode.yaml" "$out/"
	chmod 644 "$out/metallb-$mode.yaml"
done
