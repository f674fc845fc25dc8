/* SPDX-License-Identifier: MIT */
/*
 * Options of a command. They may stand anywhere, also after operands (as old xm took them: "xm migrate 1 host -l"); "--"
 * ends them. Letters without value may be joined (-pc), values may be joined (-fFILE, --file=FILE).
 */
#include "command.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static int say_usage(const struct command *c)
{
    fprintf(stderr, "Usage: %s %s %s%s%s\n('%s help %s' tells more)\n", program, c->name, c->options ? "[OPTIONS] " : "", c->operands,
            "", program, c->name);
    return 2;
}

int usage_error(const struct args *a, const char *format, ...)
{
    va_list ap;

    fprintf(stderr, "%s %s: ", program, a->command->name);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
    return say_usage(a->command);
}

static bool is_last(const struct option_row *o)
{
    return !o->letter && !o->name;
}

/* Row of an option, -1 if there is none; n characters of name, or a letter. */
static int row_of(const struct command *c, char letter, const char *name, size_t n)
{
    for (int i = 0; c->options && !is_last(&c->options[i]); i++) {
        const struct option_row *o = &c->options[i];

        if (letter ? o->letter == letter : o->name && strlen(o->name) == n && !memcmp(o->name, name, n))
            return i;
    }
    return -1;
}

static bool wants_help(const char *word)
{
    return !strcmp(word, "-h") || !strcmp(word, "--help");
}

/* --name or --name=value; *next is what follows on the line. */
static int take_long(struct args *a, const char *word, char ***next)
{
    size_t n = strcspn(word, "=");
    int row = row_of(a->command, 0, word, n);

    if (row < 0)
        return usage_error(a, "there is no option --%.*s", (int)n, word);
    a->value[row] = "";
    if (!a->command->options[row].arg)
        return word[n] ? usage_error(a, "option --%.*s takes no value", (int)n, word) : 0;
    a->value[row] = word[n] ? word + n + 1 : **next ? *(*next)++ : NULL;
    return a->value[row] ? 0 : usage_error(a, "option --%.*s wants a value (%s)", (int)n, word, a->command->options[row].arg);
}

static int take_letters(struct args *a, const char *word, char ***next)
{
    for (; *word; word++) {
        int row = row_of(a->command, *word, NULL, 0);

        if (row < 0)
            return usage_error(a, "there is no option -%c", *word);
        a->value[row] = "";
        if (!a->command->options[row].arg)
            continue;
        a->value[row] = word[1] ? word + 1 : **next ? *(*next)++ : NULL;
        return a->value[row] ? 0 : usage_error(a, "option -%c wants a value (%s)", *word, a->command->options[row].arg);
    }
    return 0;
}

/* A negative number is an operand (rename -1? no; debug values), and so is a lone dash. */
static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] && !(word[1] >= '0' && word[1] <= '9');
}

int args_parse(struct args *a, const struct command *c, int argc, char **argv)
{
    char **next = argv + 1, **end = argv + argc;
    bool only_operands = false;
    int rc = 0;

    *a = (struct args){ .command = c, .operands = argv };
    while (!rc && next < end) {
        char *word = *next++;

        if (!only_operands && !strcmp(word, "--")) {
            only_operands = true;
        } else if (!only_operands && wants_help(word)) {
            help_command(stdout, c);
            return 1;
        } else if (!only_operands && is_option(word)) {
            rc = word[1] == '-' ? take_long(a, word + 2, &next) : take_letters(a, word + 1, &next);
        } else {
            a->operands[a->n++] = word; /* never overtakes `next` */
        }
    }
    if (!rc && a->n < c->min)
        rc = usage_error(a, "too few words");
    if (!rc && a->n > c->max)
        rc = usage_error(a, "too many words, from '%s' on", a->operands[c->max]);
    return rc;
}

const char *args_value(const struct args *a, const char *option)
{
    int row = row_of(a->command, option[1] ? 0 : option[0], option, strlen(option));

    if (row < 0) {
        fprintf(stderr, "%s: %s has no option %s: this is a fault of the program\n", program, a->command->name, option);
        abort();
    }
    return a->value[row];
}

bool args_has(const struct args *a, const char *option)
{
    return args_value(a, option) != NULL;
}
