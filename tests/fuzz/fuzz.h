/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

/* fuzz - what libFuzzer calls, and our own replay.c */

#include <stddef.h>
#include <stdint.h>

/* Returns 0. May abort, which is what fuzzing looks for. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#endif
