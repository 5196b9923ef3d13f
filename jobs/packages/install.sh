#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# install.sh PROGRAM PREFIX [DESTDIR] -- what `make install` does: the program, and what people use
# from anywhere.  Everything lies below PREFIX and is listed in share/ttt/MANIFEST (folders that
# were made here end in /); an earlier installation is replaced.
# install.sh --remove PREFIX [DESTDIR] -- what `make uninstall` does: removes what is listed, no more.
set -eu
umask 022
export LC_ALL=C
cd "$(dirname "$0")/../.."

if [ "$1" = --remove ]; then
    root=${3-}$2
    [ -f "$root/share/ttt/MANIFEST" ] || { echo "uninstall: nothing is installed in $root"; exit 1; }
    list=$(cat "$root/share/ttt/MANIFEST")
    echo "$list" | grep -v '/$' | while read -r f; do rm -f "$root/$f"; done
    echo "$list" | grep '/$' | sort -r | while read -r d; do
        rmdir "$root/$d" 2>/dev/null || :  # something else is in it
    done
    exit
fi

program=$1 prefix=$2 root=${3-}$2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
: >"$tmp/old"
[ ! -f "$root/share/ttt/MANIFEST" ] || cat "$root/share/ttt/MANIFEST" >"$tmp/old"
grep '/$' "$tmp/old" >"$tmp/new" || :  # folders stay ours

# folder DIR -- make it and its parents below root, and remember those that were not there.
folder() {
    at=
    for part in $(echo "$1" | tr / ' '); do
        at=$at$part/
        [ -d "$root/$at" ] || { mkdir "$root/$at"; echo "$at" >>"$tmp/new"; }
    done
}

# put MODE SOURCE TARGET; a source "-" is standard input.  A program that runs keeps its file.
put() {
    folder "${3%/*}"
    if [ "$2" = - ]; then cat >"$root/$3.new"; else cat "$2" >"$root/$3.new"; fi
    chmod "$1" "$root/$3.new"
    mv -f "$root/$3.new" "$root/$3"
    echo "$3" >>"$tmp/new"
}

mkdir -p "$root"
put 755 "$program" bin/ttt
for f in config/*.yaml config/*/*.yaml jobs/series-*.yaml; do put 644 "$f" "share/ttt/$f"; done
put 755 jobs/packages/smoke.sh share/ttt/smoke.sh
version=$(sed -n 's/^#define TTT_VERSION "\(.*\)"/\1/p' src/base/version.h)
sed "s|@PREFIX@|$prefix|; s|@VERSION@|$version|g" jobs/packages/modulefile |
    put 644 - share/ttt/modulefile
for f in README.md LICENSE config/*.md data_prep/README.md jobs/*.md jobs/packages/*.md logs/README.md \
         src/infer/README.md src/store/FORMAT.md; do
    put 644 "$f" "share/doc/ttt/$f"
done

# Pages and completion are printed by the program.
"$program" help --man-pages >"$tmp/pages"
while read -r page; do
    # shellcheck disable=SC2086
    "$program" help --man $page </dev/null >"$tmp/page"
    name=$(echo "$page" | tr ' ' -)
    case $page in
    ttt) put 644 "$tmp/page" share/man/man1/ttt.1 ;;
    run) put 644 "$tmp/page" share/man/man5/ttt-run.5 ;;
    *) put 644 "$tmp/page" "share/man/man1/ttt-$name.1" ;;
    esac
done <"$tmp/pages"
"$program" help --bash | put 644 - share/bash-completion/completions/ttt
"$program" help --zsh | put 644 - share/zsh/site-functions/_ttt

echo share/ttt/MANIFEST >>"$tmp/new"
sort -u "$tmp/new" >"$tmp/list"
put 644 "$tmp/list" share/ttt/MANIFEST
# What an earlier version had installed besides.
sort -u "$tmp/old" | comm -23 - "$tmp/list" | while read -r f; do rm -f "$root/$f"; done
echo "ttt $version is in $root ($(grep -c '[^/]$' "$root/share/ttt/MANIFEST") files)"
