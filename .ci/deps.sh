#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# deps.sh [PACKAGE ...] -- the Debian packages that the build, the tests and the demo need, and more.
# Nothing happens when all are there.  Missing ones are installed as root or with
# sudo; where neither works they are listed, and the exit code is 1.
packages="gcc g++ make pkg-config git
    libopenmpi-dev openmpi-bin libopenblas-dev libscalapack-openmpi-dev libdnnl-dev libxsmm-dev
    libzstd-dev zlib1g-dev libarchive-dev libyaml-dev libxxhash-dev libjansson-dev libsentencepiece-dev
    libcmocka-dev bible-kjv procps slurm-wlm munge $*"

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "deps: this is not a Debian system; jobs/README.md lists the libraries that are needed"
    exit 0
fi

missing=
for p in $packages; do
    dpkg-query -W -f '${Status}\n' "$p" 2>/dev/null | grep -q '^install ok installed$' ||
        missing="$missing $p"
done
[ -z "$missing" ] && exit 0
echo "deps: missing:$missing"

root=
if [ "$(id -u)" != 0 ]; then
    # Without a terminal nobody can type a password.
    [ -t 0 ] && root=sudo || root="sudo -n"
    if ! command -v sudo >/dev/null 2>&1 || ! $root true 2>/dev/null; then
        echo "deps: no root here. Ask for them, or build with libraries of your own"
        echo "deps: (jobs/README.md, \"Build without root\") and set DEPS=no:"
        echo "    apt-get install$missing"
        exit 1
    fi
fi

install() {
    $root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends $missing </dev/null
}
# The lists of packages are fetched only if the installed ones do not know a package.
install || { $root apt-get update -q </dev/null && install; } || {
    echo "deps: apt-get failed; needed are:$missing"
    exit 1
}
