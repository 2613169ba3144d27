/* SPDX-License-Identifier: MIT */
#include "post.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>

enum { LETTER_WORDS = sizeof(struct mailbox_letter) / sizeof(uint64_t),
       ANSWER_WORDS = sizeof(struct mailbox_answer) / sizeof(uint64_t) };

static enum post_state failed(struct post *post, int error)
{
    switch (error) {
    case ESRCH: post->failure = COUNTS_ENDED; break;
    case EPERM:
    case EACCES: post->failure = COUNTS_FORBIDDEN; break;
    case EFAULT: post->failure = COUNTS_CHANGED; break;
    default: post->failure = COUNTS_REFUSED; break;
    }
    post->counts.detail = (unsigned)error;
    return POST_FAILED;
}

int post_still(const struct post *post)
{
    const struct process *before = &post->counts.process;
    struct process now;

    if (!process_read(before->number, &now) || now.started != before->started || process_has_ended(&now))
        return ESRCH;
    return now.image != before->image ? EFAULT : 0;
}

/* Reads the mailbox. */
static int read_mailbox(const struct post *post, struct mailbox *mailbox)
{
    int error = post_still(post);

    return error ? error : process_memory(post->counts.process.number, post->mailbox, mailbox, sizeof *mailbox);
}

int post_read(const struct post *post, uintptr_t from, void *out, size_t bytes)
{
    return process_memory(post->counts.process.number, from, out, bytes);
}

int post_write(const struct post *post, uintptr_t to, const void *from, size_t bytes)
{
    int error = post_still(post);

    return error ? error : process_write(post->counts.process.number, to, from, bytes);
}

static int knock(const struct post *post)
{
    static const uint32_t one = 1;

    return post_write(post, post->knock, &one, sizeof one);
}

static bool answer_is(const struct mailbox_answer *answer, uint64_t ticket)
{
    return answer->ticket == ticket && answer->sum == mailbox_sum(&answer->ticket, ANSWER_WORDS - 1);
}

static const struct mailbox_answer *find_answer(const struct mailbox *mailbox, uint64_t ticket)
{
    for (size_t i = 0; i < MAILBOX_ANSWERS; i++) {
        if (answer_is(&mailbox->answers[i], ticket))
            return &mailbox->answers[i];
    }
    return NULL;
}

/* Whether a letter is there that will be answered, or is being answered. */
static bool is_occupied(const struct post *post, const struct mailbox *mailbox)
{
    const struct mailbox_letter *letter = &mailbox->letter;

    return letter->ticket && letter->command && letter->process == post->inner &&
           letter->sum == mailbox_sum(&letter->ticket, LETTER_WORDS - 1) && !find_answer(mailbox, letter->ticket);
}

enum post_state post_open(int number, struct post *post)
{
    struct page page;
    uint64_t control = 1;
    int error;

    *post = (struct post){0};
    post->failure = counts_page(number, &post->counts, &page);
    if (post->failure != COUNTS_READ)
        return POST_FAILED;
    if (page.mailbox_version != MAILBOX_VERSION || page.mailbox_bytes != sizeof(struct mailbox))
        return POST_VERSION;
    post->mailbox = (uintptr_t)page.mailbox;
    post->knock = (uintptr_t)page.knock;
    post->control = (uintptr_t)page.control;
    post->inner = process_status_last(number, "NSpid");
    if (!post->inner)
        post->inner = (uint64_t)number;
    error = process_memory(number, post->control, &control, sizeof control);
    if (error)
        return failed(post, error);
    if (!control)
        return POST_SEALED;
    return process_is_privileged(number) ? POST_SECURE : POST_SENT;
}

enum post_state post_send(struct post *post, enum mailbox_command command, uint64_t argument)
{
    struct mailbox mailbox;
    uint64_t ticket = 0;
    int error = read_mailbox(post, &mailbox);

    if (!error && is_occupied(post, &mailbox)) {
        post->other = mailbox.letter;
        return POST_BUSY;
    }
    while (!error && !ticket) {
        if (getrandom(&ticket, sizeof ticket, 0) != sizeof ticket)
            error = errno;
    }
    post->letter = (struct mailbox_letter){ticket, command, argument, post->inner, 0};
    post->letter.sum = mailbox_sum(&post->letter.ticket, LETTER_WORDS - 1);
    if (!error)
        error = post_write(post, post->mailbox + offsetof(struct mailbox, letter), &post->letter, sizeof post->letter);
    if (!error)
        error = knock(post);
    return error ? failed(post, error) : POST_SENT;
}

/* What another process says is shown on a terminal. */
static void take_text(struct post *post, const struct mailbox *mailbox)
{
    for (size_t i = 0; i + 1 < sizeof post->text && mailbox->text[i]; i++) {
        unsigned char c = (unsigned char)mailbox->text[i];

        post->text[i] = c < 0x20 || c == 0x7f ? '?' : (char)c;
        post->text[i + 1] = '\0';
    }
}

enum post_state post_look(struct post *post)
{
    struct mailbox mailbox;
    uint64_t control = 1;
    const struct mailbox_answer *answer;
    int error = read_mailbox(post, &mailbox);

    if (!error)
        error = process_memory(post->counts.process.number, post->control, &control, sizeof control);
    if (error)
        return failed(post, error);
    answer = find_answer(&mailbox, post->letter.ticket);
    if (answer) {
        post->answer = *answer;
        if (mailbox.text_of == answer->ticket)
            take_text(post, &mailbox);
        return POST_ANSWERED;
    }
    if (!control)
        return POST_SEALED;
    if (mailbox.taken == post->letter.ticket)
        return POST_WAITING;
    if (memcmp(&mailbox.letter, &post->letter, sizeof post->letter))
        return POST_LOST;
    error = knock(post);
    return error ? failed(post, error) : POST_WAITING;
}

enum post_state post_withdraw(struct post *post)
{
    static const struct mailbox_letter none;
    struct mailbox mailbox;
    int error = read_mailbox(post, &mailbox);

    if (!error && !is_occupied(post, &mailbox))
        return POST_LOST;
    if (!error) {
        post->other = mailbox.letter;
        error = post_write(post, post->mailbox + offsetof(struct mailbox, letter), &none, sizeof none);
    }
    if (error)
        return failed(post, error);
    return mailbox.taken == mailbox.letter.ticket ? POST_WAITING : POST_SENT;
}
