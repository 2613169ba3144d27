/* SPDX-License-Identifier: MIT */
/* What every model shares. MUTANT=n in the environment of the checker takes the nth remedy out of the model: the checker
 * must then find what the remedy is for. Each mutant is described by a line "mutant n:" in the model's header. */
byte mutant;
#define MUTANT(n) (mutant == n)

inline choose_mutant() {
    c_code {
        char *number = getenv("MUTANT");
        now.mutant = number ? atoi(number) : 0;
    };
}
