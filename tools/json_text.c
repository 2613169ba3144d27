/* SPDX-License-Identifier: MIT */
#include "json_text.h"

#include <stddef.h>

/* The length of the character of UTF-8 at `text`, 0 if it is none: too long a form, a surrogate, too large a number. */
static size_t character(const unsigned char *text)
{
    static const unsigned char least[] = {0, 0, 0xc2, 0xe0, 0xf0}; /* the first byte, by length */
    size_t length = text[0] < 0x80 ? 1 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;

    if (text[0] < least[length] || text[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) || (text[0] == 0xf0 && text[1] < 0x90) ||
        (text[0] == 0xf4 && text[1] > 0x8f))
        return 0;
    return length;
}

void json_text(FILE *out, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;

    putc('"', out);
    while (*at) {
        size_t length = character(at);

        if (!length)
            fputs("\\ufffd", out);
        else if (*at < ' ' || *at == '<' || *at == '>' || *at == 0x7f)
            fprintf(out, "\\u%04x", (unsigned)*at);
        else
            fprintf(out, *at == '"' || *at == '\\' ? "\\%.*s" : "%.*s", (int)length, (const char *)at);
        at += length ? length : 1;
    }
    putc('"', out);
}
