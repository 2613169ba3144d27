# SPDX-License-Identifier: MIT
# Completion of the myalloc command for fish. Names of commands, options, keys and of what they take come from the command's own
# help, so they are those of the version in use.

# A line for each option of a command: its name, what it takes (FILE, N or nothing), what it does.
function __myalloc_options --argument-names command name
    $command help $name 2>/dev/null | string replace -rf '^  (--[a-z-]+)(?: ([A-Z]+))? +(\S.*)$' '$1\t$2\t$3'
    $command help $name 2>/dev/null | string match -r '^usage:.*' | string match -ar -- '--[a-z]+' |
        string match -v -- --wait | string replace -r '$' '\t\t'
end

function __myalloc_commands --argument-names command
    for line in ($command help 2>/dev/null | string match -r '^  [a-z]+ .*')
        printf '%s\t%s\n' (string match -r '[a-z]+' $line) (string sub -s 47 $line)
    end
end

# The commands of ctl, or what stands behind one.
function __myalloc_ctl --argument-names command name
    set -l rows ($command help ctl 2>/dev/null | string replace -rf '^  ([a-z]+)(?: ([A-Za-z|]+))? +(\S.*)$' '$1\t$2\t$3')
    for row in $rows
        set -l parts (string split \t $row)
        if test -z "$name"
            printf '%s\t%s\n' $parts[1] $parts[3]
        else if test "$parts[1]" = "$name"
            string split '|' $parts[2] | string match -r '^[a-z]+$'
        end
    end
end

# What stands behind the number of a process.
function __myalloc_profile_process --argument-names command
    $command help profile 2>/dev/null | string replace -rf '^  ([a-z]+|--for|--wait)(?: [A-Z]+)? +(\S.*)$' '$1\t$2'
end

function __myalloc_program --argument-names at
    set -l words (commandline -opc)
    if test $at -le (count $words)
        complete -C "$(string escape -- $words[$at..-1] | string join ' ') $(commandline -ct)"
    else
        __fish_complete_command
        __fish_complete_path (commandline -ct)
    end
end

function __myalloc_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l command $words[1]
    set -l count (count $words)
    if test $count -eq 1
        __myalloc_commands $command
        printf '%s\n' --help --version
        return
    end
    set -l name $words[2]
    set -l options (__myalloc_options $command $name)
    set -l with_value (string replace -rf -- '^(\S+)\t[A-Z]+\t.*' '$1' $options)
    set -l files (string replace -rf -- '^(\S+)\tFILE\t.*' '$1' $options)
    set -l shown (string replace -r -- '^(\S+)\t[A-Z]*\t' '$1\t' $options)
    set -l at 3
    set -l ended 0
    while test $at -le $count -a $ended -eq 0
        string match -qr '^--' -- $words[$at]; or break
        test "$words[$at]" = --; and set ended 1
        contains -- $words[$at] $with_value; and set at (math $at + 1)
        set at (math $at + 1)
    end
    if string match -qr '^--[a-z-]+=' -- $word; and begin
            test $at -gt $count; or not contains -- $name run profile record compare
        end
        set -l parts (string split -m 1 = -- $word)
        contains -- $parts[1] $files; and __fish_complete_path $parts[2] | string replace -r -- '^' "$parts[1]="
    else if test $name = profile -a $count -gt 2; and string match -qr '^[0-9]+$' -- $words[3]
        contains -- $words[-1] $with_value; or __myalloc_profile_process $command
    else if contains -- $name run profile record compare
        if test $at -gt (math $count + 1)
            contains -- $words[-1] $files; and __fish_complete_path $word
        else if test $at -gt $count -a $ended -eq 0; and begin
                test $name = compare; or string match -q -- '-*' $word
            end
            printf '%s\n' $shown '--'\t'the program stands behind it'
        else
            __myalloc_program $at
        end
    else if test $name = advise -a $ended -eq 1
        __myalloc_program $at
    else if contains -- $words[-1] $with_value
        contains -- $words[-1] $files; and __fish_complete_path $word
    else if string match -q -- '-*' $word
        printf '%s\n' $shown
    else
        switch $name
            case options
                $command options --markdown 2>/dev/null | string replace -rf '^\| ([a-z_0-9]+) \|.*' '$1' | string match -v key
            case report replay advise show
                __fish_complete_path $word
            case why
                __fish_complete_pids
                __fish_complete_path $word
            case metrics top
                __fish_complete_pids
            case ctl
                switch $count
                    case 2
                        __fish_complete_pids
                    case 3
                        __myalloc_ctl $command
                    case 4
                        __myalloc_ctl $command $words[4]
                end
            case help
                test $count -eq 2; and __myalloc_commands $command
        end
    end
end

complete -c myalloc -f -a '(__myalloc_complete)'
