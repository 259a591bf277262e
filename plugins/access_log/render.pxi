# What render.pyx is made of: the parts of the C library, the codes of the steps, tables, and the look-ups in a block.

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL
    bint PyUnicode_CheckExact(object value)
    object PyObject_GetAttr(object owner, object name)
    ctypedef object (*getattrofunc)(object, object)
    ctypedef struct PyTypeObject:
        unsigned long tp_flags
        getattrofunc tp_getattro
    ctypedef object (*getter)(object, void*)
    ctypedef struct PyGetSetDef:
        getter get
        void* closure
    ctypedef struct PyGetSetDescrObject:
        PyGetSetDef* d_getset
    PyTypeObject* Py_TYPE(object owner)
    PyTypeObject PyGetSetDescr_Type
    object PyObject_GenericGetAttr(object owner, object name)
    unsigned long Py_TPFLAGS_HEAPTYPE

cdef extern from "string.h" nogil:
    void* memmem(const void* haystack, size_t size, const void* needle, size_t needle_size)

cdef enum:
    END, DASH, CALL, REQUEST, REQUEST_FIELD, RESPONSE_FIELD, PROTOCOL, STATUS, FLAGS, NUMBER, DURATION
    SERVICE_TIME, TEXT_OF, STAMP

cdef enum:
    X_REQUEST, X_RESPONSE, X_FLAGS, X_STARTED, X_ENDED, RESPONSE_BEGAN, UPSTREAM_BEGAN
    HEADERS, R_HEADERS, RAW, LOW, R_RAW, R_LOW, VERSION, R_STATUS, FIXED

cdef enum:
    FAULT = -1, UNSET = 0, WRITTEN = 1, ODD = 2

cdef Py_ssize_t KEPT_BYTES = 65536  # a buffer that a long line made longer is given back
cdef double SAFE = 9e15  # beyond, a double is no whole number of its own
cdef uint64_t ONES = 0x0101010101010101ULL
cdef uint64_t HIGH = 0x8080808080808080ULL
cdef const char* DIGITS = b"0123456789abcdef"

_STEPS = {
    "request": REQUEST, "request_field": REQUEST_FIELD, "response_field": RESPONSE_FIELD, "protocol": PROTOCOL,
    "status": STATUS, "flags": FLAGS, "number": NUMBER, "duration": DURATION, "service_time": SERVICE_TIME,
    "text_of": TEXT_OF, "stamp": STAMP,
}

_NAMES = (
    "request", "response", "flags", "started", "ended", "response_began", "upstream_began",
    "headers", "headers", "raw", "low", "raw", "low", "version", "status",
)

cdef unsigned char is_special[256]
cdef unsigned char short_escape[256]


cdef void fill():
    cdef int code
    for code in range(256):
        is_special[code] = code < 32 or code > 126 or code == 34 or code == 92
        short_escape[code] = 0
    short_escape[10] = 110
    short_escape[13] = 114
    short_escape[9] = 116
    short_escape[34] = 34
    short_escape[92] = 92


fill()


cdef struct Span:
    Py_ssize_t start  # -1: no such field
    Py_ssize_t end


cdef struct Access:
    PyObject* name
    PyTypeObject* type  # whose getter is known
    getter get
    void* closure


cdef struct Step:
    int what
    int after  # where to go on once something is written: past the alternatives
    int field  # the number of a request field, or of an access
    const char* literal  # what goes before
    Py_ssize_t literal_size
    PyObject* argument


cdef inline object read(Access* access, object owner):
    """Return the attribute of ``owner``."""
    if Py_TYPE(owner) == access.type:
        return access.get(owner, access.closure)
    return first_read(access, owner)


cdef object first_read(Access* access, object owner):
    """Return the attribute; remember its getter where the type is a C one, that lives for ever as it is."""
    cdef PyTypeObject* kind = Py_TYPE(owner)
    cdef PyGetSetDef* found
    name = <object>access.name
    if not kind.tp_flags & Py_TPFLAGS_HEAPTYPE and kind.tp_getattro == PyObject_GenericGetAttr:
        descriptor = next((vars(base)[name] for base in type(owner).__mro__ if name in vars(base)), None)
        if Py_TYPE(descriptor) == &PyGetSetDescr_Type:
            found = (<PyGetSetDescrObject*>descriptor).d_getset
            if found.get != NULL:
                access.get = found.get
                access.closure = found.closure
                access.type = kind
    return PyObject_GetAttr(owner, name)


cdef inline uint64_t zeros(uint64_t word) noexcept nogil:
    """Return something else than 0 where a byte of ``word`` is 0."""
    return (word - ONES) & ~word & HIGH


cdef inline bint has_special(uint64_t word) noexcept nogil:
    """Say whether one of eight bytes has to be escaped."""
    cdef uint64_t low = (word - ONES * 32) & ~word & HIGH
    return (word & HIGH | low | zeros(word ^ ONES * 34) | zeros(word ^ ONES * 92) | zeros(word ^ ONES * 127)) != 0


cdef inline const char* line_end(const char* text, const char* stop) noexcept nogil:
    """Return where the next CRLF begins, ``stop`` where there is none."""
    while text < stop:
        text = <const char*>memchr(text, 13, stop - text)
        if text == NULL:
            return stop
        if text + 1 < stop and text[1] == 10:
            return text
        text += 1
    return stop


cdef inline Span trimmed(const char* text, Py_ssize_t start, Py_ssize_t end) noexcept nogil:
    cdef Span span
    while start < end and (text[start] == 32 or text[start] == 9):
        start += 1
    while end > start and (text[end - 1] == 32 or text[end - 1] == 9):
        end -= 1
    span.start = start
    span.end = end
    return span
