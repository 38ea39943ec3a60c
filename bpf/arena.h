/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
#ifndef BPF_ARENA_H
#define BPF_ARENA_H

/*
 * bpf/arena - the region as the programs see it
 *
 * The region is the program's BPF arena. A program names a place in it by its
 * user-space address and casts that once; the result is used as any C pointer,
 * without bounds: the kernel confines every access to the arena's 4 GiB, reads
 * of absent pages give 0.
 *
 * clang before 19 does not know the cast, so its instruction is spelled out:
 * BPF_MOV with off 1 and imm 1, the register twice in one byte.
 */

#include "sluice/types.h"

/* linux/bpf.h of Linux 6.1 does not have it. */
#define SLUICE_MAP_TYPE_ARENA 33

#define ARENA_CAST_REG_(n) ".ifc %[reg],r" #n "; .byte 0x" #n #n "; .endif; "

/* Makes p, a user-space address in the arena, one that the program may use. */
#define ARENA_CAST(p)                                                          \
	__asm__ volatile(                                                      \
		".byte 0xbf; " ARENA_CAST_REG_(0) ARENA_CAST_REG_(1)           \
			ARENA_CAST_REG_(2) ARENA_CAST_REG_(3) ARENA_CAST_REG_( \
				4) ARENA_CAST_REG_(5) ARENA_CAST_REG_(6)       \
				ARENA_CAST_REG_(7) ARENA_CAST_REG_(8)          \
					ARENA_CAST_REG_(9) ".short 1; .long 1" \
		: [reg] "+r"(p))

struct {
	__uint(type, SLUICE_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
} arena SEC(".maps");

/* Once in each program: ties the map to it. */
#define ARENA_USE() __asm__ volatile("" ::"r"(&arena))

/* The place at a user-space address of the region. */
static __always_inline void *arena_at(uint64_t addr)
{
	ARENA_CAST(addr);
	return (void *)addr;
}

#endif
