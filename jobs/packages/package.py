# SPDX-License-Identifier: Apache-2.0
# Spack 1.0 and later: `spack repo create`, put this file into its packages/ttt/, `make dist`, and
#     spack install --no-checksum ttt        (in the folder of ttt-0.2.0.tar.gz)
# or, of a working copy, `spack dev-build ttt@0.2.0`.
import os

from spack_repo.builtin.build_systems.makefile import MakefilePackage

from spack.package import *


class Ttt(MakefilePackage):
    """Trains language models with test-time training layers on clusters of CPUs, with exact resume
    and the same bits on every process grid."""

    manual_download = True
    url = f"file://{os.getcwd()}/ttt-0.2.0.tar.gz"

    license("Apache-2.0")

    version("0.2.0")

    variant("compare", default=False, description="ttt bench gemm compares with oneDNN and libxsmm")

    depends_on("c", type="build")
    depends_on("cxx", type="build")
    depends_on("gmake", type="build")
    depends_on("pkgconfig", type="build")
    depends_on("mpi")
    depends_on("openblas@0.3.20:")
    depends_on("scalapack")
    depends_on("sentencepiece@0.1.97:")
    depends_on("zstd@1.5:")
    depends_on("libyaml")
    depends_on("jansson@2.13:")
    depends_on("xxhash@0.8:")
    depends_on("zlib-api")
    depends_on("libarchive")
    depends_on("onednn@2", when="+compare")
    depends_on("libxsmm", when="+compare")

    @property
    def settings(self):
        compare = "yes" if self.spec.satisfies("+compare") else "no"
        return [
            f"PREFIX={self.prefix}",
            f"MPICC={self.spec['mpi'].mpicc}",
            f"SCALAPACK_LIBS={self.spec['scalapack'].libs.ld_flags}",
            f"DNNL={compare}",
            f"XSMM={compare}",
        ]

    def build(self, spec, prefix):
        make("all", *self.settings)

    def install(self, spec, prefix):
        make("install", *self.settings, parallel=False)

    def check(self):
        """The whole `make test` takes most of an hour; test_smoke() is a minute."""

    def test_smoke(self):
        """prepare, train, be killed, resume, evaluate: on one and two processes"""
        which("sh", required=True)(join_path(self.prefix.share.ttt, "smoke.sh"))
