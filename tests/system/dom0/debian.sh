# SPDX-License-Identifier: MIT
# A whole Debian, installed by debootstrap, as a guest from its own disk: systemd's state, apt's traffic, a shutdown.
. /scripts/lib.sh
[ ! -e /scripts/services ] || . /scripts/services
cat > /tmp/debian.cfg <<END
name = "debian"
kernel = "/data/vmlinuz"
ramdisk = "/data/guest.gz"
extra = "console=hvc0 zendo.role=disk-root zendo.disk=xvda"
memory = 320
vcpus = 2
disk = [ "phy:/dev/vdb,xvda,w" ]
vif = [ "bridge=zbr0" ]
END
mkdir -p /tmp/www
printf 'Package: zendo-test\nVersion: 1\nArchitecture: all\nFilename: ./none.deb\nSize: 1\nDescription: nothing\n\n' > /tmp/www/Packages
dd if=/dev/urandom of=/tmp/www/big bs=64k count=320 2>/dev/null
sum=$(md5sum < /tmp/www/big | cut -d' ' -f1)
httpd -p 8080 -h /tmp/www
yes create xm create /tmp/debian.cfg
printed() { xm console --last debian 2>/dev/null; }
says() { printed | grep -aq "debian: $1"; }
at_login() { printed | grep -aq "debian login:"; }
yes up wait_for 200 says "systemd is"
says "systemd is" || printed | tail -n 25 | cut -c1-150
yes systemd-running says "systemd is running"
yes done wait_for 120 says done
yes root-on-disk says "root is /dev/xvda ext4 rw"
yes apt-update says "apt-get update ok, 1 packages"
yes download says "sum $sum"
printed | grep -a "debian: [sfak]" | cut -c1-150
yes login wait_for 60 at_login
at_login || printed | tail -n 12 | cut -c1-150
yes shutdown timeout 120 xm shutdown -w debian
printed | grep -aq "System halted\|Power down" && pass powered-down || fail powered-down "$(printed | tail -n 2)"
yes gone wait_for 20 sh -c '! xm list debian'
clean_log
