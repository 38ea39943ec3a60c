/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_ATOMIC_H
#define SLUICE_ATOMIC_H

/*
 * sluice/atomic - the few ways in which a word of a region is touched
 *
 * Words are plain uint64_t or uint32_t, naturally aligned; they are shared
 * between processes and with BPF, so C's _Atomic cannot be in their type. Each
 * function names its order. There are no fences.
 *
 * On BPF a load or store is a plain one between compiler barriers: the x86-64
 * JIT keeps program order and the machine gives acquire and release to every
 * load and store. A weaker machine needs more, so the programs refuse to build
 * for one until that is written and tested.
 */

#include "sluice/types.h"

/* A type cannot be put in parentheses. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#ifdef __bpf__

#ifndef SLUICE_BPF_HOST_TSO
#error "sluice/atomic: BPF programs are only ordered on x86-64 so far"
#endif

#define SLUICE_BARRIER_() __asm__ volatile("" ::: "memory")

#define SLUICE_ATOMIC_OPS_(T, n)                                  \
	SLUICE_INLINE T sluice_load##n##_relaxed(const T *p)      \
	{                                                         \
		return *(const volatile T *)p;                    \
	}                                                         \
	SLUICE_INLINE T sluice_load##n##_acquire(const T *p)      \
	{                                                         \
		T v = *(const volatile T *)p;                     \
		SLUICE_BARRIER_();                                \
		return v;                                         \
	}                                                         \
	SLUICE_INLINE void sluice_store##n##_relaxed(T *p, T v)   \
	{                                                         \
		*(volatile T *)p = v;                             \
	}                                                         \
	SLUICE_INLINE void sluice_store##n##_release(T *p, T v)   \
	{                                                         \
		SLUICE_BARRIER_();                                \
		*(volatile T *)p = v;                             \
	}                                                         \
	SLUICE_INLINE void sluice_add##n##_relaxed(T *p, T v)     \
	{                                                         \
		__sync_fetch_and_add(p, v);                       \
	}                                                         \
	/* Stores v if *p is old. Returns what *p was. */         \
	SLUICE_INLINE T sluice_cas##n##_relaxed(T *p, T old, T v) \
	{                                                         \
		return __sync_val_compare_and_swap(p, old, v);    \
	}

#else

#define SLUICE_ATOMIC_OPS_(T, n)                                  \
	SLUICE_INLINE T sluice_load##n##_relaxed(const T *p)      \
	{                                                         \
		return __atomic_load_n(p, __ATOMIC_RELAXED);      \
	}                                                         \
	SLUICE_INLINE T sluice_load##n##_acquire(const T *p)      \
	{                                                         \
		return __atomic_load_n(p, __ATOMIC_ACQUIRE);      \
	}                                                         \
	SLUICE_INLINE void sluice_store##n##_relaxed(T *p, T v)   \
	{                                                         \
		__atomic_store_n(p, v, __ATOMIC_RELAXED);         \
	}                                                         \
	SLUICE_INLINE void sluice_store##n##_release(T *p, T v)   \
	{                                                         \
		__atomic_store_n(p, v, __ATOMIC_RELEASE);         \
	}                                                         \
	SLUICE_INLINE void sluice_add##n##_relaxed(T *p, T v)     \
	{                                                         \
		__atomic_fetch_add(p, v, __ATOMIC_RELAXED);       \
	}                                                         \
	SLUICE_INLINE T sluice_cas##n##_relaxed(T *p, T old, T v) \
	{                                                         \
		__atomic_compare_exchange_n(p, &old, v, false,    \
					    __ATOMIC_RELAXED,     \
					    __ATOMIC_RELAXED);    \
		return old;                                       \
	}

#endif
/* NOLINTEND(bugprone-macro-parentheses) */

SLUICE_ATOMIC_OPS_(uint64_t, 64)
SLUICE_ATOMIC_OPS_(uint32_t, 32)

#endif
