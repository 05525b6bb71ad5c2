#!/usr/bin/env bash
# Makes debian-12.qcow2, an ordinary cloud image, from Debian's packages, and prints its path.
#
#   tests/guest/debian/build.sh [--force]
#
# Nothing in it knows of Updraft. Layout, boot loader, network and first start are those of Debian's generic cloud
# image: GPT with a BIOS boot partition, ext4, GRUB, cloud-init, netplan over systemd-networkd. Needs root, no loop device and
# no KVM: the boot loader is installed by a virtual machine. Nothing is done when the image was made by the same recipe.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out_dir=${XDG_CACHE_HOME:-$HOME/.cache}/updraft/guest
image=$out_dir/debian-12.qcow2
mirror=${DEBIAN_MIRROR:-http://deb.debian.org}
# The disk before it grows to the server's, in MiB.
disk_mib=1536
# The partitions, in MiB from the start. The root comes last so that it can grow.
boot_start_mib=1
root_start_mib=4
# The backup of the partition table at the end.
table_mib=1
# How long the emulated machine may take to install the boot loader, in seconds.
boot_loader_limit_s=900

say() { echo "debian image: $*" >&2; }
die() { say "$*"; exit 1; }

recipe_hash() {
    (cd "$here" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum; echo "$mirror") | sha256sum | cut -d ' ' -f 1
}

packages() { sed -e 's/#.*//' "$here/packages" | awk 'NF { print $1 }'; }

in_root() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C "$@"; }

# Everything that runs in the tree of the image runs in mount and process namespaces of its own: whatever happens, no
# mount and no process stays behind.
install_packages() {
    say "base system"
    debootstrap --variant=minbase bookworm "$root" "$mirror/debian" >"$log" 2>&1
    mount -t proc proc "$root/proc"
    mount -t sysfs sys "$root/sys"
    # No service is started while packages are set up.
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    cat >"$root/etc/apt/sources.list" <<TEXT
deb $mirror/debian bookworm main
deb $mirror/debian bookworm-updates main
deb $mirror/debian-security bookworm-security main
TEXT
    # The initramfs is for any machine, and quick to unpack where there is no KVM.
    mkdir -p "$root/etc/initramfs-tools/conf.d"
    echo 'COMPRESS=lz4' >"$root/etc/initramfs-tools/conf.d/compress"
    configure_boot
    say "packages"
    in_root apt-get update -qq >>"$log" 2>&1
    # shellcheck disable=SC2046 # a list of packages
    in_root apt-get install -y -qq --no-install-recommends lz4 $(packages) >>"$log" 2>&1
    in_root apt-get clean
    rm -rf "$root"/var/lib/apt/lists/* "$root/usr/sbin/policy-rc.d"
    configure_first_start
    umount "$root/proc" "$root/sys"
}

# As in Debian's cloud images: messages on both consoles, the root found by its file system.
configure_boot() {
    mkdir -p "$root/etc/default/grub.d"
    cat >"$root/etc/default/grub.d/10_cloud.cfg" <<'TEXT'
GRUB_TIMEOUT=0
GRUB_TERMINAL="console serial"
GRUB_SERIAL_COMMAND="serial --speed=115200"
GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200 consoleblank=0"
TEXT
    echo "UUID=$root_uuid / ext4 rw,discard,errors=remount-ro,x-systemd.growfs 0 1" >"$root/etc/fstab"
}

# What must differ between machines is made at the first start.
configure_first_start() {
    rm -f "$root"/etc/ssh/ssh_host_* "$root/var/lib/dbus/machine-id" "$root/etc/hostname"
    : >"$root/etc/machine-id"
    # cloud-init's own choice would have to be generated, which its Debian part does not do.
    echo 'locale: C.UTF-8' >"$root/etc/cloud/cloud.cfg.d/01_locale.cfg"
    in_root systemctl enable systemd-networkd systemd-resolved >>"$log" 2>&1
    rm -f "$root/etc/resolv.conf"
    ln -s ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
}

finish() {
    local status=$?
    [ $status = 0 ] || tail -n 20 "$log" >&2
    # One file system: should a mount have stayed, nothing behind it is touched.
    rm -rf --one-file-system "$work"
}

build_disk() {
    local disk=$work/disk.raw partition=$work/root.raw
    install -m 755 "$here/install-boot-loader" "$root/usr/local/sbin/install-boot-loader"
    truncate -s $((disk_mib - root_start_mib - table_mib))M "$partition"
    mke2fs -q -t ext4 -U "$root_uuid" -d "$root" "$partition" || die "the root file system does not fit: raise disk_mib"
    cp "$root"/boot/vmlinuz-* "$work/vmlinuz"
    cp "$root"/boot/initrd.img-* "$work/initrd"
    truncate -s ${disk_mib}M "$disk"
    # The numbers are those of Debian's images: 1 is the root, 14 the boot loader's.
    sfdisk -q "$disk" <<TEXT
label: gpt
14 : start=${boot_start_mib}MiB, size=$((root_start_mib - boot_start_mib))MiB, type=21686148-6449-6E6F-744E-656564454649
1 : start=${root_start_mib}MiB, size=$((disk_mib - root_start_mib - table_mib))MiB, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4
TEXT
    dd if="$partition" of="$disk" bs=1M seek=$root_start_mib conv=notrunc,sparse status=none
    rm "$partition"
}

install_boot_loader() {
    timeout $boot_loader_limit_s qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
        -machine q35 -accel tcg -cpu Nehalem -smp 2 -m 512 -serial "file:$work/console" \
        -drive "file=$work/disk.raw,format=raw,if=virtio,cache=unsafe" -kernel "$work/vmlinuz" -initrd "$work/initrd" \
        -append "root=UUID=$root_uuid ro console=ttyS0 quiet init=/usr/local/sbin/install-boot-loader" >"$log" 2>&1 ||
        { tail -n 20 "$log" "$work/console" >&2; die "the machine that installs the boot loader failed"; }
    grep -q 'boot loader: installed' "$work/console" || { tail -n 20 "$work/console" >&2; die "the boot loader was not installed"; }
}

main() {
    local hash
    hash=$(recipe_hash)
    if [ "${1:-}" != --force ] && [ -s "$image" ] && [ "$(cat "$image.recipe" 2>/dev/null)" = "$hash" ]; then
        echo "$image"
        return
    fi
    [ "$(id -u)" = 0 ] || exec sudo --preserve-env=HOME,XDG_CACHE_HOME,DEBIAN_MIRROR "${BASH_SOURCE[0]}" "$@"
    for tool in debootstrap mke2fs sfdisk qemu-img qemu-system-x86_64; do
        command -v $tool >/dev/null || die "$tool is missing: run tests/setup.sh run guest soak"
    done
    if [ "${UPDRAFT_IN_NAMESPACE:-}" != yes ]; then
        UPDRAFT_IN_NAMESPACE=yes exec unshare --mount --pid --fork --kill-child --mount-proc "${BASH_SOURCE[0]}" "$@"
    fi
    mkdir -p "$out_dir"
    work=$(mktemp -d "$out_dir/debian.XXXXXX")
    log=$work/log
    trap finish EXIT
    root=$work/root
    root_uuid=$(cat /proc/sys/kernel/random/uuid)
    mkdir "$root"
    install_packages
    say "disk"
    build_disk
    say "boot loader"
    install_boot_loader
    say "image"
    qemu-img convert -q -O qcow2 -c "$work/disk.raw" "$work/image.qcow2"
    mv "$work/image.qcow2" "$image"
    echo "$hash" >"$image.recipe"
    say "done: $(($(stat -c %s "$image") / 1048576)) MiB"
    echo "$image"
}

main "$@"
