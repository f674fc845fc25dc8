/* SPDX-License-Identifier: MIT */
/* The last failures of a guest's name, a line each with its time, in /var/lib/zendo/why/NAME: what `xm why` tells. */
#include "domains.h"
#include "fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define KEPT 10

/* A name that may be part of a path; names of guests are, after domain_check_name(). */
static bool is_safe(const char *name)
{
    return name && *name && *name != '.' && !strchr(name, '/') && strlen(name) < 128;
}

/* The last KEPT lines that were there; lines[] is to be freed. */
static unsigned read_lines(const char *path, char *lines[KEPT])
{
    FILE *f = fopen(path, "r");
    unsigned n = 0;
    char *line = NULL;
    size_t size = 0;

    while (f && getline(&line, &size, f) > 0) {
        if (n == KEPT) {
            free(lines[0]);
            memmove(lines, lines + 1, (KEPT - 1) * sizeof(*lines));
            n--;
        }
        lines[n] = strdup(line);
        if (lines[n])
            n++;
    }
    free(line);
    if (f)
        fclose(f);
    return n;
}

/* Not being able to remember is no failure. */
void domain_why_add(const char *name, const char *text)
{
    char path[512], fresh[520], when[32], *lines[KEPT];
    time_t now = time(NULL);
    struct tm tm;

    if (!is_safe(name))
        return;
    mkdir(domain_state_folder, 0755);
    snprintf(path, sizeof(path), "%s/why", domain_state_folder);
    mkdir(path, 0755);
    snprintf(path, sizeof(path), "%s/why/%s", domain_state_folder, name);
    snprintf(fresh, sizeof(fresh), "%s.new", path);
    unsigned n = read_lines(path, lines);
    FILE *f = fopen(fresh, "w");

    for (unsigned i = 0; i < n; i++) {
        if (f && (i > 0 || n < KEPT))
            fputs(lines[i], f);
        free(lines[i]);
    }
    if (!f)
        return;
    strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", localtime_r(&now, &tm));
    fprintf(f, "%s %s\n", when, text);
    if (fclose(f) || rename(fresh, path))
        unlink(fresh);
}

int domain_why_print(const char *name, FILE *out)
{
    char path[512], *lines[KEPT];

    if (!is_safe(name))
        return fault(-EINVAL, "'%s' is no name of a guest", name);
    snprintf(path, sizeof(path), "%s/why/%s", domain_state_folder, name);
    unsigned n = read_lines(path, lines);

    for (unsigned i = 0; i < n; i++) {
        fputs(lines[i], out);
        free(lines[i]);
    }
    return n ? 0 : fault(-ENOENT, "no failure of '%s' is remembered", name);
}
