/* SPDX-License-Identifier: MIT */
/* xm why and help. */
#include "xm.h"

#include <errno.h>

int cmd_why(struct args *a)
{
    return domain_why_print(a->operands[0], stdout);
}

int cmd_help(struct args *a)
{
    const struct command *c = a->n ? command_find(a->operands[0]) : NULL;

    if (args_has(a, "man")) {
        help_man(stdout);
    } else if (args_has(a, "words")) {
        help_words(stdout, a->n ? a->operands[0] : NULL);
    } else if (c) {
        help_command(stdout, c);
    } else if (a->n) {
        const char *near = command_suggest(a->operands[0]);

        return fault(-ENOENT, "there is no command '%s'%s%s", a->operands[0], near ? "; perhaps you mean " : "", near ? near : "");
    } else {
        help_overview(stdout, args_has(a, "long"));
    }
    return 0;
}
