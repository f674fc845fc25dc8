/* SPDX-License-Identifier: MIT */
/* The target's side of a move, and its answers to a source that asks later; the picture is in migrate.h. */
#include "migrate.h"
#include "domains.h"
#include "fault.h"

#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GO_MS 60000
#define DESTROYED_MS 60000
#define HOLDER_MS 20000
#define LOOK_MS 100

struct receiving {
    const struct migrate_ops *ops;
    void *arg;
    struct wire *w;
    char *host;
    struct journal j;
    uint32_t domid;
};

/* --- a move ---------------------------------------------------------------------------------------------------------------------- */

static int take_offer(struct receiving *r, struct json_object *offer)
{
    struct json_object *answer = json_object_new_object(), *start = NULL, *paused = NULL;
    const char *name, *uuid, *token;
    uint8_t raw[16];
    int rc = wire_text(offer, "name", 127, &name), missing = 0;

    rc = rc ? rc : domain_check_name(name);
    rc = rc ? rc : wire_text(offer, "uuid", 36, &uuid);
    rc = rc ? rc : domain_parse_uuid(uuid, raw);
    if (!rc) {
        missing = r->ops->check(r->arg, offer, answer);
        rc = missing < 0 ? missing : 0;
    }
    migrate_point("in-offered", r->w);
    rc = rc ? rc : wire_send(r->w, WIRE_ANSWER, answer);
    migrate_point("in-answered", r->w);
    rc = rc ? rc : wire_expect(r->w, WIRE_START, &start, r->w->silence_ms);
    if (!rc && missing)
        rc = fault(-EPROTO, "host %s: starts although %d things are missing here", r->w->peer, missing);
    rc = rc ? rc : wire_text(start, "token", 36, &token);
    if (!rc) {
        r->j = (struct journal){ .fd = -1, .domid = JOURNAL_NO_DOMAIN };
        r->j.paused = json_object_object_get_ex(offer, "paused", &paused) && json_object_get_boolean(paused);
        snprintf(r->j.token, sizeof(r->j.token), "%s", token);
        snprintf(r->j.uuid, sizeof(r->j.uuid), "%s", uuid);
        snprintf(r->j.name, sizeof(r->j.name), "%s", name);
        snprintf(r->j.host, sizeof(r->j.host), "%s", r->host);
        rc = journal_begin(&r->j);
    }
    json_object_put(answer);
    json_object_put(start);
    return rc;
}

static int take_guest(struct receiving *r)
{
    int rc;

    r->j.domid = JOURNAL_NO_DOMAIN;
    rc = r->ops->receive(r->arg, r->w, &r->j.domid);
    migrate_point("in-complete", r->w);
    rc = rc ? rc : journal_step(&r->j, STEP_PREPARED);
    migrate_point("in-prepared", r->w);
    return rc;
}

/* Not prepared, or the source said that it keeps it: what is here goes. */
static int drop(struct receiving *r, int rc)
{
    char why[600];

    snprintf(why, sizeof(why), "%s", fault_text());
    wire_abort(r->w, why);
    fault_clear();
    if (r->j.domid != JOURNAL_NO_DOMAIN && r->ops->destroy(r->arg, r->j.domid)) {
        journal_leave(&r->j); /* zendod tries again */
        return fault(rc, "%.300s; and what was made of it (domain %u) could not be removed", why, r->j.domid);
    }
    journal_end(&r->j);
    return fault(rc, "nothing of it is left here: %s", why);
}

/*
 * From here on it is decided; nothing that fails in the connection changes that. The source hears that it runs before the rest is
 * done: by the journal's "go" it is ours whatever comes, and whoever takes the journal up does that rest.
 */
static int run(struct receiving *r)
{
    int rc, said;

    migrate_point("in-go", r->w);
    rc = journal_step(&r->j, STEP_GO);
    migrate_point("in-decided", r->w);
    rc = rc ? rc : r->ops->run(r->arg, r->j.domid, r->j.paused);
    migrate_point("in-runs", r->w);
    said = rc ? rc : wire_send(r->w, WIRE_RUNNING, NULL);
    migrate_point("in-said-running", r->w);
    rc = rc ? rc : r->ops->name(r->arg, r->j.domid, r->j.name);
    migrate_point("in-named", r->w);
    rc = rc ? rc : journal_step(&r->j, STEP_RUNS);
    migrate_point("in-noted", r->w);
    if (rc) {
        journal_leave(&r->j);
        return rc;
    }
    rc = said ? said : wire_send(r->w, WIRE_SETTLED, NULL);
    migrate_point("in-said-settled", r->w);
    rc = rc ? rc : wire_expect(r->w, WIRE_DESTROYED, NULL, DESTROYED_MS);
    migrate_point("in-destroyed", r->w);
    if (rc) {
        /* The source will ask, or has been told already and died. It runs here. */
        journal_leave(&r->j);
        fault_clear();
        return 0;
    }
    return journal_end(&r->j);
}

static int wait_for_go(struct receiving *r)
{
    int rc = wire_send(r->w, WIRE_PREPARED, NULL);

    migrate_point("in-said-prepared", r->w);
    rc = rc ? rc : wire_expect(r->w, WIRE_GO, NULL, GO_MS);
    if (!rc)
        return run(r);
    if (rc == -ECONNABORTED)
        return drop(r, rc);
    journal_leave(&r->j);
    return fault(rc, "guest %s: complete here as domain %u and paused; only host %s can say whether it is to run here, and will ask", r->j.name,
                 r->j.domid, r->host);
}

static int move(struct receiving *r, struct json_object *offer)
{
    int rc = take_offer(r, offer);

    if (rc) {
        wire_abort(r->w, fault_text());
        return rc;
    }
    migrate_point("in-begun", r->w);
    rc = take_guest(r);
    return rc ? drop(r, rc) : wait_for_go(r);
}

/* --- a question ------------------------------------------------------------------------------------------------------------------ */

/* A journal's pid may be somebody else's by now. */
static bool is_one_of_us(int pid)
{
    char path[40], theirs[512], ours[512];
    ssize_t n, m;

    snprintf(path, sizeof(path), "/proc/%d/exe", pid);
    n = readlink(path, theirs, sizeof(theirs));
    m = readlink("/proc/self/exe", ours, sizeof(ours));
    return pid > 1 && pid != getpid() && n > 0 && n == m && !memcmp(theirs, ours, (size_t)n);
}

/*
 * The source asks on a new connection, so whoever still waits on the old one waits in vain; it is ended, and the kernel frees its
 * lock. Others only look, which takes a moment.
 */
static int open_journal(struct journal *j, const char *token)
{
    int rc = journal_open_token(j, token, false);

    for (unsigned ms = 0; rc == -EBUSY && ms < HOLDER_MS; ms += 20) {
        if ((ms == LOOK_MS || ms == HOLDER_MS / 2) && is_one_of_us(j->pid))
            kill(j->pid, ms == LOOK_MS ? SIGTERM : SIGKILL);
        usleep(20000);
        rc = journal_open_token(j, token, false);
    }
    return rc == -EBUSY ? fault(-EBUSY, "process %d works on it and does not end", j->pid) : rc;
}

static bool is_there(const struct migrate_ops *ops, void *arg, struct journal *j)
{
    /* Ended between making the domain and writing its number down? The guest may have come with a later move since. */
    if (j->step == STEP_BEGIN && j->domid == JOURNAL_NO_DOMAIN && journal_is_of_this_boot(j)) {
        int found = ops->find(arg, j->uuid);

        j->domid = found >= 0 && !journal_is_others(j, (uint32_t)found) ? (uint32_t)found : JOURNAL_NO_DOMAIN;
    }
    return journal_is_of_this_boot(j) && j->domid != JOURNAL_NO_DOMAIN && ops->look(arg, j->domid, j->uuid) != GUEST_ABSENT;
}

int migrate_settle(const struct migrate_ops *ops, void *arg, struct journal *j, bool committed, const char **state)
{
    bool there = is_there(ops, arg, j);
    bool decided = j->step == STEP_GO || j->step == STEP_RUNS;
    int rc = 0;

    *state = "nothing";
    if (!decided && (!committed || j->step != STEP_PREPARED || !there)) {
        rc = there ? ops->destroy(arg, j->domid) : 0;
        return rc ? rc : journal_end(j);
    }
    if (!decided)
        rc = journal_step(j, STEP_GO);
    if (!rc && j->step == STEP_GO && there)
        rc = ops->run(arg, j->domid, j->paused);
    if (!rc && j->step == STEP_GO && there)
        rc = ops->name(arg, j->domid, j->name);
    if (!rc && j->step == STEP_GO)
        rc = journal_step(j, STEP_RUNS);
    *state = there ? "running" : "ran";
    return rc;
}

static int answer_question(struct receiving *r, struct json_object *question)
{
    struct json_object *committed = NULL, *o = json_object_new_object();
    const char *token, *state = "nothing";
    int rc = wire_text(question, "token", 36, &token);

    json_object_object_get_ex(question, "committed", &committed);
    rc = rc ? rc : open_journal(&r->j, token);
    if (rc == -ENOENT) {
        rc = 0;
        r->j.fd = -1;
    } else if (!rc) {
        rc = migrate_settle(r->ops, r->arg, &r->j, json_object_get_boolean(committed), &state);
    }
    json_object_object_add(o, "state", json_object_new_string(state));
    if (rc)
        wire_abort(r->w, fault_text());
    else
        rc = wire_send(r->w, WIRE_STATE, o);
    json_object_put(o);
    /* Told that the source has nothing any more, it need not be remembered. */
    if (!rc && r->j.fd >= 0 && !wire_expect(r->w, WIRE_DESTROYED, NULL, DESTROYED_MS))
        return journal_end(&r->j);
    journal_leave(&r->j);
    return rc;
}

int migrate_receive(const struct migrate_ops *ops, void *arg, struct wire *w)
{
    struct receiving r = { .ops = ops, .arg = arg, .w = w, .j.fd = -1 };
    struct json_object *body = NULL;
    enum wire_type type = 0;
    int rc = wire_hello(w, &r.host);

    if (!rc)
        w->peer = r.host;
    migrate_point("in-connected", w);
    rc = rc ? rc : wire_receive(w, &type, &body, w->silence_ms);
    if (!rc && type == WIRE_OFFER && body)
        rc = move(&r, body);
    else if (!rc && type == WIRE_RESOLVE && body)
        rc = answer_question(&r, body);
    else if (!rc)
        rc = fault(-EPROTO, "host %s: begins with a message of type %u", w->peer, type);
    json_object_put(body);
    w->peer = "?";
    free(r.host);
    return rc;
}
