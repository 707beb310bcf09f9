/* SPDX-License-Identifier: MIT
 *
 * zone_audit.h - what every zone has, before and after a suite: nothing may be lost or gained.
 */
#ifndef KERNEL_PORT_TESTS_ZONE_AUDIT_H
#define KERNEL_PORT_TESTS_ZONE_AUDIT_H

/* Drain all caches and count. First CPU, while nobody else works. */
void zone_audit_begin(void);

/* Drain, and say whether every zone is consistent and has what it had: one result. */
void zone_audit_end(const char *what);

#endif /* KERNEL_PORT_TESTS_ZONE_AUDIT_H */
