/* SPDX-License-Identifier: MIT */
/*
 * The configuration reader's entry: file and words of the command line to struct guest_config. See config.h; how it works
 * inside is in config_private.h.
 */
#include "config_private.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault.h"

/* Words that the lexer and the rest take apart: "key = value" with where they stand. */
struct word {
    const char *text;
    size_t key_len;
    const char *value;
    bool appends;                   /* key+=value */
    struct cfg_source *src;
};

static struct cfg_token *word_token(struct cfg *c, const struct word *w, const char *from, size_t len)
{
    struct cfg_token *t = cfg_alloc(c, sizeof(*t));

    if (t)
        *t = (struct cfg_token){ .src = w->src, .text = from, .len = (uint32_t)len, .line = w->src->first_line,
                                 .col = (int)(from - w->text) + 1, .indent = -1, .kind = TOK_NAME };
    return t;
}

static int word_split(struct cfg *c, const char *text, unsigned number, struct word *w)
{
    const char *eq = strchr(text, '=');
    struct cfg_token *at;

    *w = (struct word){ .text = text, .src = cfg_alloc(c, sizeof(*w->src)) };
    if (!w->src)
        return c->rc;
    *w->src = (struct cfg_source){ .name = "command line", .text = text, .bytes = strlen(text), .first_line = (int)number };
    while (isalnum((unsigned char)text[w->key_len]) || text[w->key_len] == '_')
        w->key_len++;
    w->appends = eq && eq > text && eq[-1] == '+';
    const char *end = text + w->key_len;
    while (*end == ' ')
        end++;
    if (!eq || !w->key_len || end + w->appends != eq)
        return (at = word_token(c, w, text, w->src->bytes)) ? cfg_fail(c, at, "expected key=value") : c->rc;
    w->value = eq + 1;
    while (*w->value == ' ')
        w->value++;
    return 0;
}

/* A bare value is text; one that begins like a value in a file is read as in a file. */
static int word_run(struct cfg *c, const struct word *w, bool again)
{
    struct cfg_token *name, *at;
    struct cfg_value *v, *list;

    if (w->appends || (*w->value && strchr("\"'[({", *w->value))) {
        const struct cfg_token *tokens = cfg_lex(c, w->src);

        return tokens ? cfg_run(c, tokens) : c->rc;
    }
    size_t len = strlen(w->value);
    name = word_token(c, w, w->text, w->key_len);
    at = word_token(c, w, w->value, len);
    if (!name || !at || !(v = val_str(c, at, w->value, len)))
        return c->rc;
    v->plain = true;
    if (cfg_key_is_list(w->text, w->key_len)) {
        struct cfg_var *var = again ? cfg_var_find(c, w->text, w->key_len) : NULL;

        if (var && var->value->kind == V_LIST)
            return val_append(c, var->value, v) ? 0 : c->rc;
        if (!(list = val_new(c, V_LIST, at)) || !val_append(c, list, v))
            return c->rc;
        v = list;
    }
    return cfg_var_set(c, name, v);
}

/* Before the file all words are variables that it can read; behind it, those that are keys win over the file's. */
static int words_run(struct cfg *c, char *const words[], unsigned n, bool behind)
{
    struct word w;

    for (unsigned i = 0; i < n; i++) {
        bool again = false;

        if (word_split(c, words[i], i + 1, &w))
            return c->rc;
        for (unsigned j = 0; j < i && !again; j++)
            again = strncmp(words[j], words[i], w.key_len) == 0 && words[j][w.key_len] == '=';
        bool key = cfg_key_known(w.text, w.key_len);
        if ((behind ? key : !(key && w.appends)) && word_run(c, &w, again))
            return c->rc;
    }
    return 0;
}

/* xend's own form, "(vm (name a) ...)". */
static bool is_sxp(const char *text, size_t bytes)
{
    size_t i = 0;

    while (i < bytes && isspace((unsigned char)text[i]))
        i++;
    return bytes - i > 8 && (strncmp(text + i, "(vm", 3) == 0 || strncmp(text + i, "(domain", 7) == 0);
}

int config_parse(struct guest_config *g, const char *name, const char *text, size_t bytes, char *const words[], unsigned n_words)
{
    struct cfg_source src = { .name = name, .text = text, .bytes = bytes, .first_line = 1 };
    struct cfg *c = calloc(1, sizeof(*c));
    const struct cfg_token *tokens;

    *g = (struct guest_config){ 0 };
    if (!c || !(g->file = strdup(name))) {
        free(c);
        return fault(-ENOMEM, "%s: out of memory", name);
    }
    if (bytes > CFG_MAX_BYTES)
        c->rc = fault(-E2BIG, "%s: larger than %u KiB; is this a configuration?", name, CFG_MAX_BYTES >> 10);
    else if (is_sxp(text, bytes))
        c->rc = fault(-EINVAL, "%s:1:1: '(': this is xend's SXP form, which is not read; write KEY = VALUE lines", name);
    else if (!words_run(c, words, n_words, false) && (tokens = cfg_lex(c, &src)) && !cfg_run(c, tokens) &&
             !words_run(c, words, n_words, true))
        cfg_keys_apply(c, g);
    int rc = c->rc;
    cfg_arena_free(&c->arena);
    free(c);
    return rc;
}

static int read_all(int fd, const char *name, char *text, size_t room, size_t *bytes)
{
    for (*bytes = 0; *bytes < room;) {
        ssize_t n = read(fd, text + *bytes, room - *bytes);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fault(-errno, "%s: cannot be read: %s", name, strerror(errno));
        if (n == 0)
            break;
        *bytes += (size_t)n;
    }
    return 0;
}

int config_load(struct guest_config *g, const char *file, char *const words[], unsigned n_words)
{
    bool in = strcmp(file, "-") == 0;
    const char *name = in ? "standard input" : file;
    size_t bytes = 0;

    *g = (struct guest_config){ 0 };
    int fd = in ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fault(-errno, "%s: cannot be opened: %s", name, strerror(errno));
    char *text = malloc(CFG_MAX_BYTES + 1);
    int rc = text ? read_all(fd, name, text, CFG_MAX_BYTES + 1, &bytes) : fault(-ENOMEM, "%s: out of memory", name);
    if (!in)
        close(fd);
    if (!rc)
        rc = config_parse(g, name, text, bytes, words, n_words);
    free(text);
    return rc;
}

/* The words of block-attach and network-attach, joined by commas: one spec. */
static struct cfg_value *words_join(struct cfg *c, const char *const words[], unsigned n)
{
    static const struct cfg_source src = { .name = "command line", .text = "", .first_line = 1 };
    struct cfg_token *at = cfg_alloc(c, sizeof(*at));
    size_t len = 0, used = 0;

    for (unsigned i = 0; i < n; i++)
        len += strlen(words[i]) + 1;
    char *text = cfg_alloc(c, len + 1);
    if (!at || !text)
        return NULL;
    for (unsigned i = 0; i < n; i++) {
        if (i)
            text[used++] = ',';
        memcpy(text + used, words[i], strlen(words[i]));
        used += strlen(words[i]);
    }
    *at = (struct cfg_token){ .src = &src, .text = text, .len = (uint32_t)used, .line = 1, .col = 1, .indent = -1, .kind = TOK_NAME };
    struct cfg_value *v = val_str(c, at, text, used);
    if (v)
        v->plain = true;
    return v;
}

int config_parse_disk(struct disk_config *d, const char *const words[], unsigned n_words)
{
    struct cfg *c = calloc(1, sizeof(*c));
    struct cfg_value *spec;

    *d = (struct disk_config){ 0 };
    if (!c)
        return fault(-ENOMEM, "reading the disk's words: out of memory");
    if ((spec = words_join(c, words, n_words)))
        cfg_disk_parse(c, d, spec);
    int rc = c->rc;
    cfg_arena_free(&c->arena);
    free(c);
    return rc;
}

int config_parse_nic(struct nic_config *n, const char *const words[], unsigned n_words)
{
    struct cfg *c = calloc(1, sizeof(*c));
    struct cfg_value *spec;

    *n = (struct nic_config){ .devid = -1 };
    if (!c)
        return fault(-ENOMEM, "reading the network's words: out of memory");
    if ((spec = words_join(c, words, n_words)))
        cfg_nic_parse(c, n, spec);
    int rc = c->rc;
    cfg_arena_free(&c->arena);
    free(c);
    return rc;
}

void config_dispose_disk(struct disk_config *d)
{
    free(d->target);
    free(d->vdev);
    free(d->script);
    free(d->backend);
    *d = (struct disk_config){ 0 };
}

void config_dispose_nic(struct nic_config *n)
{
    char *const all[] = { n->mac, n->bridge, n->ip, n->script, n->backend, n->vifname, n->model, n->gatewaydev, n->rate };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free(all[i]);
    *n = (struct nic_config){ 0 };
}

static void dispose_strings(char **s, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        free(s[i]);
    free(s);
}

void config_dispose(struct guest_config *g)
{
    char *const all[] = { g->file, g->name, g->uuid, g->kernel, g->ramdisk, g->cmdline, g->bootloader, g->bootloader_args, g->cpus,
                          g->cpus_soft, g->pool, g->tsc_mode, g->cpuid, g->cpu_level, g->other_json };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free(all[i]);
    for (unsigned i = 0; i < g->n_disks; i++)
        config_dispose_disk(&g->disks[i]);
    free(g->disks);
    for (unsigned i = 0; i < g->n_nics; i++)
        config_dispose_nic(&g->nics[i]);
    free(g->nics);
    dispose_strings(g->cpus_each, g->n_cpus_each);
    dispose_strings(g->cpus_soft_each, g->n_cpus_soft_each);
    dispose_strings(g->pci, g->n_pci);
    *g = (struct guest_config){ 0 };
}
