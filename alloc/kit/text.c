/* SPDX-License-Identifier: MIT */
#include "kit/text.h"

#define PIECE_ROOM 256

struct sink {
    char *at, *end;
};

static void put(struct sink *sink, char c) {
    if (sink->at < sink->end)
        *sink->at++ = c;
}

static void put_string(struct sink *sink, const char *text) {
    for (text = text ? text : "(null)"; *text != '\0'; text++)
        put(sink, *text);
}

static void put_number(struct sink *sink, uint64_t n, unsigned radix) {
    char digits[24];
    int count = 0;
    do {
        digits[count++] = "0123456789abcdef"[n % radix];
        n /= radix;
    } while (n > 0);
    while (count > 0)
        put(sink, digits[--count]);
}

static void put_signed(struct sink *sink, int n) {
    if (n < 0)
        put(sink, '-');
    put_number(sink, n < 0 ? -(uint64_t)n : (uint64_t)n, 10);
}

size_t text_vformat(char *out, size_t room, const char *format, va_list arguments) {
    struct sink sink = {out, out + room - 1};
    for (; *format != '\0'; format++) {
        if (*format != '%') {
            put(&sink, *format);
            continue;
        }
        switch (*++format) {
        case 's':
            put_string(&sink, va_arg(arguments, const char *));
            break;
        case 'p':
            put_string(&sink, "0x");
            put_number(&sink, (uintptr_t)va_arg(arguments, const void *), 16);
            break;
        case 'z':
            put_number(&sink, va_arg(arguments, size_t), 10);
            break;
        case 'd':
            put_signed(&sink, va_arg(arguments, int));
            break;
        default:
            put(&sink, *format);
        }
    }
    *sink.at = '\0';
    return (size_t)(sink.at - out);
}

size_t text_format(char *out, size_t room, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    size_t length = text_vformat(out, room, format, arguments);
    va_end(arguments);
    return length;
}

void text_add(struct text *text, const char *format, ...) {
    char piece[PIECE_ROOM];
    va_list arguments;
    va_start(arguments, format);
    size_t length = text_vformat(piece, sizeof piece, format, arguments);
    va_end(arguments);
    for (size_t i = 0; i < length; i++, text->length++)
        if (text->length + 1 < text->room)
            text->out[text->length] = piece[i];
}
