/* SPDX-License-Identifier: Apache-2.0 */
/* Communicators, windows, datatypes, groups, operations: made here, released there. */
#include <stdio.h>
#include <string.h>

#include "tests/mpicheck/mpicheck.h"

/* All ranks of a communicator are in this call: the same one? */
static struct comm *together(const char *name, void *address, MPI_Comm comm, const char *args)
{
    enter(name, address);
    struct comm *c = comm_find(comm);
    if (c && c->size > 1) {
        ring_post(c, MPI_DATATYPE_NULL, "%s", args);
        ring_settle(c);
    }
    return c;
}

static const char *ints(const int *x, int n)
{
    static char text[128];
    int k = 0;
    text[0] = '\0';
    for (int i = 0; i < n && k < (int)sizeof text - 16; i++)
        k += snprintf(text + k, sizeof text - (size_t)k, " %d", x[i]);
    return text;
}

static int dimensions(MPI_Comm comm)
{
    int n = 0;
    PMPI_Cartdim_get(comm, &n);
    return n;
}

#define MAKES_COMM(Name, PARAMS, ARGS, args)                                                  \
    int MPI_##Name PARAMS                                                                     \
    {                                                                                         \
        together("MPI_" #Name, __builtin_return_address(0), comm, args);                      \
        must(PMPI_##Name ARGS);                                                               \
        if (*made != MPI_COMM_NULL) {                                                         \
            comm_add(*made);                                                                  \
            live_add(COMMUNICATOR, HANDLE(*made), NULL, 0);                                   \
        }                                                                                     \
        return MPI_SUCCESS;                                                                   \
    }

MAKES_COMM(Comm_dup, (MPI_Comm comm, MPI_Comm *made), (comm, made), "")
MAKES_COMM(Comm_split, (MPI_Comm comm, int color, int key, MPI_Comm *made),
           (comm, color, key, made), "")
MAKES_COMM(Comm_split_type, (MPI_Comm comm, int type, int key, MPI_Info info, MPI_Comm *made),
           (comm, type, key, info, made), "")
MAKES_COMM(Comm_create, (MPI_Comm comm, MPI_Group group, MPI_Comm *made), (comm, group, made), "")
MAKES_COMM(Cart_create, (MPI_Comm comm, int n, const int dims[], const int around[], int reorder,
                         MPI_Comm *made),
           (comm, n, dims, around, reorder, made), ints(dims, n))
MAKES_COMM(Cart_sub, (MPI_Comm comm, const int keep[], MPI_Comm *made), (comm, keep, made),
           ints(keep, dimensions(comm)))

int MPI_Comm_free(MPI_Comm *comm)
{
    const MPI_Comm old = *comm;
    struct comm *c = together("MPI_Comm_free", __builtin_return_address(0), old, "");
    if (c) {
        messages_check(c);
        ring_settle(c);
        comm_remove(c);
    }
    must(PMPI_Comm_free(comm));
    live_remove(COMMUNICATOR, HANDLE(old), NULL);
    return MPI_SUCCESS;
}

#define MAKES_WINDOW(Name, PARAMS, ARGS)                                                      \
    int MPI_##Name PARAMS                                                                     \
    {                                                                                         \
        together("MPI_" #Name, __builtin_return_address(0), comm, "");                        \
        must(PMPI_##Name ARGS);                                                               \
        live_add(WINDOW, HANDLE(*made), NULL, 0);                                             \
        return MPI_SUCCESS;                                                                   \
    }

MAKES_WINDOW(Win_create, (void *base, MPI_Aint size, int unit, MPI_Info info, MPI_Comm comm,
                          MPI_Win *made),
             (base, size, unit, info, comm, made))
MAKES_WINDOW(Win_allocate, (MPI_Aint size, int unit, MPI_Info info, MPI_Comm comm, void *base,
                            MPI_Win *made),
             (size, unit, info, comm, base, made))
MAKES_WINDOW(Win_allocate_shared, (MPI_Aint size, int unit, MPI_Info info, MPI_Comm comm,
                                   void *base, MPI_Win *made),
             (size, unit, info, comm, base, made))
MAKES_WINDOW(Win_create_dynamic, (MPI_Info info, MPI_Comm comm, MPI_Win *made),
             (info, comm, made))

/* Local ones. */
#define MAKES(KIND, Name, PARAMS, ARGS)                                                       \
    int MPI_##Name PARAMS                                                                     \
    {                                                                                         \
        ENTER("MPI_" #Name);                                                                  \
        must(PMPI_##Name ARGS);                                                               \
        live_add(KIND, HANDLE(*made), NULL, 0);                                               \
        return MPI_SUCCESS;                                                                   \
    }
#define FREES(KIND, Name, type)                                                               \
    int MPI_##Name(type *handle)                                                              \
    {                                                                                         \
        const type old = *handle;                                                             \
        ENTER("MPI_" #Name);                                                                  \
        must(PMPI_##Name(handle));                                                            \
        live_remove(KIND, HANDLE(old), NULL);                                                 \
        return MPI_SUCCESS;                                                                   \
    }

FREES(WINDOW, Win_free, MPI_Win)
FREES(DATATYPE, Type_free, MPI_Datatype)
FREES(GROUP, Group_free, MPI_Group)
FREES(OPERATION, Op_free, MPI_Op)

MAKES(OPERATION, Op_create, (MPI_User_function *f, int commutes, MPI_Op *made),
      (f, commutes, made))

#define TYPE(Name, PARAMS, ARGS) MAKES(DATATYPE, Name, PARAMS, ARGS)
TYPE(Type_dup, (MPI_Datatype old, MPI_Datatype *made), (old, made))
TYPE(Type_contiguous, (int n, MPI_Datatype old, MPI_Datatype *made), (n, old, made))
TYPE(Type_create_resized, (MPI_Datatype old, MPI_Aint low, MPI_Aint extent, MPI_Datatype *made),
     (old, low, extent, made))
TYPE(Type_vector, (int n, int length, int stride, MPI_Datatype old, MPI_Datatype *made),
     (n, length, stride, old, made))
TYPE(Type_create_hvector, (int n, int length, MPI_Aint stride, MPI_Datatype old,
                           MPI_Datatype *made),
     (n, length, stride, old, made))
TYPE(Type_indexed, (int n, const int lengths[], const int at[], MPI_Datatype old,
                    MPI_Datatype *made),
     (n, lengths, at, old, made))
TYPE(Type_create_hindexed, (int n, const int lengths[], const MPI_Aint at[], MPI_Datatype old,
                            MPI_Datatype *made),
     (n, lengths, at, old, made))
TYPE(Type_create_indexed_block, (int n, int length, const int at[], MPI_Datatype old,
                                 MPI_Datatype *made),
     (n, length, at, old, made))
TYPE(Type_create_hindexed_block, (int n, int length, const MPI_Aint at[], MPI_Datatype old,
                                  MPI_Datatype *made),
     (n, length, at, old, made))
TYPE(Type_create_struct, (int n, const int lengths[], const MPI_Aint at[],
                          const MPI_Datatype types[], MPI_Datatype *made),
     (n, lengths, at, types, made))
TYPE(Type_create_subarray, (int n, const int sizes[], const int parts[], const int starts[],
                            int order, MPI_Datatype old, MPI_Datatype *made),
     (n, sizes, parts, starts, order, old, made))

#define TO_GROUP(Name, PARAMS, ARGS) MAKES(GROUP, Name, PARAMS, ARGS)
TO_GROUP(Comm_group, (MPI_Comm comm, MPI_Group *made), (comm, made))
TO_GROUP(Group_incl, (MPI_Group g, int n, const int ranks[], MPI_Group *made), (g, n, ranks, made))
TO_GROUP(Group_excl, (MPI_Group g, int n, const int ranks[], MPI_Group *made), (g, n, ranks, made))
TO_GROUP(Group_range_incl, (MPI_Group g, int n, int ranges[][3], MPI_Group *made),
         (g, n, ranges, made))
TO_GROUP(Group_range_excl, (MPI_Group g, int n, int ranges[][3], MPI_Group *made),
         (g, n, ranges, made))
TO_GROUP(Group_union, (MPI_Group a, MPI_Group b, MPI_Group *made), (a, b, made))
TO_GROUP(Group_intersection, (MPI_Group a, MPI_Group b, MPI_Group *made), (a, b, made))
TO_GROUP(Group_difference, (MPI_Group a, MPI_Group b, MPI_Group *made), (a, b, made))
