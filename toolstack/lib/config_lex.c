/* SPDX-License-Identifier: MIT */
/*
 * Configuration text to tokens. Line ends inside brackets are no tokens; the indentation of a line stands in its first token.
 * Refuses what no text has (NUL), numbers above 63 bits, and strings or brackets that do not end, each at its beginning.
 */
#include "config_private.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

struct lexer {
    struct cfg *c;
    const struct cfg_source *src;
    const char *p, *end, *line_start;
    int line;
    int indent;                     /* of the line that begins; -1: its first token is out */
    unsigned brackets;
    uint32_t open[CFG_MAX_DEPTH];   /* indexes of the open brackets' tokens */
    struct cfg_token *tokens;
    uint32_t n, room;
};

bool tok_is(const struct cfg_token *t, const char *s)
{
    return (t->kind == TOK_OP || t->kind == TOK_NAME) && strlen(s) == t->len && memcmp(s, t->text, t->len) == 0;
}

static struct cfg_token *lex_add(struct lexer *l, enum cfg_token_kind kind, const char *text, size_t len)
{
    if (l->n == l->room) {
        uint32_t room = l->room ? 2 * l->room : 256;
        struct cfg_token *more = cfg_alloc(l->c, room * sizeof(*more));

        if (!more)
            return NULL;
        if (l->n)
            memcpy(more, l->tokens, l->n * sizeof(*more));
        l->tokens = more;
        l->room = room;
    }
    struct cfg_token *t = &l->tokens[l->n++];
    *t = (struct cfg_token){ .src = l->src, .text = text, .len = (uint32_t)len, .line = l->line,
                             .col = (int)(text - l->line_start) + 1, .indent = l->indent, .kind = kind };
    if (kind != TOK_NEWLINE)
        l->indent = -1;
    return t;
}

/* A failure at the text that no token stands for. */
static int lex_fail(struct lexer *l, const char *text, size_t len, const char *why)
{
    struct cfg_token *t = lex_add(l, TOK_OP, text, len);

    return t ? cfg_fail(l->c, t, "%s", why) : l->c->rc;
}

static void lex_next_line(struct lexer *l)
{
    l->p++;
    l->line++;
    l->line_start = l->p;
}

static int lex_newline(struct lexer *l)
{
    if (!l->brackets) {
        if (l->n && l->tokens[l->n - 1].kind != TOK_NEWLINE && !lex_add(l, TOK_NEWLINE, l->p, 1))
            return l->c->rc;
        l->indent = 0;
    }
    lex_next_line(l);
    return 0;
}

static void lex_blank(struct lexer *l)
{
    if (!l->brackets && l->indent >= 0)
        l->indent = *l->p == '\t' ? (l->indent / 8 + 1) * 8 : l->indent + 1;
    l->p++;
}

static bool is_name_char(char ch)
{
    return isalnum((unsigned char)ch) || ch == '_' || (unsigned char)ch >= 0x80;
}

/* Digits in base; -1 on junk or overflow. */
static int lex_digits(const char *s, size_t len, unsigned base, int64_t *out)
{
    int64_t sum = 0;

    if (!len)
        return -1;
    for (size_t i = 0; i < len; i++) {
        int ch = tolower((unsigned char)s[i]);
        int digit = isdigit(ch) ? ch - '0' : isalpha(ch) ? ch - 'a' + 10 : 99;

        if (digit >= (int)base || __builtin_mul_overflow(sum, (int64_t)base, &sum) || __builtin_add_overflow(sum, digit, &sum))
            return -1;
    }
    *out = sum;
    return 0;
}

/* Decimal, 0x, 0o, 0b, old octal with 0; Python 2's L behind. */
static int number_parse(const char *s, size_t len, int64_t *out)
{
    if (len > 1 && (s[len - 1] == 'L' || s[len - 1] == 'l'))
        len--;
    if (len > 2 && s[0] == '0' && strchr("xX", s[1]))
        return lex_digits(s + 2, len - 2, 16, out);
    if (len > 2 && s[0] == '0' && strchr("oO", s[1]))
        return lex_digits(s + 2, len - 2, 8, out);
    if (len > 2 && s[0] == '0' && strchr("bB", s[1]))
        return lex_digits(s + 2, len - 2, 2, out);
    if (len > 1 && s[0] == '0')
        return lex_digits(s + 1, len - 1, 8, out);
    return lex_digits(s, len, 10, out);
}

bool text_to_int(const char *s, size_t len, int64_t *out)
{
    bool negative = false;

    while (len && isspace((unsigned char)*s))
        s++, len--;
    while (len && isspace((unsigned char)s[len - 1]))
        len--;
    if (len && (*s == '-' || *s == '+')) {
        negative = *s == '-';
        s++, len--;
    }
    if (number_parse(s, len, out))
        return false;
    if (negative)
        *out = -*out;
    return true;
}

static int lex_number(struct lexer *l)
{
    const char *start = l->p;
    int64_t num;

    while (l->p < l->end && (is_name_char(*l->p) || (*l->p == '.' && l->p + 1 < l->end && isdigit((unsigned char)l->p[1]))))
        l->p++;
    size_t len = (size_t)(l->p - start);
    if (memchr(start, '.', len))
        return lex_fail(l, start, len, "numbers have no fraction here; write a whole number, or put text in quotes");
    if (number_parse(start, len, &num)) {
        bool digits = true;

        for (size_t i = 0; i < len; i++)
            digits &= isxdigit((unsigned char)start[i]) || (i == 1 && (start[i] | 32) == 'x');
        return lex_fail(l, start, len, digits && len > 15 ? "number too large (63 bits)" :
                        "neither a number nor a name; put text in quotes");
    }
    struct cfg_token *t = lex_add(l, TOK_INT, start, len);
    if (t)
        t->num = num;
    return l->c->rc;
}

/* One escape at s (behind the backslash) into *out; how many bytes it has. 0: no escape, the backslash stays. */
static size_t escape_take(const char *s, const char *end, char *out)
{
    static const char from[] = "\\'\"nrtabfv0", to[] = "\\'\"\n\r\t\a\b\f\v";
    int64_t num;

    if (s >= end)
        return 0;
    if (*s == 'x' && end - s >= 3 && lex_digits(s + 1, 2, 16, &num) == 0 && num) {
        *out = (char)num;
        return 3;
    }
    const char *which = *s ? strchr(from, *s) : NULL;
    if (!which || *which == '0')
        return 0;
    *out = to[which - from];
    return 1;
}

static int lex_string_body(struct lexer *l, struct cfg_token *t, const char *body, size_t len, bool raw)
{
    char *s = cfg_alloc(l->c, len + 1);
    size_t n = 0;

    if (!s)
        return l->c->rc;
    for (size_t i = 0; i < len; i++) {
        size_t took;

        if (body[i] == '\\' && i + 1 < len && body[i + 1] == '\n' && !raw)
            i++;
        else if (body[i] == '\\' && !raw && (took = escape_take(body + i + 1, body + len, s + n)))
            i += took, n++;
        else
            s[n++] = body[i];
    }
    t->str = s;
    t->str_len = n;
    t->plain = n == len && t->len == len + 2 && !memchr(body, '\n', len);
    return 0;
}

/* From `start`, where the prefix or the quote stands; l->p is at the quote. */
static int lex_string(struct lexer *l, const char *start, bool raw)
{
    char quote = *l->p;
    size_t q = l->end - l->p >= 3 && l->p[1] == quote && l->p[2] == quote ? 3 : 1;
    struct cfg_token *t = lex_add(l, TOK_STR, start, (size_t)(l->p - start) + q);
    uint32_t index = l->n - 1;

    if (!t)
        return l->c->rc;
    l->p += q;
    const char *body = l->p;
    for (; l->p < l->end; l->p++) {
        if (*l->p == quote && (q == 1 || (l->end - l->p >= 3 && l->p[1] == quote && l->p[2] == quote)))
            break;
        if (*l->p == '\n' && q == 1 && (l->p == body || l->p[-1] != '\\'))
            break;
        if (*l->p == 0)
            return lex_fail(l, l->p, 1, "a NUL byte; is this a text file?");
        if (*l->p == '\\' && l->p + 1 < l->end && l->p[1] != '\n')
            l->p++;
        if (*l->p == '\n') {
            l->line++;
            l->line_start = l->p + 1;
        }
    }
    t = &l->tokens[index];
    if (l->p >= l->end || *l->p == '\n') {
        t->len = (uint32_t)(l->p - start);
        return cfg_fail(l->c, t, "the string does not end; add %c", quote);
    }
    size_t len = (size_t)(l->p - body);
    l->p += q;
    t->len = (uint32_t)(l->p - start);
    return lex_string_body(l, t, body, len, raw);
}

static int lex_name(struct lexer *l)
{
    const char *start = l->p;

    while (l->p < l->end && is_name_char(*l->p))
        l->p++;
    size_t len = (size_t)(l->p - start);
    if (len <= 2 && l->p < l->end && (*l->p == '"' || *l->p == '\'')) {
        bool prefix = true, raw = false;

        for (size_t i = 0; i < len; i++) {
            prefix &= strchr("rRuUbB", start[i]) != NULL;
            raw |= (start[i] | 32) == 'r';
        }
        if (prefix)
            return lex_string(l, start, raw);
    }
    return lex_add(l, TOK_NAME, start, len) ? 0 : l->c->rc;
}

static int lex_bracket(struct lexer *l, char ch)
{
    static const char pairs[] = "([{)]}";
    size_t which = (size_t)(strchr(pairs, ch) - pairs);

    if (!lex_add(l, TOK_OP, l->p++, 1))
        return l->c->rc;
    if (which < 3) {
        if (l->brackets == CFG_MAX_DEPTH)
            return cfg_fail(l->c, &l->tokens[l->n - 1], "more than %d brackets in each other", CFG_MAX_DEPTH);
        l->open[l->brackets++] = l->n - 1;
        return 0;
    }
    if (!l->brackets || *l->tokens[l->open[l->brackets - 1]].text != pairs[which - 3])
        return cfg_fail(l->c, &l->tokens[l->n - 1], "no bracket is open that this closes; remove it, or add '%c' before it",
                        pairs[which - 3]);
    l->brackets--;
    return 0;
}

static int lex_operator(struct lexer *l)
{
    static const char *const ops[] = { "**=", "//=", "==", "!=", "<>", "<=", ">=", "+=", "-=", "*=", "/=", "%=", "**", "//",
                                       "<<", ">>", "+", "-", "*", "/", "%", "=", "<", ">", ",", ":", ".", "|", "&", "^" };

    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        size_t len = strlen(ops[i]);

        if ((size_t)(l->end - l->p) >= len && memcmp(l->p, ops[i], len) == 0) {
            l->p += len;
            return lex_add(l, TOK_OP, l->p - len, len) ? 0 : l->c->rc;
        }
    }
    return lex_fail(l, l->p, 1, *l->p ? "this character has no meaning here; put text in quotes" :
                    "a NUL byte; is this a text file?");
}

static int lex_one(struct lexer *l)
{
    char ch = *l->p;

    if (ch == '\n')
        return lex_newline(l);
    if (ch == ' ' || ch == '\t' || ch == '\r' || ch == '\f')
        return lex_blank(l), 0;
    if (ch == '#') {
        while (l->p < l->end && *l->p != '\n')
            l->p++;
        return 0;
    }
    if (ch == '\\' && l->p + 1 < l->end && (l->p[1] == '\n' || (l->p[1] == '\r' && l->p + 2 < l->end && l->p[2] == '\n'))) {
        l->p += l->p[1] == '\r' ? 2 : 1;
        lex_next_line(l);
        return 0;
    }
    if (ch == ';' && !l->brackets)
        return lex_add(l, TOK_SEMICOLON, l->p++, 1) ? 0 : l->c->rc;
    if (isdigit((unsigned char)ch))
        return lex_number(l);
    if (is_name_char(ch))
        return lex_name(l);
    if (ch == '"' || ch == '\'')
        return lex_string(l, l->p, false);
    return ch && strchr("([{)]}", ch) ? lex_bracket(l, ch) : lex_operator(l);
}

const struct cfg_token *cfg_lex(struct cfg *c, const struct cfg_source *src)
{
    struct lexer l = { .c = c, .src = src, .p = src->text, .end = src->text + src->bytes, .line_start = src->text,
                       .line = src->first_line };

    if (src->bytes >= 3 && memcmp(l.p, "\xef\xbb\xbf", 3) == 0)
        l.line_start = l.p += 3;
    while (l.p < l.end)
        if (lex_one(&l))
            return NULL;
    if (l.brackets) {
        cfg_fail(c, &l.tokens[l.open[l.brackets - 1]], "this bracket is not closed before the end; add the closing one");
        return NULL;
    }
    if (!lex_add(&l, TOK_NEWLINE, l.p, 0) || !lex_add(&l, TOK_END, l.p, 0))
        return NULL;
    l.tokens[l.n - 1].indent = 0;
    return l.tokens;
}
