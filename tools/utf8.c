/* SPDX-License-Identifier: MIT */
#include "utf8.h"

#include <string.h>

#include "memory.h"

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

size_t utf8_character(const char *bytes)
{
    const unsigned char *text = (const unsigned char *)bytes;
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

char *utf8_copy(const char *text)
{
    char *copy = memory_new(strlen(text) * (sizeof replacement - 1) + 1), *to = copy;

    while (*text) {
        size_t length = utf8_character(text);

        to = length ? mempcpy(to, text, length) : mempcpy(to, replacement, sizeof replacement - 1);
        text += length ? length : 1;
    }
    return copy;
}
