/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_MUST_H
#define BASE_MUST_H

/*
 * base/must - invariants of our own memory, always compiled in
 *
 * Never on data from shared memory or a tenant: that is checked and answered.
 */

#include <stdio.h>
#include <stdlib.h>

#define must(x)                                                          \
	do {                                                             \
		if (__builtin_expect(!(x), 0)) {                         \
			fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, \
				__LINE__, #x);                           \
			abort();                                         \
		}                                                        \
	} while (0)

#endif
