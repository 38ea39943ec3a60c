/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CRASH_H
#define BASE_CRASH_H

/*
 * base/crash - where a test may kill a writer
 *
 * crash_point() stands before every store that other processes can see. It is
 * nothing, unless the module was compiled for a crash test (-DSLUICE_CRASH):
 * then the test says what it does.
 */

#ifdef SLUICE_CRASH
void crash_point(void);
#else
static inline void crash_point(void)
{
}
#endif

#endif
