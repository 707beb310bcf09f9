/* SPDX-License-Identifier: MIT
 *
 * balloon.c - see balloon.h. A driver of the virtio balloon, for its reporting queue alone: the
 * balloon stays empty. (Virtual I/O Device, version 1.2: sections 2.7, 4.1 and 5.5.)
 *
 * Registers are reached through the window that the device has in its configuration space, so
 * nothing is mapped. The queue has room for one buffer, and a report is one: frames in a row, which
 * the device may write to. Its interrupts are off.
 *
 * State: what is known of the device, and the queue, which the device reads and writes. Both belong
 * to who has `busy`. The danger is a device that discards what somebody has again:
 *
 *   report    take busy;  buffer;  available + 1;  tell the device;  used the same?  give busy
 *                                        not in time:  reset the device;  give busy
 *
 *  KB1  The frames stay the caller's until the device used their buffer or is reset: it has done
 *       with them then. One that cannot be reset could discard them at any time: that is a panic.
 *  KB2  `available` and `used` are equal while nobody has `busy` and the device works.
 *
 * Nobody waits for `busy`: who finds it taken is told so, an NMI inside of a report too.
 *
 * Page poison is not negotiated, so the device promises nothing about what frames read afterwards.
 */
#include "balloon.h"

#include "kernel-port/kernel/clock.h"
#include "kernel-port/kernel/lib/panic.h"
#include "kernel-port/kernel/lib/text.h"
#include "layout.h"
#include "pci.h"

#include <stdbool.h>

enum { ID_MODERN = 0x10451af4, ID_TRANSITIONAL = 0x10021af4, LOOK_US = 5 };

/* Configuration space. MORE, of NOTIFY: bytes from one queue's place to the next; of WINDOW: the
 * data. */
enum {
    COMMAND_WANTED = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_NO_INTERRUPTS,
    FIRST_CAPABILITY = 0x34,
};
enum { CAPABILITIES_MOST = 48, VENDOR_CAPABILITY = 0x09 };
enum capability { BAR = 4, OFFSET = 8, LENGTH = 12, MORE = 16 };
enum kind { COMMON = 1, NOTIFY = 2, WINDOW = 5, KINDS = 6 };

/* Registers of COMMON, and what is in them. DRIVER: the device is seen, and has a driver. */
enum { OFFERED_SELECT = 0, OFFERED = 4, ACCEPTED_SELECT = 8, ACCEPTED = 12, STATUS = 20 };
enum { QUEUE_SELECT = 22, QUEUE_SIZE = 24, QUEUE_ENABLE = 28, QUEUE_NOTIFY = 30 };
enum { QUEUE_BUFFERS = 32, QUEUE_AVAILABLE = 40, QUEUE_USED = 48 };
enum { STATUS_DRIVER = 1 | 2, STATUS_DRIVES = 4, STATUS_FEATURES = 8 };
enum { FEATURE_REPORTING = 1 << 5, FEATURE_VERSION_1 = 1 << 0 /* of the second word */ };
enum { BUFFER_WRITABLE = 2, AVAILABLE_NO_INTERRUPT = 1 };

/* Queues are numbered as if all were there; but QEMU leaves out that for hints where it is not
 * offered. */
enum { REPORTING_QUEUE = 4, REPORTING_QUEUE_WITHOUT_HINTS = 3 };

static struct {
    const char *fault; /* atomic; NULL: it works */
    bool busy;         /* atomic */
    uint32_t device, queue;
    uint32_t capabilities[KINDS]; /* where they are; 0: there is none */
    uint64_t patience_us;
} balloon = {.fault = "nobody has begun"};

/* As the device has it: a buffer, then the available ones, then the used ones, one of each. */
static struct {
    uint64_t phys;
    uint32_t bytes;
    uint16_t flags, next;
    uint16_t available_flags, available, available_buffer, available_event;
    uint16_t used_flags, used;
    uint32_t used_buffer, written, used_event;
} queue __attribute__((aligned(16)));

/* ---- Registers ------------------------------------------------------------------------------ */

/* Have the window at some bytes of a kind of registers, and return where its data is. */
static uint32_t aim(unsigned kind, uint32_t offset, uint32_t bytes)
{
    uint32_t from = balloon.capabilities[kind], window = balloon.capabilities[WINDOW];

    pci_write(balloon.device, window + BAR, pci_read(balloon.device, from + BAR) & 0xff);
    pci_write(balloon.device, window + OFFSET, pci_read(balloon.device, from + OFFSET) + offset);
    pci_write(balloon.device, window + LENGTH, bytes);
    return window + MORE;
}

static uint32_t get(uint32_t offset, uint32_t bytes)
{
    return pci_read(balloon.device, aim(COMMON, offset, bytes)) & UINT32_MAX >> (32 - 8 * bytes);
}

static void set(uint32_t offset, uint32_t bytes, uint32_t value)
{
    pci_write(balloon.device, aim(COMMON, offset, bytes), value);
}

static void set_address(uint32_t offset, const void *of_image)
{
    set(offset, 4, (uint32_t)((uint64_t)of_image - IMAGE_BASE)); /* the image is below 4 GiB */
    set(offset + 4, 4, 0);
}

static void tell_device(void)
{
    uint32_t step = pci_read(balloon.device, balloon.capabilities[NOTIFY] + MORE);

    pci_write(balloon.device, aim(NOTIFY, get(QUEUE_NOTIFY, 2) * step, 2), balloon.queue);
}

/* ---- Begin ---------------------------------------------------------------------------------- */

static bool find_device(void)
{
    for (balloon.device = 0; balloon.device < PCI_DEVICES; balloon.device++) {
        uint32_t id = pci_read(balloon.device, 0);

        if (id == ID_MODERN || id == ID_TRANSITIONAL)
            return true;
    }
    return false;
}

/* Of each kind the first capability. False: a kind is missing. */
static bool find_capabilities(void)
{
    uint32_t *found = balloon.capabilities, at = pci_read(balloon.device, FIRST_CAPABILITY) & 0xfc;

    memset(found, 0, sizeof balloon.capabilities);
    for (unsigned i = 0; i < CAPABILITIES_MOST && at; i++) {
        uint32_t head = pci_read(balloon.device, at), kind = head >> 24;

        if ((head & 0xff) == VENDOR_CAPABILITY && kind < KINDS && !found[kind])
            found[kind] = at;
        at = head >> 8 & 0xfc;
    }
    return found[COMMON] && found[NOTIFY] && found[WINDOW];
}

static bool is_reset(void)
{
    return get(STATUS, 1) == 0;
}

static bool is_used(void)
{
    /* Acquire: what the device did to the frames comes before what their next owner does. */
    return __atomic_load_n(&queue.used, __ATOMIC_ACQUIRE) == queue.available;
}

/* Wait for an answer. False: it did not come in time. */
static bool answers(bool (*is_there)(void))
{
    for (uint64_t us = 0; !is_there(); us += LOOK_US) {
        if (us >= balloon.patience_us)
            return false;
        clock_wait_us(LOOK_US);
    }
    return true;
}

/* After it the device touches no buffer. */
static bool reset_device(void)
{
    set(STATUS, 1, 0);
    return answers(is_reset);
}

/* Accept a feature of this word alone. False: it is not offered. */
static bool accept(uint32_t word, uint32_t feature)
{
    set(OFFERED_SELECT, 4, word);
    if (!(get(OFFERED, 4) & feature))
        return false;
    set(ACCEPTED_SELECT, 4, word);
    set(ACCEPTED, 4, feature);
    return true;
}

static bool find_queue(uint32_t number)
{
    balloon.queue = number;
    set(QUEUE_SELECT, 2, number);
    return get(QUEUE_SIZE, 2) > 0;
}

static void begin_queue(void)
{
    memset(&queue, 0, sizeof queue);
    queue.available_flags = AVAILABLE_NO_INTERRUPT;
    set(QUEUE_SIZE, 2, 1);
    set_address(QUEUE_BUFFERS, &queue);
    set_address(QUEUE_AVAILABLE, &queue.available_flags);
    set_address(QUEUE_USED, &queue.used_flags);
    set(QUEUE_ENABLE, 2, 1);
    set(STATUS, 1, STATUS_DRIVER | STATUS_FEATURES | STATUS_DRIVES);
}

static const char *begin(void)
{
    if (!find_device())
        return "there is no virtio-balloon device on PCI bus 0";
    if (!find_capabilities())
        return "the virtio-balloon device has no interface of virtio 1";
    pci_write(balloon.device, PCI_COMMAND, COMMAND_WANTED);
    if (!reset_device())
        return "the virtio-balloon device cannot be reset";
    set(STATUS, 1, STATUS_DRIVER);
    if (!accept(0, FEATURE_REPORTING))
        return "the virtio-balloon device offers no free page reporting";
    if (!accept(1, FEATURE_VERSION_1))
        return "the virtio-balloon device has no interface of virtio 1";
    set(STATUS, 1, STATUS_DRIVER | STATUS_FEATURES);
    if (!(get(STATUS, 1) & STATUS_FEATURES))
        return "the virtio-balloon device refuses free page reporting as its only feature";
    if (!find_queue(REPORTING_QUEUE) && !find_queue(REPORTING_QUEUE_WITHOUT_HINTS))
        return "the virtio-balloon device has no room for a report";
    begin_queue();
    return NULL;
}

const char *balloon_begin(uint64_t patience_us)
{
    balloon.patience_us = patience_us;
    balloon.fault = begin();
    return balloon.fault;
}

/* ---- Reports -------------------------------------------------------------------------------- */

/* KB1 */
static int report(quire_pfn pfn, uint64_t frames)
{
    queue.phys = quire_phys(pfn);
    queue.bytes = (uint32_t)(frames << QUIRE_FRAME_SHIFT);
    queue.flags = BUFFER_WRITABLE;
    /* Release: the buffer is complete when the device looks; tell_device orders the rest. */
    __atomic_store_n(&queue.available, (uint16_t)(queue.available + 1), __ATOMIC_RELEASE);
    tell_device();
    if (answers(is_used))
        return QUIRE_OK;
    if (!reset_device())
        panic("balloon: the device neither answers nor lets itself be reset; it has %lu frames "
              "from %lx",
              frames, pfn.n);
    /* Relaxed: `busy` orders it. */
    __atomic_store_n(&balloon.fault, "the virtio-balloon device did not answer in time",
                     __ATOMIC_RELAXED);
    return QUIRE_ERR_STATE;
}

int balloon_report(quire_pfn pfn, uint64_t frames)
{
    int error = QUIRE_ERR_STATE;

    if (frames > UINT32_MAX >> QUIRE_FRAME_SHIFT)
        return QUIRE_ERR_SIZE;
    if (__atomic_exchange_n(&balloon.busy, true, __ATOMIC_ACQUIRE)) /* pairs with the store */
        return QUIRE_ERR_BUSY;
    if (!balloon_fault())
        error = report(pfn, frames);
    __atomic_store_n(&balloon.busy, false, __ATOMIC_RELEASE); /* pairs with the exchange */
    return error;
}

const char *balloon_fault(void)
{
    /* Relaxed: advisory, but for who has `busy`. */
    return __atomic_load_n(&balloon.fault, __ATOMIC_RELAXED);
}

uint32_t balloon_device(void)
{
    return balloon.device;
}
