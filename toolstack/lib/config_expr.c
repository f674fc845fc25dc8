/* SPDX-License-Identifier: MIT */
/*
 * Expressions of configuration files, by recursive descent over the tokens. With c->live false the same code only passes
 * over an expression: the branch of "and", "or", "x if y else z" that is not taken, the body of a comprehension.
 */
#include "config_private.h"

#include <string.h>

static struct cfg_value *expr_nothing(struct cfg *c)
{
    return val_new(c, V_NONE, c->tok);
}

int cfg_step(struct cfg *c)
{
    if (++c->steps > CFG_MAX_STEPS)
        cfg_fail(c, c->tok, "the file does more than %u steps; does a loop not end?", CFG_MAX_STEPS);
    return c->rc;
}

int cfg_expect(struct cfg *c, const char *what)
{
    if (!tok_is(c->tok, what))
        return cfg_fail(c, c->tok, "expected '%s' here", what);
    c->tok++;
    return 0;
}

/* Does `what` stand at this level, before the expression ends? */
static bool expr_holds(const struct cfg_token *t, const char *what)
{
    for (int depth = 0;; t++) {
        if (t->kind == TOK_END || t->kind == TOK_NEWLINE || t->kind == TOK_SEMICOLON)
            return false;
        if (depth == 0 && tok_is(t, what))
            return true;
        if (depth == 0 && (tok_is(t, ",") || tok_is(t, "=") || tok_is(t, ":") || tok_is(t, "for")))
            return false;
        if (t->kind != TOK_OP)
            continue;
        if (strchr("([{", *t->text))
            depth++;
        else if (strchr(")]}", *t->text) && depth-- == 0)
            return false;
    }
}

static struct cfg_value *expr_list_items(struct cfg *c, struct cfg_value *list, const char *close)
{
    while (!tok_is(c->tok, close)) {
        if (!val_append(c, list, cfg_expr(c)))
            return NULL;
        if (tok_is(c->tok, close))
            break;
        if (!tok_is(c->tok, ",")) {
            cfg_fail(c, c->tok, "expected ',' or '%s', for the '%s' of line %d", close, *close == ']' ? "[" : "(", list->at->line);
            return NULL;
        }
        c->tok++;
    }
    c->tok++;
    return list;
}

/* c->tok at the element of "element for target in list [if condition]"; ends at the closing bracket. */
static struct cfg_value *expr_comprehension(struct cfg *c, struct cfg_value *list)
{
    const struct cfg_token *element = c->tok, *targets, *condition = NULL, *end;
    bool live = c->live;
    struct cfg_value *over, *v;

    c->live = false;
    v = cfg_expr(c);
    c->live = live;
    if (!v || cfg_expect(c, "for"))
        return NULL;
    targets = c->tok;
    while (c->tok->kind == TOK_NAME && !tok_is(c->tok, "in"))
        c->tok += tok_is(c->tok + 1, ",") ? 2 : 1;
    if (cfg_expect(c, "in") || !(over = cfg_expr_simple(c)))
        return NULL;
    if (tok_is(c->tok, "if")) {
        condition = ++c->tok;
        c->live = false;
        v = cfg_expr_simple(c);
        c->live = live;
        if (!v)
            return NULL;
    }
    end = c->tok;
    if (live && over->kind != V_LIST && over->kind != V_TUPLE) {
        cfg_fail(c, over->at, "'for' needs a list here, this is %s", val_kind_name(over));
        return NULL;
    }
    for (unsigned i = 0; live && i < over->n; i++) {
        if (cfg_assign_targets(c, targets, over->item[i]))
            return NULL;
        c->tok = condition;
        if (condition && !(v = cfg_expr_simple(c)))
            return NULL;
        c->tok = element;
        if ((!condition || val_true(v)) && !val_append(c, list, cfg_expr(c)))
            return NULL;
    }
    c->tok = end;
    return list;
}

static struct cfg_value *expr_list(struct cfg *c)
{
    struct cfg_value *list = val_new(c, V_LIST, c->tok++);

    if (!list)
        return NULL;
    if (!expr_holds(c->tok, "for"))
        return expr_list_items(c, list, "]");
    return expr_comprehension(c, list) && !cfg_expect(c, "]") ? list : NULL;
}

static struct cfg_value *expr_paren(struct cfg *c)
{
    const struct cfg_token *at = c->tok++;
    struct cfg_value *v, *tuple;

    if (tok_is(c->tok, ")")) {
        c->tok++;
        return val_new(c, V_TUPLE, at);
    }
    if (!(v = cfg_expr(c)))
        return NULL;
    if (tok_is(c->tok, ")")) {
        c->tok++;
        return v;
    }
    if (!tok_is(c->tok, ",")) {
        cfg_fail(c, c->tok, "expected ',' or ')', for the '(' of line %d", at->line);
        return NULL;
    }
    c->tok++;
    if (!(tuple = val_new(c, V_TUPLE, at)) || !val_append(c, tuple, v))
        return NULL;
    return expr_list_items(c, tuple, ")");
}

static struct cfg_value *expr_dict(struct cfg *c)
{
    struct cfg_value *d = val_new(c, V_DICT, c->tok++);

    while (d && !tok_is(c->tok, "}")) {
        if (!val_append(c, d, cfg_expr(c)) || cfg_expect(c, ":") || !val_append(c, d, cfg_expr(c)))
            return NULL;
        if (!tok_is(c->tok, ",") && !tok_is(c->tok, "}")) {
            cfg_fail(c, c->tok, "expected ',' or '}', for the '{' of line %d", d->at->line);
            return NULL;
        }
        if (tok_is(c->tok, ","))
            c->tok++;
    }
    c->tok++;
    return d;
}

/* Strings that follow each other are one. */
static struct cfg_value *expr_string(struct cfg *c)
{
    const struct cfg_token *first = c->tok;
    struct cfg_value *v = val_new(c, V_STR, first);
    size_t len = 0, n = 0;

    for (; c->tok->kind == TOK_STR; c->tok++)
        len += c->tok->str_len;
    if (!v)
        return NULL;
    v->len = len;
    if (c->tok == first + 1) {
        v->str = first->str;
        v->plain = first->plain;
        return v;
    }
    char *s = cfg_alloc(c, len + 1);
    if (!s)
        return NULL;
    for (const struct cfg_token *t = first; t < c->tok; n += t->str_len, t++)
        memcpy(s + n, t->str, t->str_len);
    v->str = s;
    return v;
}

static struct cfg_value *expr_name(struct cfg *c)
{
    static const char *const refused[] = { "lambda", "yield", "await", "exec", "eval", "open", "file", "globals", "locals" };
    const struct cfg_token *t = c->tok++;
    struct cfg_var *var = cfg_var_find(c, t->text, t->len);
    struct cfg_value *v;

    if (var && c->live) {
        var->read = true;
        if (!(v = val_new(c, V_NONE, t)))
            return NULL;
        if (var->value->kind >= V_LIST)
            return var->value; /* shared, as append() shows */
        *v = *var->value;
        return v;
    }
    if (tok_is(t, "None"))
        return val_new(c, V_NONE, t);
    if (tok_is(t, "True") || tok_is(t, "False"))
        return val_bool(c, t, t->len == 4);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (tok_is(t, refused[i])) {
            cfg_fail(c, t, "Python's '%s' is not available in configurations; write the value itself", refused[i]);
            return NULL;
        }
    }
    return c->live ? cfg_builtin_find(c, t) : expr_nothing(c);
}

static struct cfg_value *expr_atom(struct cfg *c)
{
    const struct cfg_token *t = c->tok;

    if (t->kind == TOK_STR)
        return expr_string(c);
    if (t->kind == TOK_INT)
        return c->tok++, val_int(c, t, t->num);
    if (t->kind == TOK_NAME)
        return expr_name(c);
    if (tok_is(t, "["))
        return expr_list(c);
    if (tok_is(t, "("))
        return expr_paren(c);
    if (tok_is(t, "{"))
        return expr_dict(c);
    cfg_fail(c, t, t->kind == TOK_END || t->kind == TOK_NEWLINE ? "a value is missing" : "expected a value here");
    return NULL;
}

static bool index_bound(struct cfg *c, struct cfg_value *v, int64_t n, bool clamp, int64_t *out)
{
    if (v->kind != V_INT && v->kind != V_BOOL) {
        cfg_fail(c, v->at, "an index is a number, this is %s", val_kind_name(v));
        return false;
    }
    int64_t i = v->num < 0 && v->num >= -n ? v->num + n : v->num;
    if (clamp)
        i = i < 0 ? 0 : i > n ? n : i;
    else if (i < 0 || i >= n) {
        cfg_fail(c, v->at, "the index is out of range, there are %lld", (long long)n);
        return false;
    }
    *out = i;
    return true;
}

static struct cfg_value *expr_slice(struct cfg *c, struct cfg_value *of, int64_t from, int64_t to)
{
    struct cfg_value *v;

    to = to < from ? from : to;
    if (of->kind == V_STR)
        return val_str(c, of->at, of->str + from, (size_t)(to - from));
    if (!(v = val_new(c, of->kind, of->at)))
        return NULL;
    for (int64_t i = from; i < to; i++)
        if (!val_append(c, v, of->item[i]))
            return NULL;
    return v;
}

/* c->tok behind '['. */
static struct cfg_value *expr_index(struct cfg *c, struct cfg_value *of)
{
    struct cfg_value *a = NULL, *b = NULL;
    int64_t n = of->kind == V_STR ? (int64_t)of->len : of->n, from = 0, to = n;
    bool slice;

    if (!tok_is(c->tok, ":") && !(a = cfg_expr(c)))
        return NULL;
    if ((slice = tok_is(c->tok, ":")) && (c->tok++, !tok_is(c->tok, "]")) && !(b = cfg_expr(c)))
        return NULL;
    if (cfg_expect(c, "]"))
        return NULL;
    if (!c->live)
        return expr_nothing(c);
    if (of->kind == V_DICT && a && !slice) {
        struct cfg_value *v = val_dict_find(c, of, a);

        if (!v)
            cfg_fail(c, a->at, "the dictionary has no such key");
        return v;
    }
    if (of->kind != V_STR && of->kind != V_LIST && of->kind != V_TUPLE) {
        cfg_fail(c, of->at, "%s has no parts to index", val_kind_name(of));
        return NULL;
    }
    if ((a && !index_bound(c, a, n, slice, &from)) || (b && !index_bound(c, b, n, true, &to)))
        return NULL;
    if (slice)
        return expr_slice(c, of, from, to);
    return of->kind == V_STR ? val_str(c, of->at, of->str + from, 1) : of->item[from];
}

/* c->tok behind '('. */
static struct cfg_value *expr_call(struct cfg *c, const struct cfg_token *at, struct cfg_value *f)
{
    struct cfg_value *args = val_new(c, V_LIST, at), *named = val_new(c, V_DICT, at), *name, *v;

    if (!args || !named)
        return NULL;
    if (expr_holds(c->tok, "for")) {
        struct cfg_value *list = val_new(c, V_LIST, c->tok);

        if (!list || !expr_comprehension(c, list) || !val_append(c, args, list))
            return NULL;
    }
    while (!tok_is(c->tok, ")")) {
        if (c->tok->kind == TOK_NAME && tok_is(c->tok + 1, "=")) {
            name = val_str(c, c->tok, c->tok->text, c->tok->len);
            c->tok += 2;
            if (!name || !(v = cfg_expr(c)) || !val_append(c, named, name) || !val_append(c, named, v))
                return NULL;
        } else if (!val_append(c, args, cfg_expr(c)))
            return NULL;
        if (!tok_is(c->tok, ")") && cfg_expect(c, ","))
            return NULL;
    }
    c->tok++;
    return c->live ? cfg_call(c, at, f, args, named) : expr_nothing(c);
}

static struct cfg_value *expr_postfix(struct cfg *c)
{
    const struct cfg_token *at = c->tok;
    struct cfg_value *v = expr_atom(c);

    while (v && !cfg_step(c)) {
        if (tok_is(c->tok, "("))
            c->tok++, v = expr_call(c, at, v);
        else if (tok_is(c->tok, "["))
            c->tok++, v = expr_index(c, v);
        else if (tok_is(c->tok, ".")) {
            if ((++c->tok)->kind != TOK_NAME)
                return cfg_fail(c, c->tok, "expected a name behind '.'"), NULL;
            v = c->live ? cfg_attribute(c, c->tok, v) : expr_nothing(c);
            c->tok++;
        } else
            return v;
    }
    return NULL;
}

static struct cfg_value *expr_unary(struct cfg *c)
{
    const struct cfg_token *op = c->tok;
    struct cfg_value *v;

    if (!tok_is(op, "-") && !tok_is(op, "+")) {
        if (!(v = expr_postfix(c)) || !tok_is(c->tok, "**"))
            return v;
        op = c->tok++;
        struct cfg_value *power = ++c->depth > CFG_MAX_DEPTH ? (cfg_fail(c, op, "nested too deeply"), NULL) : expr_unary(c);
        c->depth--;
        return !power ? NULL : c->live ? cfg_binary(c, op, v, power) : v;
    }
    c->tok++;
    v = ++c->depth > CFG_MAX_DEPTH ? (cfg_fail(c, op, "nested too deeply"), NULL) : expr_unary(c);
    c->depth--;
    if (!v || !c->live)
        return v;
    if (v->kind != V_INT && v->kind != V_BOOL) {
        cfg_fail(c, op, "needs a number behind it, not %s", val_kind_name(v));
        return NULL;
    }
    int64_t num = v->num;
    if (*op->text == '-' && __builtin_sub_overflow((int64_t)0, num, &num))
        return cfg_fail(c, op, "number too large (63 bits)"), NULL;
    return val_int(c, op, num);
}

static int binary_rank(const struct cfg_token *t)
{
    static const struct { const char *op; int rank; } ranks[] = {
        { "|", 1 }, { "^", 2 }, { "&", 3 }, { "<<", 4 }, { ">>", 4 }, { "+", 5 }, { "-", 5 },
        { "*", 6 }, { "/", 6 }, { "//", 6 }, { "%", 6 },
    };

    if (t->kind == TOK_OP)
        for (size_t i = 0; i < sizeof(ranks) / sizeof(ranks[0]); i++)
            if (tok_is(t, ranks[i].op))
                return ranks[i].rank;
    return 0;
}

static struct cfg_value *expr_arith(struct cfg *c, int above)
{
    struct cfg_value *v = expr_unary(c);

    for (int rank; v && (rank = binary_rank(c->tok)) > above;) {
        const struct cfg_token *op = c->tok++;
        struct cfg_value *right = expr_arith(c, rank);

        v = !right ? NULL : c->live ? cfg_binary(c, op, v, right) : v;
    }
    return v;
}

static bool is_comparison(const struct cfg_token *t)
{
    return tok_is(t, "==") || tok_is(t, "!=") || tok_is(t, "<>") || tok_is(t, "<") || tok_is(t, ">") || tok_is(t, "<=") ||
           tok_is(t, ">=") || tok_is(t, "in") || tok_is(t, "is") || (tok_is(t, "not") && tok_is(t + 1, "in"));
}

static struct cfg_value *expr_compare(struct cfg *c)
{
    struct cfg_value *left = expr_arith(c, 0), *result = left;

    while (left && is_comparison(c->tok)) {
        const struct cfg_token *op = c->tok++;
        bool negate = tok_is(op, "not") || (tok_is(op, "is") && tok_is(c->tok, "not"));

        c->tok += negate;
        struct cfg_value *right = expr_arith(c, 0), *v = right;
        if (right && c->live)
            v = cfg_binary(c, tok_is(op, "not") ? op + 1 : op, left, right);
        if (!v)
            return NULL;
        if (c->live) {
            bool so = val_true(v) != negate && (result == left || val_true(result));

            result = val_bool(c, op, so);
        }
        left = right;
    }
    return left ? result : NULL;
}

static struct cfg_value *expr_not(struct cfg *c)
{
    const struct cfg_token *at = c->tok;
    int n = 0;

    while (tok_is(c->tok, "not"))
        c->tok++, n++;
    struct cfg_value *v = expr_compare(c);
    return v && n ? val_bool(c, at, val_true(v) != (n % 2 == 1)) : v;
}

/* a and b: the right side is passed over when the left one decides. */
static struct cfg_value *expr_and(struct cfg *c)
{
    struct cfg_value *v = expr_not(c);

    while (v && tok_is(c->tok, "and")) {
        bool live = c->live, decided = !val_true(v);

        c->tok++;
        c->live = live && !decided;
        struct cfg_value *right = expr_not(c);
        c->live = live;
        v = !right ? NULL : decided ? v : right;
    }
    return v;
}

struct cfg_value *cfg_expr_simple(struct cfg *c)
{
    struct cfg_value *v = expr_and(c);

    while (v && tok_is(c->tok, "or")) {
        bool live = c->live, decided = val_true(v);

        c->tok++;
        c->live = live && !decided;
        struct cfg_value *right = expr_and(c);
        c->live = live;
        v = !right ? NULL : decided ? v : right;
    }
    return v;
}

/* "a if condition else b": a is passed over, and computed by going back if the condition holds. */
static struct cfg_value *expr_conditional(struct cfg *c)
{
    const struct cfg_token *first = c->tok, *end;
    bool live = c->live;

    c->live = false;
    struct cfg_value *v = cfg_expr_simple(c);
    c->live = live;
    if (!v || cfg_expect(c, "if") || !(v = cfg_expr_simple(c)) || cfg_expect(c, "else"))
        return NULL;
    bool yes = val_true(v);
    c->live = live && !yes;
    v = cfg_expr(c);
    c->live = live;
    if (!v || !yes || !live)
        return v;
    end = c->tok;
    c->tok = first;
    v = cfg_expr_simple(c);
    c->tok = end;
    return v;
}

struct cfg_value *cfg_expr(struct cfg *c)
{
    struct cfg_value *v = NULL;

    if (++c->depth > CFG_MAX_DEPTH)
        cfg_fail(c, c->tok, "nested too deeply (more than %d)", CFG_MAX_DEPTH);
    else if (!cfg_step(c))
        v = expr_holds(c->tok, "if") ? expr_conditional(c) : cfg_expr_simple(c);
    c->depth--;
    return v;
}

struct cfg_value *cfg_expr_list(struct cfg *c)
{
    const struct cfg_token *at = c->tok;
    struct cfg_value *v = cfg_expr(c), *tuple;

    if (!v || !tok_is(c->tok, ","))
        return v;
    if (!(tuple = val_new(c, V_TUPLE, at)) || !val_append(c, tuple, v))
        return NULL;
    while (tok_is(c->tok, ",")) {
        c->tok++;
        if (c->tok->kind == TOK_NEWLINE || c->tok->kind == TOK_SEMICOLON || c->tok->kind == TOK_END || tok_is(c->tok, "="))
            break;
        if (!val_append(c, tuple, cfg_expr(c)))
            return NULL;
    }
    return tuple;
}
