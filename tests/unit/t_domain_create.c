/* SPDX-License-Identifier: MIT */
/*
 * Creation of a guest over a made-up hypervisor and store: each fallible call fails in turn, and nothing may be left behind: no
 * domain, claim, node, introduced domain or device. And the checks: each refusal comes before a domain exists, with a text.
 * sources: toolstack/lib/domain_create.c toolstack/lib/trace.c toolstack/lib/domain_end.c toolstack/lib/domain_store.c toolstack/lib/domain.c toolstack/lib/domain_index.c toolstack/lib/cpulist.c toolstack/lib/cpuid.c toolstack/lib/cpuid_level.c toolstack/lib/cpuid_names.c toolstack/lib/fault.c
 * libs: -luuid
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <xenstore.h>

#include "build.h"
#include "device.h"
#include "domains.h"
#include "fault.h"
#include "store.h"
#include "store_many.h"

/* --- the world ----------------------------------------------------------------------------------------------------------------- */

static struct {
    bool exists, paused, introduced, attached;
    uint64_t claimed, free_pages, outstanding, dom0_pages;
    uint32_t ecx;           /* of CPUID leaf 1, if it was set */
    int64_t offset;
    bool too_late;          /* the claim finds that somebody was quicker */
    char *node[256], *saved[256];
    unsigned n_nodes, n_saved;
    bool in_transaction;
    uint8_t uuid[16];
    int calls, fail_at;     /* the fail_at-th fallible call fails */
} w;

/* Counts a fallible call; gives its failure. */
static int step(const char *what)
{
    return ++w.calls == w.fail_at ? fault(-EIO, "%s: made to fail", what) : 0;
}

static void clear_nodes(char **list, unsigned *n)
{
    while (*n)
        free(list[--*n]);
}

static void copy_nodes(char **to, unsigned *n_to, char **from, unsigned n_from)
{
    clear_nodes(to, n_to);
    for (unsigned i = 0; i < n_from; i++)
        to[(*n_to)++] = strdup(from[i]);
}

static void reset(int fail_at)
{
    clear_nodes(w.node, &w.n_nodes);
    clear_nodes(w.saved, &w.n_saved);
    memset(&w, 0, sizeof(w));
    w.free_pages = 100000;
    w.fail_at = fail_at;
    fault_clear();
}

static void nothing_left(void)
{
    assert_false(w.exists);
    assert_false(w.introduced);
    assert_false(w.attached);
    assert_false(w.in_transaction);
    assert_int_equal(w.claimed, 0);
    for (unsigned i = 0; i < w.n_nodes; i++)
        fail_msg("node %s is left", w.node[i]);
}

/* --- hypervisor ------------------------------------------------------------------------------------------------------------------ */

int ctl_physinfo(struct ctl *c, struct xen_sysctl_physinfo *info)
{
    *info = (struct xen_sysctl_physinfo){ .nr_cpus = 2, .max_cpu_id = 1, .free_pages = w.free_pages, .outstanding_pages = w.outstanding };
    return step("physinfo");
}

int ctl_features(struct ctl *c, uint32_t *features) { *features = 0; return step("features"); }

int ctl_domain_list(struct ctl *c, struct xen_domctl_getdomaininfo **list)
{
    *list = calloc(2, sizeof(**list));
    (*list)[1].domain = 7;
    return w.exists ? 2 : 1;
}

int ctl_domain_info(struct ctl *c, domid_t domid, struct xen_domctl_getdomaininfo *info)
{
    *info = (struct xen_domctl_getdomaininfo){ .domain = domid, .tot_pages = w.dom0_pages };
    if (!domid && w.dom0_pages)
        return 0;
    memcpy(info->handle, w.uuid, sizeof(w.uuid));
    return domid == 7 && w.exists ? 0 : -ESRCH;
}

int ctl_domain_create(struct ctl *c, const struct xen_domctl_createdomain *what, domid_t *domid)
{
    int rc = step("create");

    w.exists = !rc;
    memcpy(w.uuid, what->handle, sizeof(w.uuid));
    *domid = 7;
    return rc;
}

int ctl_domain_destroy(struct ctl *c, domid_t domid)
{
    assert_true(w.exists && w.paused);
    w.exists = false;
    w.claimed = 0;
    return 0;
}

int ctl_domain_pause(struct ctl *c, domid_t domid) { w.paused = true; return 0; }
int ctl_domain_unpause(struct ctl *c, domid_t domid) { return step("unpause"); }
int ctl_domain_max_vcpus(struct ctl *c, domid_t domid, unsigned n) { return step("max_vcpus"); }
int ctl_domain_max_mem(struct ctl *c, domid_t domid, uint64_t kib) { return step("max_mem"); }
int ctl_domain_set_tsc(struct ctl *c, domid_t domid, unsigned mode) { return step("tsc"); }
int ctl_domain_set_time_offset(struct ctl *c, domid_t domid, int64_t seconds) { w.offset = seconds; return step("offset"); }

/* Guests may have SSE3 and RDRAND; this one has SSE3 by default. */
static int cpuid_leaf(uint32_t ecx, xen_cpuid_leaf_t **out)
{
    *out = malloc(sizeof(**out));
    **out = (xen_cpuid_leaf_t){ .leaf = 1, .subleaf = XEN_CPUID_NO_SUBLEAF, .c = ecx };
    return 1;
}
int ctl_cpuid_max(struct ctl *c, xen_cpuid_leaf_t **out) { int rc = step("cpuid_max"); *out = NULL; return rc ? rc : cpuid_leaf(0x40000001, out); }
int ctl_cpuid_get(struct ctl *c, domid_t domid, xen_cpuid_leaf_t **out) { int rc = step("cpuid_get"); *out = NULL; return rc ? rc : cpuid_leaf(1, out); }
int ctl_cpuid_set(struct ctl *c, domid_t domid, const xen_cpuid_leaf_t *leaf, unsigned n)
{
    assert_int_equal(n, 1);
    w.ecx = leaf->c;
    return step("cpuid_set");
}
int ctl_sched_id(struct ctl *c, unsigned *sched) { *sched = 6; return step("sched_id"); }
int ctl_sched_set(struct ctl *c, domid_t domid, unsigned s, int weight, int cap) { return step("sched_set"); }
int ctl_evtchn_alloc_unbound(struct ctl *c, domid_t domid, domid_t remote) { int rc = step("evtchn"); return rc ? rc : 5; }

int ctl_vcpu_set_affinity(struct ctl *c, domid_t domid, unsigned vcpu, uint8_t *hard, uint8_t *soft, size_t bytes, bool force)
{
    return step("affinity");
}

int ctl_claim(struct ctl *c, domid_t domid, uint64_t pages)
{
    int rc = pages ? step("claim") : 0;

    if (!rc && pages && w.too_late) {
        w.outstanding = w.free_pages - 1024;
        rc = -ENOMEM;
    }
    w.claimed = rc ? 0 : pages;
    return rc;
}

/* --- builder, devices ------------------------------------------------------------------------------------------------------------ */

int build_prepare(struct build **out, const struct build_request *want) { int rc = step("prepare"); *out = rc ? NULL : malloc(1); return rc; }
void build_dispose(struct build *b) { free(b); }

int build_domain(struct build *b, struct ctl *c, domid_t domid, const struct build_rings *rings, struct build_result *result)
{
    assert_true(w.claimed > 0);
    return step("build");
}

int devices_check(struct guest_config *c) { return step("devices_check"); }

int devices_attach_all(uint32_t domid, const struct guest_config *c)
{
    int rc = step("attach");

    assert_true(w.introduced);
    w.attached = !rc;
    return rc;
}

int devices_detach_all(uint32_t domid, bool force) { assert_true(force); w.attached = false; return 0; }
void config_print_xl(const struct guest_config *c, FILE *out) { fputs("x", out); }

/* --- store ------------------------------------------------------------------------------------------------------------------------- */

static void add_node(const char *path)
{
    assert_true(w.n_nodes < 255);
    w.node[w.n_nodes++] = strdup(path);
}

#define PATH(p, format) char p[600]; do { va_list a_; va_start(a_, format); vsnprintf(p, sizeof(p), format, a_); va_end(a_); } while (0)

int store_open(void) { return step("store_open"); }
struct xs_handle *store_handle(void) { return (struct xs_handle *)8; }
uint64_t store_clock_ms(void) { return 0; }
int store_wait(const char *path, unsigned ms, store_test_fn *test, void *arg) { return test(path, arg); }

static int store_begin(void)
{
    int rc = step("begin");

    if (rc)
        return rc;
    copy_nodes(w.saved, &w.n_saved, w.node, w.n_nodes);
    w.in_transaction = true;
    return 0;
}

static void store_abort(void)
{
    if (w.in_transaction)
        copy_nodes(w.node, &w.n_nodes, w.saved, w.n_saved);
    w.in_transaction = false;
}

static int store_commit(void)
{
    int rc = step("commit");

    if (rc)
        store_abort();
    w.in_transaction = false;
    return rc;
}

int store_transact(int (*body)(const void *arg), const void *arg)
{
    int rc = store_begin();

    rc = rc ? rc : body(arg);
    if (rc)
        store_abort();
    return rc ? rc : store_commit();
}

int store_read_many(const char *const *paths, unsigned n, char **values)
{
    for (unsigned i = 0; i < n; i++)
        values[i] = store_read("%s", paths[i]);
    return step("names");
}

static bool has_node(const char *path)
{
    for (unsigned i = 0; i < w.n_nodes; i++)
        if (!strcmp(w.node[i], path))
            return true;
    return false;
}

/* The names of domains, and where a guest's vm is, are the only nodes that are read; the one guest's name is "g". */
char *store_read(const char *format, ...)
{
    PATH(path, format);
    if (strstr(path, "/0/name"))
        return strdup("Domain-0");
    if (strstr(path, "/zendo/domain/") && strstr(path, "/name") && has_node(path))
        return strdup("g");
    for (unsigned i = 0; strstr(path, "/vm") && i < w.n_nodes; i++)
        if (!strncmp(w.node[i], "/vm/", 4) && strlen(w.node[i]) == 40)
            return strdup(w.node[i]);
    return NULL;
}

int store_read_number(int64_t *value, const char *format, ...)
{
    PATH(path, format);
    *value = 7;
    return !strcmp(path, "/zendo/name/g") && has_node(path) ? 0 : -ENOENT;
}

bool store_exists(const char *format, ...)
{
    PATH(path, format);
    return !strcmp(path, "/vm/aaaaaaaa-2222-3333-4444-555555555555");
}

int store_put(const char *path, const char *key, const char *value, ...)
{
    char full[600];

    snprintf(full, sizeof(full), "%s/%s", path, key);
    int rc = step("put");

    if (!rc)
        add_node(full);
    return rc;
}

int store_write(const char *path, const char *value, ...)
{
    int rc = step("write");

    if (!rc)
        add_node(path);
    return rc;
}

int store_mkdir_for(unsigned owner, int reader, const char *format, ...)
{
    PATH(path, format);
    int rc = step("mkdir");

    if (!rc)
        add_node(path);
    return rc;
}

static void remove_below(const char *path)
{
    size_t n = strlen(path), kept = 0;

    for (unsigned i = 0; i < w.n_nodes; i++)
        if (!strncmp(w.node[i], path, n) && (!w.node[i][n] || w.node[i][n] == '/'))
            free(w.node[i]);
        else
            w.node[kept++] = w.node[i];
    w.n_nodes = (unsigned)kept;
}

int store_remove(const char *format, ...) { PATH(path, format); remove_below(path); return 0; }
int store_remove_empty(const char *path, const char *top) { remove_below(path); return 0; }

bool xs_introduce_domain(struct xs_handle *h, unsigned domid, unsigned long mfn, unsigned port)
{
    w.introduced = !step("introduce");
    errno = EIO;
    return w.introduced;
}

bool xs_release_domain(struct xs_handle *h, unsigned domid) { w.introduced = false; return true; }
bool xs_watch(struct xs_handle *h, const char *path, const char *token) { return true; }
bool xs_unwatch(struct xs_handle *h, const char *path, const char *token) { return true; }
int xs_fileno(struct xs_handle *h) { return -1; }
char **xs_check_watch(struct xs_handle *h) { return NULL; }

/* --- tests --------------------------------------------------------------------------------------------------------------------------- */

static struct guest_config sound(void)
{
    return (struct guest_config){ .name = "g", .kernel = "/k", .memory = 65536, .vcpus = 2, .maxvcpus = 4, .weight = 512, .cpus = "0-1",
        .cpuid = "host,sse3=0,rdrand=k", .rtc_timeoffset = -3600 };
}

static int create(struct guest_config cfg)
{
    struct domain_options o = { 0 };
    uint32_t domid;
    char *uuid = cfg.uuid;
    int rc = domain_create(NULL, &cfg, &o, &domid);

    if (cfg.uuid != uuid)
        free(cfg.uuid);
    return rc;
}

static void test_each_failure(void **state)
{
    int n;

    reset(0);
    assert_int_equal(create(sound()), 0);
    assert_true(w.exists && w.introduced && w.attached);
    assert_true(w.n_nodes > 40);
    assert_int_equal(w.claimed, 0);
    assert_int_equal(w.ecx, 0x40000000);
    assert_int_equal(w.offset, -3600);
    n = w.calls;
    assert_int_equal(domain_destroy(NULL, 7), 0);
    nothing_left();
    for (int i = 1; i <= n; i++) {
        reset(i);
        assert_int_equal(create(sound()), -EIO);
        assert_non_null(strstr(fault_text(), "made to fail"));
        nothing_left();
    }
    reset(0);
}

/* The text says how much there is, and what to type. */
static void test_no_room(void **state)
{
    reset(0);
    w.free_pages = 4096;
    w.dom0_pages = 512 << 8;
    assert_int_equal(create(sound()), -ENOMEM);
    assert_non_null(strstr(fault_text(), "needs 66 MiB, of the host's 16 MiB are free; make domain 0 smaller by 50 MiB (`xm mem-set 0 462`)"));
    w.dom0_pages = 40 << 8;
    assert_int_equal(create(sound()), -ENOMEM);
    assert_non_null(strstr(fault_text(), "`xm mem-set 0 MEGABYTES`"));
    nothing_left();
    reset(0);
    w.too_late = true; /* there was room when it was checked; the domain that was made is taken away again */
    assert_int_equal(create(sound()), -ENOMEM);
    assert_non_null(strstr(fault_text(), "4 MiB are free (beside what other guests have claimed)"));
    assert_true(w.paused);
    nothing_left();
    reset(0);
}

/* What is not asked for is not called. */
static void test_clock(void **state)
{
    struct guest_config g = sound();
    int with, without;

    setenv("TZ", "XYZ-2:30", 1); /* two and a half hours before UTC's, with no summer time */
    tzset();
    reset(0);
    g.localtime = true;
    assert_int_equal(create(g), 0);
    assert_int_equal(w.offset, 9000 - 3600);
    with = w.calls;
    assert_int_equal(domain_destroy(NULL, 7), 0);
    reset(0);
    g.localtime = false;
    g.rtc_timeoffset = 0;
    g.cpuid = "host";
    assert_int_equal(create(g), 0);
    assert_int_equal(w.ecx, 0);
    without = w.calls;
    assert_int_equal(with - without, 4); /* the offset; most, get and set */
    assert_int_equal(domain_destroy(NULL, 7), 0);
    reset(0);
    unsetenv("TZ");
}

static void refused(struct guest_config cfg, int error, const char *text)
{
    reset(0);
    assert_int_equal(create(cfg), error);
    if (!strstr(fault_text(), text))
        fail_msg("'%s' is not in: %s", text, fault_text());
    assert_false(w.paused); /* nothing was made that had to be undone */
    nothing_left();
}

#define REFUSED(change, error, text) do { struct guest_config g = sound(); change; refused(g, error, text); } while (0)

static void test_checks(void **state)
{
    REFUSED(g.name = NULL, -EINVAL, "no name");
    REFUSED(g.name = "a/b", -EINVAL, "'/'");
    REFUSED(g.name = "12", -EINVAL, "number");
    REFUSED(g.name = "Domain-0", -EEXIST, "domain 0 has it");
    REFUSED(g.uuid = "1", -EINVAL, "uuid");
    REFUSED(g.uuid = "aaaaaaaa-2222-3333-4444-555555555555", -EEXIST, "another guest");
    REFUSED(g.uuid = strdup("AAAAAAAA-2222-3333-4444-555555555555"), -EEXIST, "another guest");
    REFUSED(g.type = GUEST_HVM, -EOPNOTSUPP, "hvm");
    REFUSED((g.kernel = NULL, g.bootloader = "pygrub"), -EOPNOTSUPP, "bootloader 'pygrub': not supported; copy the kernel and ramdisk");
    REFUSED(g.memory = 0, -EINVAL, "memory");
    REFUSED(g.memory = 400001, -ENOMEM, "MiB are free");
    REFUSED((g.memory = 65536, g.maxmem = 1024), -EINVAL, "maxmem");
    REFUSED(g.vcpus = 500, -EINVAL, "vcpus");
    REFUSED(g.cpus = "5", -EINVAL, "no CPU 5");
    REFUSED(g.cap = 500, -EINVAL, "cap");
    REFUSED(g.cpuid = "host,avx=1", -EOPNOTSUPP, "cpuid: 'avx=1'");
    REFUSED(g.cpuid = "host,frob=1", -EINVAL, "frob");
    REFUSED(g.tsc_mode = "x", -EINVAL, "tsc_mode");
    REFUSED(g.pool = "p", -EINVAL, "pool");
}

static char folder[] = "/tmp/zendo-test-XXXXXX";

static int make_folder(void **state)
{
    domain_run_folder = domain_state_folder = mkdtemp(folder);
    return folder[0] ? 0 : -1;
}

/* The folder holds the lock and an empty folder by then: a configuration that is left makes this fail. */
static int remove_folder(void **state)
{
    char path[64];

    snprintf(path, sizeof(path), "%s/create.lock", folder);
    unlink(path);
    snprintf(path, sizeof(path), "%s/guests", folder);
    return rmdir(path) || rmdir(folder) ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_no_room), cmocka_unit_test(test_clock), cmocka_unit_test(test_each_failure), cmocka_unit_test(test_checks) };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
