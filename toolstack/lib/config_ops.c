/* SPDX-License-Identifier: MIT */
/* Operators of configuration files: numbers with overflow refused, text, lists, comparison, and % formatting. */
#include "config_private.h"

#include <stdio.h>
#include <string.h>

static struct cfg_value *op_fail(struct cfg *c, const struct cfg_token *op, const struct cfg_value *a, const struct cfg_value *b)
{
    cfg_fail(c, op, "cannot be used between %s and %s%s", val_kind_name(a), val_kind_name(b),
             tok_is(op, "+") && (a->kind == V_STR || b->kind == V_STR) ? "; make it text with str(...)" : "");
    return NULL;
}

/* As Python 2 divides: towards minus infinity. */
static int64_t div_floor(int64_t a, int64_t b)
{
    int64_t q = a / b;

    return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}

static bool int_power(int64_t a, int64_t b, int64_t *r)
{
    *r = 1;
    if (b < 0)
        return false;
    if (a == 0 || a == 1)
        *r = b ? a : 1;
    else
        for (; b > 0; b--)
            if (__builtin_mul_overflow(*r, a, r))
                return false;
    return true;
}

static struct cfg_value *binary_int(struct cfg *c, const struct cfg_token *op, const struct cfg_token *at, int64_t a, int64_t b)
{
    int64_t r = 0;
    bool ok = true;

    if ((tok_is(op, "/") || tok_is(op, "//") || tok_is(op, "%")) && (b == 0 || (a == INT64_MIN && b == -1))) {
        cfg_fail(c, op, b == 0 ? "division by zero" : "number too large (63 bits)");
        return NULL;
    }
    if (tok_is(op, "+"))
        ok = !__builtin_add_overflow(a, b, &r);
    else if (tok_is(op, "-"))
        ok = !__builtin_sub_overflow(a, b, &r);
    else if (tok_is(op, "*"))
        ok = !__builtin_mul_overflow(a, b, &r);
    else if (tok_is(op, "**"))
        ok = int_power(a, b, &r);
    else if (tok_is(op, "%"))
        r = a - b * div_floor(a, b);
    else if (tok_is(op, "/") || tok_is(op, "//"))
        r = div_floor(a, b);
    else if (tok_is(op, "|"))
        r = a | b;
    else if (tok_is(op, "&"))
        r = a & b;
    else if (tok_is(op, "^"))
        r = a ^ b;
    else if (tok_is(op, ">>"))
        r = (ok = b >= 0) ? a >> (b > 63 ? 63 : b) : 0;
    else
        ok = b >= 0 && b < 63 && !__builtin_mul_overflow(a, (int64_t)1 << b, &r);
    if (!ok) {
        cfg_fail(c, op, "number too large (63 bits), or a negative count");
        return NULL;
    }
    return val_int(c, at, r);
}

static struct cfg_value *repeat(struct cfg *c, const struct cfg_token *op, struct cfg_value *v, int64_t times)
{
    uint64_t unit = v->kind == V_STR ? v->len : v->n, n;
    struct cfg_value *r = val_new(c, v->kind, v->at);

    times = times < 0 ? 0 : times;
    if (__builtin_mul_overflow(unit, (uint64_t)times, &n) || n > CFG_MAX_BYTES) {
        cfg_fail(c, op, "repeated too often, the result has more than %u parts", CFG_MAX_BYTES);
        return NULL;
    }
    if (!r || v->kind != V_STR) {
        for (uint64_t i = 0; r && i < n; i++)
            if (!val_append(c, r, v->item[i % unit]))
                return NULL;
        return r;
    }
    char *s = cfg_alloc(c, n + 1);
    if (!s)
        return NULL;
    for (uint64_t i = 0; i < n; i++)
        s[i] = v->str[i % unit];
    r->str = s;
    r->len = n;
    return r;
}

static struct cfg_value *join(struct cfg *c, struct cfg_value *a, struct cfg_value *b)
{
    struct cfg_value *r = val_new(c, a->kind, a->at);

    if (!r)
        return NULL;
    if (a->kind == V_STR) {
        char *s = cfg_alloc(c, a->len + b->len + 1);

        if (!s)
            return NULL;
        memcpy(s, a->str, a->len);
        memcpy(s + a->len, b->str, b->len);
        r->str = s;
        r->len = a->len + b->len;
        return r;
    }
    for (unsigned i = 0; i < a->n; i++)
        if (!val_append(c, r, a->item[i]))
            return NULL;
    for (unsigned i = 0; i < b->n; i++)
        if (!val_append(c, r, b->item[i]))
            return NULL;
    return r;
}

static bool is_number(const struct cfg_value *v)
{
    return v->kind == V_INT || v->kind == V_BOOL;
}

static bool is_sequence(const struct cfg_value *v)
{
    return v->kind == V_STR || v->kind == V_LIST || v->kind == V_TUPLE;
}

static struct cfg_value *op_in(struct cfg *c, const struct cfg_token *op, struct cfg_value *a, struct cfg_value *b)
{
    if (b->kind == V_STR && a->kind == V_STR)
        return val_bool(c, op, memmem(b->str, b->len, a->str, a->len) != NULL);
    if (b->kind == V_DICT) {
        bool found = val_dict_find(c, b, a) != NULL;

        return c->rc ? NULL : val_bool(c, op, found);
    }
    if (b->kind != V_LIST && b->kind != V_TUPLE)
        return op_fail(c, op, a, b);
    bool found = false;
    for (unsigned i = 0; i < b->n && !found && !c->rc; i++)
        found = val_equal(c, b->item[i], a, 0);
    return c->rc ? NULL : val_bool(c, op, found);
}

static struct cfg_value *op_order(struct cfg *c, const struct cfg_token *op, struct cfg_value *a, struct cfg_value *b)
{
    int order;

    if (is_number(a) && is_number(b))
        order = a->num < b->num ? -1 : a->num > b->num;
    else if (a->kind == V_STR && b->kind == V_STR) {
        order = memcmp(a->str, b->str, a->len < b->len ? a->len : b->len);
        order = order ? order : a->len < b->len ? -1 : a->len > b->len;
    } else
        return op_fail(c, op, a, b);
    return val_bool(c, op, *op->text == '<' ? (op->len == 2 ? order <= 0 : order < 0) : op->len == 2 ? order >= 0 : order > 0);
}

struct cfg_value *cfg_binary(struct cfg *c, const struct cfg_token *op, struct cfg_value *a, struct cfg_value *b)
{
    if (tok_is(op, "==") || tok_is(op, "!=") || tok_is(op, "<>") || tok_is(op, "is")) {
        bool same = val_equal(c, a, b, 0);

        return c->rc ? NULL : val_bool(c, op, same == (tok_is(op, "==") || tok_is(op, "is")));
    }
    if (tok_is(op, "in"))
        return op_in(c, op, a, b);
    if (tok_is(op, "<") || tok_is(op, ">") || tok_is(op, "<=") || tok_is(op, ">="))
        return op_order(c, op, a, b);
    if (*op->text == '%' && a->kind == V_STR)
        return cfg_format(c, op, a, b);
    if (is_number(a) && is_number(b))
        return binary_int(c, op, a->at, a->num, b->num);
    if (*op->text == '+' && a->kind == b->kind && is_sequence(a))
        return join(c, a, b);
    if (*op->text == '*' && op->len == 1 && is_sequence(a) && is_number(b))
        return repeat(c, op, a, b->num);
    if (*op->text == '*' && op->len == 1 && is_number(a) && is_sequence(b))
        return repeat(c, op, b, a->num);
    return op_fail(c, op, a, b);
}

/* The state of one "text" % argument. */
struct format {
    struct cfg *c;
    const struct cfg_token *op;
    const char *p, *end;
    struct cfg_value *arg;
    unsigned next;
    struct cfg_value *out;          /* V_STR; its str grows */
    size_t room;
};

static bool format_add(struct format *f, const char *s, size_t len)
{
    if (f->room < f->out->len + len + 1) {
        size_t room = 2 * (f->out->len + len) + 64;
        char *more = cfg_alloc(f->c, room);

        if (!more)
            return false;
        if (f->out->len)
            memcpy(more, f->out->str, f->out->len);
        f->out->str = more;
        f->room = room;
    }
    memcpy((char *)f->out->str + f->out->len, s, len);
    f->out->len += len;
    return true;
}

static struct cfg_value *format_argument(struct format *f)
{
    if (f->p < f->end && *f->p == '(') {
        const char *close = memchr(f->p, ')', (size_t)(f->end - f->p));
        struct cfg_value *key, *v;

        if (!close || f->arg->kind != V_DICT) {
            cfg_fail(f->c, f->op, "%%(name) in the text needs a dictionary on the right");
            return NULL;
        }
        if (!(key = val_str(f->c, f->op, f->p + 1, (size_t)(close - f->p - 1))))
            return NULL;
        f->p = close + 1;
        if (!(v = val_dict_find(f->c, f->arg, key)))
            cfg_fail(f->c, f->op, "the dictionary on the right has no '%s'", key->str);
        return v;
    }
    if (f->arg->kind != V_TUPLE)
        return f->next++ ? (cfg_fail(f->c, f->op, "more than one %% in the text; give (a, b) on the right"), NULL) : f->arg;
    if (f->next >= f->arg->n) {
        cfg_fail(f->c, f->op, "the text has more %% than there are values on the right");
        return NULL;
    }
    return f->arg->item[f->next++];
}

static bool format_number(struct format *f, const char *flags, int width, int precision, char kind, struct cfg_value *v)
{
    char pattern[32], text[1200];
    int64_t num = v->num;

    if (v->kind == V_STR ? !text_to_int(v->str, v->len, &num) : !is_number(v)) {
        cfg_fail(f->c, f->op, "%%%c in the text needs a number, this is %s", kind, val_kind_name(v));
        return false;
    }
    if (precision >= 0)
        snprintf(pattern, sizeof(pattern), "%%%s%d.%dll%c", flags, width, precision, kind);
    else if (width)
        snprintf(pattern, sizeof(pattern), "%%%s%dll%c", flags, width, kind);
    else
        snprintf(pattern, sizeof(pattern), "%%%sll%c", flags, kind);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int n = snprintf(text, sizeof(text), pattern, (long long)num);
#pragma GCC diagnostic pop
    return n >= 0 && format_add(f, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

static bool format_text(struct format *f, bool left, int width, int precision, char kind, struct cfg_value *v)
{
    struct cfg_value *s = val_to_str(f->c, f->op, v, kind == 'r');

    if (!s)
        return false;
    size_t len = precision >= 0 && (size_t)precision < s->len ? (size_t)precision : s->len;
    size_t pad = (size_t)width > len ? (size_t)width - len : 0;
    bool ok = !left || format_add(f, s->str, len);
    while (ok && pad--)
        ok = format_add(f, " ", 1);
    return ok && (left || format_add(f, s->str, len));
}

static int format_width(struct format *f)
{
    int n = 0;

    for (; f->p < f->end && *f->p >= '0' && *f->p <= '9'; f->p++)
        n = n > 1000 ? n : n * 10 + (*f->p - '0');
    return n > 1000 ? 1000 : n;
}

/* Behind a '%'. */
static bool format_one(struct format *f)
{
    char flags[8] = "";
    int precision = -1;
    size_t n = 0;

    if (f->p < f->end && *f->p == '%')
        return f->p++, format_add(f, "%", 1);
    struct cfg_value *v = format_argument(f);
    if (!v)
        return false;
    for (; f->p < f->end && *f->p && strchr("0-+ #", *f->p); f->p++)
        if (n < 5 && !strchr(flags, *f->p))
            flags[n++] = *f->p, flags[n] = 0;
    int width = format_width(f);
    if (f->p < f->end && *f->p == '.')
        f->p++, precision = format_width(f);
    while (f->p < f->end && (*f->p == 'l' || *f->p == 'h'))
        f->p++;
    char kind = f->p < f->end ? *f->p++ : 0;
    if (kind && strchr("diuxXo", kind))
        return format_number(f, flags, width, precision, kind == 'u' || kind == 'i' ? 'd' : kind, v);
    if (kind == 's' || kind == 'r')
        return format_text(f, strchr(flags, '-') != NULL, width, precision, kind, v);
    if (kind)
        cfg_fail(f->c, f->op, "%%%c in the text is not known; known are %%s %%d %%x %%o %%r %%%%", kind);
    else
        cfg_fail(f->c, f->op, "the text ends in a %%; write %%%%");
    return false;
}

struct cfg_value *cfg_format(struct cfg *c, const struct cfg_token *op, struct cfg_value *text, struct cfg_value *arg)
{
    struct format f = { .c = c, .op = op, .p = text->str, .end = text->str + text->len, .arg = arg,
                        .out = val_new(c, V_STR, text->at) };

    if (!f.out || !format_add(&f, "", 0))
        return NULL;
    while (f.p < f.end) {
        const char *percent = memchr(f.p, '%', (size_t)(f.end - f.p));
        size_t len = percent ? (size_t)(percent - f.p) : (size_t)(f.end - f.p);

        if (!format_add(&f, f.p, len))
            return NULL;
        f.p += len;
        if (percent && (f.p++, !format_one(&f)))
            return NULL;
    }
    if (arg->kind == V_TUPLE ? f.next < arg->n : arg->kind != V_DICT && arg->kind != V_LIST && !f.next) {
        cfg_fail(c, op, "there are more values on the right than %% in the text");
        return NULL;
    }
    return f.out;
}
