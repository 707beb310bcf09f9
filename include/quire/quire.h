/* SPDX-License-Identifier: MIT
 *
 * quire.h - everything of libquire's interface.
 */
#ifndef QUIRE_QUIRE_H
#define QUIRE_QUIRE_H

#include <quire/acpi.h>
#include <quire/address.h>
#include <quire/boot.h>
#include <quire/bringup.h>
#include <quire/cache.h>
#include <quire/compact.h>
#include <quire/machine.h>
#include <quire/pfnmap.h>
#include <quire/port.h>
#include <quire/simple.h>
#include <quire/topology.h>
#include <quire/types.h>
#include <quire/version.h>
#include <quire/zone.h>

#endif /* QUIRE_QUIRE_H */
