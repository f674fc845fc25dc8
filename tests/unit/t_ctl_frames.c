/* SPDX-License-Identifier: MIT */
/*
 * Contents of frames by the control calls of our own: asked for first, done without where another hypervisor answers, their buffer kept for
 * the next, and refusals that name the frame.
 * sources: toolstack/lib/ctl_frames.c toolstack/lib/fault.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <zendo/control.h>

#include "ctl.h"
#include "ctl_private.h"
#include "fault.h"

static int answer;    /* what the hypervisor says */
static uint64_t left; /* and how many it did not do */
static uint32_t cmd;  /* what it was asked last */
static domid_t about;
static unsigned calls, buffers;
static bool no_memory;

int ctl_domctl(struct ctl *c, struct xen_domctl *op)
{
    struct zendo_domctl_frames a;

    memcpy(&a, &op->u, sizeof(a));
    calls++;
    cmd = op->cmd;
    about = op->domain;
    for (uint64_t i = 0; op->cmd == ZENDO_DOMCTL_read_frames && i < a.num; i++) {
        uint64_t *list = (uint64_t *)(uintptr_t)a.list;
        /* In turn: data, empty, an empty table of level 1, not its own. */
        static const uint64_t says[] = { 0, ZENDO_FRAME_ZERO, XEN_DOMCTL_PFINFO_L1TAB | ZENDO_FRAME_ZERO, XEN_DOMCTL_PFINFO_XTAB };

        list[i] = says[i % 4];
    }
    a.num = left;
    memcpy(&op->u, &a, sizeof(a));
    return answer;
}

void *xencall_alloc_buffer_pages(xencall_handle *call, size_t pages)
{
    buffers += !no_memory;
    return no_memory ? NULL : malloc(pages * 4096);
}

void xencall_free_buffer_pages(xencall_handle *call, void *p, size_t pages)
{
    buffers--;
    free(p);
}

static int fresh(void **state)
{
    answer = 0;
    left = calls = buffers = 0;
    no_memory = false;
    return 0;
}

static void test_probe(void **state)
{
    static const int refusals[] = { -ENOSYS, -EPERM, -EACCES, -ESRCH, -EOPNOTSUPP };
    struct ctl c = { 0 };

    for (unsigned i = 0; i < 5; i++) {
        answer = refusals[i];
        fault_clear();
        assert_null(ctl_frames_open(&c, 7));
        assert_string_equal(fault_text(), ""); /* whoever maps instead has nothing to explain */
    }
    assert_int_equal(cmd, ZENDO_DOMCTL_read_frames);
    assert_int_equal(about, 7);
    assert_int_equal(buffers, 0);
    answer = 0;
    no_memory = true;
    assert_null(ctl_frames_open(&c, 7));
    ctl_frames_close(&c, NULL);
    assert_int_equal(buffers, 0);
}

static void test_buffer(void **state)
{
    struct ctl c = { 0 };
    void *a = ctl_frames_open(&c, 7), *b = ctl_frames_open(&c, 8);

    assert_true(a && b && a != b);
    ctl_frames_close(&c, a);
    ctl_frames_close(&c, b); /* one is enough to keep */
    assert_int_equal(buffers, 1);
    assert_ptr_equal(c.frames, a);
    answer = -ENOSYS; /* kept, although this domain cannot be read */
    assert_null(ctl_frames_open(&c, 9));
    assert_ptr_equal(c.frames, a);
    answer = 0;
    assert_ptr_equal(ctl_frames_open(&c, 9), a);
    assert_null(c.frames);
    ctl_frames_close(&c, a);
    assert_int_equal(buffers, 1);
    xencall_free_buffer_pages(NULL, c.frames, CTL_FRAMES_MAX); /* as ctl_close() does */
}

static void test_read(void **state)
{
    struct ctl c = { 0 };
    xen_pfn_t list[4] = { 10, 11, 12, 13 };
    bool zero[4] = { true, false, false, true };
    char page[1] = "";

    assert_int_equal(ctl_frames_read(&c, 7, list, 4, page, zero), 0);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(list[i], ((unsigned[]){ 0, 0, 1, 15 })[i]);
        assert_int_equal(zero[i], i == 1 || i == 2);
    }
    assert_int_equal(ctl_frames_read(&c, 7, list, 0, page, zero), 0);
    assert_int_equal(calls, 1);
    answer = -ESRCH;
    left = 4;
    assert_int_equal(ctl_frames_read(&c, 7, list, 4, page, zero), -ESRCH);
    assert_non_null(strstr(fault_text(), "domain 7: reading 4 of its pages: No such process"));
}

static void test_write(void **state)
{
    struct ctl c = { 0 };
    const xen_pfn_t list[4] = { 0x10, 0x11, 0x12, 0x13 };
    char page[1] = "";

    assert_int_equal(ctl_frames_write(&c, 7, list, 0, page), 0);
    assert_int_equal(calls, 0);
    assert_int_equal(ctl_frames_write(&c, 7, list, 4, page), 0);
    assert_int_equal(cmd, ZENDO_DOMCTL_write_frames);
    answer = -EINVAL;
    for (left = 0; left < 7; left++) {
        char what[80];

        fault_clear();
        assert_int_equal(ctl_frames_write(&c, 7, list, 4, page), -EINVAL);
        if (left && left <= 4) { /* other counts are nonsense: no frame is named by them */
            snprintf(what, sizeof(what), "writing frame %#llx, %u of 4 pages before it", (unsigned long long)list[4 - left], 4 - (unsigned)left);
            assert_non_null(strstr(fault_text(), what));
        } else {
            assert_non_null(strstr(fault_text(), "domain 7: writing frame 0, "));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_probe, fresh),
        cmocka_unit_test_setup(test_buffer, fresh),
        cmocka_unit_test_setup(test_read, fresh),
        cmocka_unit_test_setup(test_write, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
