#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/unit/x86_lengths.h: instructions whose lengths GNU objdump agrees on.

Run by hand when the decoder learns a new encoding space:
    python3 tests/tools/x86-lengths.py > tests/unit/x86_lengths.h

Random bytes follow each opcode of each map; every case sits in a slot of 32 bytes filled up with nops,
so that objdump is back in step at the next slot. Kept is one case per opcode (per member of a group)
that objdump decodes as one whole instruction. The seed is fixed: the output is reproducible.
"""
import random
import re
import subprocess
import tempfile

SLOT, MAX = 32, 15
PREFIX_ONLY = re.compile(r'(rex(\.[WRXB]+)?|data16|data32|addr16|addr32|rep(n?z)?|lock|[c-gs]s|bnd|notrack)$')
MARCH = {64: 'i386:x86-64', 32: 'i386', 16: 'i8086'}


def spaces(bits):
    """Yields (name, prefix bytes before the opcode, is a vector space)."""
    yield 'one', [], False
    yield '0f', [0x0f], False
    yield '0f38', [0x0f, 0x38], False
    yield '0f3a', [0x0f, 0x3a], False
    for m in (1, 2, 3):
        yield 'vex%d' % m, [0xc4, 'R%d' % m, 'ANY'], True
    yield 'vex', [0xc5, 'HIGH'], True
    for m in (1, 2, 3, 5, 6):
        yield 'evex%d' % m, [0x62, 'E%d' % m, 'E', 'ANY'], True
    if bits == 64:
        for m in (8, 9, 10):
            yield 'xop%d' % m, [0x8f, 'R%d' % m, 'ANY'], True


def fill(item, bits):
    if isinstance(item, int):
        return item
    byte = random.randrange(256)
    if bits != 64 and item != 'ANY' and item != 'E':
        byte |= 0xc0
    if item[0] == 'R':
        return (byte & 0xe0) | int(item[1:])
    if item == 'E':
        return byte | 4
    if item[0] == 'E':
        return (byte & 0xf0) | int(item[1:])
    return byte


def case(bits, start, opcode, vector):
    out = []
    if not vector:
        out += random.choice([[], [], [], [0x66], [0xf2], [0xf3], [0x67], [0x65], [0x66, 0x67]])
        if bits == 64 and random.random() < 0.4:
            out.append(0x40 | random.randrange(16))
    out += [fill(i, bits) for i in start] + [opcode]
    out += [random.randrange(256) for _ in range(MAX)]
    return bytes(out[:MAX])


def disassemble(bits, cases):
    with tempfile.NamedTemporaryFile() as f:
        f.write(b''.join(c + b'\x90' * (SLOT - MAX) for c in cases))
        f.flush()
        text = subprocess.run(['objdump', '-D', '-b', 'binary', '-m', MARCH[bits], '--insn-width=16', f.name],
                              capture_output=True, text=True, check=True).stdout
    found = {}
    for line in text.splitlines():
        m = re.match(r'\s*([0-9a-f]+):\t((?:[0-9a-f]{2} )+)\s*\t?(.*)$', line)
        if m and int(m.group(1), 16) % SLOT == 0:
            found[int(m.group(1), 16) // SLOT] = (len(m.group(2).split()), m.group(3))
    return found


def usable(text):
    words = text.split()
    return words and '(bad)' not in text and not all(PREFIX_ONLY.match(w) for w in words)


# Where the processor and objdump have different opinions: test registers, VIA's own, fwait folded into
# the next instruction, prefixes before VEX and its kin.
def disputed(space, opcode):
    if space == 'one':
        return opcode in (0x62, 0x8f, 0x9b, 0xc4, 0xc5)
    return space == '0f' and opcode in (0x24, 0x26, 0xa6, 0xa7)


def main():
    random.seed(1)
    print('/* SPDX-License-Identifier: MIT */')
    print('/* Written by tests/tools/x86-lengths.py; each string is one whole instruction. */')
    for bits in (64, 32, 16):
        keys, cases = [], []
        for space, start, vector in spaces(bits):
            for opcode in range(256):
                for _ in range(12):
                    cases.append(case(bits, start, opcode, vector))
                    keys.append((space, opcode))
        kept = {}
        for i, (length, text) in disassemble(bits, cases).items():
            space, opcode = keys[i]
            if not usable(text) or disputed(space, opcode):
                continue
            mnemonic = re.sub(r'\b(data16|data32|addr16|addr32|rep[nz]*|rex\S*|[c-gs]s) ', '', text).split()[0]
            kept.setdefault((space, opcode, mnemonic if space in ('one', '0f') else ''), cases[i][:length].hex())
        print('\nstatic const char *const code%d[] = {' % bits)
        row = '\t'
        for text in kept.values():
            if len(row) + len(text) + 4 > 96:
                print(row.rstrip())
                row = '\t'
            row += '"%s", ' % text
        print(row.rstrip() + '\n};')


main()
