cpdef bytes join(tuple section, Py_ssize_t first)
cpdef list split(bytes raw, bytes low, list section)
cpdef Py_ssize_t size_of(tuple section) except -1
