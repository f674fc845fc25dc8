/* SPDX-License-Identifier: MIT */
/*
 * Functions that configuration files call: Python's small ones, the methods of text and lists, old xm's xm_vars, and of
 * Python's modules the two that xm's own examples used: os.uname() and re.search() of a plain text. Everything else of a
 * module is refused at its place; nothing here reaches the system.
 */
#include "config_private.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

struct call {
    struct cfg *c;
    const struct cfg_token *at;
    struct cfg_value *self, *args, *named;
};

struct builtin {
    const char *name;
    unsigned min, max;              /* arguments */
    struct cfg_value *(*run)(struct call *k);
};

static struct cfg_value *nothing(struct call *k)
{
    return val_new(k->c, V_NONE, k->at);
}

static struct cfg_value *arg(struct call *k, unsigned i)
{
    return i < k->args->n ? k->args->item[i] : NULL;
}

static struct cfg_value *named(struct call *k, const char *name)
{
    struct cfg_value key = { .kind = V_STR, .str = name, .len = strlen(name) };

    return val_dict_find(k->c, k->named, &key);
}

static bool want(struct call *k, struct cfg_value *v, enum cfg_kind kind, const char *what)
{
    if (v->kind == kind || (kind == V_INT && v->kind == V_BOOL) || (kind == V_LIST && v->kind == V_TUPLE))
        return true;
    cfg_fail(k->c, v->at, "%s needs %s here, this is %s", k->at->text == v->at->text ? "this function" : "the function", what,
             val_kind_name(v));
    return false;
}

static struct cfg_value *do_str(struct call *k)
{
    return arg(k, 0) ? val_to_str(k->c, k->at, arg(k, 0), false) : val_str(k->c, k->at, "", 0);
}

static struct cfg_value *do_repr(struct call *k)
{
    return val_to_str(k->c, k->at, arg(k, 0), true);
}

static struct cfg_value *do_int(struct call *k)
{
    struct cfg_value *v = arg(k, 0);
    int64_t num;

    if (v->kind == V_INT || v->kind == V_BOOL)
        return val_int(k->c, k->at, v->num);
    if (v->kind == V_STR && arg(k, 1) && want(k, arg(k, 1), V_INT, "a base")) {
        char *end;

        errno = 0;
        num = strtoll(v->str, &end, arg(k, 1)->num < 2 || arg(k, 1)->num > 36 ? 10 : (int)arg(k, 1)->num);
        if (v->len && !*end && !errno)
            return val_int(k->c, k->at, num);
    }
    if (v->kind == V_STR && !arg(k, 1) && text_to_int(v->str, v->len, &num))
        return val_int(k->c, k->at, num);
    cfg_fail(k->c, v->at, "is no number");
    return NULL;
}

static struct cfg_value *do_bool(struct call *k)
{
    return val_bool(k->c, k->at, arg(k, 0) && val_true(arg(k, 0)));
}

static struct cfg_value *do_len(struct call *k)
{
    struct cfg_value *v = arg(k, 0);

    if (v->kind == V_STR)
        return val_int(k->c, k->at, (int64_t)v->len);
    if (v->kind == V_DICT)
        return val_int(k->c, k->at, v->n / 2);
    return want(k, v, V_LIST, "text or a list") ? val_int(k->c, k->at, v->n) : NULL;
}

static struct cfg_value *do_range(struct call *k)
{
    struct cfg_value *list = val_new(k->c, V_LIST, k->at);
    int64_t n[3] = { 0, 0, 1 };

    for (unsigned i = 0; i < k->args->n; i++) {
        if (!want(k, arg(k, i), V_INT, "numbers"))
            return NULL;
        n[k->args->n == 1 ? 1 : i] = arg(k, i)->num;
    }
    if (n[2] == 0)
        return cfg_fail(k->c, k->at, "a step of 0 goes nowhere"), NULL;
    for (int64_t i = n[0]; list && (n[2] > 0 ? i < n[1] : i > n[1]);) {
        if (cfg_step(k->c) || !val_append(k->c, list, val_int(k->c, k->at, i)) || __builtin_add_overflow(i, n[2], &i))
            return k->c->rc ? NULL : list;
    }
    return list;
}

static struct cfg_value *copy_as(struct call *k, enum cfg_kind kind)
{
    struct cfg_value *list = val_new(k->c, kind, k->at), *v = arg(k, 0);

    if (!list || !v)
        return list;
    if (v->kind == V_STR) {
        for (size_t i = 0; i < v->len; i++)
            if (!val_append(k->c, list, val_str(k->c, v->at, v->str + i, 1)))
                return NULL;
        return list;
    }
    if (v->kind != V_DICT && !want(k, v, V_LIST, "text or a list"))
        return NULL;
    for (unsigned i = 0; i < v->n; i += v->kind == V_DICT ? 2 : 1)
        if (!val_append(k->c, list, v->item[i]))
            return NULL;
    return list;
}

static struct cfg_value *do_list(struct call *k)
{
    return copy_as(k, V_LIST);
}

static struct cfg_value *do_tuple(struct call *k)
{
    return copy_as(k, V_TUPLE);
}

static struct cfg_value *do_dict(struct call *k)
{
    if (k->args->n)
        return cfg_fail(k->c, k->at, "dict(...) takes name=value here"), NULL;
    return k->named;
}

static struct cfg_value *do_abs(struct call *k)
{
    struct cfg_value *v = arg(k, 0);

    if (!want(k, v, V_INT, "a number"))
        return NULL;
    if (v->num == INT64_MIN)
        return cfg_fail(k->c, k->at, "number too large (63 bits)"), NULL;
    return val_int(k->c, k->at, v->num < 0 ? -v->num : v->num);
}

/* min, max, sum over numbers, given singly or as a list. */
static struct cfg_value *over_numbers(struct call *k, char what)
{
    struct cfg_value *from = k->args->n == 1 && arg(k, 0)->kind != V_INT ? arg(k, 0) : k->args;
    int64_t r = 0;

    if (!want(k, from, V_LIST, "a list"))
        return NULL;
    if (!from->n && what != '+')
        return cfg_fail(k->c, k->at, "needs at least one number"), NULL;
    for (unsigned i = 0; i < from->n; i++) {
        if (!want(k, from->item[i], V_INT, "numbers"))
            return NULL;
        int64_t n = from->item[i]->num;

        if (what == '+' ? __builtin_add_overflow(r, n, &r) : false)
            return cfg_fail(k->c, k->at, "number too large (63 bits)"), NULL;
        if (what != '+' && (i == 0 || (what == '<' ? n < r : n > r)))
            r = n;
    }
    return val_int(k->c, k->at, r);
}

static struct cfg_value *do_min(struct call *k)
{
    return over_numbers(k, '<');
}

static struct cfg_value *do_max(struct call *k)
{
    return over_numbers(k, '>');
}

static struct cfg_value *do_sum(struct call *k)
{
    return over_numbers(k, '+');
}

static struct cfg_value *do_hex(struct call *k)
{
    char text[32];

    if (!want(k, arg(k, 0), V_INT, "a number"))
        return NULL;
    return val_str(k->c, k->at, text, (size_t)snprintf(text, sizeof(text), "0x%llx", (long long)arg(k, 0)->num));
}

static struct cfg_value *do_print(struct call *k)
{
    for (unsigned i = 0; i < k->args->n; i++) {
        struct cfg_value *s = val_to_str(k->c, k->at, arg(k, i), false);

        if (!s)
            return NULL;
        fprintf(stderr, "%s%s", i ? " " : "", s->str);
    }
    fputc('\n', stderr);
    return nothing(k);
}

static struct cfg_value *do_enumerate(struct call *k)
{
    struct cfg_value *list = val_new(k->c, V_LIST, k->at), *v = arg(k, 0);

    if (!list || !want(k, v, V_LIST, "a list"))
        return NULL;
    for (unsigned i = 0; i < v->n; i++) {
        struct cfg_value *pair = val_new(k->c, V_TUPLE, k->at);

        if (!pair || !val_append(k->c, pair, val_int(k->c, k->at, i)) || !val_append(k->c, pair, v->item[i]) ||
            !val_append(k->c, list, pair))
            return NULL;
    }
    return list;
}

static const struct builtin builtins[] = {
    { "str", 0, 1, do_str },   { "int", 1, 2, do_int },     { "long", 1, 1, do_int },   { "bool", 0, 1, do_bool },
    { "len", 1, 1, do_len },   { "range", 1, 3, do_range }, { "xrange", 1, 3, do_range }, { "list", 0, 1, do_list },
    { "tuple", 0, 1, do_tuple }, { "dict", 0, 0, do_dict }, { "repr", 1, 1, do_repr },  { "abs", 1, 1, do_abs },
    { "min", 1, 99, do_min },  { "max", 1, 99, do_max },    { "sum", 1, 1, do_sum },    { "hex", 1, 1, do_hex },
    { "print", 0, 99, do_print }, { "enumerate", 1, 1, do_enumerate },
};

/* Methods. */

static struct cfg_value *strip(struct call *k, bool left, bool right)
{
    const char *s = k->self->str, *set = " \t\n\r\f\v";
    size_t len = k->self->len;

    if (arg(k, 0)) {
        if (!want(k, arg(k, 0), V_STR, "text"))
            return NULL;
        set = arg(k, 0)->str;
    }
    while (left && len && strchr(set, *s))
        s++, len--;
    while (right && len && strchr(set, s[len - 1]))
        len--;
    return val_str(k->c, k->at, s, len);
}

static struct cfg_value *do_strip(struct call *k)
{
    return strip(k, true, true);
}

static struct cfg_value *do_lstrip(struct call *k)
{
    return strip(k, true, false);
}

static struct cfg_value *do_rstrip(struct call *k)
{
    return strip(k, false, true);
}

static struct cfg_value *do_split(struct call *k)
{
    struct cfg_value *list = val_new(k->c, V_LIST, k->at), *by = arg(k, 0);
    const char *p = k->self->str, *end = p + k->self->len;

    if (!list || (by && (!want(k, by, V_STR, "text") || (!by->len && (cfg_fail(k->c, by->at, "cannot split by nothing"), true)))))
        return NULL;
    for (;;) {
        while (!by && p < end && isspace((unsigned char)*p))
            p++;
        if (!by && p == end)
            return list;
        const char *stop = p;
        if (by)
            stop = memmem(p, (size_t)(end - p), by->str, by->len);
        else
            while (stop < end && !isspace((unsigned char)*stop))
                stop++;
        stop = stop ? stop : end;
        if (!val_append(k->c, list, val_str(k->c, k->at, p, (size_t)(stop - p))))
            return NULL;
        if (stop == end)
            return list;
        p = stop + (by ? by->len : 0);
    }
}

static struct cfg_value *do_join(struct call *k)
{
    struct cfg_value *list = arg(k, 0), *r = val_str(k->c, k->at, "", 0);
    struct cfg_token plus = { .src = k->at->src, .text = "+", .len = 1, .line = k->at->line, .col = k->at->col, .kind = TOK_OP };

    if (!r || !want(k, list, V_LIST, "a list"))
        return NULL;
    for (unsigned i = 0; i < list->n; i++) {
        if (!want(k, list->item[i], V_STR, "a list of texts") || (i && !(r = cfg_binary(k->c, &plus, r, k->self))) ||
            !(r = cfg_binary(k->c, &plus, r, list->item[i])))
            return NULL;
    }
    return r;
}

static struct cfg_value *do_replace(struct call *k)
{
    struct cfg_value *from = arg(k, 0), *to = arg(k, 1), *parts;

    if (!want(k, from, V_STR, "text") || !want(k, to, V_STR, "text"))
        return NULL;
    if (!(parts = do_split(k)))
        return NULL;
    struct call join = { .c = k->c, .at = k->at, .self = to, .args = val_new(k->c, V_LIST, k->at) };
    return join.args && val_append(k->c, join.args, parts) ? do_join(&join) : NULL;
}

static struct cfg_value *change_case(struct call *k, int (*to)(int))
{
    struct cfg_value *v = val_str(k->c, k->at, k->self->str, k->self->len);

    for (size_t i = 0; v && i < v->len; i++)
        ((char *)v->str)[i] = (char)to((unsigned char)v->str[i]);
    return v;
}

static struct cfg_value *do_lower(struct call *k)
{
    return change_case(k, tolower);
}

static struct cfg_value *do_upper(struct call *k)
{
    return change_case(k, toupper);
}

static struct cfg_value *ends(struct call *k, bool front)
{
    struct cfg_value *v = arg(k, 0);

    if (!want(k, v, V_STR, "text"))
        return NULL;
    return val_bool(k->c, k->at, v->len <= k->self->len &&
                    memcmp(k->self->str + (front ? 0 : k->self->len - v->len), v->str, v->len) == 0);
}

static struct cfg_value *do_startswith(struct call *k)
{
    return ends(k, true);
}

static struct cfg_value *do_endswith(struct call *k)
{
    return ends(k, false);
}

static struct cfg_value *do_append(struct call *k)
{
    return val_append(k->c, k->self, arg(k, 0)) ? nothing(k) : NULL;
}

static struct cfg_value *do_extend(struct call *k)
{
    struct cfg_value *v = arg(k, 0);
    unsigned n = v->n;

    if (!want(k, v, V_LIST, "a list"))
        return NULL;
    for (unsigned i = 0; i < n; i++)
        if (!val_append(k->c, k->self, v->item[i]))
            return NULL;
    return nothing(k);
}

static struct cfg_value *do_get(struct call *k)
{
    struct cfg_value *v = val_dict_find(k->c, k->self, arg(k, 0));

    return k->c->rc ? NULL : v ? v : arg(k, 1) ? arg(k, 1) : nothing(k);
}

static struct cfg_value *do_has_key(struct call *k)
{
    bool has = val_dict_find(k->c, k->self, arg(k, 0)) != NULL;

    return k->c->rc ? NULL : val_bool(k->c, k->at, has);
}

static struct cfg_value *do_keys(struct call *k)
{
    struct call list = { .c = k->c, .at = k->at, .args = val_new(k->c, V_LIST, k->at) };

    return list.args && val_append(k->c, list.args, k->self) ? do_list(&list) : NULL;
}

static const struct builtin str_methods[] = {
    { "strip", 0, 1, do_strip }, { "lstrip", 0, 1, do_lstrip }, { "rstrip", 0, 1, do_rstrip }, { "split", 0, 1, do_split },
    { "join", 1, 1, do_join }, { "replace", 2, 2, do_replace }, { "lower", 0, 0, do_lower }, { "upper", 0, 0, do_upper },
    { "startswith", 1, 1, do_startswith }, { "endswith", 1, 1, do_endswith }, { 0 },
};
static const struct builtin list_methods[] = { { "append", 1, 1, do_append }, { "extend", 1, 1, do_extend }, { 0 } };
static const struct builtin dict_methods[] = { { "get", 1, 2, do_get }, { "has_key", 1, 1, do_has_key },
                                               { "keys", 0, 0, do_keys }, { 0 } };

/* xm_vars, os, re. */

static struct cfg_value *do_var(struct call *k)
{
    struct cfg_value *name = arg(k, 0), *v, *use = named(k, "use");
    struct cfg_var *var;
    int64_t num;

    if (!want(k, name, V_STR, "a variable's name"))
        return NULL;
    var = cfg_var_find(k->c, name->str, name->len);
    if (var) {
        var->read = true;
        /* What a check function would have made of a word of the command line. */
        if (var->value->kind == V_STR && text_to_int(var->value->str, var->value->len, &num) &&
            !(var->value = val_int(k->c, var->value->at, num)))
            return NULL;
        return nothing(k);
    }
    v = named(k, "default");
    if (!v) {
        k->c->wanted = k->c->wanted ? k->c->wanted : name->str;
        k->c->wanted_use = use && use->kind == V_STR ? use->str : NULL;
        return nothing(k);
    }
    struct cfg_token *at = cfg_alloc(k->c, sizeof(*at));
    if (!at)
        return NULL;
    *at = *name->at;
    at->text = name->str;
    at->len = (uint32_t)name->len;
    return cfg_var_set(k->c, at, v) ? NULL : (cfg_var_find(k->c, at->text, at->len)->read = true, nothing(k));
}

static struct cfg_value *do_check(struct call *k)
{
    if (k->c->wanted) {
        cfg_fail(k->c, k->at, "the variable '%s' has no value%s%s%s; add %s=VALUE to the command line", k->c->wanted,
                 k->c->wanted_use ? " (" : "", k->c->wanted_use ? k->c->wanted_use : "", k->c->wanted_use ? ")" : "", k->c->wanted);
        return NULL;
    }
    return nothing(k);
}

static struct cfg_value *do_uname(struct call *k)
{
    struct cfg_value *t = val_new(k->c, V_TUPLE, k->at);
    struct utsname u;

    if (uname(&u))
        return cfg_fail(k->c, k->at, "the system does not tell its name"), NULL;
    const char *const parts[] = { u.sysname, u.nodename, u.release, u.version, u.machine };
    for (unsigned i = 0; t && i < 5; i++)
        if (!val_append(k->c, t, val_str(k->c, k->at, parts[i], strlen(parts[i]))))
            return NULL;
    return t;
}

static struct cfg_value *re_find(struct call *k, bool start)
{
    struct cfg_value *what = arg(k, 0), *in = arg(k, 1);

    if (!want(k, what, V_STR, "text") || !want(k, in, V_STR, "text"))
        return NULL;
    size_t plain = strcspn(what->str, "\\^$.|?*+()[]{}");
    if (plain != what->len) {
        cfg_fail_word(k->c, what, plain, 1, "regular expressions are not available, only plain text; compare with == or in");
        return NULL;
    }
    const char *found = memmem(in->str, in->len, what->str, what->len);
    return found && (!start || found == in->str) ? val_bool(k->c, k->at, true) : nothing(k);
}

static struct cfg_value *do_search(struct call *k)
{
    return re_find(k, false);
}

static struct cfg_value *do_match(struct call *k)
{
    return re_find(k, true);
}

static const struct { const char *module; struct builtin f; } module_functions[] = {
    { "xm_vars", { "var", 1, 4, do_var } }, { "xm_vars", { "check", 0, 0, do_check } }, { "os", { "uname", 0, 0, do_uname } },
    { "re", { "search", 2, 2, do_search } }, { "re", { "match", 2, 2, do_match } },
};

/* Finding and calling. */

struct cfg_value *cfg_builtin_find(struct cfg *c, const struct cfg_token *name)
{
    struct cfg_value *v = NULL;

    for (size_t i = 0; i < sizeof(builtins) / sizeof(builtins[0]); i++) {
        if (tok_is(name, builtins[i].name) && (v = val_new(c, V_BUILTIN, name))) {
            v->str = builtins[i].name;
            return v;
        }
    }
    if (tok_is(name, "xm_vars") && (v = val_new(c, V_MODULE, name))) {
        v->str = "xm_vars";
        return v;
    }
    if (tok_is(name, "true") || tok_is(name, "false"))
        cfg_fail(c, name, "no variable has this name; write %s", name->text[0] == 't' ? "1 or True" : "0 or False");
    else
        cfg_fail(c, name, "no variable has this name; if it is meant as text, put it in quotes");
    return NULL;
}

static const struct builtin *methods_of(const struct cfg_value *v)
{
    return v->kind == V_STR ? str_methods : v->kind == V_LIST ? list_methods : v->kind == V_DICT ? dict_methods : NULL;
}

static const struct builtin *builtin_of(const struct cfg_value *f)
{
    const struct builtin *m = f->kind == V_METHOD ? methods_of(f->self) : NULL;

    for (; m && m->name; m++)
        if (m->name == f->str)
            return m;
    if (f->kind == V_BUILTIN)
        for (size_t i = 0; i < sizeof(builtins) / sizeof(builtins[0]); i++)
            if (builtins[i].name == f->str)
                return &builtins[i];
    for (size_t i = 0; f->kind == V_METHOD && i < sizeof(module_functions) / sizeof(module_functions[0]); i++)
        if (module_functions[i].f.name == f->str)
            return &module_functions[i].f;
    return NULL;
}

static struct cfg_value *method(struct cfg *c, const struct cfg_token *at, struct cfg_value *self, const char *name)
{
    struct cfg_value *v = val_new(c, V_METHOD, at);

    if (v) {
        v->self = self;
        v->str = name;
    }
    return v;
}

static struct cfg_value *module_attribute(struct cfg *c, const struct cfg_token *at, struct cfg_value *of)
{
    for (size_t i = 0; i < sizeof(module_functions) / sizeof(module_functions[0]); i++)
        if (strcmp(of->str, module_functions[i].module) == 0 && tok_is(at, module_functions[i].f.name))
            return method(c, at, of, module_functions[i].f.name);
    if (strcmp(of->str, "xm_vars") == 0) {
        struct cfg_var *var = cfg_var_find(c, at->text, at->len);

        if (var) {
            var->read = true;
            return var->value;
        }
        cfg_fail(c, at, "no variable has this name; add %.*s=VALUE to the command line", (int)at->len, at->text);
        return NULL;
    }
    cfg_fail(c, at, "%s.%.*s is not available, configurations are read without running Python; write the value itself, or give it "
             "as name=value on the command line", of->str, (int)at->len, at->text);
    return NULL;
}

struct cfg_value *cfg_attribute(struct cfg *c, const struct cfg_token *at, struct cfg_value *of)
{
    const struct builtin *m = methods_of(of);

    if (of->kind == V_MODULE)
        return module_attribute(c, at, of);
    for (; m && m->name; m++)
        if (tok_is(at, m->name))
            return method(c, at, of, m->name);
    cfg_fail(c, at, "%s has nothing of this name here", val_kind_name(of));
    return NULL;
}

struct cfg_value *cfg_call(struct cfg *c, const struct cfg_token *at, struct cfg_value *f, struct cfg_value *args,
                           struct cfg_value *by_name)
{
    const struct builtin *b = builtin_of(f);
    struct call k = { .c = c, .at = at, .self = f->self, .args = args, .named = by_name };

    if (f->kind == V_FUNCTION) {
        cfg_fail(c, at, "functions of the file are not run, only checks for xm_vars may be defined; write the value itself");
        return NULL;
    }
    if (!b) {
        cfg_fail(c, at, "%s cannot be called", val_kind_name(f));
        return NULL;
    }
    if (args->n < b->min || args->n > b->max) {
        cfg_fail(c, at, "%s() takes %u%s%u values, not %u", b->name, b->min, b->max == b->min ? " = " : " to ", b->max, args->n);
        return NULL;
    }
    return b->run(&k);
}
