# SPDX-License-Identifier: MIT
# Turns `myalloc options --json` into the items of the list in myalloc_options.7.
function field(name,    text) {
    text = $0
    if (!match(text, "\"" name "\": \""))
        return ""
    text = substr(text, RSTART + RLENGTH)
    sub(/".*$/, "", text)
    gsub(/\\u0022/, "\"", text)
    return text
}
function wrap(text,    words, count, i, line) {
    count = split(text, words, " ")
    for (i = 1; i <= count; i++) {
        if (line != "" && length(line) + length(words[i]) > 76) {
            print line
            line = ""
        }
        line = line (line != "" ? " " : "") words[i]
    }
    print line
}
# A sentence starts with a capital, but not with that of a literal: an option with its value, or a value of this option.
function sentence(text,    first) {
    first = text
    sub(/ .*/, "", first)
    sub(/[:,]$/, "", first)
    if (first ~ /:/ || (" " takes " ") ~ ("[ (]" first "[ ,]"))
        return text
    return toupper(substr(text, 1, 1)) substr(text, 2)
}
function item(    also) {
    print ".It Cm " key
    wrap(sentence(meaning) ".")
    print "Takes " takes "."
    print "Default: " (initial == "" ? "not set" : initial) "."
    also = mallopt != "" ? "\n.Dv " mallopt : ""
    also = also (tunable != "" ? (also != "" ? " ," : "") "\n.Cm glibc.malloc." tunable : "")
    also = also (variable != "" ? (also != "" ? " ," : "") "\n.Ev " variable : "")
    if (also != "")
        print "Also:" also " ."
}
/"key":/ { key = field("key"); initial = field("default"); takes = field("takes") }
/"mallopt":/ { mallopt = field("mallopt"); tunable = field("tunable"); variable = field("variable") }
/"meaning":/ { meaning = field("meaning"); item() }
