#!/bin/sh
# frr-k8s/build.sh OUTDIR: lab.local/frr-k8s:1, one image for all containers of upstream's frr-k8s: its programs, built from the Go
# module, and FRR with what it needs of the distribution's packages. Needs go, tar, sha256sum, and apt-get with its lists.
set -eu
cd "$(dirname "$0")"
here=$(pwd)
mkdir -p "$1"; out=$(cd "$1" && pwd)
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
root=$t/root
mkdir -p "$root"

# The newest that is to be had. Its own go.mod says with what it is built.
module=github.com/metallb/frr-k8s@v0.0.25
source=$(go mod download -json "$module" | sed -n 's/^.*"Dir": "\(.*\)".*$/\1/p')
cp -r "$source" "$t/source"
chmod -R u+w "$t/source"

# Resolved as if nothing were installed here, so that all it depends on comes along.
mkdir -p "$t/packages/partial"
: >"$t/status"
fetch() {
	apt-get -qq -o Dir::State::status="$t/status" -o Dir::Cache::archives="$t/packages" -o Dir::Cache::pkgcache= \
		-o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root -o Debug::NoLocking=1 --no-install-recommends --yes \
		--download-only install bash coreutils grep sed util-linux procps tini frr frr-pythontools
}
# A fresh machine may have no lists of packages, or old ones.
fetch || { apt-get -qq update && fetch; } || { echo "the packages of FRR are not to be had" >&2; exit 1; }
mkdir -p "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" "$root/usr/lib64"
for directory in bin sbin lib lib64; do ln -s "usr/$directory" "$root/$directory"; done
for package in "$t"/packages/*.deb; do
	dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink --no-same-owner -C "$root"
done
# Neither read nor run here, and more than half of it.
rm -rf "$root"/usr/share/doc "$root"/usr/share/locale "$root"/usr/share/man "$root"/usr/share/perl* "$root"/usr/lib/*/perl* \
	"$root"/usr/share/info "$root"/var/cache
ln -sf ../bin/tini "$root/usr/sbin/tini"
ln -sf bash "$root/usr/bin/sh"
# The numbers of upstream's image, which its manifest names.
printf '%s\n' root:x:0:0::/root:/bin/bash frr:x:100:101::/var/run/frr:/usr/sbin/nologin >"$root/etc/passwd"
printf '%s\n' root:x:0: frrvty:x:102:frr frr:x:101:frr >"$root/etc/group"
rm -rf "$root/var/run" "$root/etc/frr"
# vtysh asks whether root may. What is not said here is looked up in `other`, which would need files that nobody has made.
for service in frr other; do
	printf '%s\n' 'auth sufficient pam_permit.so' 'account sufficient pam_permit.so' >"$root/etc/pam.d/$service"
done
mkdir -p "$root/var/run/frr" "$root/var/lib/frr" "$root/var/tmp/frr" "$root/etc/frr" "$root/tmp"
cp "$here/docker-start" "$root/usr/lib/frr/docker-start"
cp "$t/source/cmd/reloader/frr-reloader.sh" "$root/"
chmod 755 "$root/usr/lib/frr/docker-start" "$root/frr-reloader.sh"
chmod 1777 "$root/tmp" "$root/var/tmp"

cd "$t/source"
build() { CGO_ENABLED=0 go build -mod=readonly -trimpath -buildvcs=false -ldflags '-s -w' -o "$root/$1" "./cmd/$2"; }
build frr-k8s frr-k8s-controller
build statuscleaner statuscleaner
build frr-metrics metrics
build frr-status status

cd "$t"
pack="tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner"
$pack -cf layer.tar -C root .
id=$(sha256sum layer.tar | cut -d' ' -f1)
echo '{"architecture":"'"$(go env GOARCH)"'","os":"linux","config":{"Env":["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},"rootfs":{"type":"layers","diff_ids":["sha256:'"$id"'"]}}' >config.json
echo '[{"Config":"config.json","RepoTags":["lab.local/frr-k8s:1"],"Layers":["layer.tar"]}]' >manifest.json
$pack -cf "$out/frr-k8s.tar" manifest.json config.json layer.tar
