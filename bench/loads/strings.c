/* SPDX-License-Identifier: MIT */
/* Strings as a scripting program makes them: copied, cut, joined, most short and short-lived. Written for this bench;
 * the small short-lived blocks are those of cfrac and of interpreters. */
#include "load.h"

static long strings = 20000, operations = 4000000, longest = 120;

static const struct parameter parameters[] = {{"strings", &strings, 2, 10000000},
                                              {"operations", &operations, 1, 10000000000},
                                              {"longest", &longest, 16, 1000000}};

/* Each string is made of one letter, the one of its place, so that every change by others shows. */
static char letter(size_t place) {
    return (char)('a' + place % 26);
}

static void verify(const char *string, size_t place, size_t length) {
    if (strlen(string) != length || (length > 0 && (string[0] != letter(place) || string[length - 1] != letter(place))))
        load_fail("string %zu is no longer %zu times '%c'", place, length, letter(place));
}

static char *joined(const char *left, size_t left_length, const char *right, size_t right_length) {
    char *string = checked(malloc(left_length + right_length + 1), left_length + right_length + 1);
    memcpy(string, left, left_length);
    memcpy(string + left_length, right, right_length + 1);
    return string;
}

int main(int argc, char **argv) {
    load_parameters(argc, argv, parameters);
    char **table = table_new((size_t)strings, sizeof *table);
    size_t *lengths = table_new((size_t)strings, sizeof *lengths);
    uint64_t random = random_stream(0);
    for (size_t i = 0; i < (size_t)strings; i++)
        table[i] = checked(strdup(""), 1);
    for (long i = 0; i < operations; i++) {
        size_t place = random_below(&random, (size_t)strings), length = lengths[place];
        char *old = table[place], piece[32] = {0};
        verify(old, place, length);
        size_t more = random_between(&random, 1, sizeof piece - 1);
        memset(piece, letter(place), more);
        if (length + more > (size_t)longest) {
            table[place] = checked(strndup(old, more), more);
            lengths[place] = more;
        } else {
            char *copy = checked(strdup(piece), more); /* the temporary of an expression */
            table[place] = joined(old, length, copy, more);
            lengths[place] = length + more;
            free(copy);
        }
        free(old);
    }
    for (size_t i = 0; i < (size_t)strings; i++) {
        verify(table[i], i, lengths[i]);
        free(table[i]);
    }
    return 0;
}
