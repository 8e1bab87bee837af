#!/bin/sh
# olm/manager/build.sh OUTDIR: the programs of the Operator Lifecycle Manager, and the manifests it is installed by. All
# static. Their image is to have /bin/cp too, which here is cp.go.
set -eu
cd "$(dirname "$0")"
mkdir -p "$1"; out=$(cd "$1" && pwd)
export CGO_ENABLED=0
olm=github.com/operator-framework/operator-lifecycle-manager
build() { go build -mod=readonly -trimpath -buildvcs=false -tags containers_image_openpgp -ldflags '-s -w' -o "$out/$1" "$2"; }
for program in olm catalog package-server copy-content; do build $program $olm/cmd/$program; done
build cpb $olm/util/cpb
build cp cp.go
manifests=$(go list -m -f '{{.Dir}}' $olm)/deploy/upstream/quickstart
cp "$manifests/crds.yaml" "$out/olm-crds.yaml"
cp "$manifests/olm.yaml" "$out/olm.yaml"
chmod u+w "$out"/*.yaml
