/* SPDX-License-Identifier: MIT */
/* Help, the man page and the words for the shell's completion, all from the table of commands. */
#include "command.h"

#include <ctype.h>
#include <string.h>

/* --- finding ------------------------------------------------------------------------------------------------------------ */

static bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = list; p && *p; p += strcspn(p, " "), p += strspn(p, " "))
        if (strcspn(p, " ") == n && !memcmp(p, word, n))
            return true;
    return false;
}

const struct command *command_find(const char *name)
{
    for (unsigned i = 0; i < n_commands; i++)
        if (!strcmp(commands[i].name, name) || has_word(commands[i].aliases, name))
            return &commands[i];
    return NULL;
}

/* How many letters must be changed, put in, left out or swapped with their neighbour; words up to 30 letters. */
static unsigned distance(const char *a, const char *b)
{
    unsigned d[32][32];
    size_t n = strlen(a), m = strlen(b);

    if (n > 30 || m > 30)
        return 99;
    for (unsigned i = 0; i <= n; i++)
        for (unsigned j = 0; j <= m; j++) {
            if (!i || !j) {
                d[i][j] = i + j;
                continue;
            }
            unsigned best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            best = d[i - 1][j] + 1 < best ? d[i - 1][j] + 1 : best;
            best = d[i][j - 1] + 1 < best ? d[i][j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    return d[n][m];
}

const char *command_suggest(const char *name)
{
    unsigned nearest = strlen(name) < 5 ? 2 : 3; /* nothing at this distance or beyond */
    const char *found = NULL;

    for (unsigned i = 0; i < n_commands; i++)
        if (distance(name, commands[i].name) < nearest) {
            nearest = distance(name, commands[i].name);
            found = commands[i].name;
        }
    return found;
}

/* --- help ----------------------------------------------------------------------------------------------------------------- */

void help_overview(FILE *out, bool all)
{
    const char *group = "";

    fprintf(out, "Usage: %s COMMAND [OPTIONS] [OPERANDS]\n", program);
    for (unsigned i = 0; i < n_commands; i++) {
        if (strcmp(group, commands[i].group)) {
            group = commands[i].group;
            fprintf(out, "\n%s\n", group);
        }
        fprintf(out, "  %-16s %s\n", commands[i].name, commands[i].summary);
        if (all && commands[i].aliases)
            fprintf(out, "  %-16s   also called: %s\n", "", commands[i].aliases);
    }
    fprintf(out, "\n'%s help COMMAND' tells more. Options may stand anywhere. A guest is named by name or number.\n", program);
}

static void option_names(char *out, size_t size, const struct option_row *o)
{
    char letter[4] = "", name[40] = "";

    if (o->letter)
        snprintf(letter, sizeof(letter), "-%c", o->letter);
    if (o->name)
        snprintf(name, sizeof(name), "--%s", o->name);
    snprintf(out, size, "%s%s%s%s%s", letter, o->letter && o->name ? ", " : "", name, o->arg ? " " : "", o->arg ? o->arg : "");
}

#define EACH_OPTION(o, c) for (const struct option_row *o = (c)->options; o && (o->letter || o->name); o++)

void help_command(FILE *out, const struct command *c)
{
    char names[80];

    fprintf(out, "Usage: %s %s %s%s\n\n%s.\n", program, c->name, c->options ? "[OPTIONS] " : "", c->operands, c->summary);
    if (c->details)
        fprintf(out, "%s\n", c->details);
    if (c->aliases)
        fprintf(out, "Also called: %s\n", c->aliases);
    if (c->options)
        fputc('\n', out);
    EACH_OPTION(o, c) {
        option_names(names, sizeof(names), o);
        if (o->help)
            fprintf(out, "  %-26s %s\n", names, o->help);
    }
}

/* Text for roff: a dash is a dash, a line never begins with a dot or quote. */
static void roff(FILE *out, const char *text)
{
    for (bool start = true; *text; start = *text++ == '\n') {
        if (start && (*text == '.' || *text == '\''))
            fputs("\\&", out);
        if (*text == '-' || *text == '\\')
            fputc('\\', out);
        fputc(*text, out);
    }
}

static void man_command(FILE *out, const struct command *c)
{
    char names[80];

    fprintf(out, ".TP\n.B ");
    roff(out, c->name);
    fprintf(out, "\n.RI ");
    fputc('"', out);
    roff(out, c->options ? "[OPTIONS] " : "");
    roff(out, c->operands);
    fprintf(out, "\"\n.br\n");
    roff(out, c->summary);
    fputs(".\n", out);
    if (c->details) {
        roff(out, c->details);
        fputc('\n', out);
    }
    if (c->aliases) {
        fputs("Also called: ", out);
        roff(out, c->aliases);
        fputs(".\n", out);
    }
    fputs(".RS\n", out);
    EACH_OPTION(o, c) {
        if (!o->help)
            continue;
        option_names(names, sizeof(names), o);
        fputs(".TP\n.B ", out);
        roff(out, names);
        fputc('\n', out);
        roff(out, o->help);
        fputc('\n', out);
    }
    fputs(".RE\n", out);
}

void help_man(FILE *out)
{
    const char *group = "";

    fputs(".TH XM 1 \"\" \"Zendo\" \"Zendo\"\n.SH NAME\nxm \\- administer guests\n.SH SYNOPSIS\n.B xm\n.I COMMAND\n[OPTIONS] [OPERANDS]\n"
          ".SH DESCRIPTION\nCreates, lists, changes and ends guests. Options may stand anywhere among the words. A guest is named by its name or number. "
          "The program may be installed as\n.B xl\nas well.\n",
          out);
    for (unsigned i = 0; i < n_commands; i++) {
        if (strcmp(group, commands[i].group)) {
            group = commands[i].group;
            fprintf(out, ".SH ");
            for (const char *p = group; *p; p++)
                fputc(toupper((unsigned char)*p), out);
            fputc('\n', out);
        }
        man_command(out, &commands[i]);
    }
    fputs(".SH EXIT STATUS\n0: done. 1: refused or failed, with one line on standard error that says why. 2: wrong usage.\n"
          ".SH FILES\n.TP\n.I /etc/xen\nconfigurations, also looked up there by\n.BR \"xm create NAME\" .\n"
          ".TP\n.I /var/lib/zendo\nconfigurations of guests that run, last failures, kept consoles.\n.SH SEE ALSO\n.BR xm.cfg (5)\n",
          out);
}

void help_words(FILE *out, const char *of)
{
    const struct command *c = of ? command_find(of) : NULL;

    for (unsigned i = 0; !of && i < n_commands; i++)
        fprintf(out, "%s\n", commands[i].name);
    if (c)
        EACH_OPTION(o, c) {
            if (o->name && o->help)
                fprintf(out, "--%s\n", o->name);
            else if (o->letter && o->help)
                fprintf(out, "-%c\n", o->letter);
        }
}
