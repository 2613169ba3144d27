/* SPDX-License-Identifier: MIT */
/* A write through a pointer that was freed two calls ago. */
#include <stdio.h>
#include <stdlib.h>

struct order {
    int number;
    char customer[20];
};

static __attribute__((noinline)) struct order *order_take(int number) {
    struct order *order = malloc(sizeof *order); /* ALLOCATED */
    order->number = number;
    return order;
}

static __attribute__((noinline)) void order_cancel(struct order *order) {
    free(order); /* FREED */
}

int main(void) {
    struct order *order = order_take(7);
    order_cancel(order);
    *(volatile int *)&order->number = 8; /* FAULT */
    puts("done");
    return 0;
}
