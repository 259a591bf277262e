cpdef tuple pseudo(tuple section)
cpdef tuple blocks(tuple section, Py_ssize_t first, bytes host)
cpdef list split(bytes raw, bytes low, list section)
