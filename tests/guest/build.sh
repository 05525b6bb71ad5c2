#!/usr/bin/env bash
# Makes updraft-mini.qcow2, a small but ordinary cloud image, from the distribution's packages, and prints its path.
#
#   tests/guest/build.sh [--force]
#
# Needs root (owners of files), but no loop device, no mount, no KVM. Nothing is done when the image is there and was
# made by the same recipe: the recipe is everything in this folder but debian/, another image's.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out_dir=${XDG_CACHE_HOME:-$HOME/.cache}/updraft/guest
image=$out_dir/updraft-mini.qcow2
# The disk before it grows to the server's; the partition starts at 1 MiB as is customary.
disk_mib=160
partition_start_mib=1
# What the image may weigh: it is uploaded, copied and kept in every test.
image_limit_mib=64

say() { echo "guest image: $*" >&2; }
die() { say "$*"; exit 1; }

recipe_hash() {
    (cd "$here" && find . -path ./debian -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum) | sha256sum | cut -d ' ' -f 1
}

# Names in the first column of a list file.
names() { sed -e 's/#.*//' "$1" | awk 'NF { print $1 }'; }

download_packages() {
    local wanted kernel
    mapfile -t wanted < <(names "$here/packages")
    kernel=$(apt-cache depends linux-image-cloud-amd64 | awk '$1 == "Depends:" && /linux-image-/ { print $2; exit }')
    [ -n "$kernel" ] || die "apt knows no linux-image-cloud-amd64: run tests/setup.sh guest (it refreshes apt's lists)"
    say "downloading ${#wanted[@]} packages, kernel $kernel"
    fetch "${wanted[@]/#linux-image-cloud-amd64/$kernel}" && return
    say "download failed, once more with fresh lists"
    apt-get update -qq
    fetch "${wanted[@]/#linux-image-cloud-amd64/$kernel}" || { tail -n 5 "$work/download.log" >&2; die "download failed"; }
}

# Packages are public and their signatures checked by apt; its sandbox user may not write to our folder.
fetch() {
    (cd "$work/debs" && apt-get -q -o APT::Sandbox::User=root -o Acquire::Retries=3 download "$@" >"$work/download.log" 2>&1)
}

unpack_packages() {
    local dir
    mkdir -p "$root"/usr/{bin,sbin,lib,lib64} "$work/kernel"
    for dir in bin sbin lib lib64; do ln -s "usr/$dir" "$root/$dir"; done
    for deb in "$work"/debs/*.deb; do
        case ${deb##*/} in
        linux-image-*) dpkg-deb -x "$deb" "$work/kernel" ;;
        # Packages of Debian 12 still carry /bin and /lib: the links of a merged /usr must stay links.
        *) dpkg-deb --fsys-tarfile "$deb" | tar -x -p --keep-directory-symlink -C "$root" ;;
        esac
    done
    rm -rf "$root"/usr/share/{doc,man,locale,info,lintian,bash-completion,zsh,bug,common-licenses,pam,initramfs-tools} \
        "$root"/usr/lib/x86_64-linux-gnu/{gconv,krb5,sasl2,perl5} "$root"/etc/{init.d,cron.daily,logrotate.d,update-motd.d,default} \
        "$root"/usr/lib/{systemd,udev,mime} "$root"/usr/include
    rm -f "$root"/usr/bin/{su,login,mesg,wall} "$root"/usr/sbin/cfdisk "$root"/usr/sbin/e2scrub* "$root"/usr/lib/x86_64-linux-gnu/e2fsprogs/*
}

# modules.dep of the whole kernel, then the wanted modules with everything below them, as paths under lib/modules/VERSION.
module_closure() {
    local kind=$1
    sed -e 's/#.*//' "$here/modules" | awk -v kind="$kind" 'NF >= 2 && (kind == "root" || $1 == kind) { print $2 }' |
        awk '
        function name(path) { sub(/.*\//, "", path); sub(/\.ko$/, "", path); gsub(/-/, "_", path); return path }
        NR == FNR { split($0, part, ": *"); path[name(part[1])] = part[1]; needs[part[1]] = part[2]; next }
        { gsub(/-/, "_", $1); if (!($1 in path)) { print "no module " $1 > "/dev/stderr"; bad = 1 } else { wanted[path[$1]] } }
        END {
            if (bad) exit 1
            for (module in wanted) { print module; count = split(needs[module], below, " "); for (i = 1; i <= count; i++) print below[i] }
        }' "$work/kernel/lib/modules/$version/modules.dep" - | sort -u
}

# Copies the modules of $1 (initramfs or root) under $2 and indexes them.
install_modules() {
    local kind=$1 target=$2 list
    list=$(module_closure "$kind") || die "the kernel lacks a module of the list"
    while read -r module; do
        install -D -m 644 "$work/kernel/lib/modules/$version/$module" "$target/lib/modules/$version/$module"
    done <<<"$list"
    cp "$work/kernel/lib/modules/$version"/modules.{builtin,order} "$target/lib/modules/$version/"
    "$busybox" depmod -b "$target" "$version"
}

configure_root() {
    local applet
    cp -r "$here/root/." "$root/"
    chmod 755 "$root"/etc/init.d/* "$root"/usr/lib/updraft/* "$root"/usr/bin/blkcheck "$root"/etc/acpi/PWRF/*
    mkdir -p "$root"/{boot,dev,proc,sys,run,tmp,mnt,root,home/updraft} "$root"/var/{log,tmp,lib/updraft/instances}
    chmod 1777 "$root"/tmp "$root"/var/tmp
    chmod 700 "$root/root"
    chmod 640 "$root/etc/shadow"
    chmod 440 "$root/etc/sudoers"
    chown 1000:1000 "$root/home/updraft"
    ln -sfn /run/resolv.conf "$root/etc/resolv.conf"
    ln -sfn /proc/mounts "$root/etc/mtab"
    [ -e "$root/bin/busybox" ] || die "busybox-static has no /bin/busybox"
    ln -sfn busybox "$root/bin/sh"
    ln -sfn /bin/busybox "$root/sbin/init"
    # Busybox fills in what the packages leave out.
    for applet in $("$busybox" --list); do
        [ -e "$root/usr/bin/$applet" ] || [ -e "$root/usr/sbin/$applet" ] || ln -s /bin/busybox "$root/usr/bin/$applet"
    done
    for applet in getty reboot poweroff halt acpid modprobe udhcpc ip; do ln -sfn /bin/busybox "$root/usr/sbin/$applet"; done
}

# Every program must find its libraries: a new version of a package may need one more.
check_libraries() {
    local missing
    missing=$(find "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib/openssh" -type f -perm /111 |
        while read -r file; do
            [ "$(head -c 4 "$file" | od -An -c | tr -d ' ')" = '177ELF' ] || continue
            chroot "$root" /lib64/ld-linux-x86-64.so.2 --list "${file#"$root"}" 2>&1 |
                grep -E 'not found|cannot open' | sed "s|^|${file#"$root"}: |" || true
        done)
    [ -z "$missing" ] || die "libraries are missing, add their packages to tests/guest/packages:"$'\n'"$missing"
}

build_initramfs() {
    local tree=$work/initramfs applet
    mkdir -p "$tree"/{bin,dev,proc,sys,root}
    cp "$busybox" "$tree/bin/busybox"
    for applet in sh mount modprobe cat dd tr uname sleep switch_root; do ln -s busybox "$tree/bin/$applet"; done
    install -m 755 "$here/initramfs/init" "$tree/init"
    install_modules initramfs "$tree"
    # lz4 in the old format is what the kernel reads; gzip would cost seconds on an emulated processor.
    (cd "$tree" && find . | "$busybox" cpio -o -H newc 2>/dev/null | lz4 -q -l -9 -) >"$root/boot/initrd"
}

build_disk() {
    local disk=$work/disk.raw partition=$work/partition.raw grub=/usr/lib/grub/i386-pc
    # GRUB reads ext4 only without checksums and 64-bit block numbers.
    truncate -s $((disk_mib - partition_start_mib))M "$partition"
    mke2fs -q -t ext4 -b 4096 -i 8192 -m 1 -L updraft-root -O '^metadata_csum,^64bit,^orphan_file' -d "$root" "$partition" ||
        die "the root file system does not fit: raise disk_mib"
    truncate -s ${disk_mib}M "$disk"
    echo "start=${partition_start_mib}MiB, type=83, bootable" | sfdisk -q --label dos "$disk"
    dd if="$partition" of="$disk" bs=1M seek=$partition_start_mib conv=notrunc,sparse status=none
    # The partition left open: GRUB takes the disk it was started from.
    grub-mkimage -O i386-pc -p '(,msdos1)/boot/grub' -c "$here/grub.cfg" -o "$work/core.img" \
        biosdisk part_msdos ext2 linux16 boot
    [ "$(stat -c %s "$work/core.img")" -lt $((partition_start_mib * 1048576 - 512)) ] || die "GRUB's core is too large"
    dd if="$grub/boot.img" of="$disk" bs=440 count=1 conv=notrunc status=none
    dd if="$work/core.img" of="$disk" bs=512 seek=1 conv=notrunc status=none
    qemu-img convert -q -O qcow2 -c "$disk" "$work/image.qcow2"
}

main() {
    local hash size
    hash=$(recipe_hash)
    if [ "${1:-}" != --force ] && [ -s "$image" ] && [ "$(cat "$image.recipe" 2>/dev/null)" = "$hash" ]; then
        echo "$image"
        return
    fi
    [ "$(id -u)" = 0 ] || exec sudo --preserve-env=HOME,XDG_CACHE_HOME "${BASH_SOURCE[0]}" "$@"
    for tool in dpkg-deb apt-get mke2fs sfdisk grub-mkimage lz4 qemu-img; do
        command -v $tool >/dev/null || die "$tool is missing: run tests/setup.sh guest"
    done
    mkdir -p "$out_dir"
    work=$(mktemp -d "$out_dir/build.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    root=$work/root
    mkdir -p "$work/debs" "$root"
    download_packages
    say "unpacking"
    unpack_packages
    busybox=$root/usr/bin/busybox
    version=$(basename "$work"/kernel/lib/modules/*)
    "$busybox" depmod -b "$work/kernel" "$version"
    install_modules root "$root"
    configure_root
    check_libraries
    cp "$work/kernel/boot/vmlinuz-$version" "$root/boot/vmlinuz"
    build_initramfs
    say "writing the disk"
    build_disk
    size=$(($(stat -c %s "$work/image.qcow2") / 1048576))
    [ $size -le $image_limit_mib ] || die "$size MiB, more than $image_limit_mib MiB"
    mv "$work/image.qcow2" "$image"
    echo "$hash" >"$image.recipe"
    say "done: $size MiB, kernel $version"
    echo "$image"
}

main "$@"
