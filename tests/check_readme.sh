#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_readme.sh -- what the Markdown pages name exists: links and their headings, files, make
# targets, commands, configuration keys and messages.  README.md has at most 200 lines and leads to every
# command; src/README.md names every room.
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
bad=0
wrong() { echo "$1"; bad=1; }

pages=$(find . -name '*.md' ! -path './build/*' ! -path './logs/*/*' | sed 's|^\./||' | sort)
rooms=$(awk '!/^#/ && NF { print $1 }' tests/layers.txt)
commands=$(sed -n 's/^    { "\([a-z ]*\)", cmd_.*/\1/p' mpi/app/main.c
           sed -n 's/^    { "\([a-z]*\)", cmd_.*/bench \1/p' mpi/bench/cmd_bench.c)
targets=$(sed -n 's/^\([a-z0-9 -]*\):.*/\1/p' Makefile)
sed -n 's/^| `\([a-z0-9_.]*\)` |.*/\1/p' config/README.md >"$tmp/keys"
sed -n 's/.*KEY(series, \([a-z_]*\)).*/series.\1/p' jobs/series.c >>"$tmp/keys"
sections=$(sed 's/\..*//' "$tmp/keys" | sort -u | tr '\n' '|' | sed 's/|$//')

# The sources without comments, with texts put together where they cross lines.
find src/ mpi/ jobs/ data_prep/ -name '*.[ch]' -exec cat {} + | tr '\n' ' ' |
    sed -E 's,/[*]([^*]|[*]+[^*/])*[*]+/,,g; s/" *"//g' >"$tmp/texts"

# code PAGE: what stands in backticks, which may cross lines of a paragraph, and in code blocks.
code() {
    awk 'function flush(  i, n, part) {
             n = split(text, part, "`"); text = ""
             for (i = 2; i <= n; i += 2) print part[i]
         }
         /^    / && (blank || block) { flush(); block = 1; blank = 0; print substr($0, 5); next }
         /^$/ { flush(); blank = 1; next }
         { blank = 0; block = 0; text = text " " $0 }
         END { flush() }' "$1"
}

# slug HEADING: the anchor of a heading, as GitHub makes it.
slug() { tr 'A-Z' 'a-z' | sed 's/[^a-z0-9 _-]//g; s/ /-/g'; }

# exists WORD: a file or folder of the repository; * stands for anything, an ending may be left out.
exists() {
    # shellcheck disable=SC2086
    for found in $1 $1.[ch] $1.cc; do [ -e "$found" ] && return 0; done
    return 1
}

for page in $pages; do
    here=$(dirname "$page")
    code "$page" >"$tmp/code"

    # Links, and the headings that they point at.
    for link in $(grep -o '](\([^)]*\))' "$page" | sed 's/^](//; s/)$//' | grep -v '^http'); do
        file=$here/${link%%#*}
        [ "${link%%#*}" ] || file=$page
        [ -e "$file" ] || { wrong "$page: no file $link"; continue; }
        case $link in *'#'*)
            sed -n 's/^##* //p' "$file" | slug | grep -qx -- "${link#*#}" ||
                wrong "$page: no heading $link" ;;
        esac
        echo x >>"$tmp/links"
    done

    # Files by their path; programs of tests by that of their source.
    for f in $(grep -oE '(^|[^A-Za-z0-9_./-])(build/tests/(unit|mpi|fuzz)|src|mpi|config|jobs|data_prep|tests|\.ci|\.github)/[A-Za-z0-9_./*-]+' "$tmp/code" |
               sed 's/^[^a-z.]//; s|^build/||; s/[.]*$//' | sort -u); do
        case $f in *[A-Z][A-Z]*.* | *_X* | *NAME* | *.so)
            case $f in *.md) ;; *) continue ;; esac ;;
        esac
        exists "$f" || exists "$here/$f" || wrong "$page: no file $f"
        echo x >>"$tmp/files"
    done

    # Sources by their name alone, and the first column of a table of files.
    for f in $(grep -oE '^[a-z0-9_]+\.(c|h|cc)$' "$tmp/code" | sort -u) \
             $(awk '/^\| file \|/ { on = 1; next } !/^\|/ { on = 0 } on && /`/ { split($0, c, "|"); print c[2] }' "$page" |
               grep -o '`[^`]*`' | tr -d '`'); do
        [ -n "$(find src mpi data_prep jobs tests \( -name "$f" -o -name "$f.[ch]" -o -name "$f.cc" \))" ] ||
            wrong "$page: no source $f"
        echo x >>"$tmp/files"
    done

    # Tests by their name, and modules by their room, as in src/EQUATIONS.md.
    for t in $(grep -oE '^test_[a-z0-9_]+$' "$tmp/code" | sort -u); do
        [ -n "$(find tests -name "$t.c" -o -name "$t.sh")" ] || wrong "$page: no test $t"
    done
    for m in $(grep -oE '^[a-z]+/[a-z0-9_]+$' "$tmp/code" | sort -u); do
        [ ! -d "src/${m%%/*}" ] || exists "src/$m" || wrong "$page: no module $m in src"
    done

    # Targets of make: its words up to the next command, a comment or two blanks.
    for t in $(grep -oE '(^|[ (])make( [^ &|#;)]+)+' "$tmp/code" | sed 's/^.*make //' | tr ' ' '\n' |
               grep -vE '^-|=|/|"|^.$' | sort -u); do
        case " $(echo "$targets" | tr '\n' ' ') " in
            *" $t "*) echo x >>"$tmp/targets" ;;
            *) wrong "$page: no target $t in the Makefile" ;;
        esac
    done

    # Commands: the first word is in the table of main.c; the second one is the command's.
    grep -oE '(^|[ ;(])(build/)?ttt [a-z]+( [a-z]+)?' "$tmp/code" | sed 's/.*ttt //' | sort -u >"$tmp/used"
    while read -r first second; do
        if ! echo "$commands" | grep -qE "^$first( |\$)"; then
            wrong "$page: no command ttt $first"
        elif [ -n "$second" ] && ! echo "$commands" | grep -qx "$first $second"; then
            case $first in
            bench) wrong "$page: no command ttt bench $second" ;;
            data | config | ckpt)
                grep -q "\"$second\"" mpi/app/cmd_"$first".c ||
                    wrong "$page: no command ttt $first $second" ;;
            esac
        fi
        echo x >>"$tmp/commands"
    done <"$tmp/used"

    # Messages: the first column of a table of them; "..." stands for what differs.
    awk '/^\| message \|/ { on = 1 } !/^\|/ { on = 0 } on && /`/ { split($0, c, "`"); print c[2] }' "$page" >"$tmp/used"
    while read -r message; do
        pattern=$(printf '%s\n' "$message" | sed 's/[][\.*^$]/\\&/g; s/ *\\\.\\\.\\\. */[^"]*/g')
        grep -q -e "$pattern" "$tmp/texts" || wrong "$page: no message '$message' in the sources"
        echo x >>"$tmp/messages"
    done <"$tmp/used"

    # Keys: alone, before "=", or in braces after their section.
    {
        grep -oE "(^|[^A-Za-z0-9_./-])($sections)(\.[a-z0-9_]+)+(\.?\*)?" "$tmp/code" | sed 's/^[^a-z]//'
        sed -nE "s/^ *($sections): *\{(.*)\}.*/\1,\2/p" "$tmp/code" |
            awk -F, '{ for (i = 2; i <= NF; i++) if (split($i, w, ":") > 1) { gsub(/ /, "", w[1]); print $1 "." w[1] } }'
    } | grep -vE '\.(c|h|sh|md|yaml|json|jsonl|txt|safetensors)$' | sort -u >"$tmp/used"
    while read -r key; do
        case $key in
            *'*') pattern="^$(echo "${key%\*}" | sed 's/\./\\./g')" ;;
            *) pattern="^$(echo "$key" | sed 's/\./\\./g')(\$|\\.)" ;;
        esac
        grep -qE "$pattern" "$tmp/keys" || wrong "$page: no configuration key $key"
        echo x >>"$tmp/named"
    done <"$tmp/used"
done

n=$(wc -l <README.md)
[ "$n" -le 200 ] || wrong "README.md: $n lines, at most 200"
for room in $rooms; do
    grep -qE "\`$room/?\`" src/README.md || wrong "src/README.md: does not name the room $room"
done
echo "$commands" | while read -r first second; do
    sed -n 's/^\(| `ttt[^|]*\)|.*/\1/p' README.md | grep "\`ttt $first[ \`]" | grep -qE "[\` ]$second\`" || echo "ttt $first $second"
done >"$tmp/missing"
while read -r c; do wrong "README.md: no row for $c"; done <"$tmp/missing"

# Nothing found of a kind means that this script looks in the wrong way.
for kind in links files targets commands named messages; do
    [ -s "$tmp/$kind" ] || wrong "check_readme.sh: found no $kind in any page"
done
[ $bad = 0 ] && echo "pages: what they name exists"
exit $bad
