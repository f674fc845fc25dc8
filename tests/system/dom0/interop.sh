# SPDX-License-Identifier: MIT
# A guest that is saved by one toolstack under one hypervisor and restored by another under another: the row `interop` runs this in turn on
# several machines that share a disk. zendo.part=make,put,get,...: what this machine does. With stock tools ($tool = xl) or ours.
. /scripts/lib.sh
. /scripts/services
cd /tmp || exit 1
disk=/dev/$(word disk)
if [ -e /scripts/block-plain ]; then
    tool=xl
    dd if=/dev/zero of=/tmp/g.img bs=1M count=0 seek=32 2>/dev/null
    losetup /dev/loop0 /tmp/g.img
    where='phy:/dev/loop0,xvda,w,script=/scripts/block-plain' vif='bridge=xenbr0,script=/scripts/vif-plain,mac=00:16:3e:11:22:33'
else
    tool=xm
    dd if=/dev/zero of=/tmp/g.img bs=1M count=0 seek=32 2>/dev/null
    where='file:/tmp/g.img,xvda,w' vif='bridge=zbr0,mac=00:16:3e:11:22:33'
fi
cat > /tmp/g.cfg <<END
name = "g"
kernel = "/data/vmlinuz"
ramdisk = "/data/guest.gz"
extra = "console=hvc0 quiet zendo.name=g zendo.role=save zendo.ip=10.77.0.2/24 zendo.ping=10.77.0.1 zendo.disk=xvda"
memory = 128
maxmem = 160
vcpus = 2
disk = [ "$where" ]
vif = [ "$vif" ]
END
watch() { $tool console g >> /tmp/console 2>/dev/null & }
last() { tr -d '\r' < /tmp/console | grep "^guest: tick" | tail -n 1; }
field() { last | sed -n "s/.* $1 \([^ ]*\).*/\1/p"; }
beyond() { v=$(field "$1"); [ "${v:-0}" -gt "$2" ] 2>/dev/null; }
healthy() {
    yes "$1-ticks" wait_for 60 beyond tick "$(($2 + 2))"
    yes "$1-disk" wait_for 30 beyond disk "$3"
    yes "$1-network" wait_for 30 beyond ping "$4"
    is "$1-memory" "$(field mem)" ok
    is "$1-no-complaint" "$(grep -E "differs|cannot be written|BUG|Oops|Call Trace" /tmp/console | head -n 3)" ""
}
# The file on the raw disk, at a place in MiB: a block with its length and the guest's last numbers, then the bytes; 160 MiB on, the guest's own disk.
put() {
    echo "$(stat -c %s "$1") $(field tick) $(field disk) $(field ping) end" > /tmp/head
    dd if=/tmp/head of="$disk" bs=1M seek="$2" conv=notrunc 2>/dev/null
    dd if="$1" of="$disk" bs=1M seek="$(($2 + 1))" conv=notrunc,fsync 2>/dev/null
    dd if=/tmp/g.img of="$disk" bs=1M seek="$(($2 + 160))" conv=notrunc,fsync 2>/dev/null
}
get() {
    read -r size tick sectors pings rest <<END
$(dd if="$disk" bs=1M skip="$2" count=1 2>/dev/null | head -n 1)
END
    dd if="$disk" bs=1M skip="$(($2 + 1))" count="$(((size + 1048575) / 1048576))" 2>/dev/null | head -c "$size" > "$1"
    dd if="$disk" of=/tmp/g.img bs=1M skip="$(($2 + 160))" count=32 conv=notrunc 2>/dev/null
    [ "${size:-0}" -gt 1000000 ]
}
saves() { # LABEL PLACE
    yes "$1-save" $tool save g /tmp/g.save
    put /tmp/g.save "$2"
    rm -f /tmp/g.save
}
restores() { # LABEL PLACE
    get /tmp/g.save "$2" || { fail "$1-get" "nothing at $2"; return; }
    yes "$1-restore" $tool restore -p /tmp/g.cfg /tmp/g.save
    rm -f /tmp/g.save
    watch
    sleep 1
    $tool unpause g
    healthy "$1" "${tick:-0}" "${sectors:-0}" "${pings:-0}"
}
for part in $(word part | tr , ' '); do
    case $part in
    make) yes make $tool create -p /tmp/g.cfg; watch; sleep 1; $tool unpause g; yes made wait_for 120 beyond tick 4 ;;
    put*) saves "$tool" "${part#put}" ;;
    get*) restores "$tool" "${part#get}" ;;
    esac
done
[ "$tool" != xm ] || xm dmesg | grep "(Z) d[0-9]" | tail -n 5
clean_log
