/* SPDX-License-Identifier: MIT
 *
 * console.c - see console.h. A 16550 at the port where every PC has its first one, polled.
 */
#include "kernel-port/kernel/console.h"

#include "x86.h"

enum {
    COM1 = 0x3f8,
    COM_DATA = COM1,
    COM_INTERRUPTS = COM1 + 1,
    COM_FIFO = COM1 + 2,
    COM_LINE = COM1 + 3,
    COM_MODEM = COM1 + 4,
    COM_STATUS = COM1 + 5,
    STATUS_RECEIVED = 0x01,
    STATUS_ROOM = 0x20,
    STATUS_SENT = 0x40, /* the last character too */
    PATIENCE = 100000,  /* looks at the status before a character is given up: no port there */
    EXIT_PORT = 0xf4,
};

void console_init(void)
{
    outb(COM_INTERRUPTS, 0);
    outb(COM_LINE, 0x80); /* the divisor: 115200 baud */
    outb(COM_DATA, 1);
    outb(COM_INTERRUPTS, 0);
    outb(COM_LINE, 0x03); /* 8 bits, no parity, one stop bit */
    outb(COM_FIFO, 0xc7);
    outb(COM_MODEM, 0x03);
}

static void wait_for(uint8_t status)
{
    for (unsigned i = 0; i < PATIENCE && !(inb(COM_STATUS) & status); i++)
        pause();
}

static void put(char c)
{
    wait_for(STATUS_ROOM);
    outb(COM_DATA, (uint8_t)c);
}

void console_write(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\n')
            put('\r');
        put(text[i]);
    }
}

bool console_read(char *c)
{
    if (!(inb(COM_STATUS) & STATUS_RECEIVED))
        return false;
    *c = (char)inb(COM_DATA);
    return true;
}

_Noreturn void machine_exit(enum verdict verdict)
{
    wait_for(STATUS_SENT);
    outl(EXIT_PORT, (uint32_t)verdict);
    stop();
}
