/* SPDX-License-Identifier: MIT */
#include "top_ask.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "seconds.h"
#include "sheet.h"
#include "top_text.h"

#define SOON 2.0 /* seconds within which an answer is looked for often */

/* None of them takes anything from the process that it needs or cannot have back, so none is asked about. */
static const struct asked {
    int key;
    const char *words; /* as `myalloc ctl` has them */
    enum mailbox_command command;
    uint64_t argument;
} keys[] = {
    {'p', "purge", MAILBOX_PURGE, 0},
    {'t', "trim", MAILBOX_TRIM, 0},
    {'o', "profile on", MAILBOX_PROFILE, 1},
    {'f', "profile off", MAILBOX_PROFILE, 0},
    {'d', "profile dump", MAILBOX_DUMP, 0},
    {'w', "withdraw", MAILBOX_NONE, 0},
};

/* ---- the line ------------------------------------------------------------------------------------------------------ */

__attribute__((format(printf, 2, 3))) static void tell(struct ask *ask, const char *format, ...)
{
    const struct process *process = &ask->post.counts.process;
    va_list arguments;
    char name[64];
    int length = snprintf(ask->text, sizeof ask->text, "%s %d (%s): ", ask->words, process->number,
                          top_name(name, process->name));

    va_start(arguments, format);
    vsnprintf(ask->text + length, sizeof ask->text - (size_t)length, format, arguments);
    va_end(arguments);
}

static void tell_done(struct ask *ask)
{
    const struct mailbox_answer *answer = &ask->post.answer;
    char figure[FIGURE_BYTES];

    switch (answer->command) {
    case MAILBOX_PURGE:
    case MAILBOX_TRIM: tell(ask, "done: %s went back", figure_bytes(figure, (double)answer->result)); break;
    case MAILBOX_DUMP: tell(ask, "done: %s", ask->post.text); break;
    default:
        if (ask->post.letter.argument)
            tell(ask, "done: one byte in %s is sampled", figure_bytes(figure, (double)answer->result));
        else
            tell(ask, "done: nothing is sampled");
    }
}

static void tell_answer(struct ask *ask)
{
    switch (ask->post.answer.status) {
    case MAILBOX_DONE: tell_done(ask); break;
    case MAILBOX_REFUSED:
        tell(ask, "refused: %s: %s", strerror((int)ask->post.answer.result), ask->post.text);
        break;
    case MAILBOX_UNFIT: tell(ask, "refused: no profile was ever on"); break;
    default: tell(ask, "refused: its library does not know this"); break;
    }
}

static void tell_failure(struct ask *ask)
{
    switch (ask->post.failure) {
    case COUNTS_ENDED: tell(ask, "refused: it has ended"); break;
    case COUNTS_FORBIDDEN: tell(ask, "refused: only its user or root may"); break;
    case COUNTS_CHANGED: tell(ask, "refused: it has begun another program"); break;
    case COUNTS_REFUSED: tell(ask, "refused: %s", strerror((int)ask->post.counts.detail)); break;
    default: tell(ask, "refused: no library that this command knows"); break;
    }
}

static void tell_pending(struct ask *ask)
{
    struct process now = ask->post.counts.process;

    process_read(now.number, &now);
    tell(ask, now.state == 'T' || now.state == 't' ? "pending: the process is stopped"
                                                   : "pending: at its next slow call  w withdraws");
}

/* What there is to say of it in this state. */
static void tell_state(struct ask *ask, enum post_state state)
{
    switch (state) {
    case POST_SENT:
    case POST_WAITING: tell_pending(ask); break;
    case POST_ANSWERED: tell_answer(ask); break;
    case POST_BUSY: tell(ask, "refused: another command waits  w withdraws it"); break;
    case POST_LOST: tell(ask, "refused: another tool's command is in its place"); break;
    case POST_SEALED: tell(ask, "refused: its option control is off"); break;
    case POST_SECURE: tell(ask, "refused: it has more rights than its user"); break;
    case POST_VERSION: tell(ask, "refused: its library has other commands"); break;
    default: tell_failure(ask); break;
    }
}

/* ---- asking -------------------------------------------------------------------------------------------------------- */

/* The process is the one that is shown, not a later one of its number. */
static enum post_state open_post(struct ask *ask, const struct watched *watched)
{
    const struct process *shown = &watched->counts.process;
    enum post_state state = post_open(shown->number, &ask->post);

    if (ask->post.counts.process.started == shown->started && state != POST_FAILED)
        return state;
    if (ask->post.counts.process.started != shown->started)
        ask->post.failure = COUNTS_ENDED;
    ask->post.counts.process = *shown; /* also where there is none any more: for its name */
    return POST_FAILED;
}

static void withdraw(struct ask *ask)
{
    enum post_state state = post_withdraw(&ask->post);

    if (state == POST_FAILED)
        tell_failure(ask);
    else
        tell(ask, state == POST_LOST ? "no command waits" : state == POST_WAITING ? "done, but it had begun" : "done");
}

bool ask_key(struct ask *ask, const struct watched *watched, int key)
{
    const struct asked *asked = keys, *end = keys + sizeof keys / sizeof *keys;
    enum post_state state;

    while (asked < end && asked->key != key)
        asked++;
    if (asked == end)
        return false;
    ask->waits = ask->lost = false;
    ask->since = seconds_now();
    ask->words = asked->words;
    state = open_post(ask, watched);
    if (state == POST_SENT && asked->command == MAILBOX_NONE) {
        withdraw(ask);
        return true;
    }
    if (state == POST_SENT)
        state = post_send(&ask->post, asked->command, asked->argument);
    ask->waits = state == POST_SENT;
    tell_state(ask, state);
    return true;
}

/* A letter that is not seen is looked for once more: the mailbox is not read at one moment. */
void ask_look(struct ask *ask)
{
    enum post_state state;

    if (!ask->waits)
        return;
    state = post_look(&ask->post);
    ask->waits = state == POST_WAITING || (state == POST_LOST && !ask->lost);
    ask->lost = state == POST_LOST;
    if (!ask->waits || state == POST_WAITING)
        tell_state(ask, state);
}

double ask_due(const struct ask *ask)
{
    if (!ask->waits)
        return 1e9;
    return seconds_now() - ask->since < SOON ? 0.02 : 0.5;
}
