/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"

#include <sys/random.h>

#include "base/must.h"

uint64_t rng_secret(void)
{
	uint64_t v;

	must(getrandom(&v, sizeof(v), 0) == (ssize_t)sizeof(v));
	return v;
}
