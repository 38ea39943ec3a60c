/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGION_MAKE_H
#define REGION_MAKE_H

/* region/make - what the backings share when they make a region */

#include "region/region.h"

/*
 * Writes the header of an empty region into r's zeroed memory, which is mapped
 * at r->head. base_addr is 0 where any will do.
 */
void region_init(struct region *r, const char *name, uint64_t base_addr);

/*
 * Checks what the caller asked for and rounds *len up to whole pages of
 * page_len bytes. returns 0 or -EINVAL
 */
int region_take_conf(const char *name, uint64_t *len, uint32_t page_len,
		     struct why *why) MUST_USE;

#endif
