# SPDX-License-Identifier: MIT
# What must be refused: each with a message that has the word, and with nothing left behind: no domain, no node, no memory.
. /scripts/lib.sh
. /scripts/services
printf 'name="bad"\nkernel="/data/vmlinuz"\nramdisk="/data/guest.gz"\nmemory=128\n' > /tmp/base.cfg
nodes() { xenstore-ls -f / | grep -v '^/local/domain/0/\(memory\|control\)' | wc -l; }
free_kb() { xm info | awk '$1 == "free_memory" { print $3 }'; }
nodes_before=$(nodes)
free_before=$(free_kb)
# refused NAME WORD LINE...: base.cfg with these lines after it
refused() {
    name=$1 word=$2
    shift 2
    { cat /tmp/base.cfg; for line; do echo "$line"; done; } > /tmp/bad.cfg
    if said=$(timeout 60 xm create /tmp/bad.cfg 2>&1); then
        fail "$name" "was taken"
        xm destroy bad >/dev/null 2>&1
    elif echo "$said" | grep -qi "$word"; then pass "$name"
    else fail "$name" "said: $said"
    fi
    [ "$(xm list | wc -l)" = 2 ] || fail "$name-leaves" "$(xm list | tail -n 1)"
}
head -c 100000 /dev/urandom > /tmp/junk
head -c 3000000 /data/vmlinuz > /tmp/cut
truncate -s 16M /tmp/d.img
refused kernel-missing "no-such" 'kernel="/no-such"'
refused kernel-junk "/tmp/junk" 'kernel="/tmp/junk"'
refused kernel-cut "/tmp/cut" 'kernel="/tmp/cut"'
refused kernel-no-pv "busybox" 'kernel="/bin/busybox"'
refused ramdisk-missing "no-such" 'ramdisk="/no-such"'
refused disk-missing "no-such" 'disk=["file:/no-such,xvda,w"]'
refused disk-device-missing "nodisk" 'disk=["phy:/dev/nodisk,xvda,w"]'
refused disk-twice "xvda" 'disk=["file:/tmp/d.img,xvda,r","file:/tmp/d.img,xvda,r"]'
refused bridge-missing "nobridge" 'vif=["bridge=nobridge"]'
refused mac-twice "00:16:3e:00:00:01" 'vif=["mac=00:16:3e:00:00:01","mac=00:16:3e:00:00:01"]'
refused mac-bad "mac" 'vif=["mac=00:16:3e:00"]'
refused memory-too-much "memory" 'memory=500000'
refused memory-not "memory" 'memory="lots"'
refused config-cut "bad.cfg:[0-9]" 'disk=["file:/tmp/d.img,xvda'
refused vcpus-none "vcpus" 'vcpus=0'
is nodes "$(nodes)" "$nodes_before"
yes memory-back wait_for 10 sh -c "[ \$(xm info | awk '\$1 == \"free_memory\" { print \$3 }') -ge $free_before ]"

xm create /tmp/base.cfg >/dev/null || fail first "$(xm why bad)"
if said=$(xm create /tmp/base.cfg 2>&1); then fail name-twice "was taken"; else
    echo "$said" | grep -q bad && pass name-twice || fail name-twice "said: $said"; fi
is one-guest "$(xm list | wc -l)" 3
yes destroy xm destroy bad
