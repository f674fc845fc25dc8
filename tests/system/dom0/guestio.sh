# SPDX-License-Identifier: MIT
# A guest moves zendo.mb= megabytes through its disk and zendo.net= through its network, with sums, while its memory, its vCPUs and
# whether it runs at all change all the time.
. /scripts/lib.sh
. /scripts/services
mb=$(word mb)
net=$(word netmb)
cat > /tmp/io.cfg <<END
name = "io"
kernel = "/data/vmlinuz"
ramdisk = "/data/guest.gz"
extra = "console=hvc0 quiet zendo.name=io zendo.role=io zendo.ip=10.77.0.2/24 zendo.mb=$mb"
memory = 192
maxmem = 256
vcpus = 1
maxvcpus = 2
disk = [ "phy:/dev/$(word disk),xvda,w" ]
vif = [ "bridge=zbr0" ]
END
says() { xm console --last io 2>/dev/null | grep -q "$1"; }
unrest() {
    while :; do
        for step in "mem-set io 128" "vcpu-set io 2" "pause io" "unpause io" "mem-set io 192" "vcpu-set io 1" "pause io" "unpause io"; do
            xm $step >> /tmp/unrest 2>&1 || echo "failed: $step" >> /tmp/unrest
            sleep 1
        done
        echo turn >> /tmp/unrest
    done
}
yes create xm create -q /tmp/io.cfg
yes up wait_for 60 says "guest: io is up"
unrest & unrest=$!
start=$(now_ms)
yes disk-done wait_for 300 says "guest: listens"
echo "zendo: $mb MB to the disk and back in $((($(now_ms) - start) / 1000)) s, sums and pauses included"
yes disk-right says "guest: $mb MB on the disk are right"
dd if=/dev/urandom of=/tmp/in bs=1M count=8 2>/dev/null
repeat() { n=0; while [ $n -lt "$1" ]; do cat /tmp/in; n=$((n + 8)); done; }
want=$(repeat "$net" | md5sum)
start=$(now_ms)
repeat "$net" | nc 10.77.0.2 9000
echo "zendo: $net MB over the network in $((($(now_ms) - start) / 1000)) s"
yes net-right wait_for 60 says "guest: received ${want%% *}"
kill $unrest
xm unpause io 2>/dev/null
yes ends wait_for 60 sh -c '! xm domid io'
is unrest-failures "$(grep -v "^turn" /tmp/unrest | grep -c 'failed: [mv]')" 0
echo "zendo: $(grep -c turn /tmp/unrest) turns of memory, vCPUs and pauses"
xm console --last io | grep -v "is up" | tail -n 4
is nothing-left "$(xm list | wc -l)" 2
