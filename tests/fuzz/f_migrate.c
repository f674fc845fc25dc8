/* SPDX-License-Identifier: MIT */
/*
 * A hostile host at the other end of a move: what it sends is the input. The first byte chooses the side it speaks to. The side under
 * test must end, keep its guest, and leave no journal.
 * sources: toolstack/lib/migrate_send.c toolstack/lib/migrate_receive.c toolstack/lib/migrate_resolve.c toolstack/lib/migrate_journal.c
 * sources: toolstack/lib/migrate_wire.c toolstack/lib/migrate_data.c toolstack/lib/migrate_fault.c toolstack/lib/trace.c toolstack/lib/fault.c
 * libs: -ljson-c -luuid
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "domains.h"
#include "fault.h"
#include "migrate.h"

#define UUID "01234567-89ab-cdef-0123-456789abcdef"

const char *domain_state_folder;
static char folder[] = "/dev/shm/f_migrate.XXXXXX";
static bool resumed, destroyed, ran;

int domain_check_name(const char *name) { return *name && strlen(name) < 128 ? 0 : fault(-EINVAL, "no name"); }
int domain_parse_uuid(const char *text, uint8_t uuid[16]) { return uuid_parse(text, uuid) ? fault(-EINVAL, "no uuid") : 0; }

static int op_offer(void *arg, struct json_object *offer) { return 0; }
static int op_check(void *arg, struct json_object *offer, struct json_object *answer) { return migrate_item(answer, "memory", true, ""); }
static int op_memory(void *arg, struct wire *w) { return wire_data_write(w, "memory", 6); }
static int op_suspend(void *arg) { return 0; }
static int op_resume(void *arg, uint32_t domid) { resumed = true; return 0; }
static int op_run(void *arg, uint32_t domid, bool paused) { ran = true; return 0; }
static int op_name(void *arg, uint32_t domid, const char *name) { return 0; }
static int op_destroy(void *arg, uint32_t domid) { destroyed = true; return 0; }
static enum migrate_guest op_look(void *arg, uint32_t domid, const char *uuid) { return GUEST_PAUSED; }
static int op_find(void *arg, const char *uuid) { return -ENOENT; }
static int op_connect(void *arg, const struct journal *j, struct wire *w) { return fault(-EHOSTUNREACH, "no route"); }

static int op_receive(void *arg, struct wire *w, uint32_t *domid)
{
    unsigned char b[64];
    int rc = wire_data_read(w, b, 3);

    rc = rc ? rc : wire_data_read(w, b, b[0] & 63);
    *domid = 7;
    return rc;
}

static const struct migrate_ops ops = {
    .offer = op_offer, .memory = op_memory, .suspend = op_suspend, .rest = op_memory, .resume = op_resume, .check = op_check, .receive = op_receive,
    .run = op_run, .name = op_name, .destroy = op_destroy, .look = op_look, .find = op_find, .connect = op_connect,
};

static void start(void)
{
    signal(SIGPIPE, SIG_IGN);
    if (!mkdtemp(folder))
        abort();
    domain_state_folder = folder;
}

static void forget_journals(bool wanted)
{
    char **list = journal_list();

    for (unsigned i = 0; list && list[i]; i++) {
        if (!wanted)
            abort();
        unlink(list[i]);
    }
    free(list);
}

/* Answers as they would be, then the input: bytes 1.. of it replace the end of a good dialogue. */
static size_t good_start(uint8_t *at, unsigned how)
{
    static const char hello[] = "{\"host\":\"t\"}", answer[] = "{\"items\":[]}";
    uint32_t head[2] = { WIRE_MAGIC, WIRE_VERSION };
    size_t n = 0;

    if (!(how & 2))
        return 0;
    memcpy(at, head, 8);
    n += 8;
    memcpy(at + n, &(uint32_t[2]){ WIRE_HELLO, sizeof(hello) - 1 }, 8);
    memcpy(at + n + 8, hello, sizeof(hello) - 1);
    n += 8 + sizeof(hello) - 1;
    if (how & 1 && how & 4) {
        memcpy(at + n, &(uint32_t[2]){ WIRE_ANSWER, sizeof(answer) - 1 }, 8);
        memcpy(at + n + 8, answer, sizeof(answer) - 1);
        n += 8 + sizeof(answer) - 1;
    }
    return n;
}

static void as_source(struct wire *w)
{
    struct migrate_out m = { .ops = &ops, .name = "demo", .uuid = UUID, .host = "t", .transport = "test", .domid = 3 };
    int rc = migrate_send(&m, w);

    if (!rc && m.place != PLACE_THERE && !m.check_only)
        abort();
    if (rc && !fault_text()[0])
        abort();
    /* Told that it runs over there: gone here. Else: it runs here, or is suspended and a journal says so. */
    if (destroyed && m.place != PLACE_THERE)
        abort();
    forget_journals(m.place == PLACE_UNKNOWN || resumed || (destroyed && rc));
}

static void as_target(struct wire *w)
{
    int rc = migrate_receive(&ops, NULL, w);

    if (rc && !fault_text()[0])
        abort();
    if (ran && destroyed)
        abort();
    forget_journals(true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t text[60000];
    int fd[2], nothing;
    struct wire w;
    size_t n;

    if (!domain_state_folder)
        start();
    if (!size || size > sizeof(text) - 200)
        return 0;
    n = good_start(text, data[0]);
    memcpy(text + n, data + 1, size - 1);
    n += size - 1;
    nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (pipe2(fd, O_CLOEXEC) || write(fd[1], text, n) != (ssize_t)n)
        abort();
    close(fd[1]);
    resumed = destroyed = ran = false;
    fault_clear();
    if (!wire_begin(&w, fd[0], nothing, "t")) {
        if (data[0] & 1)
            as_source(&w);
        else
            as_target(&w);
    }
    wire_end(&w);
    return 0;
}
