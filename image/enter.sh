#!/usr/bin/env bash
# Starts a command in a root file system of image/rootfs.sh as a container runtime would: a network of its own with loopback alone, the root read-only,
# only the directories named last writable. As root it runs as user and group 65532; else as the caller, who then is root in there alone.
#   usage: image/enter.sh ROOT VOLUMES COMMAND [WRITABLE]…
# VOLUMES holds what is mounted, by the path at which it is. COMMAND is one word list, expanded by the shell.
set -euo pipefail

if [[ ${ENTERED:-} != 1 ]]; then
    flags=(--mount --net)
    who=(--userspec=65532:65532 --groups=65532)
    if [[ $(id -u) -ne 0 ]]; then
        flags+=(--map-root-user)
        who=()
    fi
    ENTERED=1 WHO="${who[*]}" exec unshare "${flags[@]}" "${BASH_SOURCE[0]}" "$@"
fi

root=$1 volumes=$2 command=$3
shift 3
ip link set lo up
mount --bind "$root" "$root"
# Device files of the machine: /dev/urandom and the like.
mkdir -p "$root/dev"
mount --rbind /dev "$root/dev"
while IFS= read -r volume; do
    mount --bind "$volumes$volume" "$root$volume"
    mount -o remount,bind,ro "$root$volume"
done < <(cat "$volumes/.mounts")
mount -o remount,bind,ro "$root"
for writable in "$@"; do mount -o remount,bind,rw "$root$writable"; done
# shellcheck disable=SC2086
exec chroot $WHO "$root" $command
