#!/bin/sh
# olm/catalog/build.sh OUTDIR: opm, the health probe that catalogs are asked by, and validate-bundle. All static.
set -eu
cd "$(dirname "$0")"
mkdir -p "$1"; out=$(cd "$1" && pwd)
export CGO_ENABLED=0
build() { go build -mod=readonly -trimpath -buildvcs=false -tags containers_image_openpgp -ldflags '-s -w' -o "$out/$1" "$2"; }
build opm github.com/operator-framework/operator-registry/cmd/opm
build grpc_health_probe github.com/grpc-ecosystem/grpc-health-probe
build validate-bundle .
