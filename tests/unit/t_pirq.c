/* SPDX-License-Identifier: MIT */
/*
 * pirqs and interrupt descriptors together, over a model of I/O APIC, local APIC and messages:
 * numbering, binding, level lines masked until the EOI, the "needs EOI" page, moving, teardown.
 *
 * sources: hypervisor/x86/irq/irq.c hypervisor/x86/irq/pirq.c hypervisor/x86/irq/vectors.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "irq_model.h"

#include <xen/physdev.h>

/* --- Fixture ---------------------------------------------------------------------------------- */

static struct domain dom, other;
static struct vcpu vc[4];

static int setup(void **state)
{
    static bool once;

    host_reset();
    host_ram_init(64);
    host_cpus = 4;
    host_now = 1000000000;
    if (!once) {
        acpi.isa[9] = (struct acpi_override){.source = 9, .gsi = 9, .level = true, .valid = true};
        irq_init();
    } else {
        pirq_init();
    }
    once = true;
    memset(&dom, 0, sizeof(dom));
    memset(&other, 0, sizeof(other));
    memset(raised, 0, sizeof(raised));
    for (unsigned i = 0; i < 4; i++) {
        vc[i].domain = &dom;
        vc[i].cpu = (uint16_t)i;
    }
    closed = 0;
    assert_int_equal(pirq_domain_init(&dom, NR_PIRQS), 0);
    assert_int_equal(pirq_domain_init(&other, NR_PIRQS), 0);
    return 0;
}

static int teardown(void **state)
{
    pirq_domain_free(&dom);
    pirq_domain_free(&dom);
    pirq_domain_free(&other);
    assert_int_equal(refs, 0);
    for (unsigned i = 0; i < GSIS; i++)
        assert_true(rte[i].masked || irq_desc_of(i)->fn);
    host_ram_free();
    return 0;
}

static int map_msi(struct domain *d, struct msi *m, int want, unsigned cpu)
{
    int rc;

    spin_lock(&pirq_lock);
    rc = pirq_map_msi_locked(d, m, want, cpu);
    spin_unlock(&pirq_lock);
    return rc;
}

/* --- Tests ------------------------------------------------------------------------------------ */

static void test_numbers(void **state)
{
    static struct msi m[3]; /* outlive the test: the teardown unmaps them */

    assert_int_equal(pirq_map_gsi(&dom, 5, -1), 5);
    assert_int_equal(pirq_map_gsi(&dom, 5, 5), 5);
    assert_int_equal(pirq_map_gsi(&dom, 5, 6), -XEN_EEXIST);
    assert_int_equal(pirq_map_gsi(&dom, 6, 5), -XEN_EBUSY);
    assert_int_equal(pirq_map_gsi(&dom, GSIS, -1), -XEN_EINVAL);
    assert_int_equal(pirq_map_gsi(&dom, 7, NR_PIRQS), -XEN_EINVAL);
    assert_int_equal(map_msi(&dom, &m[0], -1, 0), NR_PIRQS - 1);
    assert_int_equal(pirq_reserve(&dom, false), NR_PIRQS - 2);
    assert_int_equal(map_msi(&dom, &m[1], -1, 0), NR_PIRQS - 3);
    assert_int_equal(map_msi(&dom, &m[2], NR_PIRQS - 2, 0), NR_PIRQS - 2);
    assert_int_equal(map_msi(&dom, &m[2], NR_PIRQS - 2, 0), -XEN_EBUSY);
    assert_int_equal(pirq_unmap(&dom, NR_PIRQS - 2), 0);
    assert_int_equal(pirq_unmap(&dom, NR_PIRQS - 2), -XEN_EINVAL);
    assert_int_equal(pirq_unmap(&dom, ~0u), -XEN_EINVAL);
    assert_int_equal(closed, 1);
    assert_int_equal(pirq_status(&dom, NR_PIRQS), -XEN_EINVAL);
    assert_int_equal(pirq_status(&dom, 5), 0);
}

static void test_level(void **state)
{
    assert_int_equal(irq_gsi_setup(9, true, false), -XEN_EEXIST); /* from the MADT */
    assert_int_equal(irq_gsi_setup(11, true, true), 0);
    assert_int_equal(irq_gsi_setup(11, true, true), -XEN_EEXIST);
    assert_int_equal(irq_gsi_setup(GSIS, true, true), -XEN_EINVAL);
    assert_int_equal(pirq_guest_bind(&vc[0], 11, 0), -XEN_EINVAL); /* not mapped */
    assert_int_equal(pirq_map_gsi(&dom, 11, 11), 11);
    assert_int_equal(pirq_status(&dom, 11), XENIRQSTAT_needs_eoi);
    assert_int_equal(pirq_guest_bind(&vc[0], 11, 0), 0);
    assert_int_equal(pirq_guest_bind(&vc[0], 11, 0), -XEN_EBUSY);
    assert_int_equal(irq_gsi_setup(11, false, false), -XEN_EBUSY);
    pirq_guest_eoi(&dom, 11); /* early: harmless */
    arrive_gsi(11);
    assert_int_equal(raised[11], 1);
    assert_true(rte[11].masked);
    pirq_guest_eoi(&other, 11); /* not theirs */
    assert_true(rte[11].masked);
    pirq_guest_eoi(&dom, 11);
    assert_false(rte[11].masked);
    arrive_gsi(11);
    assert_int_equal(raised[11], 2);
    pirq_guest_unbind(&dom, 11); /* while in flight */
    assert_true(rte[11].masked);
    pirq_guest_eoi(&dom, 11);
    assert_true(rte[11].masked);
    assert_int_equal(pirq_guest_bind(&vc[0], 11, 0), 0);
    assert_false(rte[11].masked);
}

static void test_one_owner(void **state)
{
    struct vcpu ov = {.domain = &other};

    assert_int_equal(pirq_map_gsi(&dom, 10, 10), 10);
    assert_int_equal(pirq_map_gsi(&other, 10, 10), 10);
    assert_int_equal(pirq_guest_bind(&vc[0], 10, 0), 0);
    assert_int_equal(pirq_guest_bind(&ov, 10, 1), -XEN_EBUSY);
    assert_int_equal(pirq_unmap(&dom, 10), 0); /* bound: the port stays, silent */
    assert_true(rte[10].masked);
    assert_int_equal(pirq_guest_bind(&ov, 10, 0), 0);
    pirq_guest_unbind(&dom, 10); /* must not touch the new owner's */
    assert_false(rte[10].masked);
    arrive_gsi(10);
    assert_int_equal(raised[10], 1);
}

static unsigned own_calls;
static void own_handler(void *data)
{
    own_calls += (unsigned)(uintptr_t)data;
}

static void test_hypervisor_line(void **state)
{
    assert_int_equal(irq_request_gsi(4, false, false, own_handler, (void *)1), 0);
    assert_int_equal(irq_request_gsi(4, false, false, own_handler, NULL), -XEN_EBUSY);
    assert_int_equal(irq_request_gsi(3, true, true, own_handler, (void *)2), 0);
    arrive_gsi(4);
    arrive_gsi(3);
    assert_int_equal(own_calls, 3);
    assert_false(rte[3].masked);
    assert_int_equal(pirq_map_gsi(&dom, 4, 4), 4);
    assert_int_equal(pirq_guest_bind(&vc[0], 4, 0), -XEN_EBUSY);
}

static void test_eoi_page(void **state)
{
    struct page *pg = page_of(mfn(7));
    uint64_t *bits = map_frame(mfn(7));

    assert_int_equal(pirq_map_gsi(&dom, 9, 9), 9);
    assert_int_equal(pirq_map_gsi(&dom, 12, 12), 12);
    assert_int_equal(pirq_guest_bind(&vc[0], 9, 0), 0);
    assert_int_equal(pirq_eoi_page_set(&dom, 7), -XEN_EINVAL); /* not its frame */
    assert_int_equal(pirq_eoi_page_set(&dom, 1ULL << 50), -XEN_EINVAL);
    pg->owner = &dom;
    bits[0] = ~0ULL; /* whatever the guest left there */
    assert_int_equal(pirq_eoi_page_set(&dom, 7), 0);
    assert_int_equal(bits[0], BIT(9));
    assert_int_equal(pg->type, 1);
    assert_int_equal(pirq_eoi_page_set(&dom, 7), -XEN_EBUSY);
    assert_int_equal(pg->type, 1);
    assert_int_equal(pirq_guest_bind(&vc[0], 12, 0), 0); /* edge */
    assert_int_equal(bits[0], BIT(9));
    pirq_guest_unbind(&dom, 9);
    assert_int_equal(bits[0], 0);
    pirq_domain_free(&dom);
    assert_int_equal(pg->type, 0);
    unmap_frame(bits);
}

static void test_move(void **state)
{
    static struct msi m = {.maskable = true}, rival = {.maskable = true};
    int pirq = map_msi(&dom, &m, -1, 0), rpirq;
    uint8_t old_vector;

    assert_int_equal(m.apicid, 0);
    assert_true(m.vector >= VECTOR_DEV_FIRST);
    assert_int_equal(pirq_guest_bind(&vc[0], (unsigned)pirq, 0), 0);
    assert_false(m.masked);
    old_vector = m.vector;
    pirq_guest_set_affinity(&dom, (unsigned)pirq, &vc[1]);
    assert_int_equal(m.apicid, 2);
    assert_int_equal(m.vector, old_vector); /* kept its number */
    arrive(0, old_vector);                  /* was on its way */
    assert_int_equal(raised[pirq], 1);
    assert_int_equal(vector_owner(0, old_vector), irq_desc_of(GSIS)->nr);
    pirq_guest_set_affinity(&dom, (unsigned)pirq, &vc[3]); /* too soon */
    assert_int_equal(m.apicid, 2);
    arrive(2, m.vector); /* the first one there frees the old place, then it moves on */
    assert_int_equal(raised[pirq], 2);
    assert_int_equal(vector_owner(0, old_vector), -1);
    assert_int_equal(m.apicid, 6);
    /* CPU 2 has an APIC id that no message can name. */
    host_now += 20000000;
    pirq_guest_set_affinity(&dom, (unsigned)pirq, &vc[2]);
    assert_int_equal(m.apicid, 6);
    /* Its number is taken on CPU 0: maskable, so it gets another. */
    rpirq = map_msi(&dom, &rival, -1, 0);
    assert_int_equal(rival.vector, old_vector);
    pirq_guest_set_affinity(&dom, (unsigned)pirq, &vc[0]);
    assert_int_equal(m.apicid, 0);
    assert_int_not_equal(m.vector, old_vector);
    arrive(6, old_vector); /* late at the old place, other number: still ours */
    assert_int_equal(raised[pirq], 3);
    arrive(0, m.vector);
    assert_int_equal(raised[pirq], 4);
    assert_int_equal(vector_owner(3, old_vector), -1);
    assert_int_equal(raised[rpirq], 0);
}

static void test_stay(void **state)
{
    static struct msi m, rival;
    int pirq = map_msi(&dom, &m, -1, 1);

    assert_int_equal(pirq_guest_bind(&vc[1], (unsigned)pirq, 0), 0);
    assert_true(map_msi(&dom, &rival, -1, 0) > 0);
    assert_int_equal(m.vector, rival.vector);
    pirq_guest_set_affinity(&dom, (unsigned)pirq, &vc[0]); /* cannot be masked, number taken */
    assert_int_equal(m.apicid, 2);
    arrive(2, m.vector);
    assert_int_equal(raised[pirq], 1);
}

static void test_gone(void **state)
{
    static struct msi m = {.maskable = true};
    int pirq = map_msi(&dom, &m, -1, 0);
    uint8_t vector = m.vector;
    unsigned before = eois;

    assert_int_equal(pirq_guest_bind(&vc[0], (unsigned)pirq, 0), 0);
    irq_dispatch(vector); /* recorded, not delivered yet ... */
    irq_dispatch(vector);
    assert_int_equal(pirq_unmap(&dom, (unsigned)pirq), 0);
    host_softirqs_run(); /* ... and its owner has gone */
    assert_int_equal(raised[pirq], 0);
    irq_dispatch(vector); /* stray */
    irq_dispatch(0x27);
    assert_int_equal(eois - before, 3);
}

static void test_random(void **state)
{
    static struct msi m[NR_PIRQS];
    int mapped[NR_PIRQS] = {0};

    srandom(1);
    for (unsigned i = 0; i < 200000; i++) {
        unsigned p = (unsigned)random() % NR_PIRQS, c = (unsigned)random() % 4;

        switch (random() % 6) {
        case 0:
            if (p >= GSIS && !mapped[p]) {
                memset(&m[p], 0, sizeof(m[p]));
                m[p].maskable = random() & 1;
                if (map_msi(&dom, &m[p], (int)p, c) >= 0)
                    mapped[p] = 1;
            } else if (p < GSIS) {
                (void)!pirq_map_gsi(&dom, p, (int)p);
            }
            break;
        case 1:
            if (!pirq_unmap(&dom, p))
                mapped[p] = 0;
            break;
        case 2:
            (void)!pirq_guest_bind(&vc[c], p, 0);
            break;
        case 3:
            pirq_guest_unbind(&dom, p);
            break;
        case 4:
            pirq_guest_set_affinity(&dom, p, &vc[c]);
            host_now += (uint64_t)random() % 8000000;
            break;
        case 5:
            if (p < GSIS)
                arrive_gsi(p);
            else if (mapped[p] && !m[p].masked)
                arrive(m[p].apicid, m[p].vector);
            pirq_guest_eoi(&dom, (unsigned)random() % NR_PIRQS);
            break;
        }
        /* Where each source sends, its own vector waits. */
        if (p >= GSIS && mapped[p]) {
            unsigned cpu = m[p].apicid == 6 ? 3 : m[p].apicid / 2;
            int irq = vector_owner(cpu, m[p].vector);

            assert_true(irq >= GSIS && irq_desc_of((unsigned)irq)->msi == &m[p]);
        }
    }
    pirq_domain_free(&dom);
    for (unsigned cpu = 0; cpu < 4; cpu++) /* only lines keep vectors: current and old ones */
        for (unsigned v = VECTOR_DEV_FIRST; v <= VECTOR_DEV_LAST; v++)
            assert_true(vector_owner(cpu, v) < GSIS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_level, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_owner, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hypervisor_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_eoi_page, setup, teardown),
        cmocka_unit_test_setup_teardown(test_move, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_random, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
