#!/usr/bin/env bats
# The manual pages and the option tables say the same.

# shellcheck disable=SC2154 # $top, $status, $output and $lines come from common.bash and bats
load common

# The options of --help as "-o, --output FILE", sorted.
help_labels() {
    "$VOXCONV" "$1" --help | sed -nE 's/^ +((-., )?--[a-z0-9-]+( [^ ]+)?)(  .*)?$/\1/p' | sort
}

# The same from the lines of the page's OPTIONS that start with a dash.
page_labels() {
    sed -nE '/^\.SH OPTIONS/,/^\.SH EXIT/s/^(\\fB\\-.*)$/\1/p' "$1" |
        sed -E 's/\\f[BIR]//g; s/\\-/-/g' | sort
}

@test "each option of --help is in the manual page under the same name, and the other way round" {
    for command in augment conv info kernel run; do
        help_labels "$command" >help.txt
        page_labels "$top/man/voxconv-$command.1" >page.txt
        [ "$(wc -l <help.txt)" -ge 4 ]
        diff help.txt page.txt
    done
}

@test "the main page lists the commands that there are" {
    for command in $("$VOXCONV" --help | sed -nE '/^Commands:/,/^$/s/^  ([a-z]+) .*/\1/p'); do
        grep -q "voxconv $command" "$top/man/voxconv.1"
        [ -f "$top/man/voxconv-$command.1" ]
    done
}

@test "every page has exit status, environment and examples" {
    for page in "$top"/man/*.1; do
        for section in 'EXIT STATUS' ENVIRONMENT EXAMPLES; do
            grep -qx ".SH $section" "$page"
        done
    done
}

@test "the pages carry the version of the command" {
    version=$("$VOXCONV" --version | head -1)
    for page in "$top"/man/*.[15]; do
        grep -q "^\.TH .*\"$version\"" "$page"
    done
}

@test "the pages are clean for man --warnings" {
    command -v man >/dev/null || skip "man is not installed"
    for page in "$top"/man/*.[15]; do
        run bash -c 'LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -l "$1" 2>&1 >/dev/null' _ "$page"
        echo "$output"
        [ -z "$output" ]
    done
}

# The first argument of each LAYER and ACTIVATION is the word; the string behind the two numbers or the activation has
# its parameters.
@test "voxconv-network(5) has every word of a text network and every parameter, and no other word" {
    tr '\n' ' ' <"$top/src/model/text_layers.c" |
        grep -oE '(LAYER|ANY|VECTOR|ACTIVATION)\("[^)]*\)' >kinds.txt
    [ "$(wc -l <kinds.txt)" -ge 15 ]
    sed -E 's/[A-Z]+\("([a-z0-9_]+)".*/\1/' kinds.txt | sort >words.txt
    sed -n '/^\.SH WORDS/,/^\.SH ERRORS/p' "$top/man/voxconv-network.5" | grep -E -A1 '^\.T[PQ]$' |
        sed -nE 's/^(\\fB|\.B )([a-z0-9_]+)(\\fR.*)?$/\2/p' |
        sort >page.txt
    diff words.txt page.txt
    for parameter in $(sed -E 's/[A-Z]+\("[a-z0-9_]+"//' kinds.txt | grep -oE '"[^"]+"' | tr -d '"'); do
        echo "$parameter"
        grep -qE "(^\.[BR]+ |\\\\fB)$parameter\\b" "$top/man/voxconv-network.5"
    done
}
