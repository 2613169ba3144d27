/* SPDX-License-Identifier: MIT */
#include "why_html.h"

#include <string.h>

#include "why_json.h"
#include "why_page.h" /* made of why_page.html: a string */

static const char page[] = WHY_PAGE, mark[] = "@DATA@";

void why_html(FILE *out, const struct why *why)
{
    const char *at = strstr(page, mark);

    fwrite(page, 1, (size_t)(at - page), out);
    why_json(out, why, true);
    fputs(at + sizeof mark - 1, out);
}
