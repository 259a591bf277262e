"""Files of ``NAME:SECRET`` lines, for ``basic`` (htpasswd) and ``api_key``; read when an authenticator is built."""

from meshd.api import ConfigurationError

MAX_FILE_BYTES = 16 * 1024 * 1024


def read_table(path, parse):
    """Return the (name, parsed secret) pairs of a file; ``parse`` may raise ValueError, whose text shows no secret.

    Empty lines and those that begin with # are passed over. Raises ConfigurationError naming file and line.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise ConfigurationError(f"{path}: expected at most {MAX_FILE_BYTES} bytes")
    pairs = []
    for number, line in enumerate(content.decode("utf-8", "surrogateescape").splitlines(), 1):
        name, colon, text = line.strip().partition(":")
        if not name or name.startswith("#"):
            continue
        try:
            pairs.append((name, parse(text)))
        except ValueError as error:
            raise ConfigurationError(f"{path}:{number}: {error}") from None
    return pairs
