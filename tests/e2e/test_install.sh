# SPDX-License-Identifier: Apache-2.0
# What make install brings works from anywhere, for any user, and goes away again; a release that was
# made by make dist knows its version without git.
. "$(dirname "$0")/lib.sh"
cd "$ROOT" || exit 1
chmod 755 "$WORK"
unset MAKEFLAGS MFLAGS TTT_SHARE
version=$(sed -n 's/^#define TTT_VERSION "\(.*\)"/\1/p' src/base/version.h)

# With DESTDIR in front, PREFIX stays what it is, and nothing is built again.
mk() { make --no-print-directory -s "$@"; }
here=$WORK/dest$(mk info | sed -n 's/.* PREFIX=\([^ ]*\).*/\1/p')
check "install" mk install DESTDIR="$WORK/dest"
for f in bin/ttt share/ttt/config/ttt-linear-125m.yaml share/ttt/config/base/125m.yaml \
         share/ttt/jobs/series-compare.yaml share/ttt/modulefile share/doc/ttt/README.md \
         share/doc/ttt/LICENSE share/man/man1/ttt-bench-gemm.1 share/man/man5/ttt-run.5 \
         share/bash-completion/completions/ttt share/zsh/site-functions/_ttt; do
    [ -s "$here/$f" ] || failed "install: $f" "is missing or empty"
done
equal "the version" "$("$here/bin/ttt" --version | cut -d' ' -f2 | tr -d ,)" "$version"
expect_text "the module knows the version and the place" "^set prefix ${here#"$WORK/dest"}\$" \
    "$here/share/ttt/modulefile"

for f in .github/CITATION.cff .github/CHANGELOG.md jobs/packages/package.py jobs/packages/ttt-*.eb \
         jobs/packages/ttt.def jobs/packages/Containerfile; do
    grep -q "$(echo "$version" | sed 's/\./\\./g')" "$f" || failed "$f" "does not name version $version"
done

# The smoke test, as somebody who owns nothing here.
as=
[ "$(id -u)" != 0 ] || as="setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/nonexistent"
# shellcheck disable=SC2086
(cd / && TMPDIR=/tmp $as sh "$here/share/ttt/smoke.sh") >"$WORK/smoke" 2>&1
code=$?
equal "smoke test" "$code $(tail -n 1 "$WORK/smoke" | sed 's/[0-9]* passed/passed/')" "0 passed, 0 failed"
[ $code = 0 ] || cat "$WORK/smoke" >&2
mv "$here/share/ttt/config/compare" "$WORK/compare"
mv "$here/share/ttt/config/ttt-linear-125m.yaml" "$WORK/aside"
sh "$here/share/ttt/smoke.sh" >"$WORK/smoke" 2>&1 &&
    failed "smoke test of a damaged installation" "passes" || ok "smoke test of a damaged installation"
mv "$WORK/aside" "$here/share/ttt/config/ttt-linear-125m.yaml"
mv "$WORK/compare" "$here/share/ttt/config/compare"

# Somewhere else: configurations and series find what they build on.
mv "$here" "$WORK/moved"
ttt=$WORK/moved/bin/ttt
mkdir "$WORK/user" && cd "$WORK/user" || exit 1
printf 'base: %s\ndata: {train: d}\n' ttt-linear-125m.yaml >my.yaml
printf 'base: %s\ndata: {train: d}\n' config/ttt-linear-350m.yaml >other.yaml
name="base: from the installation" expect_exit 0 "$ttt" config show my.yaml
expect_text "base: its keys" "^  width: 768" "$WORK/out"
name="base: with the folder in front" expect_exit 0 "$ttt" config show other.yaml
expect_text "base: the other one" "^  width: 1024" "$WORK/out"
printf 'series: {dir: all, runs: [config/mamba-125m.yaml], set: [data.train=d]}\n' >series.yaml
name="series: from the installation" expect_exit 0 "$ttt" series series.yaml --dry-run
name="TTT_SHARE goes before" expect_exit 78 env TTT_SHARE="$WORK/none" "$ttt" config show my.yaml
expect_text "and is named" "my.yaml:1:7: base: expected a file .*here or in $WORK/none/config"
printf 'model: {layers: 3}\n' >ttt-linear-125m.yaml
name="a file next to the run goes before" expect_exit 0 "$ttt" config show my.yaml
expect_text "and is read" "^  layers: 3" "$WORK/out"

# Pages and completion.
"$ttt" help --man-pages | tr ' ' - | sed 's/^ttt$/.1/; s/^run$/-run.5/; s/^[a-z].*/-&.1/; s/^/ttt/' |
    sort >"$WORK/pages"
equal "every command has a page" "$(find "$WORK/moved/share/man" -type f -name 'ttt*' | sed 's|.*/||' |
    sort | tr '\n' ' ')" "$(tr '\n' ' ' <"$WORK/pages")"
if command -v groff >/dev/null; then
    groff -man -ww -z -Tutf8 "$WORK"/moved/share/man/man?/* >"$WORK/groff" 2>&1
    equal "groff reads the pages" "$(wc -l <"$WORK/groff")" 0
    head -n 5 "$WORK/groff" >&2
else
    echo "# no groff"
fi
# complete WORD ...: what bash offers for the last word.
complete() {
    bash -c '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ttt; echo "${COMPREPLY[@]}"' \
        "$WORK/moved/share/bash-completion/completions/ttt" "$@" 2>&1
}
equal "bash: commands" "$(complete ttt pr)" "prep probe"
equal "bash: words" "$(complete ttt ckpt s)" "show spectrum"
equal "bash: options" "$(complete ttt ckpt list --q)" "--quick"
equal "bash: options of a part" "$(complete ttt bench gemm --t)" "--threads"
equal "bash: keys" "$(complete ttt train my.yaml --set checkpoint.ev)" \
    "checkpoint.every_minutes= checkpoint.every_steps="
if command -v zsh >/dev/null; then
    check "zsh reads its file" zsh -n "$WORK/moved/share/zsh/site-functions/_ttt"
else
    echo "# no zsh"
fi

# Gone again, but for what others have put there; what an earlier version had goes at once.
cd "$ROOT" || exit 1
mv "$WORK/moved" "$here"
echo "share/ttt/config/old.yaml" >>"$here/share/ttt/MANIFEST"
touch "$here/share/ttt/config/old.yaml" "$here/share/ttt/site.yaml"
check "install over another version" mk install DESTDIR="$WORK/dest"
[ ! -e "$here/share/ttt/config/old.yaml" ] && ok "a file of the other version is gone" ||
    failed "a file of the other version" "is still there"
check "uninstall" mk uninstall DESTDIR="$WORK/dest"
equal "what is left" "$(cd "$here" && find . | sort | tr '\n' ' ')" ". ./share ./share/ttt ./share/ttt/site.yaml "
name="nothing to uninstall" expect_exit 2 mk uninstall DESTDIR="$WORK/dest"

# A release.
if git rev-parse HEAD >/dev/null 2>&1; then
    check "dist" mk dist
    tar -xzf "build/ttt-$version.tar.gz" -C "$WORK" && cd "$WORK/ttt-$version" || exit 1
    check "dist: everything to build it is there" make -n all
    check "dist: a file of it is built" mk build/src/base/build_info.o
    check "dist: with its version and commit" grep -aq \
        "ttt $version ($(git -C "$ROOT" describe --always HEAD)), real" build/src/base/build_info.o
else
    echo "# no git"
fi
finish
