/* SPDX-License-Identifier: MIT */
/*
 * profile: a QEMU plugin (gcc -shared -fPIC) that counts how often each instruction ran between two marks. A mark is a
 * long nop with a displacement of ours, which guests/bench and bench/ops.c place around their measurements.
 * At each second mark it writes "== N", then lines "ADDRESS COUNT" to the file given as out=FILE.
 * Counting is by translation block: one that is left early by a fault counts in full.
 * bench/profile.py runs it and makes a table of functions. The few declarations of the plugin interface (version 1)
 * stand here because Debian 12 does not package its header.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK_START 0x5a4e4401u
#define MARK_STOP 0x5a4e4402u

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef uint64_t plugin_id;
extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
                                                  void (*cb)(plugin_id, struct qemu_plugin_tb *));
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
extern uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
extern const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
extern size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *ptr,
                                                     uint64_t imm);
extern void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
                                                   void (*cb)(unsigned int, void *), int flags,
                                                   void *data);
__attribute__((visibility("default"))) int qemu_plugin_version = 1;

struct block {
    struct block *next;
    uint64_t runs;
    size_t count;
    uint64_t address[];
};
static struct block *blocks;
static FILE *out;
static unsigned int marks;

static void at_start(unsigned int cpu, void *data)
{
    for (struct block *b = blocks; b; b = b->next)
        b->runs = 0;
}

static void at_stop(unsigned int cpu, void *data)
{
    fprintf(out, "== %u\n", marks++);
    for (struct block *b = blocks; b; b = b->next)
        for (size_t i = 0; b->runs && i < b->count; i++)
            fprintf(out, "%" PRIx64 " %" PRIu64 "\n", b->address[i], b->runs);
    fflush(out);
}

static void look_for_mark(struct qemu_plugin_insn *insn)
{
    const uint8_t *code = qemu_plugin_insn_data(insn);
    uint32_t mark;

    if (qemu_plugin_insn_size(insn) != 7 || memcmp(code, "\x0f\x1f\x80", 3))
        return;
    memcpy(&mark, code + 3, 4);
    if (mark == MARK_START)
        qemu_plugin_register_vcpu_insn_exec_cb(insn, at_start, 0, NULL);
    else if (mark == MARK_STOP)
        qemu_plugin_register_vcpu_insn_exec_cb(insn, at_stop, 0, NULL);
}

static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
    size_t n = qemu_plugin_tb_n_insns(tb);
    struct block *b = calloc(1, sizeof(*b) + n * sizeof(b->address[0]));

    if (!b)
        abort();
    b->count = n;
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        b->address[i] = qemu_plugin_insn_vaddr(insn);
        look_for_mark(insn);
    }
    b->next = blocks;
    blocks = b;
    qemu_plugin_register_vcpu_tb_exec_inline(tb, 0 /* add */, &b->runs, 1);
}

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void *info,
                                                               int argc, char **argv)
{
    out = stderr;
    for (int i = 0; i < argc; i++)
        if (!strncmp(argv[i], "out=", 4))
            out = fopen(argv[i] + 4, "w");
    if (!out)
        return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
