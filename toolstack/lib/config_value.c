/* SPDX-License-Identifier: MIT */
/* What a run of a configuration file works with: its memory, values, and messages that say where. */
#include "config_private.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"

struct cfg_chunk {
    struct cfg_chunk *next;
    size_t size, used;
    max_align_t data[];
};

void *cfg_alloc(struct cfg *c, size_t bytes)
{
    struct cfg_chunk *k = c->arena.chunks;

    bytes = (bytes + sizeof(max_align_t) - 1) & ~(sizeof(max_align_t) - 1);
    if (bytes > CFG_MAX_MEMORY || c->arena.used + bytes > CFG_MAX_MEMORY) {
        static const char why[] = "more than 16 MiB are needed here; is a text or list repeated too often?";

        _Static_assert(CFG_MAX_MEMORY == 16u << 20, "the text above says it");
        if (c->tok)
            cfg_fail(c, c->tok, "%s", why);
        else if (!c->rc)
            c->rc = fault(-E2BIG, "%s", why);
        return NULL;
    }
    if (!k || k->size - k->used < bytes) {
        size_t size = bytes > 16384 ? bytes : 16384;

        k = calloc(1, sizeof(*k) + size);
        if (!k) {
            c->rc = fault(-ENOMEM, "reading the configuration: out of memory");
            return NULL;
        }
        k->size = size;
        k->next = c->arena.chunks;
        c->arena.chunks = k;
    }
    void *p = (char *)k->data + k->used;
    k->used += bytes;
    c->arena.used += bytes;
    return p;
}

void cfg_arena_free(struct cfg_arena *a)
{
    for (struct cfg_chunk *k = a->chunks, *next; k; k = next) {
        next = k->next;
        free(k);
    }
    *a = (struct cfg_arena){ 0 };
}

char *cfg_copy(struct cfg *c, const char *s, size_t len)
{
    char *p = cfg_alloc(c, len + 1);

    if (p)
        memcpy(p, s, len);
    return p;
}

/* A word fit for one line of a message. */
static void word_print(char *out, size_t room, const char *s, size_t len)
{
    size_t n = 0, max = 60;

    for (size_t i = 0; i < len && n + 8 < room; i++) {
        if (i == max) {
            memcpy(out + n, "...", 3);
            n += 3;
            break;
        }
        unsigned char ch = (unsigned char)s[i];
        if (ch == '\n')
            break;
        if (ch < 0x20 || ch == 0x7f)
            n += (size_t)snprintf(out + n, room - n, "\\x%02x", ch);
        else
            out[n++] = (char)ch;
    }
    out[n] = 0;
}

static int fail_at(struct cfg *c, const struct cfg_token *at, int col, const char *word, size_t len, const char *format,
                   va_list args)
{
    char shown[128], why[512];

    if (c->rc)
        return c->rc;
    vsnprintf(why, sizeof(why), format, args);
    if (!len)
        snprintf(shown, sizeof(shown), at->kind == TOK_END || at->kind == TOK_NEWLINE ? "end of line" : "");
    else
        word_print(shown, sizeof(shown), word, len);
    return c->rc = fault(-EINVAL, "%s:%d:%d: '%s': %s", at->src->name, at->line, col, shown, why);
}

int cfg_fail(struct cfg *c, const struct cfg_token *at, const char *format, ...)
{
    bool none = at->kind == TOK_NEWLINE || at->kind == TOK_END;
    const char *word = at->kind == TOK_STR && at->plain ? at->str : at->text;
    size_t len = at->kind == TOK_STR && at->plain ? at->str_len : none ? 0 : at->len;
    va_list args;

    va_start(args, format);
    int rc = fail_at(c, at, at->col + (at->kind == TOK_STR && at->plain), word, len, format, args);
    va_end(args);
    return rc;
}

int cfg_fail_word(struct cfg *c, const struct cfg_value *v, size_t offset, size_t len, const char *format, ...)
{
    int col = v->plain ? v->at->col + (v->at->kind == TOK_STR) + (int)offset : v->at->col;
    const char *text = v->kind == V_STR ? v->str + offset : v->at->text;
    va_list args;

    if (v->kind != V_STR)
        len = v->at->len;
    va_start(args, format);
    int rc = fail_at(c, v->at, col, text, len, format, args);
    va_end(args);
    return rc;
}

void cfg_warn(const struct cfg_token *at, const char *format, ...)
{
    char shown[128], why[512];
    va_list args;

    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    word_print(shown, sizeof(shown), at->text, at->len);
    warn("%s:%d:%d: '%s': %s", at->src->name, at->line, at->col, shown, why);
}

struct cfg_value *val_new(struct cfg *c, enum cfg_kind kind, const struct cfg_token *at)
{
    struct cfg_value *v = cfg_alloc(c, sizeof(*v));

    if (v) {
        v->kind = kind;
        v->at = at;
    }
    return v;
}

struct cfg_value *val_int(struct cfg *c, const struct cfg_token *at, int64_t n)
{
    struct cfg_value *v = val_new(c, V_INT, at);

    if (v)
        v->num = n;
    return v;
}

struct cfg_value *val_bool(struct cfg *c, const struct cfg_token *at, bool b)
{
    struct cfg_value *v = val_new(c, V_BOOL, at);

    if (v)
        v->num = b;
    return v;
}

struct cfg_value *val_str(struct cfg *c, const struct cfg_token *at, const char *s, size_t len)
{
    struct cfg_value *v = val_new(c, V_STR, at);

    if (!v || !(v->str = cfg_copy(c, s, len)))
        return NULL;
    v->len = len;
    return v;
}

bool val_append(struct cfg *c, struct cfg_value *list, struct cfg_value *item)
{
    if (!item)
        return false;
    if (list->n == list->room) {
        unsigned room = list->room ? 2 * list->room : 4;
        struct cfg_value **more = cfg_alloc(c, room * sizeof(*more));

        if (!more)
            return false;
        if (list->n)
            memcpy(more, list->item, list->n * sizeof(*more));
        list->item = more;
        list->room = room;
    }
    list->item[list->n++] = item;
    return true;
}

struct cfg_value *val_dict_find(struct cfg *c, const struct cfg_value *dict, const struct cfg_value *key)
{
    for (unsigned i = 0; i + 1 < dict->n && !c->rc; i += 2)
        if (val_equal(c, dict->item[i], key, 0))
            return dict->item[i + 1];
    return NULL;
}

bool val_true(const struct cfg_value *v)
{
    switch (v->kind) {
    case V_NONE: return false;
    case V_BOOL:
    case V_INT: return v->num != 0;
    case V_STR: return v->len != 0;
    case V_LIST:
    case V_TUPLE:
    case V_DICT: return v->n != 0;
    default: return true;
    }
}

bool val_equal(struct cfg *c, const struct cfg_value *a, const struct cfg_value *b, int depth)
{
    bool number = (a->kind == V_INT || a->kind == V_BOOL) && (b->kind == V_INT || b->kind == V_BOOL);

    if (a == b || cfg_step(c))
        return a == b;
    if (number)
        return a->num == b->num;
    if (a->kind != b->kind || depth > CFG_MAX_DEPTH)
        return false;
    if (a->kind == V_STR)
        return a->len == b->len && memcmp(a->str, b->str, a->len) == 0;
    if (a->kind != V_LIST && a->kind != V_TUPLE && a->kind != V_DICT)
        return a->kind == V_NONE;
    if (a->n != b->n)
        return false;
    for (unsigned i = 0; i < a->n; i++)
        if (!val_equal(c, a->item[i], b->item[i], depth + 1))
            return false;
    return true;
}

const char *val_kind_name(const struct cfg_value *v)
{
    static const char *const names[] = { "None", "a truth value", "a number", "text", "a list", "a tuple", "a dictionary",
                                         "a module", "a function", "a function", "a function" };
    return names[v->kind];
}

struct text { struct cfg *c; char *s; size_t n, room; };

static bool text_add(struct text *t, const char *s, size_t len)
{
    if (t->room - t->n < len + 1) {
        size_t room = 2 * (t->n + len) + 64;
        char *more = cfg_alloc(t->c, room);

        if (!more)
            return false;
        if (t->n)
            memcpy(more, t->s, t->n);
        t->s = more;
        t->room = room;
    }
    memcpy(t->s + t->n, s, len);
    t->n += len;
    return true;
}

static bool text_add_quoted(struct text *t, const struct cfg_value *v)
{
    bool ok = text_add(t, "'", 1);

    for (size_t i = 0; i < v->len && ok; i++) {
        char e[2] = { '\\', v->str[i] == '\n' ? 'n' : v->str[i] };
        bool escape = strchr("\\'\n", v->str[i]) != NULL;

        ok = text_add(t, e + !escape, escape ? 2 : 1);
    }
    return ok && text_add(t, "'", 1);
}

static bool text_add_value(struct text *t, const struct cfg_value *v, bool quoted, int depth)
{
    static const char *const open[] = { "[", "(", "{" }, *const close[] = { "]", ")", "}" };
    char num[32];

    if (cfg_step(t->c))
        return false;
    switch (v->kind) {
    case V_NONE: return text_add(t, "None", 4);
    case V_BOOL: return text_add(t, v->num ? "True" : "False", v->num ? 4 : 5);
    case V_INT: return text_add(t, num, (size_t)snprintf(num, sizeof(num), "%lld", (long long)v->num));
    case V_STR: return quoted ? text_add_quoted(t, v) : text_add(t, v->str, v->len);
    case V_LIST:
    case V_TUPLE:
    case V_DICT: break;
    default: return text_add(t, v->str, strlen(v->str));
    }
    if (depth > CFG_MAX_DEPTH)
        return text_add(t, "...", 3);
    bool ok = text_add(t, open[v->kind - V_LIST], 1);
    for (unsigned i = 0; i < v->n && ok; i++) {
        const char *between = v->kind == V_DICT && i % 2 ? ": " : ", ";

        ok = (i == 0 || text_add(t, between, 2)) && text_add_value(t, v->item[i], true, depth + 1);
    }
    if (ok && v->kind == V_TUPLE && v->n == 1)
        ok = text_add(t, ",", 1);
    return ok && text_add(t, close[v->kind - V_LIST], 1);
}

struct cfg_value *val_to_str(struct cfg *c, const struct cfg_token *at, const struct cfg_value *v, bool quoted)
{
    struct text t = { .c = c };
    struct cfg_value *s;

    if (!text_add_value(&t, v, quoted, 0) || !(s = val_new(c, V_STR, at)))
        return NULL;
    s->str = t.s;
    s->len = t.n;
    return s;
}
