# SPDX-License-Identifier: Apache-2.0
# make deps, with stand-ins for Debian's programs: nothing to do, root, sudo, neither.
. "$(dirname "$0")/lib.sh"

mkdir "$WORK/bin"
fake() { printf '#!/bin/sh\n%s\n' "$2" >"$WORK/bin/$1"; chmod +x "$WORK/bin/$1"; }
# shellcheck disable=SC2016
fake dpkg-query 'for p; do :; done
case " $MISSING " in *" $p "*) [ -f "$INSTALLED" ] || { echo "unknown ok not-installed"; exit 0; } ;; esac
echo "install ok installed"'
# shellcheck disable=SC2016
fake apt-get 'echo "apt-get $*" >>"$LOG"
case $1 in
update) : >"$LOG.updated" ;;
install) [ -z "$STALE" ] || [ -f "$LOG.updated" ] || exit 100; : >"$INSTALLED" ;;
esac'
# shellcheck disable=SC2016
fake id 'echo "$USER_ID"'
# shellcheck disable=SC2016
fake sudo '[ "$1" = -n ] && shift; [ -n "$SUDO_WORKS" ] && exec "$@"; exit 1'

# deps CODE NAME [VARIABLE=...] -- run it with the stand-ins.
deps() {
    want=$1; name=$2; shift 2
    rm -f "$WORK/log" "$WORK/log.updated" "$WORK/installed"
    expect_exit "$want" env PATH="$WORK/bin:$PATH" LOG="$WORK/log" INSTALLED="$WORK/installed" \
        MISSING= STALE= USER_ID=0 SUDO_WORKS= "$@" sh "$ROOT/.ci/deps.sh" </dev/null
    calls=$(cat "$WORK/log" 2>/dev/null)
}

deps 0 "all there"
equal "all there: silent" "x$(cat "$WORK/out" "$WORK/err")$calls" x

deps 0 "root installs" MISSING="libyaml-dev bible-kjv"
equal "root: only what is missing" "$calls" \
    "apt-get install -y -q --no-install-recommends libyaml-dev bible-kjv"

deps 0 "stale package lists" MISSING=libyaml-dev STALE=1
equal "stale lists are fetched, then it installs" "$(echo "$calls" | cut -d' ' -f2 | tr '\n' ' ')" \
    "install update install "

deps 0 "sudo installs" MISSING=libyaml-dev USER_ID=1000 SUDO_WORKS=1
expect_text "sudo: installs" 'apt-get install .*libyaml-dev' "$WORK/log"

deps 1 "neither root nor sudo" MISSING="libyaml-dev gcc" USER_ID=1000
expect_text "neither: says what is missing" 'apt-get install gcc libyaml-dev$' "$WORK/out"
equal "neither: installs nothing" "x$calls" x
finish
