# SPDX-License-Identifier: Apache-2.0
# clones.awk -- what target_clones does, for compilers without a working one: C in, C out.
#
# With clang 14, versions of one function do not link, or those of two static functions of one name
# in two files become one.  So the Makefile gives such a compiler every file through this, where
#
#     CLONES
#     static double sum(const real *x, int n)
#     {
#
# becomes the body as a function that is always inlined, sum_body(); two functions around it for the
# sets x86-64-v4 and v3; and sum(), which calls one of these or the body (clones.h).  CLONES stands
# alone on its line, and so does the opening brace.  Lines keep their numbers.

NR == 1 { printf "#include \"src/base/clones.h\"\n#line 1 \"%s\"\n", FILENAME }

$0 == "CLONES" { in_head = 1; head = ""; next }
in_head && $0 != "{" { sub(/^ */, ""); head = head " " $0; next }
in_head { in_head = 0; versions(); printf "#line %d\n", NR }
{ print }

# The name that a parameter declares: of `real (*restrict sum)[N]`, `real x[]`, `const real *x`.
function declared(text) {
    if (!sub(/.*\(\*/, "", text)) sub(/\[.*/, "", text)
    sub(/\).*/, "", text)
    sub(/ *$/, "", text)
    sub(/.*[ *]/, "", text)
    return text
}

function versions(    at, name, type, params, n, p, i, call, linkage, back, body, set) {
    at = index(head, "(")
    name = declared(substr(head, 1, at - 1))
    type = substr(head, 1, at - 1 - length(name))
    params = substr(head, at)
    n = split(substr(params, 2, length(params) - 2), p, ",")
    for (i = 1; i <= n; i++) call = call (i > 1 ? ", " : "") declared(p[i])
    linkage = sub(/^ *static /, "", type) ? "static " : ""
    back = type ~ /^ *void *$/ ? "" : "return "
    body = "__attribute__((always_inline)) static inline " type name "_body" params
    print body ";"
    for (set = 4; set >= 3; set--) {
        printf "__attribute__((target(\"arch=x86-64-v%d\"))) ", set
        printf "static %s%s_v%d%s { %s%s_body(%s); }\n", type, name, set, params, back, name, call
    }
    printf "%s%s%s%s {", linkage, type, name, params
    for (set = 4; set >= 3; set--)
        printf " if (clones_set == %d) { %s%s_v%d(%s); } else", set, back, name, set, call
    printf " { %s%s_body(%s); } }\n", back, name, call
    print body
}
