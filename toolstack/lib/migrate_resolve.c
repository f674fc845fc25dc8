/* SPDX-License-Identifier: MIT */
/*
 * Moves whose process is gone. The source's journal says whether it had committed; if so, the target is asked. The target's
 * says whether it was prepared; if so, it waits to be asked.
 */
#include "migrate.h"
#include "fault.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#define FORGET_S (7 * 24 * 3600) /* a source that asks later than that is told "nothing" only if the guest is not here */

static void say(FILE *report, const struct journal *j, const char *what)
{
    if (report)
        fprintf(report, "%s: %s\n", j->name, what);
}

/* Asks the target; state is a copy of its word. The wire stays open for what comes after. */
static int ask(const struct migrate_ops *ops, void *arg, const struct journal *j, bool committed, struct wire *w, char state[16])
{
    struct json_object *o = json_object_new_object(), *in = NULL;
    const char *word;
    int rc = ops->connect(arg, j, w);

    json_object_object_add(o, "token", json_object_new_string(j->token));
    json_object_object_add(o, "committed", json_object_new_boolean(committed));
    if (!rc) {
        rc = wire_hello(w, NULL);
        rc = rc ? rc : wire_send(w, WIRE_RESOLVE, o);
        rc = rc ? rc : wire_expect(w, WIRE_STATE, &in, w->silence_ms);
        rc = rc ? rc : wire_text(in, "state", 15, &word);
        if (!rc)
            snprintf(state, 16, "%s", word);
    }
    json_object_put(o);
    json_object_put(in);
    return rc;
}

/* Ours alone: of this boot, and the same guest. */
static enum migrate_guest look(const struct migrate_ops *ops, void *arg, const struct journal *j)
{
    return journal_is_of_this_boot(j) && j->domid != JOURNAL_NO_DOMAIN ? ops->look(arg, j->domid, j->uuid) : GUEST_ABSENT;
}

/* Once only: whoever suspends or logs it afterwards does so for a reason of his own. */
static int resume_here(const struct migrate_ops *ops, void *arg, struct journal *j)
{
    int rc = j->step == STEP_ABORTED || j->step == STEP_RESUMED ? 0 : journal_step(j, STEP_ABORTED);

    if (rc || j->step == STEP_RESUMED)
        return rc;
    if (look(ops, arg, j) != GUEST_ABSENT)
        rc = ops->resume(arg, j->domid);
    return rc ? rc : journal_step(j, STEP_RESUMED);
}

static int destroy_here(const struct migrate_ops *ops, void *arg, struct journal *j)
{
    int rc = j->step == STEP_DESTROYING ? 0 : journal_step(j, STEP_DESTROYING);

    return rc || look(ops, arg, j) == GUEST_ABSENT ? rc : ops->destroy(arg, j->domid);
}

/* It has not committed: it runs here, and the target is told to drop what it has. */
static int end_aborted(const struct migrate_ops *ops, void *arg, struct journal *j, FILE *report)
{
    bool could_be_prepared = j->step != STEP_BEGIN;
    struct wire w = { .in = -1, .out = -1, .broken = true };
    char state[16] = "";
    int rc = resume_here(ops, arg, j);

    if (rc)
        return rc;
    say(report, j, "runs on here, the move was broken off");
    rc = could_be_prepared ? ask(ops, arg, j, false, &w, state) : 0;
    wire_end(&w);
    if (rc) {
        journal_leave(j); /* the target keeps it paused until it is told */
        return rc;
    }
    return journal_end(j);
}

static int end_committed(const struct migrate_ops *ops, void *arg, struct journal *j, FILE *report)
{
    struct wire w = { .in = -1, .out = -1, .broken = true };
    char state[16] = "";
    int rc = j->step == STEP_DESTROYING ? 0 : ask(ops, arg, j, true, &w, state);

    if (rc) {
        wire_end(&w);
        return rc;
    }
    if (!strcmp(state, "nothing")) {
        rc = resume_here(ops, arg, j);
        say(report, j, rc ? "could not be resumed here" : "runs on here: the other host had lost it");
    } else if (j->step == STEP_DESTROYING || !strcmp(state, "running") || !strcmp(state, "ran")) {
        rc = destroy_here(ops, arg, j);
        say(report, j, !strcmp(state, "ran") ? "ran on the other host and has ended there" : "runs on the other host");
        /* After a death in this step the target was not told; it forgets it when it is, or at its next start. */
        if (!rc && !state[0] && !ask(ops, arg, j, true, &w, state))
            fault_clear();
        if (!rc && !w.broken)
            wire_send(&w, WIRE_DESTROYED, NULL);
    } else {
        rc = fault(-EPROTO, "host %s: answers '%s'", j->host, state);
    }
    wire_end(&w);
    fault_clear();
    return rc ? rc : journal_end(j);
}

/* Not prepared: it goes. Prepared: it stays as it is until the source asks. Decided: it runs. */
static int end_incoming(const struct migrate_ops *ops, void *arg, struct journal *j, FILE *report)
{
    const char *state;
    int rc;

    if (j->step == STEP_RUNS && journal_age(j) <= FORGET_S)
        return 0;               /* remembered until the source says that its copy is gone */
    if (j->step == STEP_PREPARED && look(ops, arg, j) != GUEST_ABSENT) {
        say(report, j, "is complete here and paused; the source says what comes next");
        return fault(-EAGAIN, "guest %s: host %s has to say whether it runs here", j->name, j->host);
    }
    rc = migrate_settle(ops, arg, j, false, &state);
    if (rc)
        return rc;
    say(report, j, !strcmp(state, "nothing") ? "did not arrive; nothing of it is left here" : "has arrived and runs here");
    return j->step == STEP_RUNS && journal_age(j) > FORGET_S ? journal_end(j) : 0;
}

int migrate_resolve_one(const struct migrate_ops *ops, void *arg, const char *path, FILE *report)
{
    struct journal j;
    int rc = journal_open(&j, path);

    if (rc)
        return rc == -ENOENT ? 0 : rc;
    if (j.step == STEP_NONE)
        return journal_end(&j);             /* died before its first line was whole: nothing was done */
    if (!j.out)
        rc = end_incoming(ops, arg, &j, report);
    else if (j.step == STEP_COMMITTED || j.step == STEP_DESTROYING)
        rc = end_committed(ops, arg, &j, report);
    else
        rc = end_aborted(ops, arg, &j, report);
    if (rc && report && rc != -EAGAIN)
        fprintf(report, "%s: cannot be resolved yet: %s\n", j.name, fault_text());
    journal_leave(&j);
    return rc;
}

int migrate_resolve_all(const struct migrate_ops *ops, void *arg, FILE *report)
{
    char **list = journal_list();
    int left = 0;

    for (unsigned i = 0; list && list[i]; i++) {
        int rc = migrate_resolve_one(ops, arg, list[i], report);

        left += rc && rc != -EBUSY;
        fault_clear();
    }
    free(list);
    return left;
}

static int force(const struct migrate_ops *ops, void *arg, struct journal *j, bool take)
{
    const char *state;
    int rc;

    if (j->out && j->step == STEP_COMMITTED)
        rc = take ? resume_here(ops, arg, j) : destroy_here(ops, arg, j);
    else if (!j->out && j->step == STEP_PREPARED)
        return migrate_settle(ops, arg, j, take, &state);
    else
        return fault(-EINVAL, "guest %s: nothing is undecided here (step %s); xm migrate --resolve", j->name, journal_step_name(j->step));
    return rc ? rc : journal_end(j);
}

int migrate_force(const struct migrate_ops *ops, void *arg, const char *name, bool take)
{
    char **list = journal_list();
    int rc = 0, found = 0;

    for (unsigned i = 0; list && list[i] && !rc; i++) {
        struct journal j;

        rc = journal_open(&j, list[i]);
        if (!rc && !strcmp(j.name, name) && (j.step == STEP_COMMITTED || j.step == STEP_PREPARED) && ++found)
            rc = force(ops, arg, &j, take);
        else if (rc == -EBUSY && !strcmp(j.name, name))
            rc = fault(-EBUSY, "guest %s: process %d works on its move; end that first", name, j.pid);
        else if (rc == -EBUSY || rc == -ENOENT)
            rc = 0;
        journal_leave(&j);
    }
    free(list);
    return rc || found ? rc : fault(-ENOENT, "guest %s: no move of it is undecided here", name);
}
