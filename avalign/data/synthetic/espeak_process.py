"""Let libespeak-ng speak one sentence: a request on stdin, phones and samples on stdout.

This file is run, never imported: libespeak-ng keeps state from one sentence to the next, so
only a process of its own says the same thing twice, and a fault in it ends nothing else.

The request is a JSON object: ``text``, ``voice``, ``ipa`` (else phones have espeak-ng's own
names), and ``parameters``, pairs of espeak-ng's number of a parameter and its value. The
answer is a line of JSON, then the samples as 16-bit integers in the machine's order.
"""

import ctypes
import ctypes.util
import json
import sys

SYNCHRONOUS = 2
PHONEME_EVENTS, PHONEME_IPA, DONT_EXIT = 1, 2, 0x8000
TEXT_BY_CHARACTER, TEXT_IS_UTF8, TEXT_HOLDS_PHONES = 1, 1, 0x100
END, WORD, PHONEME = 0, 1, 7
NO_LIBRARY, NO_VOICE = 3, 4  # exit codes
NAMES = ("espeak-ng", "libespeak-ng.so.1", "libespeak-ng.1.dylib", "libespeak-ng.dll")


class _Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    ]


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


def _library() -> ctypes.CDLL:
    for name in (ctypes.util.find_library(NAMES[0]), *NAMES[1:]):
        if name is not None:
            try:
                return ctypes.CDLL(name)
            except OSError:
                continue
    sys.exit(NO_LIBRARY)


def _main() -> None:
    request = json.loads(sys.stdin.buffer.read())
    library = _library()
    options = PHONEME_EVENTS | DONT_EXIT | (PHONEME_IPA if request["ipa"] else 0)
    sample_rate_hz = library.espeak_Initialize(SYNCHRONOUS, 0, None, options)
    if sample_rate_hz <= 0:
        sys.exit(NO_LIBRARY)
    samples = bytearray()
    # Name, first sample, and number of the word, from 1.
    phones: list[tuple[str, int, int]] = []

    word = 0

    @_Callback
    def keep(wave, count, events):  # type: ignore[no-untyped-def]
        nonlocal word
        if wave and count > 0:
            samples.extend(ctypes.string_at(wave, 2 * count))
        for event in events:
            if event.type == END:
                break
            if event.type == PHONEME:
                name = event.id.string.decode("utf-8", "replace")
                phones.append((name, event.sample, word))
            if event.type == WORD:
                word = event.id.number
        return 0

    library.espeak_SetSynthCallback(keep)
    if library.espeak_SetVoiceByName(request["voice"].encode()) != 0:
        sys.exit(NO_VOICE)
    for parameter, value in request["parameters"]:
        library.espeak_SetParameter(parameter, value, 0)
    text = request["text"].encode() + b"\0"
    size, flags = ctypes.c_size_t(len(text)), TEXT_IS_UTF8 | TEXT_HOLDS_PHONES
    library.espeak_Synth(text, size, 0, TEXT_BY_CHARACTER, 0, flags, None, None)
    library.espeak_Synchronize()
    answer = {"sample_rate_hz": sample_rate_hz, "phones": phones}
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + bytes(samples))


if __name__ == "__main__":
    _main()
