/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a configuration, with a word of the command line in front ("word\0file"). What is accepted must print as text
 * that is accepted again and says the same.
 * sources: toolstack/lib/config.c toolstack/lib/config_lex.c toolstack/lib/config_value.c toolstack/lib/config_expr.c
 * sources: toolstack/lib/config_ops.c toolstack/lib/config_builtin.c toolstack/lib/config_eval.c toolstack/lib/config_keys.c
 * sources: toolstack/lib/config_finish.c toolstack/lib/config_part.c toolstack/lib/config_disk.c toolstack/lib/config_vif.c
 * sources: toolstack/lib/config_print.c toolstack/lib/fault.c
 * libs: -ljson-c
 */
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "fault.h"

static char *text_of(const struct guest_config *g)
{
    char *s = NULL;
    size_t n;
    FILE *f = open_memstream(&s, &n);

    config_print_xl(g, f);
    fclose(f);
    return s;
}

static void print_again(const struct guest_config *g)
{
    char *first = text_of(g), *second;
    struct guest_config again;

    fault_clear();
    if (config_parse(&again, "again", first, strlen(first), NULL, 0)) {
        fprintf(stdout, "%s\n%s\n", fault_text(), first);
        abort();
    }
    second = text_of(&again);
    if (strcmp(first, second) != 0) {
        fprintf(stdout, "%s\n%s\n", first, second);
        abort();
    }
    free(first);
    free(second);
    config_dispose(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t word = strnlen((const char *)data, size);
    char *words[] = { strndup((const char *)data, word) };
    bool has_word = word < size;
    struct guest_config g;

    static FILE *nowhere; /* for warnings; the fuzzer keeps the stderr it began with */
    if (!nowhere && !(stderr = nowhere = fopen("/dev/null", "w")))
        abort();
    fault_clear();
    int rc = has_word ? config_parse(&g, "f", (const char *)data + word + 1, size - word - 1, words, 1)
                      : config_parse(&g, "f", (const char *)data, size, NULL, 0);
    if (!rc)
        print_again(&g);
    else if (!*fault_text() || strchr(fault_text(), '\n'))
        abort();
    config_dispose(&g);
    free(words[0]);
    return 0;
}
