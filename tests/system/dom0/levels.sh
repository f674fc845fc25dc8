# SPDX-License-Identifier: MIT
# Feature levels of processors: what the host says that it can give (zendo.level=), and what the kernels of guests find.
. /scripts/lib.sh
. /scripts/services
flags() { xm console --last "$1" | sed -n 's/^guest: flags \(.*\) \.\r*$/\1/p'; }
# guest NAME [LINE...]: runs until it has said its flags
guest() {
    name=$1; shift
    printf '%s\n' "name=\"$name\"" 'memory=96' 'kernel="/data/vmlinuz"' 'ramdisk="/data/guest.gz"' \
        'extra="console=hvc0 quiet zendo.role=flags"' "$@" > "/tmp/$name.cfg"
    yes "$name-create" timeout 60 xm create -q "/tmp/$name.cfg"
    yes "$name-ends" wait_for 60 sh -c "! xm domid $name"
    said=" $(flags "$name") "
}
has() { for f; do case $said in *" $f "*) pass "$name-has-$f" ;; *) fail "$name-has-$f" "$said" ;; esac; done; }
lacks() { for f; do case $said in *" $f "*) fail "$name-lacks-$f" "$said" ;; *) pass "$name-lacks-$f" ;; esac; done; }
dom0=" $(sed -n 's/^flags[^:]*: //p' /proc/cpuinfo | head -n 1) "
echo "levels: domain 0 has$dom0"
xm info --cpu-level
level=$(xm info --cpu-level | sed -n 's/^cpu_level *: //p')
want=$(word level)
is level "$level" "$want"
is level-json "$(xm info --cpu-level --json | sed -n 's/.*"cpu_level": *"\(.*\)".*/\1/p')" "$want"

guest plain; plain=$said
guest host 'cpu_level="host"'
is host-is-plain "$said" "$plain"
is host-avx "$(echo "$said" | tr ' ' '\n' | grep -c '^avx')" "$(echo "$dom0" | tr ' ' '\n' | grep -c '^avx')"
guest v1 'cpu_level="x86-64-v1"'
has sse2 cx8 lm nx hypervisor
lacks pni ssse3 sse4_1 popcnt cx16 lahf_lm avx aes
guest v2 'cpu_level="x86-64-v2"'
has pni sse4_2 popcnt cx16 lahf_lm
lacks avx avx2 xsave aes rdrand bmi1 movbe abm fsgsbase
guest v2plus 'cpu_level="x86-64-v2"' 'cpuid="host,aes=k,sse4_2=0"'
has aes sse4_1
lacks sse4_2 avx
if [ $want != x86-64-v2 ]; then
    guest v3 'cpu_level="x86-64-v3"'
    has bmi1 bmi2 abm movbe
    # As far as domain 0's own kernel finds it.
    case $dom0 in *" avx2 "*) has xsave avx avx2 f16c fma ;; esac
    lacks aes rdrand fsgsbase xsaveopt
fi
if [ $want != x86-64-v4 ]; then
    said=$(xm create -q /tmp/v2.cfg 'cpu_level="x86-64-v4"' 2>&1)
    case $said in *"cpu_level x86-64-v4: host "*" cannot give that to a guest: "*avx512f*"up to $want"*) pass v4-refused ;; *) fail v4-refused "$said" ;; esac
fi
said=$(xm create -q /tmp/v2.cfg 'cpu_level="v2"' 2>&1)
case $said in *"cpu_level 'v2': it is x86-64-v1"*) pass word-refused ;; *) fail word-refused "$said" ;; esac
