/* SPDX-License-Identifier: MIT */
/*
 * Statements of configuration files. Blocks go by indentation as in Python, but a line that is indented for no reason is
 * taken as it is: xl.cfg has no blocks and people align as they like. What Python has and this has not is refused at its line.
 */
#include "config_private.h"

#include <string.h>

static int statement(struct cfg *c);

struct cfg_var *cfg_var_find(struct cfg *c, const char *name, size_t len)
{
    for (unsigned i = 0; i < c->n_vars; i++)
        if (c->vars[i].len == len && memcmp(c->vars[i].name, name, len) == 0)
            return &c->vars[i];
    return NULL;
}

int cfg_var_set(struct cfg *c, const struct cfg_token *name, struct cfg_value *v)
{
    struct cfg_var *var = cfg_var_find(c, name->text, name->len);

    if (!var) {
        if (c->n_vars == CFG_MAX_VARS)
            return cfg_fail(c, name, "more than %d variables", CFG_MAX_VARS);
        var = &c->vars[c->n_vars++];
        *var = (struct cfg_var){ .name = name->text, .len = name->len };
    }
    var->value = v;
    var->at = name;
    return 0;
}

static bool at_end(const struct cfg_token *t)
{
    return t->kind == TOK_NEWLINE || t->kind == TOK_SEMICOLON || t->kind == TOK_END;
}

/* name = value; list[index] = value. c->tok at the target, ends behind it. */
static int assign_one(struct cfg *c, struct cfg_value *v)
{
    const struct cfg_token *name = c->tok;
    struct cfg_value *of, *index;
    struct cfg_var *var;

    if (name->kind != TOK_NAME)
        return cfg_fail(c, name, "cannot be assigned to; expected NAME = VALUE");
    c->tok++;
    if (!tok_is(c->tok, "["))
        return cfg_var_set(c, name, v);
    if (!(var = cfg_var_find(c, name->text, name->len)))
        return cfg_fail(c, name, "no variable has this name yet");
    of = var->value;
    c->tok++;
    if (!(index = cfg_expr(c)) || cfg_expect(c, "]"))
        return c->rc;
    if (of->kind == V_DICT) {
        for (unsigned i = 0; i + 1 < of->n; i += 2)
            if (val_equal(c, of->item[i], index, 0))
                return of->item[i + 1] = v, c->rc;
        return val_append(c, of, index) && val_append(c, of, v) ? 0 : c->rc;
    }
    if (of->kind != V_LIST || index->kind != V_INT)
        return cfg_fail(c, name, "only a list or a dictionary has parts to assign to, this is %s", val_kind_name(of));
    int64_t i = index->num < 0 && index->num >= -(int64_t)of->n ? index->num + of->n : index->num;
    if (i < 0 || i >= of->n)
        return cfg_fail(c, index->at, "the index is out of range, there are %u", of->n);
    of->item[i] = v;
    return 0;
}

static bool more_targets(const struct cfg_token *t)
{
    return tok_is(t, ",") && !tok_is(t + 1, "=");
}

int cfg_assign_targets(struct cfg *c, const struct cfg_token *targets, struct cfg_value *v)
{
    const struct cfg_token *back = c->tok, *second = targets;
    unsigned i = 0;

    /* Does a comma stand behind the first target? */
    for (int depth = 0; !at_end(second) && !tok_is(second, "in") && (depth || !(tok_is(second, ",") || tok_is(second, "="))); second++)
        depth += tok_is(second, "[") - tok_is(second, "]");
    c->tok = targets;
    if (!tok_is(second, ",")) {
        assign_one(c, v);
        c->tok = back;
        return c->rc;
    }
    if (v->kind != V_TUPLE && v->kind != V_LIST)
        return cfg_fail(c, targets, "several names need a list or tuple, this is %s", val_kind_name(v));
    do {
        c->tok += i ? 1 : 0;
        if (i >= v->n)
            return cfg_fail(c, targets, "there are more names than values (%u)", v->n);
        if (assign_one(c, v->item[i++]))
            return c->rc;
    } while (more_targets(c->tok));
    if (i != v->n)
        return cfg_fail(c, targets, "there are more values (%u) than names", v->n);
    c->tok = back;
    return 0;
}

static const struct cfg_token *operator_of(const struct cfg_token *t, struct cfg_token *op)
{
    if (t->kind != TOK_OP || t->len < 2 || t->text[t->len - 1] != '=' || strchr("=!<>", t->text[0]))
        return NULL;
    *op = *t;
    op->len--;
    return op;
}

/* Past targets to the '=' of an assignment; NULL if the statement has none. */
static const struct cfg_token *find_assign(const struct cfg_token *t)
{
    struct cfg_token op;

    for (int depth = 0; !at_end(t); t++) {
        if (t->kind != TOK_OP)
            continue;
        if (depth == 0 && (tok_is(t, "=") || operator_of(t, &op)))
            return t;
        depth += strchr("([{", *t->text) ? 1 : strchr(")]}", *t->text) ? -1 : 0;
    }
    return NULL;
}

static int augmented(struct cfg *c, const struct cfg_token *target, const struct cfg_token *assign)
{
    struct cfg_token *op = cfg_alloc(c, sizeof(*op));
    struct cfg_value *old = NULL, *v;

    if (!op || !operator_of(assign, op))
        return c->rc;
    if (target->kind == TOK_NAME && assign == target + 1 && !cfg_var_find(c, target->text, target->len) && *op->text == '+') {
        c->tok = assign + 1; /* xl: the first += of a key is its beginning */
        v = cfg_expr_list(c);
        return v ? cfg_assign_targets(c, target, v) : c->rc;
    }
    c->tok = target;
    struct cfg_var *var = cfg_var_find(c, target->text, target->len);
    bool read = var && var->read;
    if (!(old = cfg_expr(c)))
        return c->rc;
    if (var && assign == target + 1)
        var->read = read;
    c->tok = assign + 1;
    if (!(v = cfg_expr_list(c)))
        return c->rc;
    if (old->kind == V_LIST && v->kind == V_STR) { /* xl: disk += "..." */
        struct cfg_value *list = val_new(c, V_LIST, v->at);

        if (!list || !val_append(c, list, v))
            return c->rc;
        v = list;
    }
    if (!(v = cfg_binary(c, op, old, v)))
        return c->rc;
    return cfg_assign_targets(c, target, v);
}

static int assignment(struct cfg *c, const struct cfg_token *assign)
{
    const struct cfg_token *targets[8] = { c->tok };
    unsigned n = 1;
    struct cfg_value *v;

    if (!tok_is(assign, "="))
        return augmented(c, c->tok, assign);
    if (assign == c->tok)
        return cfg_fail(c, assign, "a name is missing before it");
    for (const struct cfg_token *next; (next = find_assign(assign + 1)) && tok_is(next, "=") && n < 8; assign = next)
        targets[n++] = assign + 1;
    c->tok = assign + 1;
    if (!(v = cfg_expr_list(c)))
        return c->rc;
    while (n--)
        if (cfg_assign_targets(c, targets[n], v))
            return c->rc;
    return 0;
}

static int import(struct cfg *c)
{
    bool from = tok_is(c->tok, "from");
    struct cfg_value *v;

    c->tok++;
    while (!at_end(c->tok)) {
        const struct cfg_token *name = c->tok++;
        const struct cfg_token *as = name;

        if (tok_is(name, "import") || tok_is(name, ",") || tok_is(name, "*") || tok_is(name, ".") || tok_is(name, "(") || tok_is(name, ")"))
            continue;
        if (name->kind != TOK_NAME)
            return cfg_fail(c, name, "expected a module's name");
        if (tok_is(c->tok, "as") && c->tok[1].kind == TOK_NAME) {
            as = c->tok + 1;
            c->tok += 2;
        }
        if (!(v = val_new(c, from ? V_FUNCTION : V_MODULE, name)) || !(v->str = cfg_copy(c, name->text, name->len)) ||
            cfg_var_set(c, as, v))
            return c->rc;
        cfg_var_find(c, as->text, as->len)->read = true;
    }
    return 0;
}

/* "print value, value" of Python 2; print(...) is an ordinary call. */
static int print_old(struct cfg *c)
{
    const struct cfg_token *at = c->tok++;
    struct cfg_value *args = val_new(c, V_LIST, at), *f = cfg_builtin_find(c, at), *named = val_new(c, V_DICT, at);

    while (args && !at_end(c->tok)) {
        if (!val_append(c, args, cfg_expr(c)))
            return c->rc;
        if (tok_is(c->tok, ","))
            c->tok++;
        else if (!at_end(c->tok))
            return cfg_fail(c, c->tok, "expected the end of the line");
    }
    return args && f && named && cfg_call(c, at, f, args, named) ? 0 : c->rc;
}

static int refuse_python(struct cfg *c)
{
    static const char *const words[] = { "class", "try", "except", "finally", "with", "lambda", "yield", "global", "exec", "assert",
                                         "del", "return", "async", "nonlocal" };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (tok_is(c->tok, words[i]) && !tok_is(c->tok + 1, "=") && !tok_is(c->tok + 1, "["))
            return cfg_fail(c, c->tok, "Python's '%s' is not available in configurations; write the values themselves", words[i]);
    if (tok_is(c->tok, "elif") || tok_is(c->tok, "else"))
        return cfg_fail(c, c->tok, "there is no 'if' before it with this indentation");
    return 0;
}

static int statement_simple(struct cfg *c)
{
    const struct cfg_token *assign;

    if (cfg_step(c) || refuse_python(c))
        return c->rc;
    if (tok_is(c->tok, "pass"))
        return c->tok++, 0;
    if (tok_is(c->tok, "break") || tok_is(c->tok, "continue")) {
        if (!c->loops)
            return cfg_fail(c, c->tok, "there is no loop around it");
        *(tok_is(c->tok, "break") ? &c->brk : &c->cont) = true;
        return c->tok++, 0;
    }
    if (tok_is(c->tok, "import") || tok_is(c->tok, "from"))
        return import(c);
    if (tok_is(c->tok, "raise"))
        return cfg_fail(c, c->tok[1].kind == TOK_NAME ? c->tok + 1 : c->tok, "the file refuses to go on here ('raise')");
    if ((assign = find_assign(c->tok)))
        return assignment(c, assign);
    if (tok_is(c->tok, "print") && !tok_is(c->tok + 1, "("))
        return print_old(c);
    if (c->tok->kind == TOK_NAME && at_end(c->tok + 1) && !cfg_var_find(c, c->tok->text, c->tok->len))
        return cfg_fail(c, c->tok, "expected '=' and a value behind it");
    if (c->tok->kind == TOK_NAME && (c->tok[1].kind == TOK_STR || c->tok[1].kind == TOK_INT || c->tok[1].kind == TOK_NAME) &&
        !tok_is(c->tok + 1, "in") && !tok_is(c->tok + 1, "and") && !tok_is(c->tok + 1, "or") && !tok_is(c->tok + 1, "is") &&
        !tok_is(c->tok + 1, "not") && !tok_is(c->tok + 1, "if") && !tok_is(c->tok, "not"))
        return cfg_fail(c, c->tok + 1, "expected '=' before it");
    return cfg_expr_list(c) ? 0 : c->rc;
}

/* Simple statements up to the end of the line. */
static int statement_line(struct cfg *c)
{
    for (;;) {
        while (c->tok->kind == TOK_SEMICOLON)
            c->tok++;
        if (c->tok->kind == TOK_END || c->tok->kind == TOK_NEWLINE)
            break;
        if (statement_simple(c))
            return c->rc;
        if (!at_end(c->tok))
            return cfg_fail(c, c->tok, "expected the end of the line; a ',' or an operator may be missing before it");
        if (c->brk || c->cont)
            break;
    }
    while (!(c->tok->kind == TOK_END || c->tok->kind == TOK_NEWLINE))
        c->tok++;
    c->tok += c->tok->kind == TOK_NEWLINE;
    return 0;
}

/* To the first line that is indented no more than `indent`. c->tok behind the ':' of the block's header. */
static void block_skip(struct cfg *c, int indent)
{
    while (c->tok->kind != TOK_END && c->tok->kind != TOK_NEWLINE)
        c->tok++;
    while (c->tok->kind != TOK_END && (c->tok->indent < 0 || c->tok->indent > indent || c->tok->kind == TOK_NEWLINE))
        c->tok++;
}

static int block_run(struct cfg *c, int indent)
{
    if (c->tok->kind != TOK_NEWLINE)
        return statement_line(c);
    c->tok++;
    if (c->tok->kind == TOK_END || c->tok->indent <= indent)
        return cfg_fail(c, c->tok, "expected an indented line before it, behind the ':'");
    while (c->tok->kind != TOK_END && c->tok->indent > indent && !c->brk && !c->cont)
        if (statement(c))
            return c->rc;
    return 0;
}

static int statement_if(struct cfg *c)
{
    int indent = c->tok->indent;
    bool done = false;

    do {
        bool last = tok_is(c->tok, "else"), take = !done;
        struct cfg_value *v = NULL;

        c->tok++;
        if (!last) {
            bool live = c->live;

            c->live = !done;
            v = cfg_expr(c);
            c->live = live;
            if (!v)
                return c->rc;
            take = take && val_true(v);
        }
        if (cfg_expect(c, ":"))
            return c->rc;
        const struct cfg_token *body = c->tok;
        if (take && block_run(c, indent))
            return c->rc;
        if (c->brk || c->cont)
            return 0;
        c->tok = body;
        block_skip(c, indent);
        done |= take;
        if (last)
            break;
    } while (c->tok->indent == indent && (tok_is(c->tok, "elif") || tok_is(c->tok, "else")));
    return 0;
}

/* One round of a loop; false: it is over. */
static bool loop_round(struct cfg *c, const struct cfg_token *body, int indent)
{
    c->tok = body;
    c->loops++;
    block_run(c, indent);
    c->loops--;
    bool on = !c->brk && !c->rc;
    c->brk = c->cont = false;
    return on;
}

static int statement_for(struct cfg *c)
{
    int indent = c->tok->indent;
    const struct cfg_token *targets = ++c->tok, *body;
    struct cfg_value *over;

    while (c->tok->kind == TOK_NAME && !tok_is(c->tok, "in"))
        c->tok += tok_is(c->tok + 1, ",") ? 2 : 1;
    if (cfg_expect(c, "in") || !(over = cfg_expr_list(c)) || cfg_expect(c, ":"))
        return c->rc;
    if (over->kind != V_LIST && over->kind != V_TUPLE)
        return cfg_fail(c, over->at, "'for' needs a list here, this is %s", val_kind_name(over));
    body = c->tok;
    for (unsigned i = 0; i < over->n && !cfg_step(c); i++) {
        if (cfg_assign_targets(c, targets, over->item[i]))
            return c->rc;
        for (const struct cfg_token *t = targets; !tok_is(t, "in"); t++) {
            struct cfg_var *var = cfg_var_find(c, t->text, t->len);

            if (var)
                var->read = true; /* a loop's variable is no key */
        }
        if (!loop_round(c, body, indent))
            break;
    }
    c->tok = body;
    block_skip(c, indent);
    return c->rc;
}

static int statement_while(struct cfg *c)
{
    int indent = c->tok->indent;
    const struct cfg_token *condition = ++c->tok, *body;
    struct cfg_value *v;

    do {
        c->tok = condition;
        if (!(v = cfg_expr(c)) || cfg_expect(c, ":"))
            return c->rc;
        body = c->tok;
    } while (val_true(v) && loop_round(c, body, indent));
    c->tok = body;
    block_skip(c, indent);
    return c->rc;
}

/* A check function: its name is kept, its body is not read. */
static int statement_def(struct cfg *c)
{
    int indent = c->tok->indent;
    const struct cfg_token *name = ++c->tok;
    struct cfg_value *f;

    if (name->kind != TOK_NAME || !tok_is(name + 1, "("))
        return cfg_fail(c, name, "expected NAME(...) behind 'def'");
    if (!(f = val_new(c, V_FUNCTION, name)) || !(f->str = cfg_copy(c, name->text, name->len)) || cfg_var_set(c, name, f))
        return c->rc;
    while (!at_end(c->tok) && !tok_is(c->tok, ":"))
        c->tok++;
    if (cfg_expect(c, ":"))
        return c->rc;
    block_skip(c, indent);
    return 0;
}

static int statement(struct cfg *c)
{
    static const struct { const char *word; int (*run)(struct cfg *c); } compound[] = {
        { "if", statement_if }, { "for", statement_for }, { "while", statement_while }, { "def", statement_def },
    };

    if (cfg_step(c))
        return c->rc;
    if (++c->depth > CFG_MAX_DEPTH)
        return cfg_fail(c, c->tok, "nested too deeply (more than %d)", CFG_MAX_DEPTH);
    int (*run)(struct cfg *c) = statement_line;
    for (size_t i = 0; i < 4 && c->tok->indent >= 0; i++)
        if (tok_is(c->tok, compound[i].word) && !tok_is(c->tok + 1, "="))
            run = compound[i].run;
    int rc = run(c);
    c->depth--;
    return rc;
}

int cfg_run(struct cfg *c, const struct cfg_token *tokens)
{
    c->tok = tokens;
    c->live = true;
    c->depth = 0;
    while (c->tok->kind != TOK_END)
        if (statement(c))
            return c->rc;
    return 0;
}
