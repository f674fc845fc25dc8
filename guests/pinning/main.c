/* SPDX-License-Identifier: MIT */
/*
 * pinning: page types. Tables of all four levels can be pinned and unpinned, a frame has one type
 * at a time and changes it only when nothing uses the old one, base pointers take only valid L4
 * tables, and the other mmuext operations touch only frames of the caller.
 */
#include "kit.h"

static const unsigned int pin_cmd[5] = {0, MMUEXT_PIN_L1_TABLE, MMUEXT_PIN_L2_TABLE,
                                        MMUEXT_PIN_L3_TABLE, MMUEXT_PIN_L4_TABLE};
static uint64_t *page;

static long pin(int level, void *va)
{
    return mmuext(pin_cmd[level], va_mfn(va), 0);
}
static long unpin(void *va)
{
    return mmuext(MMUEXT_UNPIN_TABLE, va_mfn(va), 0);
}

static void empty_tables(void)
{
    static const char *const name[5] = {"", "pin-l1", "pin-l2", "pin-l3", "pin-l4"};

    CHECK_FAILS("pin-while-mapped-writable", pin(1, page));
    kit_set_ro(page);
    for (int level = 1; level <= 4; level++) {
        CHECK_EQ(name[level], pin(level, page), 0);
        CHECK_FAILS("pin-twice", pin(level, page));
        CHECK_FAILS("pin-other-level", pin(level % 4 + 1, page));
        CHECK_FAILS("pinned-not-writable", kit_set_rw(page));
        CHECK_EQ("unpin", unpin(page), 0);
        CHECK_FAILS("unpin-twice", unpin(page));
        CHECK_EQ("writable-after-unpin", kit_set_rw(page), 0);
        memset(page, 0, PAGE); /* a table used as L4 got the hypervisor's slots */
        kit_set_ro(page);
    }
    kit_set_rw(page);
}

static void tables_with_entries(void)
{
    uint64_t *l2 = kit_page(), *data = kit_page();

    page[0] = mfn_pte(va_mfn(data), PTE_KERN);
    page[511] = mfn_pte(va_mfn(page), PTE_RO);
    kit_set_ro(page);
    CHECK_EQ("pin-l1-with-entries", pin(1, page), 0);
    kit_set_ro(data);
    CHECK_FAILS("data-mapped-writable-by-l1", pin(1, data));
    CHECK_EQ("unpin-with-entries", unpin(page), 0);
    CHECK_EQ("data-free-after-unpin", pin(1, data), 0);
    CHECK_FAILS("pin-l1-that-maps-a-table-writable", pin(1, page));
    unpin(data);
    kit_set_rw(data);
    l2[0] = mfn_pte(va_mfn(page), TAB_FLAGS);
    l2[1] = mfn_pte(va_mfn(data), TAB_FLAGS); /* writable now: validation stops half way */
    kit_set_ro(l2);
    CHECK_FAILS("pin-l2-bad-second-entry", pin(2, l2));
    CHECK_EQ("no-trace-of-failed-pin-l1", kit_set_rw(page), 0);
    CHECK_EQ("no-trace-of-failed-pin-l2", kit_set_rw(l2), 0);
    l2[1] = 0;
    kit_set_ro(page);
    kit_set_ro(l2);
    CHECK_EQ("pin-l2", pin(2, l2), 0);
    CHECK_FAILS("l1-held-by-l2", kit_set_rw(page));
    CHECK_FAILS("unpin-l1-not-pinned", unpin(page));
    CHECK_EQ("pin-l1-held-by-l2", pin(1, page), 0);
    CHECK_EQ("unpin-l2", unpin(l2), 0);
    CHECK_FAILS("l1-still-pinned", kit_set_rw(page));
    CHECK_EQ("unpin-l1", unpin(page), 0);
    CHECK_EQ("l1-free", kit_set_rw(page), 0);
    CHECK_EQ("l2-free", kit_set_rw(l2), 0);
    memset(page, 0, PAGE);
}

static void base_pointers(void)
{
    uint64_t *l4 = kit_page(), *user = kit_page(), *old = mfn_va(kit_top());
    uint64_t old_mfn = kit_top();

    CHECK_FAILS("baseptr-ordinary-page", mmuext(MMUEXT_NEW_BASEPTR, va_mfn(page), 0));
    CHECK_FAILS("baseptr-frame-beyond", mmuext(MMUEXT_NEW_BASEPTR, 0xfffffffff, 0));
    CHECK_FAILS("user-baseptr-ordinary-page", mmuext(MMUEXT_NEW_USER_BASEPTR, va_mfn(page), 0));
    for (unsigned int i = 0; i < 512; i++)
        if (i < 256 || i > 271)
            l4[i] = user[i] = old[i];
    kit_set_ro(l4);
    CHECK_EQ("new-baseptr", mmuext(MMUEXT_NEW_BASEPTR, va_mfn(l4), 0), 0);
    CHECK("new-baseptr-has-hypervisor-slots",
          l4[256] && (l4[256] & ~0xfffUL) == (old[256] & ~0xfffUL));
    CHECK_FAILS("baseptr-in-use-not-writable", kit_set_rw(l4));
    CHECK_FAILS("unpin-baseptr-not-pinned", unpin(l4));
    CHECK_EQ("old-baseptr-back", mmuext(MMUEXT_NEW_BASEPTR, old_mfn, 0), 0);
    CHECK_EQ("same-baseptr-again", mmuext(MMUEXT_NEW_BASEPTR, old_mfn, 0), 0);
    CHECK_EQ("left-baseptr-writable", kit_set_rw(l4), 0);
    kit_set_ro(user);
    CHECK_EQ("new-user-baseptr", mmuext(MMUEXT_NEW_USER_BASEPTR, va_mfn(user), 0), 0);
    CHECK_FAILS("user-baseptr-held", kit_set_rw(user));
    CHECK_EQ("user-baseptr-none", mmuext(MMUEXT_NEW_USER_BASEPTR, 0, 0), 0);
    CHECK_EQ("user-baseptr-free", kit_set_rw(user), 0);
}

static void other_operations(void)
{
    uint64_t *a = kit_page(), *b = kit_page();
    unsigned int done = 9;
    struct mmuext_op two[2] = {{.cmd = MMUEXT_TLB_FLUSH_LOCAL}, {.cmd = 99}};

    memset(a, 0x5a, PAGE);
    {
        struct mmuext_op op = {
            .cmd = MMUEXT_COPY_PAGE, .arg1.mfn = va_mfn(b), .arg2.src_mfn = va_mfn(a)};
        CHECK("copy-page-copies", !HC4(mmuext_op, &op, 1, NULL, DOMID_SELF) && !memcmp(a, b, PAGE));
    }
    CHECK_EQ("clear-page", mmuext(MMUEXT_CLEAR_PAGE, va_mfn(b), 0), 0);
    CHECK("clear-page-clears", b[0] == 0 && b[511] == 0);
    CHECK_FAILS("clear-page-table", mmuext(MMUEXT_CLEAR_PAGE, kit_top(), 0));
    CHECK_FAILS("clear-foreign", mmuext(MMUEXT_CLEAR_PAGE, 1, 0));
    CHECK_FAILS("clear-beyond", mmuext(MMUEXT_CLEAR_PAGE, 0xffffffffff, 0));
    CHECK_EQ("flush-local", mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0), 0);
    CHECK_EQ("flush-all", mmuext(MMUEXT_TLB_FLUSH_ALL, 0, 0), 0);
    CHECK_EQ("invlpg-local", mmuext(MMUEXT_INVLPG_LOCAL, (uint64_t)a, 0), 0);
    CHECK_EQ("invlpg-all", mmuext(MMUEXT_INVLPG_ALL, (uint64_t)a, 0), 0);
    CHECK_EQ("invlpg-hypervisor-is-harmless", mmuext(MMUEXT_INVLPG_LOCAL, HV_START, 0), 0);
    CHECK_FAILS("bad-command-second", HC4(mmuext_op, two, 2, &done, DOMID_SELF));
    CHECK_EQ("bad-command-count", done, 1);
    CHECK_FAILS("bad-pointer", HC4(mmuext_op, 8, 1, NULL, DOMID_SELF));
    CHECK_FAILS("bad-domain", HC4(mmuext_op, two, 1, NULL, 999));
    CHECK_EQ("mark-super-refused", mmuext(MMUEXT_MARK_SUPER, va_mfn(a) & ~511UL, 0),
             -XEN_EOPNOTSUPP);
    CHECK_EQ("set-ldt-empty", mmuext(MMUEXT_SET_LDT, 0, 0), 0);
    CHECK_EQ("set-ldt-unaligned", mmuext(MMUEXT_SET_LDT, 0x1001, 5), -XEN_EINVAL);
    CHECK_EQ("set-ldt-too-long", mmuext(MMUEXT_SET_LDT, 0x1000, 8193), -XEN_EINVAL);
}

void guest_main(void)
{
    page = kit_page();
    empty_tables();
    tables_with_entries();
    base_pointers();
    other_operations();
}
