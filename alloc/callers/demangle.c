/* SPDX-License-Identifier: MIT */
#include "callers/demangle.h"

#include <string.h>

#define DEPTH_MOST 64 /* of names and types in each other; real ones have 20 */

struct demangle {
    const char *at; /* what is left of the name */
    char *out;
    size_t room, length;
    const char *last; /* the last name of a class, which its constructor has, too */
    size_t last_length;
    unsigned depth;
    bool silent;  /* in what is read over */
    bool follows; /* what is written next stands behind :: */
};

static bool demangle_any_name(struct demangle *d);
static bool demangle_encoding(struct demangle *d);
static bool skip_type(struct demangle *d);

/* ---- pieces ------------------------------------------------------------------------------------------------------ */

static void put(struct demangle *d, const char *text, size_t length) {
    if (d->silent)
        return;
    length = min_size(length, d->room - 1 - d->length);
    memcpy(d->out + d->length, text, length);
    d->length += length;
}

static void put_text(struct demangle *d, const char *text) {
    put(d, text, strlen(text));
}

/* One part of a qualified name. */
static void put_part(struct demangle *d, const char *text, size_t length) {
    if (d->follows)
        put(d, "::", 2);
    put(d, text, length);
    d->follows |= !d->silent;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}

static bool take(struct demangle *d, const char *text) {
    size_t length = strlen(text);
    if (strncmp(d->at, text, length) != 0)
        return false;
    d->at += length;
    return true;
}

static void skip_digits(struct demangle *d) {
    while (is_digit(*d->at))
        d->at++;
}

/* An optional number and the underscore behind it, as lambdas, parameters and offsets have. */
static bool skip_number(struct demangle *d) {
    take(d, "n");
    while (is_digit(*d->at) || (*d->at >= 'A' && *d->at <= 'Z')) /* substitutions count with letters, too */
        d->at++;
    return take(d, "_");
}

/* <length><characters>: where they are. A name that was cut off is as long as it is. */
static bool read_source_name(struct demangle *d, const char **name, size_t *length) {
    size_t wanted = 0;
    if (!is_digit(*d->at))
        return false;
    for (; is_digit(*d->at); d->at++)
        wanted = min_size(wanted * 10 + (size_t)(*d->at - '0'), UINT32_MAX);
    const char *end = memchr(d->at, '\0', wanted);
    *name = d->at;
    *length = end != NULL ? (size_t)(end - d->at) : wanted;
    d->at += *length;
    return *length > 0;
}

static bool demangle_source_name(struct demangle *d) {
    static const char unnamed[] = "_GLOBAL__N";
    const char *name;
    size_t length;
    if (!read_source_name(d, &name, &length))
        return false;
    if (length >= sizeof unnamed - 1 && memcmp(name, unnamed, sizeof unnamed - 1) == 0)
        put_part(d, "(anonymous namespace)", 21);
    else
        put_part(d, name, length);
    d->last = name;
    d->last_length = length;
    return true;
}

/* ---- what is read over ------------------------------------------------------------------------------------------- */

/* Types until E, with a reference's mark of the function itself before it. */
static bool skip_types(struct demangle *d) {
    while (!take(d, "E") && !take(d, "RE") && !take(d, "OE"))
        if (!skip_type(d))
            return false;
    return true;
}

/* A value, or a function, as a template's argument; behind the L. */
static bool skip_literal(struct demangle *d) {
    if (take(d, "_Z"))
        return demangle_encoding(d) && (take(d, "E") || skip_types(d));
    if (!skip_type(d))
        return false;
    while (is_digit(*d->at) || is_lower(*d->at) || *d->at == '_')
        d->at++;
    return take(d, "E");
}

/* Behind the I or J. Expressions (X) are not read. */
static bool skip_arguments(struct demangle *d) {
    bool done = ++d->depth < DEPTH_MOST;
    while (done && !take(d, "E"))
        done = take(d, "L") ? skip_literal(d) : take(d, "J") ? skip_arguments(d) : skip_type(d);
    d->depth--;
    return done;
}

/* Those behind a name, if there are some. What they hold is no part of the name. */
static bool skip_optional_arguments(struct demangle *d) {
    const char *last = d->last;
    size_t last_length = d->last_length;
    bool silent = d->silent;
    if (!take(d, "I"))
        return true;
    d->silent = true;
    bool done = skip_arguments(d);
    d->silent = silent;
    d->last = last;
    d->last_length = last_length;
    return done;
}

static bool skip_name(struct demangle *d) {
    const char *name;
    size_t length;
    return read_source_name(d, &name, &length) && skip_optional_arguments(d);
}

/* The types whose first letter is D. */
static bool skip_type_d(struct demangle *d) {
    if (take(d, "p") || take(d, "o"))
        return skip_type(d);
    if (take(d, "w"))
        return skip_types(d) && skip_type(d);
    if (take(d, "v"))
        return skip_number(d) && skip_type(d);
    if (take(d, "F")) {
        skip_digits(d);
        return take(d, "_") || take(d, "b") || take(d, "x");
    }
    if (*d->at == '\0' || strchr("defhisuacn", *d->at) == NULL)
        return false;
    d->at++;
    return true;
}

/* A type that is not one of another, behind its first letter. */
static bool skip_type_of(struct demangle *d, char first) {
    switch (first) {
    case 'D':
        return skip_type_d(d);
    case 'F':
        take(d, "Y");
        return skip_types(d);
    case 'A':
        return (is_digit(*d->at) || *d->at == '_') && skip_number(d) && skip_type(d);
    case 'M':
        return skip_type(d) && skip_type(d);
    case 'U':
        return skip_name(d) && skip_type(d);
    case 'u':
        return skip_name(d);
    case 'T': /* a parameter; or struct, union, enum before a name */
        return take(d, "s") || take(d, "u") || take(d, "e") ? demangle_any_name(d)
                                                             : skip_number(d) && skip_optional_arguments(d);
    default:
        return false;
    }
}

static bool skip_type(struct demangle *d) {
    bool silent = d->silent, done = true;
    while (*d->at != '\0' && strchr("rVKPROCG", *d->at) != NULL) /* const, pointers, references and their kin */
        d->at++;
    if (d->depth >= DEPTH_MOST || *d->at == '\0')
        return false;
    d->depth++;
    d->silent = true;
    if (is_lower(*d->at) && *d->at != 'u')
        d->at++;
    else if (*d->at == 'N' || *d->at == 'Z' || *d->at == 'S' || is_digit(*d->at))
        done = demangle_any_name(d);
    else
        done = skip_type_of(d, *d->at++);
    d->depth--;
    d->silent = silent;
    return done;
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static bool demangle_operator(struct demangle *d) {
    static const char operators[] =
        "nw new|na new[]|dl delete|da delete[]|aw co_await|ps+|ng-|ad&|de*|co~|pl+|mi-|ml*|dv/|rm%|an&|or||eo^|aS=|pL+=|mI-=|"
        "mL*=|dV/=|rM%=|aN&=|oR|=|eO^=|ls<<|rs>>|lS<<=|rS>>=|eq==|ne!=|lt<|gt>|le<=|ge>=|ss<=>|nt!|aa&&|oo|||pp++|mm--|cm,|"
        "pm->*|pt->|cl()|ix[]|qu?|";
    if (take(d, "cv")) {
        put_part(d, "operator", 8);
        return skip_type(d);
    }
    if (take(d, "li")) {
        put_part(d, "operator\"\" ", 11);
        d->follows = false;
        return demangle_source_name(d);
    }
    for (const char *row = operators; *row != '\0';) {
        const char *end = row + 3; /* the text has a character at least, which may be the bar that ends others */
        while (*end != '|' || end[1] == '|')
            end++;
        if (strncmp(row, d->at, 2) == 0) {
            d->at += 2;
            put_part(d, "operator", 8);
            put(d, row + 2, (size_t)(end - row - 2));
            return true;
        }
        row = end + 1;
    }
    return false;
}

/* C1, C2, C3, CI1 TYPE; D0, D1, D2; the names of a structured binding, DC. */
static bool demangle_structor(struct demangle *d) {
    bool ends = *d->at++ == 'D', inherits = !ends && take(d, "I");
    if (ends && take(d, "C")) {
        while (!take(d, "E"))
            if (!demangle_source_name(d))
                return false;
        return true;
    }
    if (!is_digit(*d->at) || d->last == NULL)
        return false;
    d->at++;
    put_part(d, "~", ends);
    put(d, d->last, d->last_length);
    return !inherits || skip_type(d);
}

/* Lambdas and types without a name: behind the U. */
static bool demangle_unnamed(struct demangle *d) {
    if (take(d, "l")) {
        put_part(d, "{lambda}", 8);
        if (!skip_types(d))
            return false;
    } else if (take(d, "t")) {
        put_part(d, "{unnamed}", 9);
    } else {
        return false;
    }
    return skip_number(d);
}

static bool demangle_tags(struct demangle *d) {
    const char *name;
    size_t length;
    while (take(d, "B")) {
        if (!read_source_name(d, &name, &length))
            return false;
        put_text(d, "[abi:");
        put(d, name, length);
        put_text(d, "]");
    }
    return true;
}

static bool demangle_unqualified(struct demangle *d) {
    bool done;
    take(d, "L"); /* static */
    if (is_digit(*d->at))
        done = demangle_source_name(d);
    else if (*d->at == 'C' || *d->at == 'D')
        done = demangle_structor(d);
    else if (take(d, "U"))
        done = demangle_unnamed(d);
    else
        done = demangle_operator(d);
    return done && demangle_tags(d);
}

/* Behind the S: a part of the standard library; another that was there before is not known any more. */
static bool demangle_substitution(struct demangle *d) {
    static const char names[][14] = {"tstd", "aallocator", "bbasic_string", "sstring", "iistream", "oostream", "diostream"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (*d->at != names[i][0])
            continue;
        d->at++;
        put_part(d, "std", 3);
        if (i > 0)
            put_part(d, names[i] + 1, strlen(names[i] + 1));
        d->last = names[i] + 1;
        d->last_length = strlen(d->last);
        return true;
    }
    put_part(d, "?", 1);
    return skip_number(d);
}

/* Behind the N: qualifiers of the function itself, then part after part. */
static bool demangle_nested(struct demangle *d) {
    while (*d->at != '\0' && strchr("rVKROH", *d->at) != NULL)
        d->at++;
    while (!take(d, "E")) {
        take(d, "M"); /* a lambda in a member's first value */
        if (take(d, "S") ? !demangle_substitution(d) : take(d, "T") ? !skip_number(d) : !demangle_unqualified(d))
            return false;
        if (!skip_optional_arguments(d))
            return false;
    }
    return true;
}

/* Behind the Z: what is defined in a function. */
static bool demangle_local(struct demangle *d) {
    if (!demangle_encoding(d) || !skip_types(d))
        return false;
    if (take(d, "s"))
        return true;
    if (take(d, "d") && !skip_number(d))
        return false;
    if (!demangle_any_name(d))
        return false;
    if (take(d, "__"))
        return skip_number(d);
    if (*d->at == '_' && is_digit(d->at[1]))
        d->at += 2;
    return true;
}

static bool demangle_any_name(struct demangle *d) {
    bool done;
    if (++d->depth > DEPTH_MOST) {
        done = false;
    } else if (take(d, "N")) {
        done = demangle_nested(d);
    } else if (take(d, "Z")) {
        done = demangle_local(d);
    } else if (take(d, "S")) {
        bool scope = *d->at == 't';
        done = demangle_substitution(d) && (!scope || demangle_unqualified(d)) && skip_optional_arguments(d);
    } else {
        done = demangle_unqualified(d) && skip_optional_arguments(d);
    }
    d->depth--;
    return done;
}

/* The offsets of a thunk, which stands for the function behind them: h NUMBER _, or v NUMBER _ NUMBER _. */
static bool skip_offset(struct demangle *d) {
    return take(d, "h") ? skip_number(d) : take(d, "v") && skip_number(d) && skip_number(d);
}

/* A function's name; its parameters are left. */
static bool demangle_encoding(struct demangle *d) {
    if (take(d, "T") && !(take(d, "c") ? skip_offset(d) && skip_offset(d) : skip_offset(d)))
        return false;
    return demangle_any_name(d);
}

bool demangle_name(const char *mangled, char *out, size_t room) {
    struct demangle d = {.at = mangled, .out = out, .room = room};
    if (take(&d, "_Z"))
        demangle_encoding(&d);
    out[d.length] = '\0';
    return d.length > 0;
}
