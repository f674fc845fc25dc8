/* SPDX-License-Identifier: MIT */
/* The source's side of a move; the picture is in migrate.h. */
#include "migrate.h"
#include "fault.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uuid/uuid.h>

#define PREPARED_MS 180000
#define RUNNING_MS 30000
#define SETTLE_MS 3000

struct sending {
    struct migrate_out *m;
    struct wire *w;
    struct journal j;
    bool may_be_prepared;          /* the target has all it needs to be so */
};

static const struct migrate_ops *ops_of(const struct sending *s)
{
    return s->m->ops;
}

/* --- the offer and its answer ------------------------------------------------------------------------------------------------ */

int migrate_item(struct json_object *answer, const char *item, bool good, const char *text)
{
    struct json_object *list, *o = json_object_new_object();

    if (!json_object_object_get_ex(answer, "items", &list)) {
        list = json_object_new_array();
        json_object_object_add(answer, "items", list);
    }
    json_object_object_add(o, "item", json_object_new_string(item));
    json_object_object_add(o, "good", json_object_new_boolean(good));
    json_object_object_add(o, "text", json_object_new_string(text));
    json_object_array_add(list, o);
    return !good;
}

static int take_item(const struct sending *s, struct json_object *o, char *first, size_t size)
{
    struct json_object *good = NULL;
    const char *item, *text;
    char line[600];
    int rc = json_object_is_type(o, json_type_object) ? 0 : -EPROTO;

    rc = rc ? rc : wire_text(o, "item", 60, &item);
    rc = rc ? rc : wire_text(o, "text", 2000, &text);
    if (rc || !json_object_object_get_ex(o, "good", &good))
        return fault(-EPROTO, "host %s: its answer cannot be understood", s->m->peer);
    if (s->m->report) {
        snprintf(line, sizeof(line), "%s: %-10s %s%s%s", s->m->peer, item, json_object_get_boolean(good) ? "yes" : "NO", *text ? ": " : "", text);
        fprintf(s->m->report, "%s\n", fault_printable(line));
    }
    if (json_object_get_boolean(good))
        return 0;
    if (!*first)
        snprintf(first, size, "%s: %s", item, text);
    return 1;
}

/* All of it is printed, the first that is missing is the failure. */
static int judge_answer(const struct sending *s, struct json_object *answer)
{
    struct json_object *list = NULL;
    char first[600] = "";
    int missing = 0, rc = 0;

    if (!json_object_object_get_ex(answer, "items", &list) || !json_object_is_type(list, json_type_array) || json_object_array_length(list) > 1000)
        return fault(-EPROTO, "host %s: its answer has no list of items", s->m->peer);
    for (size_t i = 0; i < json_object_array_length(list) && rc >= 0; i++) {
        rc = take_item(s, json_object_array_get_idx(list, i), first, sizeof(first));
        missing += rc > 0;
    }
    if (rc < 0)
        return rc;
    if (missing > 1)
        return fault(-EHOSTUNREACH, "host %s cannot take it: %s (and %d more, see above or xm migrate --check)", s->m->peer, first, missing - 1);
    return missing ? fault(-EHOSTUNREACH, "host %s cannot take it: %s", s->m->peer, first) : 0;
}

static int offer(struct sending *s)
{
    struct json_object *o = json_object_new_object(), *answer = NULL;
    char *host = NULL;
    int rc = wire_hello(s->w, &host);

    if (rc && rc != -EINTR)
        rc = fault(rc, "it runs on here: the greeting by %s (%s)", s->m->transport, s->m->command ? s->m->command : "");
    snprintf(s->m->peer, sizeof(s->m->peer), "%s", host ? host : s->m->host);
    free(host);
    migrate_point("out-connected", s->w);
    rc = rc ? rc : ops_of(s)->offer(s->m->arg, o);
    json_object_object_add(o, "name", json_object_new_string(s->m->name));
    json_object_object_add(o, "uuid", json_object_new_string(s->m->uuid));
    json_object_object_add(o, "paused", json_object_new_boolean(s->m->paused));
    rc = rc ? rc : wire_send(s->w, WIRE_OFFER, o);
    migrate_point("out-offered", s->w);
    rc = rc ? rc : wire_expect(s->w, WIRE_ANSWER, &answer, s->w->silence_ms);
    migrate_point("out-answered", s->w);
    rc = rc ? rc : judge_answer(s, answer);
    json_object_put(o);
    json_object_put(answer);
    return rc;
}

/* --- until the target is prepared -------------------------------------------------------------------------------------------- */

static int begin(struct sending *s)
{
    struct migrate_out *m = s->m;
    struct json_object *o;
    struct journal other;
    uuid_t id;
    int rc;

    if (journal_find_guest(&other, m->uuid))
        return fault(-EBUSY, "a move of it to or from host %s has not ended (step %s, process %d); wait, or see xm migrate --resolve", other.host,
                     journal_step_name(other.step), other.pid);
    s->j = (struct journal){ .fd = -1, .out = true, .domid = m->domid, .paused = m->paused };
    uuid_generate(id);
    uuid_unparse_lower(id, s->j.token);
    snprintf(s->j.uuid, sizeof(s->j.uuid), "%s", m->uuid);
    snprintf(s->j.name, sizeof(s->j.name), "%s", m->name);
    snprintf(s->j.host, sizeof(s->j.host), "%s", m->host);
    snprintf(s->j.transport, sizeof(s->j.transport), "%s", m->transport);
    snprintf(s->j.command, sizeof(s->j.command), "%s", m->command ? m->command : "");
    rc = journal_begin(&s->j);
    migrate_point("out-begun", s->w);
    o = json_object_new_object();
    json_object_object_add(o, "token", json_object_new_string(s->j.token));
    rc = rc ? rc : wire_send(s->w, WIRE_START, o);
    json_object_put(o);
    migrate_point("out-started", s->w);
    return rc;
}

static int send_guest(struct sending *s)
{
    int rc = ops_of(s)->memory(s->m->arg, s->w);

    migrate_point("out-memory", s->w);
    rc = rc ? rc : journal_step(&s->j, STEP_SUSPENDING);
    migrate_point("out-suspending", s->w);
    rc = rc ? rc : ops_of(s)->suspend(s->m->arg);
    migrate_point("out-suspended", s->w);
    s->may_be_prepared = !rc;
    rc = rc ? rc : ops_of(s)->rest(s->m->arg, s->w);
    rc = rc ? rc : wire_data_flush(s->w);
    migrate_point("out-sent", s->w);
    rc = rc ? rc : wire_expect(s->w, WIRE_PREPARED, NULL, PREPARED_MS);
    migrate_point("out-prepared", s->w);
    return rc || !s->w->stop || !*s->w->stop ? rc : fault(-EINTR, "stopped by request"); /* the last moment at which it can be heard */
}

/* --- the ends ------------------------------------------------------------------------------------------------------------------ */

/*
 * It goes on here. First that is written down, then it runs, then the target is told: on this connection if it stands, else on a
 * new one, else later by whoever starts next.
 */
static int give_up(struct sending *s, int rc)
{
    char why[700];
    int bad;

    s->m->place = PLACE_HERE;
    snprintf(why, sizeof(why), "%s", fault_text());
    if (s->j.fd < 0) {
        wire_abort(s->w, why);
        return rc;
    }
    journal_step(&s->j, STEP_ABORTED);
    /* If it is not on the disk and this process dies now: the next one resumes it too, since it is not committed. */
    fault_clear();
    bad = ops_of(s)->resume(s->m->arg, s->m->domid);
    if (bad) {
        char resume[300];

        snprintf(resume, sizeof(resume), "%.290s", fault_text());
        fault_clear();
        journal_leave(&s->j);
        return fault(rc, "it did not move (%.400s) and could not be resumed here: %s", why, resume);
    }
    journal_step(&s->j, STEP_RESUMED);
    wire_abort(s->w, why);
    if (!s->may_be_prepared) {
        journal_end(&s->j);
    } else {
        /* It could have been prepared when the link broke, and would wait for ever: it has to confirm that it dropped it. */
        char path[sizeof(s->j.path)];

        snprintf(path, sizeof(path), "%s", s->j.path);
        journal_leave(&s->j);
        migrate_resolve_one(s->m->ops, s->m->arg, path, NULL);
    }
    fault_clear();
    return fault(rc, "it runs on here: %s", why);
}

/* Committed, and the target does not say whether it runs. A new connection asks; if that fails too, it stays suspended here. */
static int ask_later(struct sending *s, int rc)
{
    char path[sizeof(s->j.path)];

    snprintf(path, sizeof(path), "%s", s->j.path);
    journal_leave(&s->j);
    fault_clear();
    if (!migrate_resolve_one(s->m->ops, s->m->arg, path, NULL)) {
        /* It ended, one way or the other: does our copy still exist? */
        enum migrate_guest here = s->m->ops->look(s->m->arg, s->m->domid, s->m->uuid);

        s->m->place = here == GUEST_ABSENT ? PLACE_THERE : PLACE_HERE;
        fault_clear();
        return here == GUEST_ABSENT ? 0 : fault(rc, "it runs on here: host %s lost it before it could run", s->m->peer);
    }
    s->m->place = PLACE_UNKNOWN;
    fault_clear();
    return fault(rc, "host %s has all of it and was told to run it, and does not answer any more: it runs there or waits there paused, and here it stays "
                 "suspended as domain %u; zendod asks again every minute, `xm migrate --resolve` at once. If that host is lost for good: "
                 "`xm migrate --take %s` runs it here", s->m->peer, s->m->domid, s->m->name);
}

static int64_t clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static int commit(struct sending *s)
{
    int rc = journal_step(&s->j, STEP_COMMITTED);

    if (rc)
        return give_up(s, rc);
    s->w->stop = NULL; /* too late for Ctrl-C */
    migrate_point("out-committed", s->w);
    rc = wire_send(s->w, WIRE_GO, NULL);
    migrate_point("out-go", s->w);
    rc = rc ? rc : wire_expect(s->w, WIRE_RUNNING, NULL, RUNNING_MS);
    migrate_point("out-running", s->w);
    if (rc)
        return ask_later(s, rc);
    s->m->place = PLACE_THERE;
    s->m->running_ms = clock_ms();
    /* Taking our copy down keeps this host, its network and its disks busy, and the guest over there is just connecting to its own. */
    if (wire_rest(s->w, SETTLE_MS))
        wire_expect(s->w, WIRE_SETTLED, NULL, RUNNING_MS);
    migrate_point("out-settled", s->w);
    rc = journal_step(&s->j, STEP_DESTROYING);
    migrate_point("out-destroying", s->w);
    rc = rc ? rc : ops_of(s)->destroy(s->m->arg, s->m->domid);
    migrate_point("out-destroyed", s->w);
    if (rc) {
        journal_leave(&s->j);
        return fault(rc, "it runs on host %s; the copy here (domain %u) could not be removed", s->m->peer, s->m->domid);
    }
    wire_send(s->w, WIRE_DESTROYED, NULL);
    migrate_point("out-told", s->w);
    fault_clear();
    return journal_end(&s->j);
}

int migrate_send(struct migrate_out *m, struct wire *w)
{
    struct sending s = { .m = m, .w = w, .j.fd = -1 };
    int rc;

    m->place = PLACE_HERE;
    w->stop = m->stop;
    rc = offer(&s);
    if (!rc && m->check_only) {
        wire_abort(w, "only a check");
        return 0;
    }
    rc = rc ? rc : begin(&s);
    rc = rc ? rc : send_guest(&s);
    rc = rc ? give_up(&s, rc) : commit(&s);
    m->bytes = w->sent;
    return rc;
}
