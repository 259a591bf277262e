"""HTTP without I/O: heads, fields, framing rules, the HTTP/1.1 codec, response flags."""
