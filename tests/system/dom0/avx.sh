# AVX, if the processor has it (zendo.avx=): domain 0's kernel and a guest's use it; another guest's configuration takes it away
# (zendo.without=1). mixload's registers keep their values in all of them at once, on the same CPUs, so that the state is switched.
. /scripts/lib.sh
. /scripts/services
seconds=20

# A guest that runs mixload: a second archive behind the usual one brings it, and the role.
guest_image() {
    mkdir -p /tmp/more/roles /tmp/more/bin
    cp /scripts/bin/mixload /tmp/more/bin/
    cp /scripts/lib.sh /tmp/more/lib.sh
    cat > /tmp/more/roles/vectors <<END
. /lib.sh
echo "guest: avx \$(avx_of_kernel)"
echo "guest: starts"
mixload vectors $seconds 3
echo "guest: mixload ended with \$?"
END
    { cat /data/guest.gz; (cd /tmp/more && find . | cpio -o -H newc | gzip); } > /tmp/guest.gz
}
vectors_say() { sed -n 's/^mixload: vectors: .* 0 bad, AVX //p' "$1" | tr -d '\r'; }

# guest NAME LINE: made and started, its console in /tmp/console.NAME
guest() {
    cat > "/tmp/$1.cfg" <<END
name = "$1"
kernel = "/data/vmlinuz"
ramdisk = "/tmp/guest.gz"
extra = "console=hvc0 quiet zendo.name=$1 zendo.role=vectors"
memory = 160
vcpus = 2
$2
END
    yes "create-$1" xl create -p "/tmp/$1.cfg"
    xl console "$1" > "/tmp/console.$1" 2>&1 &
    yes "unpause-$1" xl unpause "$1"
}
started() { grep -q "guest: starts" "/tmp/console.$1"; }
# ended NAME AVX
ended() {
    yes "ends-$1" wait_for 90 grep -q "guest: mixload ended with 0" "/tmp/console.$1"
    is "kernel-avx-$1" "$(sed -n 's/^guest: avx //p' "/tmp/console.$1" | tr -d '\r')" "$2"
    is "vectors-avx-$1" "$(vectors_say "/tmp/console.$1")" "$2"
}

is kernel-avx-dom0 "$(avx_of_kernel)" "$(word avx)"
guest_image 2>/dev/null
guests=with
guest with ''
[ -z "$(word without)" ] || { guests="with without"; guest without 'cpuid = "host,avx=0"'; }
for name in $guests; do
    yes starts-$name wait_for 120 started $name
    started $name || tail -n 5 /tmp/console.$name
done
mixload vectors $((seconds - 4)) 3 > /tmp/vectors; is mixload-dom0 $? 0
is vectors-avx-dom0 "$(vectors_say /tmp/vectors)" "$(word avx)"
ended with "$(word avx)"
[ -z "$(word without)" ] || ended without no
grep -h ^mixload /tmp/vectors /tmp/console.*
clean_log
