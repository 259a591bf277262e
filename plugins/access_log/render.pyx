# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The line of a text format, made in C. Twin of ``render.py``.

Strategy: the format becomes a program of steps. ``_Line`` runs it into one buffer, escaping values as it copies them
(CVE-2024-45808: log injection). A value of a type that it does not know leaves the line to the generated function,
so that both ways give the same bytes. Attributes are read as Python reads them; those of compiled classes, which nobody
can change, by the getter that was found once.
"""

from sys import intern

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_CheckExact
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t
from libc.string cimport memchr, memcmp, memcpy

from meshd_plugins.access_log.term import NOBODY

include "render.pxi"


def make(list parts, write, matches, generate):
    """Return a callable(exchange) that writes its line where it ``matches``; see ``render.py``."""
    return _Line(parts, write, matches, generate(write, None)).record


cdef class _Line:
    cdef object _write, _matches, _usual, _turn
    cdef list _kept, _needles
    cdef Access* _access
    cdef Step* _steps
    cdef Span* _spans
    cdef char* _buffer
    cdef Py_ssize_t _room, _size
    cdef int _count, _fields
    cdef bint _is_busy
    # the second that the time stamp was laid out for
    cdef object _layout
    cdef double _offset, _scale
    cdef long long _second
    cdef int _digits
    cdef bytes _head, _tail

    def __cinit__(self, list parts, write, matches, usual):
        self._write = write
        self._matches = matches
        self._usual = usual
        self._needles = []
        self._kept = [intern(name) for name in _NAMES]
        plan = _plan(parts)
        self._room = 1024
        self.take(len(plan))
        for number in range(FIXED):
            self.name(number, self._kept[number])
        for number, (literal, what, argument, after) in enumerate(plan):
            self.add(&self._steps[number], FIXED + 2 * number, literal, what, argument, after)

    cdef int take(self, int count) except -1:
        """Get memory for a program of so many steps."""
        self._count = count
        self._steps = <Step*>PyMem_Calloc(count, sizeof(Step))
        self._spans = <Span*>PyMem_Calloc(count, sizeof(Span))
        self._access = <Access*>PyMem_Calloc(FIXED + 2 * count, sizeof(Access))
        self._buffer = <char*>PyMem_Malloc(self._room)
        if self._steps == NULL or self._spans == NULL or self._access == NULL or self._buffer == NULL:
            raise MemoryError
        return 0

    cdef int name(self, int number, str name) except -1:
        """Have an access read ``name``."""
        self._kept.append(name)
        self._access[number].name = <PyObject*>name
        return 0

    cdef int add(self, Step* step, int access, bytes literal, int what, object argument, int after) except -1:
        self._kept += [literal, argument]
        step.literal = PyBytes_AS_STRING(literal)
        step.literal_size = PyBytes_GET_SIZE(literal)
        step.what = what
        step.after = after
        step.argument = <PyObject*>argument
        if what == STAMP:
            self._layout = argument
            self._second = -1
            self._digits = argument.digits[0]
            self._scale = 10**self._digits
        elif what == REQUEST_FIELD:
            if argument not in self._needles:
                self._needles.append(argument)
            step.field = self._needles.index(argument)
            self._fields = len(self._needles)
        elif what == REQUEST or what == NUMBER or what == TEXT_OF:
            step.field = access
            for number, name in enumerate(argument):
                self.name(access + number, intern(name))
        return 0

    def __dealloc__(self):
        PyMem_Free(self._steps)
        PyMem_Free(self._spans)
        PyMem_Free(self._access)
        PyMem_Free(self._buffer)

    def record(self, exchange):
        """Write the line of ``exchange`` where it matches."""
        cdef bytes line
        if self._matches is not None and not self._matches(exchange):
            return
        if self._is_busy:  # a getter asked for another line meanwhile
            self._usual(exchange)
            return
        self._is_busy = True
        try:
            line = self.made(exchange)
        finally:
            self._is_busy = False
        if line is None:
            self._usual(exchange)
        else:
            self._write(line)

    cdef bytes made(self, exchange):
        """Return the line; None where a value is of a type that is not known here."""
        cdef object request = read(self._access + X_REQUEST, exchange)
        cdef object response = read(self._access + X_RESPONSE, exchange)
        cdef bytes raw = b""
        cdef int at = 0
        cdef int found
        cdef Step* step
        if request is None:
            request = NOBODY
        self._size = 0
        if self._fields:
            raw = self.find_fields(request)
        while at < self._count:
            step = self._steps + at
            if step.literal_size:
                self.put(step.literal, step.literal_size)
            found = self.run(step, exchange, request, response, raw)
            if found == ODD:
                return None
            at = step.after if found == WRITTEN else at + 1
        line = PyBytes_FromStringAndSize(self._buffer, self._size)
        if self._room > KEPT_BYTES:
            self._size = 0
            self.resize(KEPT_BYTES)
        return line

    cdef bytes find_fields(self, object request):
        """Find the request's fields; return the block that they are in."""
        cdef bytes raw
        headers = read(self._access + HEADERS, request)
        raw = read(self._access + RAW, headers)
        self.scan(read(self._access + LOW, headers), PyBytes_GET_SIZE(raw))
        return raw

    cdef int scan(self, bytes low, Py_ssize_t limit) except -1:
        """Find all request fields in one pass over the lines."""
        cdef const char* text = PyBytes_AS_STRING(low)
        cdef const char* stop = text + min(PyBytes_GET_SIZE(low), limit)
        cdef const char* at = line_end(text, stop)
        cdef const char* end
        cdef const char* name
        cdef Py_ssize_t size
        cdef int number, left = self._fields
        for number in range(self._fields):
            self._spans[number].start = -1
        while at < stop and left:
            end = line_end(at + 2, stop)
            for number in range(self._fields):
                needle = <object>self._needles[number]
                name = PyBytes_AS_STRING(needle)
                size = PyBytes_GET_SIZE(needle)
                if name[2] == at[2] and size <= end - at and self._spans[number].start < 0:
                    if memcmp(name, at, size) == 0:
                        self._spans[number] = trimmed(text, at - text + size, end - text)
                        left -= 1
                        break
            at = end
        return 0

    cdef int run(self, Step* step, object exchange, object request, object response, bytes raw) except FAULT:
        """Write the value of one step and return WRITTEN, or return UNSET or ODD."""
        cdef int what = step.what
        cdef Access* access = self._access + step.field
        cdef Span span
        if what == DASH:
            return self.put(b"-", 1)
        elif what == REQUEST_FIELD:
            span = self._spans[step.field]
            if span.start < 0 or span.end <= span.start:
                return UNSET
            return self.put_escaped(PyBytes_AS_STRING(raw) + span.start, span.end - span.start)
        elif what == REQUEST:
            return self.put_bytes(read(access, request))
        elif what == NUMBER:
            return self.put_int(read(access, exchange))
        elif what == STATUS:
            return self.put(b"0", 1) if response is None else self.put_int(read(self._access + R_STATUS, response))
        elif what == TEXT_OF:
            owner = read(access, exchange)
            return self.put_text(read(access + 1, owner)) if owner else UNSET
        elif what == FLAGS:
            flags = read(self._access + X_FLAGS, exchange)
            return self.put_text((<object>step.argument)(flags)) if flags else UNSET
        elif what == PROTOCOL:
            return self.put_bytes((<dict>step.argument).get(read(self._access + VERSION, request)))
        elif what == DURATION:
            return self.put_duration(exchange)
        elif what == STAMP:
            return self.put_stamp(read(self._access + X_STARTED, exchange))
        elif what == SERVICE_TIME:
            began = read(self._access + RESPONSE_BEGAN, exchange)
            return self.put_ms(began, read(self._access + UPSTREAM_BEGAN, exchange)) if began else UNSET
        elif what == RESPONSE_FIELD:
            if response is None:
                return UNSET
            return self.put_field(read(self._access + R_HEADERS, response), <object>step.argument)
        elif what == CALL:
            return self.put_bytes((<object>step.argument)(exchange)) or WRITTEN  # what a plugin gave empty stays so
        return WRITTEN

    cdef int put_duration(self, object exchange) except FAULT:
        started = read(self._access + X_STARTED, exchange)
        return self.put_ms(read(self._access + X_ENDED, exchange) or started, started)

    cdef int put_ms(self, object end, object begin) except FAULT:
        """Write whole milliseconds from one moment to another, given in seconds."""
        cdef double value
        if type(end) is not float or type(begin) is not float:
            return ODD
        value = (<double>end - <double>begin) * 1000
        return self.put_number(<long long>value, 1) if -SAFE < value < SAFE else ODD

    cdef int put_stamp(self, object moment) except FAULT:
        cdef double now
        if type(moment) is not float:
            return ODD
        now = <double>moment + self._offset
        if not -SAFE < now < SAFE:
            return ODD
        if <long long>now != self._second:
            now = <double>moment + self.turn(moment)
        if now < self._second or self._second < 0:
            return ODD
        self.put(PyBytes_AS_STRING(self._head), PyBytes_GET_SIZE(self._head))
        self.put_number(<long long>((now - self._second) * self._scale), self._digits)
        return self.put(PyBytes_AS_STRING(self._tail), PyBytes_GET_SIZE(self._tail))

    cdef double turn(self, object moment) except? -1:
        """Lay out another second; return what to add to the moment."""
        self._offset, self._second, texts = self._layout.turn(moment)
        self._head, self._tail = [_escaped(text) for text in texts]
        return self._offset

    cdef int put_field(self, object headers, bytes needle) except FAULT:
        """Write the first value of a response field."""
        cdef bytes raw = read(self._access + R_RAW, headers)
        cdef bytes low = read(self._access + R_LOW, headers)
        cdef const char* text = PyBytes_AS_STRING(low)
        cdef Py_ssize_t size = min(PyBytes_GET_SIZE(low), PyBytes_GET_SIZE(raw))
        cdef const char* found = <const char*>memmem(text, size, PyBytes_AS_STRING(needle), PyBytes_GET_SIZE(needle))
        cdef Span span
        if found == NULL:
            return UNSET
        found += PyBytes_GET_SIZE(needle)
        span = trimmed(text, found - text, line_end(found, text + size) - text)
        if span.end <= span.start:
            return UNSET
        return self.put_escaped(PyBytes_AS_STRING(raw) + span.start, span.end - span.start)

    cdef int put_bytes(self, object value) except FAULT:
        if PyBytes_CheckExact(value):
            if PyBytes_GET_SIZE(value) == 0:
                return UNSET
            return self.put_escaped(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
        return UNSET if value is None else ODD

    cdef int put_text(self, object value) except FAULT:
        cdef Py_ssize_t size
        cdef const char* text
        if PyUnicode_CheckExact(value):
            text = PyUnicode_AsUTF8AndSize(value, &size)
            return self.put_escaped(text, size) if size else UNSET
        return UNSET if value is None else ODD

    cdef int put_int(self, object value) except FAULT:
        cdef int overflow = 0
        cdef long long number
        if not PyLong_CheckExact(value):
            return ODD
        number = PyLong_AsLongLongAndOverflow(value, &overflow)
        return ODD if overflow or number < -(1LL << 62) else self.put_number(number, 1)

    cdef int put_number(self, long long number, int digits) except FAULT:
        """Write ``number`` in at least so many digits."""
        cdef char text[32]
        cdef int at = 32
        cdef unsigned long long rest = -number if number < 0 else number
        while rest or digits > 0:
            at -= 1
            text[at] = 48 + rest % 10
            rest //= 10
            digits -= 1
        if number < 0:
            at -= 1
            text[at] = 45
        return self.put(text + at, 32 - at)

    cdef inline int put(self, const char* text, Py_ssize_t size) except FAULT:
        if size > self._room - self._size:
            self.resize((self._size + size) * 2)
        memcpy(self._buffer + self._size, text, size)
        self._size += size
        return WRITTEN

    cdef int put_escaped(self, const char* text, Py_ssize_t size) except FAULT:
        """Write printable ASCII without a bare quote or backslash."""
        cdef Py_ssize_t at = 0
        cdef uint64_t word
        cdef char* target
        if size * 4 > self._room - self._size:
            self.resize((self._size + size * 4) * 2)
        target = self._buffer + self._size
        while at + 8 <= size:
            memcpy(&word, text + at, 8)
            if has_special(word):
                break
            memcpy(target + at, &word, 8)
            at += 8
        target += at
        while at < size:
            target = one_escaped(target, <unsigned char>text[at])
            at += 1
        self._size = target - self._buffer
        return WRITTEN

    cdef int resize(self, Py_ssize_t room) except -1:
        cdef char* buffer = <char*>PyMem_Realloc(self._buffer, room)
        if buffer == NULL:
            raise MemoryError
        self._buffer = buffer
        self._room = room
        return 0


cdef inline char* one_escaped(char* target, unsigned char code) noexcept nogil:
    """Write one byte of a value as one, two or four; return where the next one goes."""
    if not is_special[code]:
        target[0] = code
        return target + 1
    target[0] = 92
    if short_escape[code]:
        target[1] = short_escape[code]
        return target + 2
    target[1] = 120
    target[2] = DIGITS[code >> 4]
    target[3] = DIGITS[code & 15]
    return target + 4


cdef bytes _escaped(bytes value):
    cdef bytes room = PyBytes_FromStringAndSize(NULL, PyBytes_GET_SIZE(value) * 4)
    cdef char* start = PyBytes_AS_STRING(room)
    cdef char* target = start
    cdef unsigned char code
    for code in value:
        target = one_escaped(target, code)
    return room[:target - start]


def _plan(list parts):
    """Return (text that goes before, what, argument, where to go on) of each step."""
    plan = []
    literal = b""
    stamp = None
    for part in parts:
        if isinstance(part, str):
            literal += part.encode()
            continue
        steps = [(_STEPS[name], argument) for name, argument in part.steps]
        if steps and steps[0][0] == STAMP:
            stamp = stamp or steps[0][1]
            steps = steps if stamp is steps[0][1] else []  # one layout is kept, others are called
        steps = steps or [(CALL, part.text_getter())]
        after = len(plan) + len(steps) + 1
        for what, argument in steps:
            plan.append((literal, what, argument, after))
            literal = b""
        plan.append((b"", DASH, None, after))
    return [*plan, (literal, END, None, len(plan) + 1)]
