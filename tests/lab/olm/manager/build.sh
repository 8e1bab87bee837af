#!/bin/sh
# olm/manager/build.sh OUTDIR: the programs of the Operator Lifecycle Manager, and its definitions. All
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
definitions=$(go list -m -f '{{.Dir}}' $olm)/deploy/chart/crds
for f in "$definitions"/*.yaml; do cat "$f"; echo ---; done >"$out/olm-crds.yaml"
