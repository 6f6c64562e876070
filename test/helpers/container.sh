# Becomes process 1 of a container: the shell that unshare(1) has started in new namespaces makes the root file system, and
# executes the command in it. Arguments: the image, where to mount, the user, the group, the directory, and the command with
# `env`. $cgroups has the hierarchies whose limits it has, $files a folder with further files of its root, as mounted secrets.
set -e
image=$1 at=$2 user=$3 group=$4; shift 4
mount --make-rprivate /
mount -t tmpfs -o size=64m tmpfs "$at"
cd "$at"
mkdir usr app etc proc dev sys tmp
# The base image is the system of this machine.
mount --bind /usr usr && mount -o remount,bind,ro usr
for link in bin lib lib64 sbin; do ln -s "usr/$link" "$link"; done
cp /etc/ld.so.cache etc/
mount --bind "$image/app" app && mount -o remount,bind,ro app
mount -t proc -o nosuid,noexec,nodev proc proc
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero random urandom; do touch "dev/$device"; mount --bind "/dev/$device" "dev/$device"; done
mount -t tmpfs -o mode=755 tmpfs sys
for name in $cgroups; do
  mkdir -p "sys/fs/cgroup/$name"
  mount -t cgroup -o "ro,$name" cgroup "sys/fs/cgroup/$name"
done
mount -t tmpfs -o mode=1777 tmpfs tmp
cp -rp "$files/." .
chown -R "$user:$group" etc
ip link set lo up
pivot_root . .
umount -l .
cd /
mount -o remount,ro /
exec setpriv --reuid="$user" --regid="$group" --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all "$@"
