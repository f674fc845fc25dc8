/* SPDX-License-Identifier: MIT */
/*
 * Traps of a test guest: the virtual interrupt table, what happens when one comes, and the way to
 * user mode and back. A trap is first offered to a hook; else it goes to the innermost TRAPS() of
 * this vCPU, which then returns its number; else it ends the guest with a dump. User mode shares
 * all mappings with the kernel (there is nothing to hide), but through a top table of its own, as
 * the ABI wants it.
 */
#include "kit.h"

kit_hook *kit_hooks[VEC_MAX];
uint64_t kit_iret_rdi, kit_iret_rsi;

const char *kit_vec_name(int v)
{
    static const char *const name[] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD",
                                       "#NM", "#DF", "9",   "#TS", "#NP", "#SS", "#GP",
                                       "#PF", "15",  "#MF", "#AC", "#MC", "#XM"};
    if (v >= 0 && v < 20)
        return name[v];
    return v == NOTRAP         ? "no trap"
           : v == VEC_FAILSAFE ? "failsafe"
           : v == VEC_SYSCALL  ? "syscall"
           : v == VEC_UPCALL   ? "upcall"
                               : "int n";
}

void kit_jmp_push(struct kit_jmp *j)
{
    j->outer = cpu()->jmp;
    cpu()->jmp = j;
}

void kit_jmp_pop(struct kit_jmp *j)
{
    cpu()->jmp = j->outer;
}

static void dump(const struct kit_frame *f, uint64_t cr2)
{
    kit_printf("unexpected %s (%lu) error 0x%lx rip %lx cs %lx rflags %lx rsp %lx ss %lx cr2 %lx\n",
               kit_vec_name((int)f->vector), f->vector, f->error, f->rip, f->cs, f->rflags, f->rsp,
               f->ss, cr2);
    kit_printf("rax %lx rbx %lx rcx %lx rdx %lx rsi %lx rdi %lx rbp %lx r11 %lx\n", f->rax, f->rbx,
               f->rcx, f->rdx, f->rsi, f->rdi, f->rbp, f->r11);
}

void kit_trap(struct kit_frame *f)
{
    struct kit_cpu *c = cpu();
    uint64_t cr2 = vinfo()->arch.cr2;
    uint8_t mask = vinfo()->evtchn_upcall_mask;

    if (kit_hooks[f->vector] && kit_hooks[f->vector](f))
        return;
    if (f->vector == VEC_UPCALL) {
        c->upcalls++;
        kit_upcall();
        f->cs &= 0xffff;
        return;
    }
    if (!c->jmp) {
        dump(f, cr2);
        kit_fatal("unexpected trap");
    }
    c->trap = *f;
    c->cr2 = cr2;
    c->mask = mask;
    kit_longjmp(c->jmp, (int)f->vector + 1);
}

void kit_set_gate(unsigned int vec, unsigned int flags, uint16_t cs, uint64_t address)
{
    struct trap_info t[2] = {{(uint8_t)vec, (uint8_t)flags, cs, address}, {0}};
    HC1(set_trap_table, t);
}

static char *block_of(unsigned int id)
{
    return kit_blocks + id * KIT_STACK_SIZE;
}

/* In a vCPU's block: struct kit_cpu, then stacks that end at 24 K (traps from user), 32 K (user),
 * 64 K (main) */
void kit_traps_init(void)
{
    static struct trap_info table[257];
    unsigned int n = 0;

    for (unsigned int i = 0; i < 256; i++) {
        if (i == 2 || i == 8 || i == 9 || i == 15 || i == 18)
            continue;
        table[n].vector = (uint8_t)i;
        table[n].flags = i == VEC_BP || i == VEC_OF ? 3 : 0;
        table[n].cs = KCS;
        table[n++].address = (uint64_t)kit_vectors + i * 32;
    }
    table[n].address = 0;
    if (HC1(set_trap_table, table))
        kit_fatal("set_trap_table");
    if (HC3(set_callbacks, kit_entry_upcall, kit_entry_failsafe, kit_entry_syscall))
        kit_fatal("set_callbacks");
    HC2(stack_switch, KSS, block_of(0) + 0x6000);
}

uint64_t kit_user_sp(void)
{
    return (uint64_t)block_of(cpu()->id) + 0x8000 - 64;
}

void kit_user_init(void)
{
    uint64_t *top = kit_page(), *ktop = mfn_va(kit_top());

    if (!ktop)
        kit_fatal("the top table is outside the initial mapping");
    for (unsigned int i = 0; i < 512; i++)
        if (i < 256 || i > 271)
            top[i] = ktop[i];
    if (kit_set_ro(top) || mmuext(MMUEXT_PIN_L4_TABLE, va_mfn(top), 0))
        kit_fatal("cannot pin the user top table");
    if (mmuext(MMUEXT_NEW_USER_BASEPTR, va_mfn(top), 0))
        kit_fatal("new_user_baseptr");
}

int kit_user(void (*fn)(uint64_t, uint64_t), uint64_t a, uint64_t b)
{
    uint64_t sp = kit_user_sp();
    struct iret_context c = {
        .rip = (uint64_t)fn, .cs = KCS, .rflags = 0x202, .rsp = sp - 8, .ss = KSS};

    *(uint64_t *)(sp - 8) = (uint64_t)kit_user_done;
    return TRAPS(kit_iret_rdi = a; kit_iret_rsi = b; kit_iret_raw(&c));
}
