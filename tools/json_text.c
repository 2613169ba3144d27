/* SPDX-License-Identifier: MIT */
#include "json_text.h"

#include "utf8.h"

void json_text(FILE *out, const char *text)
{
    putc('"', out);
    while (*text) {
        size_t length = utf8_character(text);

        if (!length)
            fputs("\\ufffd", out);
        else if ((unsigned char)*text < ' ' || *text == '<' || *text == '>' || *text == 0x7f)
            fprintf(out, "\\u%04x", (unsigned char)*text);
        else
            fprintf(out, *text == '"' || *text == '\\' ? "\\%.*s" : "%.*s", (int)length, text);
        text += length ? length : 1;
    }
    putc('"', out);
}
