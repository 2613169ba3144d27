/* SPDX-License-Identifier: MIT */
#include "html_page.h"

#include <string.h>

static const char mark[] = "@DATA@";

const char *html_page_begin(FILE *out, const char *page)
{
    const char *at = strstr(page, mark);

    fwrite(page, 1, (size_t)(at - page), out);
    return at + sizeof mark - 1;
}
