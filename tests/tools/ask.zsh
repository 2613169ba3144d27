# SPDX-License-Identifier: MIT
# For completion.test. Started by zsh: for each line of standard input, what a zsh on a terminal offers for its last word, sorted,
# as a line. Sourced by that zsh, where ANSWER names a file: a key that does not show what is offered, but writes it there.
if [[ -n $ANSWER ]]; then
    fpath=(${0:h}/../../tools/completion $fpath)
    autoload -Uz compinit && compinit -D -u
    LISTMAX=1000000
    compadd() { # as the builtin, which other functions of the completion also ask by -O, -A and -D
        local -a found
        if [[ ${@[(r)-[OAD]]} == "" ]]; then
            builtin compadd -O found "$@"
            print -rl -- $found >> $ANSWER.part
        fi
        builtin compadd "$@"
    }
    ask() {
        : > $ANSWER.part
        _main_complete
        mv $ANSWER.part $ANSWER
    }
    zle -C ask complete-word ask
    bindkey '^X' ask
    : > $ANSWER
    return
fi

zmodload zsh/zpty
folder=$(mktemp -d)
export ANSWER=$folder/answer TERM=dumb
# Waits for an answer, a minute at the most; the terminal is read meanwhile, lest it is full.
await() {
    local shown
    integer left=6000
    while [[ ! -e $ANSWER ]] && (( left-- )); do
        zpty -rt shell shown
        sleep 0.01
    done
    [[ -e $ANSWER ]]
}
zpty shell zsh -f -i
zpty -w shell "source ${0:A}"
await || exit 1
while IFS= read -r line; do
    rm $ANSWER
    zpty -wn shell "$line"$'\x18'
    await || exit 1
    grep . $ANSWER | sort -u | paste -sd' '
    zpty -wn shell $'\x15'
done
zpty -d shell
rm -r $folder
