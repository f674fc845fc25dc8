/* SPDX-License-Identifier: MIT */
/*
 * xm: administers guests. The first word names a command (commands.c); what all commands share is here. Exit codes: 0 done,
 * 1 refused or failed, 2 wrong usage.
 */
#include "xm.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

const char *program = "xm";
static struct ctl *handle;
static char *about;

struct ctl *xm_ctl(void)
{
    if (!handle && ctl_open(&handle)) {
        fprintf(stderr, "%s: %s\n", program, fault_text());
        exit(1);
    }
    return handle;
}

void xm_about(const char *name)
{
    free(about);
    about = name ? strdup(name) : NULL;
}

int xm_domain(const char *word, uint32_t *domid, struct xen_domctl_getdomaininfo *info)
{
    struct xen_domctl_getdomaininfo unused;
    int rc = domain_find(xm_ctl(), word, domid);

    if (rc)
        return rc;
    rc = ctl_domain_info(xm_ctl(), (domid_t)*domid, info ? info : &unused);
    return rc == -ESRCH ? fault(-ENOENT, "domain %s is gone", word) : rc;
}

int xm_guest(const char *word, uint32_t *domid, struct xen_domctl_getdomaininfo *info, const char *what)
{
    int rc = xm_domain(word, domid, info);

    return !rc && !*domid ? fault(-EPERM, "domain 0 administers this host and cannot be %s", what) : rc;
}

int xm_number(const char *word, const char *what, long long min, long long max, long long *out)
{
    char *end;

    errno = 0;
    *out = strtoll(word, &end, 10);
    if (errno || end == word || *end || *out < min || *out > max)
        return fault(-EINVAL, "%s '%s': it is a number from %lld to %lld", what, word, min, max);
    return 0;
}

int xm_memory(const char *word, uint64_t *kib)
{
    char *end;
    double v;

    errno = 0;
    v = strtod(word, &end);
    switch (*end) {
    case 't': case 'T': v *= 1ULL << 30; break;
    case 'g': case 'G': v *= 1 << 20; break;
    case 'k': case 'K': break;
    case 'b': case 'B': v /= 1024; break;
    default: v *= 1024; break;
    }
    if (errno || end == word || (*end && end[1]) || (*end && !strchr("tTgGmMkKbB", *end)) || !(v >= 1) || v > 1e12)
        return fault(-EINVAL, "memory '%s': it is like 512, 512m, 2g or 2048k (MiB without a letter)", word);
    *kib = (uint64_t)v;
    return 0;
}

void xm_print_json(struct json_object *o)
{
    puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(o);
}

struct json_object *xm_json_string(const char *s)
{
    return s ? json_object_new_string(s) : NULL;
}

static int unknown(const char *name)
{
    const char *near = command_suggest(name);

    fprintf(stderr, "%s: there is no command '%s'%s%s%s ('%s help' lists them)\n", program, name, near ? "; did you mean '" : "",
            near ? near : "", near ? "'" : "", program);
    return 2;
}

/* What a command gives becomes the exit code; a failure is said here, once. */
static int finish(const struct command *c, int rc)
{
    if (rc < 0) {
        fprintf(stderr, "%s %s: %s\n", program, c->name, fault_text());
        if (about)
            domain_why_add(about, fault_text());
        rc = 1;
    }
    ctl_close(handle);
    store_close();
    free(about);
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "%s: writing to standard output: %s\n", program, strerror(errno));
        rc = rc ? rc : 1;
    }
    return rc;
}

/* Options of xl before the command: accepted (-v verbose, -f force, -t, -T). */
static int skip_global(int argc, char **argv)
{
    int i = 1;

    while (i < argc && argv[i][0] == '-' && argv[i][1] && strspn(argv[i] + 1, "vftTN") == strlen(argv[i] + 1))
        i++;
    return i;
}

int main(int argc, char **argv)
{
    const char *called = basename(argv[0]);
    int first = skip_global(argc, argv);
    struct args a;

    if (!strcmp(called, "xl"))
        program = "xl";
    warn_program = program;
    if (first >= argc) {
        help_overview(stderr, false);
        return 2;
    }
    if (!strcmp(argv[first], "-h") || !strcmp(argv[first], "--help")) {
        help_overview(stdout, false);
        return 0;
    }
    const struct command *c = command_find(argv[first]);
    if (!c)
        return unknown(argv[first]);
    int rc = args_parse(&a, c, argc - first, argv + first);

    if (rc)
        return rc == 1 ? 0 : rc;
    return finish(c, c->run(&a));
}
