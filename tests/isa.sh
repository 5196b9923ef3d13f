# SPDX-License-Identifier: Apache-2.0
# isa.sh -- instruction sets that tests are run with; sourced by run_unit.sh, run_mpi.sh, run_e2e.sh.
#
#   isa_lower            the sets below the machine's best, one a line; none if ISA=best is set, or
#                        TTT_ISA, since then somebody chose one already
#   isa_emulated         amx, if unit tests have to emulate it (tests/lib/amx_emulator.h): with
#                        AVX-512, whose vectors surround the tiles
#   isa_with SET COMMAND ...   with the program's own products and all libraries held to it
#
# OpenBLAS has two code paths for AVX2, so the two lower sets take one each.
isa_lower() {
    [ "${ISA:-}${TTT_ISA:-}" = "" ] && [ "$(uname -m)" = x86_64 ] || return 0
    flags=$(grep -m1 '^flags' /proc/cpuinfo)
    has() { case " $flags " in *" $1 "*) return 0 ;; esac; return 1; }
    has avx512_bf16 && echo avx512
    has avx512f && echo avx2
    echo plain
}

isa_emulated() {
    [ "${ISA:-}${TTT_ISA:-}" = "" ] && [ "$(uname -m)" = x86_64 ] || return 0
    flags=$(grep -m1 '^flags' /proc/cpuinfo)
    case " $flags " in *" amx_bf16 "*) ;; *" avx512bw "*) echo amx ;; esac
}

isa_with() {
    isa_set=$1; shift
    case $isa_set in
        amx)    env TTT_ISA=amx "$@" ;;
        avx512) env TTT_ISA=avx512 DNNL_MAX_CPU_ISA=AVX512_CORE LIBXSMM_TARGET=skx \
                    OPENBLAS_CORETYPE=Zen "$@" ;;
        avx2)   env TTT_ISA=avx2 DNNL_MAX_CPU_ISA=AVX2 LIBXSMM_TARGET=hsw \
                    OPENBLAS_CORETYPE=Haswell "$@" ;;
        plain)  env TTT_ISA=plain DNNL_MAX_CPU_ISA=SSE41 LIBXSMM_TARGET=wsm \
                    OPENBLAS_CORETYPE=Nehalem "$@" ;;
    esac
}
