/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SCRIBBLE_SCRIBBLE_H
#define TESTS_SCRIBBLE_SCRIBBLE_H

#include <stdint.h>

/*
 * Writes over a live region for so long, as a hostile process would that may
 * write it. Returns how many words.
 *
 * Half of it goes anywhere, half to where it hurts: the header, the directory
 * and the first page of each table. Words are random, small, or taken from
 * elsewhere in the region, so that some of them make sense. In every other fifth
 * of a second it puts those pages back and spares them, so that readers believe
 * the region and walk into what lies behind. It sleeps half of the time, for
 * others are to be seen working.
 *
 * mem  whole pages, a sound region when it is called
 */
uint64_t scribble(uint8_t *mem, uint64_t len, uint32_t seconds, uint64_t seed);

#endif
