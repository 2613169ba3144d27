/* SPDX-License-Identifier: MIT */
#include "why_html.h"

#include "html_page.h"
#include "why_json.h"
#include "why_page.h" /* made of why_page.html: a string */

void why_html(FILE *out, const struct why *why)
{
    const char *behind = html_page_begin(out, WHY_PAGE);

    why_json(out, why, true);
    fputs(behind, out);
}
