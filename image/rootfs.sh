#!/usr/bin/env bash
# Makes the root file system of the image without Docker, from this machine's Debian: the binary, the shared libraries it is linked with, the
# certificates of authorities, the user, and the directories that Kubernetes mounts something at. Nothing else: no shell, no package manager.
#   usage: image/rootfs.sh BINARY DIRECTORY
set -euo pipefail

[[ $# -eq 2 ]] || {
    echo "usage: image/rootfs.sh BINARY DIRECTORY" >&2
    exit 2
}
binary=$1 root=$2
umask 022
mkdir -p "$root"/{etc/broker,etc/ssl/certs,proc,tmp,usr/bin,usr/share,var/lib/broker}

cp --reflink=auto "$binary" "$root/usr/bin/broker"
chmod 0755 "$root/usr/bin/broker"

# Each library under the path by which it is looked for, the loader among them.
ldd "$binary" | grep -o '/[^ ]*' | sort -u | while read -r library; do
    install -D -m 0755 "$library" "$root$library"
done

cp --dereference /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nnonroot:x:65532:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
printf 'ID=debian\nPRETTY_NAME="token broker"\n' >"$root/etc/os-release"
