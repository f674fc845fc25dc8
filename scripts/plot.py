# SPDX-License-Identifier: MIT
"""A line plot as a PNG, with nothing but zlib: plot(file, title, {name: [values]}). The vertical axis is logarithmic."""
import math
import struct
import zlib

# Five by seven dots a letter, a row a byte: what labels need.
FONT = {
    "0": "0e11131519110e", "1": "040c040404040e", "2": "0e11010204081f", "3": "1f02040201110e", "4": "02060a121f0202", "5": "1f101e0101110e",
    "6": "0608101e11110e", "7": "1f010204080808", "8": "0e11110e11110e", "9": "0e11110f01020c", "a": "00000e010f110f", "b": "1010161911111e",
    "c": "00000e1010110e", "d": "01010d1311110f", "e": "00000e111f100e", "f": "0609081c080808", "g": "000f11110f010e", "h": "10101619111111",
    "i": "04000c0404040e", "k": "10101214181412", "l": "0c04040404040e", "m": "00001a15151111", "n": "00001619111111", "o": "00000e1111110e",
    "p": "00001e111e1010", "r": "00001619101010", "s": "00000e100e011e", "t": "08081c08080906", "u": "0000111111130d", "v": "00001111110a04",
    "w": "0000111115150a", "y": "000011110f010e", ":": "000c0c000c0c00", ",": "0000000c040800", ".": "0000000000" "0c0c", "-": "0000001f000000",
    "/": "00010204081000", "(": "02040808080402", ")": "08040202020408", ">": "08040201020408",
}
COLOURS = [(31, 119, 180), (214, 39, 40), (44, 160, 44), (255, 127, 14), (148, 103, 189), (140, 86, 75), (23, 190, 207), (127, 127, 127)]


class Picture:
    def __init__(self, width, height):
        self.width, self.height = width, height
        self.rows = [bytearray(b"\xff" * (3 * width)) for _ in range(height)]

    def dot(self, x, y, c):
        if 0 <= x < self.width and 0 <= y < self.height:
            self.rows[y][3 * x:3 * x + 3] = bytes(c)

    def line(self, x0, y0, x1, y1, c, thick=1):
        n = max(abs(x1 - x0), abs(y1 - y0), 1)
        for i in range(n + 1):
            for t in range(thick):
                self.dot(x0 + (x1 - x0) * i // n, y0 + (y1 - y0) * i // n + t, c)

    def text(self, x, y, words, c=(0, 0, 0), scale=2):
        for letter in words.lower():
            rows = bytes.fromhex(FONT.get(letter, "00" * 7))
            for dy, row in enumerate(rows):
                for dx in range(5):
                    if row >> (4 - dx) & 1:
                        for a in range(scale):
                            for b in range(scale):
                                self.dot(x + dx * scale + a, y + dy * scale + b, c)
            x += 6 * scale

    def save(self, file):
        def chunk(kind, data):
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        raw = b"".join(b"\0" + bytes(r) for r in self.rows)
        with open(file, "wb") as f:
            f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)) +
                    chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b""))


def plot(file, title, below, series):
    p, left, right, top, bottom = Picture(900, 520), 90, 870, 50, 450
    top_value = max([v for values in series.values() for v in values] + [10])
    decades = math.ceil(math.log10(top_value))
    longest = max([len(v) for v in series.values()] + [2])
    p.text(left, 15, title)
    p.text(left + 200, 490, below)
    for d in range(decades + 1):
        y = bottom - (bottom - top) * d // decades
        p.line(left, y, right, y, (220, 220, 220))
        p.text(10, y - 7, str(10 ** d), scale=1 if d > 5 else 2)

    def place(i, v):
        y = math.log10(max(v, 1)) / decades
        return left + (right - left) * i // (longest - 1), bottom - round((bottom - top) * y)
    for i in range(longest):
        p.text(place(i, 1)[0] - 5, bottom + 10, str(i + 1))
    for n, (name, values) in enumerate(series.items()):
        c = COLOURS[n % len(COLOURS)]
        for i in range(len(values)):
            x, y = place(i, values[i])
            for d in range(-3, 4):
                p.line(x - 3, y + d, x + 3, y + d, c)
            if i:
                p.line(*place(i - 1, values[i - 1]), x, y, c, 2)
        p.text(right - 12 * len(name) - 10, top + 10 + 20 * n, name, c)
    p.line(left, top, left, bottom, (0, 0, 0))
    p.line(left, bottom, right, bottom, (0, 0, 0))
    p.save(file)
