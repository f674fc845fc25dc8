/* SPDX-License-Identifier: MIT */
/*
 * Random operations inside and outside transactions, beside a model that copies everything: the same answers, the same
 * conflicts, the same tree after each commit. And versions of directories under random changes.
 * sources: toolstack/xenstored/strmap.c toolstack/xenstored/tree.c toolstack/xenstored/kids.c toolstack/xenstored/watch.c toolstack/xenstored/owner.c toolstack/xenstored/trans.c toolstack/xenstored/edit.c toolstack/xenstored/xstore.c toolstack/xenstored/forget.c toolstack/xenstored/conn.c toolstack/xenstored/proto.c toolstack/xenstored/proto_dom.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store_env.h"

#define NAMES 3
#define NODES 40          /* the root, 3, 9 and 27 below it: node i has the children 3i+1 .. 3i+3 */
#define TRANS 4
#define OPS 64

struct model_op {
    int op, node, value;
    bool is_one;
};

struct model {
    bool is[NODES];
    int value[NODES], owner[NODES];
    unsigned version[NODES], kids[NODES], tree[NODES];    /* of value, set of children, everything below */
    /* Of a transaction: what it touched, what it did. */
    bool t_is[NODES], t_value[NODES], t_kids[NODES], t_tree[NODES], t_owner[NODES];
    struct model_op op[OPS];
    int ops;
};

static const struct who one = { .domid = 1, .target = NO_DOMAIN };
static unsigned versions, seed;
static char path_text[NODES][16];

static unsigned pick(unsigned n)
{
    seed = seed * 1103515245u + 12345u;
    return (seed >> 12) % n;
}

static int up(int node)
{
    return (node - 1) / NAMES;
}

static void touch_tree(struct model *m, int node)
{
    for (;; node = up(node)) {
        m->tree[node] = ++versions;
        if (!node)
            return;
    }
}

static void make(struct model *m, int node, bool is_one)
{
    if (m->is[node])
        return;
    make(m, up(node), is_one);
    m->is[node] = true;
    m->value[node] = 0;
    m->owner[node] = is_one ? 1 : m->owner[up(node)];
    m->version[node] = ++versions;
    m->kids[node] = ++versions;
    m->kids[up(node)] = ++versions;
    touch_tree(m, node);
}

static void drop(struct model *m, int node)
{
    int i;

    m->is[node] = false;
    for (i = 1; i <= NAMES; i++)
        if (node * NAMES + i < NODES && m->is[node * NAMES + i])
            drop(m, node * NAMES + i);
}

/* The change alone. */
static void apply(struct model *m, const struct model_op *o)
{
    if (o->op == XS_RM) {
        drop(m, o->node);
        m->kids[up(o->node)] = ++versions;
        touch_tree(m, up(o->node));
        return;
    }
    make(m, o->node, o->is_one);
    if (o->op == XS_WRITE) {
        m->value[o->node] = o->value;
        m->version[o->node] = ++versions;
        touch_tree(m, o->node);
    }
}

static int first_missing(const struct model *m, int node)
{
    while (!m->is[up(node)])
        node = up(node);
    return node;
}

/* What the store should answer; touches and changes as it should. */
static int model_do(struct model *m, const struct model_op *o)
{
    int n = o->node;

    if (o->op == XS_READ || o->op == XS_DIRECTORY) {
        *(o->op == XS_READ ? &m->t_value[n] : &m->t_kids[n]) = true;
        return m->is[n] ? 0 : -ENOENT;
    }
    if (o->op == XS_RM) {
        if (!n)
            return -EINVAL;
        *(m->is[n] ? &m->t_tree[n] : &m->t_is[n]) = true;
        if (!m->is[n]) {
            m->t_is[up(n)] = true;
            return m->is[up(n)] ? 0 : -ENOENT;
        }
    } else {
        *(o->op == XS_WRITE ? &m->t_value[n] : &m->t_is[n]) = true;
        if (m->is[n] && o->op == XS_MKDIR)
            return 0;
        if (!m->is[n])
            m->t_is[first_missing(m, n)] = m->t_owner[up(first_missing(m, n))] = true;    /* the owner is inherited */
    }
    apply(m, o);
    m->op[m->ops++] = *o;
    return 0;
}

static int store_do(struct trans *t, const struct model_op *o)
{
    const struct who *who = o->is_one ? &one : &zero;
    struct node *n;

    switch (o->op) {
    case XS_READ: return store_find(&store, who, t, path_text[o->node], TOUCH_NODE, &n);
    case XS_DIRECTORY: return store_find(&store, who, t, path_text[o->node], TOUCH_KIDS, &n);
    case XS_WRITE: return store_write(&store, who, t, path_text[o->node], &o->value, sizeof o->value);
    case XS_MKDIR: return store_mkdir(&store, who, t, path_text[o->node]);
    default: return store_rm(&store, who, t, path_text[o->node]);
    }
}

static bool model_conflicts(const struct model *m, const struct model *base, const struct model *now)
{
    int i;

    for (i = 0; i < NODES; i++) {
        bool touched = m->t_is[i] || m->t_value[i] || m->t_kids[i] || m->t_tree[i] || m->t_owner[i];

        if (!touched)
            continue;
        if (base->is[i] != now->is[i])
            return true;
        if (!now->is[i])
            continue;
        if (m->t_owner[i] && base->owner[i] != now->owner[i])
            return true;
        if ((m->t_value[i] && base->version[i] != now->version[i]) || (m->t_kids[i] && base->kids[i] != now->kids[i]) ||
            (m->t_tree[i] && base->tree[i] != now->tree[i]))
            return true;
    }
    return false;
}

static void compare(const struct model *m, struct node *root)
{
    int i, value;

    for (i = 0; i < NODES; i++) {
        struct node *n = tree_find(root, path_text[i], NULL, NULL);

        assert_int_equal(n != NULL, m->is[i]);
        if (!n)
            continue;
        value = 0;
        if (n->value)
            memcpy(&value, n->value->bytes, sizeof value);
        assert_int_equal(value, m->value[i]);
        assert_int_equal(n->perms->list[0].domid, m->owner[i]);
    }
}

static struct model_op random_op(void)
{
    static const int op[] = { XS_READ, XS_DIRECTORY, XS_WRITE, XS_WRITE, XS_MKDIR, XS_RM };

    return (struct model_op){ .op = op[pick(6)], .node = (int)pick(4) ? (int)pick(NODES) : (int)pick(13), .value = (int)pick(1000) + 1,
                              .is_one = pick(3) == 0 };
}

static unsigned commits, conflicts;

static void end_transaction(struct model *now, struct model *m, const struct model *base, struct trans *t)
{
    bool conflict = model_conflicts(m, base, now);
    int i;

    assert_int_equal(trans_end(&store, t, true), conflict ? -EAGAIN : 0);
    if (conflict) {
        conflicts++;
        return;
    }
    commits++;
    for (i = 0; i < m->ops; i++)
        apply(now, &m->op[i]);
}

static void run(unsigned start, int rounds)
{
    static const struct perm open = { 0, PERM_BOTH };
    struct model now = { .is = { true } }, copy[TRANS], base[TRANS];
    struct trans *t[TRANS] = { NULL };
    int i, k;

    seed = start;
    env_start();
    store_set_perms(&store, &zero, NULL, "/", &open, 1);
    store.owners.limit[QUOTA_NODES] = 0;
    for (i = 0; i < rounds; i++) {
        struct model_op o = random_op();

        k = (int)pick(TRANS + 2) - 2;    /* outside, or in one of the transactions */
        if (k >= 0 && !t[k]) {
            assert_int_equal(trans_start(&store, o.is_one ? &one : &zero, &t[k]), 0);
            copy[k] = base[k] = now;
            memset(copy[k].t_is, 0, sizeof copy[k].t_is * 5);
            copy[k].ops = 0;
        } else if (k >= 0 && (pick(6) == 0 || copy[k].ops == OPS)) {
            end_transaction(&now, &copy[k], &base[k], t[k]);
            t[k] = NULL;
        } else if (k >= 0) {
            o.is_one = t[k]->who.domid;
            assert_int_equal(store_do(t[k], &o), model_do(&copy[k], &o));
            compare(&copy[k], t[k]->root);
        } else {
            now.ops = 0;
            assert_int_equal(store_do(NULL, &o), model_do(&now, &o));
        }
        compare(&now, store.root);
        assert_null(store_check(&store));
    }
    for (k = 0; k < TRANS; k++)
        if (t[k])
            trans_end(&store, t[k], false);
    store_free(&store);
}

static void test_transactions(void **state)
{
    unsigned s;

    for (s = 1; s <= 40; s++)
        run(s * 7919, 400);
    /* Both happen often, or this proves nothing. */
    assert_true(commits > 300);
    assert_true(conflicts > 300);
}

/* Versions of one directory: each stays what it was when it was kept. */
static void test_versions(void **state)
{
    enum { MAX = 300, KEPT = 8 };
    bool have[MAX] = { false }, kept_have[KEPT][MAX];
    struct node *root, *kept[KEPT] = { NULL };
    static const struct perm nobody = { 0, 0 };
    char name[8];
    int i, k, round;

    seed = 42;
    root = node_new("", 0, perms_new(&nobody, 1, 0), NULL, 1);
    for (round = 0; round < 6000; round++) {
        root = node_own(root);
        i = (int)pick(MAX);
        snprintf(name, sizeof name, "%d", i);
        if (have[i])
            node_put(kids_remove(&root->kids, name, strlen(name)));
        else
            kids_insert(&root->kids, node_new(name, strlen(name), perms_get(root->perms), NULL, 1));
        have[i] = !have[i];
        k = (int)pick(KEPT);
        if (!pick(10)) {
            if (kept[k])
                node_put(kept[k]);
            kept[k] = node_get(root);
            memcpy(kept_have[k], have, sizeof have);
        } else if (kept[k]) {
            assert_int_equal(kids_find(kept[k]->kids, name, strlen(name)) != NULL, kept_have[k][i]);
        }
        if (round % 16 == 0) {
            assert_true(tree_check(root, NULL) > 0);
            for (k = 0; k < KEPT; k++)
                assert_true(!kept[k] || tree_check(kept[k], NULL) > 0);
        }
    }
    for (k = 0; k < KEPT; k++)
        if (kept[k])
            node_put(kept[k]);
    node_put(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_transactions), cmocka_unit_test(test_versions) };
    int i;

    strcpy(path_text[0], "/");
    for (i = 1; i < NODES; i++)
        snprintf(path_text[i], sizeof path_text[i], "%s/%c", up(i) ? path_text[up(i)] : "", 'a' + (i - 1) % NAMES);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
