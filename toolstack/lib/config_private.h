/* SPDX-License-Identifier: MIT */
/*
 * Inside the configuration reader: text -> tokens (config_lex.c) -> values of variables (config_eval.c, config_expr.c,
 * config_builtin.c) -> struct guest_config (config_keys.c, config_disk.c, config_vif.c).
 *
 * One language serves both dialects. It is run straight from the tokens, so a loop is a jump back; there is no tree. All
 * memory of a run comes from one arena with a limit and goes with it; steps, nesting and numbers have limits too, so that a
 * file can fail but not hang or eat the machine. Each value knows the token it came from: that is how a wrong value found
 * long after the run is still reported as file, line, column and word.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"

#define CFG_MAX_BYTES  (256u << 10) /* of a file */
#define CFG_MAX_MEMORY (16u << 20)  /* of a run's arena */
#define CFG_MAX_STEPS  100000u
#define CFG_MAX_DEPTH  48
#define CFG_MAX_VARS   1000

/* Where text came from. Words of the command line are sources of their own: name "command line", line = the word's number. */
struct cfg_source {
    const char *name;
    const char *text;
    size_t bytes;
    int first_line;
};

enum cfg_token_kind { TOK_END, TOK_NEWLINE, TOK_SEMICOLON, TOK_NAME, TOK_INT, TOK_STR, TOK_OP };

struct cfg_token {
    const struct cfg_source *src;
    const char *text;        /* as written */
    uint32_t len;
    int line, col;           /* from 1; columns are bytes */
    int indent;              /* of the line whose first token this is; -1 elsewhere */
    enum cfg_token_kind kind;
    bool plain;              /* TOK_STR: str stands in the file as it is, from column col + 1 */
    int64_t num;             /* TOK_INT */
    const char *str;         /* TOK_STR: with the escapes resolved; holds no NUL */
    size_t str_len;
};

enum cfg_kind { V_NONE, V_BOOL, V_INT, V_STR, V_LIST, V_TUPLE, V_DICT, V_MODULE, V_BUILTIN, V_METHOD, V_FUNCTION };

struct cfg_value {
    enum cfg_kind kind;
    bool plain;                     /* V_STR: one literal; its byte i stands i columns behind the beginning of the literal's text */
    const struct cfg_token *at;
    int64_t num;                    /* V_BOOL, V_INT */
    const char *str;                /* V_STR: terminated. V_MODULE, V_BUILTIN, V_METHOD, V_FUNCTION: the name */
    size_t len;
    struct cfg_value **item;        /* V_LIST, V_TUPLE; V_DICT: keys and values in turn */
    unsigned n, room;
    struct cfg_value *self;         /* V_METHOD */
};

struct cfg_var {
    const char *name;
    size_t len;
    struct cfg_value *value;
    const struct cfg_token *at;     /* the name where it was assigned */
    bool read;                      /* some expression used it: a helper, not a misspelt key */
};

struct cfg_arena { struct cfg_chunk *chunks; size_t used; };

struct cfg {
    struct cfg_arena arena;
    const struct cfg_token *tok;    /* next token */
    int rc;                         /* first failure */
    int depth, loops;
    unsigned steps;
    bool live;                      /* false: an expression is passed over, not computed */
    bool brk, cont;                 /* break, continue under way */
    unsigned n_vars;
    struct cfg_var vars[CFG_MAX_VARS];
    const char *wanted, *wanted_use; /* xm_vars.var() that nobody gave a value */
};

/* Memory of the run, zeroed; NULL (and a fault) when the limit is reached. */
void *cfg_alloc(struct cfg *c, size_t bytes);
char *cfg_copy(struct cfg *c, const char *s, size_t len);
void cfg_arena_free(struct cfg_arena *a);

/*
 * Remember "FILE:LINE:COLUMN: 'WORD': text" as the fault. The word is the token's, cfg_fail_word: one of the caller's at
 * the byte `offset` of the string v. Return c->rc (negative); only the first failure counts.
 */
int cfg_fail(struct cfg *c, const struct cfg_token *at, const char *format, ...) __attribute__((format(printf, 3, 4)));
int cfg_fail_word(struct cfg *c, const struct cfg_value *v, size_t offset, size_t len, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* The same place, as a warning. */
void cfg_warn(const struct cfg_token *at, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* All tokens of a text, ended by TOK_END; NULL after a fault. */
const struct cfg_token *cfg_lex(struct cfg *c, const struct cfg_source *src);
bool tok_is(const struct cfg_token *t, const char *op_or_name);

/* Values. NULL = out of the run's memory. */
struct cfg_value *val_new(struct cfg *c, enum cfg_kind kind, const struct cfg_token *at);
struct cfg_value *val_int(struct cfg *c, const struct cfg_token *at, int64_t n);
struct cfg_value *val_bool(struct cfg *c, const struct cfg_token *at, bool b);
struct cfg_value *val_str(struct cfg *c, const struct cfg_token *at, const char *s, size_t len); /* copies */
bool val_append(struct cfg *c, struct cfg_value *list, struct cfg_value *item);
struct cfg_value *val_dict_find(struct cfg *c, const struct cfg_value *dict, const struct cfg_value *key);
bool val_true(const struct cfg_value *v);
bool val_equal(struct cfg *c, const struct cfg_value *a, const struct cfg_value *b, int depth);
const char *val_kind_name(const struct cfg_value *v);
/* As str() and repr() write it; an integer in text may have blanks around it. */
struct cfg_value *val_to_str(struct cfg *c, const struct cfg_token *at, const struct cfg_value *v, bool quoted);
bool text_to_int(const char *s, size_t len, int64_t *out);

/* Expressions and statements; NULL or negative after a fault. */
struct cfg_value *cfg_expr(struct cfg *c);
struct cfg_value *cfg_expr_list(struct cfg *c); /* a, b makes a tuple */
struct cfg_value *cfg_expr_simple(struct cfg *c); /* without "x if y else z", as behind "in" */
struct cfg_value *cfg_binary(struct cfg *c, const struct cfg_token *op, struct cfg_value *a, struct cfg_value *b);
struct cfg_value *cfg_call(struct cfg *c, const struct cfg_token *at, struct cfg_value *f, struct cfg_value *args, struct cfg_value *named);
struct cfg_value *cfg_attribute(struct cfg *c, const struct cfg_token *at, struct cfg_value *of);
struct cfg_value *cfg_builtin_find(struct cfg *c, const struct cfg_token *name);
struct cfg_value *cfg_format(struct cfg *c, const struct cfg_token *op, struct cfg_value *text, struct cfg_value *arg);
int cfg_expect(struct cfg *c, const char *what);
int cfg_assign_targets(struct cfg *c, const struct cfg_token *targets, struct cfg_value *v); /* leaves c->tok where it was */
int cfg_run(struct cfg *c, const struct cfg_token *tokens);
int cfg_step(struct cfg *c);

struct cfg_var *cfg_var_find(struct cfg *c, const char *name, size_t len);
int cfg_var_set(struct cfg *c, const struct cfg_token *name, struct cfg_value *v);

/* From variables to the configuration. */
bool cfg_key_known(const char *name, size_t len);
bool cfg_key_is_list(const char *name, size_t len);
int cfg_keys_apply(struct cfg *c, struct guest_config *g);
int cfg_keys_finish(struct cfg *c, struct guest_config *g);
int cfg_disk_parse(struct cfg *c, struct disk_config *d, const struct cfg_value *spec);
int cfg_nic_parse(struct cfg *c, struct nic_config *n, const struct cfg_value *spec);

/* "key=value,flag,..." one part at a time: the value's string from *offset; false at the end. */
struct cfg_part { const char *key; size_t key_len; const char *value; size_t value_len; size_t key_at, value_at; bool has_value; };
bool cfg_part_next(const struct cfg_value *spec, size_t *offset, struct cfg_part *p);
bool cfg_part_is(const struct cfg_part *p, const char *key);
bool cfg_part_value_is(const struct cfg_part *p, const char *value);
/* Its value as a string that the configuration owns; an empty one is not given (NULL). Twice is a failure. */
int cfg_part_str(struct cfg *c, const struct cfg_value *spec, const struct cfg_part *p, char **to);
int cfg_part_fail(struct cfg *c, const struct cfg_value *spec, const struct cfg_part *p, const char *why); /* at the value */
